"""What a member gets to see: the entries of the log, and receipts that go on (docs/protocol.md, section 11)."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, IntEnum
from typing import Protocol, Self

from twotick.client.errors import NotDelivered, ProtocolError, TwotickError
from twotick.wire import Head


class State(IntEnum):
    """What is known of a message. The first four follow one another; `FAILED` may take the place of any later one."""

    QUEUED = 0
    """It waits in the outbox."""
    ACCEPTED = 1
    """The server has it on disk: it will arrive (rule 11.6)."""
    DELIVERED = 2
    """A device of the recipient has it."""
    READ = 3
    """The recipient has read it."""
    FAILED = 4
    """The recipient does not have it, and will not get it."""


class Decision(Enum):
    """What the program has said about an entry."""

    TAKEN = "taken"
    REFUSED = "refused"


class Owner(Protocol):
    """To whom entries report. That is the client."""

    async def decided(self, entry: "Entry") -> None:
        """The program has decided on an entry."""
        ...

    async def mark_read(self, sender: str, seq: int) -> None:
        """The program says that the messages from a user were read, up to one."""
        ...


class Entry:
    """An entry of the member's log.

    Attributes:
        seq: its number in the log; 0 for what is no entry, but known to this client only (see `ReceiptEvent`).
        name: the name in its frame.
        decision: what the program has said about it; None as long as it has not.
    """

    __slots__ = ("_owner", "decision", "name", "seq")

    def __init__(self, owner: Owner, seq: int, name: bytes) -> None:
        self._owner = owner
        self.seq = seq
        self.name = name
        self.decision: Decision | None = None

    async def ack(self) -> None:
        """Say that this device has the entry, which the server is told as soon as it has all before it (rule 11.3).

        Does nothing if that is decided already. While the connection is away it is told later.

        Raises:
            TwotickError: the client has ended.
        """
        await self._decide(Decision.TAKEN)

    async def _decide(self, decision: Decision) -> None:
        if self.decision is None:
            self.decision = decision
            await self._owner.decided(self)


class MemberMessage(Entry):
    """A message: one that came, one from another of the member's own devices, or one out of the history.

    Attributes:
        sender: who sent it.
        recipient: whom it is for; for a message that came, the member.
        outgoing: whether the member has sent it.
        body: the bytes of it.
        id: its Id; empty if it has none, as those of classic guests.
        state: what became of it, for one's own messages out of the history; None otherwise.
        fields: all its headers, by lower-case name.
    """

    __slots__ = ("body", "fields", "id", "outgoing", "recipient", "sender", "state")

    def __init__(self, owner: Owner, seq: int, head: Head, body: bytes, member: str) -> None:
        super().__init__(owner, seq, head.name)
        self.fields: Mapping[str, str] = {
            name.decode("latin-1"): as_text(value) for name, value in head.headers.items()
        }
        self.sender = as_text(head.name)
        self.outgoing = "to" in self.fields
        self.recipient = self.fields.get("to", member)
        self.body = body
        self.id = self.fields.get("id", "")
        self.state = _STATES.get(self.fields.get("state", ""))

    def __repr__(self) -> str:
        return f"MemberMessage(seq={self.seq}, {self.sender!r} to {self.recipient!r}, body={self.body!r})"

    @property
    def text(self) -> str:
        """The body as text; bytes that are not UTF-8 show as U+FFFD."""
        return as_text(self.body)

    @property
    def content_type(self) -> str:
        """What the body is; text unless the sender says otherwise (rule 9.7)."""
        return self.fields.get("content-type", "text/plain; charset=utf-8")

    @property
    def reply_to(self) -> str | None:
        """The Id of the message to which this one is the reply."""
        return self.fields.get("reply-to")

    @property
    def time(self) -> datetime | None:
        """When it was sent; None if the sender wrote something that is no time."""
        try:
            return datetime.fromisoformat(self.fields.get("time", ""))
        except ValueError:
            return None

    @property
    def headers(self) -> dict[str, str]:
        """The headers of its sender's own, whose names start with `x-` (in lower case)."""
        return {name: value for name, value in self.fields.items() if name.startswith("x-")}

    async def reject(self) -> None:
        """Refuse the message: its sender is told that it was not delivered, unless another device has it (rule 11.4).

        Does nothing if the message is acknowledged or refused already.

        Raises:
            TwotickError: the client has ended.
        """
        await self._decide(Decision.REFUSED)

    async def read(self) -> None:
        """Say that the member has read the messages from this sender, up to this one (rule 11.8).

        That acknowledges the message as well. Does nothing for one's own messages, and for one that was refused. While
        the connection is away it is told later.

        Raises:
            TwotickError: the client has ended.
        """
        await self.ack()
        if not self.outgoing and self.decision is Decision.TAKEN:
            await self._owner.mark_read(self.sender, self.seq)


