"""The benchmark at sizes at which its numbers mean nothing; no time is tested."""

import importlib
import json
import math
import runpy
import subprocess
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tools" / "benchmark.py"
TINY = {"repeats": 1, "batch": 2, "resolution": 16, "channel_base": 128, "channel_max": 8, "num_layers": 6}
TINY |= {"slices": 8, "slice_edge": 16, "images": 4, "workers": 1, "subjects": 2, "subjects_many": 5}
TINY |= {"subject_edge": 20, "subject_depth": 8, "scan_edge": 12}
TRAINING = [f"training_step{size}{kind}" for size in ("", "_mid", "_paper") for kind in ("", "_r1", "_sam")]
TRAINING += [f"training_step{size}_{kind}" for size in ("", "_mid", "_paper") for kind in ("checkpointing", "alone")]
COMPILED = ["generator_compiled"]
COMPILED += [f"training_step{size}{kind}_compiled" for size in ("", "_mid", "_paper") for kind in ("", "_alone")]
CASES = {
    **dict.fromkeys(TRAINING, ()),
    "generator": ("million_parameters",),
    "generator_bfloat16": ("psnr_db_to_float32",),
    **dict.fromkeys(COMPILED, ("compile_seconds",)),
    "loading": ("resident_memory_gb", "opening_seconds", "opening_milliseconds_per_file"),
    "loading_many": ("resident_memory_gb",),
    **dict.fromkeys(("loading_axial", "loading_coronal", "loading_sagittal"), ("slices_read_per_image",)),
    "volume": ("input_and_output_gb",),
    "volume_double": ("input_and_output_gb",),
    "volume_same": ("input_and_output_gb",),
    "preparation": (),
}
KINDS = ("r1", "sam", "checkpointing", "compiled", "alone", "alone_compiled")
MEASURED = [name for name in CASES if not name.startswith(tuple(f"training_step_{size}_" for size in ("mid", "paper")))]
"""Every kind of training in the first size, and every size."""


