"""Memory setting: keep freed memory for the next allocation."""

import ctypes
import logging
import platform

_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4


def keep_freed_memory() -> bool:
    """Make the C library reuse freed memory instead of returning it to the system.

    Otherwise large activations are mapped again, page by page, in every layer of every step; on a CPU that can take
    longer than the arithmetic. The setting is for the whole process, on Linux with glibc only; elsewhere there is none.

    Returns:
        Whether the setting was accepted.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    taken = bool(libc.mallopt(_M_MMAP_MAX, 0)) and bool(libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1))
    logging.getLogger(__name__).debug("keeping freed memory: %s", taken)
    return taken
