"""A registered connection that reconnects by itself when it is lost."""

import asyncio
import random
import time
from collections.abc import Callable
from typing import Protocol

from twotick.client.address import ServerAddress
from twotick.client.errors import (
    ConnectionLost,
    NotEncrypted,
    NotRegistered,
    ProtocolError,
    ServerUnreachable,
    ShuttingDown,
    TooManyRequests,
    TwotickError,
)
from twotick.client.finding import Ways
from twotick.client.link import LONGEST_BODY, Link
from twotick.client.member.error_frames import connection_error
from twotick.client.member.limits import MemberLimits
from twotick.client.trust.known_servers import KnownServers, Trust, TrustError
from twotick.net import is_loopback
from twotick.wire import Frame, Head, HeadCache, Side, Verb

_LONGEST_RETRY_AFTER = 900
"""The longest time that the client waits because a server asks for it, in seconds (rules 9.13 and 10.4)."""

_PASSING = (ConnectionLost, TooManyRequests, ProtocolError, NotRegistered, TrustError)
"""Why a connection may fail or break and a later one succeed: there is no server, another program answers in its place
(as a proxy does while the server restarts), the server sends something malformed, or the certificate is wrong for now.
The client sends nothing to a server that it does not trust. All other errors end the client: the server refuses this
member or device, and will again."""

OnConnection = Callable[[TwotickError | None], None]
"""Called with None when there is a connection, and with the reason when it is lost or an attempt fails."""


class ConnectionHandler(Protocol):
    """The user of a `ReconnectingConnection`: it registers each connection and handles what arrives."""

    def registration(self) -> bytes:
        """Return the frame that registers a new connection."""
        ...

    def registered(self, head: Head) -> None:
        """Handle the server's answer to the registration. The connection may be written to from now on.

        Args:
            head: the head of the answer.

        Raises:
            ProtocolError: the answer is malformed.
        """
        ...

    def take(self, head: Head, body: bytes) -> None:
        """Handle a frame.

        Args:
            head: the head of the frame.
            body: the body of the frame.

        Raises:
            ConnectionLost: the connection is of no use any more; reconnect.
            ProtocolError: the same, because the frame is malformed (rule 9.11).
            TooManyRequests: the same, but wait as long as the server asks.
            TwotickError: no connection will help; end.
        """
        ...

    def waiting_since(self) -> float:
        """Return since when the server owes an answer, in seconds on the monotonic clock; 0 if it owes none."""
        ...

    def lost(self, problem: TwotickError) -> None:
        """Handle the loss of the connection. There may be another one.

        Args:
            problem: why the connection is lost.
        """
        ...

    def ended(self, error: Exception) -> None:
        """Handle the end. There will be no further connection.

        Args:
            error: why it ended.
        """
        ...


class _Handshake:
    """The registration of one new connection.

    Args:
        side: the side to register.
        registered: called with the link and the server's answer if the server accepts.

    Attributes:
        link: the connection; None until it is open.
        answer: receives None if the server accepts, or why there is no registration.
    """

    def __init__(self, side: Side, registered: Callable[[Link, Head], None]) -> None:
        self.link: Link | None = None
        self.answer: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        self._side = side
        self._registered = registered

    def on_frame(self, frame: Frame) -> None:
        """Take the first frame as the answer."""
        head, _ = frame
        if self.answer.done():
            return  # the registration was refused; later frames do not matter
        problem: Exception | None = None
        try:
            if self.link is None or head.verb is not Verb.REGISTERED or head.side is not self._side:
                problem = connection_error(head)
            else:
                self._registered(self.link, head)
        except Exception as error:  # the task that waits for the answer raises it
            problem = error
        self.answer.set_result(problem)

    def on_lost(self, reason: str) -> None:
        """Fail, because the connection is gone."""
        if not self.answer.done():
            self.answer.set_result(ConnectionLost(reason))


