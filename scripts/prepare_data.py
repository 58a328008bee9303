"""Turn scans (NIfTI, MetaImage, NRRD, ...) into subject files and a datalist.

From a folder: `--input scans --pattern "{subject}/{modality}.nii.gz" --modalities t1,t2,flair --output data`.
From a table: `--table subjects.csv --output data`.
"""

import logging
import sys
from collections.abc import Mapping, Sequence

from unicoal_components.command_line import run_command
from unicoal_components.data.prepare import PreparationReport, prepare_cohort
from unicoal_components.data.subject_files import SubjectFiles, find_subjects, read_table

logger = logging.getLogger("prepare_data")


def prepare_data(
    *,
    output: str,
    input: str | None = None,
    pattern: str = "{subject}/{modality}.nii.gz",
    table: str | None = None,
    modalities: str | Sequence[str] | None = None,
    names: str | Sequence[str] | Mapping[str, str] | None = None,
    split: Sequence[float] | None = None,
    seed: int = 0,
    allow_missing: bool = False,
    overwrite: bool = False,
) -> None:
    """Prepare scans for training; the scans of one subject must lie on one grid.

    Exit status 0: all subjects prepared; 1: at least one failed (named at the end, the others are there) or none could.

    Args:
        output: folder for the subject files and datalist.json.
        input: folder with the scans; or give table.
        pattern: place of a scan below input, with {subject} and {modality}; * stands for anything.
        table: CSV with the columns subject, one per modality (paths relative to the CSV), optionally section.
        modalities: names in the order that gives the class index, such as t1,t2,flair; for a table, all its columns.
        names: spelling in file names where it differs, such as t1=T1w,t2=T2w.
        split: fractions for training, validation and test, 0.8,0.1,0.1 by default; not with a section column.
        seed: of the draw of the split.
        allow_missing: accept subjects that lack some modalities.
        overwrite: replace earlier results of the same subjects in output.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    wanted = _words(modalities)
    subjects = _subjects(input, pattern, table, wanted, _spellings(names))
    report = prepare_cohort(
        subjects,
        modalities=wanted or list(dict.fromkeys(name for item in subjects for name in item.files)),
        output=str(output),
        split=split,
        seed=seed,
        allow_missing=allow_missing,
        overwrite=overwrite,
    )
    _tell(report)
    if report.failed:
        sys.exit(1)


def _subjects(
    folder: str | None, pattern: str, table: str | None, modalities: list[str] | None, names: Mapping[str, str]
) -> list[SubjectFiles]:
    """Find the subjects by exactly one of folder and table."""
    if (folder is None) == (table is None):
        raise ValueError("give either --input (a folder, with --pattern and --modalities) or --table (a CSV).")
    if table is not None:
        return read_table(str(table), modalities=modalities)
    if modalities is None:
        raise ValueError("--input needs --modalities, such as --modalities t1,t2,flair.")
    return find_subjects(str(folder), pattern=pattern, modalities=modalities, names=names)


def _words(value: str | Sequence[str] | None) -> list[str] | None:
    """Split a comma separated value; fire has already done so where it looks like a tuple."""
    if value is None:
        return None
    parts = value.split(",") if isinstance(value, str) else value
    return [str(part).strip() for part in parts]


def _spellings(value: str | Sequence[str] | Mapping[str, str] | None) -> dict[str, str]:
    """Read t1=T1w,t2=T2w."""
    if isinstance(value, Mapping):
        return {str(key): str(spelling) for key, spelling in value.items()}
    result = {}
    for word in _words(value) or []:
        modality, separator, spelling = word.partition("=")
        if not (modality and separator and spelling):
            raise ValueError(f"names '{value}' must be pairs such as t1=T1w,t2=T2w.")
        result[modality] = spelling
    return result


def _tell(report: PreparationReport) -> None:
    """Say what was written, and who failed and why."""
    counts = ", ".join(f"{len(subjects)} {section}" for section, subjects in report.sections.items())
    logger.info("wrote %s: %s", report.datalist, counts)
    for section, subjects in report.sections.items():
        if not subjects:
            logger.info("note: no subject for %s", section)
    for subject, reason in report.failed.items():
        logger.error("FAILED %s: %s", subject, reason)


if __name__ == "__main__":
    run_command(prepare_data)
