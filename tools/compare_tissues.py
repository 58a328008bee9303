"""Compare tissue intensities of simulated and real subjects: `--real R/datalist.json --simulated S/datalist.json`.

White matter, gray matter and CSF are segmented by k-means on the bias-corrected T1 of stripped brains; whole heads are
skipped. Intensities are those of the subject files: 0 to 1 between the percentiles 0.5 and 99.5.
"""

import logging
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
from scipy.ndimage import binary_erosion
from scipy.stats import wasserstein_distance

from unicoal_components.command_line import run_command
from unicoal_components.datasets.datalist import SECTIONS, read_datalist
from unicoal_components.preparation.bias_field import correct_bias_field

logger = logging.getLogger("compare_tissues")

TISSUES = ("csf", "gray", "white")  # from dark to bright on T1
MODALITIES = ("t1", "t2", "pd", "flair")
QUANTILES = np.linspace(0.0, 1.0, 201)
RIM = 4  # voxels at the surface of the brain that are ignored: remains of the meninges


def segment(volume: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Segment the tissues of a stripped T1 by one-dimensional k-means.

    Args:
        volume: `(D, H, W)`; 0 is background.
        affine: `(4, 4)`, voxel (w, h, d, 1) to world mm.

    Returns:
        `(D, H, W)` of 0 (background and rim), 1 (CSF), 2 (gray), 3 (white matter).
    """
    corrected = correct_bias_field(
        volume.transpose(2, 1, 0).astype(np.float32), affine, spacing=6.0, iterations=(20, 20, 20)
    ).transpose(2, 1, 0)
    brain = binary_erosion(volume > 0, iterations=RIM)
    values = corrected[brain]
    centers = np.percentile(values, (5, 45, 90))
    for _ in range(50):
        nearest = np.searchsorted((centers[1:] + centers[:-1]) / 2, values)
        centers = np.array([values[nearest == tissue].mean() for tissue in range(len(TISSUES))])
    result = np.zeros(volume.shape, np.uint8)
    result[brain] = 1 + nearest
    return result


def tissue_quantiles(path: Path) -> dict[tuple[str, str], np.ndarray]:
    """Return per (modality, tissue) the `QUANTILES` of a subject's intensities; empty without a stripped T1."""
    with h5py.File(path) as file:
        volumes = {name.lower(): item[()] for name, item in file.items()}
        affine = file.attrs["affine"]
    first = volumes.get("t1")
    if first is None or (first == 0).mean() < 0.25:
        return {}
    tissues = segment(first, affine)
    return {
        (modality, name): np.quantile(volume[tissues == index + 1], QUANTILES) / 255
        for modality, volume in volumes.items()
        for index, name in enumerate(TISSUES)
        if (tissues == index + 1).any()
    }


def read_cohort(datalist: str, least: int) -> dict[str, dict[tuple[str, str], np.ndarray]]:
    """Return `tissue_quantiles` per subject with at least `least` modalities, of all sections of a datalist."""
    entries = [entry for section in SECTIONS for entry in read_datalist(datalist, section)]
    result = {}
    for entry in entries:
        with h5py.File(entry["path"]) as file:
            enough = len(file) >= least
        found = tissue_quantiles(Path(entry["path"])) if enough else {}
        if found:
            result[entry["subject"]] = found
    return result


def table(
    real: Mapping[str, Mapping[tuple[str, str], np.ndarray]],
    simulated: Mapping[str, Mapping[tuple[str, str], np.ndarray]],
) -> str:
    """Return a Markdown table of means and of Wasserstein distances between each real and all simulated subjects."""
    lines = [
        "| modality | tissue | simulated mean ± SD (range) | "
        + " | ".join(f"{name} (distance)" for name in real)
        + " |",
        "|---" * (3 + len(real)) + "|",
    ]
    for modality in MODALITIES:
        for tissue in reversed(TISSUES):
            drawn = np.array([own[modality, tissue] for own in simulated.values() if (modality, tissue) in own])
            if not len(drawn):
                continue
            means = drawn.mean(axis=1)
            cells = []
            for own in real.values():
                value = own.get((modality, tissue))
                near = None if value is None else wasserstein_distance(value, drawn.ravel())
                cells.append("" if value is None else f"{value.mean():.2f} ({near:.2f})")
            spread = f"{means.mean():.2f} ± {means.std():.2f} ({means.min():.2f}-{means.max():.2f})"
            lines.append(f"| {modality} | {tissue} | {spread} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def compare_tissues(*, real: str, simulated: str, least: int = 2) -> None:
    """Print the mean intensities of tissues of real and simulated subjects and the distances of their distributions.

    Args:
        real: datalist of `unicoal prepare`.
        simulated: datalist of `unicoal simulate`.
        least: smallest number of modalities of a subject; others are skipped.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    cohorts = {name: read_cohort(str(path), least) for name, path in (("real", real), ("simulated", simulated))}
    for name, cohort in cohorts.items():
        if not cohort:
            raise ValueError(f"{name} has no subject with a stripped T1 and {least} modalities; give another datalist.")
    logger.info("%s", table(cohorts["real"], cohorts["simulated"]))


if __name__ == "__main__":
    run_command(compare_tissues)
