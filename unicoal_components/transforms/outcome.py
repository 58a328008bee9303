"""What became of one scan: the images to write, on which grid, in which numbers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..data.geometry import from_stack, thin_affine
from ..data.read_volume import Storage
from ..data.write_nifti import nifti_storage
from ..keys import Keys
from .earlier_results import MARK
from .finish import deviation_slices, finished_slices, synthesized_slices
from .source import NATIVE, Source

Scale = tuple[float, float]


@dataclass(frozen=True)
class Image:
    """One image to write.

    Attributes:
        suffix: behind the output's name.
        slices: of the stack, (H, W) each, float32; made when they are asked for.
        description: for people, in a line.
        storage: how a NIfTI file keeps its numbers.
        display: intensities that viewers shall show as black and white; `None` leaves it to them.
        title: for a list of series, in a few words; `None` = what is usual for the task.
    """

    suffix: str
    slices: Iterable[np.ndarray]
    description: str
    storage: Storage = Storage()
    display: Scale | None = None
    title: str | None = None


class Outcome:
    """The images that a prediction gives, with the grid that they lie on.

    Args:
        data: item with the prediction, and all that `LoadStackd` and `SetTaskd` left in it.
        modalities: names in the order of the network's classes.
        key: item key of the prediction `(C, K, H', W')` in [-1, 1].
        synthesis_range: what -1 and 1 become in another modality than the input's.
    """

    def __init__(self, data: Mapping[str, Any], *, modalities: Sequence[str], key: str, synthesis_range: Scale) -> None:
        self.source = Source.of(data)
        self.source_modality = modalities[int(data[Keys.SOURCE_MODALITY])]
        self.target_modality = modalities[int(data[Keys.MODALITY])]
        self.factor = float(data[Keys.FACTOR])
        self.target_index = int(data[Keys.MODALITY])
        self.same = self.source_modality == self.target_modality
        self.scale: Scale = (self.source.low, self.source.high) if self.same else synthesis_range
        self._prediction = torch.as_tensor(data[key]).detach().cpu().numpy()
        self._native = torch.as_tensor(data[NATIVE]).cpu().numpy()
        self._seen = torch.as_tensor(data[Keys.IMAGE]).cpu().numpy()[0]

    @property
    def grid(self) -> tuple[tuple[int, int, int], np.ndarray]:
        """Shape (x, y, z) and affine, voxel to RAS+ world mm, of the output."""
        affine = thin_affine(np.array(self.source.stack_affine), self.factor)
        depth, (height, width) = self._prediction.shape[1], self._native.shape[1:]
        empty = np.broadcast_to(np.zeros(()), (depth, height, width))
        volume, affine = from_stack(empty, affine, plane=self.source.plane, orientation=self.source.orientation)
        x, y, z = volume.shape
        return (x, y, z), affine

    @property
    def task(self) -> dict[str, Any]:
        """Return what was asked for, by name."""
        names = {"source_modality": self.source_modality, "target_modality": self.target_modality}
        return names | {"factor": self.factor}

    @property
    def intensity(self) -> dict[str, Any]:
        """Tell what the numbers of the output mean."""
        low, high = self.scale
        if self.same:
            return {"units": "those of the input", "network_black": low, "network_white": high}
        return {"units": f"none; {low:g} is black, {high:g} white", "range": [low, high]}

    def images(self) -> dict[str, Image]:
        """Return the images by their role: "image", and of several samples also "standard_deviation"."""
        about = f"synthesized {self.target_modality} from {self.source_modality}, factor {self.factor:g}"
        where: dict[str, Any] = {"native": self._native, "source": self.source}
        if self.same:
            slices = finished_slices(self._prediction[0], seen=self._seen, factor=self.factor, **where)
            stored = nifti_storage(Storage(self.source.dtype, self.source.slope, self.source.intercept))
            image = Image("", slices, f"{MARK}: {about}", stored, display=self.scale)
        else:
            slices = synthesized_slices(self._prediction[0], factor=self.factor, scale=self.scale, **where)
            words = f"{MARK}: {about}, scale {self.scale[0]:g}-{self.scale[1]:g}"
            image = Image("", slices, words, display=self.scale)
        if len(self._prediction) == 1:
            return {"image": image}
        deviations = deviation_slices(self._prediction[1], factor=self.factor, scale=self.scale, **where)
        words = f"{MARK}: standard deviation of {about}"
        title = f"Standard deviation of {self.target_modality} synthesized"
        return {"image": image, "standard_deviation": Image("_std", deviations, words, title=title)}
