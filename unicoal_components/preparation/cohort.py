"""From the scans of a cohort to subject files, a datalist, a manifest and pictures to look through."""

import logging
import os
import tempfile
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
from ..runtime.workers import default_workers, run_jobs
from ..scans.checksums import sha256_of
from .manifest import FAILED, PREPARED, UP_TO_DATE, Outcome, quality_name, write_manifest
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
    """What became of a cohort.

    Attributes:
        datalist: the JSON that was written.
        sections: per section the subjects that have a file now.
        failed: per subject that has none, the reason.
        outcomes: per subject, in the order given, all that the manifest tells.
    """

    datalist: Path
    sections: Mapping[str, list[str]]
    failed: Mapping[str, str]
    outcomes: Sequence[Outcome] = ()


@dataclass(frozen=True)
class Job:
    """All that a worker needs to prepare one subject."""

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
        """The subject file."""
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

    A subject that fails is reported with its reason and the others go on (the official preparation drops it without a
    word). Sections are drawn before the first scan is read, so a failure moves nobody else to another section. Subjects
    that an earlier call finished with the same options from the same scans are left as they are; the others are done
    again. So a call that was stopped is gone on with by the same call.

    Args:
        subjects: their files; with a section for all of them, or for none.
        modalities: lower-case names in the order that gives the class index.
        output: folder, made if need be.
        split: fractions of training, validation, test where subjects have no section; `None`: 0.8, 0.1, 0.1.
        seed: of the draw of the sections.
        allow_missing: accept subjects that lack some of the modalities (not all).
        overwrite: do all subjects again, and replace files of theirs that no preparation is known to have written.
            Other subjects' files are never touched, and are refused, so that two data sets do not mix in one folder.
        steps: what to do with the scans before they are scaled.
        workers: processes; 1: none but this one, `None`: one per processor.
        quality: also draw `quality/<subject>.png` and `quality/index.html`.

    Raises:
        ValueError: unusable arguments, an output folder in use, or no subject could be prepared.
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
    outcomes = _run(jobs, default_workers(len(jobs)) if workers is None else workers, quality)
    failed = {outcome.item.subject: outcome.reason for outcome in outcomes if outcome.status == FAILED}
    if len(failed) == len(subjects):
        reasons = "; ".join(f"{subject}: {reason}" for subject, reason in list(failed.items())[:3])
        raise ValueError(
            f"none of the {len(subjects)} subjects could be prepared; all reasons are in '{output / MANIFEST_NAME}'. "
            f"{reasons}"
        )
    entries: dict[str, list[dict[str, str]]] = {name: [] for name in SECTIONS}
    for outcome in outcomes:
        if outcome.status != FAILED:
            entries[outcome.section].append({"subject": outcome.item.subject, "path": outcome.output})
    datalist = output / DATALIST_NAME
    write_datalist(datalist, sections=entries, modalities=modalities)
    prepared = {name: [entry["subject"] for entry in entries[name]] for name in SECTIONS}
    return PreparationReport(datalist, prepared, failed, outcomes)


def _run(jobs: Sequence[Job], workers: int, quality: bool) -> list[Outcome]:
    """Do the jobs; write the manifest and the index of what is done, also when interrupted."""
    done: dict[str, Outcome] = {}
    try:
        with logging_redirect_tqdm(), tqdm(total=len(jobs), desc="preparing", unit="subject") as progress:
            for job, outcome in run_jobs(run_job, jobs, workers=workers, died=_died):
                done[job.item.subject] = outcome
                progress.update()
    finally:
        outcomes = [done[job.item.subject] for job in jobs if job.item.subject in done]
        for job in jobs:
            remove_partials(job.path)
        if outcomes:
            write_manifest(jobs[0].output / MANIFEST_NAME, outcomes, modalities=jobs[0].modalities)
        if outcomes and quality:
            write_quality_index(jobs[0].output / INDEX_NAME, outcomes, modalities=jobs[0].modalities)
    return outcomes


def run_job(job: Job) -> Outcome:
    """Prepare one subject unless its file is up to date; what is wrong with it becomes the reason of its failure."""
    start = time.perf_counter()
    try:
        status, reason = _make(job)
        outcome = _finished(job, status, reason)
    except Exception as error:  # whatever is wrong with one subject must not stop the others
        logger.debug("subject '%s' failed", job.item.subject, exc_info=True)
        outcome = Outcome(job.item, FAILED, str(error) or type(error).__name__, job.section)
    return replace(outcome, seconds=time.perf_counter() - start)


def _make(job: Job) -> tuple[str, str]:
    """Bring the subject file and its picture up to date; return the status, and why a finished file was done again."""
    history = None if job.overwrite else read_history(job.path)
    reason = "done again, as told" if job.overwrite and job.path.exists() else ""
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
    """Say in what a finished subject differs from what would be made of it now; empty if in nothing."""
    changed = [name for name in sorted({*recipe, *before}) if recipe.get(name) != before.get(name)]
    return f"done again, as changed: {', '.join(changed)}" if changed else ""


def _finished(job: Job, status: str, reason: str) -> Outcome:
    """Read what the subject file tells."""
    header = read_header(job.path)
    return Outcome(
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


def _died(job: Job) -> Outcome:
    """Return the outcome of a subject whose process ended before it was done."""
    reason = (
        f"the process that prepared subject '{job.item.subject}' was ended from outside, often as memory ran out. Run "
        "the same command again, with fewer --workers."
    )
    return Outcome(job.item, FAILED, reason, job.section)


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
    persons = {item.subject: item.person or item.subject for item in subjects}
    if not given:
        return split_subjects(names, fractions=DEFAULT_SPLIT if split is None else split, seed=seed, persons=persons)
    if len(given) < len(names) or split is not None:
        raise ValueError(
            f"{len(given)} of {len(names)} subjects have a section, and split is {split}: give a section to all "
            "subjects and no split, or no section to any."
        )
    for person in persons.values():
        places = {given[name]: name for name in names if persons[name] == person}
        if len(places) > 1:
            raise ValueError(
                f"person '{person}' stands in several sections, {places}; give all their scans one section."
            )
    return given


def _check_output(output: Path, subjects: Sequence[str], overwrite: bool) -> None:
    """Make the output folder, and refuse one that cannot be written or holds what others made."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=output):
            pass
    except OSError as error:
        raise OSError(
            f"cannot write into the output folder '{output}': {error.strerror}. Choose one that you may write to."
        ) from error
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
            f"output folder '{output}' already holds results that do not tell how they were made, such as "
            f"'{unknown[0]}'. Choose another folder, or replace them with --overwrite."
        )
