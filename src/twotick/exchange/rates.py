"""How much users have had stored of late (docs/protocol.md, rule 8.5)."""

from collections.abc import Hashable
from math import ceil
from typing import Final

SECONDS: Final = 256
"""The seconds in which an amount is paid off that is as large as the limit."""

_PAUSE: Final = 8
"""The seconds for which a user who has reached the limit must wait at least, so as not to meet it again at once."""


class ByteRate:
    """A limit on the bytes that each of some users has stored in about four minutes.

    Args:
        most: the bytes.
        now: the time, in seconds on any clock that does not go back.
    """

    def __init__(self, most: int, now: float) -> None:
        self._most = most
        self._now = now
        self._used: dict[Hashable, float] = {}
        self._until: dict[Hashable, float] = {}  # when those may go on who have reached the limit

    def tick(self, now: float) -> None:
        """Set the time, and let users pay off what they have used."""
        paid = (now - self._now) * self._most / SECONDS
        self._now = now
        if self._used:
            self._used = {key: left for key, used in self._used.items() if (left := used - paid) > 0}
        if self._until:
            self._until = {key: until for key, until in self._until.items() if until > now}

    def wait(self, key: Hashable) -> int:
        """Return the seconds for which a user must wait before something is stored; 0 for none."""
        if self._until and key in self._until:
            return ceil(self._until[key] - self._now)
        if self._used.get(key, 0.0) < self._most:
            return 0
        over = (self._used[key] - self._most) * SECONDS / self._most
        self._until[key] = self._now + over + _PAUSE
        return ceil(over + _PAUSE)

    def use(self, key: Hashable, amount: int) -> None:
        """Note that bytes are stored for a user."""
        self._used[key] = self._used.get(key, 0.0) + amount
