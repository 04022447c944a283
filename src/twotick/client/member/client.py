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
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, Unpack

from twotick.client.errors import (
    ConnectionLost,
    NotDelivered,
    ProtocolError,
    RequestRefused,
    TooManyRequests,
    TwotickError,
)
from twotick.client.member.conversations import ConversationMethods
from twotick.client.member.devices import DeviceMethods
from twotick.client.member.events import (
    Decision,
    Entry,
    ProgressEvent,
    ReadEvent,
    ReceiptEvent,
    State,
    StatusEvent,
    TypingEvent,
    as_text,
    failure,
    number,
)
from twotick.client.member.files import FileMethods
from twotick.client.member.inbox import Inbox
from twotick.client.member.limits import MemberLimits
from twotick.client.member.messages import MemberMessage
from twotick.client.member.outbox import Outbox
from twotick.client.member.pending_requests import ANSWERS, Questions
from twotick.client.member.presence import PresenceMethods, status_of, statuses
from twotick.client.member.receipts import MemberReceipt, Outcome
from twotick.client.member.reconnecting import Lifeline, error_of
from twotick.client.member.request import Answer, identifier
from twotick.client.member.rooms import RoomMethods
from twotick.client.member.send_headers import SendOptions, header_lines
from twotick.client.member.sender import Sender, ended
from twotick.client.trust.known_servers import KnownServers, Trust
from twotick.wire import Frame, Head, Side, Verb, frame, is_name, is_room, register

_PEERS_READ = 1024
"""Users and rooms of which it is remembered up to where their messages were read, to say so again."""

_LONGEST_REACTION = 64
"""Bytes of UTF-8 (rule 13.1)."""

_OUTCOMES = {Verb.ACCEPTED: State.ACCEPTED, Verb.SENT: State.DELIVERED, Verb.READ: State.READ, Verb.ERROR: State.FAILED}

_LOOK = b"look"
"""The Id of the question that the client asks by itself."""

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


