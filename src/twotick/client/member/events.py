"""What a member gets to see besides messages: entries of the log (docs/protocol.md, section 11), and passing news."""

from datetime import datetime
from enum import Enum, IntEnum, StrEnum
from typing import Protocol

from twotick.client.errors import NotDelivered, ProtocolError
from twotick.wire import Head


class State(IntEnum):
    """What is known of a message. The first four follow one another; `FAILED` may take the place of any later one."""

    QUEUED = 0
    """It waits in the outbox."""
    ACCEPTED = 1
    """The server has it on disk: it will arrive (rule 11.6)."""
    DELIVERED = 2
    """A device of the recipient has it; of every recipient, if it was sent to a room."""
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
        """The program says that the messages from a user, or in a room, were read, up to one."""
        ...


class Entry:
    """An entry of the member's log.

    Attributes:
        seq: its number in the log; 0 for what is no entry, such as `StatusEvent`, and need not be acknowledged.
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
        sender: whose messages; a room's name for those in a room.
        up_to: the number in the log of the last one of them.
    """

    __slots__ = ("sender", "up_to")

    def __init__(self, owner: Owner, seq: int, name: bytes, up_to: int) -> None:
        super().__init__(owner, seq, name)
        self.sender = as_text(name)
        self.up_to = up_to

    def __repr__(self) -> str:
        return f"ReadEvent(seq={self.seq}, sender={self.sender!r}, up_to={self.up_to})"


class Presence(StrEnum):
    """Whether somebody is there (rule 15.1)."""

    HERE = "here"
    AWAY = "away"
    """Connected, but not at the keys."""
    GONE = "gone"


class StatusEvent(Entry):
    """Somebody comes, goes, or has gone away from the keys (rule 15.1); told once `status` was asked for.

    Attributes:
        user: who.
        state: where they are now.
        since: since when; None if that is not known.
    """

    __slots__ = ("since", "state", "user")

    def __init__(self, owner: Owner, name: bytes, state: Presence, since: datetime | None) -> None:
        super().__init__(owner, 0, name)
        self.user = as_text(name)
        self.state = state
        self.since = since

    def __repr__(self) -> str:
        return f"StatusEvent({self.user!r}, {self.state})"


class TypingEvent(Entry):
    """Somebody types: to be shown for 6 s at most (rule 15.3); told once `status` was asked for.

    Attributes:
        sender: who.
        room: in which room; empty if it is to the member.
    """

    __slots__ = ("room", "sender")

    def __init__(self, owner: Owner, name: bytes, room: str) -> None:
        super().__init__(owner, 0, name)
        self.sender = as_text(name)
        self.room = room

    def __repr__(self) -> str:
        return f"TypingEvent({self.sender!r}, room={self.room!r})"


class ProgressEvent(Entry):
    """So many members of a room have a message that the member has sent (rule 12.6) from elsewhere than this client.

    Attributes:
        room: the room.
        id: the message's Id.
        have: how many have it.
        of: how many it went to.
    """

    __slots__ = ("have", "id", "of", "room")

    def __init__(self, owner: Owner, name: bytes, ident: str, have: int, of: int) -> None:
        super().__init__(owner, 0, name)
        self.room = as_text(name)
        self.id = ident
        self.have = have
        self.of = of

    def __repr__(self) -> str:
        return f"ProgressEvent({self.room!r}, id={self.id!r}, {self.have} of {self.of})"


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


def moment(text: str) -> datetime | None:
    """A time as it is written in frames; None for what is no time."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
