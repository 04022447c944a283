"""Connections of IRC clients: bytes of theirs go through a session of `twotick.irc` into the exchange, and back.

Theory of operation. An `IrcConnection` is like any connection of the server, except that a session stands between it
and the exchange: what the session makes of lines are frames, which are taken as if the client had written them; and
what the exchange has for the client are frames, which the session makes lines of. The exchange gives the most frequent
ones as heads and bodies, without bytes in between. The lines are written while the server flushes. If the session then
has something to do for which it needs the exchange, it goes on right after that.
"""

import asyncio
import secrets
from importlib.metadata import version
from typing import Any, Final, Protocol, cast

from twotick.exchange import Connection
from twotick.irc import IrcPlace, IrcSession, equip
from twotick.server.connection import ConnectionHost, SocketConnection, client_address
from twotick.server.options import ServerOptions, public_name
from twotick.wire import Frame, Verb

_WITHOUT_TLS: Final = b"ERROR :Closing link: this port speaks TLS, and the connection is without\r\n"

_PAUSE: Final = 0.1
"""Seconds between two times that the server catches up."""

_PATIENCE: Final = 2.0
"""Seconds for which a PING waits for the store."""

_ROUNDS: Final = 4
"""How often in `peer_timeout` connections are looked at that may be silent."""


class IrcHost(ConnectionHost, Protocol):
    """What the gateway needs of the server."""

    @property
    def clock(self) -> Any:
        """Returns the time of day, in seconds since 1970."""
        ...

    @property
    def is_behind(self) -> bool:
        """Whether the store carries out requests, or the exchange has news of members that no one was told."""
        ...

    def admit(self, network: str) -> bool:
        """Return whether an address may have one more connection, and count it if so."""
        ...

    def dismiss(self, network: str) -> None:
        """Count a connection of an address no more."""
        ...


