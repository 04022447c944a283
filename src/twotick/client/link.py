"""One connection to a server, as frames."""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import cast

from twotick.client.address import reason
from twotick.client.errors import ServerUnreachable
from twotick.client.trust.known_servers import KnownServers, Trust, open_tls
from twotick.wire import Frame, HeadCache, Parser

_LINGER = 2.0
"""Seconds that a server has to take the last bytes of a connection that we close."""

_KEEPALIVE = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4))
"""Seconds of silence after which the system asks whether the server is still there, between such questions, and how
many go unanswered; where the system lets us say so."""


class Link(asyncio.Protocol):
    """A connection. `on_frame` gets each frame, and `on_lost` is called once when there will be no more.

    Args:
        cache: the heads known so far.
        on_frame: called with each frame.
        on_lost: called with a reason, in words.

    Attributes:
        lost: why the connection is gone, in words; None while it is not.
        trust: why the server is trusted; None if the connection is not encrypted.
    """

    def __init__(self, cache: HeadCache, on_frame: Callable[[Frame], None], on_lost: Callable[[str], None]) -> None:
        self.on_frame = on_frame
        self.on_lost = on_lost
        self._parser = Parser(cache)
        self._writable = asyncio.Event()
        self._writable.set()
        self.lost: str | None = None
        self.trust: Trust | None = None
        self._cutting_off: asyncio.TimerHandle | None = None
        self._gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @classmethod
    async def open(
        cls,
        server: tuple[str, int],
        cache: HeadCache,
        on_frame: Callable[[Frame], None],
        on_lost: Callable[[str], None],
        known: KnownServers | None = None,
    ) -> "Link":
        """Connect.

        Args:
            server: host and port.
            cache: see `Link`.
            on_frame: see `Link`.
            on_lost: see `Link`.
            known: connect with TLS, and trust the server by these; None for a connection that is not encrypted.

        Raises:
            ServerUnreachable: nobody answers there.
            TrustError: it is not, or may not be, the server that it should be.
        """
        host, port = server

        def make() -> "Link":
            return cls(cache, on_frame, on_lost)

        try:
            if known is None:
                _, link = await asyncio.get_running_loop().create_connection(make, host, port)
            else:
                _, link, trust = await open_tls(make, host, port, known)
                link.trust = trust
        except OSError as error:
            raise ServerUnreachable(f"no server at {host}:{port}: {reason(error)}") from error
        return link

    @property
    def peer(self) -> str | None:
        """The address of the server, as the socket gives it; None if the connection is gone."""
        peer = self._transport.get_extra_info("peername")
        return None if peer is None else peer[0]

    def keep_alive(self) -> None:
        """Notice after a while when the server has vanished without a goodbye, even if nothing is written to it."""
        connection: socket.socket = self._transport.get_extra_info("socket")
        with contextlib.suppress(OSError):  # it is gone already
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, value in _KEEPALIVE:
                if hasattr(socket, option):
                    connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)

    def write(self, data: bytes) -> None:
        """Write, unless the connection is gone."""
        if not self._transport.is_closing():
            self._transport.write(data)

    async def drain(self) -> None:
        """Wait until the server takes what was written, or the connection is gone."""
        await self._writable.wait()

    def read(self, on: bool) -> None:
        """Take frames, or leave them where they are so that the server has to wait."""
        if on:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def shut(self) -> None:
        """Close the connection after what was written, or soon if the server does not take that."""
        if self._cutting_off is None and self.lost is None:
            self._transport.close()
            self._cutting_off = asyncio.get_running_loop().call_later(_LINGER, self._transport.abort)

    def abandon(self) -> None:
        """Close the connection at once, and hear no more of it."""
        self.on_frame = _ignore
        self.on_lost = _ignore
        self._transport.abort()

    async def closed(self) -> None:
        """Wait until the connection is gone."""
        await asyncio.shield(self._gone)

    # From the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """There is a connection."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        for frame in self._parser.feed(data):
            self.on_frame(frame)

    def pause_writing(self) -> None:
        """The server does not read."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """The server reads again."""
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._writable.set()
        if self._cutting_off is not None:
            self._cutting_off.cancel()
        self.lost = "the server closed the connection" if exc is None else f"the connection to the server broke: {exc}"
        self._gone.set_result(None)
        self.on_lost(self.lost)


def _ignore(event: object) -> None:
    """Nobody wants to know."""
