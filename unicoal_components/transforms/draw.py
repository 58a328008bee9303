"""Draw what the network shall do with a slice: which source, which factor, which window."""

import math
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from monai.transforms import Randomizable, Transform

from ..data.factor_range import Factor, FactorRange, read_factors
from ..data.slice_group import TOLERANCE, anchor_count
from ..keys import Keys
from .intensity_jitter import BIAS_TERMS

Window = tuple[int, int, int, int]


class DrawSliceTaskd(Randomizable, Transform):
    """Draw the task of a training slice (method §6), and everything else that is random, and write it into the item.

    Nothing is read or changed here: `LoadSliceGroupd` applies the draw, to source and target alike. Written are
    `target` and `source` (names), `modality` and `source_modality` (their indices), `factor`, `anchor`, `window`
    (h0, h1, w0, w1; may reach outside the slice), `flip`, and with a jitter `gamma` and `bias`.

    The task is drawn uniformly among all (target, source, factor) that the subject's modalities allow. Source = target
    at factor 1 asks for the input itself; such a task (which method §6 does not exclude) teaches copying and nothing
    else, so it is left out, unless the subject allows no other. The anchor is a = b - U{0..⌈k⌉-1} for the thin slice b
    and the factor k, so that every position below 1 that the thin grid offers is seen; with a random phase it is
    a = b - U[0, k), so that every position is, as in scans whose thick slices lie anywhere. At a factor of 1 source and
    target have one grid, and a = b in both.

    Flips are left-right only, about which brains are nearly symmetric, and drawn anew for each item and epoch (in the
    official code each subject has its own for good).

    Args:
        modalities: Names in the order of the network's classes.
        targets: Names of those to synthesize; `None` = all.
        sources: Names of those to start from; `None` = all.
        factors: Real factors ≥ 1, and ranges {"min": 2.0, "max": 6.0} in which every real factor is equally likely; or
            one range. Each number and each range comes equally often.
        same_modality: Whether the source may be of the target's modality.
        cross_modality: Whether it may be of another one.
        resolution: Width and height R of the window, in voxels.
        phase: "grid": centers of thick slices lie on thin slices; "random": anywhere between them.
        crop: "random": a window at random where the slice is larger than R, inside the foreground box or, where this is
            smaller, covering it; "center": the middle of the slice. A slice smaller than R is always in the middle.
        flip: Whether to mirror half of the items left-right.
        intensity_jitter: Half-range j of ln(gamma) and of the bias field's coefficients; 0 = off. See
            `jitter_intensity`; about 0.3 for networks trained on few persons.

    Raises:
        ValueError: If a name, factor, resolution, phase or crop is not allowed; and, when called, if the subject has no
            modality to start from or to synthesize.
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
        phase: str = "grid",
        crop: str = "random",
        flip: bool = True,
        intensity_jitter: float = 0.0,
    ):
        self.modalities = list(modalities)
        if not self.modalities or len(set(self.modalities)) != len(self.modalities):
            raise ValueError(f"modalities is {modalities!r}; it must name at least one modality, and each once")
        self.targets = self._names("targets", targets)
        self.sources = self._names("sources", sources)
        self.factors = read_factors(factors)
        if isinstance(resolution, bool) or not isinstance(resolution, int) or resolution < 1:
            raise ValueError(f"resolution is {resolution!r}; it must be a positive integer, in voxels")
        if phase not in ("grid", "random"):
            raise ValueError(f"phase is {phase!r}; it must be 'grid' or 'random'")
        if crop not in ("random", "center"):
            raise ValueError(f"crop is {crop!r}; it must be 'random' or 'center'")
        if not 0 <= intensity_jitter <= 1:
            raise ValueError(f"intensity_jitter is {intensity_jitter!r}; it must be in [0, 1], 0 switches it off")
        if not (same_modality or cross_modality):
            raise ValueError("same_modality and cross_modality are both false; set at least one of them to true")
        self.same_modality = same_modality
        self.cross_modality = cross_modality
        self.resolution = resolution
        self.phase = phase
        self.crop = crop
        self.flip = flip
        self.intensity_jitter = intensity_jitter
        self._drawn: dict[str, Any] = {}

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return the item of a `SliceDataset` with the draw added."""
        self.randomize(data)
        return {**data, **self._drawn}

    def randomize(self, data: Mapping[str, Any]) -> None:
        """Draw everything for one item, always in the same order."""
        tasks = self._tasks(data)
        target, source, choice = tasks[self.R.randint(len(tasks))]
        factor = choice.draw(self.R) if isinstance(choice, FactorRange) else choice
        self._drawn = {
            "target": target,
            "source": source,
            Keys.MODALITY: self.modalities.index(target),
            Keys.SOURCE_MODALITY: self.modalities.index(source),
            Keys.FACTOR: factor,
            "anchor": int(data[Keys.SLICE]) - self._offset(factor),
            "window": self._window(data["shape"], data["foreground_box"]),
            "flip": bool(self.flip and self.R.rand() < 0.5),
        }
        if self.intensity_jitter:
            draws = self.R.uniform(-self.intensity_jitter, self.intensity_jitter, 1 + BIAS_TERMS)
            self._drawn |= {"gamma": math.exp(draws[0]), "bias": tuple(draws[1:].tolist())}

    def _offset(self, factor: float) -> float:
        """Draw how far the thin slice is behind its anchor, in thin slices."""
        if self.phase == "grid" or factor == 1:
            return int(self.R.randint(anchor_count(factor)))
        return factor * float(self.R.uniform(0, 1 - TOLERANCE))  # `slice_position` leaves room for rounding errors

    def _tasks(self, data: Mapping[str, Any]) -> list[tuple[str, str, Factor]]:
        """Return all the tasks that a subject allows."""
        present = data["modalities"]
        targets = [name for name in self.targets if name in present]
        sources = [name for name in self.sources if name in present]
        tasks = [
            (target, source, factor)
            for target, source, factor in product(targets, sources, self.factors)
            if (self.same_modality if target == source else self.cross_modality)
        ]
        if not tasks:
            raise ValueError(
                f"subject {data[Keys.SUBJECT]!r} allows no task: its file {data.get('path')} has the modalities "
                f"{', '.join(present)}, while targets are {', '.join(self.targets)} and sources "
                f"{', '.join(self.sources)}, {self._pairing()}. "
                "Correct the names, or take the subject out of the datalist"
            )
        return [task for task in tasks if task[0] != task[1] or task[2] != 1] or tasks

    def _pairing(self) -> str:
        if not self.same_modality:
            return "never equal"
        return "equal ones allowed" if self.cross_modality else "always equal"

    def _window(self, shape: Sequence[int], box: Sequence[int]) -> Window:
        top, left = (self._start(shape[axis], *box[2 * axis : 2 * axis + 2]) for axis in (1, 2))
        return top, top + self.resolution, left, left + self.resolution

    def _start(self, size: int, box_start: int, box_stop: int) -> int:
        """Draw where the window begins along one axis."""
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