class IrcConnection(SocketConnection):
    """A connection of an IRC client. It is also what the exchange writes to.

    Args:
        gateway: the gateway.
        host: the server.
        address: the address of the client, if it is not that of the other end of the socket.

    Attributes:
        session: what is known of the client.
    """

    __slots__ = ("_farewell", "_former", "_gateway", "_seeker", "session")

    way = "irc"
    framed = True

    def __init__(self, gateway: "IrcGateway", host: ConnectionHost, address: str | None = None) -> None:
        super().__init__(host, address)
        self._gateway = gateway
        self._farewell = ""
        self._seeker: NameSeeker | None = None
        self._former: Connection | None = None  # that of a guest who has another name now

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Handle that the event loop has accepted the connection."""
        address = client_address(transport) if self._address is None else self._address
        self.session = IrcSession(self._gateway.place, address.encode())
        self._gateway.opened(self)
        self.opened(cast(asyncio.Transport, transport), self, address)

    # What the exchange writes to

    def take(self, frames: list[bytes | Frame]) -> None:
        """Take frames of the exchange, some of them as bytes, and write the lines that they are for the client.

        The exchange is in the middle of a flush. So what the session leaves for it waits until after that.
        """
        session = self.session
        session.take(frames)
        if session.passed and not self._untaken:
            session.pass_on()
        if self.lingering or self.transport.is_closing():
            return
        session.advance()
        self._write_out()
        others = session.wanted or self._former is not None
        if session.frames or session.ended or session.blocked or not self.reading or others:
            self._gateway.go_on_soon(self)

    def get_protocol(self) -> asyncio.BaseProtocol | None:
        """Return the connection; None if it was lost."""
        return self.transport.get_protocol()

    def get_extra_info(self, name: str) -> Any:
        """Return what is known about the socket."""
        return self.transport.get_extra_info(name)

    # What the event loop reports

    @property
    def is_registered(self) -> bool:
        """Whether the client is welcome."""
        return self.session.welcome

    def begins_tls(self, data: bytes) -> bool:
        """Return False: a TLS handshake is a line that makes no sense."""
        return False

    def handle(self, data: bytes) -> None:
        """Handle bytes whose turn it is."""
        session = self.session
        session.feed(data)
        partial = session.partial
        if partial or self.late:
            self._host.watch_frame(self, partial=partial, others=b"\n" in data)
        self.pump()

    def pump(self) -> None:
        """Carry out what can be carried out, and write what that has left."""
        if self.lingering:
            return
        session = self.session
        session.advance()
        self._write_out()
        if session.wanted:
            self._seek_name()
        if session.frames:
            self._submit()
            if session.passed and not (self._untaken or self.connection.out):  # otherwise see `take`
                session.pass_on()
                self._write_out()
        if self._former is not None and session.at_rest:
            self._leave_former()
        if self._gateway.place.behind:
            self._gateway.catch_up()
        if session.ended:
            self._host.exchange.finish(self.connection)
            self._host.flush_soon()
        elif session.blocked:
            if self.reading:
                self._stop_reading([])
            self._host.weigh(self)
        elif not self.reading and not self.connection.paused:
            super().read(True)
            self._host.weigh(self)

    def _submit(self) -> None:
        """Give the exchange the frames of the session."""
        session = self.session
        frames, session.frames = session.frames, []
        if self._untaken:
            self._untaken += (*frames,)
        else:
            untaken = self._host.exchange.take(self.connection, frames)
            if self.connection.paused:
                self._stop_reading(untaken)
        self._host.flush_soon()

    # Another name of a guest

    def _seek_name(self) -> None:
        """Ask for another name, on another connection to the exchange."""
        self._leave_former()
        frames = self._gateway.place.read(self.session.wanted)
        self.session.wanted = b""
        if frames[0][0].key == self.connection.key:  # the same name in other letters: it must be free
            self._former = self.connection
            self._former.port = NameSeeker(None)
            self._leave_former()
        self._seeker = NameSeeker(self)
        exchange = self._host.exchange
        self._seeker.connection = exchange.connected(self.connection.address, self._seeker, framed=True)
        exchange.take(self._seeker.connection, frames)
        self._host.flush_soon()

    def take_name(self, answer: Frame) -> None:
        """Take the answer to the question for another name, in the middle of a flush."""
        seeker, self._seeker = self._seeker, None
        if seeker is None:
            return
        head, body = answer
        if head.verb is Verb.REGISTERED:
            if not self.connection.closing:
                self._former = self.connection
                self._former.port = NameSeeker(None)
            reads = self.connection.window > 0
            self.connection, seeker.connection.port = seeker.connection, self
            if not reads:
                self._host.exchange.clogged(self.connection)
        else:
            self._host.exchange.disconnected(seeker.connection)
            if self.connection.closing:
                self.session.end(b"another user has taken the name")
        self.session.take_name(head, body)
        self._gateway.go_on_soon(self)

    def _leave_former(self) -> None:
        former, self._former = self._former, None
        if former is not None:
            self._host.exchange.disconnected(former)
            self._host.flush_soon()

    def _write_out(self) -> None:
        out = self.session.out
        if out:
            self.write_lines(out)
            out.clear()

    def write_lines(self, lines: list[bytes]) -> None:
        """Write lines to the client."""
        self.transport.write(b"".join(lines))

    def read(self, on: bool) -> None:
        """Read from the socket, or leave its bytes there; no more is read while commands wait."""
        if on and self.session.blocked and not self.lingering:
            if self._untaken:
                self._take_again()
            return
        super().read(on)

    @property
    def held(self) -> int:
        """The bytes that it holds."""
        return super().held + self.session.held

    def drop(self) -> None:
        """Drop what was not handled."""
        super().drop()
        self.session.drop()

    def explain(self, code: int, reason: str) -> None:
        """Note why the connection is about to be closed."""
        self._farewell = reason

    def say_goodbye(self) -> None:
        """Write what comes last."""
        self.session.end((self._farewell or "goodbye").encode())
        self._write_out()

    def eof_received(self) -> bool:
        """Handle that the client has closed its half: it has gone, whatever is still written to it."""
        self._gateway.place.remove(self.session)
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Handle that the connection is gone."""
        self._leave_former()
        if self._seeker is not None:
            self._host.exchange.disconnected(self._seeker.connection)
        super().connection_lost(exc)
        self._gateway.closed(self)


class NameSeeker:
    """What the exchange writes to on a connection by which a guest asks for another name.

    Args:
        owner: the guest's connection; None if nothing that comes matters any more.

    Attributes:
        connection: what the exchange knows of it.
    """

    connection: Connection

    def __init__(self, owner: IrcConnection | None) -> None:
        self._owner = owner

    def take(self, frames: list[bytes | Frame]) -> None:
        """Take the answer."""
        owner, self._owner = self._owner, None
        if owner is not None:
            first = frames[0]
            owner.take_name(owner.session.place.read(first)[0] if isinstance(first, bytes) else first)

    def get_protocol(self) -> asyncio.BaseProtocol | None:
        """Return None: there is no socket of its own that could be closed."""
        return None


