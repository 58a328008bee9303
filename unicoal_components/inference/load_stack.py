"""MONAI transform that loads a scan as the stack of slices for the network."""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from monai.transforms import Transform

from ..geometry.orientation import choose_plane, to_stack
from ..geometry.pixel_size import InPlane, PixelSize, pixel_range
from ..keys import BLANK, Keys
from ..scans.intensity import percentile_range, scale_to_unit
from ..scans.read_volume import Volume, read_image
from .loaded_scan import NATIVE, SCAN, LoadedScan, now

logger = logging.getLogger(__name__)

FAINTEST = BLANK + 2 / 255
"""Darkest level of a subject file, of 8 bits, that is not blank."""


class LoadStackd(Transform):
    """Read a scan and turn it into a stack in [-1, 1], slices first, as the preparation of the training data does.

    Axes are permuted and flipped; axial slices have the nose at the top. Pixels of another size than the network's are
    resampled in plane; across slices, that is the network's task. Intensities are scaled by the 0.5 and 99.5
    percentiles of the non-zero voxels. The item keeps what is needed to write the result: a `LoadedScan` under "scan",
    and the scan's own slices under "source_stack".

    Args:
        key: item key of the path; the stack (1, N, H', W'), float32, replaces it.
        through_plane: "auto": slices along the coarsest axis if its spacing is more than 10 % above the others, else
            axial; or "axial", "coronal", "sagittal".
        in_plane_spacing: pixel size of the network's training data in mm, or [smallest, largest]: pixels inside the
            range are kept, others are resampled to its nearer end. `None` = keep the pixels of the scan.
        modality: modality of the scan. Chooses among several DICOM series of a folder; a scan with another modality in
            its name or header gets a warning. `None` = unknown.
        nan_background: whether NaN in a scan is background; otherwise it is an error.

    Raises:
        ValueError: the plane is unknown or the spacing is not positive; when called, the scan cannot be used (the
            message names the file).
        FileNotFoundError: when called, the scan does not exist.
    """

    def __init__(
        self,
        *,
        key: str = Keys.IMAGE,
        through_plane: str = "auto",
        in_plane_spacing: PixelSize = None,
        modality: str | None = None,
        nan_background: bool = False,
    ) -> None:
        choose_plane(np.eye(4), through_plane)
        pixel_range(in_plane_spacing)  # raises if invalid
        self.key = key
        self.through_plane = through_plane
        self.in_plane_spacing = in_plane_spacing
        self.modality = modality
        self.nan_background = nan_background

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return the item with the stack, "scan" and "source_stack"."""
        started = now()
        volume = read_image(data[self.key], modality=self.modality, nan_background=self.nan_background)
        try:
            low, high = percentile_range(volume.voxels)
        except ValueError as error:
            raise ValueError(f"'{volume.path}' cannot be scaled: {error}") from error
        stack = to_stack(volume.voxels, volume.affine, self.through_plane)
        scan = LoadedScan(
            path=volume.path,
            format=volume.format,
            sha256=volume.sha256,
            storage=volume.storage,
            shape=volume.voxels.shape,
            affine=volume.affine,
            orientation=stack.orientation,
            plane=stack.plane,
            stack_affine=stack.affine,
            in_plane_spacing=self.in_plane_spacing,
            low=low,
            high=high,
            slice_thickness=_thickness(volume, stack.affine),
            headers=volume.headers,
            series_number=volume.series_number,
            warnings=(*volume.warnings, *self._modality_warnings(volume)),
            started=started,
            read=now(),
        )
        image = torch.from_numpy(network_slices(stack.slices, scan))[None]
        return {**data, self.key: image, NATIVE: torch.from_numpy(stack.slices), SCAN: scan.as_entry()}

    def _modality_warnings(self, scan: Volume) -> list[str]:
        """Return a warning if the file's name or header contradicts the given modality."""
        if self.modality is None or scan.modality in (None, self.modality):
            return []
        warning = (
            f"its name or header says that it is {scan.modality}, not {self.modality} (source_modality); if so, the "
            "result is wrong"
        )
        logger.warning("scan '%s': %s.", scan.path, warning)
        return [warning]


def _thickness(scan: Volume, stack_affine: np.ndarray) -> float | None:
    """Return the slice thickness in mm if the stack has the slices of the scanner; `None` = unknown."""
    measured, stacked = (affine[:3, 2] / np.linalg.norm(affine[:3, 2]) for affine in (scan.affine, stack_affine))
    return scan.slice_thickness if abs(measured @ stacked) > 1 - 1e-6 else None


def network_slices(native: np.ndarray, scan: LoadedScan) -> np.ndarray:
    """Return a scan's slices as input of the network: in [-1, 1], with the network's pixel size.

    Where the scan is exactly 0, as outside a skull-stripped brain, the input is blank, and nowhere else: voxels below
    the lower percentile, such as the darkest fluid in a T1, get the darkest level that is not blank.

    Args:
        native: `(N, H, W)`, float32, in the scan's units.
        scan: scan that the slices belong to.

    Returns:
        `(N, H', W')`, float32.
    """
    pixels = in_plane_of(native.shape[-2:], scan)
    unit = scale_to_unit(native, scan.low, scan.high)
    unit[(native != 0) & (unit < FAINTEST)] = FAINTEST
    if not pixels.changes:
        return unit
    slices = pixels.to_network(unit).clip(FAINTEST, 1)
    slices[pixels.nearest(native == 0)] = BLANK
    return slices


def in_plane_of(shape: tuple[int, ...], scan: LoadedScan) -> InPlane:
    """Return the resampling between slices of a scan and those of the network.

    Args:
        shape: rows and columns (H, W) of the scan's slices.
        scan: scan that the slices belong to.
    """
    width, height, _ = scan.spacing
    return InPlane((shape[0], shape[1]), (height, width), scan.in_plane_spacing)
