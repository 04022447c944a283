"""What the log says while the store cannot carry out requests: one line, not one for each request."""

import time
from typing import Final

from twotick.server.logs import log
from twotick.store import StoreError

_AGAIN: Final = 60.0
"""Seconds after which a failure that goes on is logged again."""


class FailureLog:
    """Logs why the store cannot carry out requests; each reason at most once a minute."""

    def __init__(self) -> None:
        self._logged: dict[str, float] = {}

    def note(self, error: StoreError) -> None:
        """Handle that the store could not carry out requests."""
        reason, now = str(error), time.monotonic()
        self._logged = {each: then for each, then in self._logged.items() if now - then < _AGAIN}
        if reason not in self._logged:
            self._logged[reason] = now
            log.error("the data cannot be read or written", reason=reason)
