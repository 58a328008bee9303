"""Open a subject file, or the group of a subject in a packed set, `set.h5::training/p01`."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import h5py

from ..files.hdf5_check import check_own

MARK = "::"
"""Separator between the file of a packed set and the group of a subject."""

FILE_AGAIN = "Prepare this subject again with 'unicoal prepare'."
SET_AGAIN = "Copy the packed set again, or create it again with scripts/pack_training_set.py."


def split_packed(path: str | os.PathLike) -> tuple[Path, str | None]:
    """Split `set.h5::training/p01` into file and group; the group of a subject file is `None`.

    Example:
        >>> file, group = split_packed("data/set.h5::training/p01")
        >>> file.name, group, split_packed("p01.h5")[1]
        ('set.h5', 'training/p01', None)
    """
    file, mark, group = os.fspath(path).partition(MARK)
    return (Path(file), group) if mark and not Path(path).is_file() else (Path(path), None)


class PackedSubject(h5py.Group):
    """A subject's group in a packed set, used and closed like the file of a single subject.

    Args:
        file: the packed set, which is closed with the subject.
        path: path of the subject, `set.h5::training/p01`.

    Attributes:
        filename: path of the subject, used in error messages.

    Raises:
        FileNotFoundError: the set does not contain the subject.
    """

    def __init__(self, file: h5py.File, path: str | os.PathLike) -> None:
        _, name = split_packed(path)
        _check_way(file, name or "", path)
        if name not in file:
            raise FileNotFoundError(
                f"packed set '{file.filename}' has no subject '{name}'; read its subjects with read_datalist."
            )
        if not isinstance(file[name], h5py.Group):
            raise ValueError(f"'{name}' in packed set '{file.filename}' is no subject. {SET_AGAIN}")
        super().__init__(file[name].id)
        self.filename = os.fspath(path)
        self._file = file

    def close(self) -> None:
        """Close the file; the subject can no longer be read."""
        self._file.close()

    def __enter__(self) -> "PackedSubject":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


@contextmanager
def damage_named(path: str | os.PathLike, *, is_set: bool = False) -> Iterator[None]:
    """Convert errors of HDF5 on damaged files to an error that names the file and a remedy.

    Args:
        path: a subject file, or a subject of a packed set.
        is_set: whether `path` is a packed set.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except (OSError, RuntimeError, KeyError, TypeError, AttributeError, OverflowError, MemoryError) as error:
        is_set = is_set or split_packed(path)[1] is not None
        raise OSError(
            f"cannot read subject file '{path}': it is truncated, damaged or not HDF5 ({error}). "
            f"{SET_AGAIN if is_set else FILE_AGAIN}"
        ) from error


def open_subject(path: str | os.PathLike) -> h5py.File | PackedSubject:
    """Open a subject for reading; close it afterwards, or use it in a `with` block.

    Args:
        path: a subject file, or `set.h5::training/p01`.

    Raises:
        FileNotFoundError: the file, or the subject in the packed set, does not exist.
        OSError: the file is truncated or not HDF5.
        ValueError: the file refers to other files, or a dataset claims more than the file or the memory holds.
    """
    location, group = split_packed(path)
    if not location.is_file():
        raise FileNotFoundError(f"subject file '{location}' does not exist; check the path in the datalist.")
    with damage_named(path):
        file = h5py.File(location, "r")
    try:
        with damage_named(path):
            subject = file if group is None else PackedSubject(file, path)
            for name in subject:
                check_own(subject, name, path)
        return subject
    except BaseException:
        file.close()
        raise


def _check_way(file: h5py.File, name: str, path: str | os.PathLike) -> None:
    """Check the groups that lead to a subject of a packed set, see `check_own`."""
    group = file
    for part in filter(None, name.split("/")):
        if part not in group:
            return
        check_own(group, part, path)
        group = group[part]
        if not isinstance(group, h5py.Group):
            return
