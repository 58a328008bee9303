"""A small evaluation, as a folder."""

import csv
import json
import re

import nibabel as nib
import numpy as np
import pytest
from matplotlib.image import imsave

from unicoal_components.report.evaluation import read_evaluation
from unicoal_components.report.html_report import report_page
from unicoal_components.report.rows import case_stem

COLUMNS = [
    {"name": "psnr", "label": "PSNR", "unit": "dB", "better": "higher", "digits": 2},
    {"name": "nmse", "label": "NMSE", "unit": "", "better": "lower", "digits": 3},
    {"name": "lpips", "label": "LPIPS", "unit": "", "better": "lower", "digits": 3},
    {"name": "roughness", "label": "Roughness", "unit": "", "better": "one", "digits": 2},
    {"name": "paper_psnr", "label": "PSNR (paper)", "unit": "dB", "better": "higher", "digits": 2},
]
METHODS = ["ours", "cubic", "affine"]
CASES = [{"source": "t1", "target": "t2", "factor": 4.0}, {"source": "t1", "target": "t1", "factor": 3.3}]
QUALITY = {"ours": 24.0, "cubic": 20.0, "affine": 26.0}
GRAY = {"input": 0.25, "ours": 0.5, "cubic": 0.6, "truth": 0.75}
"""Values in the middle of the volumes."""


class FakeEvaluation:
    """Writes an evaluation of `subjects`; attributes may be changed before `write`."""

    def __init__(self, folder):
        self.folder = folder
        self.subjects = ["p1", "p2", "p3"]
        self.run = {
            "schema": 1,
            "method": "ours",
            "section": "test",
            "marks": ["every 3rd slice only"],
            "notes": {"lpips": "its weights are not there"},
            "columns": COLUMNS,
            "methods": METHODS,
            "method_notes": {"affine": "an oracle: it knows the truth"},
            "weights": {"path": "models/model.pt", "sha256": "a1" * 32},
            "unet": None,
            "data": [{"subject": name, "path": f"{name}.h5", "sha256": "b2" * 32} for name in self.subjects],
            "configuration": {"factors": [1, 4], "long": list(range(60))},
            "software": {"torch": "2.14.1"},
            "training_log": None,
            "created": "2026-11-25T19:40:00",
        }
        self.comparisons = [self.comparison("psnr", "better"), self.comparison("nmse", "")]
        self.rows = None

    def comparison(self, metric, verdict, **changes):
        numbers = {"n": 3, "difference": 4.0, "low": 3.5, "high": 4.5, "p": 0.25, "p_holm": 0.04}
        return CASES[0] | {"baseline": "cubic", "metric": metric} | numbers | {"verdict": verdict} | changes

    def per_subject(self):
        """Return rows; PSNR falls by 1 dB from subject to subject, and by 0.25 dB in the second case."""
        rows = []
        for case in CASES:
            for k, subject in enumerate(self.subjects):
                for method in METHODS:
                    psnr = QUALITY[method] - k - 0.25 * CASES.index(case)
                    values = {"psnr": psnr, "nmse": 10 / psnr, "lpips": "", "roughness": 2 - psnr / 25}
                    rows.append({"subject": subject, **case, "method": method, **values, "paper_psnr": psnr + 6})
        return rows

    def summary(self, rows):
        groups = {}
        for row in rows:
            groups.setdefault((row["source"], row["target"], row["factor"], row["method"]), []).append(row)
        made = []
        for key, group in groups.items():
            made.append(dict(zip(("source", "target", "factor", "method"), key, strict=True)) | {"n": len(group)})
            for name in (column["name"] for column in COLUMNS):
                values = [row[name] for row in group]
                with np.errstate(invalid="ignore"):  # of infinite values
                    spread = "" if "" in values else np.std(values)
                numbers = [""] * 4 if "" in values else [np.mean(values), spread, min(values), max(values)]
                made[-1] |= {
                    f"{name}_{part}": x for part, x in zip(("mean", "std", "low", "high"), numbers, strict=True)
                }
        return made

    def write(self):
        self.folder.mkdir(exist_ok=True)
        rows = self.rows or self.per_subject()
        self.table("per_subject.csv", rows)
        self.table("summary.csv", self.summary(rows))
        if self.comparisons:
            self.table("comparisons.csv", self.comparisons)
        self.json("run.json", self.run)
        return self.folder

    def table(self, name, rows):
        with open(self.folder / name, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)

    def json(self, name, value):
        (self.folder / name).write_text(json.dumps(value), encoding="utf-8")

    def stems(self):
        """Return the cases' stems, ordered from the worst PSNR to the best."""
        rows = [row for row in self.rows or self.per_subject() if row["method"] == "ours"]
        return [case_stem(row) for row in sorted(rows, key=lambda row: row["psnr"])]

    def draw(self, stems=None):
        (self.folder / "panels").mkdir(parents=True, exist_ok=True)
        for stem in self.stems() if stems is None else stems:
            imsave(self.folder / "panels" / f"{stem}.png", np.random.default_rng(0).uniform(size=(8, 8, 3)))

    def store(self, stems=None, size=24):
        """Write volumes whose middle has one gray; the input has slices four times as thick."""
        for stem in self.stems() if stems is None else stems:
            place = self.folder / "cases" / stem
            place.mkdir(parents=True, exist_ok=True)
            for name, gray in GRAY.items():
                voxels = np.zeros((size, size, size // 4 if name == "input" else size), np.uint8)
                edge = size // 6
                voxels[edge:-edge, edge:-edge, 1:-1] = round(255 * gray)
                thick = 4 if name == "input" else 1
                affine = np.diag([-1.0, -1.0, thick, 1.0])
                affine[2, 3] = (thick - 1) / 2
                image = nib.Nifti1Image(voxels, affine)
                image.header.set_slope_inter(1 / 255, 0)
                nib.save(image, place / f"{name}.nii.gz")


@pytest.fixture
def evaluation(tmp_path):
    """An evaluation that is not written yet: change it, then `.write()`."""
    return FakeEvaluation(tmp_path / "evaluation")


def equivariance(name="alias_free", subject="p1"):
    """Results of tools/measure_equivariance.py that a page shows."""
    kinds = {"translation": 61.36, "fractional": 41.59, "rotation": 21.54}
    rows = [
        {"part": "whole", "mode": mode, "kind": kind, "decibels": value + place, "standard_error": 0.52}
        for place, mode in enumerate(("still", "moved_style_held"))
        for kind, value in kinds.items()
    ]
    network = {"equivariance": rows, "spectrum": {"above": 0.0123}, "sweep": {"within": {"bend": 0.85}, "seam": 5.67}}
    return {
        **{"source": "t1", "target": "t2", "factor": 1, "subjects": [subject], "images": 32},
        **{"ceiling": {"translation": None, "fractional": 76.47, "rotation": 77.98}, "networks": {name: network}},
    }


@pytest.fixture
def moved():
    """Maker of such content."""
    return equivariance


def section(evaluation, name, *, panels=12, lines=False):
    """Write the evaluation, and return a section of its page, or `None` where the page has none of that name.

    What is one text to a reader is one line here, unless `lines` are asked for.
    """
    read = read_evaluation(evaluation.write())
    page = report_page(read, viewer_cases=0, panels=panels)
    found = re.search(f'<section id="{name}">.*?</section>', page, re.S)
    return found and (found[0] if lines else re.sub(r"\n\s*", " ", found[0]))


@pytest.fixture
def shown():
    """Maker of sections."""
    return section
