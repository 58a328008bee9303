"""Tissue maps: fraction of each tissue in each voxel of an anatomy; loader of nilearn's MNI152 maps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, gaussian_filter

from ..scans.scan import read_scan
from .tissue_constants import BRAIN_TISSUES

BACKGROUND = "background"

# Centers and radii in MNI mm (right side; mirrored for the left) of nuclei that the gray and white matter maps lack.
_ELLIPSOIDS: Mapping[str, tuple[tuple[tuple[float, float, float], tuple[float, float, float]], ...]] = {
    "pallidum": (((19.0, -4.0, -1.0), (6.0, 10.0, 7.0)),),
    "deep_gray": (
        ((11.0, -19.0, 8.0), (12.0, 16.0, 11.0)),  # thalamus
        ((26.0, 4.0, 1.0), (8.0, 19.0, 13.0)),  # putamen
        ((14.0, 12.0, 10.0), (8.0, 15.0, 15.0)),  # caudate head
    ),
    "brainstem": (((0.0, -28.0, -34.0), (19.0, 17.0, 32.0)),),
}


@dataclass(frozen=True, eq=False)
class TissueMaps:
    """Tissue fractions on one grid.

    Attributes:
        tissues: names of the K tissues; the first is "background".
        fractions: `(K, D, H, W)` uint8; 255 is the whole voxel. Their sum is 255, except for rounding.
        affine: `(4, 4)`, voxel (w, h, d, 1) to NIfTI RAS+ world mm; axes point to L, P, S.
        sharpness: exponent of the fractions in `sharpen`; above 1 for a blurred average of many subjects.
        roughness: strength of the random shift of tissue borders in `sharpen`; 0 for borders of a real subject.
        source: name of the source of the maps.
    """

    tissues: tuple[str, ...]
    fractions: NDArray[np.uint8]
    affine: NDArray[np.float64]
    sharpness: float
    roughness: float
    source: str

    @property
    def stripped(self) -> bool:
        """Whether all tissues are brain tissues."""
        return set(self.tissues) <= BRAIN_TISSUES | {BACKGROUND}

    @property
    def spacing(self) -> NDArray[np.float64]:
        """Voxel spacing in mm along D, H, W."""
        return np.linalg.norm(self.affine[:3, :3], axis=0)[::-1]


def load_mni152(folder: str | Path | None = None) -> TissueMaps:
    """Build tissue maps of an average brain from the MNI152 maps in nilearn's wheel; nothing is downloaded.

    These are the 1 mm ICBM 2009a nonlinear symmetric T1, gray and white matter maps of 152 subjects (Fonov et al.,
    NeuroImage 54:313, 2011). CSF is the brain mask, one voxel wider, minus gray and white matter. Voxels of the deep
    nuclei and the brainstem, which are half gray and half white matter there, become separate tissues.

    Args:
        folder: folder of the three files; `None` uses nilearn's.

    Raises:
        FileNotFoundError: nilearn is not installed or has other files.
    """
    folder = _nilearn_data() if folder is None else Path(folder)
    files = {name: folder / f"mni_icbm152_{name}_tal_nlin_sym_09a_converted.nii.gz" for name in ("t1", "gm", "wm")}
    for path in files.values():
        if not path.is_file():
            raise FileNotFoundError(
                f"nilearn's tissue map '{path}' does not exist; install the nilearn version of requirements.txt, "
                "or give your own label map (--label_map)."
            )
    scans = {name: read_scan(path) for name, path in files.items()}
    affine = scans["t1"].affine
    gray, white = (scans[name].stack / np.float32(255.0) for name in ("gm", "wm"))
    mask = binary_dilation((scans["t1"].stack > 0) | (gray + white > 0.3))
    fractions = _split_gray_and_white(gray, white, affine)
    fractions["csf"] = np.clip(1.0 - sum(fractions.values()), 0.0, 1.0)
    # Blur the edge of the mask to about one voxel, as the partial volume of a real border.
    soft = gaussian_filter(mask.astype(np.float32), 0.7)
    fractions = {name: fraction * soft for name, fraction in fractions.items()}
    return pack(fractions, affine, sharpness=2.5, roughness=0.7, source="nilearn MNI152 2009a")


def _nilearn_data() -> Path:
    """Return nilearn's data folder without importing nilearn, which takes seconds."""
    spec = find_spec("nilearn")
    if spec is None or spec.origin is None:
        raise FileNotFoundError(
            "the tissue maps are part of nilearn, which is not installed; run 'pip install nilearn', "
            "or give your own label map (--label_map)."
        )
    return Path(spec.origin).parent / "datasets" / "data"