class IrcGateway:
    """The ports for IRC.

    Args:
        host: the server.
        options: its options.
        names: the names in its certificate.

    Attributes:
        place: what the sessions share.
    """

    def __init__(self, host: IrcHost, options: ServerOptions, names: list[str]) -> None:
        self._host = host
        self._loop = asyncio.get_running_loop()
        server = public_name(names).encode("ascii", "replace") if names else b"twotick.localhost"
        self.place = equip(
            IrcPlace(
                server,
                f"twotick-{version('twotick')}".encode(),
                clock=host.clock,
                new_prefix=lambda: secrets.token_hex(5).encode(),
                create_rooms=options.irc_rooms,
                max_body=options.limits.max_body,
                is_behind=lambda: host.is_behind,
                now=self._loop.time(),
            )
        )
        self._connections: dict[IrcSession, IrcConnection] = {}
        self._going_on: dict[IrcConnection, None] = {}
        self._is_scheduled = False
        self._catching_up: asyncio.TimerHandle | None = None  # what ends the wait, if the store does not answer
        self._caught_up = self._loop.time()
        self._round = options.limits.exchange.peer_timeout / _ROUNDS
        self._next_round = self._loop.time() + self._round

    def go_on_soon(self, connection: IrcConnection) -> None:
        """Let a connection go on when the server has flushed."""
        self._going_on[connection] = None
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        self._is_scheduled = False
        connections, self._going_on = self._going_on, {}
        for connection in connections:
            if not connection.transport.is_closing():
                connection.pump()

    # Catching up, for all sessions together: however often they ask, members' presence is not told more often for it.

    def catch_up(self) -> None:
        """Let the sessions that wait for that go on when the server has caught up."""
        if self._catching_up is None:
            due = max(self._loop.time(), self._caught_up + _PAUSE)
            self._catching_up = self._loop.call_at(due, self._begin_to_catch_up)

    def _begin_to_catch_up(self) -> None:
        sessions, self.place.behind = self.place.behind, {}
        self._catching_up = None
        if not sessions:  # they have ended
            return
        self._caught_up = self._loop.time()
        self._catching_up = self._loop.call_later(_PATIENCE, self._resume, sessions)
        self._host.exchange.catch_up(lambda: self._resume_soon(sessions))
        self._host.flush_soon()

    def _resume_soon(self, sessions: dict[IrcSession, None]) -> None:
        """Resume sessions when the server has flushed what the exchange has written for them."""
        self._host.flush_soon()
        self._loop.call_soon(self._resume, sessions)

    def _resume(self, sessions: dict[IrcSession, None]) -> None:
        if not sessions:  # the store has answered too late
            return
        if self._catching_up is not None:
            self._catching_up.cancel()
            self._catching_up = None
        resumed = list(sessions)
        sessions.clear()
        for session in resumed:
            connection = self._connections.get(session)
            session.caught_up()
            if connection is not None and not connection.transport.is_closing():
                connection.pump()
        if self.place.behind:
            self.catch_up()

    # What connections report

    def opened(self, connection: IrcConnection) -> None:
        """Handle that a connection was accepted."""
        self._connections[connection.session] = connection

    def closed(self, connection: IrcConnection) -> None:
        """Handle that a connection is gone."""
        self._connections.pop(connection.session, None)
        self.place.remove(connection.session)

    # What listeners ask

    @property
    def without_tls(self) -> bytes:
        """The answer to a client that does not begin a TLS handshake on a port for TLS."""
        return _WITHOUT_TLS

    def make_protocol(self, address: str | None = None) -> IrcConnection:
        """Return the protocol of a new connection."""
        return IrcConnection(self, self._host, address)

    def admit(self, network: str) -> bool:
        """Return whether an address may have one more connection, and count it if so."""
        return self._host.admit(network)

    def dismiss(self, network: str) -> None:
        """Count a connection of an address no more."""
        self._host.dismiss(network)

    # What the server asks

    def tick(self, now: float) -> None:
        """Let sessions do what they have waited with, and close the connections of clients that are gone."""
        self.place.tick(now)
        for session in [session for session, due in self.place.waiting.items() if due <= now]:
            connection = self._connections.get(session)
            session.tick()
            if connection is not None:
                connection.pump()
        if now >= self._next_round:
            self._next_round = now + self._round
            for connection in list(self._connections.values()):
                self._check(connection)

    def _check(self, connection: IrcConnection) -> None:
        """Ask a client that has said nothing for some time, and close its connection if it does not answer."""
        session = connection.session
        session.silent += 1
        if session.welcome and session.silent == _ROUNDS - 2:
            session.ask_life()
            connection.pump()
        elif session.silent > _ROUNDS:
            connection.explain(0, "Ping timeout")
            self._host.exchange.disconnected(connection.connection)
            self._host.flush_soon()

    def use_certificate(self) -> None:
        """Handle that there is another certificate: the name of the server stays."""

    def tell_visitors(self, *, sign_up: str, guests: bool) -> None:
        """Handle that others may sign up: IRC clients are not told."""

    @property
    def is_left(self) -> bool:
        """True: the server knows of all connections."""
        return True

    def stop(self) -> None:
        """Do nothing: the server closes the connections."""

    def abort(self) -> None:
        """Do nothing: the server closes the connections."""
