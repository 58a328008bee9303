"""Names of the axes of a stack `(D, H, W)`, by the slices that lie across them: axial, coronal, sagittal."""

from collections.abc import Iterable

PLANES = ("axial", "coronal", "sagittal")
"""Slices along D (superior), H (posterior) and W (left), the order of the axes of a subject file."""


def axis_of(plane: str) -> int:
    """Return the axis of (D, H, W) that the slices of a plane are counted along.

    Raises:
        ValueError: there is no such plane.

    >>> axis_of("axial"), axis_of("sagittal")
    (0, 2)
    """
    if plane not in PLANES:
        raise ValueError(f"plane {plane!r} is unknown; allowed is one of {', '.join(PLANES)}.")
    return PLANES.index(plane)


def planes_of(axes: Iterable[int]) -> tuple[str, ...]:
    """Return the planes of axes of (D, H, W).

    >>> planes_of((0, 2))
    ('axial', 'sagittal')
    """
    return tuple(PLANES[axis] for axis in axes)
