"""Messages, the members' logs, and what becomes of messages (docs/protocol.md, section 11)."""

import math
from dataclasses import KW_ONLY, dataclass, field
from enum import IntEnum
from typing import Any

from twotick.store.port import Refusal, Request


class EntryKind(IntEnum):
    """What an entry of a log is (rule 11.1). The numbers are in the database: never change one."""

    RECEIVED = 1
    """A message that came."""
    SENT = 2
    """A message that the member sent."""
    DELIVERED = 3
    """A message that the member sent was delivered."""
    READ = 4
    """A message that the member sent, and all before it, were read."""
    FAILED = 5
    """A message that the member sent will not be delivered."""
    READ_HERE = 6
    """The member has read messages on one of its devices."""


class MessageState(IntEnum):
    """What became of a message (rule 11.6). The numbers are in the database: never change one."""

    ACCEPTED = 1
    DELIVERED = 2
    READ = 3
    FAILED = 4


class MessageAction(IntEnum):
    """What a message does to an earlier one (rule 13.1)."""

    NONE = 0
    EDIT = 1
    DELETE = 2
    REACT = 3
    PIN = 4
    UNPIN = 5


@dataclass(slots=True)
class LogEntry:
    """An entry of a member's log.

    Attributes:
        member: whose log it is in.
        seq: its number in that log (Seq).
        kind: what it is.
        message: the store's number of the message; for READ_HERE that of the newest message that was read.
        peer: the recipient as the sender wrote it for SENT, DELIVERED, READ and FAILED; the sender for RECEIVED and
            READ_HERE. For a message to a room, all but RECEIVED have the room here.
        id: the message's Id; empty if it has none (a classic sender) and for READ_HERE.
        headers: the header lines that travel, each with its line feed (rule 9.7); RECEIVED and SENT only.
        body: RECEIVED and SENT only.
        device: the device that sent or read; SENT and READ_HERE only.
        up_to: the Seq up to which was read; READ_HERE only.
        reason: why the message failed; FAILED only.
        state: what became of the message so far; RECEIVED and SENT only.
        time: when the message was accepted, in seconds since 1970; RECEIVED and SENT only.
        expires: from when on it must not be sent to a device without asking the store again, in seconds since 1970;
            None for never. RECEIVED only.
        room: the room as it is shown; RECEIVED only, empty if the message was sent to the member.
        place: the message's number in its room (rule 12.5); 0 outside rooms. RECEIVED and SENT only.
    """

    member: int
    seq: int
    kind: EntryKind
    message: int
    peer: bytes
    _: KW_ONLY
    id: bytes = b""
    headers: bytes = b""
    body: bytes = b""
    device: bytes = b""
    up_to: int = 0
    reason: str = ""
    state: MessageState = MessageState.ACCEPTED
    time: float = 0.0
    expires: float | None = field(default=None, compare=False)  # it says nothing about the entry itself
    room: bytes = b""
    place: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """How many recipients have a message to a room (rule 12.6), while that is not all of them.

    Attributes:
        member: the sender.
        message: the store's number of the message.
        room: the room as the sender wrote it.
        id: the message's Id.
        have: how many recipients have it.
        of: how many recipients it has (`Appended.members`).
    """

    member: int
    message: int
    room: bytes
    id: bytes
    have: int
    of: int


@dataclass(slots=True)
class Effects:
    """What a request changed for others.

    Attributes:
        entries: entries that were appended to logs, oldest first for each log.
        guests: messages of senders without a log, and what became of them: message, state, reason.
        progress: messages to rooms that more recipients have now.
        concluded: messages that wait for no recipient any more: when each was accepted, in seconds since 1970, whether
            it was sent to a room, and what became of it.
        rooms: the numbers of rooms in which there is something new: of those that let guests in, and of others in
            which something has happened.
    """

    entries: list[LogEntry] = field(default_factory=list[LogEntry])
    guests: list[tuple[int, MessageState, str]] = field(default_factory=list[tuple[int, MessageState, str]])
    progress: list[Progress] = field(default_factory=list[Progress])
    rooms: tuple[int, ...] = field(default=(), compare=False)
    concluded: list[tuple[float, bool, MessageState]] = field(
        default_factory=list[tuple[float, bool, MessageState]], compare=False
    )

    def add(self, later: "Effects") -> None:
        """Add what was changed after that."""
        self.entries += later.entries
        self.guests += later.guests
        self.progress += later.progress
        self.rooms += later.rooms
        self.concluded += later.concluded


@dataclass(frozen=True, slots=True)
class Unfinished:
    """The answer to a request that takes several transactions, of which one was carried out.

    Attributes:
        rest: what to ask next; the last such request is answered with the answer to the first one.
        effects: what this transaction has changed for others.
        is_begun: whether something of the request was done, and not only what has to be done before.
    """

    rest: Request[Any]
    effects: Effects = field(default_factory=Effects)
    is_begun: bool = True