class ReconnectingConnection:
    """A connection that is registered, or about to be registered again.

    Args:
        server: the server's address.
        side: the side to register.
        known: the servers whose certificates are known.
        limits: the times to wait.
        handler: the user of the connection.
        on_connection: called with None when there is a connection, and with the reason when there is none.

    Attributes:
        trust: why the server is trusted; None if the connection is not encrypted, or there has been none yet.
        error: why there will be no further connection; None as long as there may be one.
    """

    def __init__(
        self,
        server: ServerAddress,
        side: Side,
        known: KnownServers,
        limits: MemberLimits,
        handler: ConnectionHandler,
        on_connection: OnConnection,
    ) -> None:
        self.trust: Trust | None = None
        self.error: Exception | None = None
        self._ways = Ways(server)
        self._side = side
        self._known = known
        self._limits = limits
        self._handler = handler
        self._on_connection = on_connection
        self._loop = asyncio.get_running_loop()
        self._cache = HeadCache(LONGEST_BODY)
        self._link: Link | None = None
        self._lost: asyncio.Future[TwotickError] = self._loop.create_future()
        self._proven = False  # whether the server has sent anything on this connection
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    # Connecting

    async def open(self, wait_for_server: bool) -> None:
        """Connect for the first time, and reconnect in the background from then on.

        Args:
            wait_for_server: whether to keep trying if there is no connection now.

        Raises:
            TwotickError: the server cannot be reached, or refuses the registration.
        """
        problem: TwotickError | None = None
        try:
            await self._connect_anywhere()
        except _PASSING as error:
            if not wait_for_server:
                raise
            problem = error
        if self.error is not None:
            raise self.error  # one of the first frames ended the client
        self._on_connection(problem)
        self._task = asyncio.create_task(self._stay_connected(problem))

    async def _stay_connected(self, problem: TwotickError | None) -> None:
        """Reconnect whenever the connection is lost, until an error occurs that no new connection would cure.

        Args:
            problem: why there is no connection; None if there is one.
        """
        failures = 0
        try:
            while True:
                if problem is None:
                    since = time.monotonic()
                    problem = await self._lost
                    useful = self._proven and not isinstance(problem, ProtocolError)
                    if useful or time.monotonic() - since > self._limits.longest_wait:
                        failures = 0
                    self._on_connection(problem)
                await asyncio.sleep(self._wait(problem, failures))
                failures += 1
                try:
                    await self._connect_anywhere()
                    problem = None
                except _PASSING as error:
                    problem = error
                self._on_connection(problem)
        except Exception as error:  # every error ends the client, and every call that waits raises it
            self.end(error)

    def _wait(self, problem: TwotickError, failures: int) -> float:
        """Return the seconds until the next attempt, after `failures` attempts in a row that failed."""
        wait = min(self._limits.longest_wait, self._limits.first_wait * 2 ** min(failures, 32))
        wait *= random.uniform(0.5, 1.0)  # noqa: S311 # keeps many clients from reconnecting at the same moment
        if isinstance(problem, TooManyRequests | ShuttingDown):
            wait += min(problem.retry_after, _LONGEST_RETRY_AFTER)
        return wait

    async def _connect_anywhere(self) -> None:
        """Connect and register, at another address if the server at one is reached but of no use.

        Raises:
            TwotickError: there is no connection. Another attempt may succeed if the error is one of `_PASSING`.
        """
        tried = 0
        while True:
            tried += 1
            handshake = _Handshake(self._side, self._registered)
            try:
                return await self._connect(handshake)
            except TooManyRequests:
                raise
            except _PASSING:
                if handshake.link is None or tried >= self._ways.count:
                    raise

    async def _connect(self, handshake: _Handshake) -> None:
        """Connect and register.

        Raises:
            TwotickError: see `_connect_anywhere`.
        """
        try:
            async with asyncio.timeout(self._limits.timeout) as limit:
                await self._register(handshake, limit)
        except TimeoutError as error:
            self._give_up(handshake.link)
            raise ServerUnreachable(f"the server at {self._ways.address} does not answer") from error
        except BaseException:
            self._give_up(handshake.link)
            raise

    async def _register(self, handshake: _Handshake, limit: asyncio.Timeout) -> None:
        link = await Link.open(self._ways, self._cache, handshake.on_frame, handshake.on_lost, self._known)
        handshake.link = link
        if self._ways.count > 1:  # so that a server that hangs does not keep the client from the others for long
            limit.reschedule(self._loop.time() + self._limits.timeout / 3)
        if link.peer is None:
            raise ConnectionLost("the server closed the connection")
        if link.trust is None and not is_loopback(link.peer):
            raise NotEncrypted(
                f"the connection to {link.peer} is not encrypted, and others could read the password or token:"
                " it was not sent. Connect with TLS."
            )
        link.write(self._handler.registration())
        if (problem := await handshake.answer) is not None:
            raise problem

    def _give_up(self, link: Link | None) -> None:
        """Abandon a connection whose registration did not succeed."""
        if link is not None:
            link.abandon()
            self._ways.failed(link.route)
        if link is self._link:
            self.lose(ConnectionLost("the connection was given up"))

    def _registered(self, link: Link, head: Head) -> None:
        self._link = link
        self._proven = False
        self._lost = self._loop.create_future()
        self.trust = link.trust
        link.on_frame = self._take
        link.on_lost = self._on_lost
        link.keep_alive(head)
        self._handler.registered(head)

    # Losing it

    def _take(self, frame: Frame) -> None:
        head, body = frame
        self._proven = True
        try:
            self._handler.take(head, body)
        except _PASSING as error:
            self.lose(error)
        except Exception as error:  # every error ends the client, and every call that waits raises it
            self.end(error)

    def _on_lost(self, reason: str) -> None:
        self.lose(ConnectionLost(reason))

    def lose(self, problem: TwotickError) -> None:
        """Abandon the connection, if there is one, and let `_stay_connected` open another.

        Args:
            problem: why the connection is of no use.
        """
        if self._link is None:
            return
        if not isinstance(problem, TooManyRequests):
            self._ways.failed(self._link.route)
        self._link.abandon()
        self._link = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._handler.lost(problem)
        if not self._lost.done():  # the task that waits for it may have been cancelled
            self._lost.set_result(problem)

    def end(self, error: Exception) -> None:
        """Close the connection, and open no further one.

        Args:
            error: why.
        """
        if self.error is not None:
            return
        self.error = error
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
        if self._timer is not None:
            self._timer.cancel()
        if self._link is not None:
            self._link.on_frame = _ignore
            self._link.shut()
        self._handler.ended(error)

    async def close(self, error: TwotickError) -> None:
        """Close the connection, open no further one, and wait until the connection is gone.

        Args:
            error: why.
        """
        self.end(error)
        if self._task is not None:
            await asyncio.wait([self._task])
        if self._link is not None:
            self._link.shut()
            await self._link.closed()

    # Using it

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return self._link is not None and self.error is None

    def write(self, data: bytes) -> None:
        """Write `data`, if there is a connection."""
        if self._link is not None:
            self._link.write(data)

    async def drain(self) -> None:
        """Wait until the server has read most of what was written, or the connection is gone."""
        if self._link is not None:
            await self._link.drain()

    def watch(self) -> None:
        """Start a timer, unless it runs already, that loses the connection if the server's answer is overdue."""
        if self._timer is None and self.connected and (since := self._handler.waiting_since()):
            left = since + self._limits.answer_timeout - time.monotonic()
            self._timer = self._loop.call_later(left, self._check_answer_timeout)

    def _check_answer_timeout(self) -> None:
        self._timer = None
        since = self._handler.waiting_since()
        if since and since + self._limits.answer_timeout <= time.monotonic():
            self.lose(ConnectionLost(f"the server did not answer within {self._limits.answer_timeout:g} s"))
        else:
            self.watch()


def _ignore(frame: Frame) -> None:
    """Ignore a frame that came after the end."""
