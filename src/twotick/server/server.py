"""The server: listens, drives the exchange, keeps the time limits of connections (docs/protocol.md, section 8)."""

import asyncio
import contextlib
import gc
import itertools
import math
import resource
import signal
import ssl
import time
from collections.abc import Callable

import uvloop

from twotick.exchange import Exchange, Session
from twotick.server import logs
from twotick.server.connection import Connection
from twotick.server.login import Doorman, Refused, SignUp
from twotick.server.logs import log
from twotick.server.options import RETENTION, ServerLimits, ServerOptions, check
from twotick.server.secrets import new_token, token_digest
from twotick.server.storage import DiskStorage, MemoryStorage, Storage
from twotick.server.tls import certificate_fingerprint, server_context
from twotick.store import Index, Members, MemoryStore, Prune, SqliteStore, StoreError
from twotick.wire import Head, HeadCache

_TICK = 0.25
"""Seconds between looks at the time limits."""

_LOOK_FOR_MEMBERS = 1.0
"""Seconds between looks whether another process has changed the members."""

_PRUNE = 3600.0
"""Seconds between looks for messages that are too old."""

_INDEX = 1.0
"""Seconds between looks for messages that cannot be found yet (rule 14.5)."""

_INDEX_AGAIN = 60.0
"""Seconds until the next look if the disk has failed."""

_SPARE_FILES = 64
"""Open files that are kept for everything but connections."""

_GARBAGE = (50_000, 10, 10)
"""When Python looks for garbage in cycles. Every message is a few objects that live for a moment, or for long if they
are stored, and hardly any cycle is ever made; the usual 700 would have it look through all of them again and again."""

_LARGE = 16 << 10
"""Bytes from which on it is cheaper to hand a body over as it is than to copy it into one piece with its head."""


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
        store: where members and their messages are; without one there are only guests.
        sign_up: who may sign up.
        retention: seconds after which messages that every device has are removed.

    Attributes:
        exchange: who is connected, and what is on its way.
        heads: the heads known to its parsers.
        flushing: whether what the exchange wishes will be done soon.
    """

    def __init__(
        self,
        limits: ServerLimits,
        store: SqliteStore | MemoryStore | None = None,
        sign_up: SignUp = SignUp.CLOSED,
        retention: float = RETENTION,
    ) -> None:
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._most_connections = min(limits.connections, _raise_file_limit() - _SPARE_FILES)
        self._connections: dict[Connection, None] = {}  # which for many takes half of a set's memory
        self._registering = _Deadlines(limits.register_timeout)
        self._framing = _Deadlines(limits.frame_timeout)
        self._lingering = _Deadlines(limits.linger_timeout)
        self._listeners: list[asyncio.Server] = []
        self._timer: asyncio.TimerHandle | None = None
        self._flushed: asyncio.Event | None = None
        self.exchange = Exchange(limits.exchange, self._loop.time(), new_token=_new_token)
        self._storage: Storage | None = None
        if isinstance(store, MemoryStore):
            self._storage = MemoryStorage(store)
        elif store is not None:
            self._storage = DiskStorage(store, self.exchange.know, self.flush_soon)
        self._doorman = None if self._storage is None else Doorman(self._storage, sign_up)
        self._logins: set[asyncio.Task[None]] = set()
        self._next_look = 0.0
        self._retention = retention
        self._next_prune = 0.0
        self._next_index = 0.0
        self._turned_away = 0
        self.heads = HeadCache(limits.max_body)
        self.flushing = False

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> tuple[str, int]:
        """Listen; may be called for several addresses.

        Args:
            host: the address to listen on.
            port: the port; 0 for any that is free.
            tls: encrypts the connections; None for none.

        Returns:
            The address and port on which connections are now accepted.

        Raises:
            OSError: the address cannot be had.
        """
        if self._storage is not None and not self._listeners:
            self.exchange.know(await self._storage.ask(Members()))  # before anybody can ask for one of their names
        listener = await self._loop.create_server(lambda: Connection(self), host, port, backlog=4096, ssl=tls)
        self._listeners.append(listener)
        if self._timer is None:
            self._tick()
        address = listener.sockets[0].getsockname()
        return address[0], address[1]

    async def stop(self) -> None:
        """Accept no more, let what is on its way be answered, answer the rest, and close (rule 4.10)."""
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()
        self.exchange.drain()
        self.flush_soon()
        await self._until(lambda: self.exchange.idle and not self._asking, self._limits.stop_timeout)
        self.exchange.close()
        for connection in self._connections:
            self.exchange.finish(connection.session)
        self._flush()
        await self._until(lambda: not self._connections, self._limits.linger_timeout)
        for connection in list(self._connections):
            connection.transport.abort()
        await self._until(lambda: not self._connections, self._limits.linger_timeout)
        for login in self._logins:
            login.cancel()
        await asyncio.gather(*self._logins, return_exceptions=True)
        if self._timer is not None:
            self._timer.cancel()
        if self._storage is not None:
            await self._storage.close()

    @property
    def _asking(self) -> bool:
        return self._storage is not None and self._storage.waiting > 0

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
        self._connections[connection] = None
        if len(self._connections) > self._most_connections:
            self._turned_away += 1
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
        self._connections.pop(connection, None)
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
        self._look_after_members()
        # Taken out one by one, so that one that fails is not met again and the others are.
        written = self.exchange.written
        while written:
            session = written.popleft()
            out = session.out
            if out:
                if len(out[-1]) < _LARGE:
                    session.port.write(b"".join(out))
                else:
                    session.port.writelines(out)
                out.clear()
        changed = self.exchange.changed
        while changed:
            session = changed.popleft()
            connection = session.port.get_protocol()
            if connection is None:
                continue  # it was lost in the meantime
            if session.closing:
                self._close(connection)
            elif session.paused is connection.reading:
                connection.read(not session.paused)
        if self._flushed is not None:
            self._flushed.set()

    def _look_after_members(self) -> None:
        """Pass on what the exchange asks the store, and find out who is asking."""
        requests = self.exchange.requests
        while requests and self._storage is not None:
            asked = requests.copy()
            requests.clear()
            self._storage.submit(asked)
        logins = self.exchange.logins
        for session, head in logins:
            login = self._loop.create_task(self._log_in(session, head))
            self._logins.add(login)
            login.add_done_callback(self._logins.discard)
        logins.clear()

    async def _log_in(self, session: Session, head: Head) -> None:
        if self._doorman is None:
            who = Refused(104, "this server has no members")
        else:
            encrypted = session.port.get_extra_info("ssl_object") is not None
            who = await self._doorman.identify(head, session.address, encrypted, time.time())
        if isinstance(who, Refused):
            self.exchange.not_authenticated(session, who.code, who.reason, who.retry_after)
        else:
            self.exchange.authenticated(session, head, *who)
        self.flush_soon()

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
        if connection.ended or not transport.can_write_eof():
            transport.close()
        else:
            try:
                transport.write_eof()
            except OSError:
                transport.abort()  # the peer is gone, and nothing of this can reach it

    def _tick(self) -> None:
        now = self._loop.time()
        self._timer = self._loop.call_at(now + _TICK, self._tick)
        self.exchange.tick(now)
        if self._storage is not None and now >= self._next_look:
            self._next_look = now + _LOOK_FOR_MEMBERS
            self._storage.look_for_members()
        if self._storage is not None and now >= self._next_prune:
            self._next_prune = math.inf
            self._storage.submit([(Prune(time.time(), self._retention), self._pruned)])
        if self._storage is not None and now >= self._next_index:
            self._next_index = math.inf
            self._storage.submit([(Index(), self._indexed)])
        if self._turned_away:
            log.warning("too many connections", most=self._most_connections, turned_away=self._turned_away)
            self._turned_away = 0
        late = [each for each in self._registering.take_expired(now) if each.session.side is None]
        late += self._framing.take_expired(now)
        for connection in late:
            self.exchange.disconnected(connection.session)
        for connection in self._lingering.take_expired(now):
            connection.transport.abort()
        self._flush()

    def _pruned(self, more: bool | StoreError) -> None:
        if isinstance(more, StoreError):
            log.warning("old messages cannot be removed", reason=str(more))
        self._next_prune = self._loop.time() + (0.0 if more is True else _PRUNE)

    def _indexed(self, more: bool | StoreError) -> None:
        wait = 0.0 if more is True else _INDEX
        if isinstance(more, StoreError):
            log.warning("new messages cannot be found", reason=str(more))
            wait = _INDEX_AGAIN
        self._next_index = self._loop.time() + wait


def _new_token() -> tuple[bytes, bytes]:
    token = new_token()
    return token.encode(), token_digest(token)


def _raise_file_limit() -> int:
    """Let this process open as many files as the system allows; returns how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


