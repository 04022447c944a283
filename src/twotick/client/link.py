"""One connection to a server that carries frames."""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import cast

from twotick.client.address import reason
from twotick.client.errors import ServerUnreachable
from twotick.client.trust.known_servers import KnownServers, Trust
from twotick.client.trust.tls import open_tls
from twotick.wire import Frame, HeadCache, Parser

LONGEST_BODY = 64 << 20
"""The largest body that the client accepts from a server, in bytes."""

_LINGER = 2.0
"""Seconds that a server has to read the last bytes of a connection that the client closes."""

_KEEPALIVE = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4))
"""TCP keepalive: seconds of silence before the first probe, seconds between probes, and how many may go unanswered.
Options that the system does not have are left out."""


class Link(asyncio.Protocol):
    """A connection to a server.

    Args:
        cache: the parsed heads that connections of this client share.
        on_frame: called with each frame that arrives.
        on_lost: called once, with the reason, when the connection is gone.

    Attributes:
        lost: why the connection is gone, as a text; None as long as it is open.
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
        self._abort_timer: asyncio.TimerHandle | None = None
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
        """Connect to a server.

        Args:
            server: its host and port.
            cache: see `Link`.
            on_frame: see `Link`.
            on_lost: see `Link`.
            known: the servers whose certificates are known, to connect with TLS; None for a connection without TLS.

        Returns:
            The open connection.

        Raises:
            ServerUnreachable: no server accepts connections at this address.
            TrustError: the server's certificate is not trusted.
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
        """The IP address of the server; None if the connection is gone."""
        peer = self._transport.get_extra_info("peername")
        return None if peer is None else peer[0]

    def keep_alive(self) -> None:
        """Turn on TCP keepalive, so that a server that vanishes is noticed although the client writes nothing."""
        connection: socket.socket = self._transport.get_extra_info("socket")
        with contextlib.suppress(OSError):  # the connection is gone already
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, value in _KEEPALIVE:
                if hasattr(socket, option):
                    connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)

    def write(self, data: bytes) -> None:
        """Write `data`. Does nothing if the connection is gone."""
        if not self._transport.is_closing():
            self._transport.write(data)

    async def drain(self) -> None:
        """Wait until the server has read most of what was written, or the connection is gone."""
        await self._writable.wait()

    def read(self, on: bool) -> None:
        """Resume or pause reading.

        Args:
            on: True to read; False to leave the data in the socket, so that the server has to wait.
        """
        if on:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def shut(self) -> None:
        """Close the connection when everything is written, or after 2 s if the server does not read it."""
        if self._abort_timer is None and self.lost is None:
            self._transport.close()
            self._abort_timer = asyncio.get_running_loop().call_later(_LINGER, self._transport.abort)

    def abandon(self) -> None:
        """Close the connection at once. Neither callback is called any more."""
        self.on_frame = _ignore
        self.on_lost = _ignore
        self._transport.abort()

    async def closed(self) -> None:
        """Wait until the connection is gone."""
        await asyncio.shield(self._gone)

    # Called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport of the new connection."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Parse the data and pass each complete frame to `on_frame`."""
        for frame in self._parser.feed(data):
            self.on_frame(frame)

    def pause_writing(self) -> None:
        """Make `drain` wait: the server does not read what was written."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Let `drain` return: the server reads again."""
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Record why the connection is gone and call `on_lost`."""
        self._writable.set()
        if self._abort_timer is not None:
            self._abort_timer.cancel()
        self.lost = "the server closed the connection" if exc is None else f"the connection to the server broke: {exc}"
        self._gone.set_result(None)
        self.on_lost(self.lost)


def _ignore(event: object) -> None:
    """Ignore an event of a connection that was abandoned."""
