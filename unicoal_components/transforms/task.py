"""What one inference run does: from names a person writes to the indices a network takes."""

from collections.abc import Mapping, Sequence
from typing import Any

from monai.transforms import Transform

from ..data.slice_group import check_factor
from ..keys import Keys


def modality_index(name: str, modalities: Sequence[str], field: str = "modality") -> int:
    """Return the class index of a modality.

    Raises:
        ValueError: the name is not among those the network knows; they are listed.

    Example:
        >>> modality_index("t2", ["t1", "t2", "flair"])
        1
    """
    if name not in modalities:
        raise ValueError(f"{field} is {name!r}; this network knows {list(modalities)} (lower case).")
    return list(modalities).index(name)


class SetTaskd(Transform):
    """Write the task of the run into every item: source and target class index, and the factor.

    Args:
        modalities: Names in the order of the network's classes.
        source_modality: Name of what the input scans show.
        target_modality: Name of what to synthesize; the same for super-resolution.
        factor: Thick over thin slice spacing, a real number >= 1; 1 keeps the grid.

    Raises:
        ValueError: If a name is unknown or the factor is below 1.
    """

    def __init__(self, *, modalities: Sequence[str], source_modality: str, target_modality: str, factor: float) -> None:
        self.source = modality_index(source_modality, modalities, "source_modality")
        self.target = modality_index(target_modality, modalities, "target_modality")
        self.factor = check_factor(factor)

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return the item with `modality`, `source_modality` (int) and `factor` (float)."""
        task = {Keys.MODALITY: self.target, Keys.SOURCE_MODALITY: self.source, Keys.FACTOR: self.factor}
        return {**data, **task}
