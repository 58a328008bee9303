"""The page in a real browser: three volumes are drawn, linked, and exchanged, and nothing is fetched."""

import base64

import numpy as np
import pytest
from matplotlib.image import imread

from unicoal_components.report.html_report import write_report

ACT = """
const all = () => [...document.querySelectorAll(".viewer-value")].map((value) => value.textContent).join(" ");
const choice = () => document.querySelector("figure select");
note("first", all());
set("viewer-slice-axial", 1);
note("edge", all());
choice().value = "cubic"; choice().dispatchEvent(new Event("change"));
find("viewer-reset").click();
note("second", all());
delete document.documentElement.dataset.ready;
find("viewer-scene").selectedIndex = 1;
find("viewer-scene").dispatchEvent(new Event("change"));
await ready();
note("third", all() + " " + choice().value);
await drawn();
"""


@pytest.fixture
def page(evaluation):
    evaluation.write()
    evaluation.store()
    evaluation.draw()
    return write_report(evaluation.folder)


@pytest.mark.slow
def test_three_volumes_are_drawn_linked_and_can_be_exchanged(browser, acting, page):
    page.write_text(acting(page.read_text(encoding="utf-8"), ACT), encoding="utf-8")
    shot = page.with_name("shot.png")
    seen = browser.visit(page.as_uri(), f"--screenshot={shot}")
    assert seen.get("done") == "yes" and "errors" not in seen and not browser.console, seen
    assert seen["ready"] == "3"
    quarter, half, most = (f"{round(255 * part) / 255:.6g}" for part in (0.25, 0.5, 0.75))
    other = f"{round(255 * 0.6) / 255:.6g}"
    assert seen["first"] == f"{quarter} {half} {most}"
    assert seen["edge"] == "0 0 0"
    assert seen["second"] == f"{quarter} {other} {most}"
    assert seen["third"] == f"{quarter} {half} {most} ours"
    image = np.round(imread(shot)[..., :3] * 255)
    gray = image[np.ptp(image, axis=-1) == 0][:, 0]
    for level in (0.25, 0.5, 0.75):  # of 3 views each; far more than letters have
        assert (np.abs(gray - round(255 * level)) <= 1).sum() > 5000


@pytest.mark.slow
def test_whatever_would_be_fetched_from_outside_is_refused_and_seen(browser, acting, page):
    """The test of the console can fail: a resource from outside is reported there, and counted in the page."""
    pixel = base64.b64encode(b"GIF89a").decode()
    extra = f'<img src="http://127.0.0.1:9/x.gif"><img src="data:image/gif;base64,{pixel}"></body>'
    before, _, after = page.read_text(encoding="utf-8").rpartition("</body>")
    page.write_text(acting(before + extra + after, ""), encoding="utf-8")
    seen = browser.visit(page.as_uri())
    assert "blocked: http://127.0.0.1:9/x.gif" in seen["fault"]
    assert any("Content Security Policy" in line for line in browser.console)
