"""Pictures of the worst and the best, within the page or linked."""

import base64
import re

from unicoal_components.report import panels


def test_the_worst_come_before_the_best_each_from_its_end(evaluation, shown):
    evaluation.draw()
    page = shown(evaluation, "panels", panels=4)
    titles = re.findall(r'<figure class="panel"><figcaption>(.*?)</figcaption>', page)
    expected = ["p3: t1 → t1 ×3.3, 21.75 dB", "p3: t1 → t2 ×4, 22.00 dB", "p1: t1 → t2 ×4, 24.00 dB"]
    assert titles[:3] == expected and len(titles) == 4
    assert page.index("Worst") < page.index(titles[0]) < page.index("<h3>Best") < page.index(titles[2])


def test_all_cases_are_listed_and_linked(evaluation, shown):
    evaluation.draw(evaluation.stems()[1:])
    page = shown(evaluation, "panels", panels=2)
    links = re.findall(r'href="(panels/[^"]+)"', page)
    assert links == [f"panels/{stem}.png" for stem in evaluation.stems()[1:]]
    assert page.count("not drawn") == 1


def test_the_picture_is_the_file(evaluation, shown):
    evaluation.draw()
    found = re.search(r'src="data:image/png;base64,([^"]+)"', shown(evaluation, "panels", panels=1))[1]
    assert base64.b64decode(found) == (evaluation.folder / "panels" / f"{evaluation.stems()[0]}.png").read_bytes()


def test_panels_that_would_make_the_page_too_large_are_linked(evaluation, shown, monkeypatch):
    evaluation.draw()
    monkeypatch.setattr(panels, "INLINE_BYTES", 1)
    page = shown(evaluation, "panels", panels=4)
    assert "data:image" not in page
    assert page.count('href="panels/') == 4 + 6


def test_missing_panels_are_noted(evaluation, shown):
    assert "No panels were drawn" in shown(evaluation, "panels", panels=4)
