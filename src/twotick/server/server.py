"""The server: listens, drives the exchange, keeps the time limits of connections (docs/protocol.md, section 8)."""

import asyncio
import contextlib
import itertools
import resource
import signal
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog
import uvloop

from twotick.exchange import Exchange, Limits
from twotick.server.connection import Connection
from twotick.wire import HeadCache

_TICK = 0.25
"""Seconds between looks at the time limits."""

_SPARE_FILES = 64
"""Open files that are kept for everything but connections."""

_LARGE = 16 << 10
"""Bytes from which on it is cheaper to hand a body over as it is than to copy it into one piece with its head."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """The bounds of a server (docs/protocol.md, section 8).

    Attributes:
        exchange: those of its exchange.
        max_body: the longest body, in bytes.
        register_timeout: seconds until a connection must be registered.
        frame_timeout: seconds until a frame that has begun must be whole.
        linger_timeout: seconds that a peer has to take the last bytes of a connection that the server closes.
        stop_timeout: seconds that receivers have to answer when the server is asked to stop.
        connections: the most connections; one more is closed at once. Never more than the system lets a process open.
    """

    exchange: Limits = field(default_factory=Limits)
    max_body: int = 1 << 20
    register_timeout: float = 60.0
    frame_timeout: float = 60.0
    linger_timeout: float = 2.0
    stop_timeout: float = 5.0
    connections: int = 65536


class _Deadlines:
    """Connections that have the same number of seconds to do something, so that the first to come is the first due."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._due: dict[Connection, float] = {}

    def add(self, connection: Connection, now: float) -> None:
        self._due[connection] = now + self._seconds

    def discard(self, connection: Connection) -> None:
        self._due.pop(connection, None)

    def take_expired(self, now: float) -> list[Connection]:
        expired = list(itertools.takewhile(lambda connection: self._due[connection] <= now, self._due))
        for connection in expired:
            del self._due[connection]
        return expired


