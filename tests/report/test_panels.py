"""Pictures of the worst and the best, within the page or linked."""

import base64
import re

from unicoal_components.report import panels
from unicoal_components.report.evaluation import read_evaluation
from unicoal_components.report.panels import panel_section


def section(evaluation, count):
    return panel_section(read_evaluation(evaluation.write()), count=count)


def test_the_worst_come_before_the_best_each_from_its_end(evaluation):
    evaluation.draw()
    page = section(evaluation, 4)
    shown = re.findall(r'<figure class="panel"><figcaption>(.*?)</figcaption>', page)
    expected = ["p3: t1 → t1 ×3.3, 21.75 dB", "p3: t1 → t2 ×4, 22.00 dB", "p1: t1 → t2 ×4, 24.00 dB"]
    assert shown[:3] == expected and len(shown) == 4
    assert page.index("Worst") < page.index(shown[0]) < page.index("<h3>Best") < page.index(shown[2])


def test_all_cases_are_listed_and_linked(evaluation):
    evaluation.draw(evaluation.stems()[1:])
    page = section(evaluation, 2)
    links = re.findall(r'href="(panels/[^"]+)"', page)
    assert links == [f"panels/{stem}.png" for stem in evaluation.stems()[1:]]
    assert page.count("not drawn") == 1


def test_the_picture_is_the_file(evaluation):
    evaluation.draw()
    found = re.search(r'src="data:image/png;base64,([^"]+)"', section(evaluation, 1))[1]
    assert base64.b64decode(found) == (evaluation.folder / "panels" / f"{evaluation.stems()[0]}.png").read_bytes()


def test_panels_that_would_make_the_page_too_large_are_linked(evaluation, monkeypatch):
    evaluation.draw()
    monkeypatch.setattr(panels, "INLINE_BYTES", 1)
    page = section(evaluation, 4)
    assert "data:image" not in page
    assert page.count('href="panels/') == 4 + 6


def test_no_panels_is_said(evaluation):
    assert "No panels were drawn" in section(evaluation, 4)
