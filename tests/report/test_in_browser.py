"""The page in a real browser: three volumes are drawn, linked, and exchanged, and nothing is fetched."""

import base64
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from unicoal_components.report.html_report import write_report
from unicoal_components.report.viewer import INSTALL, PLACE

ROOT = Path(__file__).parents[2]
OPTIONS = (
    *(
        "--headless=new",
        "--no-sandbox",
        "--use-angle=swiftshader",
        "--enable-unsafe-swiftshader",
        "--disable-gpu-vsync",
    ),
    *("--enable-logging=stderr", "--hide-scrollbars", "--window-size=1300,1000", "--virtual-time-budget=20000"),
)
ACT = """
const note = (name, value) => document.documentElement.setAttribute("data-" + name, value);
const text = (id) => document.getElementById(id).textContent;
const all = () => ["input", "prediction", "truth"].map((name) => text("value-" + name)).join(" ");
const choose = (id, value) => {
  document.getElementById(id).value = value;
  document.getElementById(id).dispatchEvent(new Event("change"));
};
const waitFor = async (test) => { while (!test()) await new Promise((done) => setTimeout(done, 20)); };
(async () => {
  await waitFor(() => document.documentElement.dataset.ready);
  note("first", all());
  choose("viewer-plane", "axial");
  const canvas = document.getElementById("canvas-truth");
  const box = canvas.getBoundingClientRect();
  const at = { clientX: box.left + 3, clientY: box.top + box.height / 2, button: 0, bubbles: true };
  await waitFor(() => true);
  canvas.dispatchEvent(new MouseEvent("mousedown", at));
  canvas.dispatchEvent(new MouseEvent("mouseup", at));
  await new Promise((done) => setTimeout(done, 200));
  note("corner", all());
  const turn = (times, options) => {
    for (let k = 0; k < times; k++) {
      canvas.dispatchEvent(new WheelEvent("wheel", {
        deltaY: 100, clientX: box.left + box.width / 2, clientY: box.top + box.height / 2,
        bubbles: true, cancelable: true, ...options,
      }));
    }
  };
  document.getElementById("viewer-reset").click();
  await new Promise((done) => setTimeout(done, 200));
  turn(12, {});
  note("untouched", all());
  canvas.dispatchEvent(new PointerEvent("pointerdown", { bubbles: true }));
  turn(4, { ctrlKey: true });
  note("zoomed", all());
  canvas.dispatchEvent(new MouseEvent("dblclick", { bubbles: true }));
  turn(12, {});
  note("scrolled", all());
  choose("viewer-method", "cubic");
  await waitFor(() => text("title-prediction") === "cubic");
  await new Promise((done) => setTimeout(done, 500));
  document.getElementById("viewer-reset").click();
  await new Promise((done) => setTimeout(done, 200));
  note("second", all());
  choose("viewer-case", "1");
  await new Promise((done) => setTimeout(done, 50));
  await waitFor(() => document.documentElement.dataset.ready);
  note("third", all() + " " + text("title-prediction"));
  note("done", "yes");
})();
"""


@pytest.fixture(scope="module")
def chromium():
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    found = next((program for name in names if (program := shutil.which(name))), None)
    return found or pytest.skip(f"no browser: none of {', '.join(names)} is installed")


@pytest.fixture(scope="module")
def niivue():
    path = ROOT / PLACE
    return path if path.is_file() else pytest.skip(f"the viewer is not at {PLACE}; {INSTALL}")


@pytest.fixture
def page(evaluation, niivue):
    evaluation.write()
    evaluation.store()
    evaluation.draw()
    return write_report(evaluation.folder, viewer=niivue)


def browse(chromium, page, *options):
    """Return what the browser prints, after its scripts ran, and what its console said."""
    home = page.parent / "browser"
    run = subprocess.run(
        [chromium, *OPTIONS, f"--user-data-dir={home}", *options, page.as_uri()],
        capture_output=True,
        text=True,
        timeout=240,
        env=os.environ | {"HOME": str(home)},
    )
    return run.stdout, [line for line in run.stderr.splitlines() if "CONSOLE" in line]


def with_more(page, markup):
    """Return the page with markup at its end; the viewer's code holds the word </body> too."""
    before, end, after = page.read_text(encoding="utf-8").rpartition("</body>")
    return before + markup + end + after


def attribute(dom, name):
    found = re.search(rf'<html[^>]*\sdata-{name}="([^"]*)"', dom)
    return found and found[1]


@pytest.mark.slow
def test_three_volumes_are_linked_and_can_be_exchanged(chromium, page):
    acting = page.with_name("acting.html")
    acting.write_text(with_more(page, f"<script>{ACT}</script>"), encoding="utf-8")
    dom, console = browse(chromium, acting, "--dump-dom")
    assert attribute(dom, "ready") == "3", attribute(dom, "fault")
    assert attribute(dom, "errors") is None, attribute(dom, "fault")
    assert not [line for line in console if "error" in line.lower() or "refused" in line.lower()]
    assert attribute(dom, "done") == "yes"
    assert attribute(dom, "first") == "0.251 0.502 0.749"  # on one scale: a quarter, a half, three quarters
    assert attribute(dom, "corner") == "0.000 0.000 0.000"  # a click into one moves all
    assert attribute(dom, "untouched") == attribute(dom, "zoomed") == "0.251 0.502 0.749"
    assert attribute(dom, "scrolled") == "0.000 0.000 0.000"
    assert attribute(dom, "second") == "0.251 0.600 0.749"
    assert attribute(dom, "third") == "0.251 0.600 0.749 cubic"


@pytest.mark.slow
def test_the_volumes_are_seen_in_their_grays(chromium, page):
    shot = page.with_name("shot.png")
    browse(chromium, page, f"--screenshot={shot}")
    image = np.round(imread(shot)[..., :3] * 255)
    gray = image[np.ptp(image, axis=-1) == 0][:, 0]
    for level in (0.25, 0.5, 0.75):  # of 3 views each; far more than letters have
        assert (np.abs(gray - round(255 * level)) <= 1).sum() > 5000


@pytest.mark.slow
def test_whatever_would_be_fetched_from_outside_is_refused_and_seen(chromium, page):
    """The test of the console can fail: a resource from outside is reported there, and counted in the page."""
    pixel = base64.b64encode(b"GIF89a").decode()
    spoiled = page.with_name("spoiled.html")
    extra = f'<img src="http://127.0.0.1:9/x.gif"><img src="data:image/gif;base64,{pixel}">'
    spoiled.write_text(with_more(page, extra), encoding="utf-8")
    dom, console = browse(chromium, spoiled, "--dump-dom")
    assert "blocked: http://127.0.0.1:9/x.gif" in attribute(dom, "fault")
    assert any("Content Security Policy" in line for line in console)
