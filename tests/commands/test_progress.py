"""The bar over the results of a command."""

import sys

import pytest

from unicoal_components.commands.progress import ScanProgress


@pytest.fixture
def progress(monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    made = ScanProgress(2)
    made.bar.start_t -= 100  # the program was loaded
    made.bar.last_print_t -= 100
    yield made
    made.close()


def test_results_advance_with_their_slices_and_a_failed_one_counts_as_done(progress):
    with progress.slices(10) as bar:
        bar.update(4)
        assert progress.bar.n == pytest.approx(0.4)
    progress.finish(1)
    assert progress.bar.n == 1


def test_loading_the_program_is_no_part_of_the_time_left(progress):
    for _ in range(2):
        with progress.slices(10) as bar:
            bar.update(5)
    assert progress.bar.format_dict["elapsed"] < 50


def test_without_a_terminal_there_is_no_bar(capsys):
    progress = ScanProgress(1)
    with progress.slices(10) as bar:
        bar.update(10)
    progress.finish(1)
    progress.close()
    assert capsys.readouterr().err == ""
