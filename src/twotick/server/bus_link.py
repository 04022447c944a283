"""Connects the exchange with the bus between servers (docs/cluster.md)."""

import asyncio
from collections.abc import Callable
from typing import Final

from twotick.bus import Bus, BusAway, NoResponder
from twotick.exchange import FarGuests, FarRequest, Neighbours, ServerNews
from twotick.server.logs import log

_HINTS: Final = "hints"
"""The subject on which servers tell each other what they have done."""

_NEWS: Final = "news"
"""The subject on which they tell each other what is not stored."""

_AGAIN: Final = 0.25
"""Seconds after which a request is asked again, if the bus is away."""


class BusLink:
    """Carries what servers tell each other.

    Args:
        bus: the bus.
        neighbours: the part of the exchange that says and hears it.
        news: the part that says and hears what is not stored.
        far_guests: the messages between guests of different servers.
        on_answer: called when another server has told, asked or answered something.
    """

    def __init__(
        self,
        bus: Bus,
        neighbours: Neighbours,
        news: ServerNews,
        far_guests: FarGuests,
        on_answer: Callable[[], None],
    ) -> None:
        self._far_guests = far_guests
        self._on_answer = on_answer
        self._asking: set[asyncio.Task[None]] = set()
        self._bus = bus
        self._news = news
        self._neighbours = neighbours
        self._unheard: tuple[int, ...] = ()

    async def open(self) -> None:
        """Connect with the bus, and stay connected.

        Raises:
            BusError: the bus refuses this server.
        """
        self._bus.subscribe(_HINTS, self._take_hint)
        self._bus.subscribe(_NEWS, self._take_news)
        await self._bus.open(self._changed)

    def flush(self) -> None:
        """Tell the other servers what this one has done."""
        if self._neighbours.unheard != self._unheard:
            self._note_unheard()
        for hint in self._neighbours.take():
            self._bus.publish(_HINTS, hint)
        for piece in self._news.take():
            self._bus.publish(_NEWS, piece)
        for subject, is_served in self._far_guests.subjects:
            if is_served:
                self._bus.serve(subject, self._take)
            else:
                self._bus.leave(subject)
        self._far_guests.subjects.clear()
        for request in self._far_guests.requests:
            task = asyncio.get_running_loop().create_task(self._ask(request))
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)
        self._far_guests.requests.clear()

    def _note_unheard(self) -> None:
        """Log that living servers are not heard, unless it is known why."""
        if not self._bus.connected:
            return
        self._unheard = unheard = self._neighbours.unheard
        if unheard:
            log.warning(
                "servers that share the database are not heard on the bus",
                servers=len(unheard),
                advice="give all of them the same setting bus, and connect the NATS servers with each other",
            )
        else:
            log.warning("all servers that share the database are heard again")

    def _take_hint(self, data: bytes) -> None:
        self._neighbours.take_hint(data)
        self._on_answer()  # it may ask the store, which must not wait for the next tick

    def _take_news(self, data: bytes) -> None:
        self._news.take_piece(data)
        self._on_answer()

    def _take(self, data: bytes, reply: Callable[[bytes], None]) -> None:
        self._far_guests.take(data, reply)
        self._on_answer()

    async def _ask(self, request: FarRequest) -> None:
        """Ask another server, and once more if the bus was away meanwhile: it remembers its answer."""
        loop = asyncio.get_running_loop()
        end = loop.time() + request.seconds
        may_have_arrived = False
        answer: bytes | None = None
        while (left := end - loop.time()) > 0:
            was_there = self._bus.connected
            try:
                answer = await self._bus.request(request.subject, request.data, left)
                break
            except NoResponder:
                answer = None if may_have_arrived else b""
                break
            except BusAway:
                may_have_arrived = may_have_arrived or was_there
                await asyncio.sleep(min(_AGAIN, left))
            except TimeoutError:
                break
        request.answered(answer)
        self._on_answer()

    async def close(self) -> None:
        """Leave the bus."""
        for task in self._asking:
            task.cancel()
        await asyncio.gather(*self._asking, return_exceptions=True)
        await self._bus.close()

    def _changed(self, problem: str | None) -> None:
        self._neighbours.lost_hints()
        if problem is not None:
            log.warning(
                "the bus is away",
                reason=problem,
                advice="nothing is lost: servers look at the database for news, each second, until it is back",
            )
