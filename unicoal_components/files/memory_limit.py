"""Check that the content of a file fits into memory, before it is read."""

import os
from pathlib import Path

CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Files with the memory limit of a container, by version of Linux control groups."""


class TooLargeError(ValueError):
    """A file claims more than it holds, or more than fits into memory."""


def memory_size() -> int:
    """Return the bytes of memory that this process may use: the machine's, or its limit or its container's if less."""
    sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")] if hasattr(os, "sysconf") else []
    for file in CGROUP_LIMITS:
        if file.is_file() and (text := file.read_text().strip()).isdigit():
            sizes.append(int(text))
    try:
        import resource  # not on Windows

        sizes.append(resource.getrlimit(resource.RLIMIT_AS)[0])
    except ImportError:
        pass
    return min((size for size in sizes if size > 0), default=2**62)


def check_memory(path: str | os.PathLike, needed: int) -> None:
    """Raise an error if the content of a file needs more memory than there is.

    Args:
        path: the file.
        needed: bytes that its content takes, by its header.

    Raises:
        TooLargeError: it needs too much; the message names the file and both sizes.
    """
    limit = memory_size()
    if needed > limit:
        raise TooLargeError(
            f"'{path}' would take {needed / 1e9:.1f} GB of memory by its header, more than the {limit / 1e9:.1f} GB "
            "of this machine. If its header is right, crop or resample it, or take a larger machine; else copy or "
            "export it again."
        )
