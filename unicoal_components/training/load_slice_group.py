"""Transform that reads the slices of a draw and applies its window, flips and intensities."""

import math
from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from monai.transforms import Transform

from ..datasets.hdf5 import dataset_name, read_levels, through_plane_spacing
from ..datasets.open_files import OpenFiles
from ..keys import BLANK, Keys
from ..slices.slice_group import slice_centers, slice_position
from ..slices.slice_profile import thick_slices
from ..slices.slice_thickness import SliceThickness
from .intensity_draw import LEVELS, add_noise, bias_field, shade
from .slice_draw import SliceDraw, Window

IDENTITY = np.arange(LEVELS, dtype=np.float32) / np.float32(127.5) - np.float32(1)
"""Values of the stored levels if no contrast is drawn."""


class LoadSliceGroupd(Transform):
    """Read the thick slices of the source and the slice of the target that `DrawSliceTaskd` has drawn.

    The target is a thin slice, or, of a thick stack at factor 1 (`stack_spacing`), as thick as the source's.

    The result has the network's batch keys only: `image` `(S, R, R)` and `label` `(1, R, R)`, float32 in [-1, 1], -1
    outside the volume; `modality` and `source_modality` (int64 indices); `position`, `factor` and `thickness`
    (float32); `subject` and `slice_index`. Only the voxels needed are read, so that the cost does not depend on the
    volume's size.

    A contrast curve acts on the thin slices, before they are averaged into thick ones, as a scanner's contrast does;
    the bias field and the noise act on the slices that the network gets.

    Args:
        profile: "gaussian" and "box" average over the slice thickness, "drop" takes the middle slice as the official
            preparation does; see `profile_weights`. A draw may name another.
        slice_gap: gap between the thick slices in mm, which reduces their thickness; see `SliceThickness`.
        slice_thickness: thickness of the thick slices in mm at every factor, instead of `slice_gap`; `None` = from the
            gap. Both have no effect if a draw has a thickness.
        slice_group_size: number S of thick slices, even.
        max_open_files: number of files that each worker process keeps open.

    Raises:
        ValueError: an argument is not allowed; when called, a gap or a thickness is given but the file has no spacing,
            or the gap is not less than the slice spacing.
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
        slice_centers(0, 1, size=slice_group_size)  # raises ValueError for a wrong size
        self.slice_group_size = slice_group_size
        self._open = OpenFiles(limit=max_open_files)

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return the batch keys of a drawn item."""
        draw: SliceDraw = data[Keys.DRAW]
        file = self._open(data["path"])
        source = _Slices(file, draw.source, draw)
        target = _Slices(file, draw.target, draw, recolored=draw.source == draw.target)
        place = source.shape[0] - 1 - draw.index if draw.flips[0] else draw.index
        anchor = place - draw.offset
        centers = slice_centers(anchor, draw.factor * draw.stack_spacing, size=self.slice_group_size)
        thickness = self._thickness(draw, file, data["path"])
        profile = draw.profile or self.thickness.profile
        given = thick_slices(source, centers, thickness * draw.stack_spacing, profile)
        wanted = thick_slices(target, [place], draw.stack_spacing, profile)
        slices = torch.from_numpy(np.concatenate([given, wanted]))
        image, label = _in_plane(slices, draw).split([self.slice_group_size, 1])
        if draw.intensity is not None:
            field = bias_field(draw.intensity.bias, *image.shape[1:])
            image = shade(image, field)
            label = shade(label, field) if draw.source == draw.target else label
            if draw.intensity.noise:
                image = add_noise(image, sigma=draw.intensity.noise, seed=draw.intensity.noise_seed)
        return {
            Keys.IMAGE: image,
            Keys.LABEL: label,
            Keys.MODALITY: torch.tensor(data[Keys.MODALITY], dtype=torch.int64),
            Keys.SOURCE_MODALITY: torch.tensor(data[Keys.SOURCE_MODALITY], dtype=torch.int64),
            Keys.POSITION: torch.tensor(slice_position(place, anchor, draw.factor), dtype=torch.float32),
            Keys.FACTOR: torch.tensor(draw.factor, dtype=torch.float32),
            Keys.THICKNESS: torch.tensor(thickness / draw.factor, dtype=torch.float32),
            Keys.SUBJECT: data[Keys.SUBJECT],
            Keys.SLICE: draw.index,
        }

    def _thickness(self, draw: SliceDraw, file: h5py.File, path: str) -> float:
        """Return the slice thickness in thin slices."""
        if draw.factor == 1:
            return 1.0
        if draw.thickness is not None:
            return draw.thickness * draw.factor
        spacing = through_plane_spacing(file, draw.axis)
        return self.thickness.in_thin_slices(draw.factor, spacing=spacing, path=path)


