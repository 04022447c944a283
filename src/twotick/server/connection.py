"""One accepted connection: its bytes go through a parser into the exchange."""

import asyncio
from typing import TYPE_CHECKING, cast

from twotick.wire import Parser

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

    __slots__ = ("_parser", "_server", "ended", "late", "lingering", "reading", "session", "transport")

    def __init__(self, server: "Server") -> None:
        self._server = server
        self._parser = Parser(server.heads)
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
        frames = self._parser.feed(data)
        if self._parser.partial or self.late:
            server.watch_frame(self, self._parser.partial, bool(frames))
        if frames:
            server.exchange.take(self.session, frames)
            if not server.flushing:
                server.flush_soon()

    def eof_received(self) -> bool:
        """The peer has closed its half; answers may still go out (rule 4.12)."""
        self.ended = True
        if self.lingering:
            return False
        self._server.exchange.finish(self.session)
        self._server.flush_soon()
        return True

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
        self.reading = on
        if on:
            self.transport.resume_reading()
        else:
            self.transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._server.closed(self)
