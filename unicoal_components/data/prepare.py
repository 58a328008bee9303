"""From scans to subject files and a datalist."""

import logging
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from .datalist import SECTIONS, write_datalist
from .hdf5 import write_subject
from .intensity import percentile_range, scale_to_uint8
from .scan import Scan, read_scan
from .split import split_subjects
from .subject_files import SubjectFiles, check_modalities

logger = logging.getLogger(__name__)

DATALIST_NAME = "datalist.json"
DEFAULT_SPLIT = (0.8, 0.1, 0.1)
GRID_TOLERANCE = 1e-3


@dataclass(frozen=True)
class PreparationReport:
    """What became of a cohort.

    Attributes:
        datalist: the JSON that was written.
        sections: per section the subjects that were prepared.
        failed: per subject that was not, the reason.
    """

    datalist: Path
    sections: Mapping[str, list[str]]
    failed: Mapping[str, str]


def prepare_cohort(
    subjects: Sequence[SubjectFiles],
    *,
    modalities: Sequence[str],
    output: str | os.PathLike,
    split: Sequence[float] | None = None,
    seed: int = 0,
    allow_missing: bool = False,
    overwrite: bool = False,
) -> PreparationReport:
    """Write `<subject>.h5` for every subject, and `datalist.json` for those that succeeded.

    A subject that fails is reported with its reason and the others go on (the official preparation drops it without a
    word). Sections are drawn before the first scan is read, so a failure moves nobody else to another section.

    Args:
        subjects: their files; with a section for all of them, or for none.
        modalities: lower-case names in the order that gives the class index.
        output: folder, made if need be. It must hold no subject files or datalist yet, unless `overwrite`.
        split: fractions of training, validation, test where subjects have no section; `None`: 0.8, 0.1, 0.1.
        seed: of the draw of the sections.
        allow_missing: accept subjects that lack some of the modalities (not all).
        overwrite: replace the files of these subjects and the datalist. Other subjects' files are never touched, and
            are refused, so that two data sets do not mix in one folder.

    Raises:
        ValueError: unusable arguments, an output folder in use, or no subject could be prepared.
        OSError: the output folder or the datalist cannot be written.
    """
    check_modalities(modalities)
    sections = _sections(subjects, split, seed)
    output = Path(output).absolute()
    _check_output(output, [item.subject for item in subjects], overwrite)
    entries: dict[str, list[dict[str, str]]] = {name: [] for name in SECTIONS}
    failed: dict[str, str] = {}
    with logging_redirect_tqdm():
        for item in tqdm(subjects, desc="preparing", unit="subject"):
            path = output / f"{item.subject}.h5"
            try:
                prepare_subject(item, path, modalities=modalities, allow_missing=allow_missing)
            except Exception as error:  # whatever is wrong with one subject must not stop the others
                failed[item.subject] = str(error) or type(error).__name__
                logger.debug("subject '%s' failed", item.subject, exc_info=True)
            else:
                entries[sections[item.subject]].append({"subject": item.subject, "path": path.name})
    if len(failed) == len(subjects):
        reasons = "; ".join(f"{subject}: {reason}" for subject, reason in list(failed.items())[:3])
        raise ValueError(f"none of the {len(subjects)} subjects could be prepared, nothing was written. {reasons}")
    datalist = output / DATALIST_NAME
    write_datalist(datalist, sections=entries, modalities=modalities)
    return PreparationReport(datalist, {name: [e["subject"] for e in entries[name]] for name in SECTIONS}, failed)


def prepare_subject(
    item: SubjectFiles, path: str | os.PathLike, *, modalities: Sequence[str], allow_missing: bool = False
) -> None:
    """Read one subject's scans, check that they share a grid, scale their intensities and write the subject file.

    Raises:
        ValueError: a missing modality, an unusable scan, different grids.
        OSError: a scan that cannot be read, a file that cannot be written.
    """
    missing = [name for name in modalities if name not in item.files]
    if missing and (not allow_missing or len(missing) == len(modalities)):
        raise ValueError(
            f"subject '{item.subject}' has no file for {missing}, only for {sorted(item.files)}. "
            "Add the scan, leave the subject out, or allow subjects with missing modalities (--allow_missing)."
        )
    scans = {name: read_scan(item.files[name]) for name in modalities if name in item.files}
    check_common_grid(list(scans.values()))
    scaled = {name: scale_intensity(scan) for name, scan in scans.items()}
    write_subject(
        path,
        volumes={name: volume for name, (volume, _) in scaled.items()},
        affine=next(iter(scans.values())).affine,
        intensity={name: limits for name, (_, limits) in scaled.items()},
        sources={name: scan.path.name for name, scan in scans.items()},
    )


