"""The random choices of one training item."""

from dataclasses import dataclass

from .intensity_draw import IntensityDraw

Window = tuple[int, int, int, int]


@dataclass(frozen=True)
class SliceDraw:
    """Random choices of one item; `LoadSliceGroupd` applies them.

    Attributes:
        source: name of the source modality.
        target: name of the modality to synthesize.
        factor: thick over thin slice spacing.
        axis: axis of (D, H, W) through the slices.
        index: thin slice along this axis.
        offset: distance of the thin slice after its anchor, in thin slices.
        profile: profile of the thick slices; `None` = the loader's.
        thickness: slice thickness over slice spacing; `None` = the loader's.
        stack_spacing: at factor 1, distance of the slices of source and target, in thin slices.
        window: (top, bottom, left, right) in the slice; may reach outside.
        flips: whether the slices' order, their rows and their columns are reversed.
        transposed: whether rows and columns are exchanged afterwards.
        rotation: angle in the plane, in radians.
        zoom: zoom in the plane, > 1 magnifies.
        intensity: change of intensities of the source, and of the target if it is of the same modality; `None` = no
            change.
    """

    source: str
    target: str
    factor: float
    axis: int
    index: int
    offset: float
    profile: str | None
    thickness: float | None
    stack_spacing: float
    window: Window
    flips: tuple[bool, bool, bool]
    transposed: bool
    rotation: float
    zoom: float
    intensity: IntensityDraw | None
