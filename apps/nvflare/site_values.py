"""The values with which a bundle trains at a site, and the cases that it evaluates."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unicoal_components.configuration import check_keys
from unicoal_components.datasets.datalist import read_modalities

TRAIN_CONFIG = "configs/train.json"
SCHEDULE = ("warmup_epochs", "constant_epochs", "decay_epochs")
OWN = {"bundle_root", "dataset_dir", "output_dir", "ckpt_path", "resume", "max_epochs", "val_interval", "pretrained"}
"""Values that the federation sets."""


def training_values(
    *, bundle: Path, dataset_dir: Path, output_dir: Path, epochs: int, values: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the values of `train.json` for a training of a site.

    The schedule of the learning rate is the bundle's, shortened to the federation. The bundle's own resumption is off:
    it would load the site's last checkpoint over the weights that the server has sent. Nothing is written into the
    bundle.

    Args:
        bundle: folder of the bundle.
        dataset_dir: prepared folder of the site.
        output_dir: folder for what the site keeps.
        epochs: epochs of the whole federation, rounds times epochs per round.
        values: further values of `train.json`, the same at every site.

    Raises:
        ValueError: one of `values` is unknown to the bundle, or is one that the federation sets.
    """
    config = json.loads((bundle / TRAIN_CONFIG).read_text(encoding="utf-8"))
    check_keys(values, set(config), folder=bundle / "configs")
    taken = sorted(OWN.intersection(values))
    if taken:
        raise ValueError(f"'{taken[0]}' is set by the federation itself; leave it out.")
    schedule = {name: config[name] * epochs / config["max_epochs"] for name in SCHEDULE}
    return {
        **schedule,
        **values,
        "bundle_root": str(bundle),
        "dataset_dir": str(dataset_dir),
        "output_dir": str(output_dir),
        "ckpt_path": str(output_dir / "model.pt"),
        "resume": False,
        "max_epochs": epochs,
        "val_interval": epochs + 1,  # the server asks for evaluations
    }


def site_settings(
    *, bundle: str | Path, dataset_dir: str | Path, output_dir: str | Path, **settings: Any
) -> dict[str, Any]:
    """Return the arguments of `SiteTraining` as JSON holds them, with absolute paths."""
    paths = {"bundle": bundle, "dataset_dir": dataset_dir, "output_dir": output_dir}
    return {name: str(Path(path).absolute()) for name, path in paths.items()} | settings


def site_cases(dataset_dir: Path) -> list[dict[str, Any]]:
    """Return the cases of all modalities that a site has: each at factor 4, and each pair at factor 1."""
    names = read_modalities(dataset_dir / "datalist.json")
    return [{"source": a, "target": b, "factor": 4 if a == b else 1} for a in names for b in names]
