"""Preparation of one subject of a cohort, in any process."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..datasets.fingerprint import scan_fingerprints
from ..datasets.hdf5 import read_header, read_history
from ..files.partial import CannotWriteError
from ..scans.checksums import sha256_of
from .manifest import FAILED, PREPARED, UP_TO_DATE, SubjectResult, quality_name
from .options import PreparationSteps
from .provenance import make_recipe
from .quality_panel import save_quality_panel
from .subject import prepare_subject, present_modalities
from .subject_files import SubjectFiles

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """Arguments for the preparation of one subject."""

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


def run_job(job: Job) -> SubjectResult:
    """Prepare one subject unless its file is up to date; an error becomes the reason of its failure.

    Raises:
        CannotWriteError: the disk is full or read-only, which would let the other subjects fail too.
    """
    try:
        status, reason = _update(job)
        return _read_result(job, status, reason)
    except Exception as error:  # no error of one subject may stop the others
        if isinstance(error, CannotWriteError) and error.concerns_all:
            raise
        logger.debug("subject '%s' failed", job.item.subject, exc_info=True)
        return SubjectResult(job.item, FAILED, str(error) or type(error).__name__, job.section)


def _update(job: Job) -> tuple[str, str]:
    """Bring the subject file and its panel up to date; return the status and why a finished file was rebuilt."""
    history = None if job.overwrite else read_history(job.path)
    reason = "rebuilt because of --overwrite" if job.overwrite and job.path.exists() else ""
    status = UP_TO_DATE
    panel = job.output / quality_name(job.item.subject)
    recipe = make_recipe(job.item, present_modalities(job.item, job.modalities, job.allow_missing), job.steps)
    if history is None or (reason := _difference(recipe, history["recipe"])):
        panel.unlink(missing_ok=True)  # of the scans or options before
        prepare_subject(
            job.item,
            job.path,
            modalities=job.modalities,
            allow_missing=job.allow_missing,
            steps=job.steps,
            recipe=recipe,
        )
        status = PREPARED
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
        fingerprints=scan_fingerprints(job.path),
    )


def killed(job: Job) -> SubjectResult:
    """Return the result of a subject whose worker process ended before it was finished."""
    reason = (
        f"the process that prepared subject '{job.item.subject}' was killed, often because memory ran out. Run the "
        "same command again with fewer --workers."
    )
    return SubjectResult(job.item, FAILED, reason, job.section)