class ReceiptEvent(Entry):
    """What became of a message that the member has sent on another device, or before this client was made.

    `READ` stands for all messages to the same recipient before this one as well (rule 11.8).

    Attributes:
        id: the message's Id.
        recipient: whom it was for; empty where the server does not say (failures).
        state: what became of it.
        reason: if it failed, why.
    """

    __slots__ = ("id", "reason", "recipient", "state")

    def __init__(self, owner: Owner, seq: int, name: bytes, ident: str, state: State, reason: str) -> None:
        super().__init__(owner, seq, name)
        self.id = ident
        self.recipient = as_text(name)
        self.state = state
        self.reason = reason

    def __repr__(self) -> str:
        return f"ReceiptEvent(seq={self.seq}, id={self.id!r}, {self.state.name})"


class ReadEvent(Entry):
    """The member has read messages on another device.

    Attributes:
        sender: whose messages.
        up_to: the number in the log of the last one of them.
    """

    __slots__ = ("sender", "up_to")

    def __init__(self, owner: Owner, seq: int, name: bytes, up_to: int) -> None:
        super().__init__(owner, seq, name)
        self.sender = as_text(name)
        self.up_to = up_to

    def __repr__(self) -> str:
        return f"ReadEvent(seq={self.seq}, sender={self.sender!r}, up_to={self.up_to})"


class MemberReceipt:
    """What becomes of a message, as far as it is known.

    Attributes:
        id: the message's Id.
        recipient: whom it is for.
        state: what is known.
        seq: the message's number in the member's log; 0 if that is not known.
        seconds: from the call that sent it until its latest state.
        order: the messages of one outbox are numbered in the order of the calls.
    """

    __slots__ = ("__weakref__", "_error", "_since", "_waiting", "id", "order", "recipient", "seconds", "seq", "state")

    def __init__(self, ident: str, recipient: str, order: int) -> None:
        self.id = ident
        self.recipient = recipient
        self.order = order
        self.state = State.QUEUED
        self.seq = 0
        self.seconds = 0.0
        self._since = time.monotonic()
        self._error: TwotickError | None = None
        self._waiting: list[asyncio.Future[None]] = []

    def __repr__(self) -> str:
        return f"MemberReceipt(id={self.id!r}, recipient={self.recipient!r}, {self.state.name})"

    async def accepted(self) -> Self:
        """Wait until the server has the message on disk (rule 11.6); for a guest, until it is delivered.

        Raises:
            NotDelivered: the recipient does not have it, and will not get it.
            TwotickError: the client has ended, so that nobody will tell.
        """
        return await self._reach(State.ACCEPTED)

    async def delivered(self) -> Self:
        """Wait until a device of the recipient has the message.

        Raises:
            NotDelivered: the recipient does not have it, and will not get it.
            TwotickError: the client has ended, so that nobody will tell; or it only sends, and its connection was lost.
        """
        return await self._reach(State.DELIVERED)

    async def read(self) -> Self:
        """Wait until the recipient has read the message. Guests and messages to `ALL` never say so.

        Raises:
            NotDelivered: the recipient does not have it, and will not get it.
            TwotickError: the client has ended, so that nobody will tell; or it only sends, and its connection was lost.
        """
        return await self._reach(State.READ)

    async def _reach(self, state: State) -> Self:
        while not state <= self.state <= State.READ:
            if self._error is not None:
                raise self._error
            changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(changed)
            await changed
        return self

    # Called by the client

    def advance(self, state: State, error: TwotickError | None = None) -> None:
        """More is known; what was known already changes nothing.

        Args:
            state: what is known.
            error: if it failed, what to tell whoever waits.
        """
        if self.final or state <= self.state:
            return
        self.state = state
        self.seconds = time.monotonic() - self._since
        self._error = error
        self._wake()

    def give_up(self, error: TwotickError) -> None:
        """Nobody will tell what becomes of the message."""
        if not self.final and self._error is None:
            self._error = error
            self._wake()

    @property
    def final(self) -> bool:
        """Whether nothing more can become of the message."""
        return self.state >= State.READ

    def _wake(self) -> None:
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)
        self._waiting.clear()


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """A device of the member's.

    Attributes:
        device: its name.
        connected: whether it is connected.
        seen: when it was seen last.
    """

    device: str
    connected: bool
    seen: datetime


_STATES = {state.name.lower(): state for state in State}


def as_text(value: bytes) -> str:
    """Bytes as text; what is not UTF-8 shows as U+FFFD."""
    return value.decode("utf-8", "replace")


def number(head: Head, header: bytes) -> int:
    """A header that is a positive number; 0 if there is none.

    Raises:
        ProtocolError: it is something else.
    """
    digits = head.headers.get(header)
    if digits is None:
        return 0
    if not digits.isdigit() or len(digits) > 18:
        raise ProtocolError(f"the server sent a header {as_text(header)} that is no number")
    return int(digits)


def failure(head: Head) -> NotDelivered:
    """The exception for an ERROR that says what became of a message."""
    return NotDelivered(as_text(head.headers.get(b"reason", b"")) or "the recipient does not have the message")
