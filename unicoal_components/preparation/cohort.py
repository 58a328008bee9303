"""Preparation of a cohort: subject files, a datalist, a manifest and quality panels."""

import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tqdm.auto import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from ..datasets.datalist import SECTIONS, write_datalist
from ..datasets.hdf5 import read_history
from ..files.claim import Claim, claimed
from ..files.writable import check_replaceable
from ..interruption import advise
from ..runtime.workers import default_workers, run_jobs
from .job import Job, killed, run_job
from .manifest import FAILED, SubjectResult, write_manifest
from .options import PreparationSteps
from .quality_index import write_quality_index
from .repeated_scans import check_repeated_scans
from .split import split_subjects
from .subject import NO_STEPS
from .subject_files import SubjectFiles, check_modalities

logger = logging.getLogger(__name__)

DATALIST_NAME = "datalist.json"
MANIFEST_NAME = "manifest.csv"
INDEX_NAME = "quality/index.html"
DEFAULT_SPLIT = (0.8, 0.1, 0.1)


@dataclass(frozen=True)
class PreparationReport:
    """Result of `prepare_cohort`.

    Attributes:
        datalist: path of the JSON file that was written.
        sections: per section the names of the subjects with a subject file.
        failed: per failed subject the reason.
        results: per subject, in the order given, what the manifest records.
    """

    datalist: Path
    sections: Mapping[str, list[str]]
    failed: Mapping[str, str]
    results: Sequence[SubjectResult] = ()


def prepare_cohort(
    subjects: Sequence[SubjectFiles],
    *,
    modalities: Sequence[str],
    output: str | os.PathLike,
    split: Sequence[float] | None = None,
    seed: int = 0,
    allow_missing: bool = False,
    overwrite: bool = False,
    steps: PreparationSteps = NO_STEPS,
    workers: int | None = 1,
    quality: bool = False,
) -> PreparationReport:
    """Write `<subject>.h5` for every subject, `datalist.json` for those that succeeded, `manifest.csv` for all.

    If a subject fails, its reason is recorded and the preparation continues with the others (the official preparation
    drops it silently). Sections are drawn before the first scan is read, so a failure does not change the section of
    another subject. Subjects that an earlier call finished with the same options from the same scans are kept; the
    others are prepared again. So the same call continues a preparation that was stopped.

    Args:
        subjects: files of each subject; with a section for all subjects or for none.
        modalities: lower-case names in the order that gives the class index.
        output: folder for the results, created if it does not exist.
        split: fractions of training, validation and test if subjects have no section; `None` is 0.8, 0.1, 0.1.
        seed: seed of the random split.
        allow_missing: accept subjects that lack some of the modalities (not all).
        overwrite: prepare all subjects again, and replace their files even without a record of how they were made.
            Files of other subjects are an error and never changed, so that two data sets do not mix in one folder.
        steps: optional steps before the intensities are scaled.
        workers: number of processes, `None` = one per processor; 1 is this process, unless a step is one long call that
            Ctrl-C could not stop.
        quality: also draw `quality/<subject>.png` and `quality/index.html`.

    Returns:
        The sections, the failures and one result per subject.

    Raises:
        ValueError: an argument is out of its range, the output folder is in use, or no subject could be prepared.
        OSError: the output folder or the datalist cannot be written.
    """
    check_modalities(modalities)
    steps.check_modality(modalities)
    if workers is not None and (not isinstance(workers, int) or workers < 1):
        raise ValueError(f"workers is {workers!r}; it must be a number of processes, at least 1.")
    sections = _sections(subjects, split, seed)
    output = Path(output).absolute()
    with claimed(output, "quality") as claim:
        _check_output(output, [item.subject for item in subjects], overwrite)
        jobs = [
            Job(item, sections[item.subject], output, tuple(modalities), allow_missing, steps, overwrite, quality)
            for item in subjects
        ]
        results = _run(jobs, default_workers(len(jobs)) if workers is None else workers, claim)
        prepared = [result for result in results if result.status != FAILED]
        failed = {result.item.subject: result.reason for result in results if result.status == FAILED}
        if not prepared:
            reasons = "; ".join(
                f"{subject}: {reason.removesuffix('.')}" for subject, reason in list(failed.items())[:3]
            )
            raise ValueError(
                f"none of the {len(subjects)} subjects could be prepared; all reasons are in "
                f"'{output / MANIFEST_NAME}'. {reasons}."
            )
        check_repeated_scans(prepared)
        _warn_of_absent(prepared, modalities)
        entries = {
            section: [
                {"subject": result.item.subject, "path": result.output}
                for result in prepared
                if result.section == section
            ]
            for section in SECTIONS
        }
        datalist = output / DATALIST_NAME
        write_datalist(datalist, sections=entries, modalities=modalities)
        claim.check([DATALIST_NAME, MANIFEST_NAME, *(result.output for result in prepared)])
    names = {section: [entry["subject"] for entry in entries[section]] for section in SECTIONS}
    return PreparationReport(datalist, names, failed, results)


