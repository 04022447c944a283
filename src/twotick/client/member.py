"""The asyncio library for members: one connection that comes back, an outbox, receipts that go on.

Theory of operation. The lifeline (lifeline.py) connects again and again. On every connection, what must survive one is
written again: messages with the same Ids in the same order (sender.py, outbox.py), questions (questions.py), what was
read. What comes goes through the inbox (inbox.py), which knows what the program has seen and what may be acknowledged.

What becomes of messages that this client has sent goes to their receipts, as far as the program has kept these, and
is acknowledged at once: a program that only sends need not look at events. The Ids tell which these are, since all
that one client makes begin alike. What becomes of others is for the program to see.
"""

import asyncio
import contextlib
import json
import re
import secrets
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from twotick.client.entries import (
    Decision,
    DeviceInfo,
    Entry,
    MemberMessage,
    MemberReceipt,
    ReadEvent,
    ReceiptEvent,
    State,
    as_text,
    failure,
    number,
)
from twotick.client.errors import (
    ConnectionLost,
    NotDelivered,
    ProtocolError,
    RequestRefused,
    TooManyRequests,
    TwotickError,
)
from twotick.client.inbox import Inbox
from twotick.client.lifeline import Lifeline, error_of
from twotick.client.limits import MemberLimits
from twotick.client.outbox import Outbox
from twotick.client.questions import Questions
from twotick.client.sender import Sender, ended
from twotick.client.trust import KnownServers, Trust
from twotick.wire import Frame, Head, Side, Verb, frame, is_name, register

_LONGEST_HEADERS = 2048
"""Bytes of headers that may travel with a message (rule 9.7)."""

_EXPIRES = len("Expires: 9999999999\n")
"""What `Expires` takes of them."""

_PEERS_READ = 1024
"""Users of whom it is remembered up to where their messages were read, to say so again."""

_PAGE = 1000
"""The most messages in an answer to HISTORY (rule 11.9)."""

_DEVICE = re.compile(r"[A-Za-z0-9._/-]{1,64}")
_OWN_HEADER = re.compile(r"[Xx]-[A-Za-z0-9-]{1,64}")
_LINE = re.compile(r"[^\x00-\x1f\x7f]*")
_OUTCOMES = {Verb.ACCEPTED: State.ACCEPTED, Verb.SENT: State.DELIVERED, Verb.READ: State.READ, Verb.ERROR: State.FAILED}

_REFUSALS = (RequestRefused.code, TooManyRequests.code)
"""Errors that answer a question, and not the whole connection."""


@dataclass(frozen=True, slots=True)
class Registration:
    """What to register as.

    Attributes:
        side: DUPLEX for a device, SENDING to send only.
        authorization: the value of Authorization.
        device: the device's name; None for what the server says.
        sign_up: the value of Sign-up; None to sign in.
        window: how many entries the server may send before the first is acknowledged.
    """

    side: Side
    authorization: bytes
    device: bytes | None
    sign_up: bytes | None
    window: int


