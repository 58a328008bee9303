"""Output images of a prediction, with their grid and number format."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from ..geometry.orientation import from_stack, thin_affine
from ..keys import Keys
from ..scans.earlier_results import MARK
from ..scans.storage import Storage
from ..scans.write_nifti import nifti_storage
from .expected_error import expected_error
from .loaded_scan import NATIVE, LoadedScan
from .restore import finished_slices, spread_slices, synthesized_slices

Scale = tuple[float, float]

SUFFIXES = {"image": "", "standard_deviation": "_std", "expected_error": "_error"}
"""Suffixes of the output's name, by role of the image."""


@dataclass(frozen=True)
class Image:
    """One image to write.

    Attributes:
        slices: slices of the stack, (H, W) each, float32; computed when requested.
        description: one line of text for the user.
        storage: number format of a NIfTI file.
        display: intensities that viewers should show as black and white; `None` = decided by the viewer.
        title: short title in a list of series; `None` = the default of the task.
    """

    slices: Iterable[np.ndarray]
    description: str
    storage: Storage = Storage()
    display: Scale | None = None
    title: str | None = None


class Prediction:
    """Output images of a prediction, with their grid.

    Args:
        data: item with the prediction and the entries of `LoadStackd` and `SetTaskd`.
        modalities: names in the order of the network's classes.
        key: item key of the prediction `(C, K, H', W')` in [-1, 1].
        synthesis_range: values of -1 and 1 in another modality than the input's.
        with_error: whether the last channel of the prediction is the expected error.

    Raises:
        ValueError: the prediction has only one channel, but `with_error` is set.
    """

    def __init__(
        self,
        data: Mapping[str, Any],
        *,
        modalities: Sequence[str],
        key: str,
        synthesis_range: Scale,
        with_error: bool = False,
    ) -> None:
        self.scan = LoadedScan.from_item(data)
        self.source_modality = modalities[int(data[Keys.SOURCE_MODALITY])]
        self.target_modality = modalities[int(data[Keys.MODALITY])]
        self.factor = float(data[Keys.FACTOR])
        self.thickness = float(data.get(Keys.THICKNESS, 1.0))
        self.planes = int(data.get(Keys.PLANES, 1))
        self.target_index = int(data[Keys.MODALITY])
        self.same = self.source_modality == self.target_modality
        self.scale: Scale = (self.scan.low, self.scan.high) if self.same else synthesis_range
        values = torch.as_tensor(data[key]).detach().cpu().numpy()
        if len(values) < 1 + with_error:
            raise ValueError(
                f"the prediction has {len(values)} channel; with_error needs the error as another one. Set "
                "with_error in VolumeInferer too, or in neither."
            )
        self._error = values[-1] if with_error else None
        self._samples = values[:-1] if with_error else values
        self._native = torch.as_tensor(data[NATIVE]).cpu().numpy()
        self._seen = torch.as_tensor(data[Keys.IMAGE]).cpu().numpy()[0]

    @property
    def grid(self) -> tuple[tuple[int, int, int], np.ndarray]:
        """Shape (x, y, z) of the output, and its affine, voxel to RAS+ world mm."""
        affine = thin_affine(self.scan.stack_affine, self.factor)
        depth, (height, width) = self._samples.shape[1], self._native.shape[1:]
        empty = np.broadcast_to(np.zeros(()), (depth, height, width))
        volume, affine = from_stack(empty, affine, plane=self.scan.plane, orientation=self.scan.orientation)
        x, y, z = volume.shape
        return (x, y, z), affine

    @property
    def task(self) -> dict[str, Any]:
        """Parameters of the task, by name."""
        names = {"source_modality": self.source_modality, "target_modality": self.target_modality}
        thickness = {"slice_thickness": self.scan.slice_thickness, "relative_thickness": self.thickness}
        return names | {"factor": self.factor, "planes": self.planes} | thickness

    @cached_property
    def expected_error(self) -> float | None:
        """Mean error that the network expects inside the head, as a fraction of the intensity range.

        `None` if the network does not predict its error, or there is no head.
        """
        return None if self._error is None else expected_error(self._samples[0], self._error)

    @property
    def intensity(self) -> dict[str, Any]:
        """Units and range of the output's intensities."""
        low, high = self.scale
        if self.same:
            return {"units": "those of the input", "network_black": low, "network_white": high}
        return {"units": f"none; {low:g} is black, {high:g} white", "range": [low, high]}

    def images(self, *, error_map: bool = False) -> dict[str, Image]:
        """Return the images by role.

        Args:
            error_map: whether to include the expected error, if the prediction has it.

        Returns:
            "image"; for several samples also "standard_deviation"; and "expected_error" if requested.
        """
        about = f"synthesized {self.target_modality} from {self.source_modality}, factor {self.factor:g}"
        images = {"image": self._image(about)}
        if len(self._samples) > 1:
            images["standard_deviation"] = self._spread(self._samples[1], "standard deviation", about)
        if error_map and self._error is not None:
            images["expected_error"] = self._spread(self._error, "expected error", about)
        return images

    def _image(self, about: str) -> Image:
        common: dict[str, Any] = {"native": self._native, "scan": self.scan, "factor": self.factor}
        if self.same:
            slices = finished_slices(self._samples[0], seen=self._seen, **common)
            stored = nifti_storage(self.scan.storage)
            return Image(slices, f"{MARK}: {about}", stored, display=self.scale)
        slices = synthesized_slices(self._samples[0], scale=self.scale, **common)
        words = f"{MARK}: {about}, scale {self.scale[0]:g}-{self.scale[1]:g}"
        return Image(slices, words, display=self.scale)

    def _spread(self, values: np.ndarray, name: str, about: str) -> Image:
        slices = spread_slices(values, native=self._native, scan=self.scan, factor=self.factor, scale=self.scale)
        title = f"{name.capitalize()} of {self.target_modality} synthesized"
        return Image(slices, f"{MARK}: {name} of {about}", title=title)
