"""Train a bundle at several sites whose subjects stay there, by federated averaging.

`python apps/nvflare/job.py --sites north=A,south=B --output OUT` simulates the sites on this machine.
"""

import json
import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from fire.parser import DefaultParseValue
from site_training import untrained_weights
from site_values import check_settings

from unicoal_components.command_line import Pairs, run_command
from unicoal_components.runtime.weights import read_weights, save_weights

logger = logging.getLogger("job")
FOLDER = Path(__file__).resolve().parent
INSTALL = "pip install -e . -r apps/nvflare/requirements.txt"
DAY = 24 * 3600


def federate(
    *,
    sites: Pairs,
    output: str,
    bundle: str = "bundles/unified",
    pretrained: str | None = None,
    rounds: int = 3,
    local_epochs: int = 1,
    values: Pairs | None = None,
    min_sites: int = 1,
    round_timeout: int = DAY,
    write_job: bool = False,
) -> None:
    """Train a bundle at several sites; the global weights are written to output/global.pt.

    Args:
        sites: prepared folder of each site, as in north=A,south=B; with `write_job`, paths at the sites.
        output: folder for the results, and for what the simulated sites keep; with `write_job`, a path at the sites.
        bundle: folder of the bundle; with `write_job`, a path at the sites.
        pretrained: weights to start from, such as bundles/unified/models/model.pt; otherwise untrained ones.
        rounds: rounds of the federation.
        local_epochs: epochs of images_per_epoch images of each site in a round.
        values: values of the bundle's train.json, the same at every site, as in images_per_epoch=200,batch_size=4.
        min_sites: sites that a round needs; it is averaged without those that fail, which may come back in a later one.
        round_timeout: seconds after which a round does not wait for sites that have not answered; 0 = no limit.
        write_job: write the job into output/job, to submit it to a running federation, instead of simulating it.

    Raises:
        ValueError: an option is invalid, NVFlare is not installed, or a round had too few sites.
        OSError: there are no weights to start from, or the output cannot be written.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        from nvflare.recipe import SimEnv
        from recipe import NAME, Recipe
    except ModuleNotFoundError as error:
        raise ValueError(
            f"'{sys.executable}' lacks NVFlare ({error}). Make an environment for it: {INSTALL}"
        ) from error
    if not 1 <= min_sites <= len(sites):
        raise ValueError(f"min_sites is {min_sites}; it must be from 1 to {len(sites)}, the number of sites.")
    folder = Path(output).resolve()
    settings = {
        name: {
            "bundle": str(Path(bundle).resolve()),
            "dataset_dir": str(Path(dataset_dir).absolute()),
            "output_dir": str(folder / name),
            "rounds": rounds,
            "local_epochs": local_epochs,
            "values": _typed(values or {}),
        }
        for name, dataset_dir in sites.items()
    }
    for each in settings.values():
        check_settings(**each, with_data=not write_job)
    folder.mkdir(parents=True, exist_ok=True)
    initial = folder / "initial.pt"
    start = (
        untrained_weights(bundle=bundle, values=_typed(values or {}))
        if pretrained is None
        else read_weights(pretrained)
    )
    save_weights(start, initial)
    files = {name: _write(folder / name / "settings.json", each) for name, each in settings.items()}
    os.chdir(FOLDER)  # NVFlare sends a script to the sites only if it is given relative to this folder
    recipe = Recipe(initial=initial, sites=files, rounds=rounds, min_sites=min_sites, round_timeout=round_timeout)
    if write_job:
        recipe.export(str(folder / "job"))
        logger.info("the job is in %s", folder / "job" / NAME)
        return
    simulation = folder / "simulation"
    try:
        recipe.execute(SimEnv(clients=list(sites), workspace_root=str(simulation)))
    except RuntimeError as error:
        raise ValueError(f"the federation has ended early: {reason_of(simulation)}") from error
    found = next(simulation.rglob("FL_global_model.pt"))
    save_weights(torch.load(found, weights_only=True)["model"], folder / "global.pt")
    logger.info("the global weights are in %s", folder / "global.pt")


def reason_of(simulation: Path) -> str:
    """Return the last error in the log of the simulated server."""
    log = simulation / "unicoal" / "server" / "error_log.txt"
    errors = [line for line in log.read_text(encoding="utf-8").splitlines() if " - ERROR - " in line]
    return errors[-1].rpartition("] - ")[2].rpartition("RuntimeError: ")[2]


def _typed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values as `monai.bundle` reads them."""
    return {name: DefaultParseValue(value) if isinstance(value, str) else value for name, value in values.items()}


def _write(path: Path, content: Mapping[str, Any]) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, indent=4), encoding="utf-8")
    return path


if __name__ == "__main__":
    run_command(federate)
