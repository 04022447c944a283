"""Give memory back to the system that is free after a peak. The C library of Linux would keep most of it."""

import ctypes
from typing import ClassVar

_LOOK = 5.0
"""Seconds between looks at how much is free."""

_MUCH = 16 << 20
"""Bytes that must have become free before it is worth the time to give them back."""


class _Allocations(ctypes.Structure):
    """What `mallinfo2` says (see its page of the manual)."""

    _fields_: ClassVar = [
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "free",
            "keepcost",
        )
    ]


class SpareMemory:
    """Gives memory back when much has become free. Does nothing if the C library has no functions for that."""

    def __init__(self) -> None:
        library = ctypes.CDLL(None)
        self._trim = getattr(library, "malloc_trim", None)
        self._count = getattr(library, "mallinfo2", None)
        if self._count is not None:
            self._count.restype = _Allocations
        self._next_look = 0.0
        self._known = 0  # bytes that were free before, and of which there is no more to give back

    def tick(self, now: float) -> None:
        """Give memory back if it is time to look, and if there is much.

        Args:
            now: the time, in seconds on any clock that does not go back.
        """
        if self._trim is None or self._count is None or now < self._next_look:
            return
        self._next_look = now + _LOOK
        free = self._count().free
        if free > self._known + _MUCH:
            self._trim(0)
            free = self._count().free
            self._known = free
        self._known = min(self._known, free)
