"""Preparation of a cohort: subject files, a datalist, a manifest and quality panels."""

import logging
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from ..datasets.datalist import SECTIONS, write_datalist
from ..datasets.hdf5 import read_header, read_history
from ..files.atomic import remove_partials
from ..files.writable import check_writable
from ..runtime.workers import default_workers, run_jobs
from ..scans.checksums import sha256_of
from .manifest import FAILED, PREPARED, UP_TO_DATE, SubjectResult, quality_name, write_manifest
from .options import PreparationSteps
from .provenance import make_recipe
from .quality_index import write_quality_index
from .quality_panel import save_quality_panel
from .split import split_subjects
from .subject import NO_STEPS, prepare_subject, present_modalities
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


@dataclass(frozen=True)
class Job:
    """Arguments for the preparation of one subject in a worker process."""

    item: SubjectFiles
    section: str
    output: Path
    modalities: tuple[str, ...]
    allow_missing: bool
    steps: PreparationSteps
    overwrite: bool
    quality: bool

    @property
    def path(self) -> Path:
        """Path of the subject file."""
        return self.output / f"{self.item.subject}.h5"


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
        workers: number of processes; 1 uses this process only, `None` one per processor.
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
    _check_output(output, [item.subject for item in subjects], overwrite)
    jobs = [
        Job(item, sections[item.subject], output, tuple(modalities), allow_missing, steps, overwrite, quality)
        for item in subjects
    ]
    results = _run(jobs, default_workers(len(jobs)) if workers is None else workers, quality)
    failed = {result.item.subject: result.reason for result in results if result.status == FAILED}
    if len(failed) == len(subjects):
        reasons = "; ".join(f"{subject}: {reason}" for subject, reason in list(failed.items())[:3])
        raise ValueError(
            f"none of the {len(subjects)} subjects could be prepared; all reasons are in '{output / MANIFEST_NAME}'. "
            f"{reasons}"
        )
    entries: dict[str, list[dict[str, str]]] = {name: [] for name in SECTIONS}
    for result in results:
        if result.status != FAILED:
            entries[result.section].append({"subject": result.item.subject, "path": result.output})
    datalist = output / DATALIST_NAME
    write_datalist(datalist, sections=entries, modalities=modalities)
    prepared = {name: [entry["subject"] for entry in entries[name]] for name in SECTIONS}
    return PreparationReport(datalist, prepared, failed, results)


def _run(jobs: Sequence[Job], workers: int, quality: bool) -> list[SubjectResult]:
    """Run the jobs; write the manifest and the index of all finished jobs, even after an interruption."""
    done: dict[str, SubjectResult] = {}
    try:
        with logging_redirect_tqdm(), tqdm(total=len(jobs), desc="preparing", unit="subject") as progress:
            for job, result in run_jobs(run_job, jobs, workers=workers, died=_killed):
                done[job.item.subject] = result
                progress.update()
    finally:
        results = [done[job.item.subject] for job in jobs if job.item.subject in done]
        for job in jobs:
            remove_partials(job.path)
        if results:
            write_manifest(jobs[0].output / MANIFEST_NAME, results, modalities=jobs[0].modalities)
        if results and quality:
            write_quality_index(jobs[0].output / INDEX_NAME, results, modalities=jobs[0].modalities)
    return results


def run_job(job: Job) -> SubjectResult:
    """Prepare one subject unless its file is up to date; an error becomes the reason of its failure."""
    start = time.perf_counter()
    try:
        status, reason = _update(job)
        result = _read_result(job, status, reason)
    except Exception as error:  # no error of one subject may stop the others
        logger.debug("subject '%s' failed", job.item.subject, exc_info=True)
        result = SubjectResult(job.item, FAILED, str(error) or type(error).__name__, job.section)
    return replace(result, seconds=time.perf_counter() - start)


def _update(job: Job) -> tuple[str, str]:
    """Bring the subject file and its panel up to date; return the status and why a finished file was rebuilt."""
    history = None if job.overwrite else read_history(job.path)
    reason = "rebuilt because of --overwrite" if job.overwrite and job.path.exists() else ""
    status = UP_TO_DATE
    recipe = make_recipe(job.item, present_modalities(job.item, job.modalities, job.allow_missing), job.steps)
    if history is None or (reason := _difference(recipe, history["recipe"])):
        prepare_subject(
            job.item,
            job.path,
            modalities=job.modalities,
            allow_missing=job.allow_missing,
            steps=job.steps,
            recipe=recipe,
        )
        status = PREPARED
    panel = job.output / quality_name(job.item.subject)
    if job.quality and (status == PREPARED or not panel.exists()):
        save_quality_panel(panel, job.path, title=job.item.subject)
    return status, reason


def _difference(recipe: Mapping[str, Any], before: Mapping[str, Any]) -> str:
    """Return why a finished subject must be rebuilt; empty if its recipe has not changed."""
    changed = [name for name in sorted({*recipe, *before}) if recipe.get(name) != before.get(name)]
    return f"rebuilt because of changed {', '.join(changed)}" if changed else ""


def _read_result(job: Job, status: str, reason: str) -> SubjectResult:
    """Return the result of a prepared subject, read from its file."""
    header = read_header(job.path)
    return SubjectResult(
        job.item,
        status,
        reason,
        job.section,
        output=job.path.name,
        output_sha256=sha256_of(job.path),
        shape=header.shape[::-1],
        spacing=tuple(round(value, 4) for value in (header.spacing or ())[::-1]),
        history=read_history(job.path) or {},
    )


def _killed(job: Job) -> SubjectResult:
    """Return the result of a subject whose worker process ended before it was finished."""
    reason = (
        f"the process that prepared subject '{job.item.subject}' was killed, often because memory ran out. Run the "
        "same command again with fewer --workers."
    )
    return SubjectResult(job.item, FAILED, reason, job.section)


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
    """Create the output folder; raise an error if it cannot be written or holds results of other origin."""
    check_writable(output)
    output.mkdir(parents=True, exist_ok=True)
    present = {path.name for path in output.glob("*.h5")}
    foreign = sorted(present - {f"{subject}.h5" for subject in subjects})
    if foreign:
        raise ValueError(
            f"output folder '{output}' holds {len(foreign)} files of other subjects, such as '{foreign[0]}'. "
            "Choose another folder, or remove those files yourself."
        )
    unknown = [name for name in sorted(present) if read_history(output / name) is None]
    if (output / DATALIST_NAME).exists() and not (output / MANIFEST_NAME).exists():
        unknown.append(DATALIST_NAME)
    if unknown and not overwrite:
        raise ValueError(
            f"output folder '{output}' already holds results without a record of how they were made, such as "
            f"'{unknown[0]}'. Choose another folder, or replace them with --overwrite."
        )
