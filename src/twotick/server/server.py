"""The server: listens, drives the exchange, and keeps the time limits of connections (docs/protocol.md, section 8).

Theory of operation. Each socket has a `SocketConnection`, which parses what arrives and hands the frames to the
exchange. The first frame of a turn of the event loop schedules a flush at the end of that turn. So the server first
reads all that has arrived, and then writes: what goes to one connection goes out in one write, and the program at its
other end wakes up once. A flush also passes requests on to the store and logins on to be checked. One timer looks at
all time limits.
"""

import asyncio
import contextlib
import socket
import ssl
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from twotick.bus import Bus
from twotick.exchange import LEASE, Connection, Exchange, Histogram, PushOffer, ServerIdentity, Shares, Stage
from twotick.net import keep_alive
from twotick.server.bus_link import BusLink
from twotick.server.clock import BOUND, SETTLING, StoreClock, starting_time
from twotick.server.connection import SocketConnection
from twotick.server.deadlines import Deadlines
from twotick.server.jobs import PeriodicJobs
from twotick.server.listener import ListenerHost, SocketListener
from twotick.server.listening import open_listeners
from twotick.server.login import Authenticator, SignUp
from twotick.server.logins import Logins
from twotick.server.logs import log
from twotick.server.memory import HeldBytes
from twotick.server.open_files import most_connections, raise_file_limit
from twotick.server.options import DEVICE_AGE, RETENTION, ServerLimits
from twotick.server.reading_turns import ReadingTurns
from twotick.server.secrets import new_token, token_digest
from twotick.server.spare_memory import SpareMemory
from twotick.server.state import ServerState
from twotick.server.storage import Storage
from twotick.server.turns import Turns
from twotick.server.urls import Network
from twotick.store import EndLease, KeepLease, ReadTimes, Request, Store, StoredTimes, StoreError
from twotick.wire import HeadCache

_TICK = 0.25
"""Seconds between looks at the time limits."""

_STEP = 0.25
"""Seconds between the steps in which members are let go."""

_LONGEST_SPREAD = 900.0
"""The most seconds after which clients are asked to come back: they wait no longer."""

_LARGE = 16 << 10
"""Bytes from which on it is cheaper to write a body as it is than to copy it into one piece with its head."""


_WITHOUT_TLS = b"ERROR 103 Header incomplete\nReason: this port speaks TLS, and the connection is without\n\n"
"""The answer to a client that does not begin a TLS handshake (rule 1.5)."""

_GOING_AWAY = 1001
_POLICY = 1008
"""Why a WebSocket is closed (rule 19.6)."""


class ServerPart(ListenerHost, Protocol):
    """A part of the server that has ports of its own."""

    def tick(self, now: float) -> None:
        """Do what is due by this time of the event loop."""
        ...

    def use_certificate(self) -> None:
        """Handle that there is another certificate."""
        ...

    def tell_visitors(self, *, sign_up: str, guests: bool) -> None:
        """Tell those who open the page from now on who may sign up, and whether guests may come."""
        ...

    @property
    def is_left(self) -> bool:
        """Whether there are no connections of which the server does not know. It is told when the last one ends."""
        ...

    def abort(self) -> None:
        """Close the connections that the server does not know of, at once."""
        ...

    def stop(self) -> None:
        """Close the connections that the server does not know of."""
        ...


class Pusher(Protocol):
    """Pushes notifications."""

    def tick(self, now: float) -> None:
        """Do what is due by this time of the event loop."""
        ...

    async def stop(self) -> None:
        """Push nothing more."""
        ...


class Mailer(Pusher, Protocol):
    """Tells members by e-mail what waits for them.

    Attributes:
        counts: the e-mails, by result.
    """

    counts: dict[str, int]

    def state(self) -> dict[str, Any]:
        """Return how it is, for the operator."""
        ...