class MemberClient(RoomMethods, ConversationMethods, PresenceMethods, FileMethods, DeviceMethods):
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
        super().__init__()
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
        self._read: OrderedDict[bytes, int] = OrderedDict()  # up to where, by sender or room
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
        if self._watches:
            self._look_again()
        self._sender.opened(number(head, b"max-body"), same_log)

    def owed(self) -> float:
        """Since when the server owes an answer."""
        return min((since for since in (self._sender.owed(), self._questions.owed()) if since), default=0.0)

    def lost(self, problem: TwotickError) -> None:
        """The connection is gone."""
        self._inbox.lost()
        self._questions.lost(problem)
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
        """A frame came (sections 10 to 17)."""
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
            case Verb.STATUS if head.name:
                self._hear(StatusEvent(self, head.name, *status_of(head)), head)
            case Verb.TYPING if head.name:
                self._hear(TypingEvent(self, head.name, as_text(head.headers.get(b"to", b""))), head)
            case verb if verb in ANSWERS:
                self._questions.take(head, body)
            case Verb.ERROR if head.code in _REFUSALS and not seq and self._questions.expects(head):
                self._questions.take(head, body)
            case Verb.SENT if b"have" in head.headers and b"id" in head.headers:
                self._take_progress(head)
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
        self._sender.outcome(
            Outcome(
                ident,
                as_text(head.name),
                state,
                0 if is_entry else seq,
                error,
                number(head, b"place"),
                number(head, b"members"),
            )
        )
        if is_entry:
            event = ReceiptEvent(self, seq, head.name, ident, state, str(error or ""))
            if self._sender.is_ours(ident):
                event.decision = Decision.TAKEN
            else:
                self._inbox.forget((Verb.SENT, ident))
            self._take_entry(event)

    def _take_progress(self, head: Head) -> None:
        """The server says how many members of a room have a message (rule 12.6)."""
        ident = as_text(head.headers[b"id"])
        have, of = number(head, b"have"), number(head, b"of")
        self._sender.progress(ident, have, of)
        if not self._sender.is_ours(ident) and self._registration.side is Side.DUPLEX:
            self._inbox.hear(ProgressEvent(self, head.name, ident, have, of), (Verb.SENT, ident))

    def _hear(self, news: Entry, head: Head) -> None:
        """Something came that is no entry."""
        if self._registration.side is Side.SENDING:
            raise ProtocolError("the server sent what only a device should get")
        self._inbox.hear(news, (head.verb, head.name, head.headers.get(b"to")))

    def _look_again(self) -> None:
        """Tell the new connection what the one before was told of presence, and the program what has changed."""
        state = None if self._presence is None else self._presence.value.encode()
        answer = self._questions.ask(frame(Verb.STATUS, state=state, id=_LOOK), _LOOK)
        answer.add_done_callback(self._seen_again)

    def _seen_again(self, answer: "asyncio.Future[list[Frame]]") -> None:
        if answer.cancelled() or answer.exception() is not None:
            return  # refused as it will be when the program asks, or the client has ended
        ((head, body),) = answer.result()
        try:
            users = statuses(Answer(head, body, [])).users
        except ProtocolError as error:
            self._lifeline.end(error)
            return
        for each in users:
            name = each.name.encode()
            self._inbox.hear(StatusEvent(self, name, each.state, each.since), (Verb.STATUS, name, None))

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

    async def send(self, recipient: str, body: str | bytes, **options: Unpack[SendOptions]) -> MemberReceipt:
        """Send a message, and wait until the server has it on disk, or, if it is for a guest, until it is delivered.

        While the connection is away it waits in the outbox. To cancel the call is safe: a message that was not sent is
        taken out of the outbox; one that was sent will arrive, or not, once.

        Args:
            recipient: a user's name, a room's, or `ALL` for everyone.
            body: the message; text is sent as UTF-8.
            **options: what else is to be said about it; see `SendOptions`.

        Returns:
            A receipt, which tells what becomes of the message later.

        Raises:
            NotDelivered: the recipient does not have it, and will not get it.
            OutboxError: the disk does not take it; it is not sent.
            TwotickError: the client has ended. A message in an outbox on disk goes out when it is opened again.
            ValueError: a header cannot be written like that.
        """
        receipt = await self.queue(recipient, body, **options)
        try:
            return await receipt.accepted()
        except asyncio.CancelledError:
            self._sender.withdraw(receipt)
            raise

    async def queue(self, recipient: str, body: str | bytes, **options: Unpack[SendOptions]) -> MemberReceipt:
        """Put a message into the outbox, from where it is sent; like `send`, but do not wait for the server.

        Args:
            recipient: see `send`.
            body: see `send`.
            **options: see `send`.

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
        if not is_name(name) and not is_room(name) and name.upper() != b"ALL":
            raise NotDelivered(f"nobody can have the name {recipient!r}")
        expires, ident = options.get("expires"), options.get("id")
        if expires is not None and not 0 < expires < 1e10:
            raise ValueError(f"a message cannot expire after {expires} s")
        if ident is not None:
            identifier(ident)
        lines = header_lines(options)
        content = body.encode() if isinstance(body, str) else body
        return await self._sender.queue(recipient, content, lines, expires, ident)

    async def edit(self, recipient: str, ident: str, text: str) -> MemberReceipt:
        """Give an earlier message of one's own another text (rule 13.1). Waits like `send`.

        Args:
            recipient: whom the message was sent to: a user or a room.
            ident: its Id.
            text: the new text.

        Raises:
            NotDelivered: there is no such message.
            TwotickError: as for `send`.
        """
        return await self.send(recipient, text, edits=ident)

    async def delete(self, recipient: str, ident: str, sender: str | None = None) -> MemberReceipt:
        """Delete an earlier message: its text and its file are removed from the server (rule 13.3). Waits like `send`.

        Args:
            recipient: whom the message was sent to: a user or a room.
            ident: its Id.
            sender: who sent it; None for oneself. Others' messages can be deleted in a room, by its moderators.

        Raises:
            NotDelivered: there is no such message, or one may not do that.
            TwotickError: as for `send`.
        """
        return await self.send(recipient, "", deletes=(sender or "", ident))

    async def react(self, recipient: str, ident: str, text: str, sender: str | None = None) -> MemberReceipt:
        """React to an earlier message (rule 13.1). Waits like `send`.

        Args:
            recipient: the conversation: a user or a room.
            ident: the Id of the message.
            text: at most 64 bytes of UTF-8, such as an emoji; empty to take the reaction back.
            sender: who sent the message; None for oneself.

        Raises:
            NotDelivered: there is no such message.
            TwotickError: as for `send`.
            ValueError: that is too long.
        """
        if len(text.encode(errors="replace")) > _LONGEST_REACTION:
            raise ValueError(f"a reaction has at most {_LONGEST_REACTION} bytes")
        return await self.send(recipient, text, reacts_to=(sender or "", ident))

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
        """Wait for a message. What else comes before it is acknowledged and left out; `entries` gives that as well.

        Left out are edits, deletions and reactions (rule 13.1) and what happens in rooms (rule 12.8).

        Returns:
            The message, which must be decided on with `ack`, `reject` or `read`: what comes after it is acknowledged
            only then, and no more than `window` entries come before that.

        Raises:
            TwotickError: the client has ended.
        """
        while True:
            entry = await self._next()
            if isinstance(entry, MemberMessage) and entry.is_news:
                return entry
            await entry.ack()

    async def entries(self) -> AsyncGenerator[Entry, None]:
        """All that comes, each acknowledged when the next one is taken; ends when the client is closed.

        These are messages that come, messages from the member's other devices (`MemberMessage.outgoing`), changes of
        earlier messages, what happens in rooms (`MemberMessage.event`), what became of messages that this client has
        not sent (`ReceiptEvent`, `ProgressEvent`), what was read on other devices (`ReadEvent`), and, once `status` was
        asked for, who is here and who types (`StatusEvent`, `TypingEvent`).

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
        """The messages as they come, each acknowledged when the next one is taken; ends when the client is closed.

        What `receive` leaves out is left out.
        """
        async with contextlib.aclosing(self.entries()) as entries:
            async for entry in entries:
                if isinstance(entry, MemberMessage) and entry.is_news:
                    yield entry

    async def decided(self, entry: Entry) -> None:
        """The program has decided on an entry; see `Entry.ack`."""
        if not entry.seq:
            return
        self._check()
        self._lifeline.write(self._inbox.answers())
        await self._lifeline.drain()

    async def mark_read(self, sender: str, seq: int) -> None:
        """Say that the member has read what came from a user, or in a room, up to one message (rules 11.8 and 12.9).

        See `MemberMessage.read`. Does nothing if that was said before. While the connection is away it is told later.

        Args:
            sender: the user, or the room.
            seq: the number of the last message that was read, in the log.

        Raises:
            TwotickError: the client has ended.
        """
        self._check()
        name = sender.encode(errors="replace")
        key = name.lower()
        if not (is_name(name) or is_room(name)) or seq <= self._read.get(key, 0):
            return
        self._read[key] = seq
        self._read.move_to_end(key)
        if len(self._read) > _PEERS_READ:
            self._read.popitem(last=False)
        self._lifeline.write(frame(Verb.READ, name, seq=seq))
        await self._lifeline.drain()

    # Questions

    async def _send_question(self, request: bytes, ident: bytes, *, once: bool, duplex: bool) -> list[Frame]:
        self._check(duplex)
        answer = self._questions.ask(request, ident, once=once)
        self._lifeline.watch()
        return await answer

    def _say(self, data: bytes) -> None:
        self._check()
        self._lifeline.write(data)

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
