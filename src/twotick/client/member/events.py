"""The entries of a member's log (docs/protocol.md, section 11), and events without an entry (rules 12.6 and 15.4)."""

from datetime import datetime
from enum import Enum, IntEnum, StrEnum
from typing import Protocol

from twotick.client.member.headers import as_text


class State(IntEnum):
    """How far a message has got. The first four follow one another; `FAILED` may replace any later one (rule 11.6)."""

    QUEUED = 0
    """It waits in the outbox."""
    ACCEPTED = 1
    """The server has it on disk: it will arrive."""
    DELIVERED = 2
    """A device of the recipient has it. In a room: a device of every recipient."""
    READ = 3
    """The recipient has read it."""
    FAILED = 4
    """The recipient does not have it, and will not get it."""


class Presence(StrEnum):
    """Whether a member is at the keyboard (rule 15.2)."""

    HERE = "here"
    AWAY = "away"
    """Connected, but not at the keyboard."""
    GONE = "gone"
    """Not connected, or not visible to this member."""
    UNKNOWN = "unknown"
    """A presence that this version of the library does not know (rule 9.11)."""


class Decision(Enum):
    """What the program decided about an entry."""

    TAKEN = "taken"
    REFUSED = "refused"


class EntryOwner(Protocol):
    """The client to which an entry belongs, and which sends its acknowledgement."""

    async def decided(self, entry: "Entry") -> None:
        """Acknowledge or refuse entries, now that the program has decided about one more.

        Args:
            entry: the entry, with its decision.
        """
        ...

    async def mark_read(self, sender: str, seq: int) -> None:
        """Tell the server that the member has read the messages of a conversation (rules 11.8 and 12.9).

        Args:
            sender: the user or room.
            seq: the number, in the member's log, of the last message that was read.
        """
        ...


class Entry:
    """An entry of the member's log, or an event that is not in the log.

    Attributes:
        seq: its number in the log; 0 for an event that is not in the log and need not be acknowledged.
        name: the name in its frame.
        decision: what the program decided about it; None until then.
    """

    __slots__ = ("_owner", "decision", "name", "seq")

    def __init__(self, owner: EntryOwner, seq: int, name: bytes) -> None:
        self._owner = owner
        self.seq = seq
        self.name = name
        self.decision: Decision | None = None

    async def ack(self) -> None:
        """Acknowledge the entry: this device has it (rule 11.3).

        The server learns of it when all earlier entries are acknowledged as well, and once the connection is back if it
        is lost. Does nothing if the entry is acknowledged or refused already.

        Raises:
            TwotickError: the client has ended.
        """
        await self._decide(Decision.TAKEN)

    async def _decide(self, decision: Decision) -> None:
        if self.decision is None:
            self.decision = decision
            await self._owner.decided(self)


class ReceiptEvent(Entry):
    """A message that was sent on another device, or before this client was made, has reached a further state.

    `READ` applies to all earlier messages to the same recipient as well (rule 11.8).

    Attributes:
        id: the message's Id.
        recipient: the user or room it was sent to; empty if it failed and the server does not say.
        state: the state that it has reached.
        reason: why it failed; empty otherwise.
    """

    __slots__ = ("id", "reason", "recipient", "state")

    def __init__(self, owner: EntryOwner, seq: int, name: bytes, ident: str, state: State, reason: str) -> None:
        super().__init__(owner, seq, name)
        self.id = ident
        self.recipient = as_text(name)
        self.state = state
        self.reason = reason

    def __repr__(self) -> str:
        return f"ReceiptEvent(seq={self.seq}, id={self.id!r}, {self.state.name})"


class ReadEvent(Entry):
    """The member has read messages on another device (rule 11.8).

    Attributes:
        sender: the user or room whose messages were read.
        up_to: the number, in the log, of the last message that was read.
    """

    __slots__ = ("sender", "up_to")

    def __init__(self, owner: EntryOwner, seq: int, name: bytes, up_to: int) -> None:
        super().__init__(owner, seq, name)
        self.sender = as_text(name)
        self.up_to = up_to

    def __repr__(self) -> str:
        return f"ReadEvent(seq={self.seq}, sender={self.sender!r}, up_to={self.up_to})"


class StatusEvent(Entry):
    """The presence of another member has changed (rule 15.1). Comes only after a call of `MemberClient.status`.

    Attributes:
        user: the other member's name.
        state: the new presence.
        since: since when; None if the server does not know.
    """

    __slots__ = ("since", "state", "user")

    def __init__(self, owner: EntryOwner, name: bytes, state: Presence, since: datetime | None) -> None:
        super().__init__(owner, 0, name)
        self.user = as_text(name)
        self.state = state
        self.since = since

    def __repr__(self) -> str:
        return f"StatusEvent({self.user!r}, {self.state})"


class ProfileEvent(Entry):
    """A member has changed its profile (rule 18.3). Comes only after `MemberClient.profiles` or `set_profile`.

    The member may be this one, on another device.

    Attributes:
        user: the member's name.
        display: the display name; empty if there is none.
        status: the status text; empty if there is none.
        picture: the hash of the picture; empty if there is none.
    """

    __slots__ = ("display", "picture", "status", "user")

    def __init__(self, owner: EntryOwner, name: bytes, display: str, status: str, *, picture: str = "") -> None:
        super().__init__(owner, 0, name)
        self.user = as_text(name)
        self.display = display
        self.status = status
        self.picture = picture

    def __repr__(self) -> str:
        return f"ProfileEvent({self.user!r}, {self.display!r}, {self.status!r})"


class TypingEvent(Entry):
    """Another member is typing (rule 15.3). Comes only after a call of `MemberClient.status`.

    Show it for at most 6 s.

    Attributes:
        sender: the other member's name.
        room: the room in which they type; empty if they type to this member.
    """

    __slots__ = ("room", "sender")

    def __init__(self, owner: EntryOwner, name: bytes, room: str) -> None:
        super().__init__(owner, 0, name)
        self.sender = as_text(name)
        self.room = room

    def __repr__(self) -> str:
        return f"TypingEvent({self.sender!r}, room={self.room!r})"


class RoomGuestEvent(Entry):
    """A guest has come to a room of the member's, or is gone (rule 12.15). Comes only after `rooms(guests=True)`.

    A program that is slow gets only the newest of these about a guest in a room.

    Attributes:
        room: the room's name.
        guest: the guest's name. A member may have it, too.
        kind: `joined`, `left` or `removed`.
    """

    __slots__ = ("guest", "kind", "room")

    def __init__(self, owner: EntryOwner, name: bytes, guest: str, kind: str) -> None:
        super().__init__(owner, 0, name)
        self.room = as_text(name)
        self.guest = guest
        self.kind = kind

    def __repr__(self) -> str:
        return f"RoomGuestEvent({self.room!r}, {self.guest!r}, {self.kind!r})"


class ProgressEvent(Entry):
    """More members of a room have a message that was sent on another device, or before this client (rule 12.6).

    Attributes:
        room: the room's name.
        id: the message's Id.
        have: how many members have the message.
        of: how many members it was sent to.
    """

    __slots__ = ("have", "id", "of", "room")

    def __init__(self, owner: EntryOwner, name: bytes, ident: str, have: int, of: int) -> None:
        super().__init__(owner, 0, name)
        self.room = as_text(name)
        self.id = ident
        self.have = have
        self.of = of

    def __repr__(self) -> str:
        return f"ProgressEvent({self.room!r}, id={self.id!r}, {self.have} of {self.of})"
