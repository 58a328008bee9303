"""The page of the demo: all pictures, all scans, no broken links."""

import re
import runpy
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "demo_page.py"
demo_page = runpy.run_path(str(SCRIPT))["demo_page"]


def test_the_page_shows_every_picture_and_links_every_scan(tmp_path):
    for name in (
        "head_thick_t1_to_thin_t2.png",
        "a & b.png",
        "thick/head_t1.nii.gz",
        "thin_t2/head_t1_t2_error.nii.gz",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    demo_page(folder=str(tmp_path))
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    named = [name.replace("&amp;", "&") for name in re.findall(r'(?:src|href)="([^"]+)"', page)]
    assert len(named) == 4 and all((tmp_path / name).is_file() for name in named)
    assert "<h2>head thick t1 to thin t2</h2>" in page and "<h2>a &amp; b</h2>" in page


def test_a_folder_without_pictures_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no picture"):
        demo_page(folder=str(tmp_path))
    assert not list(tmp_path.iterdir())
