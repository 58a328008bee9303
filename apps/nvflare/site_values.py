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


def check_settings(
    *,
    bundle: str,
    dataset_dir: str,
    output_dir: str,
    rounds: int,
    local_epochs: int,
    values: Mapping[str, Any],
    with_data: bool,
) -> None:
    """Check the settings of a site before the federation starts.

    Args:
        bundle: see `training_values`, as the following.
        dataset_dir: prepared folder of the site.
        output_dir: folder for what the site keeps.
        rounds: rounds of the federation, at least 1.
        local_epochs: epochs of a round, at least 1.
        values: values of `train.json`.
        with_data: whether the prepared folder is on this machine.

    Raises:
        ValueError: a number is below 1, or see `training_values`.
        OSError: there is no bundle, or no datalist in the prepared folder.
    """
    for name, number in (("rounds", rounds), ("local_epochs", local_epochs)):
        if number < 1:
            raise ValueError(f"{name} is {number}; it must be at least 1.")
    places = {"bundle": Path(bundle), "dataset_dir": Path(dataset_dir), "output_dir": Path(output_dir)}
    training_values(**places, epochs=rounds * local_epochs, values=values)
    if with_data:
        read_modalities(Path(dataset_dir) / "datalist.json")


def site_cases(*, bundle: Path, dataset_dir: Path, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the cases that a site evaluates: what the bundle is trained for, of the modalities that the site has.

    A modality to itself is evaluated at factor 4, another one at factor 1 if that is trained, else at 4.
    """
    task = json.loads((bundle / TRAIN_CONFIG).read_text(encoding="utf-8")) | dict(values)
    names = read_modalities(dataset_dir / "datalist.json")
    across = 1 if 1 in task["factors"] else 4
    return [
        {"source": source, "target": target, "factor": 4 if source == target else across, "axis": "thin"}
        for source in names
        for target in names
        if task["same_modality" if source == target else "cross_modality"]
    ]
