"""Interpolation of thin slices from thick ones, for baselines and for the base of a residual.

Thin slice `b` is at depth `b / factor` in units of thick slices. Every method here is linear in the stack, so it
is one small matrix over the depth axis, built by scipy and applied on the stack's device (CPU or GPU, array or
tensor).
"""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import torch
from scipy.ndimage import map_coordinates

from .slice_group import thin_depths

Stack = TypeVar("Stack", np.ndarray, torch.Tensor)
Indices = Sequence[int] | np.ndarray | torch.Tensor


def interpolation_weights(num_slices: int, depths: np.ndarray, order: int) -> np.ndarray:
    """Return the matrix (K, num_slices) of spline interpolation of degree `order` at `depths`.

    Column j is the interpolation of a stack that is 1 in slice j and 0 elsewhere. Beyond the ends the last slice is
    repeated ("nearest"). The depth of a slice has weight 1 on it and 0 on all others, so factor 1 is the identity.
    """
    unit = np.eye(num_slices)
    columns = [map_coordinates(unit[j], depths[None], order=order, mode="nearest") for j in range(num_slices)]
    weights = np.stack(columns, axis=1)
    on_slice = depths == np.round(depths)
    weights[on_slice] = unit[np.clip(depths[on_slice].astype(int), 0, num_slices - 1)]
    return weights


def _check(stack: np.ndarray | torch.Tensor) -> None:
    """Check that the stack is of floating point slices."""
    floating = stack.is_floating_point() if isinstance(stack, torch.Tensor) else stack.dtype.kind == "f"
    if stack.ndim != 3 or stack.shape[0] == 0 or not floating:
        shape = tuple(stack.shape)
        raise ValueError(f"stack has shape {shape}, dtype {stack.dtype}; it must be (N, H, W), floating point, N >= 1.")


def _interpolate(stack: Stack, factor: float, indices: Indices, order: int) -> Stack:
    """Apply the weights of one method to the depth axis of `stack` (N, H, W)."""
    _check(stack)
    weights = interpolation_weights(stack.shape[0], thin_depths(indices, factor), order)
    if isinstance(stack, torch.Tensor):
        return torch.tensordot(torch.as_tensor(weights, dtype=stack.dtype, device=stack.device), stack, dims=1)
    return np.tensordot(weights.astype(stack.dtype), stack, axes=1)


def cubic_interpolation(stack: Stack, factor: float, indices: Indices) -> Stack:
    """Interpolate thin slices by a cubic spline through the thick ones, pixel by pixel.

    Args:
        stack: thick slices (N, H, W), floating point.
        factor: thick over thin slice spacing, a real number >= 1.
        indices: thin slice indices (K,); thin slice b is at depth b / factor.

    Returns:
        The thin slices (K, H, W), of the type, dtype and device of `stack`. The spline may overshoot its range.

    Example:
        >>> ramp = np.arange(4.0).reshape(4, 1, 1)
        >>> cubic_interpolation(ramp, 1.0, [0, 1, 2, 3]).ravel().tolist()
        [0.0, 1.0, 2.0, 3.0]
    """
    return _interpolate(stack, factor, indices, order=3)


def linear_interpolation(stack: Stack, factor: float, indices: Indices) -> Stack:
    """Interpolate thin slices linearly between the two thick ones around; see `cubic_interpolation`.

    Example:
        >>> linear_interpolation(np.array([0.0, 1.0]).reshape(2, 1, 1), 2.0, [1]).ravel().tolist()
        [0.5]
    """
    return _interpolate(stack, factor, indices, order=1)


def nearest_slices(stack: Stack, factor: float, indices: Indices) -> Stack:
    """Copy the nearest thick slice for each thin one (half way: the upper one); see `cubic_interpolation`.

    Example:
        >>> nearest_slices(np.array([0.0, 1.0]).reshape(2, 1, 1), 4.0, [0, 1, 2, 3]).ravel().tolist()
        [0.0, 0.0, 1.0, 1.0]
    """
    _check(stack)
    rows = np.floor(thin_depths(indices, factor) + 0.5).astype(np.int64).clip(0, stack.shape[0] - 1)
    if isinstance(stack, torch.Tensor):
        return stack[torch.as_tensor(rows, device=stack.device)]
    return stack[rows]
