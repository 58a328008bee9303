"""Selection of the evaluation cases that a subject file supports."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..slices.planes import PLANES, axis_of, planes_of
from ..slices.slice_group import thick_count
from .case_list import THIN, Case
from .hdf5 import SubjectHeader

logger = logging.getLogger(__name__)


def answerable(
    subject: Mapping[str, str], header: SubjectHeader, cases: Sequence[Case], skip_missing: bool
) -> tuple[list[Case], list[str]]:
    """Select the cases that a subject's file supports.

    It does not support a case if it lacks a modality or, at a factor above 1, if source or target is not truly thin
    along the axis or there are fewer than 2 thick slices.

    Args:
        subject: `{"subject": name, "path": file}`.
        header: header of the file.
        cases: requested cases.
        skip_missing: log and skip unsupported cases instead of raising an error.

    Returns:
        The cases, with "thin" replaced by one case for each truly thin axis, and messages about skipped cases.

    Raises:
        ValueError: a case is not supported; the message names the subject, its file and a remedy.
    """
    served: list[Case] = []
    skipped: dict[str, int] = {}
    for case in cases:
        expanded = _with_axes(case, header)
        problem = _problem(case, expanded, header)
        if problem is None:
            served += expanded
            continue
        reason, remedy = problem
        text = f"subject '{subject['subject']}' ({subject['path']}) {reason}"
        if not skip_missing:
            raise ValueError(f"{text}. {remedy}, drop the case ({case}), or set skip_missing to true.")
        logger.warning("Skipped %s: %s.", case, text)
        skipped[reason] = skipped.get(reason, 0) + 1
    name = subject["subject"]
    left_out = [f"{n} of {len(cases)} cases left out for '{name}', which {reason}." for reason, n in skipped.items()]
    return served, left_out


def _with_axes(case: Case, header: SubjectHeader) -> list[Case]:
    """Replace "thin" by the thin axes of a subject's file; at a factor of 1, without thick slices, by axial."""
    if case.axis != THIN:
        return [case]
    if case.factor == 1:
        return [replace(case, axis=PLANES[0])]
    return [replace(case, axis=plane) for plane in planes_of(_common_axes(case, header))]


def _common_axes(case: Case, header: SubjectHeader) -> list[int]:
    """Return the axes along which both volumes of a case are truly thin."""
    return [axis for axis in range(3) if all(axis in header.thin_axes.get(m, ()) for m in (case.source, case.target))]


def _problem(case: Case, expanded: Sequence[Case], header: SubjectHeader) -> tuple[str, str] | None:
    """Return why a subject's file does not support a case, and a remedy; `None` if it does."""
    missing = sorted({case.source, case.target} - set(header.modalities))
    if missing:
        held = ", ".join(header.modalities)
        return f"has no modality {', '.join(missing)}; it holds {held}", "Prepare it with that modality"
    if case.factor == 1:
        return None
    if not expanded or any(axis_of(one.axis) not in _common_axes(case, header) for one in expanded):
        names = list(dict.fromkeys((case.source, case.target)))
        where = "any axis" if case.axis == THIN else f"the {case.axis} axis"
        known = "; ".join(f"{name} {', '.join(planes_of(header.thin_axes[name])) or 'along none'}" for name in names)
        return (
            f"is not truly thin along {where} in {' and '.join(names)}, so it has no truth there (recorded as thin: "
            f"{known})",
            "Take another axis, or, if the record is wrong, prepare it again with --thin_axes",
        )
    for one in expanded:
        depth = header.shape[axis_of(one.axis)]
        if thick_count(depth, one.factor) < 2:
            return (
                f"has {depth} slices along the {one.axis} axis, one thick slice at a factor of {one.factor:g}",
                f"Take a factor of at most {depth - 1}",
            )
    return None
