"""Random draw of a training item: its task, window, flips, intensities and all else."""

import math
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from monai.transforms import Randomizable, Transform

from ..keys import Keys
from ..slices.factor_range import Factor, FactorRange, read_factors
from ..slices.slice_group import TOLERANCE, anchor_count
from ..slices.slice_profile import check_profile
from ..slices.slice_thickness import read_thickness_range
from .intensity_draw import IntensityDraw, draw_intensity
from .slice_draw import SliceDraw, Window

AXES = {"thin": (0, 1, 2), "axial": (0,)}
"""Axes of (D, H, W) along which slices may be drawn, if the volumes are truly thin along them."""


class DrawSliceTaskd(Randomizable, Transform):
    """Draw the task of a training slice (docs/method.md, section 6), and everything else that is random.

    No image is read or changed here: `LoadSliceGroupd` applies the draw to source and target. The transform adds `draw`
    (a `SliceDraw`), `modality` and `source_modality` (indices), `factor`, and `slice_index` (along the drawn axis).

    The task is drawn uniformly among all (target, source, factor) that the subject's modalities allow. With source =
    target at factor 1 the output is the input; such a task (which the method does not exclude) only teaches copying,
    so it is left out, unless the subject allows no other. Thick slices are only made along axes along which both
    volumes are truly thin; at a factor of 1 nothing is made thick, and every axis is allowed. Along the first axis the
    slice is the item's, so that each is used once per round; along another one it is drawn from the foreground box.

    The anchor is a = b - U{0..⌈k⌉-1} for the thin slice b and the factor k, so that every position below 1 on the
    thin grid occurs. With a random phase it is a = b - U[0, k), so that every position occurs, as in scans whose
    thick slices are not aligned with the thin ones. At a factor of 1 source and target share a grid, and a = b in both.

    Intensities are drawn for the source. If source and target are of the same modality, the target gets the same
    change, because the output then has the contrast of its input; otherwise it keeps the contrast to be learned.

    Args:
        modalities: names in the order of the network's classes.
        targets: names of the modalities to synthesize; `None` = all.
        sources: names of the source modalities; `None` = all.
        factors: real factors ≥ 1, and ranges {"min": 2.0, "max": 6.0} in which every real factor is equally likely; or
            one range. Each number and each range comes equally often.
        same_modality: whether the source may be of the target's modality.
        cross_modality: whether the source may be of another modality.
        resolution: width and height R of the window, in voxels.
        axes: "thin": slices along any axis along which the volumes are truly thin; "axial": along the first only.
        phase: "grid": centers of thick slices coincide with thin slices; "random": they are anywhere between them.
        thickness: [lowest, highest] slice thickness over slice spacing, equally likely; `None` = the loader's.
        profiles: names of slice profiles, equally likely; `None` = the loader's.
        stack_spacing: largest distance of the slices at factor 1, in thin slices: half of those items are from a thick
            stack, source and target alike, as clinical scans are.
        crop: "random": a random window if the slice is larger than R, inside the foreground box or, if the box is
            smaller, covering it; "center": the middle of the slice. A slice smaller than R is always centered.
        flip: "left_right": mirror the columns in half of the items; "all": the order of the slices, rows and columns,
            each in half of the items, and exchange rows and columns in half of them; "none".
        rotation: largest angle in the plane, in degrees; across modalities only, as within one it would blur the
            detail to be learned.
        zoom: half-range of the logarithm of the zoom in the plane; across modalities only.
        gamma: half-range of the logarithm of the exponent of intensities.
        gain: half-range of the logarithm of the gain of intensities.
        bias: half-range of the coefficients of a smooth bias field.
        noise: largest standard deviation of Rician noise on the source, as a fraction of the range; half of the items
            have none.
        contrast: fraction of the items within one modality whose contrast is replaced: inverted, or by a random curve.
            Their modality index is random, so that the network learns to ignore contrasts it has never seen.

    Raises:
        ValueError: a name or a number is not allowed; when called, the subject has no allowed source or target
            modality, or no axis for them.
    """

    def __init__(
        self,
        *,
        modalities: Sequence[str],
        targets: Sequence[str] | None = None,
        sources: Sequence[str] | None = None,
        factors: Sequence[float | Mapping[str, float]] | Mapping[str, float] = (1, 2, 4, 6),
        same_modality: bool = True,
        cross_modality: bool = True,
        resolution: int,
        axes: str = "axial",
        phase: str = "grid",
        thickness: Sequence[float] | None = None,
        profiles: Sequence[str] | None = None,
        stack_spacing: float = 1.0,
        crop: str = "random",
        flip: str = "left_right",
        rotation: float = 0.0,
        zoom: float = 0.0,
        gamma: float = 0.0,
        gain: float = 0.0,
        bias: float = 0.0,
        noise: float = 0.0,
        contrast: float = 0.0,
    ):
        self.modalities = list(modalities)
        if not self.modalities or len(set(self.modalities)) != len(self.modalities):
            raise ValueError(f"modalities is {modalities!r}; it must name at least one modality, and each once")
        self.targets = self._names("targets", targets)
        self.sources = self._names("sources", sources)
        self.factors = read_factors(factors)
        if isinstance(resolution, bool) or not isinstance(resolution, int) or resolution < 1:
            raise ValueError(f"resolution is {resolution!r}; it must be a positive integer, in voxels")
        choices = {"axes": tuple(AXES), "phase": ("grid", "random"), "crop": ("random", "center")}
        choices["flip"] = ("none", "left_right", "all")
        given = {"axes": axes, "phase": phase, "crop": crop, "flip": flip}
        for field, value in given.items():
            if value not in choices[field]:
                raise ValueError(f"{field} is {value!r}; it must be one of {', '.join(map(repr, choices[field]))}")
        ranges: dict[str, tuple[float, float, float]] = {
            "rotation": (rotation, 0, 180),
            "zoom": (zoom, 0, 1),
            "gamma": (gamma, 0, 1),
            "gain": (gain, 0, 1),
            "bias": (bias, 0, 1),
            "noise": (noise, 0, 0.5),
            "contrast": (contrast, 0, 1),
            "stack_spacing": (stack_spacing, 1, 20),
        }
        for field, (number, off, limit) in ranges.items():
            if isinstance(number, bool) or not isinstance(number, int | float) or not off <= number <= limit:
                raise ValueError(f"{field} is {number!r}; it must be in [{off}, {limit}], {off} switches it off")
        if not (same_modality or cross_modality):
            raise ValueError("same_modality and cross_modality are both false; set at least one of them to true")
        self.same_modality = same_modality
        self.cross_modality = cross_modality
        self.resolution = resolution
        self.axes = AXES[axes]
        self.phase = phase
        self.thickness = None if thickness is None else read_thickness_range(thickness)
        self.profiles = None if profiles is None else [check_profile(profile) for profile in profiles]
        self.stack_spacing = float(stack_spacing)
        self.crop = crop
        self.flip = flip
        self.rotation, self.zoom = math.radians(rotation), float(zoom)
        self.intensity = {"gamma": float(gamma), "gain": float(gain), "bias": float(bias), "noise": float(noise)}
        self.contrast = float(contrast)
        self._drawn: dict[str, Any] = {}

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return the item of a `SliceDataset` with the draw added."""
        self.randomize(data)
        return {**data, **self._drawn}

    def randomize(self, data: Mapping[str, Any]) -> None:
        """Draw everything for one item, always in the same order."""
        tasks = self._tasks(data)
        target, source, choice, axes = tasks[self.R.randint(len(tasks))]
        factor = choice.draw(self.R) if isinstance(choice, FactorRange) else choice
        axis = axes[self.R.randint(len(axes))]
        same = source == target
        recolored = bool(self.R.rand() < self.contrast) and same
        turn, magnify = (0.0 if same else float(draw) for draw in self.R.uniform(-1, 1, 2))
        profile, thickness = self._slice_shape()
        draw = SliceDraw(
            source=source,
            target=target,
            factor=factor,
            axis=axis,
            index=self._index(data, axis),
            offset=self._offset(factor),
            profile=profile,
            thickness=thickness,
            stack_spacing=self._stack_spacing(factor),
            window=self._window(data["shape"], data["foreground_box"], axis),
            flips=self._flips(axis),
            transposed=bool(self.flip == "all" and self.R.rand() < 0.5),
            rotation=self.rotation * turn,
            zoom=math.exp(self.zoom * magnify),
            intensity=self._intensity(recolored),
        )
        names = (self.modalities[self.R.randint(len(self.modalities))],) * 2 if recolored else (target, source)
        self._drawn = {
            Keys.DRAW: draw,
            Keys.MODALITY: self.modalities.index(names[0]),
            Keys.SOURCE_MODALITY: self.modalities.index(names[1]),
            Keys.FACTOR: factor,
            Keys.SLICE: draw.index,
        }

    def _offset(self, factor: float) -> float:
        """Draw the distance of the thin slice after its anchor, in thin slices."""
        if self.phase == "grid" or factor == 1:
            return int(self.R.randint(anchor_count(factor)))
        return factor * float(self.R.uniform(0, 1 - TOLERANCE))  # `slice_position` leaves room for rounding errors

    def _index(self, data: Mapping[str, Any], axis: int) -> int:
        """Return the thin slice along an axis."""
        if axis == 0:
            return int(data[Keys.SLICE])
        start, stop = data["foreground_box"][2 * axis : 2 * axis + 2]
        return start + int(self.R.randint(stop - start))

    def _slice_shape(self) -> tuple[str | None, float | None]:
        """Draw profile and thickness of the thick slices."""
        profile = None if self.profiles is None else self.profiles[self.R.randint(len(self.profiles))]
        return profile, None if self.thickness is None else float(self.R.uniform(*self.thickness))

    def _stack_spacing(self, factor: float) -> float:
        """Draw the distance of the slices at factor 1, in thin slices."""
        if self.stack_spacing == 1 or factor != 1 or self.R.rand() < 0.5:
            return 1.0
        return float(self.R.uniform(1, self.stack_spacing))

    def _flips(self, axis: int) -> tuple[bool, bool, bool]:
        """Draw whether the order of the slices, the rows and the columns are reversed."""
        slices, rows, columns = (bool(draw < 0.5) for draw in self.R.rand(3))
        if self.flip == "all":
            return slices, rows, columns
        left_right = self.flip == "left_right"  # the last axis of (D, H, W): columns, or the slices themselves
        return left_right and axis == 2 and slices, False, left_right and axis != 2 and columns

    def _intensity(self, recolored: bool) -> IntensityDraw | None:
        if not recolored and not any(self.intensity.values()):
            return None
        return draw_intensity(self.R, **self.intensity, contrast=recolored)

    def _tasks(self, data: Mapping[str, Any]) -> list[tuple[str, str, Factor, tuple[int, ...]]]:
        """Return all the tasks that a subject allows, each with its axes."""
        present, thin = data["modalities"], data["thin_axes"]
        targets = [name for name in self.targets if name in present]
        sources = [name for name in self.sources if name in present]
        tasks = [
            (target, source, factor, self.axes if factor == 1 else self._thin(thin[target], thin[source]))
            for target, source, factor in product(targets, sources, self.factors)
            if (self.same_modality if target == source else self.cross_modality)
        ]
        possible = [task for task in tasks if task[3]]
        if not possible:
            raise ValueError(
                f"subject {data[Keys.SUBJECT]!r} allows no task: its file {data.get('path')} has the modalities "
                f"{', '.join(f'{name} (thin along {list(thin[name])})' for name in present)}, while targets are "
                f"{', '.join(self.targets)} and sources {', '.join(self.sources)}, {self._pairing()}, and thick slices "
                f"can be made along {list(self.axes)} of the axes (0, 1, 2) where a volume is thin. "
                "Correct the names, or remove the subject from the datalist."
            )
        return [task for task in possible if task[0] != task[1] or task[2] != 1] or possible

    def _thin(self, target: Sequence[int], source: Sequence[int]) -> tuple[int, ...]:
        return tuple(axis for axis in self.axes if axis in target and axis in source)

    def _pairing(self) -> str:
        if not self.same_modality:
            return "never equal"
        return "equal ones allowed" if self.cross_modality else "always equal"

    def _window(self, shape: Sequence[int], box: Sequence[int], axis: int) -> Window:
        rows, columns = (other for other in range(3) if other != axis)
        top, left = (self._start(shape[other], *box[2 * other : 2 * other + 2]) for other in (rows, columns))
        return top, top + self.resolution, left, left + self.resolution

    def _start(self, size: int, box_start: int, box_stop: int) -> int:
        """Draw the start of the window along one axis."""
        spare = size - self.resolution
        if self.crop == "center" or spare <= 0:
            return int(spare / 2)
        low, high = sorted((box_start, box_stop - self.resolution))
        low, high = max(low, 0), min(high, spare)
        return low + int(self.R.randint(high - low + 1))

    def _names(self, field: str, names: Sequence[str] | None) -> list[str]:
        names = self.modalities if names is None else list(names)
        unknown = [name for name in names if name not in self.modalities]
        if unknown or not names:
            raise ValueError(
                f"{field} is {names!r}; it must be null or name at least one of the modalities {self.modalities}"
            )
        return names
