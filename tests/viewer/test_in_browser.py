"""The page in a real browser: values are those of the files, pictures are linked, and nothing is fetched."""

import json
import threading

import nibabel as nib
import numpy as np
import pytest
from matplotlib.image import imread

from unicoal_components.viewer.results import find_results
from unicoal_components.viewer.view import view, viewer_server

PLACES = [[1, 1, 1], [12, 16, 20], [3, 9, 7], [9, 2, 14]]
"""Slices from 1, sagittal, coronal, axial, of a volume of 16 x 12 x 20 voxels with axes P, L, S."""

READ = """
const read = () => [...document.querySelectorAll("figure")].map((figure) => [
  figure.querySelector("small").textContent, figure.querySelector(".viewer-value").textContent]);
const found = [];
for (const [sagittal, coronal, axial] of PLACES) {
  set("viewer-slice-sagittal", sagittal); set("viewer-slice-coronal", coronal); set("viewer-slice-axial", axial);
  found.push([find("viewer-position").textContent, read()]);
}
note("found", JSON.stringify(found));
""".replace("PLACES", json.dumps(PLACES))


def check(found, image):
    """Compare what the page said with the files, by the affines alone."""
    files = [
        nib.load(image.parents[1] / "scan.nii.gz"),
        nib.load(image),
        nib.load(image.with_name("scan_t1_error.nii.gz")),
    ]
    result = files[1]
    canonical = nib.as_closest_canonical(result)
    for place, (position, columns) in zip(PLACES, found, strict=True):
        world = nib.affines.apply_affine(canonical.affine, np.array(place) - 1)
        numbers = [
            float(word.split()[1]) * (1 if word.split()[0] in "RAS" else -1) for word in position[:-3].split(", ")
        ]
        np.testing.assert_allclose(numbers, world, atol=0.051)
        for file, (voxel, value) in zip(files, columns, strict=True):
            exact = nib.affines.apply_affine(np.linalg.inv(file.affine), world)
            if not voxel:  # beyond the last thick slice
                assert value == "outside" and ((exact < -0.5) | (exact > np.array(file.shape) - 0.5)).any()
                continue
            index = [int(number) for number in voxel.removeprefix("voxel ").split(", ")]
            assert np.abs(index - exact).max() <= 0.5 + 1e-6
            assert float(value) == pytest.approx(float(file.get_fdata()[tuple(index)]), rel=1e-5)


def found_of(seen):
    assert seen.get("done") == "yes" and "errors" not in seen, seen
    return json.loads(seen["found"].replace("&quot;", '"'))


@pytest.mark.slow
def test_a_served_page_fetches_its_volumes(results, browser, acting):
    image = results()
    with viewer_server(find_results(image)) as server:
        server.page = acting(server.page.decode(), READ).encode()
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            check(found_of(browser.visit(server.url)), image)
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.slow
def test_values_keys_mouse_zoom_window_and_reset(results, browser, acting):
    script = (
        READ
        + """
const canvas = document.querySelectorAll("canvas")[3];  // axial, of the result
const place = () => ["sagittal", "coronal", "axial"].map((plane) => find("viewer-slice-" + plane).value).join(" ");
const press = (key) => canvas.dispatchEvent(new KeyboardEvent("keydown", { key }));
find("viewer-reset").click();
const start = place();
press("ArrowLeft"); press("ArrowDown"); press("ArrowDown"); press("PageUp");
note("keys", place());
const box = canvas.getBoundingClientRect();
const point = (type, x, y, more) => canvas.dispatchEvent(new PointerEvent(type,
  { clientX: box.left + x * box.width, clientY: box.top + y * box.height, bubbles: true, ...more }));
await drawn();
point("pointerdown", 0.001, 0.5); point("pointerup", 0.001, 0.5);
note("edge", place().split(" ")[0]);  // left is R, the highest slice
press("+"); press("+");
note("zoomed", find("viewer-zoom").value > 0);
const numbers = () => [...document.querySelectorAll(".viewer-legend input")].map((input) => input.value).join(" ");
const before = numbers();
const high = document.querySelectorAll(".viewer-legend input")[1];
high.value = "123"; high.dispatchEvent(new Event("change"));
note("window", numbers().split(" ").slice(0, 4).join(" ") + " " + (numbers().split(" ")[5] === before.split(" ")[5]));
high.value = "-5"; high.dispatchEvent(new Event("change"));
note("refused", find("viewer-status").textContent);
find("viewer-reset").click();
note("reset", place() === start && numbers() === before && find("viewer-zoom").value == 0);
note("start", start);
const named = (one) => one.getAttribute("aria-label") && one.tabIndex === 0;
note("labels", [...document.querySelectorAll("canvas")].every(named));
"""
    )
    image = results()
    page = view(image, save=results.root / "page.html")
    page.write_text(acting(page.read_text(encoding="utf-8"), script), encoding="utf-8")
    seen = browser.visit(page.as_uri())
    check(found_of(seen), image)
    assert not browser.console
    start = [int(number) for number in seen["start"].split()]
    assert seen["keys"].split() == [str(start[0] + 1), str(start[1] - 2), str(start[2] + 1)]
    assert seen["edge"] == "12" and seen["zoomed"] == "true"
    low = seen["window"].split()[0]
    assert seen["window"].split() == [low, "123", low, "123", "true"]
    assert "window" in seen["refused"]
    assert seen["reset"] == seen["labels"] == "true"


@pytest.mark.slow
def test_left_is_right_and_the_slider_puts_the_input_over_the_result(tmp_path, browser, acting):
    """Seen in the picture: the result is dark with a white right front, the input is gray."""
    voxels = np.zeros((40, 40, 40), np.uint8)
    voxels[20:, 20:, :] = 255  # axes R, A, S
    nib.save(nib.Nifti1Image(voxels, np.eye(4)), tmp_path / "a_t1.nii.gz")
    nib.save(nib.Nifti1Image(np.full((40, 40, 10), 128, np.uint8), np.diag([1, 1, 4, 1])), tmp_path / "a.nii.gz")
    task = {"source_modality": "t1", "target_modality": "t1", "factor": 4.0, "through_plane": "axial"}
    record = {"outputs": {"image": "a_t1.nii.gz"}, "input": {"path": str(tmp_path / "a.nii.gz")}, "task": task}
    record["intensity"] = {"network_black": 0, "network_white": 255}
    (tmp_path / "a_t1.json").write_text(json.dumps(record))
    script = """
set("viewer-plane", "axial", "change"); find("viewer-crosshair").click();
set("viewer-wipe", 25);
await drawn();
const box = document.querySelectorAll("canvas")[3].getBoundingClientRect();
note("box", [box.left, box.top, box.width, box.height].join(" "));
"""
    page = view(tmp_path / "a_t1.json", save=tmp_path / "page.html")
    page.write_text(acting(page.read_text(encoding="utf-8"), script), encoding="utf-8")
    seen = browser.visit(page.as_uri(), f"--screenshot={tmp_path / 'shot.png'}")
    left, top, width, height = map(float, seen["box"].split())
    shot = np.round(imread(tmp_path / "shot.png")[..., 0] * 255)
    side = min(width, height)
    part = shot[
        round(top + (height - side) / 2) : round(top + (height + side) / 2),
        round(left + (width - side) / 2) : round(left + (width + side) / 2),
    ]
    quarter = len(part) // 4

    def at(row, column):
        return part[round(row * quarter), round(column * quarter)]

    assert at(1, 0.5) == at(3, 0.5) == 128  # input
    assert at(1, 1.5) == 255  # front right
    assert at(1, 2.5) == at(3, 1.5) == at(3, 2.5) == 0
