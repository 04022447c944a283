"""A bus between servers on NATS.

Theory of operation. The library connects once. This module connects again when that connection is lost: with jitter, to
the servers of the options in turn, and never to those that only NATS has named, which need not have TLS. All handlers
are subscribed again on each connection. One task writes, in the order of the calls, because the library's functions may
wait; what would wait too long is dropped.
"""

import asyncio
import contextlib
import random
import ssl
from collections import deque
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError, SlowConsumerError

from twotick.bus.options import BusOptions
from twotick.bus.port import BusAway, BusError, NoResponder, Reply, check_subject
from twotick.named_files import read_named
from twotick.net import server_name

_MOST_WAITING = 4096
_MOST_WAITING_BYTES = 16 << 20
"""How many hints, and how many bytes of them, wait to be written at most, and to be handled for each subject."""

_MOST_REQUESTS = 4096
"""How many requests are under way at most."""

_FIRST_WAIT = 0.1
_LONGEST_WAIT = 2.0
"""Seconds between two attempts to connect, at first and at most."""

_PATIENCE = 3
"""Seconds for one attempt to connect, and for `open` to wait for the first one."""

_PING = 2
"""Seconds between pings. A NATS server that does not answer two of them is taken for gone."""

_CLOSING = 0.5
"""Seconds for a connection to close."""

_REFUSALS = ("authorization violation", "authentication", "user authentication expired", "certificate")
"""Parts of what NATS says if it will refuse this server again."""

_Handler = Callable[[bytes, Reply], None]
_Subscribe = Callable[..., Awaitable[Subscription]]


