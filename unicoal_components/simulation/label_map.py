"""Tissue maps from a label map of FreeSurfer, SynthSeg or a custom table of labels."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_fill_holes, find_objects, gaussian_filter

from ..scans.scan import read_scan
from .tissue_constants import BRAIN_TISSUES, TISSUES
from .tissue_maps import BACKGROUND, TissueMaps, pack

# FreeSurfer's color table for the brain; above 500 (and 85, 136, 137, 163, 164) the training labels of SynthSeg
# (Billot et al., Medical Image Analysis 86:102789, 2023), whose labels outside the brain have no names: assigned by
# their position in the head. 25 and 57 are FreeSurfer's lesions, but SynthSeg uses them for healthy tissue, as bright
# as deep gray on T1.
TISSUE_LABELS: Mapping[str, tuple[int, ...]] = {
    BACKGROUND: (0,),
    "csf": (4, 5, 14, 15, 24, 43, 44, 72, 257, 506),
    "gray": (3, 8, 19, 20, 30, 42, 47, 55, 56, 62, 80),
    "limbic": (17, 18, 53, 54),
    "white": (2, 7, 41, 46, 85, 251, 252, 253, 254, 255, 530),
    "deep_gray": (25, 27, 57, 59),
    "caudate": (11, 50),
    "putamen": (12, 26, 51, 58),
    "thalamus": (9, 10, 48, 49),
    "pallidum": (13, 52),
    "brainstem": (16, 28, 60, 512),
    "choroid": (31, 63, 136, 137, 163, 164),
    "lesion": (77, 78, 79, 99),
    "fat": (511,),
    "muscle": (258, 502, 507, 508, 509),
    "marrow": (516,),
    "bone": (165, 514, 515),
}
# Labels outside the brain whose tissue also occurs in the brain: eyes, spinal cord, optic nerves.
OUTSIDE_BRAIN = frozenset({506, 512, 530})


def default_label_classes() -> dict[int, str]:
    """Return label → tissue for FreeSurfer's aseg (and aparc cortex) and SynthSeg's training labels.

    Example:
        >>> default_label_classes()[10], default_label_classes()[2035]
        ('thalamus', 'gray')
    """
    classes = {label: tissue for tissue, labels in TISSUE_LABELS.items() for label in labels}
    cortex = {first + area: "gray" for first in (1000, 2000) for area in range(36)}
    return {**cortex, **classes}


def read_label_classes(path: str | os.PathLike) -> dict[int, str]:
    """Read a JSON object of label → tissue, such as `{"0": "background", "1": "gray"}`.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: the file holds no such object, or an unknown tissue.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"label table '{path}' does not exist; check --label_classes.")
    allowed = [BACKGROUND, *TISSUES]
    try:
        table = {int(label): tissue for label, tissue in json.loads(Path(path).read_text(encoding="utf-8")).items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise ValueError(
            f"label table '{path}' must be a JSON object like {{'0': 'background', '1': 'gray'}} ({error})."
        ) from error
    for label, tissue in table.items():
        if tissue not in allowed:
            raise ValueError(f"label table '{path}': label {label} is '{tissue}'; it must be one of {allowed}.")
    return table


def load_label_map(
    path: str | os.PathLike, *, classes: Mapping[int, str] | None = None, brain_only: bool = False
) -> TissueMaps:
    """Build tissue maps from a label map in any orientation.

    Each tissue's labels are blurred by a Gaussian of 0.45 voxels, so that a voxel at a border holds parts of both
    sides, as the partial volume of a scan. Simulated subjects keep the cortical folds of the map, hence roughness is 0.

    Args:
        path: a 3D image of integer labels.
        classes: label → tissue of `TISSUES` or "background"; `None` uses the table of FreeSurfer and SynthSeg.
        brain_only: drop scalp, skull, face and neck.

    Raises:
        OSError: the file does not exist or cannot be read.
        ValueError: the image is not 3D, has values that are not integers, labels without a tissue, or no tissue at all.
    """
    scan = read_scan(path)
    members = _members(path, scan.stack, default_label_classes() if classes is None else classes, brain_only)
    fractions = {tissue: _soft(np.isin(scan.stack.astype(np.int32), own)) for tissue, own in members.items()}
    if brain_only and "csf" in fractions:
        fractions["csf"] *= _near_brain(fractions)
    return pack(fractions, scan.affine, sharpness=1.0, roughness=0.0, source=Path(path).name)


def _members(
    path: str | os.PathLike, labels: NDArray[np.floating], classes: Mapping[int, str], brain_only: bool
) -> dict[str, list[int]]:
    """Return per tissue the labels that are present; check that all labels are known."""
    present = np.unique(labels)
    broken = present[present != np.rint(present)]
    if broken.size:
        raise ValueError(
            f"label map '{path}' holds values that are not integers, such as {broken[0]:g}; give an image of integer "
            "labels."
        )
    unknown = [int(label) for label in present if int(label) not in classes]
    if unknown:
        raise ValueError(
            f"label map '{path}' has labels without a tissue: {unknown}. Give a table of all labels with "
            f"--label_classes FILE.json; tissues are {[BACKGROUND, *TISSUES]}."
        )
    members: dict[str, list[int]] = {}
    for label in (int(label) for label in present):
        tissue = classes[label]
        dropped = brain_only and (tissue not in BRAIN_TISSUES or label in OUTSIDE_BRAIN)
        if tissue != BACKGROUND and not dropped:
            members.setdefault(tissue, []).append(label)
    if not members:
        raise ValueError(f"label map '{path}' holds no tissue to simulate, only the labels {present.astype(int)}.")
    return members


def _soft(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Blur a mask by a Gaussian of 0.45 voxels, inside its bounding box plus 2 voxels, as most tissues are small."""
    (box,) = find_objects(mask.astype(np.uint8))
    grown = tuple(slice(max(0, own.start - 2), own.stop + 2) for own in box)
    result = np.zeros(mask.shape, np.float32)
    result[grown] = gaussian_filter(mask[grown].astype(np.float32), 0.45, truncate=3.0)
    return result


def _near_brain(fractions: Mapping[str, NDArray[np.float32]]) -> NDArray[np.bool_]:
    """Return a mask of the CSF that belongs to the stripped brain: in and between the folds, not in the spine."""
    parenchyma = sum(fraction for tissue, fraction in fractions.items() if tissue != "csf")
    return binary_fill_holes(gaussian_filter(np.asarray(parenchyma), 4.0, truncate=2.0) > 0.25)
