"""Tests of the command that compares the tissues of simulated and real subjects."""

import runpy
from pathlib import Path

import numpy as np
import pytest

from unicoal_components.datasets.datalist import write_datalist
from unicoal_components.datasets.hdf5 import write_subject

SCRIPT = runpy.run_path(str(Path(__file__).parents[2] / "tools" / "compare_tissues.py"))
LEVELS = {"t1": {"csf": 40, "gray": 150, "white": 220}, "t2": {"csf": 240, "gray": 90, "white": 60}}


def brain(levels, offset=0):
    """Return a ball of shells, CSF inside and white matter outside, with a rim of white matter."""
    grid = np.indices((40, 40, 40)) - 19.5
    radius = np.sqrt((grid**2).sum(axis=0))
    volume = np.select([radius < 8, radius < 12, radius < 19], [levels[t] for t in ("csf", "gray", "white")], 0)
    noise = np.random.default_rng(0).integers(-5, 6, volume.shape)
    return np.where(volume > 0, np.clip(volume + noise + offset, 1, 255), 0).astype(np.uint8)


def cohort(folder, offsets):
    entries = []
    for index, offset in enumerate(offsets):
        volumes = {"t1": brain(LEVELS["t1"]), "t2": brain(LEVELS["t2"], offset)}
        limits, sources = dict.fromkeys(volumes, (0.0, 255.0)), dict.fromkeys(volumes, "ball")
        write_subject(
            folder / f"p{index}.h5", volumes=volumes, affine=np.diag([2.0, 2, 2, 1]), intensity=limits, sources=sources
        )
        entries.append({"subject": f"p{index}", "path": f"p{index}.h5"})
    datalist = folder / "datalist.json"
    write_datalist(datalist, sections={"training": entries, "validation": [], "test": []}, modalities=["t1", "t2"])
    return str(datalist)


def test_k_means_finds_the_shells():
    volume = brain(LEVELS["t1"])
    found = SCRIPT["segment"](volume, np.diag([2.0, 2, 2, 1]))
    for index, level in enumerate(LEVELS["t1"].values(), start=1):
        own = np.abs(volume.astype(int) - level) <= 5
        assert (found[own & (found > 0)] == index).mean() > 0.98


def test_an_offset_of_the_intensities_is_the_distance(tmp_path):
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    real = SCRIPT["read_cohort"](cohort(tmp_path / "a", [0]), 2)
    simulated = SCRIPT["read_cohort"](cohort(tmp_path / "b", [10, 10]), 2)
    lines = SCRIPT["table"](real, simulated).splitlines()
    assert len(lines) == 2 + 6
    row = next(line for line in lines if line.startswith("| t2 | white"))
    assert row == f"| t2 | white | {70 / 255:.2f} ± 0.00 ({70 / 255:.2f}-{70 / 255:.2f}) | {60 / 255:.2f} (0.04) |"


def test_a_cohort_without_usable_subjects_is_an_error(tmp_path):
    datalist = cohort(tmp_path, [0])
    with pytest.raises(ValueError, match="real .*stripped T1 and 3 modalities"):
        SCRIPT["compare_tissues"](real=datalist, simulated=datalist, least=3)
