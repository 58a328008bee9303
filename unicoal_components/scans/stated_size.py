"""Compare the size that the header of an image file states with the file, before its voxels are read."""

import gzip
import math
import os
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

from ..files.memory_limit import check_memory

VOXEL = 16
"""Bytes of memory for each voxel of a scan that is processed: stored, as float32, as a stack, and for the network."""

DEFLATE = 1032
"""Largest ratio of compression by gzip and zlib."""

SPARE = 1 << 24
"""Bytes that a file may hold beyond its voxels."""

BLOCK = 1 << 22


def check_stated_size(
    path: str | os.PathLike, shape: Sequence[int], itemsize: float, *, held: int, offset: int = 0
) -> int:
    """Raise an error if a header states more voxels than the file holds, or than fit into memory.

    Args:
        path: the file.
        shape: numbers of voxels along its axes, by the header.
        itemsize: bytes of a stored voxel.
        held: bytes in the file, or at most in it once it is unpacked.
        offset: bytes before the voxels.

    Returns:
        Bytes that the file needs to have, `offset` included.

    Raises:
        EOFError: the file holds less.
        TooLargeError: the memory holds less.
        ValueError: a number of voxels is below 0.
    """
    sizes = [int(size) for size in shape]
    if min(sizes, default=0) < 0 or offset < 0:
        raise ValueError(f"its header states the shape {tuple(sizes)} and voxels at byte {offset}")
    voxels = math.prod(sizes)
    needed = offset + math.ceil(voxels * itemsize)
    if needed > held:
        raise EOFError(f"its header states {tuple(sizes)} voxels, {needed:,} bytes, but it holds at most {held:,}")
    check_memory(path, max(needed, VOXEL * voxels))
    return needed


def unpacked_size(path: Path, needed: int) -> int:
    """Return the number of bytes in a file compressed by gzip, read to its end to compare its checksum.

    Args:
        path: the file.
        needed: bytes that its header states.

    Raises:
        ValueError: it holds far more than its header states, so that it is no image.
        OSError: it is truncated or damaged.
    """
    with gzip.open(path) as file:
        return _count(iter(lambda: file.read(BLOCK), b""), needed)


def inflated_size(path: Path, start: int, needed: int, *, raw: bool = False) -> int:
    """Return the number of bytes in the compressed part of a file, see `unpacked_size`.

    Args:
        path: the file.
        start: first byte of the part, in the format of zlib or gzip.
        needed: bytes that its header states.
        raw: whether the part has neither of their headers.
    """
    with open(path, "rb") as file:
        file.seek(start)
        return _count(_inflated(file, -zlib.MAX_WBITS if raw else zlib.MAX_WBITS | 32), needed)


def _inflated(file: BinaryIO, window: int) -> Iterable[bytes]:
    inflate = zlib.decompressobj(window)
    while not inflate.eof:
        packed = inflate.unconsumed_tail or file.read(BLOCK)
        block = inflate.decompress(packed, BLOCK)
        if not packed and not block:
            return
        yield block


def _count(blocks: Iterable[bytes], needed: int) -> int:
    size = 0
    for block in blocks:
        size += len(block)
        if size > 2 * needed + SPARE:
            raise ValueError(f"it unpacks to far more than the {needed:,} bytes that its header states")
    return size
