"""A handler that turns an evaluator's cases into tables and pictures, with the baselines beside the method."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import torch
from ignite.engine import Engine, Events
from monai.utils import convert_to_tensor

from ..data.cases import SOURCE, SPACING, TARGET
from ..data.writable import check_writable
from ..keys import Keys
from ..metrics.baselines import BASELINES, baseline, check_baselines
from ..metrics.image_quality import image_quality
from ..metrics.panel import save_panel
from ..metrics.summary import (
    ROW_FIELDS,
    SUMMARY_FIELDS,
    Row,
    case_name,
    read_rows,
    summarize,
    table,
    write_csv,
    write_json,
)
from .distributed import rank, world_size
from .items import batch_items

logger = logging.getLogger(__name__)


class CaseReport:
    """Write what an evaluation of a :class:`..data.cases.CaseDataset` gave.

    In ``output_dir`` it leaves ``per_subject.csv`` (subject, source, target, factor, method, psnr, ssim, mae),
    ``summary.csv`` and ``summary.json`` (mean and standard deviation over subjects for each case and method), and
    ``panels/SUBJECT_SOURCE_to_TARGET_xFACTOR.png`` for the first subjects. The summary is logged as a table. All
    measures are those of :func:`..metrics.image_quality.image_quality`.

    Baseline rows (:data:`..metrics.baselines.BASELINES`) are computed from the very input and truth of the case.
    ``affine`` is an oracle: it knows the truth's two best intensity coefficients.

    Args:
        output_dir: folder, made if absent.
        method: name of the evaluated network's rows.
        baselines: which of ``copy``, ``cubic``, ``affine`` to add.
        panels: draw the cases of this many subjects; 0 draws none. In a distributed evaluation, only those that the
            first process evaluates.
        merge: keep the rows of other methods that an earlier report left in ``output_dir``, so that two networks
            share a table; otherwise they are overwritten.

    Raises:
        ValueError: a wrong value; at run time, a batch or output without an entry that the report needs.
        OSError: ``output_dir`` cannot be written; found before the first case is computed.
    """

    def __init__(
        self,
        *,
        output_dir: str | os.PathLike,
        method: str = "ours",
        baselines: Sequence[str] = ("copy", "cubic", "affine"),
        panels: int = 3,
        merge: bool = False,
    ) -> None:
        self.baselines = check_baselines(baselines)
        if method in ("", "truth", *BASELINES):
            raise ValueError(f"method is '{method}'; allowed is a name other than truth, {', '.join(BASELINES)}.")
        if isinstance(panels, bool) or not isinstance(panels, int) or panels < 0:
            raise ValueError(f"panels is {panels!r}; allowed is a number of subjects of at least 0.")
        self.output_dir = Path(output_dir)
        self.method = method
        self.panels = panels
        self.merge = merge
        self.rows: list[Row] = []

    def attach(self, engine: Engine) -> None:
        """Register with an evaluator."""
        engine.add_event_handler(Events.EPOCH_STARTED, self.start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.add)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.write)

    def start(self, engine: Engine) -> None:
        """Forget earlier rows and see that the results can be written, before time is spent on them."""
        self.rows = []
        check_writable(self.output_dir)

    def add(self, engine: Engine) -> None:
        """Measure every case of the current iteration."""
        for case, output in zip(batch_items(engine.state.batch), batch_items(engine.state.output), strict=True):
            facts = _facts(case)
            prediction, thick = _volumes(case, output, factor=facts["factor"])
            images = {self.method: prediction} | {name: baseline(name, **thick) for name in self.baselines}
            self.rows += [
                facts | {"method": name} | image_quality(prediction=image, target=thick["target"])
                for name, image in images.items()
            ]
            subjects = list(dict.fromkeys(row["subject"] for row in self.rows))
            if rank() == 0 and facts["subject"] in subjects[: self.panels]:
                self._draw(facts, images, thick, spacing=case.get(SPACING, (1.0, 1.0, 1.0)))

    def _draw(self, facts: Row, images: dict[str, torch.Tensor], thick: dict[str, Any], spacing: Sequence) -> None:
        """Draw input, cubic interpolation, prediction and truth, whatever baselines the table has."""
        known = images | {"truth": thick["target"]}
        titles = {f"input ({facts['source']})": "copy", "cubic": "cubic", self.method: self.method, "truth": "truth"}
        columns = {t: known[name] if name in known else baseline(name, **thick) for t, name in titles.items()}
        stem = f"{facts['subject']}_{facts['source']}_to_{facts['target']}_x{facts['factor']:g}"
        psnr = next(row["psnr"] for row in reversed(self.rows) if row["method"] == self.method)
        save_panel(
            self.output_dir / "panels" / f"{re.sub(r'[^A-Za-z0-9._-]', '_', stem)}.png",
            images={name: volume.cpu().numpy() for name, volume in columns.items()},
            title=f"{facts['subject']}: {case_name(facts)}, {self.method} {psnr:.2f} dB",
            spacing=[float(mm) for mm in spacing],
            prediction=self.method,
        )

    def write(self, engine: Engine) -> None:
        """Write the tables; in a distributed evaluation the first process writes the cases of all."""
        rows = self.rows
        if world_size() > 1:
            parts: Any = idist.all_gather(rows)
            # With fewer cases than processes, each process has them all; each counts once.
            rows = list({tuple(row[field] for field in ROW_FIELDS[:5]): row for part in parts for row in part}.values())
        if rank() > 0:
            return
        if self.merge:
            made = {row["method"] for row in rows}
            rows = rows + [r for r in read_rows(self.output_dir / "per_subject.csv") if r["method"] not in made]
        summary = summarize(rows)
        write_csv(self.output_dir / "per_subject.csv", rows=rows, fields=ROW_FIELDS)
        write_csv(self.output_dir / "summary.csv", rows=summary, fields=SUMMARY_FIELDS)
        write_json(self.output_dir / "summary.json", summary=summary)
        logger.info("Results in %s\n%s", self.output_dir, table(summary))


def _facts(case: dict[str, Any]) -> Row:
    missing = [key for key in (Keys.SUBJECT, SOURCE, TARGET, Keys.FACTOR, Keys.INDICES) if key not in case]
    if missing:
        raise ValueError(
            f"the evaluated batch lacks {', '.join(missing)}; it has {', '.join(case)}. CaseReport needs the items of "
            "CaseDataset: keep these keys in its transform."
        )
    # float32 on the way through the batch: 3.3 comes back as 3.29999995.
    factor = round(float(case[Keys.FACTOR]), 6)
    return {"subject": case[Keys.SUBJECT], "source": case[SOURCE], "target": case[TARGET], "factor": factor}


def _volumes(case: dict[str, Any], output: dict[str, Any], *, factor: float) -> tuple[torch.Tensor, dict[str, Any]]:
    """Collect the prediction, and what :func:`baseline` needs, as ``(slices, H, W)``."""
    stacks: dict[str, Any] = {}
    for name, key in (("stack", Keys.IMAGE), ("prediction", Keys.PRED), ("target", Keys.LABEL)):
        if output.get(key) is None:
            raise ValueError(f"the evaluator's output has no '{key}'; keep image, label and pred in post-processing.")
        volume = convert_to_tensor(output[key], dtype=torch.float32, track_meta=False)
        stacks[name] = volume.reshape(volume.shape[-3:])
    return stacks.pop("prediction"), stacks | {"factor": factor, "indices": case[Keys.INDICES]}
