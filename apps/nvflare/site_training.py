"""A site's part of a federation: `MonaiAlgo` trains a bundle on the site's own subjects and evaluates it on others."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigParser
from monai.fl.client import MonaiAlgo
from monai.fl.utils.constants import ExtraItems, FlStatistics
from monai.fl.utils.exchange_object import ExchangeObject
from site_values import TRAIN_CONFIG, site_cases, training_values

from unicoal_components.commands.bundle_run import importable


def untrained_weights(*, bundle: str | Path, values: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """Return the weights of a network that has learned nothing, from the bundle's `seed`."""
    root = Path(bundle).resolve()
    importable(root)
    parser = ConfigParser()
    parser.read_config(root / TRAIN_CONFIG)
    parser.update(dict(values))
    torch.manual_seed(parser.get_parsed_content("seed"))
    return _copy(parser.get_parsed_content("network_def").state_dict())


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

    Attributes:
        tables: folder into which `evaluate` writes its tables.

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
        self.tables = Path(output_dir).resolve() / "validation"
        self._moments = Path(output_dir).resolve() / "optimizer.pt"
        kept = training_values(
            bundle=root,
            dataset_dir=data,
            output_dir=Path(output_dir).resolve(),
            epochs=rounds * local_epochs,
            values=values or {},
        )
        cases = site_cases(bundle=root, dataset_dir=data, values=values or {})
        self._algo = MonaiAlgo(
            bundle_root=str(root),
            local_epochs=local_epochs,
            send_weight_diff=False,
            config_train_filename=TRAIN_CONFIG,
            train_kwargs=kept,
            config_evaluate_filename=TRAIN_CONFIG,
            eval_kwargs=kept | {"evaluation_cases": cases, "evaluation_panels": 0} | dict(evaluation or {}),
            eval_workflow_name="train",
        )
        importable(root)
        self._algo.initialize({ExtraItems.CLIENT_NAME: name})

    def train(self, weights: Mapping[str, torch.Tensor], *, number: int) -> tuple[dict[str, torch.Tensor], int]:
        """Train one round.

        The round alone says where it stands: its slices and its learning rate are the same at a site that was there
        from the beginning and at one that comes late or returns. The moments of Adam are those of the last round that
        the site has trained.

        Args:
            weights: state dict to start from.
            number: number of the round, from 0.

        Returns:
            the trained state dict, and the number of steps.
        """
        trainer = self._algo.trainer
        assert trainer is not None
        state = trainer.state
        state.epoch = number * self.local_epochs
        state.iteration = state.epoch * state.epoch_length
        if number > 0 and self._moments.is_file():
            moments = torch.load(self._moments, weights_only=True)
            trainer.optimizer.load_state_dict(trainer.optimizer.state_dict() | {"state": moments})
        self._algo.train(ExchangeObject(weights=dict(weights)))
        torch.save(trainer.optimizer.state_dict()["state"], self._moments)
        result = self._algo.get_weights()
        return _copy(result.weights), int(result.statistics[FlStatistics.NUM_EXECUTED_ITERATIONS])

    def evaluate(self, weights: Mapping[str, torch.Tensor]) -> dict[str, float]:
        """Evaluate weights on the site's held-out subjects; return the metrics, of which `val_psnr` is the mean."""
        metrics = self._algo.evaluate(ExchangeObject(weights=dict(weights))).metrics
        return {name: float(value) for name, value in metrics.items()}


def _copy(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().cpu().clone() for name, tensor in weights.items()}