class Server:
    """A server, between `start` and `stop`. It belongs to the event loop in which it is made.

    Args:
        limits: its bounds.

    Attributes:
        exchange: who is connected, and what is on its way.
        heads: the heads known to its parsers.
        flushing: whether what the exchange wishes will be done soon.
    """

    def __init__(self, limits: ServerLimits) -> None:
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._most_connections = min(limits.connections, _raise_file_limit() - _SPARE_FILES)
        self._connections: set[Connection] = set()
        self._registering = _Deadlines(limits.register_timeout)
        self._framing = _Deadlines(limits.frame_timeout)
        self._lingering = _Deadlines(limits.linger_timeout)
        self._listener: asyncio.Server | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._flushed: asyncio.Event | None = None
        self.exchange = Exchange(limits.exchange, self._loop.time())
        self.heads = HeadCache(limits.max_body)
        self.flushing = False

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen.

        Args:
            host: the address to listen on.
            port: the port; 0 for any that is free.

        Returns:
            The address and port on which connections are now accepted.

        Raises:
            OSError: the address cannot be had.
        """
        self._listener = await self._loop.create_server(lambda: Connection(self), host, port, backlog=4096)
        self._tick()
        address = self._listener.sockets[0].getsockname()
        return address[0], address[1]

    async def stop(self) -> None:
        """Accept no more, let what is on its way be answered, answer the rest, and close (rule 4.10)."""
        if self._listener is None:
            return
        self._listener.close()
        self._listener = None
        self.exchange.drain()
        self.flush_soon()
        await self._until(lambda: self.exchange.idle, self._limits.stop_timeout)
        self.exchange.close()
        for connection in self._connections:
            self.exchange.finish(connection.session)
        self._flush()
        await self._until(lambda: not self._connections, self._limits.linger_timeout)
        for connection in list(self._connections):
            connection.transport.abort()
        await self._until(lambda: not self._connections, self._limits.linger_timeout)
        if self._timer is not None:
            self._timer.cancel()

    async def _until(self, condition: Callable[[], bool], seconds: float) -> None:
        """Wait until something that a flush can bring about is true, but not for ever."""
        self._flushed = asyncio.Event()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not condition():
                    self._flushed.clear()
                    await self._flushed.wait()

    # What connections report

    def opened(self, connection: Connection) -> None:
        """A connection came: it has a while to register."""
        self._connections.add(connection)
        if len(self._connections) > self._most_connections:
            log.warning("too many connections", most=self._most_connections)
            connection.transport.abort()
        else:
            self._registering.add(connection, self._loop.time())

    def watch_frame(self, connection: Connection, partial: bool, others: bool) -> None:
        """Bytes came on a connection where a frame has begun, or had begun before.

        Args:
            connection: where they came.
            partial: whether a frame has begun that is not whole.
            others: whether others were completed since, so that this one has only just begun.
        """
        if others or not partial:
            self._framing.discard(connection)
        if partial and (others or not connection.late):
            self._framing.add(connection, self._loop.time())
        connection.late = partial

    def closed(self, connection: Connection) -> None:
        """A connection is gone."""
        self._connections.discard(connection)
        for deadlines in (self._registering, self._framing, self._lingering):
            deadlines.discard(connection)
        self.exchange.disconnected(connection.session)
        self.flush_soon()

    # What it does with them

    def flush_soon(self) -> None:
        """Write and do what the exchange wishes, as soon as all that has arrived by now was handled.

        Reading everything first and writing afterwards lets what goes to one connection go out in one write, and wakes
        the programs at the other ends once.
        """
        if not self.flushing:
            self.flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self.flushing = False
        written = self.exchange.written
        for session in written:
            out = session.out
            if out:
                if len(out[-1]) < _LARGE:
                    session.port.write(b"".join(out))
                else:
                    session.port.writelines(out)
                out.clear()
        written.clear()
        changed = self.exchange.changed
        for session in changed:
            connection = session.port.get_protocol()
            if connection is None:
                continue  # it was lost in the meantime
            if session.closing:
                self._close(connection)
            elif session.paused is connection.reading:
                connection.read(not session.paused)
        changed.clear()
        if self._flushed is not None:
            self._flushed.set()

    def _close(self, connection: Connection) -> None:
        """Close a connection so that the peer can still read what was written last.

        To close a socket with unread input would throw that away. So only our half is closed until the peer has closed
        its own, or for a while.
        """
        transport = connection.transport
        if connection.lingering or transport.is_closing():
            return
        connection.lingering = True
        connection.read(True)
        self._lingering.add(connection, self._loop.time())
        if connection.ended:
            transport.close()
        else:
            transport.write_eof()

    def _tick(self) -> None:
        now = self._loop.time()
        self._timer = self._loop.call_at(now + _TICK, self._tick)
        self.exchange.tick(now)
        late = [each for each in self._registering.take_expired(now) if each.session.side is None]
        late += self._framing.take_expired(now)
        for connection in late:
            self.exchange.disconnected(connection.session)
        for connection in self._lingering.take_expired(now):
            connection.transport.abort()
        self._flush()


def _raise_file_limit() -> int:
    """Let this process open as many files as the system allows; returns how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def serve(host: str, port: int, limits: ServerLimits, announce: Callable[[str, int], None]) -> None:
    """Run a server until SIGINT or SIGTERM, and then stop it in good order.

    Args:
        host: the address to listen on.
        port: the port to listen on; 0 for any that is free.
        limits: its bounds.
        announce: called with the address and the port as soon as connections are accepted.

    Raises:
        OSError: the address cannot be had.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(host, port, limits, announce))


async def _serve(host: str, port: int, limits: ServerLimits, announce: Callable[[str, int], None]) -> None:
    server = Server(limits)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    announce(*await server.start(host, port))
    await stop.wait()
    await server.stop()
