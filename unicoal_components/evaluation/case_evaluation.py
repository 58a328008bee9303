"""Evaluation of one case: apply all methods, measure them against the truth, draw and store the results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.utils import convert_to_tensor
from torch import nn

from ..datasets.case_list import AXIS
from ..datasets.cases import SPACING
from ..datasets.hdf5 import read_header
from ..keys import Keys
from ..metrics.calibration import calibration
from ..metrics.foreground import foreground
from ..metrics.measure import CaseVolumes, Measure
from ..report.panel import save_panel
from ..report.rows import Row, case_name, case_stem
from ..slices.planes import axis_of
from ..slices.slice_group import thin_depths
from .baselines import baseline
from .case_store import CaseStore

PANEL_METHODS = ("cubic", "affine")
VIEWER_METHODS = ("cubic",)


class CaseEvaluation:
    """Evaluate one case for `CaseReport`, which documents the arguments in full.

    Args:
        method: name of the evaluated network's rows.
        measures: measures to compute.
        baselines: names of methods without a network.
        networks: other networks by name.
        inferer: callable that applies them.
        panels: folder of the panels.
        store: store of the volumes.
        volumes: whether to keep volumes.
        predicted_error: whether the output's last channel is the scale of the error.
    """

    def __init__(
        self,
        *,
        method: str,
        measures: Sequence[Measure],
        baselines: Sequence[str],
        networks: Mapping[str, nn.Module],
        inferer: Callable[..., torch.Tensor] | None,
        panels: Path,
        store: CaseStore,
        volumes: bool,
        predicted_error: bool = False,
    ) -> None:
        self.method = method
        self.measures = measures
        self.baselines = baselines
        self.networks = networks
        self.inferer = inferer
        self.panels = panels
        self.store = store
        self.volumes = volumes
        self.predicted_error = predicted_error

    def __call__(
        self, case: dict[str, Any], output: dict[str, Any], *, facts: Row, path: str, draw: bool
    ) -> dict[str, Any]:
        """Evaluate a case.

        Args:
            case: an item of `CaseDataset`.
            output: decollated output of the evaluator: the thick stack as `image`, the truth as `label`, the prediction
                as `pred` `(1, K, H, W)`; with more channels the last is the predicted scale of the error, or the
                standard deviation over several latent codes.
            facts: subject, source, target, factor and axis.
            path: the subject's file.
            draw: whether to make a panel.

        Returns:
            A dictionary for JSON: `rows` by method, and where available `segmentation` rows and `calibration`.

        Raises:
            ValueError: the case cannot be measured; the message names it.
        """
        try:
            stack, prediction, deviation, target = _volumes(output)
            axis = axis_of(facts[AXIS])  # measured on the file's own axes, so that it is the same along each
            mask = np.moveaxis(foreground(target=np.moveaxis(target, 0, axis)), axis, 0)
            images = self._predict(case, stack, prediction, target, mask, factor=facts["factor"])
            rows, segmentation = self._measure(images, target, mask, case, facts)
            result: dict[str, Any] = {"rows": rows, "segmentation": segmentation}
            if deviation is not None:
                error = images[self.method] - target
                found = calibration(error=error, deviation=deviation, foreground=mask, laplace=self.predicted_error)
                result["calibration"] = asdict(found)
        except ValueError as error:
            raise ValueError(f"subject '{facts['subject']}' ({path}), {case_name(facts)}: {error}") from error
        # panels and volumes of an earlier evaluation must not be mistaken for those of this one
        self.panel_path(case_stem(facts)).unlink(missing_ok=True)
        self.store.remove_volumes(case_stem(facts))
        if draw:
            self._draw(images, stack, target, case, facts, rows)
        if self.volumes:
            self._save_volumes(images, stack.numpy(), target, case, facts, path)
        return result

    def panel_path(self, stem: str) -> Path:
        """Return the path of a case's panel."""
        return self.panels / f"{stem}.png"

    def _predict(
        self,
        case: dict[str, Any],
        stack: torch.Tensor,
        prediction: np.ndarray,
        target: np.ndarray,
        mask: np.ndarray,
        *,
        factor: float,
    ) -> dict[str, np.ndarray]:
        """Return the volume of every method, in the order of the rows."""
        known = {"stack": stack, "factor": factor, "indices": case[Keys.INDICES]}
        known |= {"target": torch.from_numpy(target), "inside": torch.from_numpy(mask)}
        images = {self.method: prediction}
        images |= {name: baseline(name, **known).numpy() for name in self.baselines}
        return images | {name: self._infer(network, case, stack) for name, network in self.networks.items()}

    def _infer(self, network: nn.Module, case: dict[str, Any], stack: torch.Tensor) -> np.ndarray:
        device = next(network.parameters()).device
        names = (Keys.MODALITY, Keys.SOURCE_MODALITY, Keys.FACTOR, Keys.THICKNESS, Keys.INDICES)
        given = {name: torch.as_tensor(case[name])[None].to(device) for name in names}
        with torch.no_grad():
            volume = self.inferer(stack[None, None].to(device), network.eval(), **given)  # type: ignore[misc]
        return volume[0, 0].cpu().numpy()

    def _measure(
        self,
        images: Mapping[str, np.ndarray],
        target: np.ndarray,
        mask: np.ndarray,
        case: dict[str, Any],
        facts: Row,
    ) -> tuple[list[Row], list[Row]]:
        """Return the rows of all methods, and the rows of their segmentations."""
        rows, segmentation = [], []
        counted = evaluated_slices(case[Keys.INDICES], facts)
        factor = facts["factor"] if _step(case) == 1 else 1.0
        for name, image in images.items():
            volumes = CaseVolumes(image, target, mask, counted, _spacing(case), factor, axis_of(facts[AXIS]))
            row = facts | {"method": name}
            for measure in self.measures:
                row |= measure(volumes)
                details = getattr(measure, "details", [])
                segmentation += [facts | {"method": name} | detail for detail in details]
            rows.append(row)
        return rows, segmentation

    def _draw(
        self,
        images: Mapping[str, np.ndarray],
        stack: torch.Tensor,
        target: np.ndarray,
        case: dict[str, Any],
        facts: Row,
        rows: list[Row],
    ) -> None:
        """Draw the input as its nearest slices, baselines, other networks, the prediction and the truth."""
        known = {"stack": stack, "factor": facts["factor"], "indices": case[Keys.INDICES]}
        nearest = baseline("copy", target=torch.from_numpy(target), **known).numpy()
        columns = {f"input ({facts['source']})": nearest}
        shown = [name for name in PANEL_METHODS if name in images and (name != "cubic" or facts["factor"] > 1)]
        columns |= {f"{name} (knows the truth)" if name == "affine" else name: images[name] for name in shown}
        columns |= {name: images[name] for name in (*self.networks, self.method)} | {"truth": target}
        axis = axis_of(facts[AXIS])
        mm = list(_spacing(case))
        mm.insert(axis, mm.pop(0))
        psnr = rows[0].get("psnr")
        quality = "" if psnr is None else f", {self.method} {psnr:.2f} dB"
        save_panel(
            self.panel_path(case_stem(facts)),
            images={name: np.moveaxis(volume, 0, axis) for name, volume in columns.items()},
            title=f"{facts['subject']}: {case_name(facts)}{quality}",
            spacing=mm,
            prediction=self.method,
        )

    def _save_volumes(
        self, images: Mapping[str, np.ndarray], stack: np.ndarray, target: np.ndarray, case: dict, facts: Row, path: str
    ) -> None:
        header = read_header(path)
        depth, height, width = header.spacing or (1.0, 1.0, 1.0)
        # without an affine, assume the directions of a subject file's axes
        affine = np.diag([-width, -height, depth, 1.0]) if header.affine is None else header.affine
        axis = axis_of(facts[AXIS])
        thin, thick = (_stretched(affine, axis, scale) for scale in (_step(case), facts["factor"]))
        volumes = {name: images[name] for name in (self.method, *VIEWER_METHODS, *self.networks) if name in images}
        stem = case_stem(facts)
        for name, volume in (volumes | {"truth": target}).items():
            self.store.save_volume(stem, name, np.moveaxis(volume, 0, axis), affine=thin)
        self.store.save_volume(stem, "input", np.moveaxis(stack, 0, axis), affine=thick)


