"""Whom an evaluation may ask: persons that the training has not seen."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Sequence
from pathlib import Path

from ..datasets.datalist import read_datalist, sections_of
from ..datasets.fingerprint import scan_fingerprints
from ..datasets.training_record import Subjects, own_name, read_record, read_selected_by, record_path

logger = logging.getLogger(__name__)

TRAINING = "training"
VALIDATION = "validation"
WAY_OUT = (
    "Evaluate others, or say that you want it with --allow_training_subjects true; the report is then marked, and its "
    "figures say nothing about persons that the network has not seen."
)


class HeldOutSubjects:
    """The subjects of a section of the datalist, unless the training has seen one of them.

    Seen is who stands in the section `training`, or has a scan that, under whatever name, is in another section too, or
    in the record beside the weights (`training_record.py`). Names alone do not count: every cohort has a subject 1; an
    equal name in such a record is marked. So is who has a scan of those by whom the weights were chosen.

    Args:
        path: the datalist.
        section: whom to evaluate.
        weights: of the networks that are evaluated; the records beside them are asked too. `None` entries do not count.
        allow_training_subjects: evaluate them all the same, and mark the report.

    Attributes:
        data: `{"subject": name, "path": file}` for each subject.
        marks: what a report must say of them in large letters.

    Raises:
        ValueError: a subject is not held out; it is named, with where it was seen. Or see `read_datalist`.
        FileNotFoundError: see `read_datalist`.
    """

    def __init__(
        self,
        *,
        path: str | os.PathLike,
        section: str,
        weights: Sequence[str | os.PathLike | None] = (),
        allow_training_subjects: bool = False,
    ) -> None:
        self.data = read_datalist(path, section)
        self.marks: list[str] = []
        self._scans = {entry["subject"]: scan_fingerprints(entry["path"]) for entry in self.data}
        files = [Path(file) for file in weights if file is not None]
        seen = self._seen(path, section, files)
        if seen and not allow_training_subjects:
            first, why = next(iter(seen.items()))
            raise ValueError(
                f"{len(seen)} of the {len(self.data)} subjects in section '{section}' of '{path}' are not held out: "
                f"'{first}' {why}. {WAY_OUT}"
            )
        if seen:
            names = ", ".join(seen)
            self.marks.insert(
                0, f"Evaluated on subjects that were not held out ({names}): others will see other figures."
            )
        for file in files:
            self._mark_choice(file, section)
            self._mark_names(file, without=seen)
        for mark in self.marks:
            logger.warning("%s", mark)

    def _seen(self, path: str | os.PathLike, section: str, weights: list[Path]) -> dict[str, str]:
        """Return the subjects that were seen, and how that is known; mark what cannot be known."""
        if section == TRAINING:
            return {entry["subject"]: f"stands in section '{TRAINING}'" for entry in self.data}
        places = self._sections(path, without=section)
        for file in weights:
            places[f"the record '{record_path(file)}'"] = read_record(file)
            if not record_path(file).is_file():
                self.marks.append(f"{file.name} does not tell whom it was trained on; only the datalist was checked.")
            unknown = [name for name, scans in read_record(file).items() if not scans]
            if unknown:
                self.marks.append(
                    f"{file.name} was trained on others too, of whom no scan is known: {', '.join(unknown)}."
                )
        seen: dict[str, str] = {}
        for place, subjects in places.items():
            for name, owner in self._owners(subjects).items():
                seen.setdefault(name, f"has a scan of '{owner}' in {place}")
        return seen

    def _owners(self, subjects: Subjects) -> dict[str, str]:
        """Return who of `data` has a scan of one of these subjects, and of which one."""
        owners = {scan: name for name, scans in subjects.items() for scan in scans.values()}
        same = {
            name: [owners[scan] for scan in scans.values() if scan in owners] for name, scans in self._scans.items()
        }
        return {name: found[0] for name, found in same.items() if found}

    def _mark_choice(self, file: Path, section: str) -> None:
        """Mark those by whom the weights were chosen, or may have been: the best of many is best on them."""
        selected_by = read_selected_by(file)
        if selected_by is None and section == VALIDATION:
            self.marks.append(
                f"{file.name} may have been chosen by these very subjects: they are of section {VALIDATION}."
            )
        chosen_by = self._owners(selected_by or {})
        if chosen_by:
            self.marks.append(
                f"{file.name} was chosen by its quality on subjects that are evaluated here ({', '.join(chosen_by)}): "
                "its figures are a little too good. Evaluate others for figures that hold."
            )

    def _mark_names(self, file: Path, *, without: Collection[str]) -> None:
        """Mark those who may be persons of the training whose scans were changed so that nothing tells."""
        trained = {own_name(name) for name in read_record(file)}
        same = [name for name in self._scans if own_name(name) in trained and name not in without]
        if same:
            self.marks.append(
                f"{file.name} was trained on subjects of the same names with other scans ({', '.join(same)}): check "
                "that they are other persons."
            )

    def _sections(self, path: str | os.PathLike, *, without: str) -> dict[str, Subjects]:
        """Return the scans of the other sections; where their files are on another machine, mark that."""
        found: dict[str, Subjects] = {}
        for section in sections_of(path):
            if section == without:
                continue
            try:
                entries = read_datalist(path, section)
            except FileNotFoundError:
                self.marks.append(
                    f"Files of section '{section}' are not here, so it was not checked for the same scans."
                )
                continue
            found[f"section '{section}'"] = {entry["subject"]: scan_fingerprints(entry["path"]) for entry in entries}
        return found
