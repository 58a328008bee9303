"""Read the slices that a task needs."""

from collections.abc import Mapping, Sequence
from typing import Any

import h5py
import numpy as np
import torch
from monai.transforms import Transform

from ..data.hdf5 import dataset_name, read_slices, through_plane_spacing
from ..data.open_files import OpenFiles
from ..data.slice_group import slice_centers, slice_position
from ..data.slice_profile import thick_slices
from ..data.slice_thickness import SliceThickness
from ..keys import BLANK, Keys
from .intensity_jitter import jitter_intensity


class LoadSliceGroupd(Transform):
    """Read the thick slices of the source and the thin slice of the target that `DrawSliceTaskd` has drawn.

    Gives the network's batch keys only: `image` `(S, R, R)` and `label` `(1, R, R)`, float32 in [-1, 1], -1 outside the
    volume; `modality` and `source_modality` (int64 indices); `position` and `factor` (float32); `subject` and
    `slice_index`. Only the thin slices needed are read, so the cost does not depend on the volume's depth.

    A drawn intensity jitter acts on the source. Where source and target have one modality it acts on both, because the
    output then has the contrast of its input; otherwise the target keeps the contrast that the network shall learn.

    Args:
        profile: "gaussian" and "box" average over the slice thickness, "drop" takes the middle slice as the official
            preparation does; see `profile_weights`.
        slice_gap: Gap between the thick slices in mm, which takes from their thickness; see `SliceThickness`.
        slice_thickness: Instead, the thickness of the thick slices in mm at every factor; `None` = what the gap leaves.
        slice_group_size: Number S of thick slices, even.
        max_open_files: Number of files that each worker process keeps open.

    Raises:
        ValueError: If an argument is not allowed; and, when called, if a gap or a thickness is given and the file does
            not tell its spacing, or the gap leaves nothing of the slice spacing.
    """

    def __init__(
        self,
        *,
        profile: str = "gaussian",
        slice_gap: float = 0.0,
        slice_thickness: float | None = None,
        slice_group_size: int = 4,
        max_open_files: int = 16,
    ):
        self.thickness = SliceThickness(profile=profile, slice_gap=slice_gap, slice_thickness=slice_thickness)
        slice_centers(0, 1, size=slice_group_size)  # raises where the size is wrong
        self.slice_group_size = slice_group_size
        self._open = OpenFiles(limit=max_open_files)

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return the batch keys of a drawn item."""
        file = self._open(data["path"])
        index, factor, anchor = data[Keys.SLICE], data[Keys.FACTOR], data["anchor"]
        centers = slice_centers(anchor, factor, size=self.slice_group_size)
        thickness = self.thickness.in_thin_slices(factor, spacing=through_plane_spacing(file), path=data["path"])
        source = thick_slices(_Modality(file, data["source"]), centers, thickness, self.thickness.profile)
        image = _place(source, data["window"], data["flip"])
        label = _place(read_slices(file, data["target"], index, index + 1), data["window"], data["flip"])
        if "gamma" in data:
            jitter = {"gamma": data["gamma"], "bias": data["bias"]}
            image = jitter_intensity(image, **jitter)
            label = jitter_intensity(label, **jitter) if data["source"] == data["target"] else label
        return {
            Keys.IMAGE: image,
            Keys.LABEL: label,
            Keys.MODALITY: torch.tensor(data[Keys.MODALITY], dtype=torch.int64),
            Keys.SOURCE_MODALITY: torch.tensor(data[Keys.SOURCE_MODALITY], dtype=torch.int64),
            Keys.POSITION: torch.tensor(slice_position(index, anchor, factor), dtype=torch.float32),
            Keys.FACTOR: torch.tensor(factor, dtype=torch.float32),
            Keys.SUBJECT: data[Keys.SUBJECT],
            Keys.SLICE: index,
        }


class _Modality:
    """One modality of an open file as a stack of slices in [-1, 1], read when asked for."""

    def __init__(self, file: h5py.File, modality: str):
        self.file = file
        self.modality = modality
        self.shape: tuple[int, ...] = file[dataset_name(file, modality)].shape

    def __getitem__(self, rows: slice) -> np.ndarray:
        return read_slices(self.file, self.modality, rows.start, rows.stop)


def _place(slices: np.ndarray, window: Sequence[int], flip: bool) -> torch.Tensor:
    """Cut the window (h0, h1, w0, w1) out of `(S, H, W)`, blank where it reaches outside, and mirror it if `flip`."""
    top, bottom, left, right = window
    placed = np.full((len(slices), bottom - top, right - left), BLANK, dtype=np.float32)
    inside = slices[:, max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    row, column = max(-top, 0), max(-left, 0)
    placed[:, row : row + inside.shape[1], column : column + inside.shape[2]] = inside
    return torch.from_numpy(placed[..., ::-1].copy() if flip else placed)
