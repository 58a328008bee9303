"""Train a plain network by L1 on the same draws as a bundle's training, as a row of its reports.

`python scripts/train_baseline.py --config_file bundles/unified/configs/train.json --dataset_dir DATA --output UNET
--minutes 10`, then evaluate the method with `--unet UNET/unet.pt`: both are evaluated on the same tasks in one run.
"""

if __name__ == "__main__":
    from unicoal_components import interruption

    interruption.start()

import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigParser

from unicoal_components.command_line import Files, Numbers, Pairs, run_command
from unicoal_components.configuration import check_keys
from unicoal_components.datasets.sampler import SliceSampler
from unicoal_components.datasets.training_record import training_subjects, write_record
from unicoal_components.errors import cause_of
from unicoal_components.evaluation.baseline import KINDS, build_baseline, check_kind, read_settings, save_baseline
from unicoal_components.files.writable import check_writable
from unicoal_components.runtime.weights import load_weights
from unicoal_components.training.baseline_training import train_baseline


def main(
    *,
    config_file: Files,
    output: str,
    dataset_dir: str | None = None,
    images: int | None = None,
    minutes: float | None = None,
    network: str | None = None,
    channels: Numbers | None = None,
    pretrained: str | None = None,
    learning_rate: float | None = None,
    options: Pairs | None = None,
    device: str | None = None,
) -> None:
    """Train a baseline; save its weights (unet.pt or trunk.pt), settings (.json) and subjects (.training.json).

    Args:
        config_file: the bundle's train.json, or a list of it and overlays, as for `monai.bundle run`.
        output: folder for the three files.
        dataset_dir: folder of datalist.json; otherwise the config's.
        images: train on this many images; give the number of the method's training.
        minutes: train for this processor time, of all threads; with images as well, whichever comes first.
        network: unet, MONAI's U-Net, or trunk, a residual network like the generator's detail path; otherwise that of
            `pretrained`, or unet.
        channels: features of each level of the U-Net, or of the trunk; otherwise its own.
        pretrained: weights of an earlier training to continue from, with the network's kind and sizes.
        learning_rate: learning rate of Adam; otherwise 0.001 for the U-Net, 0.002 for the trunk.
        options: values that replace those of the config: "{'factors': [1, 4], 'seed': 1}".
        device: cpu, cuda, ...; otherwise cuda where there is one.
    """
    check_writable(output)
    files = [config_file] if isinstance(config_file, str) else list(config_file)
    values = dict(options or {}) | ({} if dataset_dir is None else {"dataset_dir": dataset_dir})
    with bundle_of(files[0]) as root:
        dataset, config = read_training(files, values | {"bundle_root": str(root)})
        sizes = channels[0] if isinstance(channels, Sequence) and len(channels) == 1 else channels
        settings = settings_of(config, network=network, channels=sizes, pretrained=pretrained)
        torch.manual_seed(config["seed"])
        model = build_baseline(settings)
        if pretrained is not None:
            load_weights(network=model, path=pretrained)
        result = train_baseline(
            model.train(),
            dataset=dataset,
            make_sampler=lambda count: SliceSampler(dataset=dataset, num_samples=count, seed=config["seed"]),
            device=device or ("cuda" if torch.cuda.is_available() else "cpu"),
            images=images,
            minutes=minutes,
            batch_size=config["batch_size"],
            learning_rate=KINDS[settings["kind"]].learning_rate if learning_rate is None else learning_rate,
        )
    path = Path(output) / f"{settings['kind']}.pt"
    how = {"config_file": files, "options": dict(options or {}), "seed": config["seed"], "pretrained": pretrained}
    subjects = training_subjects(data=config["train::data"], pretrained=pretrained)
    save_baseline(model, path, settings=settings | how | result)
    write_record(path, subjects=subjects, images_seen=result["images_seen"], selected_by={})


@contextmanager
def bundle_of(config_file: str) -> Iterator[Path]:
    """Let the configs of a bundle find their `scripts`, as `monai.bundle run` does; yield the bundle's folder."""
    root = Path(config_file).absolute().parent.parent
    path = list(sys.path)
    _forget_scripts()
    sys.path.insert(0, str(root))
    try:
        yield root
    finally:
        sys.path[:] = path
        _forget_scripts()


def _forget_scripts() -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "scripts"]:
        del sys.modules[name]


def read_training(files: Sequence[str], values: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Build the training set of a bundle.

    Args:
        files: train.json and overlays.
        values: values that replace those of the config.

    Returns:
        The data set, and the config's `modalities`, `slice_group_size`, `seed`, `batch_size` and `train::data`.

    Raises:
        FileNotFoundError: a file does not exist.
        ValueError: a value is unknown to the config, or wrong.
    """
    for file in files:
        if not Path(file).is_file():
            raise FileNotFoundError(f"config_file '{file}' does not exist; give a bundle's configs/train.json.")
    config = ConfigParser.load_config_files(list(files))
    if "train" not in config:
        raise ValueError(f"config_file '{files[0]}' has no section 'train'; give a bundle's configs/train.json.")
    check_keys(values, set(config), folder=Path(files[0]).parent)
    parser = ConfigParser(config)
    parser.update(dict(values))
    names = ("modalities", "slice_group_size", "seed", "batch_size", "train::data", "train::dataset")
    try:
        found = {name: parser.get_parsed_content(name) for name in names}
    except Exception as error:  # noqa: BLE001 - MONAI wraps what the parts of a config raise
        raise ValueError(cause_of(error)) from error
    return found.pop("train::dataset"), found


def settings_of(
    config: Mapping[str, Any], *, network: str | None, channels: float | Sequence[float] | None, pretrained: str | None
) -> dict[str, Any]:
    """Return kind, modalities and options of the network to train."""
    modalities, group = list(config["modalities"]), config["slice_group_size"]
    if pretrained is None:
        kind = network or "unet"
        sizes = dict(check_kind(kind).options) | ({} if channels is None else {"channels": channels})
        return {"kind": kind, "modalities": modalities, "in_channels": group} | sizes
    settings = read_settings(pretrained)
    for name, given, there in (
        ("network", network, settings["kind"]),
        ("channels", channels, settings["channels"]),
        ("modalities", modalities, settings["modalities"]),
        ("slice_group_size", group, settings["in_channels"]),
    ):
        if given is not None and given != there:
            raise ValueError(
                f"{name} is {given!r}, but {there!r} in the pretrained network '{pretrained}'; give the same value "
                "(--network and --channels may be left out, values of the config are given by --options)."
            )
    names = ("kind", "modalities", "in_channels", *KINDS[settings["kind"]].options)
    return {name: settings[name] for name in names}


if __name__ == "__main__":
    os.environ.setdefault("MONAI_FAIL_ON_DUPLICATE_CONFIG", "1")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    run_command(main)
