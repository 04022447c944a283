"""A bus between servers in one process: for a single server, and for tests."""

import asyncio
from collections import deque
from collections.abc import Callable

from twotick.bus.port import BusAway, NoResponder, Reply, check_subject

_MOST_WAITING = 4096
"""How many hints wait for a server at most."""

_STOPPED = "the bus has stopped"

_Handler = Callable[[bytes, Reply], None]


class BusHub:
    """What connects the buses of several servers in one process, as a NATS server does between processes.

    Attributes:
        buses: the buses that are open.
        running: whether it carries anything.
    """

    def __init__(self) -> None:
        self.buses: list[LocalBus] = []
        self.running = True

    def stop(self) -> None:
        """Carry nothing any more, as if the bus had failed."""
        self.running = False
        for bus in self.buses:
            bus.changed(_STOPPED)

    def start(self) -> None:
        """Carry hints and requests again."""
        self.running = True
        for bus in self.buses:
            bus.changed(None)


class LocalBus:
    """A bus of one server (see `Bus`).

    Args:
        hub: what connects it with others; None if there are no others.
    """

    def __init__(self, hub: BusHub | None = None) -> None:
        self._hub = hub or BusHub()
        self._handlers: dict[str, _Handler] = {}
        self._waiting: deque[tuple[_Handler, bytes, Reply]] = deque()
        self._asked: set[asyncio.Future[bytes]] = set()
        self._on_change: Callable[[str | None], None] = lambda _: None
        self._dropped = 0

    @property
    def connected(self) -> bool:
        """See `Bus`."""
        return self._hub.running and self in self._hub.buses

    @property
    def dropped(self) -> int:
        """See `Bus`."""
        return self._dropped

    async def open(self, on_change: Callable[[str | None], None]) -> None:
        """See `Bus`."""
        self._on_change = on_change
        self._hub.buses.append(self)
        self.changed(None if self._hub.running else _STOPPED)

    def changed(self, problem: str | None) -> None:
        """Handle that the hub has stopped or started."""
        if problem is not None:
            for asked in self._asked:
                _fail(asked, BusAway(problem))
        self._on_change(problem)

    def publish(self, subject: str, data: bytes) -> None:
        """See `Bus`."""
        check_subject(subject)
        if not self.connected:
            self._dropped += 1
            return
        for bus in self._hub.buses:
            if (handler := bus.handler(subject)) is not None:
                bus.take(handler, data, lambda _: None)

    def subscribe(self, subject: str, handler: Callable[[bytes], None]) -> None:
        """See `Bus`."""
        self.serve(subject, lambda data, _: handler(data))

    def serve(self, subject: str, handler: Callable[[bytes, Reply], None]) -> None:
        """See `Bus`."""
        check_subject(subject)
        self._handlers[subject] = handler

    def leave(self, subject: str) -> None:
        """See `Bus`."""
        self._handlers.pop(subject, None)

    async def request(self, subject: str, data: bytes, timeout: float) -> bytes:
        """See `Bus`."""
        check_subject(subject)
        if not self.connected:
            raise BusAway(_STOPPED)
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        found = [(bus, handler) for bus in self._hub.buses if (handler := bus.handler(subject)) is not None]
        if not found:
            raise NoResponder(subject)
        for bus, handler in found:
            bus.take(handler, data, lambda reply: None if answer.done() else answer.set_result(reply))
        self._asked.add(answer)
        try:
            async with asyncio.timeout(timeout):
                return await answer
        finally:
            self._asked.discard(answer)

    async def close(self) -> None:
        """See `Bus`."""
        if self in self._hub.buses:
            self._hub.buses.remove(self)
        self._waiting.clear()
        for asked in self._asked:
            _fail(asked, BusAway("this server stops"))

    # What the buses of other servers see

    def handler(self, subject: str) -> _Handler | None:
        """Return the handler of a subject; None if there is none."""
        return self._handlers.get(subject)

    def take(self, handler: _Handler, data: bytes, reply: Reply) -> None:
        """Let a handler be called soon, unless too much waits for that."""
        if len(self._waiting) >= _MOST_WAITING:
            self._dropped += 1
            return
        self._waiting.append((handler, data, reply))
        asyncio.get_running_loop().call_soon(self._handle)

    def _handle(self) -> None:
        if self._waiting:
            handler, data, reply = self._waiting.popleft()
            handler(data, reply)


def _fail(asked: asyncio.Future[bytes], error: Exception) -> None:
    if not asked.done():
        asked.set_exception(error)
