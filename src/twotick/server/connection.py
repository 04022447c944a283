"""One accepted connection: its bytes go through a parser into the exchange."""

import asyncio
from typing import TYPE_CHECKING, cast

from twotick.wire import Frame, Parser

if TYPE_CHECKING:
    from twotick.server.server import Server

_WRITE_BUFFER = 256 << 10
"""Bytes that may wait in a connection's output before what follows waits in the exchange instead."""


class Connection(asyncio.Protocol):
    """An accepted connection, driven by the event loop.

    Attributes:
        transport: the socket.
        session: what the exchange knows about it.
        reading: whether bytes are taken from it.
        late: whether the server watches for the end of a frame that has begun on it.
        ended: whether the peer has closed its half.
        lingering: whether our half is closed, and what still comes is thrown away.
    """

    __slots__ = ("_parser", "_server", "_untaken", "ended", "late", "lingering", "reading", "session", "transport")

    def __init__(self, server: "Server") -> None:
        self._server = server
        self._parser = Parser(server.heads)
        self._untaken: tuple[Frame, ...] = ()
        self.reading = True
        self.late = False
        self.ended = False
        self.lingering = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The event loop accepted the connection."""
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(_WRITE_BUFFER)
        peer = transport.get_extra_info("peername")
        self.session = self._server.exchange.connected(peer[0] if peer else "", transport)
        self._server.opened(self)

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        if self.lingering:
            return
        server = self._server
        parser = self._parser
        frames = parser.feed(data)
        if parser.partial or self.late:
            server.watch_frame(self, parser.partial, bool(frames))
        if frames:
            session = self.session
            untaken = server.exchange.take(session, frames)
            if session.paused:
                self._stop_reading(untaken)
            if not server.flushing:
                server.flush_soon()

    def eof_received(self) -> bool:
        """The peer has closed its half; answers may still go out (rule 4.12)."""
        self.ended = True
        if self.lingering:
            return False
        self._server.exchange.finish(self.session)
        self._server.flush_soon()
        return self.transport.can_write_eof()  # TLS has no halves

    def pause_writing(self) -> None:
        """The peer does not read what is written."""
        self._server.exchange.clogged(self.session)
        self._server.flush_soon()

    def resume_writing(self) -> None:
        """The peer reads again."""
        self._server.exchange.flowing(self.session)
        self._server.flush_soon()

    def read(self, on: bool) -> None:
        """Take bytes from the connection, or leave them where they are so that the peer has to wait."""
        if not on:
            self._stop_reading([])
            return
        if self._untaken and not self.lingering:
            self._untaken = (*self._server.exchange.take(self.session, list(self._untaken)),)
            self._server.flush_soon()
            if self.session.paused:
                return
        self.reading = True
        if self._parser.partial:
            self._server.watch_frame(self, True, False)
        self.transport.resume_reading()

    def _stop_reading(self, untaken: list[Frame]) -> None:
        """Read nothing for now; the time for that does not count for a frame that has begun."""
        self._untaken += (*untaken,)
        if self.reading:
            self.reading = False
            self._server.watch_frame(self, False, False)
            self.transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._server.closed(self)
