"""A site's part of a federation: `MonaiAlgo` trains a bundle on the site's own subjects and evaluates it on others."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigParser
from monai.fl.client import MonaiAlgo
from monai.fl.utils.constants import ExtraItems, FlStatistics
from monai.fl.utils.exchange_object import ExchangeObject

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


def untrained_weights(*, bundle: str | Path, values: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """Return the weights of a network that has learned nothing, from the bundle's `seed`."""
    root = Path(bundle).resolve()
    make_importable(root)
    parser = ConfigParser()
    parser.read_config(root / TRAIN_CONFIG)
    parser.update(dict(values))
    torch.manual_seed(parser.get_parsed_content("seed"))
    return _copy(parser.get_parsed_content("network_def").state_dict())


def make_importable(bundle: Path) -> None:
    """Let this process find the `scripts` that the bundle's configuration names, as `monai.bundle run` does."""
    if str(bundle) not in sys.path:
        sys.path.insert(1, str(bundle))


class SiteTraining:
    """Trains and evaluates weights that come from elsewhere, on the subjects of one site.

    Args:
        name: name of the site, for the log.
        bundle: folder of the bundle, on this machine; never one that came over the network, as it is executed.
        dataset_dir: prepared folder of the site.
        output_dir: folder for what the site keeps.
        rounds: rounds of the whole federation.
        local_epochs: epochs of a round.
        values: values of `train.json`, the same at every site.
        evaluation: values of `train.json` of the evaluation only.

    Raises:
        ValueError: see `training_values`, and whatever the bundle refuses.
    """

    def __init__(
        self,
        *,
        name: str,
        bundle: str | Path,
        dataset_dir: str | Path,
        output_dir: str | Path,
        rounds: int,
        local_epochs: int = 1,
        values: Mapping[str, Any] | None = None,
        evaluation: Mapping[str, Any] | None = None,
    ) -> None:
        root, data = Path(bundle).resolve(), Path(dataset_dir).resolve()
        self.local_epochs = local_epochs
        kept = training_values(
            bundle=root,
            dataset_dir=data,
            output_dir=Path(output_dir).resolve(),
            epochs=rounds * local_epochs,
            values=values or {},
        )
        self._algo = MonaiAlgo(
            bundle_root=str(root),
            local_epochs=local_epochs,
            send_weight_diff=False,
            config_train_filename=TRAIN_CONFIG,
            train_kwargs=kept,
            config_evaluate_filename=TRAIN_CONFIG,
            eval_kwargs=kept | {"evaluation_cases": site_cases(data), "evaluation_panels": 0} | dict(evaluation or {}),
            eval_workflow_name="train",
        )
        make_importable(root)
        self._algo.initialize({ExtraItems.CLIENT_NAME: name})

    def train(self, weights: Mapping[str, torch.Tensor], *, number: int) -> tuple[dict[str, torch.Tensor], int]:
        """Train one round.

        The round alone says where it stands: its slices and its learning rate are the same at a site that was there
        from the beginning and at one that comes late or returns. The moments of Adam are those of the site's own last
        round in this process, if there was one.

        Args:
            weights: state dict to start from.
            number: number of the round, from 0.

        Returns:
            the trained state dict, and the number of steps.
        """
        state = self._algo.trainer.state
        state.epoch = number * self.local_epochs
        state.iteration = state.epoch * state.epoch_length
        self._algo.train(ExchangeObject(weights=dict(weights)))
        result = self._algo.get_weights()
        return _copy(result.weights), int(result.statistics[FlStatistics.NUM_EXECUTED_ITERATIONS])

    def evaluate(self, weights: Mapping[str, torch.Tensor]) -> dict[str, float]:
        """Evaluate weights on the site's held-out subjects; return the metrics, of which `val_psnr` is the mean."""
        metrics = self._algo.evaluate(ExchangeObject(weights=dict(weights))).metrics
        return {name: float(value) for name, value in metrics.items()}


def _copy(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().cpu().clone() for name, tensor in weights.items()}