def _split_gray_and_white(
    gray: NDArray[np.floating], white: NDArray[np.floating], affine: NDArray[np.float64]
) -> dict[str, NDArray[np.floating]]:
    """Turn mixed gray and white matter inside the ellipsoids into separate tissues.

    Their fraction is f = soft (gray + min(gray, white)): gray matter and as much white matter as is mixed with it.
    """
    result: dict[str, NDArray[np.floating]] = {}
    for name, ellipsoids in _ELLIPSOIDS.items():
        inside = _inside(ellipsoids, gray.shape, affine)
        mixed = np.minimum(gray, white)
        # The pallidum has so much myelin that the maps classify it as white matter; the others keep pure white tracts.
        from_gray, from_white = inside * gray, inside * (white if name == "pallidum" else mixed)
        gray, white = gray - from_gray, white - from_white
        result[name] = from_gray + from_white
    return {"gray": gray, "white": white, **result}


def _inside(ellipsoids: tuple, shape: tuple[int, ...], affine: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return `(D, H, W)` in [0, 1], 1 inside any of the ellipsoids or their mirror images, with a soft border."""
    d, h, w = (np.arange(size, dtype=np.float32) for size in shape)
    x = np.abs(affine[0, 0] * w + affine[0, 3])[None, None, :]
    y = (affine[1, 1] * h + affine[1, 3])[None, :, None]
    z = (affine[2, 2] * d + affine[2, 3])[:, None, None]
    result = np.zeros(shape, np.float32)
    for (cx, cy, cz), (rx, ry, rz) in ellipsoids:
        radius = np.sqrt(((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 + ((z - cz) / rz) ** 2)
        np.maximum(result, np.clip((1.15 - radius) / 0.3, 0.0, 1.0), out=result)
    return result


def pack(
    fractions: Mapping[str, NDArray[np.floating]],
    affine: NDArray[np.float64],
    *,
    sharpness: float,
    roughness: float,
    source: str,
    margin: float = 8.0,
) -> TissueMaps:
    """Return tissue maps with a background, cropped to the tissue plus `margin` mm and stored as uint8.

    Args:
        fractions: per tissue `(D, H, W)` in [0, 1].
        affine: `(4, 4)` of their grid.
        sharpness: see `TissueMaps`.
        roughness: see `TissueMaps`.
        source: see `TissueMaps`.
        margin: margin around the tissue in mm, for larger heads.
    """
    total = np.sum(list(fractions.values()), axis=0)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)[::-1]
    slices, low = [], []
    for axis, step in enumerate(spacing):
        others = tuple(other for other in range(3) if other != axis)
        filled = np.flatnonzero((total > 0.5).any(axis=others))
        pad = int(round(margin / step))
        slices.append(slice(max(0, int(filled[0]) - pad), int(filled[-1]) + 1 + pad))
        low.append(slices[-1].start)
    parts = {BACKGROUND: 1.0 - total, **fractions}
    box = tuple(slices)
    cropped = np.stack([np.rint(255.0 * np.clip(part[box], 0.0, 1.0)).astype(np.uint8) for part in parts.values()])
    moved = affine.copy()
    moved[:3, 3] = affine[:3, :3] @ np.asarray(low[::-1], float) + affine[:3, 3]
    return TissueMaps(tuple(parts), cropped, moved, sharpness, roughness, source)