class NatsBus:
    """A bus on NATS (see `Bus`).

    Args:
        options: its options.
        urls: the URLs of the NATS servers.
        prefix: stands before each subject.

    Raises:
        BusError: a certificate cannot be loaded, or the library for credentials is missing.
    """

    def __init__(self, options: BusOptions, urls: list[str], prefix: str) -> None:
        check_subject(prefix)
        self._prefix = prefix
        self._urls = deque(random.sample(urls, len(urls)))
        self._credentials = options.credentials
        self._tls = _tls(options) if urls[0].startswith("tls://") else None
        if options.credentials is not None:
            _check_credentials(options.credentials)
        self._handlers: dict[str, _Handler] = {}
        self._subscriptions: dict[str, Subscription] = {}
        self._client: Client | None = None
        self._lost: asyncio.Future[str]
        self._writing: deque[tuple[str, bytes | None]] = deque()  # None if the subscription is to change
        self._writing_bytes = 0
        self._written = asyncio.Event()
        self._requests = 0
        self._dropped = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._on_change: Callable[[str | None], None] = lambda _: None

    @property
    def connected(self) -> bool:
        """See `Bus`."""
        return self._client is not None

    @property
    def dropped(self) -> int:
        """See `Bus`."""
        return self._dropped

    # Connecting

    async def open(self, on_change: Callable[[str | None], None]) -> None:
        """See `Bus`."""
        self._on_change = on_change
        problem = None
        for _ in range(len(self._urls)):
            problem = await self._connect()
            if problem is None:
                break
            if any(each in problem.lower() for each in _REFUSALS):
                raise BusError(f"{problem}: check the setting bus and the files of the settings bus_...")
        on_change(problem)
        self._tasks = [asyncio.create_task(self._stay_connected(problem)), asyncio.create_task(self._write())]

    async def _stay_connected(self, problem: str | None) -> None:
        """Connect again whenever the connection is lost."""
        failures = 0
        while True:
            if problem is None:
                failures = 0
                problem = await self._lost
                await self._give_up()
                self._on_change(problem)
            wait = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** min(failures, 16))
            await asyncio.sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311 # keeps servers from coming back at once
            failures += 1
            problem = await self._connect()
            if problem is None:
                self._on_change(None)

    async def _connect(self) -> str | None:
        """Try to connect to the next of the NATS servers; return why that failed, or None."""
        url = urlsplit(self._urls[0])
        self._urls.rotate(-1)
        where = f"NATS at {server_name(url.hostname or '', url.port or 4222)}"
        client = Client()
        lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        why: list[Exception] = []  # what the library reports while it connects

        async def failed(error: Exception) -> None:
            await self._on_error(error)
            why.append(error)
            del why[1:]

        async def closed() -> None:
            if not lost.done():
                lost.set_result(f"{where}: the connection was lost")

        try:
            async with asyncio.timeout(_PATIENCE):
                await client.connect(
                    url.geturl(),
                    name=self._prefix,
                    error_cb=failed,
                    closed_cb=closed,
                    allow_reconnect=False,
                    connect_timeout=_PATIENCE,
                    max_reconnect_attempts=1,
                    reconnect_time_wait=0,
                    ping_interval=_PING,
                    max_outstanding_pings=2,
                    tls=self._tls,
                    tls_hostname=url.hostname if self._tls else None,
                    user_credentials=None if self._credentials is None else str(self._credentials),
                )
                self._subscriptions.clear()
                for subject in list(self._handlers):
                    await self._subscribe(client, subject)
                await client.flush()
        except (OSError, NatsError, TimeoutError, ValueError) as error:
            await _close(client)
            return f"{where}: {_reason(why[0] if why else error)}"
        self._client, self._lost = client, lost
        for subject in self._handlers.keys() ^ self._subscriptions.keys():  # they changed while it connected
            self._change(subject)
        return None

    async def _give_up(self) -> None:
        client, self._client = self._client, None
        self._dropped += sum(data is not None for _, data in self._writing)
        self._writing.clear()
        self._writing_bytes = 0
        if client is not None:
            await _close(client)

    async def _on_error(self, error: Exception) -> None:
        """Handle what the library reports besides failures of calls."""
        if isinstance(error, SlowConsumerError):
            self._dropped += 1
        elif not isinstance(error, OSError | NatsError | TimeoutError):  # a handler has failed
            asyncio.get_running_loop().call_exception_handler({"message": "handler of the bus", "exception": error})

    # Sending

    def publish(self, subject: str, data: bytes) -> None:
        """See `Bus`."""
        check_subject(subject)
        self._put(f"{self._prefix}.{subject}", data)

    def _put(self, subject: str, data: bytes) -> None:
        full = len(self._writing) >= _MOST_WAITING or self._writing_bytes + len(data) > _MOST_WAITING_BYTES
        if self._client is None or full or len(data) > self._client.max_payload:
            self._dropped += 1
            return
        self._writing_bytes += len(data)
        self._writing.append((subject, data))
        self._written.set()

    async def _write(self) -> None:
        """Write what waits, in its order."""
        while True:
            while self._writing and (client := self._client) is not None:
                subject, data = self._writing.popleft()
                try:
                    if data is None:
                        await self._subscribe(client, subject)
                    else:
                        self._writing_bytes -= len(data)
                        await client.publish(subject, data)
                except (OSError, NatsError):
                    self._dropped += data is not None  # the connection is breaking
            self._written.clear()
            await self._written.wait()

    async def request(self, subject: str, data: bytes, timeout: float) -> bytes:
        """See `Bus`."""
        check_subject(subject)
        client = self._client
        if client is None:
            raise BusAway("there is no connection to NATS")
        if len(data) > client.max_payload:
            raise BusAway(f"{len(data)} bytes are more than NATS carries: raise its max_payload")
        if self._requests >= _MOST_REQUESTS:
            raise BusAway("too many requests are under way")
        self._requests += 1
        asked = asyncio.create_task(client.request(f"{self._prefix}.{subject}", data, timeout=timeout))
        try:
            await asyncio.wait([asked, self._lost], return_when=asyncio.FIRST_COMPLETED)
            if not asked.done():
                raise BusAway("the connection to NATS was lost")
            return asked.result().data
        except NoRespondersError as error:
            raise NoResponder(subject) from error
        except TimeoutError:
            raise
        except (OSError, NatsError) as error:
            raise BusAway(f"NATS: {_reason(error)}") from error
        finally:
            asked.cancel()
            self._requests -= 1

    # Receiving

    def subscribe(self, subject: str, handler: Callable[[bytes], None]) -> None:
        """See `Bus`."""
        self.serve(subject, lambda data, _: handler(data))

    def serve(self, subject: str, handler: Callable[[bytes, Reply], None]) -> None:
        """See `Bus`."""
        check_subject(subject)
        is_new = subject not in self._handlers
        self._handlers[subject] = handler
        if is_new:
            self._change(subject)

    def leave(self, subject: str) -> None:
        """See `Bus`."""
        if self._handlers.pop(subject, None) is not None:
            self._change(subject)

    def _change(self, subject: str) -> None:
        """Let the subscription follow the handler. Without a connection, the next one begins with all of them."""
        if self._client is not None:
            self._writing.append((subject, None))
            self._written.set()

    async def _subscribe(self, client: Client, subject: str) -> None:
        if subject not in self._handlers:
            if (old := self._subscriptions.pop(subject, None)) is not None:
                await old.unsubscribe()
            return
        if subject in self._subscriptions:
            return

        async def handle(message: Msg) -> None:
            if (handler := self._handlers.get(subject)) is not None:
                handler(message.data, lambda answer: self._answer(message.reply, answer))

        subscribe = cast("_Subscribe", client.subscribe)  # pyright: ignore[reportUnknownMemberType]
        self._subscriptions[subject] = await subscribe(
            f"{self._prefix}.{subject}",
            cb=handle,
            pending_msgs_limit=_MOST_WAITING,
            pending_bytes_limit=_MOST_WAITING_BYTES,
        )

    def _answer(self, reply: str, answer: bytes) -> None:
        if reply:
            self._put(reply, answer)

    async def close(self) -> None:
        """See `Bus`."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._give_up()


async def _close(client: Client) -> None:
    """Close a connection that may be broken, or may never have been complete: how that fails does not matter."""
    with contextlib.suppress(Exception):
        async with asyncio.timeout(_CLOSING):  # after a TLS handshake that failed, the library waits for ever
            await client.close()


def _check_credentials(file: Path) -> None:
    """Raise BusError unless a file has what the library reads: a token, and the seed of a key."""
    if find_spec("nkeys") is None:  # the library imports it only when it signs
        raise BusError("bus_credentials needs nkeys: run pip install 'twotick[cluster]'")
    try:
        text = read_named(file).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise BusError(f"bus_credentials = {file} cannot be read: {error}") from error
    if "BEGIN NATS USER JWT" not in text or "BEGIN USER NKEY SEED" not in text:
        raise BusError(f"bus_credentials = {file} has no credentials for NATS: name a file that nsc has made")


def _tls(options: BusOptions) -> ssl.SSLContext:
    """Return how to encrypt connections to NATS, or raise BusError."""
    try:
        for file in filter(None, (options.ca, options.certificate, options.key)):
            read_named(file)  # OpenSSL would wait for the writer of a pipe
        context = ssl.create_default_context(cafile=None if options.ca is None else str(options.ca))
        if options.certificate is not None:
            context.load_cert_chain(options.certificate, options.key)
    except (OSError, ValueError) as error:  # SSLError is an OSError
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise BusError(f"bus_ca, or bus_certificate with bus_key, cannot be used: {why}") from error
    return context


def _reason(error: BaseException) -> str:
    """Return why something failed, in words. What the library says may have a prefix, quotes and an empty line."""
    if isinstance(error, ConnectionRefusedError):
        return "it does not run"
    if isinstance(error, TimeoutError):
        return "it does not answer"
    text = " ".join(str(error).split()).removeprefix("nats: ").strip("'")
    return text or type(error).__name__
