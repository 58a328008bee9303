"""Cache of open subject files, separate in each process."""

import os
from collections import OrderedDict

import h5py

from .open_subject import open_subject


class OpenFiles:
    """Open subject files on first use and close the least recently used ones beyond a limit.

    HDF5 handles must not be forked or pickled: a worker that inherits or unpickles this object starts without open
    files.

    Args:
        limit: largest number of open files, ≥ 1; bounds memory and file descriptors for any number of subjects.

    Raises:
        ValueError: the limit is not positive.
    """

    def __init__(self, *, limit: int = 16):
        if limit < 1:
            raise ValueError(f"limit of open files is {limit!r}; it must be at least 1.")
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
        """Return the file, opened for reading.

        Args:
            path: subject file, or subject of a packed set.

        Raises:
            FileNotFoundError: the file does not exist.
            OSError: the file is not a readable HDF5 file.
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
