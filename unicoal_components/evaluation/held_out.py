"""Select held-out subjects: those that the training has not seen."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Sequence
from pathlib import Path

from ..datasets.datalist import read_datalist, sections_of
from ..datasets.fingerprint import scan_fingerprints
from ..datasets.training_record import Subjects, own_name, read_record, read_selected_by
from ..files.checksum import record_path

logger = logging.getLogger(__name__)

TRAINING = "training"
VALIDATION = "validation"
HINT = (
    "Evaluate other subjects, or pass --allow_training_subjects true to evaluate them anyway; the report then shows a "
    "warning, as its results do not hold for subjects that the network has not seen."
)


class HeldOutSubjects:
    """Subjects of a section of the datalist, all held out from the training.

    A subject is not held out if it is in the section `training`, or if one of its scans, under whatever name, is also
    in another section or in the record next to the weights (`training_record.py`). An equal name alone is no reason, as
    every cohort has a subject 1, but an equal name in such a record gives a warning. So does a scan of the subjects by
    which the weights were selected.

    Args:
        path: the datalist.
        section: section to evaluate.
        weights: weights of the evaluated networks; the records next to them are checked too. `None` entries are
            ignored.
        allow_training_subjects: evaluate subjects that are not held out, with a warning instead of an error.

    Attributes:
        data: `{"subject": name, "path": file}` for each subject.
        marks: warnings that the report shows prominently.

    Raises:
        ValueError: a subject is not held out; the message names it and where it was seen. Or see `read_datalist`.
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
                f"'{first}' {why}. {HINT}"
            )
        if seen:
            names = ", ".join(seen)
            self.marks.insert(
                0, f"Evaluated on subjects that were not held out ({names}): results on new subjects will differ."
            )
        for file in files:
            self._warn_selection(file, section)
            self._warn_names(file, without=seen)
        for warning in self.marks:
            logger.warning("%s", warning)

    def _seen(self, path: str | os.PathLike, section: str, weights: list[Path]) -> dict[str, str]:
        """Return the subjects that were seen, with the reason; add a warning for what cannot be checked."""
        if section == TRAINING:
            return {entry["subject"]: f"stands in section '{TRAINING}'" for entry in self.data}
        sources = self._sections(path, without=section)
        for file in weights:
            sources[f"the record '{record_path(file)}'"] = read_record(file)
            if not record_path(file).is_file():
                self.marks.append(f"{file.name} has no record of its training subjects; only the datalist was checked.")
            unknown = [name for name, scans in read_record(file).items() if not scans]
            if unknown:
                self.marks.append(
                    f"{file.name} was also trained on subjects without a record of their scans: {', '.join(unknown)}."
                )
        seen: dict[str, str] = {}
        for source, subjects in sources.items():
            for name, owner in self._owners(subjects).items():
                seen.setdefault(name, f"has a scan of '{owner}' in {source}")
        return seen

    def _owners(self, subjects: Subjects) -> dict[str, str]:
        """Return the subjects of `data` that share a scan with one of these subjects, and that subject's name."""
        owners = {scan: name for name, scans in subjects.items() for scan in scans.values()}
        same = {
            name: [owners[scan] for scan in scans.values() if scan in owners] for name, scans in self._scans.items()
        }
        return {name: found[0] for name, found in same.items() if found}

    def _warn_selection(self, file: Path, section: str) -> None:
        """Warn of subjects by which the weights were selected, or may have been: results on them are biased."""
        selected_by = read_selected_by(file)
        if selected_by is None and section == VALIDATION:
            self.marks.append(
                f"{file.name} may have been selected by these same subjects: they are of section {VALIDATION}."
            )
        selecting = self._owners(selected_by or {})
        if selecting:
            self.marks.append(
                f"{file.name} was selected by its quality on subjects evaluated here ({', '.join(selecting)}): "
                "its results are slightly optimistic. Evaluate other subjects for unbiased results."
            )

    def _warn_names(self, file: Path, *, without: Collection[str]) -> None:
        """Warn of subjects with the name of a training subject: they may be the same person with modified scans."""
        trained = {own_name(name) for name in read_record(file)}
        same = [name for name in self._scans if own_name(name) in trained and name not in without]
        if same:
            self.marks.append(
                f"{file.name} was trained on subjects of the same names with other scans ({', '.join(same)}): check "
                "that they are different people."
            )

    def _sections(self, path: str | os.PathLike, *, without: str) -> dict[str, Subjects]:
        """Return the scans of the other sections; warn if their files are missing on this machine."""
        found: dict[str, Subjects] = {}
        for section in sections_of(path):
            if section == without:
                continue
            try:
                entries = read_datalist(path, section)
            except FileNotFoundError:
                self.marks.append(
                    f"Files of section '{section}' are missing here, so it was not checked for the same scans."
                )
                continue
            found[f"section '{section}'"] = {entry["subject"]: scan_fingerprints(entry["path"]) for entry in entries}
        return found