def _stretched(affine: np.ndarray, axis: int, scale: float) -> np.ndarray:
    """Return the affine, voxel (w, h, d, 1) to mm, for slices `scale` times as far apart along an axis of (D, H, W)."""
    scales = np.ones(4)
    scales[2 - axis] = scale
    return affine @ np.diag(scales)


def evaluated_slices(indices: Any, facts: Row) -> np.ndarray | None:
    """Return which thin slices are evaluated: for super-resolution those between the input's slices.

    Args:
        indices: indices of the thin slices, `(K,)`.
        facts: source, target and factor.

    Returns:
        Positions in `indices`; `None` for all, if the target is not of the input's modality.

    Raises:
        ValueError: no thin slice lies between the input's slices.

    Example:
        >>> evaluated_slices([0, 1, 2, 3, 4], {"source": "t1", "target": "t1", "factor": 2.0})
        array([1, 3])
    """
    if facts["source"] != facts["target"] or facts["factor"] == 1:
        return None
    depths = thin_depths(indices, facts["factor"])
    between = np.flatnonzero(np.abs(depths - np.rint(depths)) > 1e-6)
    if not len(between):
        raise ValueError(
            "no evaluated slice lies between the slices of the input, so there is nothing to restore; use a volume "
            "with more slices."
        )
    return between


def _step(case: Mapping[str, Any]) -> int:
    """Return the distance of the evaluated slices, in slices."""
    indices = case[Keys.INDICES]
    return int(indices[1] - indices[0]) if len(indices) > 1 else 1


def _spacing(case: Mapping[str, Any]) -> tuple[float, float, float]:
    first, second, third = (float(mm) for mm in case[SPACING])
    return first, second, third


def _volumes(output: Mapping[str, Any]) -> tuple[torch.Tensor, np.ndarray, np.ndarray | None, np.ndarray]:
    """Return the thick stack, prediction, its expected deviation, and truth of an output, each `(slices, H, W)`."""
    found = {}
    for key in (Keys.IMAGE, Keys.PRED, Keys.LABEL):
        if output.get(key) is None:
            raise ValueError(f"the evaluator's output has no '{key}'; keep image, label and pred in post-processing.")
        volume = convert_to_tensor(output[key], dtype=torch.float32, track_meta=False).detach().cpu()
        found[key] = volume.reshape(-1, *volume.shape[-3:])
    prediction = found[Keys.PRED].numpy()
    deviation = prediction[-1] if len(prediction) > 1 else None
    return found[Keys.IMAGE][0], prediction[0], deviation, found[Keys.LABEL][0].numpy()