@dataclass(slots=True)
class Appended:
    """The message is stored.

    Attributes:
        message: the store's number for it.
        effects: its entries: first SENT if the sender is a member, then RECEIVED for each recipient; and what became of
            it, if it had no recipient.
        place: its number in the room (rule 12.5); 0 outside rooms.
        members: how many other members the room has, those with a full mailbox included.
        is_first: whether it is the sender's first message to this recipient, who may see the sender's presence from now
            on (rule 15.2).
    """

    message: int
    effects: Effects
    place: int = 0
    members: int = 0
    is_first: bool = False


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The member has sent a message with this Id before (rule 11.7).

    Attributes:
        message: the store's number for that message.
        same: whether it was sent to the same recipient.
        state: what became of it.
        reason: why it failed, if it did.
        seq: the number of its entry in the sender's log; 0 if it is not there any more.
        place: its place in the room, if it was sent to one; else 0.
        headers: the header lines that travel; empty if it was deleted.
    """

    message: int
    same: bool
    state: MessageState
    reason: str
    seq: int = 0
    place: int = 0
    headers: bytes = field(default=b"", compare=False)


@dataclass(slots=True, kw_only=True)
class Append(Request[Appended | Duplicate | Refusal]):
    """Store a message (rules 11.6, 11.7, 11.13 and 12.5, sections 13 and 14).

    The recipient is a room if its name begins with `#`: then all other members of the room get the message. Otherwise
    `members` get it; if there are none and no guests, the member whose name the recipient is.

    A member with a full mailbox, or one that was removed, does not get it. If that leaves no recipient, the message is
    refused. A member who has blocked the sender (rule 14.4) does not get it either, unless it was sent to a room; the
    sender sees a message that is waiting until it expires. A classic guest, and who sends to ALL, sees a member who is
    not connected.

    Attributes:
        sender: the member who sends; None for a guest.
        sender_name: the sender's name as it is shown.
        device: the device that sends; empty for a guest.
        id: the message's Id; empty for a classic guest.
        recipient: the recipient as the sender wrote it.
        members: the members who get it, for a message to ALL.
        live: whether guests get it too, or only guests: `Settle` then tells what became of that.
        headers: the header lines that travel.
        body: the body.
        time: now, in seconds since 1970.
        expires: when it expires, in seconds since 1970, unless it was delivered; None for never.
        action: what it does to an earlier message to the same recipient (rule 13.1).
        about: the Id of that earlier message; empty for none.
        about_name: the sender of that earlier message, in lower case; empty for the sender of this one.
        file: the key of the file that it brings (rule 16.3); empty for none. The store adds the file's description to
            the headers.
        network: the address of a guest; guests of one address take turns as one user. Empty for a member.
        reply_to: the Id of the message that it answers (rule 13.5); empty for none. The store adds the thread to the
            headers.
        reply_name: the sender of that message, in lower case; empty for the sender of this one.
        edits_after: for a message that deletes another, the number of the last edit of that message that an earlier
            transaction of this request has emptied.
        forwards: the Id of the message that is sent on (rule 13.10); empty for none. The store takes the body and the
            file from it, and adds where it comes from to the headers.
        forwards_name: the sender of that message, in lower case; empty for the sender of this one.
        new_key: the key for the file that is sent on with it.
        forwarded: the number of the message whose file goes along. The store sets it.
        slot: a word by which later messages update it; empty for none. If it has only items that the last message with
            this slot has, the store edits that one with it (rule 21.6).
        items: all that it is about, with spaces between.
        into: for a guest's message to a room, the number of the room that the guest is in.
        begun: for a message to many members, its number, once earlier transactions of this request have given it to
            others; `members` still have to get it.
        again: whether this is carried out once more because it is not known whether it was stored. If it was, guests
            will not be given it, which its sender is told.
    """

    sender: int | None
    sender_name: bytes
    recipient: bytes
    headers: bytes
    body: bytes
    time: float
    device: bytes = b""
    id: bytes = b""
    members: tuple[int, ...] = ()
    live: bool = False
    expires: float | None = None
    action: MessageAction = MessageAction.NONE
    about: bytes = b""
    about_name: bytes = b""
    file: bytes = b""
    network: str = ""
    reply_to: bytes = b""
    reply_name: bytes = b""
    edits_after: int = 0
    forwards: bytes = b""
    forwards_name: bytes = b""
    new_key: bytes = b""
    forwarded: int = 0
    slot: bytes = b""
    items: bytes = b""
    into: int = 0
    begun: int = 0
    again: bool = False


@dataclass(slots=True)
class Acknowledge(Request[Effects]):
    """Move a device's cursor forward: the device has all entries up to `seq` (rule 11.3).

    Every message among those entries that was not delivered to this member now is. When all recipients of a message
    have it, its sender gets a DELIVERED entry.

    Attributes:
        session: the number of the connection that says so (`OpenedDevice.session`): what an older one says is ignored
            once the device has connected again, perhaps to another server. 0 if it need not be looked at.
    """

    member: int
    device: bytes
    seq: int
    time: float
    session: int = 0


@dataclass(frozen=True, slots=True)
class Refuse(Request[Effects]):
    """Move a device's cursor forward, and refuse the message at `seq` (rule 11.4).

    If no device has taken that message before, it fails for this member and leaves the log.

    Attributes:
        session: see `Acknowledge`.
    """

    member: int
    device: bytes
    seq: int
    time: float
    session: int = 0


@dataclass(frozen=True, slots=True)
class ReadSoFar:
    """What the transactions before this one have noted of many messages that were read.

    Attributes:
        peer: the other side as it is shown.
        newest: the store's number of the newest message that was read.
        told: that of the newest one whose sender is told; 0 for none.
    """

    peer: bytes
    newest: int
    told: int


@dataclass(frozen=True, slots=True)
class MarkRead(Request[Effects]):
    """Note that the member has read the messages from `peer` up to the entry `seq` (rule 11.8).

    Messages among them that were not delivered now are. A message to several recipients yields no READ. Nothing changes
    if they were all read before.

    Attributes:
        peer: the sender of those messages, or the room, in any case.
        so_far: what was read in earlier transactions of the same request; None for nothing.
        quiet: whether the senders are not told.
    """

    member: int
    device: bytes
    peer: bytes
    seq: int
    time: float
    so_far: ReadSoFar | None = None
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Settle(Request[Effects]):
    """Note what became of the part of a message that went to guests (`Append.live`)."""

    message: int
    taken: bool
    reason: str
    time: float


@dataclass(frozen=True, slots=True)
class Expire(Request[Effects]):
    """Drop expired messages from the logs of members who do not have them (rule 11.10), and expired files (rule 16.5).

    From then on, requests do not deliver what is over by these times either.

    Attributes:
        time: now, in seconds since 1970.
        since: leave alone what was there before this time, in seconds since 1970; 0 for nothing.
    """

    time: float
    since: float = 0.0


@dataclass(frozen=True, slots=True)
class Prune(Request[bool]):
    """Remove messages older than `age` seconds, unless a device does not have them yet (rule 11.13).

    Answered by whether there may be more to remove: one call looks at a few hundred messages at most.

    Attributes:
        time: now, in seconds since 1970.
        age: see above.
        future: messages from after this time, in seconds since 1970, were sent while a clock was wrong. They count as
            sent now.
    """

    time: float
    age: float
    future: float = math.inf


@dataclass(frozen=True, slots=True)
class Fetched:
    """Entries of a log.

    Attributes:
        entries: the entries.
        up_to: the Seq up to which the log was read; entries that are missing below it are gone.
        effects: what the removal of messages that were over has changed; None if there were none.
    """

    entries: list[LogEntry]
    up_to: int
    effects: Effects | None = None


@dataclass(frozen=True, slots=True)
class Fetch(Request[Fetched]):
    """Read the entries past `after`, oldest first: at most `most`, and no more once their bodies have `size` bytes.

    Messages that are over at `time` and were not delivered to the member are taken out of the log (rule 11.10), so that
    nothing that the device says later can count them as delivered.

    Attributes:
        time: now, in seconds since 1970.
    """

    member: int
    after: int
    most: int
    size: int
    time: float = 0.0


@dataclass(slots=True)
class MessagesPart:
    """A part of the messages that a request asks for.

    Attributes:
        entries: the messages.
        rest: what to ask for those that follow; None if there are none.
    """

    entries: list[LogEntry]
    rest: "Request[MessagesPart] | None" = None


@dataclass(frozen=True, slots=True)
class History(Request[MessagesPart]):
    """Read the last messages (RECEIVED and SENT) with a peer, or with all (rule 11.9), oldest first and part by part.

    In a room the messages are the same for all members, except that a member's own are SENT; their `seq` is 0. A room
    that the member is not in has none.

    Attributes:
        peer: the other user or the room, in any case; empty for all conversations.
        before: only entries before this Seq, or in a room before this place (rule 12.10); 0 for no such limit.
        since: only messages accepted at this time or later, in seconds since 1970; 0 for no such limit.
        most: how many at most.
        size: bytes of bodies after which no more are added.
        time: now, in seconds since 1970: messages that are over and were not delivered are left out (rule 11.10).
        thread: only the message with this Id, and the others of its thread (rule 13.6); empty for all.
        thread_name: the sender of that message, in lower case; empty for the member.
        first, last: where the next part begins and the last one ends, as the part before it says; zeros for the first.
    """

    member: int
    peer: bytes
    before: int
    since: float
    most: int
    size: int = 1 << 30
    time: float = 0.0
    thread: bytes = b""
    thread_name: bytes = b""
    first: int = 0
    last: int = 0
