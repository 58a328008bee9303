"""Rigid registration of two scans of one subject and session, of any contrasts."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import itk
import numpy as np

from ..geometry.head_mask import foreground_mask
from ..geometry.itk_image import LPS, one_thread, to_itk


class Level(NamedTuple):
    """Settings of one resolution level.

    Attributes:
        spacing: largest distance in mm of the grid points of the fixed scan that samples are drawn from.
        sigma: standard deviation in mm of the Gaussian that smooths both scans.
        samples: number of points at which the scans are compared.
    """

    spacing: float
    sigma: float
    samples: int


LEVELS = (Level(8.0, 4.0, 20_000), Level(4.0, 2.0, 40_000), Level(2.0, 1.0, 60_000))
"""From coarse to fine. In mm, so that thick slices are not smoothed or subsampled like thin ones."""

HISTOGRAM_BINS = 50
FIRST_STEP, LAST_STEP, MAX_STEPS = 4.0, 0.005, 200
"""First and last step length of the gradient descent in mm, and the largest number of steps per level."""

RELAXATION = 0.9
"""Factor of the step length when the gradient reverses; with ITK's 0.5, rotations stop before they converge."""

POOR_OVERLAP = 0.5
"""Below this initial overlap, the search starts with the centers of mass aligned."""

MIN_OVERLAP, MAX_SHIFT, MAX_ANGLE = 0.25, 100.0, 45.0
"""Limits of a plausible result for one subject and session: fraction, mm and degrees."""


@dataclass(frozen=True, eq=False)
class Registration:
    """Result of a rigid registration.

    Attributes:
        matrix: `(4, 4)`, rigid; maps world points (RAS+ mm) of the fixed scan to world points of the moving scan.
        metric: final mutual information in nats, 0 or more; higher is better. It is comparable only between results
            for the same two scans.
        overlap: in [0, 1]; fraction of one scan's foreground in the other's field of view, the larger of both.
    """

    matrix: np.ndarray
    metric: float
    overlap: float


def register_rigid(
    *,
    fixed: np.ndarray,
    fixed_affine: np.ndarray,
    moving: np.ndarray,
    moving_affine: np.ndarray,
    seed: int = 0,
) -> Registration:
    """Find the rotation and translation that align the moving scan with the fixed scan.

    Maximizes Mattes' mutual information (Mattes 2003, doi 10.1109/TMI.2003.809072), so contrasts may differ, by
    regular-step gradient descent from coarse to fine (`LEVELS`), in ITK's v4 framework (Avants 2014,
    doi 10.3389/fninf.2014.00044). The search starts from the identity in world coordinates, because the scanner's
    coordinates agree to centimeters within one session. If they clearly do not (overlap below 0.5), it starts with the
    centers of mass aligned. Rotation is about the center of mass of the fixed scan's foreground.

    Args:
        fixed: `(x, y, z)`.
        fixed_affine: `(4, 4)`, voxels of `fixed` to RAS+ world mm.
        moving: `(x, y, z)` on any other grid.
        moving_affine: `(4, 4)`, voxels of `moving` to RAS+ world mm.
        seed: seed of the random sample points, 0 or more. The same seed gives the same result bit for bit for any
            number of ITK threads (it uses one thread: subjects run in parallel processes).

    Returns:
        The rigid map and measures of its quality.

    Raises:
        ValueError: a scan is constant or its affine sheared, or the result is not plausible: overlap below 25 %, or
            a motion of more than 100 mm or 45 degrees from the start.
    """
    if seed < 0:
        raise ValueError(f"seed is {seed}; it must be 0 or more.")
    fixed_points = _foreground_points(fixed, fixed_affine)
    moving_points = _foreground_points(moving, moving_affine)
    views = (np.linalg.inv(fixed_affine), fixed.shape), (np.linalg.inv(moving_affine), moving.shape)
    start = np.eye(4)
    if _overlap(fixed_points, moving_points, views, start) < POOR_OVERLAP:
        start[:3, 3] = moving_points.mean(0) - fixed_points.mean(0)
    transform = _euler(fixed_points.mean(0), start[:3, 3])
    with one_thread():
        images = to_itk(fixed, fixed_affine), to_itk(moving, moving_affine)
        value = _optimize(*images, transform, seed=seed)
    matrix = _matrix(transform)
    overlap = _overlap(fixed_points, moving_points, views, matrix)
    _check_plausible(matrix @ np.linalg.inv(start), moving_points.mean(0), overlap)
    return Registration(matrix=matrix, metric=-value, overlap=overlap)


