"""The client for guests: connect, send and get a receipt, receive and acknowledge.

Theory of operation. A guest has two links, one to send on and one to receive on. The server answers SENDs in their
order, so each send waits in `_unanswered` for its turn. A send that is cancelled keeps its place there, because its
answer still comes. A server other than Twotick may not cope with a second SEND before the first is answered. The client
therefore sends one message at a time unless the server has granted a window, which only Twotick does.

The client answers received messages in the order in which they came, in whatever order the program decides on them. If
one of the links is lost, the client ends: every call that waits for an answer or a message raises the reason.
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
    NOT_THIS_PROTOCOL,
    ConnectionLost,
    MalformedName,
    NameTaken,
    NotDelivered,
    NotRegistered,
    ProtocolError,
    ServerUnreachable,
    TwotickError,
    delivery_failure,
    name_failure,
)
from twotick.client.finding import Route, Ways
from twotick.client.link import LONGEST_BODY, Link
from twotick.client.trust.known_servers import KnownServers, Trust
from twotick.client.visible import reason_of
from twotick.wire import HEADER_INCOMPLETE, Frame, Head, HeadCache, Side, Verb, is_name, is_room, received, register
from twotick.wire import send as send_frame

_PIPELINED_SENDS = 512
"""How many SENDs may be unanswered at once. A server accepts more (rule 5.8), so it never stops reading."""

_WAITING_MESSAGES = 256
"""How many messages may wait for the program before the client stops reading. No server grants a larger window."""

_WAITING_BYTES = 64 << 20
"""With how many bytes of bodies that wait for the program the client stops reading."""

_WINDOW_DIGITS = 10
"""The most digits of a window (rule 6.1)."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof that the recipient has acknowledged a message.

    Attributes:
        recipient: the user who has it, or `ALL`.
        seconds: the time in seconds between the send and the answer.
    """

    recipient: str
    seconds: float


class Message:
    """A message that a guest has received.

    The program acknowledges it with `ack`. A program that iterates over the client acknowledges each message by taking
    the next one.

    Attributes:
        sender: the name of the user who sent it.
        body: its content.
    """

    __slots__ = ("_answer_due", "_raw_sender", "answer", "body")

    def __init__(self, sender: bytes, body: bytes, answer_due: Callable[[], Awaitable[None]]) -> None:
        self._raw_sender = sender
        self._answer_due = answer_due
        self.answer: bytes | None = None  # the frame that answers it; None until the program decides
        self.body = body

    def __repr__(self) -> str:
        return f"Message(sender={self.sender!r}, body={self.body!r})"

    @property
    def sender(self) -> str:
        """The name of the user who sent the message."""
        return self._raw_sender.decode("ascii", "backslashreplace")

    @property
    def text(self) -> str:
        """The body as text. Bytes that are not UTF-8 appear as U+FFFD."""
        return self.body.decode("utf-8", "replace")

    async def ack(self) -> None:
        """Acknowledge the message: the sender learns that it has arrived (rule 5.3).

        Does nothing if the message is acknowledged or rejected already.

        Raises:
            ConnectionLost: the connection is gone, and the sender was told that the message was not delivered.
        """
        await self._decide(received(self._raw_sender))

    async def reject(self) -> None:
        """Reject the message: the sender learns that it was not delivered (rule 7.2).

        Does nothing if the message is acknowledged or rejected already.

        Raises:
            ConnectionLost: the connection is gone, and the sender was told that the message was not delivered.
        """
        await self._decide(HEADER_INCOMPLETE)

    async def _decide(self, answer: bytes) -> None:
        if self.answer is None:
            self.answer = answer
            await self._answer_due()


class _PendingSend:
    """A SEND that the server has not answered yet.

    Attributes:
        recipient: the recipient, as given by the program.
        time: when it was sent, in seconds on the monotonic clock. The event loop's clock may be too coarse.
        answered: receives the receipt, or the error.
    """

    __slots__ = ("answered", "recipient", "time")

    def __init__(self, recipient: str, now: float) -> None:
        self.recipient = recipient
        self.time = now
        self.answered: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()


class Client:
    """A guest who is registered at a server. Use `connect` to make one.

    Iterate over it to receive messages: each is acknowledged when the program takes the next one.

    Attributes:
        name: the user's name.
        window: how many messages the server sends before it waits for the answer to the first.
        route: how the server was reached; None before that.
    """

    def __init__(self, name: str, ways: Ways, max_body: int, answer_timeout: float, known: KnownServers) -> None:
        self.name = name
        self.window = 1
        self._ways = ways
        self._known = known
        self.route: Route | None = None  # how the first connection reached the server
        self._max_body = max_body
        self._answer_timeout = answer_timeout
        self._loop = asyncio.get_running_loop()
        self._cache = HeadCache(LONGEST_BODY)
        self._error: TwotickError | None = None
        self._closed = False
        self._unanswered: deque[_PendingSend] = deque()
        self._slots = asyncio.Semaphore(1)
        self._timer: asyncio.TimerHandle | None = None
        self._unsettled: deque[Message] = deque()  # in the order in which they must be answered
        self._untaken: deque[Message] = deque()
        self._untaken_bytes = 0
        self._arrived = asyncio.Event()
        self._links: list[Link] = []
        self._knows_reasons = False  # whether the server has given a Reason
        self._sending: Link
        self._receiving: Link

    @property
    def trust(self) -> Trust | None:
        """Why the server is trusted; None if the connection is not encrypted."""
        return self._sending.trust

    # Connecting

    async def open(self, window: int) -> None:
        """Connect and register both sides. Called by `connect`.

        Args:
            window: how many messages the server may send before it waits for the answer to the first.

        Raises:
            TwotickError: the server cannot be reached, or refuses the registration.
        """
        await self._register_sending()
        await self._register_receiving(window)
        for link in (self._sending, self._receiving):
            link.on_lost = self._on_lost
            if link.lost is not None:
                self._on_lost(link.lost)
        if self._error is not None:
            raise self._error
        if self.window > 1:
            self._slots = asyncio.Semaphore(_PIPELINED_SENDS)

    async def _register_sending(self) -> None:
        """Register the sending side, without asking for reasons if the server does not know them (rule 7.5)."""
        try:
            await self._register(Side.SENDING, None, reasons=True)
        except (NameTaken, NotRegistered, ProtocolError, ConnectionLost) as error:
            if isinstance(error, ServerUnreachable) or self._knows_reasons:
                raise
            await self._register(Side.SENDING, None)

    async def _register_receiving(self, window: int) -> None:
        """Register the receiving side, without a window if the server does not know windows (rule 6.4)."""
        if window > 1:
            with contextlib.suppress(NameTaken, NotRegistered, ProtocolError, ConnectionLost):
                await self._register(Side.RECEIVING, window)
                return
        await self._register(Side.RECEIVING, None)

    async def _register(self, side: Side, window: int | None, *, reasons: bool = False) -> None:
        """Open a link and register one side on it."""
        answer: asyncio.Future[Head] = self._loop.create_future()

        def on_frame(frame: Frame) -> None:
            head, _ = frame
            if answer.done():
                return  # the registration was refused; later frames do not matter
            if head.verb is Verb.REGISTERED and head.side is side:
                link.on_frame = self._take_answer if side is Side.SENDING else self._take_forward
            answer.set_result(head)

        def on_lost(reason: str) -> None:
            if not answer.done():
                answer.set_exception(ConnectionLost(reason))

        link = await Link.open(self._ways, self._cache, on_frame, on_lost, self._known, route=self.route)
        self.route = link.route
        self._links.append(link)
        if side is Side.SENDING:
            self._sending = link
        else:
            self._receiving = link
        keep_alive, asked = None if window is None else b"yes", b"yes" if reasons else None
        link.write(register(side, self.name.encode(), window, keep_alive=keep_alive, reasons=asked))
        head = await answer
        echoed = b"reasons" in head.headers  # a server that takes the header for a part of the name
        if head.verb is not Verb.REGISTERED or head.side is not side or echoed:
            link.shut()
            raise self._error_of(head)
        granted = head.headers.get(b"window", b"")
        if window is not None and len(granted) <= _WINDOW_DIGITS and granted.isdigit() and int(granted) > 1:
            self.window = int(granted)
        link.keep_alive(head)

    def _error_of(self, head: Head) -> TwotickError:
        """Return the exception for an ERROR frame, or for any other frame that does not belong where it came."""
        reason = reason_of(head)
        self._knows_reasons = self._knows_reasons or bool(reason)
        match head.code:
            case 100:
                return name_failure(self.name, reason)
            case 101:
                return NotRegistered("the server says that this client is not registered: connect again")
            case 102:
                return delivery_failure(reason)
            case 103:
                why = "the server did not understand what we sent (is the message too large for it?)"
                return ProtocolError(reason or why)
            case _:
                return ProtocolError(NOT_THIS_PROTOCOL)

    # Sending

    async def send(self, recipient: str, body: str | bytes) -> Receipt:
        """Send a message and wait until the server says whether it arrived (rules 5.4 and 5.7).

        The call can be cancelled safely: a message that was not written yet is not sent, and an answer that comes after
        the cancellation is not mistaken for the answer to another message.

        Args:
            recipient: a user's name, or `ALL` for every user.
            body: the message. Text is sent as UTF-8.

        Returns:
            The receipt: the recipient has acknowledged the message, or with `ALL` every recipient has.

        Raises:
            NotDelivered: the recipient did not get the message.
            ConnectionLost: the connection was lost; the message may or may not have arrived.
            ProtocolError: the server and the client do not understand each other.
        """
        data = body.encode() if isinstance(body, str) else body
        name = recipient.encode(errors="replace")
        if is_room(name):
            raise NotDelivered("rooms are for members, and you are a guest")
        if not is_name(name) and name.upper() != b"ALL":
            raise NotDelivered(f"{recipient!r} is not a valid name")
        if len(data) > self._max_body:
            raise NotDelivered(f"the message has {len(data)} bytes, and {self._max_body} is the limit")
        await self._slots.acquire()
        if self._error is not None:
            self._slots.release()
            raise self._error
        sent = _PendingSend(recipient, time.monotonic())
        self._unanswered.append(sent)
        self._sending.write(send_frame(name, data))
        if self._timer is None:
            self._timer = self._loop.call_later(self._answer_timeout, self._check_answer_timeout)
        return await sent.answered

    def _take_answer(self, frame: Frame) -> None:
        """Handle a frame on the sending link: it answers the oldest unanswered SEND (rule 5.5)."""
        head, _ = frame
        delivered = head.verb in (Verb.SENT, Verb.SEND)  # a body, if there is one, has no meaning (rule 3.1)
        if not delivered and head.verb is not Verb.ERROR:
            self._fail(ProtocolError("the server sent something other than an answer to a message"))
        elif not self._unanswered:
            self._fail(self._error_of(head))
        elif delivered and head.name.upper() != self._unanswered[0].recipient.encode().upper():
            self._fail(ProtocolError("the server's answer is for another recipient"))
        else:
            self._settle(self._unanswered.popleft(), head, delivered)

    def _settle(self, sent: _PendingSend, head: Head, delivered: bool) -> None:
        self._slots.release()
        if not delivered and head.code != NotDelivered.code:
            self._fail(self._error_of(head))
        if sent.answered.done():  # the call was cancelled
            return
        if delivered:
            sent.answered.set_result(Receipt(sent.recipient, time.monotonic() - sent.time))
        else:
            sent.answered.set_exception(self._error_of(head))

    def _check_answer_timeout(self) -> None:
        """End the client if the oldest SEND has waited too long for its answer."""
        self._timer = None
        if not self._unanswered:
            return
        left = self._unanswered[0].time + self._answer_timeout - time.monotonic()
        if left <= 0:
            self._fail(ConnectionLost(f"the server did not answer within {self._answer_timeout:g} s"))
        else:
            self._timer = self._loop.call_later(left, self._check_answer_timeout)

    # Receiving

    async def receive(self) -> Message:
        """Wait for the next message.

        Returns:
            The message. Answer it with `Message.ack` or `Message.reject`.

        Raises:
            ConnectionLost: the connection was lost. The senders of messages that the program had not taken were told
                that these were not delivered.
            ProtocolError: the server and the client do not understand each other.
        """
        while self._error is None:
            if self._untaken:
                message = self._untaken.popleft()
                self._untaken_bytes -= len(message.body)
                if len(self._untaken) < _WAITING_MESSAGES and self._untaken_bytes < _WAITING_BYTES:
                    self._receiving.read(True)
                return message
            self._arrived.clear()
            await self._arrived.wait()
        raise self._error

    async def __aiter__(self) -> AsyncIterator[Message]:
        """Yield messages as they come, and acknowledge each when the next one is taken.

        The iteration ends when the client is closed.
        """
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
        """Handle a frame on the receiving link."""
        head, body = frame
        if head.verb is Verb.FORWARD:
            message = Message(head.name, body, self._answer_messages)
            self._unsettled.append(message)
            self._untaken.append(message)
            self._untaken_bytes += len(body)
            if len(self._untaken) >= _WAITING_MESSAGES or self._untaken_bytes >= _WAITING_BYTES:
                self._receiving.read(False)
            self._arrived.set()
        elif head.verb is Verb.ERROR:
            self._fail(self._error_of(head))
        else:
            self._receiving.write(HEADER_INCOMPLETE)
            self._fail(ProtocolError("the server sent something other than a message"))

    async def _answer_messages(self) -> None:
        """Answer the oldest messages, up to the first on which the program has not decided (rule 6.3)."""
        if self._error is not None:
            raise self._error
        while self._unsettled and (answer := self._unsettled[0].answer) is not None:
            self._unsettled.popleft()
            self._receiving.write(answer)
        await self._receiving.drain()

    # Leaving

    def _on_lost(self, reason: str) -> None:
        self._fail(ConnectionLost(reason))

    def _fail(self, error: TwotickError) -> None:
        """End the client: every call that waits raises `error`, and the links are closed."""
        if self._error is not None:
            return
        self._error = error
        if self._timer is not None:
            self._timer.cancel()
        for sent in self._unanswered:
            self._slots.release()
            if not sent.answered.done():
                sent.answered.set_exception(error)
        self._unanswered.clear()
        self._arrived.set()
        for link in self._links:
            link.shut()

    async def close(self) -> None:
        """Leave the server, and wait until the connections are closed.

        Afterwards the name is free. The senders of messages that were not answered are told that these were not
        delivered.
        """
        self._closed = True
        self._fail(ConnectionLost("the client was closed"))
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
    tls: bool | None = None,
    known_servers: KnownServers | None = None,
) -> AsyncGenerator[Client, None]:
    """Connect as a guest: `async with twotick.connect("alice") as me:`.

    Args:
        name: the user's name, 1 to 32 letters and digits (rule 4.1).
        server: the server's address, as `HOST:PORT`, or as `HOST` to find the port (rule 1.5). Of several addresses,
            separated by commas, the client takes one that answers.
        window: how many messages the server may send before it waits for the answer to the first (section 6). With more
            than one, the client also sends without waiting for earlier answers. Servers other than Twotick have no
            windows; with them the window is 1.
        max_body: the largest body that the server accepts, in bytes.
        timeout: how many seconds the server has to accept the registration.
        answer_timeout: how many seconds the server has to answer a send. It gives the recipient 30 s (rule 5.7), so
            this must be longer.
        tls: True to connect with TLS; False to allow connections without TLS, which others can read; None for TLS
            unless the server is on this machine.
        known_servers: the servers whose certificates are known; None for those of the user.

    Returns:
        An asynchronous context manager. It gives the registered client, and closes it at the end.

    Raises:
        MalformedName: the name is not well formed.
        NameTaken: another user has the name, or the server reserves it.
        ServerUnreachable: no server accepts connections at the address, or it does not answer.
        TrustError: the server's certificate is not trusted, or it does not speak TLS.
        ProtocolError: the server does not speak the Twotick protocol.
        ValueError: `server` is not an address.
    """
    if not is_name(name.encode(errors="replace")):
        raise MalformedName(f"{name!r} cannot be a name: use 1 to 32 letters and digits, but no word of the protocol")
    ways = Ways(parse_server(server).with_tls(tls))
    known = known_servers or KnownServers()
    tried = 0
    while True:
        tried += 1
        async with Client(name, ways, max_body, answer_timeout, known) as client:
            try:
                await _open(client, window, timeout if ways.count == 1 else timeout / 2)
            except ConnectionLost:
                if client.route is None or tried >= ways.count:
                    raise
                ways.failed(client.route)  # the server did not let this client in
                continue
            yield client
            return


async def _open(client: Client, window: int, timeout: float) -> None:
    """Connect and register a guest. Raises as `connect` does."""
    try:
        async with asyncio.timeout(timeout):
            await client.open(window)
    except TimeoutError as error:
        where = "" if client.route is None else f" at {client.route}"
        raise ServerUnreachable(f"the server{where} does not answer") from error


def send(
    recipient: str, body: str | bytes, *, sender: str, server: str = DEFAULT_SERVER, tls: bool | None = None
) -> Receipt:
    """Connect as a guest, send one message, wait for the answer, and leave. For programs without asyncio.

    Args:
        recipient: a user's name, or `ALL` for every user.
        body: the message. Text is sent as UTF-8.
        sender: the name under which to send.
        server: the server's address, as `HOST:PORT`, or as `HOST` to find the port (rule 1.5).
        tls: True to connect with TLS; False to allow a connection without TLS, which others can read; None for TLS
            unless the server is on this machine.

    Returns:
        The receipt: the recipient has acknowledged the message.

    Raises:
        MalformedName: the sender's name is not well formed.
        NameTaken: another user has the sender's name, or the server reserves it.
        ServerUnreachable: no server accepts connections at the address, or it does not answer.
        TrustError: the server's certificate is not trusted, or it does not speak TLS.
        NotDelivered: the recipient did not get the message.
        ConnectionLost: the connection was lost; the message may or may not have arrived.
        ProtocolError: the server and the client do not understand each other.
        ValueError: `server` is not an address.
    """

    async def connect_and_send() -> Receipt:
        async with connect(sender, server, tls=tls) as me:
            return await me.send(recipient, body)

    return asyncio.run(connect_and_send())
