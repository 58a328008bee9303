"""The report as a whole: one self-contained file, escaped."""

import gzip
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from unicoal_components.report import html_report
from unicoal_components.report.html_report import write_report
from unicoal_components.report.panels import INLINE_BYTES
from unicoal_components.report.viewer import BUDGET
from unicoal_components.viewer.page import viewer_script, viewer_style

FROM_OUTSIDE = re.compile(r"""(?:src|href)\s*=\s*["']?\s*(?:https?:)?//|@import|url\(\s*["']?\s*(?:https?:)?//""", re.I)


class Outline(HTMLParser):
    """Elements with their ids, whether all are closed, and text that is visible."""

    def __init__(self, page):
        super().__init__()
        self.open, self.ids, self.tags, self.text = [], [], [], ""
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.ids += [value for name, value in attributes if name == "id"]
        if tag not in ("meta", "link", "img", "input", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("script", "style"):
            self.text += data


def page_of(evaluation, **options):
    path = write_report(evaluation.write(), **options)
    assert path == evaluation.folder / "report.html"
    return path.read_text(encoding="utf-8")


def complete(evaluation, moved):
    """Give an evaluation everything that it can have."""
    evaluation.draw()
    evaluation.store()
    evaluation.json("equivariance.json", moved())
    evaluation.json("calibration.json", {"cases": [], "nominal": [0.5], "observed": [0.4]})
    return evaluation


def test_all_parts_are_there_in_their_order(evaluation, moved):
    outline = Outline(page_of(complete(evaluation, moved)))
    sections = [attributes["id"] for tag, attributes in outline.tags if tag == "section"]
    expected = ["look", "results", "alias", "uncertainty", "panels", "training", "protocols", "provenance"]
    assert sections == expected
    links = [a["href"][1:] for tag, a in outline.tags if tag == "a" and a["href"].startswith("#")]
    assert links == expected
    assert not outline.open and len(set(outline.ids)) == len(outline.ids)


def test_style_and_script_are_in_the_page_as_they_are(evaluation):
    page = page_of(evaluation)
    assert (Path(html_report.__file__).with_name("templates") / "report.css").read_text(encoding="utf-8") in page
    assert viewer_style() in page and viewer_script() in page


def test_title_marks_and_date_are_at_the_top(evaluation):
    page = page_of(evaluation)
    head = page[page.index("<h1>") : page.index("<section")]
    for words in ("Evaluation of ours", "Section test", "3 subjects", "every 3rd slice only", "2026-11-25 19:40:00"):
        assert words in head


def test_nothing_is_loaded_from_outside(evaluation, moved):
    page = page_of(complete(evaluation, moved))
    assert not FROM_OUTSIDE.search(page)
    assert "default-src 'none'" in page
    tags = Outline(page).tags
    sources = [a.get("src") or a.get("href") or "" for tag, a in tags if tag in ("img", "link", "script", "iframe")]
    assert all(source.startswith("data:") for source in sources if source)


def test_the_search_for_outside_resources_finds_one():
    for text in ('<img src="https://a">', "<a href=//b>", "@import 'x'", "url(http://c)"):
        assert FROM_OUTSIDE.search(text)


def test_text_of_users_is_escaped_everywhere(evaluation, moved):
    evil = "<img src=x onerror=alert(1)>\"'"
    evaluation.run |= {"section": evil, "marks": [evil], "notes": {"lpips": evil, evil: evil}, "created": evil}
    evaluation.run |= {"configuration": {evil: evil, "more": [evil] * 30}, "software": {evil: evil}}
    evaluation.run |= {"weights": {"path": evil, "sha256": evil, evil: evil}, "training_log": evil}
    evaluation.run |= {"method_notes": {evil: evil}, "methods": ["ours", "cubic", "affine", evil]}
    evaluation.run |= {"data": [{"subject": evil, "path": evil, "sha256": evil}]}
    evaluation.rows = [row | {"subject": row["subject"] + evil} for row in evaluation.per_subject()]
    complete(evaluation, moved)
    evaluation.json("equivariance.json", moved(evil, evil))
    page = page_of(evaluation)
    assert "onerror" in Outline(page).text
    assert not [a for tag, a in Outline(page).tags if "onerror" in a]
    assert "<img src=x" not in page


def test_numbers_of_cases_and_panels_are_kept(evaluation, moved):
    page = page_of(complete(evaluation, moved), viewer_cases=1, panels=2)
    assert page.count("data:image/png") == 2
    assert "volume-0-0-0" in page and "volume-1-0-0" not in page
    assert "1 case of 6: worst" in page


def test_volumes_that_were_not_requested_are_not_called_absent(evaluation, moved):
    page = page_of(complete(evaluation, moved), viewer_cases=0)
    assert "No volumes were asked for" in page and "No volumes were stored" not in page


def test_an_evaluation_without_a_psnr_still_makes_a_page(evaluation, moved):
    evaluation.rows = [row | {"psnr": math.nan} for row in evaluation.per_subject()]
    assert "p1: t1 → t2 ×4, – dB" in page_of(complete(evaluation, moved), panels=12)


def test_the_budgets_keep_the_page_below_25_mb():
    tables = 500_000
    assert 4 / 3 * (BUDGET + INLINE_BYTES) + tables < 25_000_000


def test_a_page_with_all_that_the_budgets_allow_is_below_25_mb(evaluation, moved):
    complete(evaluation, moved)
    noise = np.random.default_rng(0).integers(0, 256, (100, 100, 99), dtype=np.uint8)  # which cannot be compressed
    whole = gzip.compress(nib.Nifti1Image(noise, np.eye(4)).to_bytes(), compresslevel=1)
    for path in evaluation.folder.glob("cases/*/*.nii.gz"):
        path.write_bytes(whole)
    for path in evaluation.folder.glob("panels/*.png"):
        path.write_bytes(bytes(1_150_000))
    page = page_of(evaluation)
    assert 20_000_000 < len(page.encode()) < 25_000_000


@pytest.mark.parametrize(("name", "value"), [("viewer_cases", -1), ("panels", 1.5), ("panels", True)])
def test_wrong_numbers_are_refused(evaluation, name, value):
    with pytest.raises(ValueError, match=f"{name} is {value}"):
        write_report(evaluation.write(), **{name: value})


def test_a_failure_leaves_the_old_page(evaluation):
    page = page_of(evaluation)
    evaluation.table("summary.csv", [{"method": "ours"}])
    with pytest.raises(ValueError, match="summary.csv' lacks"):
        write_report(evaluation.folder)
    assert (evaluation.folder / "report.html").read_text(encoding="utf-8") == page
    assert not list(evaluation.folder.glob(".*"))
