"""Evaluation protocol of the paper, for comparison with its tables; lenient."""

from __future__ import annotations

import numpy as np
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from .measure import CaseVolumes, Column
from .volume_pair import Volume, volume_pair

PERCENTILES = (0.5, 99.5)
"""Percentiles of each volume that are mapped to 0 and 1."""

WINDOW = 7
"""Side of scikit-image's default window of SSIM, in voxels."""


def paper_protocol(*, prediction: Volume, target: Volume) -> dict[str, float]:
    """Measure a volume as in the paper on Uni-COAL, for comparison with its tables.

    The whole volume is evaluated, background included. A constant 1 is added to both volumes; then each SEPARATELY is
    clipped to its 0.5 and 99.5 percentile, the lower bound at least 0, and this range is mapped to [0, 1]. Adding 1 has
    no effect for a target of intensities >= 0: clipping and mapping follow a shift, and the bound 0 is active in
    neither case. For one in [-1, 1] it keeps the bound 0 from cutting off the darker half. Then, with scikit-image's
    defaults (for SSIM a uniform window of 7 voxels and the sample covariance) and data range 1::

        psnr, ssim              over the volume, SSIM with a window in 3D
        psnr_slice, ssim_slice  mean over slices of the 2D values, where the rescaled prediction has a value above 0
        mae                     mean |p - t|

    The text of the paper selects slices by the prediction, as done here; the official code swaps the two volumes
    and selects by the truth. The official code also calls the MAE "mse".

    This protocol has weaknesses, so that `strict.py` is the main one: scaling each volume to its own percentiles
    hides a wrong brightness and contrast; the background counts, is easy, and improves every number; a method selects
    its own slices; and in a volume that is mostly background the 0.5 to 99.5 % depend on the field of view.

    Args:
        prediction: `(D, H, W)` in [-1, 1], H and W at least 7.
        target: the truth, same shape, in [-1, 1] (or any intensities >= 0).

    Returns:
        `psnr` and `psnr_slice` in dB, infinite if the volumes or any counted slices are equal; `ssim` and
        `ssim_slice` in [-1, 1]; `mae` in [0, 1]. A volume whose range is empty (it is constant, or nowhere above
        -1) becomes 0. The slice values are NaN if every slice of the prediction is empty, `ssim` is NaN if D < 7, as
        the window does not fit.

    Raises:
        ValueError: shapes differ, are not `(D, H, W)` or are too small, or a value is not finite.

    Example:
        >>> target = np.random.default_rng(0).uniform(-1, 1, (8, 8, 8))
        >>> quality = paper_protocol(prediction=0.5 * target, target=target)  # blind to a wrong contrast
        >>> quality["psnr"] > 200, round(quality["ssim"], 6)
        (True, 1.0)
    """
    p, t = volume_pair(prediction, target)
    if min(t.shape[1:]) < WINDOW:
        raise ValueError(
            f"prediction and target have shape {t.shape}; H and W must be at least {WINDOW}, the window of SSIM."
        )
    p, t = _rescaled(p), _rescaled(t)
    return {
        "psnr": _psnr(p, t),
        "ssim": _ssim(p, t) if len(t) >= WINDOW else float("nan"),
        **_slice_means(p, t),
        "mae": float(np.abs(p - t).mean()),
    }


def _rescaled(volume: np.ndarray) -> np.ndarray:
    """Add 1 and map the volume's own percentiles to [0, 1]."""
    shifted = volume + 1
    low, high = np.percentile(shifted, PERCENTILES)
    low = max(low, 0.0)
    return (np.clip(shifted, low, high) - low) / (high - low) if high > low else np.zeros_like(shifted)


def _slice_means(p: np.ndarray, t: np.ndarray) -> dict[str, float]:
    """Average the 2D values over the slices in which the prediction is not empty."""
    pairs = [(p[k], t[k]) for k in np.flatnonzero((p > 0).any(axis=(1, 2)))]
    if not pairs:
        return {"psnr_slice": float("nan"), "ssim_slice": float("nan")}
    return {
        "psnr_slice": float(np.mean([_psnr(*pair) for pair in pairs])),
        "ssim_slice": float(np.mean([_ssim(*pair) for pair in pairs])),
    }


def _psnr(p: np.ndarray, t: np.ndarray) -> float:
    return float("inf") if np.array_equal(p, t) else float(peak_signal_noise_ratio(t, p, data_range=1))


def _ssim(p: np.ndarray, t: np.ndarray) -> float:
    """Return the SSIM; single precision is faster and agrees to 1e-5."""
    return float(structural_similarity(p.astype(np.float32), t.astype(np.float32), data_range=1))


class PaperProtocol:
    """Measure of the paper's columns: `paper_protocol` over the whole volume, also outside the evaluated slices.

    Example:
        >>> [column.name for column in PaperProtocol().columns][:3]
        ['paper_psnr', 'paper_ssim', 'paper_psnr_slice']
    """

    columns = (
        Column(name="paper_psnr", label="PSNR (paper)", unit="dB", digits=2),
        Column(name="paper_ssim", label="SSIM (paper)"),
        Column(name="paper_psnr_slice", label="PSNR by slice (paper)", unit="dB", digits=2),
        Column(name="paper_ssim_slice", label="SSIM by slice (paper)"),
        Column(name="paper_mae", label="MAE (paper)", better="lower"),
    )
    note = ""

    def __call__(self, case: CaseVolumes) -> dict[str, float]:
        """Return the number of each column."""
        quality = paper_protocol(prediction=case.prediction, target=case.target)
        return {f"paper_{name}": value for name, value in quality.items()}
