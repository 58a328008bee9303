"""Dataset of evaluation cases: the thick stack of a source modality and the true thin target."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from ..keys import Keys
from ..slices.planes import axis_of
from ..slices.slice_profile import thick_volume
from ..slices.slice_thickness import SliceThickness
from .answerable import answerable
from .case_list import AXIS, SOURCE, TARGET, Case, read_cases
from .hdf5 import SubjectHeader, read_header, read_volume

SPACING = "spacing"


def evaluated_indices(*, depth: int, factor: float, slice_step: int = 1) -> torch.Tensor:
    """Select equally spaced thin slices so that every position between the thick slices occurs.

    Positions repeat after n slices, where n is the numerator of `factor` as a fraction. A step that shares a divisor
    with n would select only some of them (step 4 at factor 4: only the slices of the input), so the step is increased
    until it shares none. If the step exceeds the depth, only the first slice would be left, which is in the input; then
    all slices are selected.

    Args:
        depth: number of thin slices.
        factor: thick over thin slice spacing, at least 1.
        slice_step: smallest step between the slices.

    Returns:
        Indices of thin slices, int64 `(K,)`.

    Example:
        >>> evaluated_indices(depth=20, factor=4, slice_step=4).tolist()
        [0, 5, 10, 15]
        >>> evaluated_indices(depth=4, factor=2.5, slice_step=7).tolist()
        [0, 1, 2, 3]
    """
    period = Fraction(factor).limit_denominator(100).numerator
    step = slice_step
    while math.gcd(step, period) > 1:
        step += 1
    return torch.arange(0, depth, step if step < depth else 1)


class CaseDataset(Dataset):
    """Dataset with one item per (subject, case), subject by subject, read from HDF5 on access.

    The thick source stack is computed from the thin source by the slice profile, as a scanner would measure it; the
    label is the true target on the thin grid. Nothing is kept in memory between items. Each item contains the tensors

    - `image` `(1, N, H, W)` float32 in [-1, 1], the thick source stack, N = floor((D - 1) / factor) + 1;
    - `label` `(1, K, H, W)` float32 in [-1, 1], the true target at the thin `indices` `(K,)`;
    - `modality`, `source_modality` (class indices), `factor`, `thickness` (slice thickness over slice spacing:
      1 where slices touch and at a factor of 1), `spacing` `(3,)` in mm between neighbors of the label along its
      axes (1 if the file does not contain it);

    and the strings `subject`, `source`, `target` and `axis`. For an axis other than axial, D is H or W of the subject
    file, and H and W are the other two in order. Source and target must be truly thin along the axis, because an
    interpolated volume is not a valid reference. Cases of different sizes cannot be collated: use batches of one.

    Args:
        data: `{"subject": name, "path": file}` for each subject, from `read_datalist`.
        modalities: names in the order of their class indices.
        cases: `{"source": name, "target": name, "factor": number}` for each case, and if not axial `"axis"`:
            "coronal", "sagittal", or "thin", every axis along which both volumes of a subject are truly thin (at a
            factor of 1: axial).
        profile: slice profile of the thick slices, `"gaussian"`, `"box"` or `"drop"`.
        slice_gap: gap between the thick slices in mm, see `SliceThickness`.
        slice_thickness: their thickness in mm, instead of the gap; `None` = slice spacing minus gap.
        slice_step: step between the evaluated thin slices, see `evaluated_indices`.
        skip_missing: log and skip the (subject, case) pairs that the file does not support, instead of raising an
            error: a modality is missing, a volume is not truly thin along the axis, or there are fewer than 2 thick
            slices.
        transform: transform applied to each item.

    Attributes:
        items: (subject, case) of each item.
        left_out: messages about skipped cases.

    Raises:
        ValueError: a value is invalid, or a subject lacks a modality, a truly thin axis, slices or a slice spacing that
            a case needs; the message names its file.
    """

    def __init__(
        self,
        *,
        data: Sequence[Mapping[str, str]],
        modalities: Sequence[str],
        cases: Sequence[Mapping[str, Any]],
        profile: str = "gaussian",
        slice_gap: float = 0.0,
        slice_thickness: float | None = None,
        slice_step: int = 1,
        skip_missing: bool = False,
        transform: Callable[[dict], Any] | None = None,
    ) -> None:
        if not data:
            raise ValueError(
                "there is nobody to evaluate: that section of the datalist is empty. Add a subject, or set "
                "evaluation_section to another section."
            )
        if isinstance(slice_step, bool) or not isinstance(slice_step, int) or slice_step < 1:
            raise ValueError(f"slice_step is {slice_step!r}; allowed is an integer of at least 1.")
        self.modalities = list(modalities)
        self.thickness = SliceThickness(profile=profile, slice_gap=slice_gap, slice_thickness=slice_thickness)
        self.slice_step = slice_step
        self.transform = transform
        checked = read_cases(cases, modalities=self.modalities)
        self.items: list[tuple[Mapping[str, str], Case]] = []
        self.left_out: list[str] = []
        for subject in data:
            header = read_header(subject["path"])
            served, left_out = answerable(subject, header, checked, skip_missing)
            for case in served:
                self._thickness(case, header)  # raises now rather than at the first validation
                self.items.append((subject, case))
            self.left_out += left_out
        if not self.items:
            why = " ".join(self.left_out[:3])
            raise ValueError(f"none of the {len(data)} subjects can answer any case; nothing to evaluate. {why}")

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Any:
        subject, case = self.items[index]
        path = subject["path"]
        header = read_header(path)
        axis = axis_of(case.axis)
        target = _read(path, case.target, axis)
        thin = target if case.source == case.target else _read(path, case.source, axis)
        indices = evaluated_indices(depth=len(target), factor=case.factor, slice_step=self.slice_step)
        voxel = header.spacing or (1.0, 1.0, 1.0)
        spacing = torch.tensor([voxel[axis], *np.delete(voxel, axis)], dtype=torch.float32)
        spacing[0] *= indices[1] - indices[0] if len(indices) > 1 else 1
        thickness = self._thickness(case, header)
        thick = thick_volume(thin, case.factor, self.thickness.profile, thickness=thickness)
        item = {
            Keys.IMAGE: torch.from_numpy(thick)[None],
            Keys.LABEL: torch.from_numpy(target)[indices][None],
            Keys.MODALITY: torch.tensor(self.modalities.index(case.target)),
            Keys.SOURCE_MODALITY: torch.tensor(self.modalities.index(case.source)),
            Keys.FACTOR: torch.tensor(case.factor, dtype=torch.float32),
            Keys.THICKNESS: torch.tensor(thickness / case.factor, dtype=torch.float32),
            Keys.INDICES: indices,
            Keys.SUBJECT: subject["subject"],
            SOURCE: case.source,
            TARGET: case.target,
            AXIS: case.axis,
            SPACING: spacing,
        }
        return item if self.transform is None else self.transform(item)

    def _thickness(self, case: Case, header: SubjectHeader) -> float:
        """Return the slice thickness of a case, in units of the thin slices of a subject's file."""
        spacing = header.spacing[axis_of(case.axis)] if header.spacing else None
        return self.thickness.in_thin_slices(case.factor, spacing=spacing, path=header.path)


def _read(path: str, modality: str, axis: int) -> np.ndarray:
    """Read a volume `(D, H, W)` with one of its axes moved to the front."""
    return np.ascontiguousarray(np.moveaxis(read_volume(path, modality), axis, 0))
