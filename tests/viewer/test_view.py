"""The command's function: a saved page, or a server, and what it refuses."""

import pytest

from unicoal_components.viewer import view as module
from unicoal_components.viewer.view import view


def test_a_page_is_saved_whole_and_no_browser_opened(results, monkeypatch):
    monkeypatch.setattr(module.webbrowser, "open", pytest.fail)
    page = results.root / "page.html"
    assert view(results(), save=page) == page
    text = page.read_text(encoding="utf-8")
    assert text.count('id="volume-0-') == 3 and text.rstrip().endswith("</html>")


def test_a_folder_is_saved_with_all_its_results(results):
    results("a"), results("b")
    text = view(results.output_dir, save=results.root / "page.html").read_text(encoding="utf-8")
    assert "<title>2 results</title>" in text and 'id="scene-1"' in text and 'id="volume-1-2-0"' in text


def test_too_large_a_page_names_its_size_and_leaves_the_old_one(results, monkeypatch):
    image = results()
    page = results.root / "page.html"
    page.write_text("old")
    monkeypatch.setattr(module, "LARGEST", 5000)
    with pytest.raises(ValueError, match=r"more than \d+ MB with 1 of 1 results.*Leave save out"):
        view(image, save=page)
    assert page.read_text() == "old"


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ({"save": "scan.nii.gz"}, "save is 'scan.nii.gz'"),
        ({"port": 70000}, "port is 70000"),
        ({"port": 0}, "port is 0"),
        ({"port": "80"}, "port is '80'"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_read(option, text, tmp_path):
    with pytest.raises(ValueError, match=text):
        view(tmp_path / "nowhere", **option)


def test_an_input_for_several_results_is_refused(results):
    results("a"), results("b")
    with pytest.raises(ValueError, match="2 results"):
        view(results.output_dir, input=results.scan("c"), save=results.root / "page.html")


def test_a_damaged_result_is_an_error_before_a_server_starts(results, capsys):
    image = results()
    image.write_bytes(b"no image")
    with pytest.raises(OSError, match="scan_t1.nii.gz"):
        view(image, open_browser=False)
    assert not capsys.readouterr().out


def test_the_address_is_written_and_opened_and_ctrl_c_ends_the_server(results, monkeypatch, capsys):
    opened = []

    def interrupted(self, poll_interval=0.5):
        raise KeyboardInterrupt

    monkeypatch.setattr(module.ViewerServer, "serve_forever", interrupted)
    monkeypatch.setattr(module.webbrowser, "open", opened.append)
    assert view(results()) is None
    assert opened and capsys.readouterr().out.startswith(f"{opened[0]}\n")