def check_common_grid(scans: Sequence[Scan]) -> None:
    """Refuse scans that do not share one grid with the first, after reorientation.

    Shapes must be equal and affines agree within 0.001 of the smallest spacing in every entry.

    Raises:
        ValueError: names both files and how far apart their grids are.
    """
    first = scans[0]
    for scan in scans[1:]:
        same_shape = scan.stack.shape == first.stack.shape
        tolerance = GRID_TOLERANCE * first.spacing.min()
        if same_shape and np.abs(scan.affine - first.affine).max() <= tolerance:
            continue
        raise ValueError(
            f"scans '{first.path}' and '{scan.path}' lie on different grids: {_describe(first)} against "
            f"{_describe(scan)}. Register and resample them onto one grid first; this step does not."
        )


def _describe(scan: Scan) -> str:
    """Return shape, spacing and origin in the words of an error."""
    depth, height, width = scan.stack.shape
    spacing = " x ".join(f"{value:.4g}" for value in scan.spacing)
    origin = ", ".join(f"{value:.2f}" for value in scan.affine[:3, 3])
    return f"{width} x {height} x {depth} voxels of {spacing} mm from ({origin})"


def scale_intensity(scan: Scan) -> tuple[np.ndarray, tuple[float, float]]:
    """Scale a scan to uint8 between the percentiles 0.5 and 99.5 of its non-zero voxels.

    low and high are the percentiles p; v = round(255 clamp((x - low) / (high - low), 0, 1)). Voxels that are exactly 0
    are background and stay 0, so that a skull-stripped scan keeps a clean surround whatever low is.

    Returns:
        The uint8 stack `(D, H, W)` and (low, high) in the scan's own units.

    Raises:
        ValueError: the two percentiles are equal.
    """
    try:
        low, high = percentile_range(scan.stack)
    except ValueError as error:
        raise ValueError(f"scan '{scan.path}': {error}") from error
    return scale_to_uint8(scan.stack, low, high), (low, high)


def _sections(subjects: Sequence[SubjectFiles], split: Sequence[float] | None, seed: int) -> dict[str, str]:
    """Return the section of every subject: as given, or drawn."""
    names = [item.subject for item in subjects]
    unusable = [name for name in names if not name or name != os.path.basename(name) or name.startswith(".")]
    if not names or unusable or len(set(names)) < len(names):
        raise ValueError(
            f"subjects {names or '[]'} must be at least one, each with its own name that can be a file name; "
            f"not usable: {unusable}."
        )
    given = {item.subject: item.section for item in subjects if item.section is not None}
    if not given:
        return split_subjects(names, fractions=DEFAULT_SPLIT if split is None else split, seed=seed)
    if len(given) < len(names) or split is not None:
        raise ValueError(
            f"{len(given)} of {len(names)} subjects have a section, and split is {split}: give a section to all "
            "subjects and no split, or no section to any."
        )
    return given


def _check_output(output: Path, subjects: Sequence[str], overwrite: bool) -> None:
    """Make the output folder, and refuse one that cannot be written or holds other results."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=output):
            pass
    except OSError as error:
        raise OSError(
            f"cannot write into the output folder '{output}': {error.strerror}. Choose one that you may write to."
        ) from error
    ours = {f"{subject}.h5" for subject in subjects}
    present = {path.name for path in output.glob("*.h5")}
    foreign = sorted(present - ours)
    if foreign:
        raise ValueError(
            f"output folder '{output}' holds {len(foreign)} files of other subjects, such as '{foreign[0]}'. "
            "Choose another folder, or remove those files yourself."
        )
    if not overwrite and (present or (output / DATALIST_NAME).exists()):
        raise ValueError(
            f"output folder '{output}' already holds results. Choose another folder, or replace them with --overwrite."
        )
