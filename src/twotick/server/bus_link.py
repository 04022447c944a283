"""Connects the exchange with the bus between servers (docs/cluster.md)."""

from typing import Final

from twotick.bus import Bus
from twotick.exchange import Neighbours, ServerNews
from twotick.server.logs import log

_HINTS: Final = "hints"
"""The subject on which servers tell each other what they have done."""

_NEWS: Final = "news"
"""The subject on which they tell each other what is not stored."""


class BusLink:
    """Carries what servers tell each other.

    Args:
        bus: the bus.
        neighbours: the part of the exchange that says and hears it.
        news: the part that says and hears what is not stored.
    """

    def __init__(self, bus: Bus, neighbours: Neighbours, news: ServerNews) -> None:
        self._bus = bus
        self._news = news
        self._neighbours = neighbours

    async def open(self) -> None:
        """Connect with the bus, and stay connected.

        Raises:
            BusError: the bus refuses this server.
        """
        self._bus.subscribe(_HINTS, self._neighbours.take_hint)
        self._bus.subscribe(_NEWS, self._news.take_piece)
        await self._bus.open(self._changed)

    def flush(self) -> None:
        """Tell the other servers what this one has done."""
        for hint in self._neighbours.take():
            self._bus.publish(_HINTS, hint)
        for piece in self._news.take():
            self._bus.publish(_NEWS, piece)

    async def close(self) -> None:
        """Leave the bus."""
        await self._bus.close()

    def _changed(self, problem: str | None) -> None:
        self._neighbours.lost_hints()
        if problem is not None:
            log.warning(
                "the bus is away",
                reason=problem,
                advice="nothing is lost: servers look at the database for news, each second, until it is back",
            )
