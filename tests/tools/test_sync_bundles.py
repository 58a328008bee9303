"""The command that writes the shared parts of the bundles."""

import json
import runpy
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = runpy.run_path(str(ROOT / "tools" / "sync_bundles.py"))
sync_bundles = SCRIPT["sync_bundles"]
OTHERS = SCRIPT["OTHERS"]


@pytest.fixture
def bundles(tmp_path):
    """A copy of the bundles' sources, without files of trainings next to them."""
    ignored = shutil.ignore_patterns("__pycache__", "models", "output", "data")
    return Path(shutil.copytree(ROOT / "bundles", tmp_path / "bundles", ignore=ignored))


def texts(folder):
    return {path: path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*")) if path.is_file()}


def change(path, *left_out, **values):
    """Leave out some keys at the top of a config, and set others."""
    config = json.loads(path.read_text(encoding="utf-8")) | values
    kept = {key: value for key, value in config.items() if key not in left_out}
    path.write_text(json.dumps(kept, indent=4) + "\n", encoding="utf-8")


def test_the_bundles_share_what_they_must():
    sync_bundles(check=True, bundles=str(ROOT / "bundles"))


def test_nothing_is_written_where_all_is_well(bundles):
    before = texts(bundles)
    sync_bundles(bundles=str(bundles))
    assert texts(bundles) == before


@pytest.mark.parametrize(
    ("file", "values"),
    [
        ("train.json", {"rank": 1}),
        ("inference.json", {"run": []}),
        ("evaluate.json", {"evaluation_panels": 5}),
        ("multi_gpu_train.json", {"finalize": []}),
        ("paper.json", {"l1_weight": 8.0}),
        ("metadata.json", {"monai_version": "9.9.9"}),
    ],
)
def test_a_change_of_unified_is_reported_and_then_written_to_the_others(bundles, file, values):
    home = bundles / "unified" / "configs" / file
    others = {bundles / name / "configs" / file for name in OTHERS}
    change(home, **values)
    before = texts(bundles)
    with pytest.raises(ValueError, match=r"not as in .*unified.*Run: python tools/sync_bundles.py") as error:
        sync_bundles(check=True, bundles=str(bundles))
    assert all(str(path) in str(error.value) for path in others)
    assert texts(bundles) == before
    sync_bundles(bundles=str(bundles))
    after = texts(bundles)
    assert {path for path in after if after[path] != before[path]} == others
    assert all(values.items() <= json.loads(after[path]).items() for path in others)
    sync_bundles(check=True, bundles=str(bundles))


def test_the_values_of_a_bundle_stay_its_own(bundles):
    change(bundles / "unified" / "configs" / "train.json", learning_rate=0.5, rank=1)
    change(bundles / "sr" / "configs" / "train.json", learning_rate=0.25)
    change(bundles / "sr" / "configs" / "metadata.json", eval_metrics={"psnr": 1.0})
    sync_bundles(bundles=str(bundles))
    config = json.loads((bundles / "sr" / "configs" / "train.json").read_text())
    assert (config["learning_rate"], config["factors"], config["rank"]) == (0.25, [{"min": 1.5, "max": 7.0}], 1)
    assert json.loads((bundles / "sr" / "configs" / "metadata.json").read_text())["eval_metrics"] == {"psnr": 1.0}


def test_a_shared_file_that_is_missing_is_written(bundles):
    (bundles / "cms" / "scripts" / "__init__.py").unlink()
    sync_bundles(bundles=str(bundles))
    assert (bundles / "cms/scripts/__init__.py").read_text() == (bundles / "unified/scripts/__init__.py").read_text()


@pytest.mark.parametrize("name", ["unified", "sr"])
def test_a_readme_that_was_edited_by_hand_is_reported_and_made_again(bundles, name):
    path = bundles / name / "docs" / "README.md"
    made = path.read_text(encoding="utf-8")
    path.write_text(made + "More.\n", encoding="utf-8")
    with pytest.raises(ValueError, match=rf"bundle_readme.md.j2.*{name}/docs/README.md.*Run: python tools/sync"):
        sync_bundles(check=True, bundles=str(bundles))
    sync_bundles(bundles=str(bundles))
    assert path.read_text(encoding="utf-8") == made


def test_a_readme_has_the_results_of_its_metadata(bundles):
    results = {
        "t1_to_t1_x2.5_psnr": 31.0,
        "t1_to_t1_x2.5_gain": 0.5,
        "t1_to_t2_x1_psnr": 20.456,
        "t1_to_t2_x1_gain": -1.0,
    }
    change(bundles / "unified" / "configs" / "metadata.json", eval_metrics=results)
    change(bundles / "cms" / "configs" / "metadata.json", eval_metrics={})
    sync_bundles(bundles=str(bundles))
    text, without = ((bundles / name / "docs" / "README.md").read_text(encoding="utf-8") for name in ("unified", "cms"))
    assert "| T1, factor 2.5 | 31.00 | +0.50 |" in text
    assert "| T1 to T2 | 20.46 | -1.00 |" in text
    assert text.count("factor 2.5") == text.count("| T1 to T2 |") == 1
    assert "Not measured." in without and "PSNR in dB" not in without


def test_a_readme_is_one_text_without_gaps(bundles):
    for path in bundles.glob("*/docs/README.md"):
        text = path.read_text(encoding="utf-8")
        assert "\n\n\n" not in text and text.endswith(".\n") and "{" not in text
        prose = [line for line in text.splitlines() if not line.startswith(("    ", "|"))]
        assert max(map(len, prose)) <= 120, path


def test_values_with_other_names_or_in_another_order_are_refused_by_name(bundles):
    path = bundles / "cms" / "configs" / "train.json"
    change(path, "seed")
    with pytest.raises(ValueError, match=r"cms/configs/train\.json.*not both have seed.*same order"):
        sync_bundles(bundles=str(bundles))
    config = json.loads((ROOT / "bundles" / "cms" / "configs" / "train.json").read_text())
    seed = {"seed": config.pop("seed")}
    path.write_text(json.dumps(seed | config))
    with pytest.raises(ValueError, match=r"cms/configs/train\.json.*the order differs"):
        sync_bundles(bundles=str(bundles))


def test_missing_values_of_the_bundle_are_an_error(bundles):
    change(bundles / "sr" / "configs" / "metadata.json", "task")
    with pytest.raises(ValueError, match=r"sr/configs/metadata\.json' lacks task"):
        sync_bundles(bundles=str(bundles))
    (bundles / "sr" / "configs" / "train.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"sr/configs/train\.json' is not there; copy unified's"):
        sync_bundles(bundles=str(bundles))


def test_a_config_without_the_mark_of_the_wiring_is_refused(bundles):
    change(bundles / "unified" / "configs" / "train.json", "imports")
    with pytest.raises(ValueError, match=r"unified/configs/train\.json' has no key 'imports'"):
        sync_bundles(bundles=str(bundles))


def test_the_command_ends_with_status_one_where_something_differs(bundles, monkeypatch):
    monkeypatch.setattr("sys.argv", ["sync_bundles.py", "--check", "--bundles", str(bundles)])
    (bundles / "cmsr" / "LICENSE").write_text("other terms")
    with pytest.raises(SystemExit, match="error: not as in .*cmsr/LICENSE"):
        runpy.run_path(str(ROOT / "tools" / "sync_bundles.py"), run_name="__main__")
    (bundles / "cmsr" / "LICENSE").write_text((bundles / "unified" / "LICENSE").read_text())
    runpy.run_path(str(ROOT / "tools" / "sync_bundles.py"), run_name="__main__")
