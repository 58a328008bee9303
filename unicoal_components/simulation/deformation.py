"""Random smooth deformations by B-splines that cannot fold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .random_field import random_spline_field

# Rueckert-style free-form deformations are one-to-one if no control point moves by more than 0.4 knot distances
# (Choi and Lee, Graphical Models 62:411, 2000). The sum of the levels' ratios is below that bound.
LEVELS: tuple[tuple[float, float], ...] = ((45.0, 0.14), (16.0, 0.14))  # (knot distance in mm, movement / distance)


def random_displacement(
    shape: Sequence[int],
    spacing: Sequence[float],
    rng: np.random.Generator,
    *,
    strength: float = 1.0,
    levels: Sequence[tuple[float, float]] = LEVELS,
) -> NDArray[np.float32]:
    """Draw a displacement field that does not fold: the head's shape at a coarse level, its gyri at a finer one.

    Args:
        shape: `(D, H, W)`.
        spacing: voxel spacing along D, H, W in mm.
        rng: source of randomness.
        strength: factor of all displacements; 0 is the identity, values up to 1.4 keep the Choi-Lee bound.
        levels: pairs of knot distance in mm and largest control point movement relative to it.

    Returns:
        `(3, D, H, W)` in mm along D, H, W.
    """
    extent = [size * step for size, step in zip(shape, spacing, strict=True)]
    field = np.zeros((3, *shape), np.float32)
    for distance, movement in levels:
        spans = [max(1, int(length // distance)) for length in extent]  # knots are at least `distance` apart
        for axis in range(3):
            field[axis] += random_spline_field(shape, spans, rng, amplitude=strength * movement * distance)
    return field


def random_linear(rng: np.random.Generator, *, strength: float = 1.0, scale: float = 1.05) -> NDArray[np.float64]:
    """Draw a linear map: rotations within ±5°, scales within ±0.07 of `scale`, shears within ±0.03.

    It maps output to atlas, so a scale above 1 makes a smaller head.

    Args:
        rng: source of randomness.
        strength: factor of all parts; 0 is the identity.
        scale: mean scale. 1.05 suits the MNI152 brain, which is larger than most: nearly every subject then fits into
            its grid.

    Returns:
        `(3, 3)`.
    """
    angles = np.deg2rad(5.0) * strength * rng.uniform(-1.0, 1.0, 3)
    matrix = np.diag(1.0 + strength * (scale - 1.0 + 0.07 * rng.uniform(-1.0, 1.0, 3)))
    matrix = matrix @ (np.eye(3) + np.triu(0.03 * strength * rng.uniform(-1.0, 1.0, (3, 3)), 1))
    for axis, angle in enumerate(angles):
        first, second = [other for other in range(3) if other != axis]
        rotation = np.eye(3)
        rotation[[first, second], [first, second]] = np.cos(angle)
        rotation[first, second], rotation[second, first] = -np.sin(angle), np.sin(angle)
        matrix = rotation @ matrix
    return matrix


def warped_coordinates(
    displacement: NDArray[np.floating], matrix: NDArray[np.floating], offset: NDArray[np.floating]
) -> NDArray[np.float32]:
    """Compute the sampled position of each voxel: `matrix` @ voxel + `offset` + displacement.

    Args:
        displacement: `(3, D, H, W)` in voxels of the sampled array; changed in place to save memory.
        matrix: `(3, 3)`, from output voxel (d, h, w) to sampled voxel (d, h, w).
        offset: `(3,)`, sampled voxel of output voxel (0, 0, 0).

    Returns:
        `(3, D, H, W)` for `scipy.ndimage.map_coordinates`.
    """
    coordinates = displacement.astype(np.float32, copy=False)
    grid = np.ogrid[tuple(slice(size) for size in displacement.shape[1:])]
    for axis in range(3):
        for column, index in enumerate(grid):
            coordinates[axis] += (matrix[axis, column] * index).astype(np.float32)
        coordinates[axis] += np.float32(offset[axis])
    return coordinates