def _foreground_points(volume: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Return about 20,000 world points `(N, 3)` in mm, spread evenly over a scan's foreground."""
    indices = np.argwhere(foreground_mask(volume))
    indices = indices[:: max(1, len(indices) // 20_000)]
    return indices @ affine[:3, :3].T + affine[:3, 3]


def _apply(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Map points `(N, 3)` by a `(4, 4)` matrix."""
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def _overlap(fixed_points: np.ndarray, moving_points: np.ndarray, views: tuple, matrix: np.ndarray) -> float:
    """Return the fraction of foreground in the other scan's field of view, the larger of both directions.

    The larger one, because a thin slab inside a whole head overlaps well.
    """
    (to_fixed, fixed_shape), (to_moving, moving_shape) = views
    fixed_in_moving = _inside(_apply(to_moving @ matrix, fixed_points), moving_shape)
    moving_in_fixed = _inside(_apply(to_fixed @ np.linalg.inv(matrix), moving_points), fixed_shape)
    return max(fixed_in_moving, moving_in_fixed)


def _inside(voxels: np.ndarray, shape: tuple[int, ...]) -> float:
    """Return the fraction of voxel positions `(N, 3)` inside a volume."""
    return float(np.mean(np.all((voxels >= -0.5) & (voxels <= np.array(shape) - 0.5), axis=1)))


def _euler(center: np.ndarray, shift: np.ndarray) -> Any:
    """Return ITK's rigid transform with a center and a shift in RAS+ mm, without rotation."""
    transform = itk.Euler3DTransform[itk.D].New()
    transform.SetCenter((LPS[:3, :3] @ center).tolist())
    transform.SetTranslation((LPS[:3, :3] @ shift).tolist())
    return transform


def _matrix(transform: Any) -> np.ndarray:
    """Return an ITK transform of LPS points as a `(4, 4)` matrix for RAS+ points."""
    matrix = np.eye(4)
    matrix[:3, :3] = itk.array_from_matrix(transform.GetMatrix())
    matrix[:3, 3] = transform.GetOffset()
    return LPS @ matrix @ LPS


def _optimize(fixed: Any, moving: Any, transform: Any, *, seed: int) -> float:
    """Optimize the transform in place and return the final metric (negative mutual information)."""
    metric = _metric(type(fixed))
    optimizer = _optimizer(metric)
    method = itk.ImageRegistrationMethodv4[type(fixed), type(moving)].New(
        FixedImage=fixed, MovingImage=moving, Metric=metric, Optimizer=optimizer, InitialTransform=transform
    )
    method.InPlaceOn()
    _set_levels(method, fixed)
    method.SetMetricSamplingStrategy(itk.ImageRegistrationMethodv4Enums.MetricSamplingStrategy_RANDOM)
    method.MetricSamplingReinitializeSeed(seed + 1)  # 0 would draw from the clock
    try:
        method.Update()
    except RuntimeError as error:
        raise ValueError(
            f"the scans of {list(fixed.GetLargestPossibleRegion().GetSize())} and "
            f"{list(moving.GetLargestPossibleRegion().GetSize())} voxels cannot be registered: "
            f"{str(error).strip().splitlines()[-1]} Check that both show the same subject and body part."
        ) from error
    return float(optimizer.GetValue())


def _metric(image_type: Any) -> Any:
    """Return mutual information as metric, without gradient filters, because the images are already smoothed."""
    metric = itk.MattesMutualInformationImageToImageMetricv4[image_type, image_type].New()
    metric.SetNumberOfHistogramBins(HISTOGRAM_BINS)
    metric.SetUseFixedImageGradientFilter(False)
    metric.SetUseMovingImageGradientFilter(False)
    return metric


def _optimizer(metric: Any) -> Any:
    """Return the gradient descent; it scales rotations by how far they move the corners of the scan in mm."""
    scales = itk.RegistrationParameterScalesFromPhysicalShift[type(metric)].New(Metric=metric)
    optimizer = itk.RegularStepGradientDescentOptimizerv4[itk.D].New(ScalesEstimator=scales)
    optimizer.SetLearningRate(FIRST_STEP)
    optimizer.SetMinimumStepLength(LAST_STEP)
    optimizer.SetRelaxationFactor(RELAXATION)
    optimizer.SetNumberOfIterations(MAX_STEPS)
    optimizer.SetGradientMagnitudeTolerance(1e-7)
    optimizer.SetDoEstimateLearningRateOnce(False)
    optimizer.SetDoEstimateLearningRateAtEachIteration(False)
    return optimizer


def _set_levels(method: Any, fixed: Any) -> None:
    """Set smoothing, grid and number of samples of each level."""
    spacing = np.array(fixed.GetSpacing())
    shape = np.array(fixed.GetLargestPossibleRegion().GetSize())
    percentages = []
    method.SetNumberOfLevels(len(LEVELS))
    for index, level in enumerate(LEVELS):
        factors = np.clip(np.floor(level.spacing / spacing + 1e-3), 1, np.maximum(shape // 8, 1)).astype(int)
        method.SetShrinkFactorsPerDimension(index, factors.tolist())
        percentages.append(float(min(1.0, level.samples / np.prod(shape // factors))))
    method.SetMetricSamplingPercentagePerLevel(percentages)
    method.SetSmoothingSigmasPerLevel([level.sigma for level in LEVELS])
    method.SetSmoothingSigmasAreSpecifiedInPhysicalUnits(True)


def _check_plausible(moved: np.ndarray, center: np.ndarray, overlap: float) -> None:
    """Check that a result is plausible for one subject and session; `moved` is the motion from the start."""
    cosine = np.clip((np.trace(moved[:3, :3]) - 1) / 2, -1, 1)
    angle = float(np.degrees(np.arccos(cosine)))
    shift = float(np.linalg.norm(_apply(moved, center[None])[0] - center))
    if overlap >= MIN_OVERLAP and shift <= MAX_SHIFT and angle <= MAX_ANGLE:
        return
    raise ValueError(
        f"the registration is not plausible: {shift:.0f} mm and {angle:.0f} degrees from the start (at most "
        f"{MAX_SHIFT:.0f} and {MAX_ANGLE:.0f}), overlap {overlap:.0%} (at least {MIN_OVERLAP:.0%}). Check that both "
        "scans are of the same subject and session and that their headers are right, or register them by hand first."
    )
