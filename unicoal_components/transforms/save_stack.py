"""A synthesized stack becomes a NIfTI file that lies where the scan lay."""

import gzip
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
from monai.transforms import Transform

from ..data.atomic import atomic_path
from ..data.geometry import from_stack, thin_affine
from ..data.intensity import scale_from_unit
from ..data.read_volume import stem_of
from ..data.slice_group import thin_depths
from ..keys import Keys
from .stack import SOURCE

logger = logging.getLogger(__name__)

ALIGNED = 2
"""NIfTI code of sform and qform: coordinates aligned to another file, here the input."""

SHEAR_TOLERANCE = 1e-3  # mm


def write_nifti(
    path: Path, shape: Sequence[int], planes: Iterable[np.ndarray], affine: np.ndarray, description: str
) -> None:
    """Write voxels as float32 `(x, y, z)` in mm plane by plane, atomically, the same bytes for the same input.

    The affine goes into the sform, and into the qform unless it is sheared, which a qform cannot say (code 0 then: no
    file with two answers).

    Args:
        path: of the `.nii.gz` file.
        shape: X, Y and Z.
        planes: Z times `(X, Y)`; each is let go before the next is asked for.
        affine: voxel (x, y, z, 1) to NIfTI RAS+ world mm.
        description: for the header, of which 79 letters are kept.
    """
    header = nib.Nifti1Header()
    header.set_data_dtype(np.float32)
    header.set_data_shape(shape)
    header.set_slope_inter(1, 0)
    header.set_sform(affine, code=ALIGNED)
    header.set_qform(affine, code=ALIGNED)
    corners = np.array([[x, y, z, 1] for x in (0, 1) for y in (0, 1) for z in (0, 1)]) * (*shape, 1)
    if np.abs(corners @ (header.get_qform() - affine).T).max() > SHEAR_TOLERANCE:
        header.set_qform(affine, code=0)
    header.set_xyzt_units("mm")
    header["descrip"] = description[:79]
    with (
        atomic_path(path) as partial,
        open(partial, "wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0, compresslevel=4) as packed,
    ):
        header.write_to(packed)
        for plane in planes:
            packed.write(plane.astype("<f4").tobytes(order="F"))


def thin_background(background: np.ndarray, factor: float, depth: int) -> np.ndarray:
    """Find where the thick slices on both sides of each thin one (or the one that it lies in) are background.

    Args:
        background: `(N, H, W)`, boolean.
        factor: thick over thin slice spacing.
        depth: number of thin slices K.

    Returns:
        `(K, H, W)`, boolean.
    """
    depths = np.minimum(thin_depths(np.arange(depth), factor), len(background) - 1)
    return background[np.floor(depths).astype(int)] & background[np.ceil(depths).astype(int)]


class SaveStackd(Transform):
    """Write a prediction as `<input stem>_<target>.nii.gz`, on the thin grid in the input's own orientation.

    The in-plane grid is the input's, slices are `factor` times closer, and the center of the first slice stays where
    it was. Where source and target are the same modality, intensities go back to the input's units by the two
    percentiles that scaled it. Another modality has no units to go back to: its values are 0 to 1 in float32. Where
    the thick slices on both sides are exactly 0, as around a brain without its skull, the output is 0 too. The
    header's `descrip` says that the image is synthesized, from what and at which factor. (The official code needs the
    target file for its geometry.)

    Args:
        output_dir: Folder for the files, made if need be.
        modalities: Names in the order of the network's classes.
        key: Item key of the prediction (1, K, H, W) in [-1, 1].

    Raises:
        ValueError: When called, if the output would overwrite the input, or the item did not pass through `LoadStackd`
            and `SetTaskd`.
        OSError: When called, if the file cannot be written.
    """

    def __init__(self, *, output_dir: str | os.PathLike, modalities: Sequence[str], key: str = Keys.PRED) -> None:
        self.output_dir = Path(output_dir)
        self.modalities = list(modalities)
        self.key = key

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Write the file and return the item as it came."""
        missing = [
            key for key in (self.key, SOURCE, Keys.MODALITY, Keys.SOURCE_MODALITY, Keys.FACTOR) if key not in data
        ]
        if missing:
            raise ValueError(f"the item lacks {missing}; the preprocessing needs LoadStackd and SetTaskd.")
        if Keys.INDICES in data:
            raise ValueError("the item holds single slices (indices); only a whole volume has a place in a file.")
        source, factor = data[SOURCE], float(data[Keys.FACTOR])
        target_index, source_index = int(data[Keys.MODALITY]), int(data[Keys.SOURCE_MODALITY])
        target, name = self.modalities[target_index], self.modalities[source_index]
        low, high = (source["low"], source["high"]) if target_index == source_index else (0.0, 1.0)
        slices = torch.as_tensor(data[self.key]).detach().cpu().numpy()[0]
        background = thin_background(np.asarray(source["background"]), factor, len(slices))
        affine = thin_affine(np.asarray(source["affine"]), factor)
        where = {"plane": source["plane"], "orientation": source["orientation"]}
        volume, affine = from_stack(slices, affine, **where)
        empty, _ = from_stack(background, affine, **where)
        planes = (
            np.where(empty[..., z], 0, scale_from_unit(volume[..., z], float(low), float(high)))
            for z in range(volume.shape[2])
        )
        path = self._path(source["path"], target)
        description = f"UniCOAL: synthesized {target} from {name}, factor {factor:g}"
        write_nifti(path, volume.shape, planes, affine, description)
        logger.info("wrote %s", path)
        return dict(data)

    def _path(self, input_path: str, target: str) -> Path:
        """Name the output, and refuse the input's own place."""
        path = self.output_dir / f"{stem_of(input_path)}_{target}.nii.gz"
        if os.path.realpath(path) == os.path.realpath(input_path):
            raise ValueError(f"the output would overwrite the input '{input_path}'. Choose another output_dir.")
        return path