class _Slices:
    """One modality of an open file as a stack of drawn windows in [-1, 1], read on access."""

    def __init__(self, file: h5py.File, modality: str, draw: SliceDraw, *, recolored: bool = True):
        self.file, self.modality, self.axis, self.reversed = file, modality, draw.axis, draw.flips[0]
        whole = file[dataset_name(file, modality)].shape
        rows, columns = (size for axis, size in enumerate(whole) if axis != draw.axis)
        self.window = _window_to_read(draw)
        top, bottom, left, right = self.window
        self.inside = (max(top, 0), max(min(bottom, rows), 0), max(left, 0), max(min(right, columns), 0))
        self.shape = (whole[draw.axis], bottom - top, right - left)
        intensity = draw.intensity if recolored else None
        self.curve = IDENTITY if intensity is None else (2 * intensity.curve - 1).astype(np.float32)

    def __getitem__(self, rows: slice) -> np.ndarray:
        start, stop = rows.start, rows.stop
        if self.reversed:
            start, stop = self.shape[0] - stop, self.shape[0] - start
        placed = np.full((stop - start, *self.shape[1:]), BLANK, dtype=np.float32)
        top, bottom, left, right = self.inside
        if top < bottom and left < right:
            levels = read_levels(self.file, self.modality, start, stop, axis=self.axis, window=self.inside)
            row, column = top - self.window[0], left - self.window[2]
            placed[:, row : row + bottom - top, column : column + right - left] = self.curve[levels]
        return placed[::-1] if self.reversed else placed


def _window_to_read(draw: SliceDraw) -> Window:
    """Return the window to read, which contains the rotated and zoomed one."""
    if draw.rotation == 0 and draw.zoom == 1:
        return draw.window
    top, bottom, left, right = draw.window
    reach = (abs(math.cos(draw.rotation)) + abs(math.sin(draw.rotation))) / draw.zoom
    rows = max(math.ceil((bottom - top) * (reach - 1) / 2) + 2, 0)
    columns = max(math.ceil((right - left) * (reach - 1) / 2) + 2, 0)
    return top - rows, bottom + rows, left - columns, right + columns


def _in_plane(slices: torch.Tensor, draw: SliceDraw) -> torch.Tensor:
    """Rotate, zoom, mirror and transpose slices `(S, H, W)` in their plane; return `(S, R, R)`."""
    top, bottom, left, right = draw.window
    size = (bottom - top, right - left)
    if draw.rotation or draw.zoom != 1:
        slices = _rotate_and_zoom(slices, draw, size)
    dims = [dim for dim, flip in zip((1, 2), draw.flips[1:], strict=True) if flip]
    slices = slices.flip(dims) if dims else slices
    return slices.transpose(1, 2).contiguous() if draw.transposed else slices


def _rotate_and_zoom(slices: torch.Tensor, draw: SliceDraw, size: tuple[int, int]) -> torch.Tensor:
    """Sample slices on a rotated and zoomed grid around their center, by bicubic interpolation; blank outside."""
    cos, sin = math.cos(draw.rotation) / draw.zoom, math.sin(draw.rotation) / draw.zoom
    height, width = slices.shape[1:]
    y = torch.arange(size[0]) - (size[0] - 1) / 2
    x = torch.arange(size[1]) - (size[1] - 1) / 2
    columns = (cos * x[None, :] - sin * y[:, None]) * 2 / width
    rows = (sin * x[None, :] + cos * y[:, None]) * 2 / height
    grid = torch.stack([columns, rows], dim=-1)[None]
    sampled = F.grid_sample((slices - BLANK)[None], grid, mode="bicubic", padding_mode="zeros", align_corners=False)
    return (sampled[0] + BLANK).clamp(-1, 1)
