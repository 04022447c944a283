"""How the C library keeps memory that was freed."""

import ctypes

_KEEP = 16 << 20
"""Free bytes at the end of the heap that are kept. By default the C library gives the memory of each large body back to
the system and asks for it again for the next one, and the system clears every page of it: half the cost of a body of
1 MiB."""

_LARGEST = 4 << 20
"""Pieces of memory up to this size come from the heap: bodies are seldom longer. What is longer goes back at once."""

_M_TRIM_THRESHOLD = -1  # malloc.h of glibc
_M_MMAP_THRESHOLD = -3


def keep_freed_memory() -> None:
    """Have the memory of large bodies used again, where the C library can be told so (mallopt(3) of glibc)."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, _KEEP)
        mallopt(_M_MMAP_THRESHOLD, _LARGEST)