class Server:
    """A server, between `start` and `stop`. It belongs to the event loop in which it is created.

    Args:
        limits: its limits.
        store: the members and their messages; without a store the server has only guests.
        sign_up: who may sign up.
        retention: the seconds after which messages that every device has are removed.
        clock_bound: the seconds by which the system's clock may differ from others before it is not believed.
        settling: the seconds from now on in which nothing is removed that was there before.
        device_age: the seconds after which a device that stays away lapses.
        push: what it offers that pushes notifications; None if it does not.
        proxies: the proxies whose connections begin with a header of the PROXY protocol (rule 1.6).
        sharing: which server it is among those that share its database, and the bus between them; None if it has the
            database for itself.

    Raises:
        StoreError: the store cannot be read.
        OptionsError: the system lets this process open too few files.

    Attributes:
        exchange: the users who are connected, and the messages between them.
        heads: the heads that its parsers know.
        flushing: whether a flush is scheduled.
        turns: how much is handled of each address in this turn of the event loop.
        clock: returns the time by which messages age, in seconds since 1970.
        pusher: pushes notifications; None if nothing does.
        hooks: posts to web hooks; None if nothing does.
        delayed: sends what bots have published with a delay; None if nothing does.
        mailer: tells members by e-mail what waits for them; None if nothing does.
        stopping: whether it is about to stop.
        authenticator: checks logins; None if the server has no members.
    """

    def __init__(
        self,
        limits: ServerLimits,
        store: Store | None = None,
        sign_up: SignUp = SignUp.CLOSED,
        retention: float = RETENTION,
        *,
        clock_bound: float = BOUND,
        settling: float = SETTLING,
        device_age: float = DEVICE_AGE,
        push: PushOffer | None = None,
        proxies: Sequence[Network] = (),
        sharing: tuple[ServerIdentity, Bus] | None = None,
    ) -> None:
        self._limits = limits
        self._proxies = proxies
        self._loop = asyncio.get_running_loop()
        self._most_connections = most_connections(limits.connections, raise_file_limit())
        self._connections: dict[SocketConnection, None] = {}  # for many connections it takes half the memory of a set
        self._registering = Deadlines[SocketConnection](limits.register_timeout)
        self._framing = Deadlines[SocketConnection](limits.frame_timeout)
        self._lingering = Deadlines[SocketConnection](limits.linger_timeout)
        self._listeners: list[asyncio.Server | SocketListener] = []
        self._parts: list[ServerPart] = []
        self.stopping = False
        self._hurried = asyncio.Event()
        self._handshakes = Turns(limits.handshakes)
        self._timer: asyncio.TimerHandle | None = None
        self._flushed: asyncio.Event | None = None
        self._places = Shares(self._most_connections)
        self._turned_away = 0
        self._began = time.time()
        self._early_bytes = HeldBytes[object](limits.early_bytes_total)
        self._held_bytes = HeldBytes[SocketConnection](limits.held_bytes_total)
        self._cut_off = 0
        self._spare_memory = SpareMemory()
        known = StoredTimes() if store is None else store.ask(ReadTimes())
        self.clock = clock = StoreClock(starting_time(time.time(), known, clock_bound), self._loop.time, clock_bound)
        self.exchange = Exchange(
            limits.exchange,
            self._loop.time(),
            clock,
            None if store is None else _new_token,
            time_of_day=time.time,
            settling=settling,
            device_age=device_age,
            push=push,
            identity=None if sharing is None else sharing[0],
        )
        if store is not None and sharing is not None and not sharing[0].is_alone:
            store.ask(KeepLease(LEASE, sharing[0].version, sharing[0].address))
        self._link = None if sharing is None else self._new_link(sharing[1])
        self.pusher: Pusher | None = None
        self.hooks: Pusher | None = None
        self.delayed: Pusher | None = None
        self.mailer: Mailer | None = None
        self._storage = None
        self._jobs = None
        if store is not None:
            self._storage = Storage(store, self._answered, self._store_changed, self.exchange.publish)
            self._jobs = PeriodicJobs(
                self._storage,
                retention,
                clock,
                known.kept,
                settling,
                leads=lambda: self.exchange.neighbours.leads,
                is_shared=sharing is not None and not sharing[0].is_alone,
            )
        self.authenticator = (
            None
            if self._storage is None
            else Authenticator(self._storage, sign_up, is_shared=sharing is not None and not sharing[0].is_alone)
        )
        self._logins = Logins(self.exchange, self.authenticator, self.flush_soon, clock)
        self.heads = HeadCache(limits.max_body)
        self.flushing = False
        self.turns = ReadingTurns(self.exchange.stored)

    def _new_link(self, bus: Bus) -> BusLink:
        exchange = self.exchange
        return BusLink(bus, exchange.neighbours, exchange.news, exchange.far_guests, self.flush_soon)

    async def join_others(self) -> None:
        """Connect with the servers that share the database, before `start`.

        Raises:
            BusError: the bus refuses this server.
        """
        if self._link is not None:
            await self._link.open()

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> tuple[str, int]:
        """Listen on an address; may be called for several addresses.

        Args:
            host: the address.
            port: the port; 0 for any that is free.
            tls: encrypts the connections; None if they are not encrypted.

        Returns:
            The address and port on which the server accepts connections.

        Raises:
            OSError: the server cannot listen there.
        """
        if tls is not None:
            addresses = [await self.start_on(each, tls) for each in open_listeners([host], port)]
            return addresses[0]
        listener = await self._loop.create_server(self.make_protocol, host, port, backlog=4096)
        for each in listener.sockets:
            keep_alive(each, self._limits.exchange.peer_timeout)
        return self._started(listener, listener.sockets[0].getsockname())

    async def start_on(
        self, socket: socket.socket, tls: ssl.SSLContext | None = None, part: "ServerPart | None" = None
    ) -> tuple[str, int]:
        """Accept connections on a socket that listens; the arguments and the answer are otherwise those of `start`.

        Args:
            socket: the socket.
            tls: encrypts the connections; None if they are not encrypted.
            part: the part of the server that the port is for; None for the server itself.
        """
        keep_alive(socket, self._limits.exchange.peer_timeout)
        if part is not None and part not in self._parts:
            self._parts.append(part)
        host = part or self
        if tls is None and not self._proxies:
            listener = await self._loop.create_server(host.make_protocol, sock=socket, backlog=4096)
        else:
            listener = SocketListener(socket, tls, self._handshakes, host, self._limits.register_timeout, self._proxies)
        return self._started(listener, socket.getsockname())

    def ask(self, request: Request[Any], callback: Callable[[Any], None]) -> None:
        """Ask the store; the callback is called with the answer, or with a StoreError."""
        if self._storage is None:
            callback(StoreError("this server has no members"))
        else:
            self._storage.submit([(request, callback)])

    def use_options(self, limits: ServerLimits, sign_up: SignUp, retention: float) -> None:
        """Use other limits of the exchange from now on, and let others sign up; the arguments are those of `Server`."""
        self.exchange.use_limits(limits.exchange)
        if self.authenticator is not None:
            self.authenticator.sign_up = sign_up
        if self._jobs is not None:
            self._jobs.keep_for(retention)
        for part in self._parts:
            part.tell_visitors(sign_up=sign_up.value, guests=limits.exchange.guests)

    def use_certificate(self, tls: ssl.SSLContext) -> None:
        """Encrypt new connections with another certificate."""
        for listener in self._listeners:
            if isinstance(listener, SocketListener) and listener.context is not None:
                listener.context = tls
        for part in self._parts:
            part.use_certificate()

    def _started(self, listener: asyncio.Server | SocketListener, address: tuple[str, int]) -> tuple[str, int]:
        self._listeners.append(listener)
        if self._timer is None:
            self._tick()
        return address[0], address[1]

    async def stop(self) -> None:
        """Stop in good order: accept nothing more, wait for answers, answer the rest, and close (rule 4.10)."""
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()
        self.stopping = True
        for part in self._parts:
            part.stop()
        spread = self.exchange.members_connected / self._limits.login_rate - self._limits.drain
        spread = min(max(spread, 0.0), _LONGEST_SPREAD)
        await self._let_go(spread)
        for connection in self._connections:
            connection.explain(_GOING_AWAY, "the server stops")
        self.exchange.drain()
        self._flush()  # at once: a SEND that is read before reading is paused would still be taken
        await self._until(lambda: self.exchange.idle and not self._asking, self._limits.stop_timeout)
        self.exchange.close(spread)
        for connection in self._connections:
            self.exchange.finish(connection.connection)
        self._flush()
        await self._until(lambda: self._is_left, self._limits.linger_timeout)
        for connection in list(self._connections):
            connection.transport.abort()
        for part in self._parts:
            part.abort()
        await self._until(lambda: self._is_left, self._limits.linger_timeout)
        await self._stop_workers()
        await self._logins.cancel()
        if self._timer is not None:
            self._timer.cancel()
        if self._storage is not None:
            if self._link is not None:
                self._storage.submit([(EndLease(), lambda _: None)])
            await self._storage.close()
        if self._link is not None:
            self._link.flush()
            await self._link.close()

    async def _let_go(self, spread: float) -> None:
        """Let members go in steps (rule 9.13).

        Args:
            spread: over how many seconds those of one step are to come back.
        """
        steps = min(int(self._limits.drain / _STEP), self.exchange.members_connected)
        for left in range(steps, 0, -1):
            if self._hurried.is_set() or not self.exchange.members_connected:
                return
            for connection in self._connections:
                connection.explain(_GOING_AWAY, "the server stops")
            self.exchange.dismiss(left, spread)
            self.flush_soon()
            if left == 1:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._limits.drain / steps):
                    await self._hurried.wait()

    def hurry(self) -> None:
        """Let all members go at once that are left, if the server is about to stop."""
        self._hurried.set()

    def state(self) -> ServerState:
        """Return how the server is at this moment."""
        connections = Counter((_kind_of(each.connection), each.way) for each in self._connections)
        storage = self._storage
        return ServerState(
            started=self._began,
            stopping=self.stopping,
            connections=connections,
            most_connections=self._most_connections,
            waiting=0 if storage is None else storage.waiting,
            queued_bytes=self.exchange.queued_bytes,
            held_bytes=self._early_bytes.total + self._held_bytes.total,
            disk_full=storage is not None and storage.is_full,
            tally=self.exchange.tally,
            commits=Histogram() if storage is None else storage.commits,
            mails={} if self.mailer is None else self.mailer.counts,
        )

    def _store_changed(self) -> None:
        self.exchange.members_changed()
        if self._jobs is not None:
            self._jobs.keep_time()
        self.flush_soon()

    @property
    def _is_left(self) -> bool:
        """Whether all connections are gone."""
        return not self._connections and all(part.is_left for part in self._parts)

    @property
    def _asking(self) -> bool:
        return self._storage is not None and self._storage.waiting > 0

    async def _until(self, condition: Callable[[], bool], seconds: float) -> None:
        """Wait until a condition that a flush can bring about holds, but no longer than this."""
        self._flushed = asyncio.Event()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not condition():
                    self._flushed.clear()
                    await self._flushed.wait()

    # What listeners ask

    @property
    def without_tls(self) -> bytes:
        """The answer to a client that does not begin a TLS handshake on a port for TLS."""
        return _WITHOUT_TLS

    def make_protocol(self, address: str | None = None) -> SocketConnection:
        """Return the protocol of a new connection.

        Args:
            address: the address of the client; None for that of the other end of the socket.
        """
        return SocketConnection(self, address)

    def admit(self, network: str) -> bool:
        """Return whether an address may have one more connection, and count it if so."""
        admitted = self._places.take(network, 1)
        self._turned_away += not admitted
        return admitted

    def dismiss(self, network: str) -> None:
        """Count a connection of an address no more."""
        self._places.give_back(network, 1)

    def move(self, old: str, new: str) -> bool:
        """Count a connection for another address; return False, and leave it, if that may have no more."""
        self._places.give_back(old, 1)
        moved = self._places.take(new, 1)
        if not moved:
            self._places.add(old, 1)
            self._turned_away += 1
        return moved

    def hold_early(self, holder: object, network: str, amount: int) -> bool:
        """Note the bytes that a connection holds that is not registered; return whether its address may."""
        return self._early_bytes.set(holder, network, amount)

    # What connections report

    def opened(self, connection: SocketConnection) -> None:
        """Handle that a connection was accepted: it has `register_timeout` to register."""
        if connection.admitted or self.admit(connection.connection.network):
            self._connections[connection] = None
            self._registering.add(connection, self._loop.time())
        else:
            connection.transport.abort()

    def watch_frame(self, connection: SocketConnection, *, partial: bool, others: bool) -> None:
        """Handle bytes on a connection on which a frame has begun, or had begun before.

        Args:
            connection: the connection.
            partial: whether a frame has begun that is not complete.
            others: whether other frames were completed since, so that this one has only just begun.
        """
        if others or not partial:
            self._framing.discard(connection)
        if partial and (others or not connection.late):
            self._framing.add(connection, self._loop.time())
        connection.late = partial

    def weigh(self, connection: SocketConnection) -> None:
        """Handle that a connection holds more or less: close it if its address holds too much (rule 8.2)."""
        held = connection.held
        early = connection.connection.side is None
        network = connection.connection.network
        fits = self._early_bytes.set(connection, network, held if early else 0)
        if fits and self._held_bytes.set(connection, network, 0 if early else held):
            return
        self._cut_off += 1
        connection.explain(_POLICY, "too much is held for this address")
        connection.drop()
        if connection.connection.window:
            self.exchange.disconnected(connection.connection)
            self.flush_soon()
        else:
            self._loop.call_soon(connection.transport.abort)  # the peer does not read: there is nothing to wait for

    def closed(self, connection: SocketConnection) -> None:
        """Handle that a connection is gone."""
        network = connection.connection.network
        if connection in self._connections:
            del self._connections[connection]
            self.dismiss(network)
        for held in (self._early_bytes, self._held_bytes):
            held.set(connection, network, 0)
        for deadlines in (self._registering, self._framing, self._lingering):
            deadlines.discard(connection)
        self.exchange.disconnected(connection.connection)
        self.flush_soon()

    # Catching up

    @property
    def is_behind(self) -> bool:
        """Whether the store carries out requests, or the exchange has news of members that no one was told."""
        exchange, storage = self.exchange, self._storage
        return storage is not None and (storage.waiting > 0 or bool(exchange.requests) or exchange.has_news)

    # Flushing

    def flush_soon(self) -> None:
        """Do what the exchange has left to do, once all that has arrived by now was handled."""
        if not self.flushing:
            self.flushing = True
            self._loop.call_soon(self._flush)

    def _answered(self) -> None:
        """Write what the store's answers have left, before more is read: others may have sent much."""
        self._write_all()
        if self._flushed is not None:
            self._flushed.set()

    def _flush(self) -> None:
        self.flushing = False
        self._write_all()
        if self.turns.next():
            self.flush_soon()
        if self._flushed is not None:
            self._flushed.set()

    def _write_all(self) -> None:
        self._pass_on_requests()
        if self._link is not None:
            self._link.flush()
        # Connections are removed one by one, so that one that fails is not met again and the others are.
        written = self.exchange.written
        while written:
            _write(written.popleft())
        changed = self.exchange.changed
        while changed:
            connection = changed.popleft()
            socket: SocketConnection | None = connection.port.get_protocol()
            if socket is None:
                continue  # the connection was lost in the meantime
            if connection.closing:
                _write(connection)  # frames that had waited may have been taken, and answered, since the loop above
                self._close(socket)
            elif connection.paused is socket.reading:
                socket.read(not connection.paused)

    def _pass_on_requests(self) -> None:
        requests = self.exchange.requests
        while requests and self._storage is not None:
            asked = requests.copy()
            requests.clear()
            self._storage.submit(asked)
        if self.exchange.logins or self.exchange.password_changes:
            self._logins.start()

    def _close(self, connection: SocketConnection) -> None:
        """Close a connection so that the peer can still read what was written last.

        A socket that is closed while it has unread input throws away what the peer has not read. So the server closes
        only its own half until the peer has closed the other, or until `linger_timeout`.
        """
        transport = connection.transport
        if connection.lingering or transport.is_closing():
            return
        connection.lingering = True
        connection.say_goodbye()
        connection.drop()
        self.weigh(connection)
        connection.read(True)
        self._lingering.add(connection, self._loop.time())
        if connection.ended or not transport.can_write_eof():
            transport.close()
        else:
            try:
                transport.write_eof()
            except OSError:
                transport.abort()  # the peer is gone, and nothing of this can reach it

    def _workers(self) -> "list[Pusher]":
        """Return what pushes, posts and sends."""
        return [worker for worker in (self.hooks, self.delayed, self.pusher, self.mailer) if worker is not None]

    async def _stop_workers(self) -> None:
        for worker in self._workers():
            await worker.stop()

    def _tick(self) -> None:
        now = self._loop.time()
        self._timer = self._loop.call_at(now + _TICK, self._tick)
        self.exchange.tick(now)
        self._spare_memory.tick(now)
        for part in self._parts:
            part.tick(now)
        if not self.stopping:
            for worker in self._workers():
                worker.tick(now)
        if self._jobs is not None:
            self._jobs.tick(now)
        if self._turned_away:
            self.exchange.tally.refuse("connections", self._turned_away)
            log.warning("too many connections", most=self._most_connections, turned_away=self._turned_away)
            self._turned_away = 0
        if self._cut_off:
            self.exchange.tally.refuse("held_too_much", self._cut_off)
            log.warning("connections held too much", closed=self._cut_off)
            self._cut_off = 0
        late = self._take_unregistered(now)
        late += self._framing.take_expired(now)
        for connection in late:
            connection.explain(_POLICY, "registration, or a frame, took too long")
            self.exchange.disconnected(connection.connection)
        for connection in self._lingering.take_expired(now):
            connection.transport.abort()
        self._flush()

    def _take_unregistered(self, now: float) -> list[SocketConnection]:
        """Return the connections that had time to register and have not done so.

        Those that wait for the server to look their user up have as long again.
        """
        late: list[SocketConnection] = []
        for each in self._registering.take_expired(now):
            if each.connection.stage is Stage.WAITING:
                self._registering.add(each, now)
            elif not each.is_registered:
                late.append(each)
        return late


def _write(connection: Connection) -> None:
    """Hand what the exchange has written to a connection to the network, in one piece if it is small."""
    out = connection.out
    if out:
        if connection.framed:
            connection.port.take(out)
        elif len(out[-1]) < _LARGE:
            connection.port.write(b"".join(out))
        else:
            connection.port.writelines(out)
        out.clear()


def _kind_of(connection: Connection) -> str:
    """Return what a connection is to the operator."""
    if connection.device is not None:
        return "member"
    return "registering" if connection.guest is None else "guest"


def _new_token() -> tuple[bytes, bytes]:
    token = new_token()
    return token.encode(), token_digest(token)
