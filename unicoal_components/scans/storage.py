"""Number format of the voxels in a file."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Storage:
    """Number format of a file: value = slope · stored + intercept, with `stored` of type `dtype`.

    Attributes:
        dtype: numpy name, such as "int16".
        slope: not 0.
        intercept: 0 for most files.
    """

    dtype: str = "float32"
    slope: float = 1.0
    intercept: float = 0.0
