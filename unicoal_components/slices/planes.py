"""Names of the planes across the axes of a stack `(D, H, W)`: axial, coronal, sagittal."""

from collections.abc import Iterable

PLANES = ("axial", "coronal", "sagittal")
"""Slices along D (superior), H (posterior) and W (left), the order of the axes of a subject file."""


def axis_of(plane: str) -> int:
    """Return the axis of (D, H, W) along which the slices of a plane are counted.

    Raises:
        ValueError: the plane is unknown.

    Example:
        >>> axis_of("axial"), axis_of("sagittal")
        (0, 2)
    """
    if plane not in PLANES:
        raise ValueError(f"plane {plane!r} is unknown; it must be one of {', '.join(PLANES)}.")
    return PLANES.index(plane)


def planes_of(axes: Iterable[int]) -> tuple[str, ...]:
    """Return the planes of axes of (D, H, W).

    Example:
        >>> planes_of((0, 2))
        ('axial', 'sagittal')
    """
    return tuple(PLANES[axis] for axis in axes)
