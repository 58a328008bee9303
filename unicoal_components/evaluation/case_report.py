"""Handler that writes tables and panels of an evaluator's cases, for the method and the baselines."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import numpy as np
import torch
from ignite.engine import Engine, Events
from torch import nn

from .. import interruption
from ..datasets.batch_items import batch_items
from ..datasets.case_list import AXIS, SOURCE, TARGET, Case
from ..datasets.cases import SPACING, CaseDataset
from ..files.writable import check_writable
from ..keys import Keys
from ..metrics.measure import Column, Measure
from ..metrics.strict import StrictProtocol
from ..report.html_report import write_report
from ..report.rows import Row, case_stem
from ..runtime.distributed import from_first_rank, rank
from .baselines import BASELINES, check_baselines
from .case_evaluation import CaseEvaluation
from .case_store import CaseStore
from .evaluation_record import EvaluationRecord
from .evaluation_tables import write_tables

logger = logging.getLogger(__name__)

MEAN_PSNR = "strict_psnr"


class CaseReport:
    """Write the results of an evaluation of a `CaseDataset`.

    It writes to `output_dir`: `per_subject.csv` (subject, source, target, factor, axis, method, and a column for
    each number measured), `summary.csv` (mean, standard deviation and 95 % interval over subjects for each case and
    method), `comparisons.csv` (the method against each other method), `cases` (a folder for each, with the result and
    volumes), `panels/SUBJECT_SOURCE_to_TARGET_xFACTOR.png` (with `_coronal` or `_sagittal` if slices are not
    axial), `run.json`, and with a segmenter or a predicted error (or several latent codes) `segmentation.csv` or
    `calibration.json`. The summary is logged, and the mean over cases of the method's PSNR is the engine's metric
    `strict_psnr`.

    Baselines without a network (`BASELINES`) and other networks get the same input and truth as the method. With
    `resume` a stopped evaluation resumes: cases that were evaluated on the same data, with the same weights and
    options, are not repeated. Several processes share the folder, so all must see it.

    Args:
        output_dir: folder, created if absent.
        dataset: the evaluated dataset.
        method: name of the evaluated network's rows.
        measures: measures to compute; `None` is the strict protocol.
        baselines: which of `copy`, `linear`, `cubic`, `affine` to add.
        networks: other networks by the name of their rows; those that are `None` are left out.
        inferer: called as `inferer(stack, network, modality=, factor=, source_modality=, indices=)` for these.
        panels: number of subjects, the first of the dataset, whose cases are drawn; `None` draws all, 0 none.
        volumes: keep volumes of the method, the other networks and cubic interpolation for the viewer, about 5 MB a
            case.
        resume: see above; otherwise earlier results are overwritten.
        predicted_error: whether the last channel of the output is the predicted scale of the error. The calibration is
            then that of its interval, not that of the standard deviation over latent codes.
        record: other inputs that the results depend on, and facts for the report.

    Raises:
        ValueError: a wrong value; at run time, a batch or output without an entry that the report needs, or a case that
            cannot be measured, which is named.
        OSError: `output_dir` cannot be written; raised before the first case is computed.
    """

    def __init__(
        self,
        *,
        output_dir: str | os.PathLike,
        dataset: CaseDataset,
        method: str = "ours",
        measures: Sequence[Measure] | None = None,
        baselines: Sequence[str] = (),
        networks: Mapping[str, nn.Module | None] | None = None,
        inferer: Callable[..., torch.Tensor] | None = None,
        panels: int | None = 3,
        volumes: bool = False,
        resume: bool = False,
        predicted_error: bool = False,
        record: EvaluationRecord | None = None,
    ) -> None:
        others = {name: network for name, network in (networks or {}).items() if network is not None}
        taken = {"", "truth", "input", *BASELINES}
        for name in (method, *others):
            if name in taken:
                raise ValueError(
                    f"'{name}' cannot name the rows of a network; it must not be one of {', '.join(taken)}."
                )
            taken.add(name)
        if panels is not None and (isinstance(panels, bool) or not isinstance(panels, int) or panels < 0):
            raise ValueError(f"panels is {panels!r}; it must be a number of subjects >= 0, or null for all.")
        if others and inferer is None:
            raise ValueError("networks are given without an inferer to apply them; give inferer.")
        self.output_dir = Path(output_dir)
        self.dataset = dataset
        self.measures: list[Measure] = [StrictProtocol()] if measures is None else list(measures)
        self.methods = (method, *check_baselines(baselines), *others)
        self.resume = resume
        self.record = EvaluationRecord() if record is None else record
        self.store = CaseStore(self.output_dir / "cases")
        self.evaluation = CaseEvaluation(
            method=method,
            measures=self.measures,
            baselines=baselines,
            networks=others,
            inferer=inferer,
            panels=self.output_dir / "panels",
            store=self.store,
            volumes=volumes,
            predicted_error=predicted_error,
        )
        names = list(dict.fromkeys(subject[Keys.SUBJECT] for subject, _ in dataset.items))
        self._drawn = set(names[:panels])
        self._identities = self._identify()
        self._written = False
        self.finished = from_first_rank(self._find_finished()) if resume else set()

    @property
    def columns(self) -> tuple[Column, ...]:
        """All columns of the measures."""
        return tuple(column for measure in self.measures for column in measure.columns)

    def _identify(self) -> dict[str, str]:
        """Return, by name of the case, a checksum of all that its result depends on."""
        how: dict[str, Any] = {"methods": self.methods, "columns": [column.name for column in self.columns]}
        how["notes"] = [measure.note for measure in self.measures]  # a column that was empty may have values now
        return {
            case_stem(_facts(subject, case)): self.record.identity(path=subject["path"], **how)
            for subject, case in self.dataset.items
        }

    def _find_finished(self) -> set[int]:
        done = {
            index
            for index, (stem, identity) in enumerate(self._identities.items())
            if self.store.load(stem, identity=identity) is not None
            and (not self.evaluation.volumes or self.store.has_volumes(stem))
            and (self._subject(index) not in self._drawn or self.evaluation.panel_path(stem).is_file())
        }
        if done:
            logger.info("%d of %d cases in %s were evaluated before", len(done), len(self.dataset), self.store.folder)
        return done

    def _subject(self, index: int) -> str:
        return self.dataset.items[index][0][Keys.SUBJECT]

    def attach(self, engine: Engine) -> None:
        """Register with an evaluator."""
        engine.add_event_handler(Events.EPOCH_STARTED, self.start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.add)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.write)

    def start(self, engine: Engine) -> None:
        """Check that results can be written before any is computed; without `resume` remove earlier ones."""
        if rank() == 0:
            check_writable(self.output_dir)
            if not self.resume:
                self.store.clear()
        self._advise(len(self.finished))
        idist.barrier()

    def _advise(self, done: int) -> None:
        """Say what is done of an evaluation that a signal stops."""
        how = "" if self.resume else "with --evaluation_resume true "
        cases = f"{done} of {len(self._identities)} cases"
        interruption.advise(f"{cases} are in '{self.store.folder}'; {how}the same command continues.")

    def add(self, engine: Engine) -> None:
        """Measure every case of the current iteration, and store its result."""
        for case, output in zip(batch_items(engine.state.batch), batch_items(engine.state.output), strict=True):
            facts = _case_facts(case)
            stem = case_stem(facts)
            if stem not in self._identities:
                raise ValueError(f"case {facts} is not one of the report's dataset; give both the same dataset.")
            subject = next(subject for subject, _ in self.dataset.items if subject[Keys.SUBJECT] == facts["subject"])
            result = self.evaluation(
                case, output, facts=facts, path=subject["path"], draw=facts["subject"] in self._drawn
            )
            self.store.save(stem, result | {"identity": self._identities[stem]})
        self._advise(len(self.finished) + engine.state.iteration)

    def write(self, engine: Engine | None = None) -> None:
        """Write the tables and `run.json`; in a distributed evaluation the first process does so for all.

        Raises:
            ValueError: a case has no result, so that the mean would be over fewer cases; its subject is named.
        """
        idist.barrier()
        self._written = True  # in every process, so that all reach the barrier equally often
        if rank() > 0:
            return
        results = []
        for stem, identity in self._identities.items():
            result = self.store.load(stem, identity=identity)
            if result is None:
                raise ValueError(
                    f"case {stem} has no result in '{self.store.folder}'; evaluate again, with all processes on the "
                    "same file system."
                )
            results.append(result)
        rows = write_tables(self.output_dir, results, columns=self.columns, method=self.methods[0])
        self.record.write(
            self.output_dir / "run.json",
            methods=self.methods,
            columns=self.columns,
            notes={
                column.name: measure.note for measure in self.measures for column in measure.columns if measure.note
            },
            data=[dict(pair) for pair in dict.fromkeys(tuple(s.items()) for s, _ in self.dataset.items)],
            left_out=self.dataset.left_out,
        )
        psnr = [row["psnr"] for row in rows if row["method"] == self.methods[0] and "psnr" in row]
        if engine is not None and psnr:
            engine.state.metrics[MEAN_PSNR] = float(np.mean(psnr))

    def finish(self, *, viewer_cases: int = 3) -> None:
        """Write `report.html`, and the tables if no case was left to evaluate.

        Args:
            viewer_cases: number of cases to view in three planes.
        """
        if not self._written:  # all cases were evaluated before, so no engine ran
            self.write()
        if rank() == 0:
            path = write_report(self.output_dir, viewer_cases=viewer_cases)
            logger.info("Open %s", path)


def _facts(subject: Mapping[str, str], case: Case) -> Row:
    name = subject[Keys.SUBJECT]
    return {"subject": name, "source": case.source, "target": case.target, "factor": case.factor, "axis": case.axis}


def _case_facts(case: Mapping[str, Any]) -> Row:
    """Return the facts that identify the case of a batch's item."""
    wanted = (Keys.SUBJECT, SOURCE, TARGET, AXIS, Keys.FACTOR, Keys.THICKNESS, Keys.INDICES, SPACING)
    missing = [key for key in wanted if key not in case]
    if missing:
        raise ValueError(
            f"the evaluated batch lacks {', '.join(missing)}; it has {', '.join(case)}. CaseReport needs the items of "
            "CaseDataset: keep these keys in its transform."
        )
    # The batch holds the factor as float32: 3.3 comes back as 3.29999995.
    factor = round(float(case[Keys.FACTOR]), 6)
    known = {"source": case[SOURCE], "target": case[TARGET], "factor": factor, "axis": case[AXIS]}
    return {"subject": case[Keys.SUBJECT]} | known
