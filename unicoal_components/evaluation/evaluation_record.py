"""Record of an evaluation: all that its results depend on, for checksums and the report."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from .. import __version__
from ..datasets.open_subject import split_packed
from ..files.atomic import atomic_path
from ..metrics.measure import Column
from ..scans.checksums import checksum, sha256_of
from .baselines import BASELINES

SCHEMA_VERSION = 1
PACKAGES = ("torch", "monai", "pytorch-ignite", "numpy", "scipy", "scikit-image", "lpips")


class EvaluationRecord:
    """Weights, options and warnings of an evaluation.

    Args:
        section: section of the datalist.
        weights: weights of the evaluated network; `None` if there is no such file.
        unet: weights of the U-Net baseline.
        files: other files that the results depend on, by name, such as a segmenter's.
        options: values that change the results, by name, such as the slice profile.
        wiring: parts of the configuration that change the results.
        marks: warnings that the report shows prominently.
        configuration: all values of the run, for the report.
        training_log: folder of TensorBoard events of the training, for its curves.
        slice_step: approximate step between evaluated slices, in slices.
    """

    def __init__(
        self,
        *,
        section: str = "",
        weights: str | os.PathLike | None = None,
        unet: str | os.PathLike | None = None,
        files: Mapping[str, str | os.PathLike | None] | None = None,
        options: Mapping[str, Any] | None = None,
        wiring: Mapping[str, Any] | None = None,
        marks: Sequence[str] = (),
        configuration: Mapping[str, Any] | None = None,
        training_log: str | os.PathLike | None = None,
        slice_step: int = 1,
    ) -> None:
        self.section = section
        self.networks = {"weights": weights, "unet": unet}
        self.files = dict(files or {})
        self.wiring = dict(wiring or {})
        self.options = dict(options or {}) | {"slice_step": slice_step}
        self.marks = list(marks)
        self.configuration = dict(configuration or {})
        self.training_log = training_log
        self._checksums: dict[str, str] = {}

    def identity(self, *, path: str | os.PathLike, **how: Any) -> str:
        """Return a checksum of all that the result of a subject's case depends on, this package's code included.

        Args:
            path: the subject's file.
            how: methods, columns and other facts of the evaluation.
        """
        files = {name: file and self._sha256(file) for name, file in (self.networks | self.files).items()}
        content = {"code": code_checksum(), "files": files, "data": self._sha256(path), "options": self.options}
        content |= {"wiring": self.wiring} | how
        return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()

    def _sha256(self, path: str | os.PathLike) -> str:
        """Return a file's checksum, read once; missing weights are left to the handler that loads them."""
        name = str(path)
        if name not in self._checksums:
            file, _ = split_packed(path)  # a subject of a packed set has the checksum of the whole set
            self._checksums[name] = sha256_of(file) if file.exists() else "absent"
        return self._checksums[name]

    def write(
        self,
        path: str | os.PathLike,
        *,
        methods: Sequence[str],
        columns: Sequence[Column],
        notes: Mapping[str, str],
        data: Sequence[Mapping[str, str]],
        left_out: Sequence[str],
    ) -> None:
        """Write `run.json`.

        Args:
            path: the file.
            methods: names in the order of the rows, the evaluated network first.
            columns: columns of all measures.
            notes: reasons why columns are empty.
            data: name and path of each subject.
            left_out: cases that were not evaluated, with the reason.
        """
        step = self.options["slice_step"]
        marks = [*self.marks, *left_out]
        if step > 1:
            marks.append(f"About one slice in {step} only: adjacent slices are not adjacent in the scan.")
        content = {
            "schema": SCHEMA_VERSION,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "method": methods[0],
            "methods": list(methods),
            "method_notes": {name: text for name, text in BASELINES.items() if name in methods},
            "section": self.section,
            "marks": marks,
            "notes": dict(notes),
            "columns": [vars(column) for column in columns],
            **{name: self._network(file) for name, file in self.networks.items()},
            "files": {name: self._network(file) for name, file in self.files.items() if file},
            "data": [dict(entry) | {"sha256": self._sha256(entry["path"])} for entry in data],
            "options": self.options,
            "configuration": self.configuration,
            "software": software(),
            "training_log": None if self.training_log is None else os.path.abspath(self.training_log),
        }
        with atomic_path(path) as partial:
            partial.write_text(json.dumps(content, indent=2, default=str) + "\n", encoding="utf-8")

    def _network(self, path: str | os.PathLike | None) -> dict[str, str] | None:
        return None if path is None else {"path": str(path), "sha256": self._sha256(path)}


@cache
def code_checksum() -> str:
    """Return a checksum of this package's code."""
    return checksum(Path(__file__).parents[1].rglob("*.py"))


def software() -> dict[str, str]:
    """Return the versions of the software and its libraries."""
    versions = {"unicoal_components": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions
