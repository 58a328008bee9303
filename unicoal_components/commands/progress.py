"""One progress bar over the scans of several runs, with the time left."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

from tqdm import tqdm

FORMAT = "{desc}: {percentage:3.0f} % of {total} |{bar:30}| {elapsed} so far, {remaining} left"


class ScanProgress:
    """Progress bar over scans, in which a scan advances with its slices.

    Args:
        total: number of scans to synthesize.
        unit: what is counted, in the plural.
    """

    def __init__(self, total: int, unit: str = "scans") -> None:
        self.bar = tqdm(total=total, desc=unit, bar_format=FORMAT, miniters=0)
        self._finished = 0

    @contextmanager
    def slices(self, total: int) -> Iterator[SimpleNamespace]:
        """Yield the bar of a scan with so many slices, whose `update(slices)` advances this one."""
        yield SimpleNamespace(update=lambda slices: self.bar.update(slices / total))

    def finish(self, scans: int) -> None:
        """Advance to the end of a run of so many scans, also of those that failed."""
        self._finished += scans
        self.bar.n = self._finished
        self.bar.refresh()

    def close(self) -> None:
        """Leave the bar as it is."""
        self.bar.close()
