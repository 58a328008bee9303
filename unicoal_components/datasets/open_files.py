"""Keep a few subject files open, in each process its own."""

import os
from collections import OrderedDict

import h5py

from .open_subject import open_subject


class OpenFiles:
    """Open subject files on first use and close the least recently used ones beyond a limit.

    An HDF5 handle must not cross a fork or be pickled: a worker that inherits this object, or gets it by pickle, starts
    with none open.

    Args:
        limit: Number of files kept open, ≥ 1; bounds memory and file descriptors however many subjects there are.

    Raises:
        ValueError: If the limit is not positive.
    """

    def __init__(self, *, limit: int = 16):
        if limit < 1:
            raise ValueError(f"limit of open files is {limit!r}; it must be at least 1")
        self.limit = limit
        self._pid = os.getpid()
        self._files: OrderedDict[str, h5py.File] = OrderedDict()

    def __len__(self) -> int:
        return len(self._files) if self._pid == os.getpid() else 0

    def __getstate__(self) -> dict:
        return {"limit": self.limit}

    def __setstate__(self, state: dict) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def __call__(self, path: str | os.PathLike) -> h5py.File:
        """Return the open file, for reading.

        Raises:
            FileNotFoundError: If there is no such file.
            OSError: If it is not a readable HDF5 file.
        """
        key = os.fspath(path)
        if self._pid != os.getpid():
            self._pid, self._files = os.getpid(), OrderedDict()
        if key not in self._files:
            while len(self._files) >= self.limit:
                self._files.popitem(last=False)[1].close()
            self._files[key] = open_subject(key)
        self._files.move_to_end(key)
        return self._files[key]
