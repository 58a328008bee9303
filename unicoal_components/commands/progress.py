"""One progress bar over the results of several runs, with the time left."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

from tqdm import tqdm

FORMAT = "{desc}: {percentage:3.0f} % of {total} |{bar:30}| {elapsed} so far, {remaining} left"


class ScanProgress:
    """Progress bar over results, in which each advances with its slices; loading the program is not counted.

    Args:
        total: number of results to make.
    """

    def __init__(self, total: int) -> None:
        self.bar = tqdm(total=total, desc="results", bar_format=FORMAT, miniters=0, disable=None)  # only on a terminal
        self._finished = 0
        self._started = False

    @contextmanager
    def slices(self, total: int) -> Iterator[SimpleNamespace]:
        """Yield the bar of a scan with so many slices, whose `update(slices)` advances this one."""
        if not self._started:
            self._started = True
            self.bar.unpause()
        yield SimpleNamespace(update=lambda slices: self.bar.update(slices / total))

    def finish(self, scans: int) -> None:
        """Advance to the end of a run of so many scans, also of those that failed."""
        self._finished += scans
        self.bar.n = self._finished
        self.bar.refresh()

    def close(self) -> None:
        """Leave the bar as it is."""
        self.bar.close()
