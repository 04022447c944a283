"""Time limits of connections (docs/protocol.md, section 8)."""

import itertools
from collections.abc import Hashable
from typing import Generic, TypeVar

_Item = TypeVar("_Item", bound=Hashable)


class Deadlines(Generic[_Item]):
    """Items that each have the same time to do something, so that the first one added is the first one due.

    Args:
        seconds: that time.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._due: dict[_Item, float] = {}

    def add(self, item: _Item, now: float) -> None:
        """Start the time of an item."""
        self._due[item] = now + self._seconds

    def discard(self, item: _Item) -> None:
        """Remove an item, if it is there."""
        self._due.pop(item, None)

    def take_expired(self, now: float) -> list[_Item]:
        """Remove the items whose time is over, and return them."""
        expired = list(itertools.takewhile(lambda item: self._due[item] <= now, self._due))
        for item in expired:
            del self._due[item]
        return expired
