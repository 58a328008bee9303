"""Compare a federation's global weights with those that each site trains alone, on all sites' held-out subjects.

`python apps/nvflare/compare.py --federation OUT` after `job.py --output OUT`, where all sites are on this machine.
"""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from comparison_table import BASELINES, FIELDS, rows_of, text_table
from site_training import SiteTraining

from unicoal_components.command_line import run_command
from unicoal_components.report.rows import write_csv
from unicoal_components.runtime.weights import read_weights, save_weights

logger = logging.getLogger("compare")


def compare(*, federation: str, section: str = "test", slice_step: int = 5) -> None:
    """Train each site alone, as many steps as in the federation, and write PSNR to federation/comparison.csv.

    Args:
        federation: output folder of job.py.
        section: section of the sites' datalists to evaluate.
        slice_step: evaluate every so many slices.
    """
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logger.setLevel(logging.INFO)
    folder = Path(federation).resolve()
    evaluation = {
        "evaluation_section": section,
        "evaluation_slice_step": slice_step,
        "evaluation_baselines": list(BASELINES),
        "allow_training_subjects": False,
    }
    sites = {}
    for file in sorted(folder.glob("*/settings.json")):
        settings = json.loads(file.read_text(encoding="utf-8"))
        settings["output_dir"] = str(file.parent / "alone")
        sites[file.parent.name] = settings
    if not sites or not (folder / "global.pt").is_file():
        raise ValueError(f"'{folder}' has no global.pt and */settings.json; give the output folder of job.py.")
    trainings = {name: SiteTraining(name=name, **settings, evaluation=evaluation) for name, settings in sites.items()}
    initial = read_weights(folder / "initial.pt")
    weights = {"initial": initial, "global": read_weights(folder / "global.pt")}
    for name, training in trainings.items():
        kept = folder / name / "alone.pt"
        if not kept.is_file():
            save_weights(train_alone(training, initial, rounds=sites[name]["rounds"]), kept)
        weights[f"{name} alone"] = read_weights(kept)
    rows: list[dict[str, Any]] = []
    for name, training in trainings.items():
        for which, state in weights.items():
            training.evaluate(state)
            with open(training.tables / "summary.csv", newline="", encoding="utf-8") as table:
                rows += rows_of(table, site=name, weights=which, with_baselines=which == "initial")
    write_csv(folder / "comparison.csv", rows=rows, fields=FIELDS)
    logger.info("%s", text_table(rows))


def train_alone(training: SiteTraining, initial: Mapping[str, torch.Tensor], *, rounds: int) -> dict[str, torch.Tensor]:
    """Train a site on its own: a federation of this site only."""
    state = dict(initial)
    for number in range(rounds):
        state, _ = training.train(state, number=number)
    return state


if __name__ == "__main__":
    run_command(compare)
