"""`unicoal prepare`: scans (NIfTI, DICOM, MetaImage, NRRD, ...) into subject files and a datalist."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence

from ..command_line import SOME_FAILED, Numbers, Pairs, Switch, Words
from ..preparation.cohort import INDEX_NAME, MANIFEST_NAME, PreparationReport, prepare_cohort
from ..preparation.layouts import find_layout
from ..preparation.manifest import PREPARED
from ..preparation.options import PreparationSteps
from ..preparation.subject_files import SubjectFiles, add_masks, find_subjects, read_table

logger = logging.getLogger(__name__)

PATTERN = "{subject}/{modality}.nii.gz"


def prepare(
    *,
    output: str,
    input: str | None = None,
    layout: str | None = None,
    pattern: str | None = None,
    table: str | None = None,
    modalities: Words | None = None,
    names: Pairs | None = None,
    bias_correction: bool = False,
    register_to: str | None = None,
    spacing: float | None = None,
    crop: str = "none",
    margin: float = 5.0,
    mask: str | None = None,
    thin_axes: Words = "auto",
    nan_background: bool = False,
    split: Numbers | None = None,
    seed: int = 0,
    allow_missing: bool = False,
    overwrite: bool = False,
    workers: int | None = None,
    quality: Switch = True,
) -> int:
    """Turn scans into training data: subject files, datalist.json, manifest.csv and quality/index.html.

    A known collection (ixi, brats, bids, dicom), all scans registered to T1:

        unicoal prepare --input IXI --layout ixi --register_to t1 --output DATA

    A folder, by the paths of its scans (NIfTI, DICOM, MetaImage, NRRD, ...), or a table:

        unicoal prepare --input SCANS --pattern "{subject}/{modality}.nii.gz" --modalities t1,t2,flair --output DATA
        unicoal prepare --table subjects.csv --output DATA

    Without --register_to and --spacing the scans of one subject must be on one grid. The same command continues a
    preparation that was stopped or failed: finished subjects are kept unless their scans or the options have changed.

    Exit status: 0 all subjects are prepared; 1 error; 2 wrong usage; 3 some subjects failed, listed at the end, the
    others are prepared; 130 or 143 stopped.

    Args:
        output: folder for the results.
        input: folder with the scans; or give table.
        layout: layout of the input folder: ixi, brats, bids, or dicom (one folder per subject); or give pattern.
        pattern: path of a scan below input, with {subject} and {modality}; * stands for anything. The default is
            {subject}/{modality}.nii.gz; a folder that matches is read as DICOM.
        table: CSV with the columns subject, one per modality (paths relative to the CSV), optionally section, person
            (whose scans never go into different sections), session and mask.
        modalities: names in the order that gives the class index, such as t1,t2,flair; by default all of a table or
            layout.
        names: spelling in file names where it differs, such as t1=T1w,t2=T2w.
        bias_correction: correct the bias field of the receive coils in every scan (N4).
        register_to: modality that all others are registered to, rigidly, and whose grid they get.
        spacing: edge in mm of the cubic voxels of all scans; without register_to they are aligned by their headers.
        crop: none, foreground (around the head), or brain (around the mask, 0 outside of it).
        margin: margin in mm around the cropped region.
        mask: pattern of the brain masks below input, with {subject}, in the world space of the reference.
        thin_axes: planes in which every scan has truly thin slices, such as axial,sagittal, or none; auto measures them
            from each scan's spectrum. Only along these are slices made thick, in training and in evaluation.
        nan_background: take NaN in a scan as background, 0, with a warning; otherwise such a scan fails.
        split: fractions for training, validation and test, 0.8,0.1,0.1 by default; not with a section column.
        seed: seed of the random split.
        allow_missing: accept subjects that lack some modalities.
        overwrite: rebuild finished subjects too, and replace their files even without a record of how they were made.
        workers: number of processes, each with one subject and one thread; by default one per processor.
        quality: draw a quality panel of each subject.
    """
    steps = PreparationSteps(
        bias_correction=bias_correction,
        register_to=register_to,
        spacing=spacing,
        crop=crop,
        margin=margin,
        thin_axes=_planes(thin_axes),
        nan_background=nan_background,
    )
    wanted = _words(modalities)
    subjects = _subjects(input, layout, pattern, table, wanted, dict(names or {}))
    report = prepare_cohort(
        _masked(subjects, input, mask, steps),
        modalities=wanted or _all_modalities(subjects),
        output=output,
        split=split,
        seed=seed,
        allow_missing=allow_missing,
        overwrite=overwrite,
        steps=steps,
        workers=workers,
        quality=quality,
    )
    _log_report(report, quality)
    return SOME_FAILED if report.failed else 0


def _subjects(
    folder: str | None,
    layout: str | None,
    pattern: str | None,
    table: str | None,
    modalities: list[str] | None,
    names: Mapping[str, str],
) -> list[SubjectFiles]:
    """Find the subjects by exactly one of folder and table, and at most one of layout and pattern."""
    if (folder is None) == (table is None):
        raise ValueError(
            "give either --input (a folder, with --layout, or --pattern and --modalities) or --table (a CSV)."
        )
    if layout is not None and (pattern is not None or table is not None):
        raise ValueError(f"--layout {layout} defines where the scans are; give it without --pattern and --table.")
    if table is not None:
        return read_table(table, modalities=modalities)
    if layout is not None:
        return find_layout(str(folder), layout=layout, modalities=modalities, names=names)
    if modalities is None:
        raise ValueError("--input needs --modalities, such as --modalities t1,t2,flair, or a --layout.")
    return find_subjects(str(folder), pattern=pattern or PATTERN, modalities=modalities, names=names)


def _masked(
    subjects: list[SubjectFiles], folder: str | None, mask: str | None, steps: PreparationSteps
) -> list[SubjectFiles]:
    """Add the masks that match the pattern."""
    if mask is None:
        return subjects
    if folder is None or steps.crop != "brain":
        raise ValueError("--mask is for --crop brain with --input; in a --table, give the masks in a column mask.")
    return add_masks(subjects, str(folder), pattern=mask)


def _all_modalities(subjects: Sequence[SubjectFiles]) -> list[str]:
    """Return all modalities, in the order of the first subject with the most."""
    by_number = sorted(subjects, key=lambda item: -len(item.files))
    return list(dict.fromkeys(name for item in by_number for name in item.files))


def _words(value: str | Sequence[str] | None) -> list[str] | None:
    """Return one word or several as a list."""
    return None if value is None else [value] if isinstance(value, str) else list(value)


def _planes(value: str | Sequence[str]) -> tuple[str, ...] | None:
    """Return the named planes; `None` for auto, empty for none."""
    words = tuple(_words(value) or ())
    if words == ("auto",):
        return None
    return () if words == ("none",) else words


def _log_report(report: PreparationReport, quality: bool) -> None:
    """Log the written files, the number of subjects per status, and the failures with their reasons."""
    counts = ", ".join(f"{len(subjects)} {section}" for section, subjects in report.sections.items())
    logger.info("wrote %s: %s", report.datalist, counts)
    for section, subjects in report.sections.items():
        if not subjects:
            logger.info("note: no subject for %s", section)
    numbers = Counter(result.status for result in report.results)
    logger.info("%s", ", ".join(f"{number} {status}" for status, number in numbers.items()))
    rebuilt = Counter(result.reason for result in report.results if result.status == PREPARED and result.reason)
    for reason, number in rebuilt.items():
        logger.info("%d %s", number, reason)
    for words, number in _thin_counts(report).items():
        logger.info("truly thin slices: %s (%d)", words, number)
    logger.info("manifest of all scans: %s", report.datalist.with_name(MANIFEST_NAME))
    if quality:
        logger.info("quality panels: %s", report.datalist.parent / INDEX_NAME)
    for subject, reason in report.failed.items():
        logger.error("FAILED %s: %s", subject, reason)


def _thin_counts(report: PreparationReport) -> Counter[str]:
    """Count the scans by modality and the planes in which they are truly thin."""
    return Counter(
        f"{name} {', '.join(known['thin_axes']['planes']) or 'in no plane'}"
        for result in report.results
        for name, known in result.history.get("modalities", {}).items()
    )