def _run(jobs: Sequence[Job], workers: int, claim: Claim) -> list[SubjectResult]:
    """Run the jobs; record all finished ones, even after an interruption."""
    done: dict[str, SubjectResult] = {}
    here = not jobs[0].steps.calls_long
    _advise(claim.folder, 0, len(jobs))
    try:
        with logging_redirect_tqdm(), tqdm(total=len(jobs), desc="preparing", unit="subject") as progress:
            for job, result in run_jobs(run_job, jobs, workers=workers, died=killed, here=here):
                claim.check()
                done[job.item.subject] = result
                _advise(claim.folder, len(done), len(jobs))
                progress.update()
    except BaseException:
        with suppress(OSError):  # the cause is the error that is raised already
            claim.check()
            _record(jobs, done)
        raise
    return _record(jobs, done)


def _advise(output: Path, done: int, subjects: int) -> None:
    """Say what is done of a preparation that a signal stops."""
    advise(f"{done} of {subjects} subjects are done in '{output}'; the same command continues.")


def _record(jobs: Sequence[Job], done: Mapping[str, SubjectResult]) -> list[SubjectResult]:
    """Write the manifest and the index of all finished jobs; return their results in the order of the jobs."""
    results = [done[job.item.subject] for job in jobs if job.item.subject in done]
    first = jobs[0]
    if results:
        write_manifest(first.output / MANIFEST_NAME, results, modalities=first.modalities)
    if results and first.quality:
        write_quality_index(first.output / INDEX_NAME, results, modalities=first.modalities)
    return results


def _warn_of_absent(prepared: Sequence[SubjectResult], modalities: Sequence[str]) -> None:
    """Warn of a modality of the datalist that no subject file has."""
    present = {name for result in prepared for name in result.history.get("modalities", {})}
    for name in modalities:
        if name not in present:
            logger.warning(
                "no subject has a scan of %s, which is listed in the datalist all the same: leave it out of "
                "--modalities, or correct the column or spelling that it is found by",
                name,
            )


def _sections(subjects: Sequence[SubjectFiles], split: Sequence[float] | None, seed: int) -> dict[str, str]:
    """Return the section of every subject: the given one, or a drawn one."""
    names = [item.subject for item in subjects]
    unusable = [name for name in names if not name or name != os.path.basename(name) or name.startswith(".")]
    if not names or unusable or len(set(names)) < len(names):
        raise ValueError(
            f"subjects is {names}; give at least one, each with a different name that can be a file name; not usable: "
            f"{unusable}."
        )
    given = {item.subject: item.section for item in subjects if item.section is not None}
    persons = {item.subject: item.person or item.subject for item in subjects}
    if not given:
        return split_subjects(names, fractions=DEFAULT_SPLIT if split is None else split, seed=seed, persons=persons)
    if len(given) < len(names) or split is not None:
        raise ValueError(
            f"{len(given)} of {len(names)} subjects have a section, and split is {split}: give a section to all "
            "subjects and no split, or no section to any."
        )
    for person in persons.values():
        example_of = {given[name]: name for name in names if persons[name] == person}
        if len(example_of) > 1:
            raise ValueError(
                f"person '{person}' is in several sections, {example_of}; give all their scans the same section."
            )
    return given


def _check_output(output: Path, subjects: Sequence[str], overwrite: bool) -> None:
    """Raise an error if the output folder holds results of other origin."""
    present = {path.name for path in output.glob("*.h5")}
    foreign = sorted(present - {f"{subject}.h5" for subject in subjects})
    if foreign:
        raise ValueError(
            f"output folder '{output}' holds {len(foreign)} files of other subjects, such as '{foreign[0]}'. "
            "Choose another folder, or remove those files yourself."
        )
    if not overwrite:
        check_replaceable(
            [*(output / name for name in sorted(present)), output / DATALIST_NAME],
            _is_prepared,
            remedy="Choose another folder, or replace it with --overwrite.",
        )


def _is_prepared(path: Path) -> bool:
    """Return whether there is a record of how a subject file or a datalist was made."""
    if path.name == DATALIST_NAME:
        return path.with_name(MANIFEST_NAME).exists()
    return "modalities" in (read_history(path) or {})  # simulated subjects have none
