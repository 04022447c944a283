"""A registered connection that comes back by itself when it is lost."""

import asyncio
import random
import time
from collections.abc import Callable
from typing import Protocol

from twotick.client.errors import (
    ConnectionLost,
    NameTaken,
    NotAuthenticated,
    NotEncrypted,
    NotRegistered,
    ProtocolError,
    Replaced,
    ServerUnreachable,
    ShuttingDown,
    TooLarge,
    TooManyRequests,
    TwotickError,
)
from twotick.client.link import Link
from twotick.client.member.events import as_text, number
from twotick.client.member.limits import MemberLimits
from twotick.client.trust.known_servers import KnownServers, Trust
from twotick.net import is_loopback
from twotick.wire import Frame, Head, HeadCache, Side, Verb

_LONGEST_FORWARD = 64 << 20
"""The longest body that is accepted from a server, in bytes."""

_LONGEST_RETRY_AFTER = 900
"""The longest time that a server may ask us to wait, in seconds (rule 10.4)."""


class User(Protocol):
    """Who uses a lifeline."""

    def register(self) -> bytes:
        """The frame that registers a new connection."""
        ...

    def registered(self, head: Head) -> None:
        """There is a connection, registered with this answer. It may be written to.

        Raises:
            ProtocolError: the answer makes no sense.
        """
        ...

    def take(self, head: Head, body: bytes) -> None:
        """A frame came.

        Raises:
            ConnectionLost: the connection is of no use any more.
            TooManyRequests: likewise, for a while.
            TwotickError: and no other would be.
        """
        ...

    def owed(self) -> float:
        """The time on the monotonic clock since which the server owes an answer; 0 if it does not."""
        ...

    def lost(self, problem: TwotickError) -> None:
        """The connection is gone."""
        ...

    def ended(self, error: Exception) -> None:
        """The connection, if there was one, is gone, and there will be no other."""
        ...


