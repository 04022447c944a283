"""One connection to a server that carries frames."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import cast

from twotick.client.address import reason
from twotick.client.errors import ServerUnreachable
from twotick.client.finding import Route, Ways
from twotick.client.trust.known_servers import KnownServers, Trust, TrustError, Verdict
from twotick.client.trust.tls import open_tls
from twotick.net import keep_alive
from twotick.wire import PING, SHORT_DIGITS, Frame, Head, HeadCache, Parser, Verb, read_number

LONGEST_BODY = 64 << 20
"""The largest body that the client accepts from a server, in bytes."""

_LINGER = 2.0
"""Seconds that a server has to read the last bytes of a connection that the client closes."""

_SILENCE = 120
"""Seconds of silence after which a server has vanished."""

_PINGS = 4
"""How often the client pings in that time (rule 9.10)."""

_ALERT = b"\x15\x03"
"""How a server that speaks TLS answers what is not TLS, if it answers at all."""

_PATIENCE = 4.0
"""Seconds after which the next way to reach a server is tried."""


class Link(asyncio.Protocol):
    """A connection to a server.

    Args:
        cache: the parsed heads that connections of this client share.
        on_frame: called with each frame that arrives.
        on_lost: called once, with the reason, when the connection is gone.

    Attributes:
        lost: why the connection is gone, as a text; None as long as it is open.
        route: how the server was reached.
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
        self.route: Route
        self._abort_timer: asyncio.TimerHandle | None = None
        self._ping_timer: asyncio.TimerHandle | None = None
        self._unanswered_pings = 0  # since the server has written anything
        self._reading = True
        self._heard = False  # whether the server has written anything
        self._vanished = ""
        self._gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @classmethod
    async def open(
        cls,
        ways: Ways,
        cache: HeadCache,
        on_frame: Callable[[Frame], None],
        on_lost: Callable[[str], None],
        known: KnownServers,
        *,
        route: Route | None = None,
    ) -> "Link":
        """Connect to a server.

        Args:
            ways: the ways to reach it. Those that fail are noted.
            cache: see `Link`.
            on_frame: see `Link`.
            on_lost: see `Link`.
            known: the servers whose certificates are known.
            route: the way to take; None to try them in turn (rule 1.5).

        Returns:
            The open connection.

        Raises:
            ServerUnreachable: no server accepts connections at any of its addresses.
            TrustError: the server's certificate is not trusted, and no server can be reached at another address.
        """

        def make() -> "Link":
            return cls(cache, on_frame, on_lost)

        left = await ways.ordered() if route is None else [route]
        if ways.distrust is not None:
            left = _remembered(left, known)
        problems: list[ServerUnreachable] = []
        distrust: TrustError | None = None
        while left:
            each = left.pop(0)
            try:
                async with asyncio.timeout(_PATIENCE if left else None):
                    link = await cls._open_at(each, make, known)
            except ServerUnreachable as error:
                problems.append(error)
            except TimeoutError:
                problems.append(ServerUnreachable(f"no server at {each}: it does not answer"))
            except TrustError as error:
                distrust = ways.distrust = error
                left = _remembered([other for other in left if other.server != each.server], known)
            else:
                if distrust is not None:
                    _warn(known, each, distrust)
                return link
            ways.failed(each)
        raise distrust or ways.distrust or _unreachable(problems, ways)

    @classmethod
    async def _open_at(cls, route: Route, make: Callable[[], "Link"], known: KnownServers) -> "Link":
        assert route.server is not None
        at = route.ip or route.host, route.port
        try:
            if route.tls:
                _, link, trust = await open_tls(make, route.server.host, route.server.known_as, known, at)
                link.trust = trust
            else:
                _, link = await asyncio.get_running_loop().create_connection(make, *at)
        except OSError as error:
            raise ServerUnreachable(f"no server at {route}: {reason(error)}") from error
        link.route = route
        return link

    @property
    def peer(self) -> str | None:
        """The IP address of the server; None if the connection is gone."""
        peer = self._transport.get_extra_info("peername")
        return None if peer is None else peer[0]

    def keep_alive(self, registered: Head) -> None:
        """Ping the server from now on if it has agreed to that, and lose the connection if it vanishes (rule 9.10).

        Args:
            registered: the server's answer to a REGISTER that had `Keep-alive: yes`.
        """
        if seconds := read_number(registered.headers.get(b"keep-alive", b""), SHORT_DIGITS):
            self._watch(min(seconds, _SILENCE) / _PINGS)

    def _watch(self, seconds: float) -> None:
        """Ping now and every so many seconds, unless so many pings were not answered that the server has vanished."""
        if self._transport.is_closing():
            return
        if self._unanswered_pings >= _PINGS - 1:
            self._vanished = "the server has vanished: it answers nothing"
            self._transport.abort()
            return
        self._unanswered_pings += self._reading  # an answer that is not read may be there
        self._transport.write(PING)
        self._ping_timer = asyncio.get_running_loop().call_later(seconds, self._watch, seconds)

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
        self._reading = on
        self._unanswered_pings = 0
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
        """Store the transport of the new connection, and let the system break it if the server's machine vanishes."""
        self._transport = cast(asyncio.Transport, transport)
        endpoint = transport.get_extra_info("socket")
        with contextlib.suppress(OSError):  # the connection is gone already
            keep_alive(endpoint, _SILENCE)

    def data_received(self, data: bytes) -> None:
        """Parse the data and pass each complete frame to `on_frame`."""
        self._unanswered_pings = 0
        if not self._heard and data.startswith(_ALERT):
            self._vanished = "this port speaks TLS, and the connection is without"
            self._transport.abort()
            return
        self._heard = True
        for frame in self._parser.feed(data):
            if frame[0].verb is not Verb.PONG:
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
        for timer in (self._abort_timer, self._ping_timer):
            if timer is not None:
                timer.cancel()
        if self._vanished:
            self.lost = self._vanished
        elif exc is None:
            self.lost = "the server closed the connection"
        else:
            self.lost = f"the connection to the server broke: {exc}"
        self._gone.set_result(None)
        self.on_lost(self.lost)


def _unreachable(problems: list[ServerUnreachable], ways: Ways) -> ServerUnreachable:
    """Return the exception for a server that cannot be reached in any way. It names each of several addresses."""
    last = problems[-1]
    if not ways.address.others:
        return last
    combined = ServerUnreachable("; ".join(dict.fromkeys(map(str, problems))))
    combined.__cause__ = last.__cause__
    return combined


def _remembered(routes: list[Route], known: KnownServers) -> list[Route]:
    """Return the ways to servers whose certificates the client has seen before: an attacker can be none of them."""
    return [each for each in routes if each.tls and each.server and known.entries(each.server.known_as)]


def _warn(known: KnownServers, route: Route, distrust: TrustError) -> None:
    """Let the user know that another server was used because one is not trusted."""
    warning = f"{distrust}\nUsing {route} instead."
    news = known.news or Trust(Verdict.KNOWN, str(route), "")
    known.news = replace(news, warning=warning)


def _ignore(event: object) -> None:
    """Ignore an event of a connection that was abandoned."""
