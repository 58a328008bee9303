"""Keep freed memory for the next allocation."""

import ctypes
import logging
import platform

_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4


def keep_freed_memory() -> bool:
    """Tell the C library to reuse freed memory instead of giving it back to the system.

    Large activations are otherwise mapped anew, page by page, in every layer of every step; on a CPU that can take
    longer than the arithmetic. Acts on the whole process, on Linux with glibc only; elsewhere nothing is done.

    Returns:
        Whether the setting was taken.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    taken = bool(libc.mallopt(_M_MMAP_MAX, 0)) and bool(libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1))
    logging.getLogger(__name__).debug("keeping freed memory: %s", taken)
    return taken