class CannotListen(Exception):
    """An address cannot be had; the cause says why.

    Attributes:
        host: the host that was tried.
        port: the port that was tried.
        setting: the setting which says that port.
    """

    def __init__(self, host: str, port: int, setting: str) -> None:
        super().__init__(f"cannot listen on {host}:{port}")
        self.host = host
        self.port = port
        self.setting = setting


def serve(options: ServerOptions, announce: Callable[[str, int, str | None], None]) -> None:
    """Run a server until SIGINT or SIGTERM, and then stop it in good order.

    Args:
        options: what it is to be.
        announce: called for each address, once connections are accepted on all of them: with the host, the port, and
            for encrypted connections the fingerprint of the certificate.

    Raises:
        OptionsError: it would not be safe, or makes no sense.
        TlsError: the certificate or its key cannot be used.
        StoreError: the data cannot be used.
        CannotListen: an address cannot be had.
    """
    try:
        plain_host = check(options)
    except OSError as error:
        raise CannotListen(options.host, options.port, "port") from error
    certificate = None
    if options.tls_certificate is not None and options.tls_key is not None:
        context = server_context(options.tls_certificate, options.tls_key)
        certificate = context, certificate_fingerprint(options.tls_certificate)
    logs.configure()
    store = (
        MemoryStore(options.store_limits) if options.data is None else SqliteStore(options.data, options.store_limits)
    )
    gc.freeze()
    gc.set_threshold(*_GARBAGE)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(options, plain_host, certificate, store, announce))


async def _serve(
    options: ServerOptions,
    plain_host: str,
    certificate: tuple[ssl.SSLContext, str] | None,
    store: SqliteStore | MemoryStore,
    announce: Callable[[str, int, str | None], None],
) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(logs.report)
    server = Server(options.limits, store, options.sign_up, options.retention)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)

    async def listen(host: str, port: int, setting: str, tls: ssl.SSLContext | None = None) -> tuple[str, int]:
        try:
            return await server.start(host, port, tls)
        except OSError as error:
            raise CannotListen(host, port, setting) from error

    try:
        addresses: list[tuple[str, int, str | None]] = [(*await listen(plain_host, options.port, "port"), None)]
        if certificate is not None:
            context, fingerprint = certificate
            addresses.append((*await listen(options.host, options.tls_port, "tls_port", context), fingerprint))
        for address in addresses:
            announce(*address)
        await stop.wait()
    finally:
        await server.stop()