@pytest.fixture(scope="module")
def modules():
    """The script and its parts, importable as when it is run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPT.parent))
        yield {name: importlib.import_module(f"benchmark{name}") for name in ("", "_cases", "_measure")}


@pytest.fixture
def benchmark(modules, monkeypatch, tmp_path):
    """The script, without lasting effects on this process and without the wait for machine code."""
    compile_function = torch.compile
    monkeypatch.setattr(torch, "compile", lambda net, **how: compile_function(net, backend="eager", **how))
    monkeypatch.setattr(modules[""], "keep_freed_memory", lambda: None)
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    with torch.random.fork_rng(devices=[]):
        yield modules[""]


@pytest.fixture
def results():
    def make(*names, seconds=2.0, limit=1.0, label="a label"):
        def spread(value):
            return {"median": value, "min": value / 2, "max": value * 2}

        rows = [
            {"case": name, "label": label, "items": 4, "unit": "slices", "seconds": spread(seconds)}
            | {"cpu_seconds": spread(seconds), "limit_seconds": spread(limit), "limit_cpu_seconds": spread(limit)}
            | {"ratio": spread(seconds / limit), "items_per_second": 4 / seconds, "first_seconds": 3.0}
            | {"peak_memory_gb": 1.5, "memory_before_gb": 0.5, "details": {"some_number": 12.345678}}
            for name in names
        ]
        return {"schema": 1, "date": "2026-01-01", "machine": {"threads": 1}, "versions": {}, "cases": rows}

    return make


def test_every_case_is_known_here(benchmark):
    assert set(benchmark.CASES) == set(CASES)


def test_a_kind_of_training_is_the_same_in_every_size(benchmark):
    for size, preset in (("", "compact"), ("_mid", "mid"), ("_paper", "paper")):
        for kind in ("", *KINDS):
            case = benchmark.CASES["_".join(filter(None, (f"training_step{size}", kind)))]
            assert case.func is benchmark.CASES["training_step"].func and not case.args
            assert case.keywords == {"preset": preset, "variant": kind}


@pytest.mark.parametrize("name", MEASURED)
def test_a_case_gives_all_its_numbers(benchmark, tmp_path, name):
    benchmark.main(case=name, output=str(tmp_path / "row.json"), **TINY)
    row = json.loads((tmp_path / "row.json").read_text())
    assert row["case"] == name
    for key in ("seconds", "cpu_seconds", "limit_seconds", "limit_cpu_seconds", "ratio", "cpu_ratio"):
        assert 0 <= row[key]["min"] <= row[key]["median"] <= row[key]["max"] < math.inf
    assert row["ratio"]["median"] == pytest.approx(row["seconds"]["median"] / row["limit_seconds"]["median"])
    assert row["items"] == {"volume": 8, "volume_double": 16, "volume_same": 8, "preparation": 3}.get(
        name, 4 if "load" in name else 2
    )
    for value in (row["seconds"]["min"], row["limit_seconds"]["min"], row["first_seconds"], row["memory_before_gb"]):
        assert value > 0
    assert row["peak_memory_gb"] > row["memory_before_gb"] - 1e-3  # Linux counts to some pages
    assert set(CASES[name]) <= set(row["details"])
    assert all(math.isfinite(value) for value in row["details"].values())
    assert benchmark.table_of([row]).count("\n") == 1


def test_a_run_starts_a_process_for_each_case_and_is_written_and_compared(benchmark, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    file = tmp_path / "out" / "results.json"
    benchmark.main(cases="preparation", output=str(file), **TINY)
    results = json.loads(file.read_text())
    assert [row["case"] for row in results["cases"]] == ["preparation"]
    assert {"processor", "cores", "threads", "device", "memory_gb"} <= set(results["machine"])
    assert {"python", "torch", "monai", "numpy", "h5py"} <= set(results["versions"])
    assert results["options"]["scan_edge"] == 12
    assert results["date"]
    assert str(tmp_path) not in file.read_text() and str(ROOT) not in file.read_text()
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["case", "preparation"]
    benchmark.main(compare=str(file), against=str(file))
    assert capsys.readouterr().out.splitlines()[-1].split()[3] == "1"


def test_a_comparison_has_the_quotients_and_lists_cases_that_cannot_be_compared(benchmark, results, tmp_path, capsys):
    earlier = results("generator", "volume", seconds=4.0, limit=2.0, label="other sizes")
    later = results("generator", "loading", seconds=3.0, limit=1.0)
    for name, content in (("a.json", earlier), ("b.json", later)):
        (tmp_path / name).write_text(json.dumps(content))
    benchmark.main(compare=str(tmp_path / "a.json"), against=str(tmp_path / "b.json"))
    *_, generator, loading, volume = capsys.readouterr().out.splitlines()
    assert generator.split()[:9] == ["generator", "3", "4", "0.75", "3", "2", "1.5", "1.50", "1.50"]
    assert generator.endswith("not the same: earlier other sizes")
    assert loading.endswith("only in the later run")
    assert volume.endswith("only in the earlier run")


def test_this_run_is_compared_with_an_earlier_one(benchmark, results, tmp_path, capsys, monkeypatch):
    (tmp_path / "a.json").write_text(json.dumps(results("generator", seconds=4.0, limit=2.0)))
    monkeypatch.setattr(benchmark, "run_apart", lambda *_: (results("generator")["cases"], []))
    benchmark.main(cases="generator", compare=str(tmp_path / "a.json"))
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[:6] == ["generator", "2", "[1..4]", "2", "1", "2"]
    assert lines[1].endswith("a label; slices per second 2; some number 12.35")
    assert lines[-1].split()[:7] == ["generator", "2", "4", "0.5", "2", "2", "1"]


@pytest.mark.parametrize(("status", "reason"), [(1, "volume, see above"), (-9, "volume was ended by signal 9")])
def test_a_case_that_fails_does_not_stop_the_others_and_ends_in_an_error(
    benchmark, results, tmp_path, monkeypatch, status, reason
):
    def run(command, **_):
        options = dict(word.split("=", 1) for word in command[2:])
        if options["--case"] == "volume":
            return subprocess.CompletedProcess(command, status)
        Path(options["--output"]).write_text(json.dumps(results(options["--case"])["cases"][0]))
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(ValueError, match=f"1 of 2 cases could not be measured: {reason}"):
        benchmark.main(cases="volume,preparation", output=str(tmp_path / "results.json"), **TINY)
    assert [row["case"] for row in json.loads((tmp_path / "results.json").read_text())["cases"]] == ["preparation"]


def test_compiled_and_paper_size_cases_run_only_if_requested(benchmark):
    default = benchmark.choose_cases("")
    left = {name for name in CASES if name not in default}
    assert left == {*COMPILED, *(name for name in CASES if name.startswith("training_step_paper"))}
    assert benchmark.choose_cases("*_compiled") == COMPILED
    assert benchmark.choose_cases(("generator", "training_step")) == ["generator", "training_step"]
    assert benchmark.choose_cases("volume*, generator,volume") == [
        "volume",
        "volume_double",
        "volume_same",
        "generator",
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--cases", "generator,generater"], "there is no case 'generater'; there are generator, "),
        (["--compare", "none.json"], "there are no results at 'none.json'"),
        (["--compare", "bad.json"], "'bad.json' does not hold results"),
        (["--compare", "other.json"], "'other.json' does not hold results"),
        (["--against", "bad.json"], "compare is missing"),
        (["--repeats", "0"], "repeats is 0; it must be an integer of at least 1"),
        (["--output", "bad.json/results.json"], "cannot write '"),
    ],
)
def test_wrong_options_are_one_line_before_anything_is_run(modules, tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "other.json").write_text('{"cases": [{"case": "generator"}]}')
    monkeypatch.setattr("sys.argv", [str(SCRIPT), *options])
    monkeypatch.setattr(subprocess, "run", None)
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    assert message in stop.value.code
    assert "\n" not in stop.value.code


def test_the_presets_are_those_of_the_bundle(modules):
    cases = modules["_cases"]
    configs = ROOT / "bundles" / "unified" / "configs"
    train, paper, ixi = (json.loads((configs / f"{name}.json").read_text()) for name in ("train", "paper", "ixi"))
    paper = train | paper | ixi
    for config, preset in ((train, "compact"), (paper, "paper")):
        expected = {name: config.get(name) for name in cases.PRESETS[preset]}
        expected |= {"num_modalities": len(config["modalities"]), "in_channels": config["slice_group_size"]}
        assert expected == cases.PRESETS[preset]
        assert config["discriminator_channel_base"] == config["channel_base"]
    assert cases.TRAINING_BATCH["compact"] == train["batch_size"]


def test_the_limit_has_the_dense_convolutions_with_their_gradients_and_no_others(modules):
    def work():
        x, weight = torch.zeros(1, 2, 5, 5), torch.zeros(3, 2, 3, 3, requires_grad=True)
        y = torch.nn.functional.conv2d(x, weight)
        y = torch.nn.functional.conv2d(y, torch.zeros(3, 1, 3, 3), groups=3)
        (y.sum() + (torch.zeros(2, 2) @ torch.zeros(2, 2)).sum()).backward()

    measure = modules["_measure"]
    limit = measure.dense_operations(work, torch.device("cpu"))
    with measure.DenseRecorder(products=True) as recorder:
        limit()
    aten = torch.ops.aten
    assert [call[0] for call in recorder.calls] == [aten.convolution.default, aten.convolution_backward.default]
    forward, backward = (call[1] for call in recorder.calls)
    assert (forward[0].shape, forward[1].shape) == ((1, 2, 5, 5), (3, 2, 3, 3))
    assert backward[-1] == [False, True, False]
    with measure.DenseRecorder(products=True) as recorder:
        work()
    assert [call[0] for call in recorder.calls].count(aten.mm.default) == 1


def test_work_without_a_dense_convolution_has_no_limit(modules):
    with pytest.raises(ValueError, match="no dense convolution"):
        modules["_measure"].dense_operations(lambda: torch.zeros(1), torch.device("cpu"))


@pytest.mark.parametrize("plane", [None, "axial", "coronal", "sagittal"])
def test_the_limit_of_loading_reads_the_slices_that_the_transform_reads(modules, tmp_path, monkeypatch, plane):
    cases = modules["_cases"]
    transform = importlib.import_module("unicoal_components.training.load_slice_group")
    read_levels, seen = transform.read_levels, []

    def note(file, modality, start, stop, **place):
        seen.extend((file.filename, modality, row) for row in range(start, stop))
        return read_levels(file, modality, start, stop, **place)

    monkeypatch.setattr(transform, "read_levels", note)
    sizes = {"images": 6, "batch": 2, "resolution": 16, "workers": 0, "subjects": 2, "subject_edge": 24}
    work = cases.loading(cases.Options(**sizes), tmp_path, None, plane=plane)
    work.run()
    assert work.items == 6
    assert sorted(seen) == work.limit().args[0]
