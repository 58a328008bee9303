"""The page of an evaluation from the command line."""

import json

import pytest

from unicoal_components.commands.app import main


@pytest.fixture
def run(monkeypatch):
    def call(*options):
        monkeypatch.setattr("sys.argv", ["unicoal", "report", *map(str, options)])
        main()

    return call


@pytest.fixture
def folder(tmp_path):
    column = {"name": "psnr", "label": "PSNR", "unit": "dB", "better": "higher", "digits": 2}
    facts = {"schema": 1, "method": "ours", "section": "test", "columns": [column], "methods": ["ours"]}
    (tmp_path / "run.json").write_text(json.dumps(facts))
    (tmp_path / "per_subject.csv").write_text("subject,source,target,factor,method,psnr\np1,t1,t2,4,ours,21.5\n")
    (tmp_path / "summary.csv").write_text(
        "source,target,factor,method,n,psnr_mean,psnr_std,psnr_low,psnr_high\nt1,t2,4,ours,1,21.5,0,,\n"
    )
    return tmp_path


def test_it_writes_the_page_into_the_folder(run, folder, caplog):
    with caplog.at_level("INFO"):
        run("--evaluation", folder)
    assert "21.50" in (folder / "report.html").read_text(encoding="utf-8")
    assert f"wrote {folder / 'report.html'}, 0.0 MB" in caplog.text


def test_a_folder_without_an_evaluation_ends_in_one_line(run, tmp_path):
    with pytest.raises(SystemExit, match="error: .* is no evaluation"):
        run("--evaluation", tmp_path)


def test_an_unknown_option_is_refused_before_anything_is_written(run, folder):
    with pytest.raises(SystemExit):
        run("--evaluation", folder, "--panel", 3)
    assert not (folder / "report.html").exists()
