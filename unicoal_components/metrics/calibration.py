"""Calibration of predicted standard deviations: size and location of the errors they predict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from monai.utils import convert_to_numpy
from scipy.special import erf, erfinv
from scipy.stats import spearmanr

Volume = torch.Tensor | np.ndarray

ONE_SIGMA = float(erf(1 / np.sqrt(2)))
"""0.6827, the fraction of Gaussian errors within one standard deviation."""

EVEN = tuple(round(0.05 * i, 2) for i in range(1, 20))
"""0.05 to 0.95, the nominal coverages over which the miscalibration is averaged."""

NOMINAL = tuple(sorted((*EVEN, *(float(erf(z / np.sqrt(2))) for z in (1, 2, 3)))))
"""Nominal coverages of the curve: `EVEN`, and those of 1, 2 and 3 standard deviations."""

MAX_RANKED = 200_000
SEED = 0


@dataclass(frozen=True)
class Calibration:
    """Agreement of predicted standard deviations with the error of one case; NaN without foreground.

    Attributes:
        spearman: rank correlation of deviation and |error|, in [-1, 1]: whether the map locates the errors. NaN if one
            of the two is constant.
        nominal: coverages c in (0, 1), `NOMINAL`.
        observed: for each c, the fraction of voxels with |error| <= z_c * deviation, in [0, 1].
        miscalibration: mean |observed - nominal| over `EVEN`, in [0, 0.5]; 0 is perfect.
        scale: factor of the deviation at which 68.27 % of the errors are within it: above 1 if the map is
            overconfident; infinite if too many deviations are 0.
    """

    spearman: float
    nominal: tuple[float, ...]
    observed: tuple[float, ...]
    miscalibration: float
    scale: float


def calibration(*, error: Volume, deviation: Volume, foreground: Volume, laplace: bool = False) -> Calibration:
    """Compare the deviation of each foreground voxel with its error.

    If the errors were Gaussian with mean 0 and these deviations, the fraction c of them would be within z_c deviations,
    z_c = sqrt(2) erfinv(c). The curve of observed over nominal coverage is the reliability diagram of a regression
    (Kuleshov et al., ICML 2018). The rank correlation does not depend on the scale of the deviations, and the coverage
    does not depend on their location. With a deviation of 0, only an error of 0 is covered.

    The rank correlation uses at most 200,000 voxels, drawn with a fixed seed; the coverage uses all.

    Args:
        error: prediction - truth, `(D, H, W)`, in any unit.
        deviation: its predicted standard deviation, same shape and unit, at least 0.
        foreground: voxels to evaluate, `(D, H, W)` bool.
        laplace: the deviation is the scale of a Laplace distribution instead: z_c = -ln(1 - c).

    Raises:
        ValueError: shapes differ or are not `(D, H, W)`, or a value in the foreground is not finite or a deviation
            negative.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> deviation = rng.uniform(0.1, 0.3, (8, 64, 64))
        >>> result = calibration(error=deviation * rng.normal(size=(8, 64, 64)), deviation=deviation,
        ...                      foreground=np.ones((8, 64, 64), bool))
        >>> round(result.scale, 1), round(result.miscalibration, 1)
        (1.0, 0.0)
    """
    size, sigma = _foreground_values(error=error, deviation=deviation, foreground=foreground)
    if not len(size):
        nan = float("nan")
        return Calibration(nan, NOMINAL, (nan,) * len(NOMINAL), nan, nan)
    # in deviations; a voxel with neither error nor deviation is covered, one with only an error never
    ratio = np.divide(size, sigma, out=np.where(size > 0, np.inf, 0.0), where=sigma > 0)
    ratio.sort()
    intervals = -np.log1p(-np.array(NOMINAL)) if laplace else np.sqrt(2) * erfinv(NOMINAL)
    observed = np.searchsorted(ratio, intervals, side="right") / len(ratio)
    one_sigma = float(intervals[NOMINAL.index(ONE_SIGMA)])
    even = np.isin(NOMINAL, EVEN)
    return Calibration(
        spearman=_rank_correlation(sigma, size),
        nominal=NOMINAL,
        observed=tuple(observed.tolist()),
        miscalibration=float(np.abs(observed - NOMINAL)[even].mean()),
        scale=float(ratio[int(np.ceil(ONE_SIGMA * len(ratio))) - 1]) / one_sigma,
    )


def mean_coverage(calibrations: Sequence[Calibration]) -> tuple[float, ...]:
    """Average the observed coverage, at the coverages `NOMINAL`, over cases of equal weight.

    The miscalibration of the mean curve is at most the mean miscalibration of the cases, as overconfident and
    underconfident cases cancel. Show both. A case without foreground makes the mean NaN.

    Raises:
        ValueError: there are no cases.
    """
    if not calibrations:
        raise ValueError("calibrations is empty; a mean needs at least one case.")
    return tuple(np.mean([case.observed for case in calibrations], axis=0).tolist())


def _foreground_values(*, error: Volume, deviation: Volume, foreground: Volume) -> tuple[np.ndarray, np.ndarray]:
    """Return |error| and deviation of the foreground voxels, float64."""
    inside = np.asarray(convert_to_numpy(foreground), dtype=bool)
    volumes = {"error": np.asarray(convert_to_numpy(error)), "deviation": np.asarray(convert_to_numpy(deviation))}
    for name, volume in volumes.items():
        if volume.ndim != 3 or volume.shape != inside.shape:
            raise ValueError(
                f"{name} has shape {volume.shape}, foreground {inside.shape}; both must be (D, H, W), the same grid."
            )
    values = {name: volume[inside].astype(np.float64) for name, volume in volumes.items()}
    for name, kept in values.items():
        bad = int((~np.isfinite(kept)).sum())
        if bad:
            raise ValueError(f"{name}: {bad} of {kept.size} foreground values are NaN or infinite; all must be finite.")
    if values["deviation"].size and values["deviation"].min() < 0:
        raise ValueError(f"deviation goes down to {values['deviation'].min():g}; a standard deviation is at least 0.")
    return np.abs(values["error"]), values["deviation"]


def _rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    if len(first) > MAX_RANKED:
        drawn = np.random.default_rng(SEED).choice(len(first), MAX_RANKED, replace=False, shuffle=False)
        first, second = first[drawn], second[drawn]
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(spearmanr(first, second).statistic)
