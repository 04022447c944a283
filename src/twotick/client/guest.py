"""The asyncio library: connect, send and get a receipt, receive and acknowledge.

Theory of operation. A client has two links, one to send on and one to receive on. Answers come in the order of the
sends, so each send waits in `_unanswered` for its turn; a send that is cancelled keeps its place there, since its
answer still comes. A server of another make may not cope with a second send before the first is answered, so one send
at a time is on its way unless the server has granted a window, which only Twotick does. Received messages are answered
in the order in which they came, whatever the order in which the program decides on them. If either link is lost, so is
the client: every send that waits, and whoever waits for a message, is told.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from twotick.client.address import DEFAULT_SERVER, parse_server
from twotick.client.errors import (
    ConnectionLost,
    MalformedName,
    NameTaken,
    NotDelivered,
    NotRegistered,
    ProtocolError,
    ServerUnreachable,
    TwotickError,
)
from twotick.client.link import Link
from twotick.wire import HEADER_INCOMPLETE, Frame, Head, HeadCache, Side, Verb, is_name, is_room, received, register
from twotick.wire import send as send_frame

_PIPELINED_SENDS = 512
"""Sends on their way at once; fewer than a server takes (rule 5.8), so that it never has to stop reading."""

_WAITING_MESSAGES = 256
"""Messages that the program has not taken; then no more are read. A server keeps to the window, which is not larger."""

_WINDOW_DIGITS = 10
"""The most digits of a window (rule 6.1)."""

_LONGEST_FORWARD = 64 << 20
"""The longest body that is accepted from a server, in bytes."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What happened to a message: the recipient has it.

    Attributes:
        recipient: who has it.
        seconds: the time from the send to the answer.
    """

    recipient: str
    seconds: float


class Message:
    """A message that came.

    It is acknowledged by `ack`, or when the program that iterates over a client takes the next one.

    Attributes:
        sender: who sent it.
        body: the bytes of it.
    """

    __slots__ = ("_answer_due", "_raw_sender", "answer", "body")

    def __init__(self, sender: bytes, body: bytes, answer_due: Callable[[], Awaitable[None]]) -> None:
        self._raw_sender = sender
        self._answer_due = answer_due
        self.answer: bytes | None = None
        self.body = body

    def __repr__(self) -> str:
        return f"Message(sender={self.sender!r}, body={self.body!r})"

    @property
    def sender(self) -> str:
        """Who sent it."""
        return self._raw_sender.decode("ascii", "backslashreplace")

    @property
    def text(self) -> str:
        """The body as text; bytes that are not UTF-8 show as U+FFFD."""
        return self.body.decode("utf-8", "replace")

    async def ack(self) -> None:
        """Tell the sender that the message has arrived (rule 5.3). Does nothing if the message is answered already.

        Raises:
            ConnectionLost: it cannot be told.
        """
        await self._settle(received(self._raw_sender))

    async def reject(self) -> None:
        """Tell the sender that the message was not delivered (rule 7.2). Does nothing if it is answered already.

        Raises:
            ConnectionLost: it cannot be told.
        """
        await self._settle(HEADER_INCOMPLETE)

    async def _settle(self, answer: bytes) -> None:
        if self.answer is None:
            self.answer = answer
            await self._answer_due()


class _Send:
    """A send whose answer has not come.

    Attributes:
        recipient: who it is for.
        time: when it was sent, in seconds on the monotonic clock (that of the event loop may count in milliseconds).
        answered: gets the receipt, or what went wrong.
    """

    __slots__ = ("answered", "recipient", "time")

    def __init__(self, recipient: str, now: float) -> None:
        self.recipient = recipient
        self.time = now
        self.answered: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()


class Client:
    """A registered user. Made by `connect`.

    Attributes:
        name: the user's name.
        window: how many messages the server sends before the first is answered.
    """

    def __init__(self, name: str, server: tuple[str, int], max_body: int, answer_timeout: float) -> None:
        self.name = name
        self.window = 1
        self._server = server
        self._max_body = max_body
        self._answer_timeout = answer_timeout
        self._loop = asyncio.get_running_loop()
        self._cache = HeadCache(_LONGEST_FORWARD)
        self._lost: TwotickError | None = None
        self._closed = False
        self._unanswered: deque[_Send] = deque()
        self._slots = asyncio.Semaphore(1)
        self._watch: asyncio.TimerHandle | None = None
        self._unsettled: deque[Message] = deque()  # in the order in which they must be answered
        self._untaken: deque[Message] = deque()
        self._arrived = asyncio.Event()
        self._links: list[Link] = []
        self._sending: Link
        self._receiving: Link

    # Connecting

    async def open(self, window: int) -> None:
        """Connect and register both sides; see `connect`."""
        await self._register(Side.SENDING, None)
        await self._register_receiving(window)
        for link in (self._sending, self._receiving):
            link.on_lost = self._on_lost
            if link.lost is not None:
                self._on_lost(link.lost)
        if self._lost is not None:
            raise self._lost
        if self.window > 1:
            self._slots = asyncio.Semaphore(_PIPELINED_SENDS)

    async def _register_receiving(self, window: int) -> None:
        """Register, with a window if one is wanted and the server knows what that is (rule 6.4)."""
        if window > 1:
            with contextlib.suppress(NameTaken, NotRegistered, ProtocolError, ConnectionLost):
                await self._register(Side.RECEIVING, window)
                return
        await self._register(Side.RECEIVING, None)

    async def _register(self, side: Side, window: int | None) -> None:
        answer: asyncio.Future[Head] = self._loop.create_future()

        def on_frame(frame: Frame) -> None:
            head, _ = frame
            if answer.done():
                return  # it is refused, and what else the server has to say about it does not matter
            if head.verb is Verb.REGISTERED and head.side is side:
                link.on_frame = self._take_answer if side is Side.SENDING else self._take_forward
            answer.set_result(head)

        def on_lost(reason: str) -> None:
            if not answer.done():
                answer.set_exception(ConnectionLost(reason))

        link = await Link.open(self._server, self._cache, on_frame, on_lost)
        self._links.append(link)
        if side is Side.SENDING:
            self._sending = link
        else:
            self._receiving = link
        link.write(register(side, self.name.encode(), window))
        head = await answer
        if head.verb is not Verb.REGISTERED or head.side is not side:
            link.shut()
            raise self._error(head)
        granted = head.headers.get(b"window", b"")
        if window is not None and len(granted) <= _WINDOW_DIGITS and granted.isdigit() and int(granted) > 1:
            self.window = int(granted)

    def _error(self, head: Head) -> TwotickError:
        """The exception for an ERROR frame, or for one that makes no sense in its place."""
        match head.code:
            case 100:
                return NameTaken(f"the name {self.name} is taken, or reserved")
            case 101:
                return NotRegistered("the server does not know that we are registered")
            case 102:
                return NotDelivered("not connected, or did not take the message in time")
            case 103:
                return ProtocolError("the server did not understand what we sent (is the message too large for it?)")
            case _:
                return ProtocolError("the server sent something that makes no sense: does it speak this protocol?")

    # Sending

    async def send(self, recipient: str, body: str | bytes) -> Receipt:
        """Send a message, and wait until it is known what became of it.

        To cancel the call is safe: what was not sent stays unsent, and an answer that still comes is not taken for
        another's.

        Args:
            recipient: a user's name, or `ALL` for everyone.
            body: the message; text is sent as UTF-8.

        Returns:
            A receipt: the recipient, or for `ALL` everyone, has acknowledged the message.

        Raises:
            NotDelivered: the recipient does not have it.
            ConnectionLost: the connection is gone, so nobody can tell.
            ProtocolError: the server and the library do not understand each other.
        """
        data = body.encode() if isinstance(body, str) else body
        name = recipient.encode(errors="replace")
        if is_room(name):
            raise NotDelivered("rooms are for members, and you are a guest")
        if not is_name(name) and name.upper() != b"ALL":
            raise NotDelivered(f"nobody can have the name {recipient!r}")
        if len(data) > self._max_body:
            raise NotDelivered(f"the message has {len(data)} bytes, and {self._max_body} is the limit")
        await self._slots.acquire()
        if self._lost is not None:
            self._slots.release()
            raise self._lost
        sent = _Send(recipient, time.monotonic())
        self._unanswered.append(sent)
        self._sending.write(send_frame(name, data))
        if self._watch is None:
            self._watch = self._loop.call_later(self._answer_timeout, self._look_for_late_answers)
        return await sent.answered

    def _take_answer(self, frame: Frame) -> None:
        head, _ = frame
        delivered = head.verb in (Verb.SENT, Verb.SEND)  # a body, if there is one, means nothing (rule 3.1)
        if not delivered and head.verb is not Verb.ERROR:
            self._lose(ProtocolError("the server sent something else than an answer"))
        elif not self._unanswered:
            self._lose(self._error(head))
        elif delivered and head.name.upper() != self._unanswered[0].recipient.encode().upper():
            self._lose(ProtocolError("the server's answer is for another recipient"))
        else:
            sent = self._unanswered.popleft()
            self._slots.release()
            if not delivered and head.code != NotDelivered.code:
                self._lose(self._error(head))
            if sent.answered.done():  # the call was cancelled
                return
            if delivered:
                sent.answered.set_result(Receipt(sent.recipient, time.monotonic() - sent.time))
            else:
                sent.answered.set_exception(self._error(head))

    def _look_for_late_answers(self) -> None:
        self._watch = None
        if not self._unanswered:
            return
        left = self._unanswered[0].time + self._answer_timeout - time.monotonic()
        if left <= 0:
            self._lose(ConnectionLost(f"the server did not answer within {self._answer_timeout:g} s"))
        else:
            self._watch = self._loop.call_later(left, self._look_for_late_answers)

    # Receiving

    async def receive(self) -> Message:
        """Wait for a message. It must be answered with `Message.ack` or `Message.reject`.

        Raises:
            ConnectionLost: the connection is gone, and messages that were not taken with it: their senders were told.
            ProtocolError: the server and the library do not understand each other.
        """
        while self._lost is None:
            if self._untaken:
                message = self._untaken.popleft()
                if len(self._untaken) < _WAITING_MESSAGES:
                    self._receiving.read(True)
                return message
            self._arrived.clear()
            await self._arrived.wait()
        raise self._lost

    async def __aiter__(self) -> AsyncIterator[Message]:
        """The messages as they come, each acknowledged when the next one is taken; ends when the client is closed."""
        while not self._closed:
            try:
                message = await self.receive()
            except ConnectionLost:
                if self._closed:
                    return
                raise
            yield message
            if not self._closed:
                await message.ack()

    def _take_forward(self, frame: Frame) -> None:
        head, body = frame
        if head.verb is Verb.FORWARD:
            message = Message(head.name, body, self._answer_messages)
            self._unsettled.append(message)
            self._untaken.append(message)
            if len(self._untaken) >= _WAITING_MESSAGES:
                self._receiving.read(False)
            self._arrived.set()
        elif head.verb is Verb.ERROR:
            self._lose(self._error(head))
        else:
            self._receiving.write(HEADER_INCOMPLETE)
            self._lose(ProtocolError("the server sent something else than a message"))

    async def _answer_messages(self) -> None:
        """Answer the messages that were decided on, as far as their turn has come (rule 6.3)."""
        if self._lost is not None:
            raise self._lost
        while self._unsettled and (answer := self._unsettled[0].answer) is not None:
            self._unsettled.popleft()
            self._receiving.write(answer)
        await self._receiving.drain()

    # Leaving

    def _on_lost(self, reason: str) -> None:
        self._lose(ConnectionLost(reason))

    def _lose(self, error: TwotickError) -> None:
        """The client is no longer of use: tell everyone who waits why."""
        if self._lost is not None:
            return
        self._lost = error
        if self._watch is not None:
            self._watch.cancel()
        for sent in self._unanswered:
            self._slots.release()
            if not sent.answered.done():
                sent.answered.set_exception(error)
        self._unanswered.clear()
        self._arrived.set()
        for link in self._links:
            link.shut()

    async def close(self) -> None:
        """Leave. The name is free afterwards; whoever sent a message that is not answered is told that it failed."""
        self._closed = True
        self._lose(ConnectionLost("the client was closed"))
        for link in self._links:
            link.shut()
            await link.closed()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


@contextlib.asynccontextmanager
async def connect(
    name: str,
    server: str = DEFAULT_SERVER,
    *,
    window: int = 1,
    max_body: int = 1 << 20,
    timeout: float = 10.0,
    answer_timeout: float = 60.0,
) -> AsyncGenerator[Client, None]:
    """Be a user for a while: `async with twotick.connect("alice") as me:`.

    Args:
        name: the user's name, 1 to 32 letters and digits (rule 4.1).
        server: `HOST:PORT`.
        window: how many messages the server may send before the first is answered; more than one also lets sends
            overlap. A server of another make has a window of one.
        max_body: the longest body that the server accepts, in bytes.
        timeout: seconds in which the server must accept us.
        answer_timeout: seconds in which it must answer a send; longer than the server gives the recipient, which is 30.

    Returns:
        A context manager for the registered client, which leaves at the end.

    Raises:
        MalformedName: nobody can have that name.
        NameTaken: somebody else has it.
        ServerUnreachable: there is no server, or it does not answer.
        ProtocolError: it does not speak this protocol.
        ValueError: `server` is not an address.
    """
    if not is_name(name.encode(errors="replace")):
        raise MalformedName(f"{name!r} cannot be a name: take 1 to 32 letters and digits, and no word of the protocol")
    async with Client(name, parse_server(server), max_body, answer_timeout) as client:
        try:
            async with asyncio.timeout(timeout):
                await client.open(window)
        except TimeoutError as error:
            raise ServerUnreachable(f"the server at {server} does not answer") from error
        yield client


def send(recipient: str, body: str | bytes, *, sender: str, server: str = DEFAULT_SERVER) -> Receipt:
    """Send one message from a program that is not asynchronous: connect, send, wait for the answer, leave.

    Args:
        recipient: a user's name, or `ALL` for everyone.
        body: the message; text is sent as UTF-8.
        sender: the name under which to send.
        server: `HOST:PORT`.

    Returns:
        A receipt: the recipient has acknowledged the message.

    Raises:
        TwotickError: as `connect` and `Client.send` do.
    """

    async def connect_and_send() -> Receipt:
        async with connect(sender, server) as me:
            return await me.send(recipient, body)

    return asyncio.run(connect_and_send())
