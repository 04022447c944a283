"""What the log says while the store cannot carry out requests: one line, not one for each request."""

import time
from typing import Final

from twotick.server.logs import log
from twotick.store import DiskFull, StoreError

_AGAIN: Final = 60.0
"""Seconds after which a failure that goes on is logged again."""


class FailureLog:
    """Logs why the store cannot carry out requests, each reason at most once a minute; and whether its disk is full."""

    def __init__(self) -> None:
        self._logged: dict[str, float] = {}
        self._is_full = False

    def note_room(self, is_full: bool) -> None:
        """Handle that the disk may have become full, or may have room again."""
        if is_full and not self._is_full:
            log.error("the disk is full", effect="new messages and files are refused", remedy="make room on the disk")
        elif self._is_full and not is_full:
            log.warning("the disk has room again")
        self._is_full = is_full

    def note(self, error: StoreError) -> None:
        """Handle that the store could not carry out requests."""
        if self._is_full and isinstance(error, DiskFull):
            return
        reason, now = str(error), time.monotonic()
        self._logged = {each: then for each, then in self._logged.items() if now - then < _AGAIN}
        if reason not in self._logged:
            self._logged[reason] = now
            log.error("the data cannot be read or written", reason=reason)