class Lifeline:
    """A connection that is registered, or is about to be again.

    Args:
        server: host and port.
        side: as what it is registered.
        known: the servers that are known, to connect with TLS; None for connections that are not encrypted.
        limits: how long to wait for what.
        user: who uses it.
        on_connection: called with None when there is a connection, and with the reason when there is none.

    Attributes:
        trust: why the server is trusted; None if the connection is not encrypted, or there was none yet.
        error: why there will be no connection any more; None as long as there may be one.
    """

    def __init__(
        self,
        server: tuple[str, int],
        side: Side,
        known: KnownServers | None,
        limits: MemberLimits,
        user: User,
        on_connection: Callable[[TwotickError | None], None],
    ) -> None:
        self.trust: Trust | None = None
        self.error: Exception | None = None
        self._server = server
        self._side = side
        self._known = known
        self._limits = limits
        self._user = user
        self._on_connection = on_connection
        self._loop = asyncio.get_running_loop()
        self._cache = HeadCache(_LONGEST_FORWARD)
        self._link: Link | None = None
        self._lost: asyncio.Future[TwotickError] = self._loop.create_future()
        self._proven = False  # whether this connection was of any use
        self._task: asyncio.Task[None] | None = None
        self._watch: asyncio.TimerHandle | None = None

    async def open(self, wait_for_server: bool) -> None:
        """Connect for the first time.

        Args:
            wait_for_server: if there is no connection to be had at the moment, go on trying.

        Raises:
            TwotickError: there is no connection.
        """
        problem: TwotickError | None = None
        try:
            await self._connect()
        except (ConnectionLost, TooManyRequests) as error:
            if not wait_for_server:
                raise
            problem = error
        if self.error is not None:
            raise self.error  # something came with the first bytes that ended it
        self._on_connection(problem)
        self._task = asyncio.create_task(self._stay_connected(problem))

    async def _stay_connected(self, problem: TwotickError | None) -> None:
        """Connect again and again, until something happens that no new connection would mend."""
        failures = 0
        try:
            while True:
                if problem is None:
                    since = time.monotonic()
                    problem = await self._lost
                    if self._proven or time.monotonic() - since > self._limits.longest_wait:
                        failures = 0
                    self._on_connection(problem)
                wait = min(self._limits.longest_wait, self._limits.first_wait * 2 ** min(failures, 32))
                wait *= random.uniform(0.5, 1.0)  # noqa: S311 # so that many clients do not come back at once
                if isinstance(problem, TooManyRequests):
                    wait += min(problem.retry_after, _LONGEST_RETRY_AFTER)
                failures += 1
                await asyncio.sleep(wait)
                try:
                    await self._connect()
                    problem = None
                except (ConnectionLost, TooManyRequests) as error:
                    problem = error
                self._on_connection(problem)
        except Exception as error:  # whatever it is, it is told to everybody who waits
            self.end(error)

    async def _connect(self) -> None:
        """Connect and register.

        Raises:
            ConnectionLost: there is no connection.
            TooManyRequests: not now.
            TwotickError: it would not help to try again.
        """
        link: Link | None = None
        answer: asyncio.Future[TwotickError | None] = self._loop.create_future()

        def on_frame(frame: Frame) -> None:
            head, _ = frame
            if answer.done():
                return  # it is refused, and what else the server has to say about it does not matter
            problem = None
            try:
                if link is None or head.verb is not Verb.REGISTERED or head.side is not self._side:
                    problem = error_of(head)
                else:
                    self._registered(link, head)
            except ProtocolError as error:
                problem = error
            answer.set_result(problem)

        def on_lost(reason: str) -> None:
            if not answer.done():
                answer.set_result(ConnectionLost(reason))

        problem: TwotickError | None = None
        try:
            async with asyncio.timeout(self._limits.timeout):
                link = await Link.open(self._server, self._cache, on_frame, on_lost, self._known)
                if link.peer is None:
                    problem = ConnectionLost("the server closed the connection")
                elif self._known is None and not is_loopback(link.peer):
                    problem = NotEncrypted(
                        f"the connection to {link.peer} is not encrypted, and others could read the password or token:"
                        " it was not sent. Connect with TLS."
                    )
                else:
                    link.keep_alive()
                    link.write(self._user.register())
                    problem = await answer
        except TimeoutError as error:
            self._give_up(link)
            host, port = self._server
            raise ServerUnreachable(f"the server at {host}:{port} does not answer") from error
        except BaseException:
            self._give_up(link)
            raise
        if problem is not None:
            self._give_up(link)
            raise problem

    def _give_up(self, link: Link | None) -> None:
        """Have nothing to do with a connection any more."""
        if link is not None:
            link.abandon()
        if link is self._link:
            self._lose(ConnectionLost("the connection was given up"))

    def _registered(self, link: Link, head: Head) -> None:
        self._link = link
        self._proven = False
        self._lost = self._loop.create_future()
        self.trust = link.trust
        link.on_frame = self._take
        link.on_lost = self._on_lost
        self._user.registered(head)

    def _take(self, frame: Frame) -> None:
        head, body = frame
        self._proven = True
        try:
            self._user.take(head, body)
        except (ConnectionLost, TooManyRequests) as error:
            self._lose(error)
        except TwotickError as error:
            self.end(error)

    def _on_lost(self, reason: str) -> None:
        self._lose(ConnectionLost(reason))

    def _lose(self, problem: TwotickError) -> None:
        """The connection is of no use any more."""
        if self._link is None:
            return
        self._link.abandon()
        self._link = None
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        self._user.lost(problem)
        if not self._lost.done():  # the task that waits for it may have been cancelled
            self._lost.set_result(problem)

    def end(self, error: Exception) -> None:
        """No connection would be of any use."""
        if self.error is not None:
            return
        self.error = error
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
        if self._watch is not None:
            self._watch.cancel()
        if self._link is not None:
            self._link.on_frame = _ignore
            self._link.shut()
        self._user.ended(error)

    async def close(self, error: TwotickError) -> None:
        """End it, and wait until the connection is gone."""
        self.end(error)
        if self._task is not None:
            await asyncio.wait([self._task])
        if self._link is not None:
            self._link.shut()
            await self._link.closed()

    # Using it

    @property
    def connected(self) -> bool:
        """Whether there is a connection at the moment."""
        return self._link is not None and self.error is None

    def write(self, data: bytes) -> None:
        """Write, if there is a connection."""
        if self._link is not None:
            self._link.write(data)

    async def drain(self) -> None:
        """Wait until the server takes what was written, or the connection is gone."""
        if self._link is not None:
            await self._link.drain()

    def watch(self) -> None:
        """See to it that it is noticed when the server does not give the answer that it owes."""
        if self._watch is None and self.connected and (since := self._user.owed()):
            left = since + self._limits.answer_timeout - time.monotonic()
            self._watch = self._loop.call_later(left, self._look_for_late_answers)

    def _look_for_late_answers(self) -> None:
        self._watch = None
        since = self._user.owed()
        if since and since + self._limits.answer_timeout <= time.monotonic():
            self._lose(ConnectionLost(f"the server did not answer within {self._limits.answer_timeout:g} s"))
        else:
            self.watch()


def _ignore(frame: Frame) -> None:
    """What the server has to say does not matter any more."""


def error_of(head: Head) -> TwotickError:
    """The exception for an ERROR that is about the connection, or for a frame that makes no sense in its place."""
    reason = as_text(head.headers.get(b"reason", b""))
    match head.code if head.verb is Verb.ERROR else 0:
        case 100:
            return NameTaken(reason or "the name is taken, reserved, or not a member's")
        case 101:
            return NotRegistered(reason or "the server does not know what a member is")
        case 103:
            return ProtocolError(reason or "the server did not understand what we sent")
        case 104:
            return NotAuthenticated(reason or "wrong name, password or token")
        case 105:
            return TooManyRequests(reason or "too many requests", number(head, b"retry-after"))
        case 106:
            return TooLarge(reason or "the message is too large for the server")
        case 107:
            return ShuttingDown(reason or "the server stops")
        case 108:
            return Replaced(reason or "this device has connected again elsewhere")
        case _:
            return ProtocolError("the server sent something that makes no sense: does it speak this protocol?")