class MemberClient:
    """A member's device. Made by `join`.

    Attributes:
        name: the member's name.
        device: the device's name; empty until a server has said what it is.
        window: how many entries the server sends before the first is acknowledged.
        cursor: up to which number of the log the device had everything when it was connected last (rule 11.2).
    """

    def __init__(
        self,
        name: str,
        server: tuple[str, int],
        registration: Registration,
        known: KnownServers | None,
        on_connection: Callable[[TwotickError | None], None],
        limits: MemberLimits,
    ) -> None:
        self.name = name
        self.device = ""
        self.window = registration.window
        self.cursor = 0
        self._registration = registration
        self._lifeline = Lifeline(server, registration.side, known, limits, self, on_connection)
        self._inbox = Inbox(name.encode())
        self._outbox = Outbox(limits.outbox_messages, limits.outbox_bytes)
        self._sender = Sender(self._outbox, limits, self._lifeline.write, self._lifeline.watch, self._tell)
        self._questions = Questions(self._lifeline.write)
        self._read: OrderedDict[bytes, int] = OrderedDict()  # up to where, by sender
        self._joined = False  # whether there ever was a connection
        self._resumed = 0  # the Seq of the last REGISTER
        self._closed = False

    async def open(self, outbox: Path | None, wait_for_server: bool) -> None:
        """Take in the outbox and connect; see `join`."""
        if outbox is not None:
            await self._outbox.open(outbox, self.name)
            self._sender.loaded()
        await self._lifeline.open(wait_for_server)

    @property
    def connected(self) -> bool:
        """Whether there is a connection at the moment."""
        return self._lifeline.connected

    @property
    def trust(self) -> Trust | None:
        """Why the server is trusted; None if the connection is not encrypted, or there was none yet."""
        return self._lifeline.trust

    @property
    def max_body(self) -> int:
        """The longest body that the server takes, in bytes."""
        return self._sender.max_body

    def _check(self, duplex: bool = True) -> None:
        if duplex and self._registration.side is Side.SENDING:
            raise RuntimeError("this client only sends: join without send_only")
        if self._lifeline.error is not None:
            raise self._lifeline.error

    # What the lifeline asks and tells

    def register(self) -> bytes:
        """Ask to be let in, with what we have (rules 9.1 and 11.5)."""
        who = self._registration
        duplex = who.side is Side.DUPLEX
        self._resumed = self._inbox.resume() if self._joined else 0
        return register(
            who.side,
            self.name.encode(),
            who.window if duplex else None,
            authorization=who.authorization,
            device=who.device,
            seq=self._resumed if duplex and self._joined else None,
            sign_up=None if self._joined else who.sign_up,
        )

    def registered(self, head: Head) -> None:
        """The server knows us: take up the work where it was."""
        duplex = self._registration.side is Side.DUPLEX
        if duplex and b"seq" not in head.headers:
            raise ProtocolError("the server does not say up to where this device has its messages")
        self.window = number(head, b"window") or 1
        self.device = as_text(head.headers.get(b"device", b""))
        self.cursor = number(head, b"seq")
        same_log = self._inbox.opened(self.cursor, self._resumed, self.window)
        if not same_log:
            self._read.clear()
        self._joined = True
        for name, seq in self._read.items():
            self._lifeline.write(frame(Verb.READ, name, seq=seq))
        self._questions.opened()
        self._sender.opened(number(head, b"max-body"), same_log)

    def owed(self) -> float:
        """Since when the server owes an answer."""
        return min((since for since in (self._sender.owed(), self._questions.owed()) if since), default=0.0)

    def lost(self, problem: TwotickError) -> None:
        """The connection is gone."""
        self._inbox.lost()
        self._questions.lost()
        self._sender.lost()
        if self._registration.side is Side.SENDING:
            self._sender.forget_accepted(
                ConnectionLost(f"{problem}; the message was accepted, but what becomes of it is told to devices only")
            )

    def ended(self, error: Exception) -> None:
        """There will be no connection any more: tell everyone who waits why."""
        self._sender.end(ended(error))
        self._questions.end(error)
        self._inbox.arrived.set()

    def take(self, head: Head, body: bytes) -> None:
        """A frame came (sections 10 and 11)."""
        seq = number(head, b"seq")
        match head.verb:
            case Verb.FORWARD if b"history" in head.headers:
                self._questions.take_part(head, body)
            case Verb.FORWARD if seq:
                message = MemberMessage(self, seq, head, body, self.name)
                if message.outgoing:
                    self._sender.place(message.id, 0, seq)
                self._take_entry(message)
            case Verb.READ if seq and b"up-to" in head.headers:
                self._take_entry(ReadEvent(self, seq, head.name, number(head, b"up-to")))
            case Verb.HISTORY | Verb.DEVICES | Verb.TOKEN | Verb.REVOKED:
                self._questions.take(head, body)
            case Verb.ERROR if head.code in _REFUSALS and not seq and self._questions.expects(head):
                self._questions.take(head, body)
            case Verb.ACCEPTED | Verb.SENT | Verb.READ | Verb.ERROR if b"id" in head.headers:
                self._take_outcome(head, seq)
            case _:
                raise error_of(head)

    def _take_outcome(self, head: Head, seq: int) -> None:
        """The server says what became of a message: in answer to its SEND, or as an entry of the log."""
        ident = as_text(head.headers[b"id"])
        state = _OUTCOMES[head.verb]
        error: TwotickError | None = None
        if state is State.FAILED:
            error = failure(head) if head.code == NotDelivered.code else error_of(head)
        is_entry = seq > 0 and state is not State.ACCEPTED
        self._sender.outcome(ident, as_text(head.name), state, 0 if is_entry else seq, error)
        if is_entry:
            event = ReceiptEvent(self, seq, head.name, ident, state, str(error or ""))
            if self._sender.is_ours(ident):
                event.decision = Decision.TAKEN
            self._take_entry(event)

    def _take_entry(self, entry: Entry) -> None:
        if self._registration.side is Side.SENDING:
            raise ProtocolError("the server sent what only a device should get")
        self._lifeline.write(self._inbox.arrive(entry))

    def _tell(self, receipt: MemberReceipt, error: TwotickError | None) -> None:
        """Let the program know what became of a message that was in the outbox before this client was made."""
        if self._registration.side is Side.DUPLEX:
            name = receipt.recipient.encode()
            self._inbox.arrive(ReceiptEvent(self, 0, name, receipt.id, receipt.state, str(error or "")))

    # Sending

    async def send(
        self,
        recipient: str,
        body: str | bytes,
        *,
        expires: float | None = None,
        content_type: str | None = None,
        reply_to: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> MemberReceipt:
        """Send a message, and wait until the server has it on disk, or, if it is for a guest, until it is delivered.

        While the connection is away it waits in the outbox. To cancel the call is safe: a message that was not sent is
        taken out of the outbox; one that was sent will arrive, or not, once.

        Args:
            recipient: a user's name, or `ALL` for everyone.
            body: the message; text is sent as UTF-8.
            expires: seconds after which nobody wants it any more (rule 11.10); None for never.
            content_type: what the body is; None for text.
            reply_to: the Id of the message that it answers.
            headers: further headers, whose names start with `X-`, for the recipient's program.

        Returns:
            A receipt, which tells what becomes of the message later.

        Raises:
            NotDelivered: the recipient does not have it, and will not get it.
            OutboxError: the disk does not take it; it is not sent.
            TwotickError: the client has ended. A message in an outbox on disk goes out when it is opened again.
            ValueError: a header cannot be written like that.
        """
        receipt = await self.queue(
            recipient, body, expires=expires, content_type=content_type, reply_to=reply_to, headers=headers
        )
        try:
            return await receipt.accepted()
        except asyncio.CancelledError:
            self._sender.withdraw(receipt)
            raise

    async def queue(
        self,
        recipient: str,
        body: str | bytes,
        *,
        expires: float | None = None,
        content_type: str | None = None,
        reply_to: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> MemberReceipt:
        """Put a message into the outbox, from where it is sent; like `send`, but do not wait for the server.

        Args:
            recipient: see `send`.
            body: see `send`.
            expires: see `send`.
            content_type: see `send`.
            reply_to: see `send`.
            headers: see `send`.

        Returns:
            A receipt, which tells what becomes of the message. If the outbox is on disk, the message is there.

        Raises:
            NotDelivered: nobody can get that.
            OutboxError: the disk does not take it; it is not sent.
            TwotickError: the client has ended.
            ValueError: a header cannot be written like that.
        """
        self._check(duplex=False)
        name = recipient.encode(errors="replace")
        if not is_name(name) and name.upper() != b"ALL":
            raise NotDelivered(f"nobody can have the name {recipient!r}")
        if expires is not None and not 0 < expires < 1e10:
            raise ValueError(f"a message cannot expire after {expires} s")
        lines = _header_lines(content_type, reply_to, headers or {})
        if len(lines) > _LONGEST_HEADERS - _EXPIRES:
            raise NotDelivered(f"the headers have {len(lines)} bytes, and {_LONGEST_HEADERS - _EXPIRES} is the limit")
        return await self._sender.queue(recipient, body.encode() if isinstance(body, str) else body, lines, expires)

    @property
    def outbox(self) -> list[MemberReceipt]:
        """The receipts of the messages that the server has not accepted yet, in the order of the sends."""
        return [item.receipt for item in self._outbox.items.values()]

    # Receiving

    async def _next(self) -> Entry:
        while True:
            self._check()
            if (entry := self._inbox.take()) is not None:
                return entry
            self._inbox.arrived.clear()
            await self._inbox.arrived.wait()

    async def receive(self) -> MemberMessage:
        """Wait for a message. Other entries that come before it are acknowledged and left out.

        Returns:
            The message, which must be decided on with `ack`, `reject` or `read`: what comes after it is acknowledged
            only then, and no more than `window` entries come before that.

        Raises:
            TwotickError: the client has ended.
        """
        while True:
            entry = await self._next()
            if isinstance(entry, MemberMessage):
                return entry
            await entry.ack()

    async def entries(self) -> AsyncGenerator[Entry, None]:
        """All that comes, each acknowledged when the next one is taken; ends when the client is closed.

        These are messages that come, messages from the member's other devices (`MemberMessage.outgoing`), what became
        of messages that this client has not sent (`ReceiptEvent`), and what was read on other devices (`ReadEvent`).

        Raises:
            TwotickError: the client has ended otherwise than by `close`.
        """
        while True:
            try:
                entry = await self._next()
            except ConnectionLost:
                if self._closed:
                    return
                raise
            yield entry
            if not self._closed:
                await entry.ack()

    async def __aiter__(self) -> AsyncGenerator[MemberMessage, None]:
        """The messages as they come, each acknowledged when the next one is taken; ends when the client is closed."""
        async with contextlib.aclosing(self.entries()) as entries:
            async for entry in entries:
                if isinstance(entry, MemberMessage):
                    yield entry

    async def decided(self, entry: Entry) -> None:
        """The program has decided on an entry; see `Entry.ack`."""
        if not entry.seq:
            return
        self._check()
        self._lifeline.write(self._inbox.answers())
        await self._lifeline.drain()

    async def mark_read(self, sender: str, seq: int) -> None:
        """Say that the member has read the messages from a user, up to one (rule 11.8). See `MemberMessage.read`.

        Does nothing if that was said before. While the connection is away it is told later.

        Args:
            sender: the user.
            seq: the number of the last message that was read, in the log.

        Raises:
            TwotickError: the client has ended.
        """
        self._check()
        name = sender.encode(errors="replace")
        key = name.lower()
        if not is_name(name) or seq <= self._read.get(key, 0):
            return
        self._read[key] = seq
        self._read.move_to_end(key)
        if len(self._read) > _PEERS_READ:
            self._read.popitem(last=False)
        self._lifeline.write(frame(Verb.READ, name, seq=seq))
        await self._lifeline.drain()

    # Questions

    async def history(
        self, peer: str | None = None, *, before: int | None = None, limit: int = 50, since: datetime | None = None
    ) -> list[MemberMessage]:
        """Ask for messages of the past (rule 11.9). While the connection is away, wait for it.

        Args:
            peer: the user with whom they were exchanged; None for everybody.
            before: only those before this number of the log (`MemberMessage.seq`); None for the newest.
            limit: the most messages.
            since: only those from this time on.

        Returns:
            The messages, oldest first. They need not be acknowledged.

        Raises:
            RequestRefused: the server does not say.
            TwotickError: the client has ended.
        """
        name = (peer or "").encode(errors="replace")
        if name and not is_name(name):
            return []
        messages: list[MemberMessage] = []
        while len(messages) < limit:
            ident = secrets.token_hex(8).encode()
            request = frame(
                Verb.HISTORY,
                name,
                id=ident,
                before=before,
                limit=min(limit - len(messages), _PAGE),
                since=None if since is None else since.astimezone(UTC).isoformat(timespec="milliseconds").encode(),
            )
            *frames, _ = await self._ask(request, ident)
            page = [MemberMessage(self, number(head, b"seq"), head, body, self.name) for head, body in frames]
            for message in page:
                message.decision = Decision.TAKEN
            messages[:0] = page
            if not page or page[0].seq <= 1:
                break
            before = page[0].seq
        return messages

    async def devices(self) -> list[DeviceInfo]:
        """List the member's devices (rule 10.8). While the connection is away, wait for it.

        Raises:
            RequestRefused: the server does not say.
            ProtocolError: what it says makes no sense.
            TwotickError: the client has ended.
        """
        ((_, body),) = await self._ask(frame(Verb.DEVICES))
        try:
            found: Any = json.loads(body)
            if not isinstance(found, list):
                raise TypeError("not a list")  # noqa: TRY301 # like any other nonsense
            return [
                DeviceInfo(str(each["device"]), bool(each["connected"]), datetime.fromisoformat(each["seen"]))
                for each in cast(list[dict[str, Any]], found)
            ]
        except (ValueError, TypeError, KeyError) as error:
            raise ProtocolError("the server's list of devices makes no sense") from error

    async def new_token(self, device: str) -> str:
        """Make a token for a device; an older one of the same device no longer works (rule 10.8).

        Args:
            device: the device's name: 1 to 64 letters, digits, `.`, `_`, `-` and `/`.

        Returns:
            The token, for `join`.

        Raises:
            RequestRefused: the server does not make one, as when there are too many devices.
            TwotickError: the client has ended.
            ValueError: that cannot be a device's name.
        """
        ((head, _),) = await self._ask(frame(Verb.TOKEN, device_name(device)))
        return as_text(head.headers.get(b"token", b""))

    async def revoke(self, device: str) -> None:
        """Remove a device and those below it: their tokens no longer work, their connections close (rule 10.8).

        Args:
            device: the device's name. With one's own, this client ends with `Replaced`.

        Raises:
            RequestRefused: the server does not do it.
            TwotickError: the client has ended.
            ValueError: that cannot be a device's name.
        """
        await self._ask(frame(Verb.REVOKE, device_name(device)))

    async def _ask(self, request: bytes, ident: bytes = b"") -> list[Frame]:
        self._check()
        answer = self._questions.ask(request, ident)
        self._lifeline.watch()
        return await answer

    # Leaving

    async def close(self) -> None:
        """Leave. What waits in an outbox on disk goes out when it is opened again; other messages are not sent.

        Raises:
            OutboxError: the outbox on disk could not be brought up to date.
        """
        self._closed = True
        closing = asyncio.ensure_future(self._close())
        try:
            await asyncio.shield(closing)
        except asyncio.CancelledError:
            await asyncio.gather(closing, return_exceptions=True)  # or the outbox would stay in use
            raise

    async def _close(self) -> None:
        await self._lifeline.close(ConnectionLost("the client was closed"))
        await self._outbox.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def device_name(name: str) -> bytes:
    """Give a device's name as it is written in frames (rule 10.6).

    Raises:
        ValueError: no device can be called that.
    """
    if not _DEVICE.fullmatch(name):
        raise ValueError(f"{name!r} cannot be the name of a device")
    return name.encode()


def _header_lines(content_type: str | None, reply_to: str | None, headers: Mapping[str, str]) -> bytes:
    """The lines of the headers that travel with a message (rule 9.7)."""
    lines = b""
    for name in headers:
        if not _OWN_HEADER.fullmatch(name):
            raise ValueError(f"{name!r} cannot be the name of a header: it must start with X-")
    for name, value in (("Content-type", content_type), ("Reply-to", reply_to), *headers.items()):
        if value is not None:
            if not _LINE.fullmatch(value):
                raise ValueError(f"{value!r} cannot be the value of a header")
            lines += f"{name}: {value}\n".encode()
    return lines
