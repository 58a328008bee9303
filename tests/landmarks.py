"""Find landmarks in a scan, and measure in mm by how much another scan shows them elsewhere.

A scan is `(voxels, affine)`, affine to world mm. The two may lie on different grids: both are looked at in world mm.
"""

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates, spline_filter
from skimage.feature import peak_local_max


def find_landmarks(scan, *, count, distance, sigma=2.0):
    """Return up to `count` world positions `(L, 3)` with edges in all three directions.

    They maximize det T / tr adj T of the structure tensor T (Noble's measure). `sigma` of its gradients and the least
    `distance` of landmarks, also from the border, are in mm.
    """
    voxels, affine = scan
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    scaled = voxels.astype(np.float32) / voxels.max()
    x, y, z = np.gradient(gaussian_filter(scaled, sigma / spacing), *spacing)
    xx, xy, xz, yy, yz, zz = (
        gaussian_filter(product, 2 * sigma / spacing) for product in (x * x, x * y, x * z, y * y, y * z, z * z)
    )
    adjugate = yy * zz - yz**2, xx * zz - xz**2, xx * yy - xy**2
    determinant = xx * adjugate[0] - xy * (xy * zz - yz * xz) + xz * (xy * yz - yy * xz)
    strength = determinant / (sum(adjugate) + 1e-12)
    peaks = peak_local_max(strength, min_distance=int(np.ceil(distance / spacing.min())), num_peaks=count)
    return _world(affine, peaks.T).T


def landmark_shift(restored, truth, landmarks, *, sigma=2.0, radius=12.0, step=1.5, iterations=5):
    """Return `(L, 3)`: by how many mm along the world's axes `restored` shows each landmark away from `truth`.

    Around each landmark x (Gaussian window of standard deviation radius / 2) the displacement d is found for which
    truth(x) ≈ gain · restored(x + d) + offset, by Gauss-Newton: intensities may differ by a linear map, and a symmetric
    blur of `restored` moves nothing. Both are first smoothed by a Gaussian of `sigma` mm, about the resolution of
    thick slices. All lengths are in mm.
    """
    splines = [(_smooth_spline(*scan, sigma), np.linalg.inv(scan[1])) for scan in (restored, truth)]
    line = np.arange(-radius, radius + step / 2, step)
    grid = np.stack(np.meshgrid(line, line, line, indexing="ij"))
    window = np.exp(-2 * (grid**2).sum(0) / radius**2).ravel()
    return np.array([_shift(*splines, landmark, grid, window, step, iterations) for landmark in landmarks])


def _smooth_spline(voxels, affine, sigma):
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    return spline_filter(gaussian_filter(voxels.astype(np.float64), sigma / spacing, mode="nearest"))


def _shift(restored, truth, landmark, grid, window, step, iterations):
    place = grid + landmark[:, None, None, None]
    wanted, shift = _sample(truth, place), np.zeros(3)
    for _ in range(iterations):
        found = _sample(restored, place + shift[:, None, None, None])
        columns = np.stack([found, np.ones_like(found), *np.gradient(found, step)]).reshape(5, -1)
        gain, _, *moved = np.linalg.lstsq((columns * window).T, wanted.ravel() * window, rcond=None)[0]
        shift = shift + np.array(moved) / gain
    return shift


def centroids(scan, landmarks, *, radius):
    """Return `(L, 3)`: the centers of mass in world mm within a radius of each landmark, of blobs on zero."""
    voxels, affine = scan
    world = _world(affine, np.indices(voxels.shape).reshape(3, -1))
    values = voxels.astype(np.float64).ravel()
    found = []
    for landmark in landmarks:
        near = ((world - landmark[:, None]) ** 2).sum(0) < radius**2
        found.append((world[:, near] * values[near]).sum(1) / values[near].sum())
    return np.array(found)


def blobs(shape, affine, landmarks, sigma):
    """Return voxels with a Gaussian blob of that standard deviation, in mm, at each landmark."""
    world = _world(affine, np.indices(shape).reshape(3, -1))
    total = sum(np.exp(-((world - place[:, None]) ** 2).sum(0) / (2 * sigma**2)) for place in landmarks)
    return total.reshape(shape)


def _world(affine, voxels):
    return affine[:3, :3] @ voxels + affine[:3, 3:]


def _sample(spline, place):
    coefficients, inverse = spline
    voxels = _world(inverse, place.reshape(3, -1))
    return map_coordinates(coefficients, voxels, order=3, prefilter=False, mode="nearest").reshape(place.shape[1:])
