"""Options of the preparation steps between reading a scan and scaling its intensities."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..slices.planes import PLANES

CROPS = ("none", "foreground", "brain")


@dataclass(frozen=True, kw_only=True)
class PreparationSteps:
    """Optional steps, in the order in which they are applied; none by default.

    Attributes:
        bias_correction: correct the bias field of the receive coils (N4) in every modality.
        register_to: modality that all others are registered to, rigidly, and whose grid they get; `None` does not
            register.
        spacing: edge in mm of the cubic voxels of the common grid; `None` keeps the reference's voxels. Without
            `register_to` the reference is the first modality, and the subject is assumed not to move between scans.
        crop: "none"; "foreground", around the head; or "brain", around the mask, with 0 outside of it.
        margin: margin around the cropped region in mm.
        seed: seed of the random voxels that registration compares.
        thin_axes: planes whose slices are truly thin in every scan, of axial, coronal, sagittal; `None` measures them.
        nan_background: NaN in a scan is background and becomes 0, with a warning; otherwise it is an error.
    """

    bias_correction: bool = False
    register_to: str | None = None
    spacing: float | None = None
    crop: str = "none"
    margin: float = 5.0
    seed: int = 0
    thin_axes: tuple[str, ...] | None = None
    nan_background: bool = False

    def __post_init__(self) -> None:
        """Check that all values are in their ranges.

        Raises:
            ValueError: an option has a wrong value; the message names the option, the value and what is allowed.
        """
        if self.crop not in CROPS:
            raise ValueError(f"crop is {self.crop!r}; it must be one of {', '.join(CROPS)}.")
        for name, flag in (("bias_correction", self.bias_correction), ("nan_background", self.nan_background)):
            if not isinstance(flag, bool):
                raise ValueError(f"{name} is {flag!r}; it must be true or false.")
        if self.thin_axes is not None and (
            isinstance(self.thin_axes, str)
            or not set(self.thin_axes) <= set(PLANES)
            or len(set(self.thin_axes)) < len(self.thin_axes)
        ):
            raise ValueError(
                f"thin_axes is {self.thin_axes!r}; it must be auto, none, or planes of {', '.join(PLANES)}, each once."
            )
        for name, value, least in (("spacing", self.spacing, 0.05), ("margin", self.margin, 0)):
            if value is not None and not (_is_number(value) and least <= value <= 100):
                raise ValueError(f"{name} is {value!r}; it must be a number of mm between {least} and 100.")

    def check_modality(self, modalities: Sequence[str]) -> None:
        """Check that the reference is one of the modalities.

        Raises:
            ValueError: `register_to` is not one of the modalities; the message names both.
        """
        if self.register_to is not None and self.register_to not in modalities:
            raise ValueError(
                f"register_to is {self.register_to!r}, which is none of the modalities {list(modalities)}; choose the "
                "one that the others should be registered to, such as the one with the thinnest slices."
            )

    def reference(self, modalities: Sequence[str]) -> str:
        """Return the modality whose grid all others get: `register_to`, or the first."""
        return self.register_to or modalities[0]

    @property
    def resamples(self) -> bool:
        """Whether scans are resampled to a common grid; otherwise they must already share one."""
        return self.register_to is not None or self.spacing is not None

    @property
    def calls_long(self) -> bool:
        """Whether a step is a call of ITK that lasts for many seconds and cannot be interrupted."""
        return self.bias_correction or self.register_to is not None

    def options(self) -> dict[str, Any]:
        """Return the options that affect the result, as JSON values.

        Example:
            >>> PreparationSteps(register_to="t1", margin=2).options()
            {'register_to': 't1', 'seed': 0}
        """
        chosen: dict[str, Any] = {"bias_correction": True} if self.bias_correction else {}
        if self.register_to is not None:
            chosen |= {"register_to": self.register_to, "seed": self.seed}
        if self.spacing is not None:
            chosen["spacing"] = float(self.spacing)
        if self.crop != "none":
            chosen |= {"crop": self.crop, "margin": float(self.margin)}
        if self.thin_axes is not None:
            chosen["thin_axes"] = [plane for plane in PLANES if plane in self.thin_axes]
        return chosen | ({"nan_background": True} if self.nan_background else {})


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
