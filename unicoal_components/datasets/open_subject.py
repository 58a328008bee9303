"""Open a subject's volumes: a file of its own, or one group of a packed set, `set.h5::training/p01`."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import h5py

MARK = "::"
"""Between the file of a packed set and the group of one subject in it."""

FILE_AGAIN = "Prepare this subject again with scripts/prepare_data.py."
SET_AGAIN = "Copy the packed set again, or write it anew with scripts/pack_training_set.py."


def split_packed(path: str | os.PathLike) -> tuple[Path, str | None]:
    """Part `set.h5::training/p01` into file and group; a subject file of its own has no group.

    Example:
        >>> file, group = split_packed("data/set.h5::training/p01")
        >>> file.name, group, split_packed("p01.h5")[1]
        ('set.h5', 'training/p01', None)
    """
    file, mark, group = os.fspath(path).partition(MARK)
    return (Path(file), group) if mark and not Path(path).is_file() else (Path(path), None)


class PackedSubject(h5py.Group):
    """A subject's group in a packed set, which is used and closed as the file of a single subject is.

    Args:
        file: the packed set, which is closed with the subject.
        path: of the subject, `set.h5::training/p01`.

    Attributes:
        filename: that path, for messages.

    Raises:
        FileNotFoundError: the set has no such subject.
    """

    def __init__(self, file: h5py.File, path: str | os.PathLike) -> None:
        _, name = split_packed(path)
        if name not in file:
            raise FileNotFoundError(
                f"packed set '{file.filename}' has no subject '{name}'; read its subjects with read_datalist."
            )
        super().__init__(file[name].id)
        self.filename = os.fspath(path)
        self._file = file

    def close(self) -> None:
        """Close the file; the subject cannot be read any more."""
        self._file.close()

    def __enter__(self) -> "PackedSubject":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


@contextmanager
def damage_named(path: str | os.PathLike, *, is_set: bool = False) -> Iterator[None]:
    """Turn what HDF5 says of a damaged file into an error that names the file and the way out.

    Args:
        path: a subject file, or a subject of a packed set.
        is_set: it is a packed set itself.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        is_set = is_set or split_packed(path)[1] is not None
        raise OSError(
            f"cannot read subject file '{path}': it is truncated, damaged or not HDF5 ({error}). "
            f"{SET_AGAIN if is_set else FILE_AGAIN}"
        ) from error


def open_subject(path: str | os.PathLike) -> h5py.File | PackedSubject:
    """Open a subject for reading; close it, or use it in a `with` block.

    Args:
        path: a subject file, or `set.h5::training/p01`.

    Raises:
        FileNotFoundError: there is no such file, or no such subject in the packed set.
        OSError: it is not an HDF5 file, or is truncated.
    """
    place, group = split_packed(path)
    if not place.is_file():
        raise FileNotFoundError(f"subject file '{place}' does not exist; check the path in the datalist.")
    with damage_named(path):
        file = h5py.File(place, "r")
    if group is None:
        return file
    try:
        return PackedSubject(file, path)
    except BaseException:
        file.close()
        raise
