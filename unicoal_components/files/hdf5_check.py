"""Check that HDF5 files hold their data themselves, and as much of it as they claim."""

import math
import os

import h5py

from .memory_limit import TooLargeError, check_memory

OWN_ONLY = "Only data in the file itself are read; write them into it, or remove the item."


def check_own(group: h5py.Group, name: str, path: str | os.PathLike) -> None:
    """Check that an item of a file lies in the file itself, and is as large as it claims.

    HDF5 can read datasets from any other file of the machine: by links, external storage and virtual datasets. It also
    gives a dataset of any claimed size, filled with zeros where nothing is stored, and inflates a compressed chunk
    whatever comes out of it.

    Args:
        group: group that holds the item.
        name: name of the item in the group; it is not opened before its link is known to be a plain one.
        path: path of the file, used in error messages.

    Raises:
        ValueError: the item is a link, lies in another file, or claims more than is stored or fits into memory.
    """
    link = group.get(name, getlink=True)
    if not isinstance(link, h5py.HardLink):
        raise ValueError(f"'{name}' in '{path}' is a link to {_target(link)}. {OWN_ONLY}")
    dataset = group[name]
    if not isinstance(dataset, h5py.Dataset):
        return
    if dataset.external:
        raise ValueError(f"dataset '{name}' of '{path}' is stored in other files: {dataset.external[0][0]}. {OWN_ONLY}")
    if dataset.is_virtual:
        raise ValueError(f"dataset '{name}' of '{path}' is a view of other datasets (virtual). {OWN_ONLY}")
    if dataset.shape is None or dataset.dtype.hasobject:
        return  # no array of numbers; whoever reads it checks its type
    check_memory(path, dataset.nbytes)
    if dataset.chunks is None:
        stored, whole = dataset.id.get_storage_size(), dataset.nbytes
    else:
        sizes: list[int] = []
        dataset.id.chunk_iter(lambda chunk: sizes.append(chunk.size))
        stored = len(sizes)
        whole = math.prod(-(-size // chunk) for size, chunk in zip(dataset.shape, dataset.chunks, strict=True))
        largest = math.prod(dataset.chunks) * dataset.dtype.itemsize * 1.01 + 100  # of incompressible data
        if sizes and max(sizes) > largest:
            stored = 0
    if stored != whole:
        raise TooLargeError(
            f"dataset '{name}' of '{path}' claims the shape {dataset.shape}, which is not what the file stores: it is "
            "truncated or damaged. Copy or prepare it again."
        )


def check_all_own(group: h5py.Group, path: str | os.PathLike, *, depth: int = 16) -> None:
    """Check all items of a group and of the groups in it, see `check_own`.

    Raises:
        ValueError: see `check_own`, or groups are nested more deeply than `depth`.
    """
    if depth == 0:
        raise ValueError(f"'{path}' is damaged: its groups contain one another.")
    for name in group:
        check_own(group, name, path)
        if isinstance(group[name], h5py.Group):
            check_all_own(group[name], path, depth=depth - 1)


def _target(link: h5py.SoftLink | h5py.ExternalLink | None) -> str:
    if isinstance(link, h5py.ExternalLink):
        return f"the file '{link.filename}'"
    return f"'{link.path}'" if isinstance(link, h5py.SoftLink) else "something unknown"
