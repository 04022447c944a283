"""What a store is asked, and what it answers (docs/protocol.md, sections 10 and 11).

A request is a value; `Store.apply` carries out many of them, in order, in one transaction. What a request changes in
members' logs comes back as the entries that were appended, so that connected devices can be given them.

Nobody changes a request or an answer after it was made. Those that are made for every message are not frozen, because
making a frozen one takes six times as long; and have their constructors written out, because those of dataclasses are
not compiled.
"""

from dataclasses import dataclass
from enum import IntEnum


class StoreError(Exception):
    """The store could not do what was asked; nothing of it is kept. The text is a reason for a person to read."""


@dataclass(frozen=True, slots=True)
class StoreLimits:
    """What a store keeps at most (rules 10.6, 11.13, 12.11, 16.5 and 17.1).

    Attributes:
        mailbox_bytes: bytes of the bodies of messages that came to a member and that some device of it does not have.
        mailbox_entries: the number of such messages.
        devices: the devices of a member.
        room_members: the members of a room.
        rooms: the rooms of a member.
        settings: the conversations that a member has muted or blocked.
        file_bytes: the size of a file.
        files_bytes: the files of a member together.
        file_age: seconds after which a file that was sent is gone.
        offer_age: seconds after which a file that was not sent is gone.
        reports: reports of a member that are not dealt with.
    """

    mailbox_bytes: int = 1 << 30
    mailbox_entries: int = 100_000
    devices: int = 32
    room_members: int = 2000
    rooms: int = 200
    settings: int = 10_000
    file_bytes: int = 100 << 20
    files_bytes: int = 1 << 30
    file_age: float = 30 * 86400
    offer_age: float = 86400
    reports: int = 20


class Kind(IntEnum):
    """What an entry of a log is (rule 11.1). The numbers are in the database: never change one."""

    RECEIVED = 1
    """A message that came."""
    SENT = 2
    """A message that the member sent."""
    DELIVERED = 3
    """A message that the member sent has arrived."""
    READ = 4
    """A message that the member sent, and all before it, were read."""
    FAILED = 5
    """A message that the member sent will not arrive."""
    READ_HERE = 6
    """The member has read messages on one of its devices."""


class State(IntEnum):
    """What became of a message (rule 11.6). The numbers are in the database: never change one."""

    ACCEPTED = 1
    DELIVERED = 2
    READ = 3
    FAILED = 4


@dataclass(slots=True, init=False)
class Entry:
    """An entry of a member's log.

    Attributes:
        member: whose log it is in.
        seq: its number there.
        kind: what it is.
        message: the store's number of the message that it is about; for READ_HERE the newest that was read.
        peer: for SENT, DELIVERED, READ and FAILED the recipient as the sender wrote it; for RECEIVED and READ_HERE the
            sender.
        id: the message's Id; empty if it has none (a classic sender) and for READ_HERE.
        headers: the header lines that travel, each with its line feed (rule 9.7); RECEIVED and SENT only.
        body: RECEIVED and SENT only.
        device: the device on which the member did it; SENT and READ_HERE only.
        up_to: for READ_HERE, the number of the entry up to which was read.
        reason: for FAILED, why.
        state: for RECEIVED and SENT, what has become of the message.
        time: for RECEIVED and SENT, when it was accepted, in seconds since 1970.
        room: for RECEIVED, the room that it was sent to, as it is shown; empty if it was sent to the member. For SENT,
            READ_HERE and what became of a message, `peer` is the room.
        place: for RECEIVED and SENT, its number in the room (rule 12.5); 0 if it was not sent to one.
    """

    member: int
    seq: int
    kind: Kind
    message: int
    peer: bytes
    id: bytes
    headers: bytes
    body: bytes
    device: bytes
    up_to: int
    reason: str
    state: State
    time: float
    room: bytes
    place: int

    def __init__(
        self,
        member: int,
        seq: int,
        kind: Kind,
        message: int,
        peer: bytes,
        id: bytes = b"",
        headers: bytes = b"",
        body: bytes = b"",
        device: bytes = b"",
        up_to: int = 0,
        reason: str = "",
        state: State = State.ACCEPTED,
        time: float = 0.0,
        room: bytes = b"",
        place: int = 0,
    ) -> None:
        self.member = member
        self.seq = seq
        self.kind = kind
        self.message = message
        self.peer = peer
        self.id = id
        self.headers = headers
        self.body = body
        self.device = device
        self.up_to = up_to
        self.reason = reason
        self.state = state
        self.time = time
        self.room = room
        self.place = place


@dataclass(frozen=True, slots=True)
class Progress:
    """How many of its recipients have a message to a room (rule 12.6), as long as that is not all.

    Attributes:
        member: who sent it.
        message: the store's number for it.
        room: the room as the sender wrote it.
        id: its Id.
        have: how many have it.
        of: how many it was meant for (`Appended.members`).
    """

    member: int
    message: int
    room: bytes
    id: bytes
    have: int
    of: int


@dataclass(slots=True, init=False)
class Outcome:
    """What a request changed.

    Attributes:
        entries: the entries that were appended to logs, oldest first for each log.
        guests: messages of senders who are no members, and what became of them: message, state, reason.
        progress: messages to rooms that more of their recipients have now; None if there are none.
    """

    entries: list[Entry]
    guests: list[tuple[int, State, str]]
    progress: list[Progress] | None

    def __init__(self, entries: list[Entry] | None = None, guests: list[tuple[int, State, str]] | None = None) -> None:
        self.entries = [] if entries is None else entries
        self.guests = [] if guests is None else guests
        self.progress = None


# Messages


class Action(IntEnum):
    """What a message does to an earlier one (rule 13.1)."""

    NONE = 0
    EDIT = 1
    DELETE = 2
    REACT = 3


@dataclass(slots=True, init=False)
class Append:
    """Store a message. Answered by Appended, Known or Refusal.

    A recipient whose mailbox is full (rule 11.13), or who is no member any more, does not get it. If that leaves
    nobody, the message is refused. If the recipient begins with `#`, those who get it are the other members of that
    room, of whom the store knows, and it is refused if the sender is not in the room. Who has blocked the sender (rule
    14.4) does not get it unless it is to a room, and the sender is told as if that member were away: it is waited for
    until it expires; what it edits stays as it is. A guest is told as if that member were not connected.

    Attributes:
        sender: the member who sends it; None for a guest.
        sender_name: the sender's name as it is shown.
        device: the device on which the member sent it.
        id: its Id; empty for a classic guest.
        recipient: the recipient as the sender wrote it.
        members: the members who get it.
        live: whether guests get it too, or only guests: then `Settle` says what became of that.
        headers: the header lines that travel.
        body: the body.
        time: now, in seconds since 1970.
        expires: the time after which it is dropped if nobody has it; None for never.
        action: what it does to an earlier message to the same recipient (rule 13.1).
        about: the Id of that message; empty for none.
        about_name: who sent that, in lower case; empty for the sender.
        file: the key of the file that goes with it (rule 16.3); empty for none. The store adds what it knows of the
            file to the headers, and the key (rule 16.3).
    """

    sender: int | None
    sender_name: bytes
    device: bytes
    id: bytes
    recipient: bytes
    members: tuple[int, ...]
    live: bool
    headers: bytes
    body: bytes
    time: float
    expires: float | None
    action: Action
    about: bytes
    about_name: bytes
    file: bytes

    def __init__(
        self,
        sender: int | None,
        sender_name: bytes,
        device: bytes,
        id: bytes,
        recipient: bytes,
        members: tuple[int, ...],
        live: bool,
        headers: bytes,
        body: bytes,
        time: float,
        expires: float | None = None,
        action: Action = Action.NONE,
        about: bytes = b"",
        about_name: bytes = b"",
        file: bytes = b"",
    ) -> None:
        self.sender = sender
        self.sender_name = sender_name
        self.device = device
        self.id = id
        self.recipient = recipient
        self.members = members
        self.live = live
        self.headers = headers
        self.body = body
        self.time = time
        self.expires = expires
        self.action = action
        self.about = about
        self.about_name = about_name
        self.file = file


@dataclass(slots=True, init=False)
class Appended:
    """The message is stored.

    Attributes:
        message: the store's number for it.
        outcome: its entries: first SENT if the sender is a member, then RECEIVED for each recipient; and what became of
            it, if there was nobody to send it to.
        place: its number in the room (rule 12.5); 0 if it was not sent to one.
        members: how many others are in the room, those counted whose mailbox is full.
        is_first: whether it is the first of its sender to this recipient alone, who sees the sender from now on (rule
            15.2).
    """

    message: int
    outcome: Outcome
    place: int
    members: int
    is_first: bool

    def __init__(
        self,
        message: int,
        outcome: Outcome,
        place: int = 0,
        members: int = 0,
        is_first: bool = False,
    ) -> None:
        self.message = message
        self.outcome = outcome
        self.place = place
        self.members = members
        self.is_first = is_first


@dataclass(frozen=True, slots=True)
class Known:
    """The member has sent a message with this Id before (rule 11.7).

    Attributes:
        message: the store's number for it.
        same: whether it was to the same recipient.
        state: what became of it.
        reason: if it failed, why.
    """

    message: int
    same: bool
    state: State
    reason: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """The request was refused, and changed nothing.

    Attributes:
        reason: why, for a person to read.
    """

    reason: str


@dataclass(slots=True, init=False)
class Acknowledge:
    """A device has all entries up to `seq` (rule 11.3). Answered by Outcome.

    The cursor moves to `seq` unless it stands there or past it. Every RECEIVED entry between, whose message is not yet
    delivered to this member, now is; when all recipients of a message have it, its sender gets a DELIVERED entry.
    """

    member: int
    device: bytes
    seq: int
    time: float

    def __init__(
        self,
        member: int,
        device: bytes,
        seq: int,
        time: float,
    ) -> None:
        self.member = member
        self.device = device
        self.seq = seq
        self.time = time


@dataclass(frozen=True, slots=True)
class Refuse:
    """A device has all entries up to `seq` but refuses that one (rule 11.4). Answered by Outcome.

    If no device has taken the message before, it fails for this member and is gone from the log.
    """

    member: int
    device: bytes
    seq: int
    time: float


@dataclass(frozen=True, slots=True)
class MarkRead:
    """The member has read the messages from `peer` up to the entry `seq` (rule 11.8). Answered by Outcome.

    What was not delivered before now is. Messages to several recipients get no READ. What was read before counts for
    nothing; if nothing else was read, nothing changes.

    Attributes:
        peer: the sender whose messages were read, in any case.
    """

    member: int
    device: bytes
    peer: bytes
    seq: int
    time: float


@dataclass(frozen=True, slots=True)
class Settle:
    """It is known what became of the live part of a message (`Append.live`). Answered by Outcome."""

    message: int
    taken: bool
    reason: str
    time: float


@dataclass(frozen=True, slots=True)
class Expire:
    """Drop messages whose time is over from the logs of those who do not have them (rule 11.10). Answered by Outcome.

    Files whose time is over are gone as well (rule 16.5), and what is gone is removed from the disk, 4 MiB each time.

    Looks at a few hundred messages at most: ask again while anything comes of it.
    """

    time: float


@dataclass(frozen=True, slots=True)
class Prune:
    """Remove messages older than `age` seconds, unless a device does not have them yet (rule 11.13).

    Looks at a few hundred messages at most, and goes on from there the next time. Answered by whether it has not yet
    looked at all of them: then ask again.
    """

    time: float
    age: float


@dataclass(frozen=True, slots=True)
class Fetch:
    """The entries past `after`, oldest first: at most `most`, and no more after `size` bytes of bodies.

    Entries that are gone (expired, refused) are left out. Answered by Fetched.
    """

    member: int
    after: int
    most: int
    size: int


@dataclass(frozen=True, slots=True)
class Fetched:
    """Entries, and up to where the log was looked at: everything up to `up_to` is in `entries` or is gone.

    For History, `up_to` is the number before which was looked.
    """

    entries: list[Entry]
    up_to: int


@dataclass(frozen=True, slots=True)
class History:
    """The last messages (RECEIVED and SENT) with a peer, or with all (rule 11.9), oldest first. Answered by Fetched.

    The log is read backwards, and no further than to the first message before `since`.

    Attributes:
        peer: whose conversation, in any case; empty for everybody's. A room that the member is not in has none. What
            was sent to a room is the same for all its members but for their own, which are SENT; `seq` is 0.
        before: only entries before this number, for a room what is before this place (rule 12.10); 0 for no such limit.
        since: only messages accepted at this time or later; 0 for no such limit.
        most: how many at most.
        size: bytes of bodies after which there are no more.
    """

    member: int
    peer: bytes
    before: int
    since: float
    most: int
    size: int = 1 << 30


# Members and devices


@dataclass(frozen=True, slots=True)
class Member:
    """A member.

    Attributes:
        number: the store's number for the member.
        name: the name as it is shown.
        password: its argon2id hash; empty if the member has none.
    """

    number: int
    name: str
    password: str


@dataclass(frozen=True, slots=True)
class Device:
    """A device of a member.

    Attributes:
        name: its name.
        cursor: the last entry that it has; None if it has never received.
        has_token: whether there is a token for it.
        seen: when it was last heard of, in seconds since 1970.
    """

    name: str
    cursor: int | None
    has_token: bool
    seen: float


@dataclass(frozen=True, slots=True)
class Members:
    """All members. Answered by a list of Member."""


@dataclass(frozen=True, slots=True)
class FindMember:
    """The member with this name, in any case. Answered by Member or None."""

    name: str


@dataclass(frozen=True, slots=True)
class FindToken:
    """Whose token has this hash. Answered by a pair of Member and the device's name, or None."""

    digest: bytes


@dataclass(frozen=True, slots=True)
class AddMember:
    """Make the name a member's. Answered by Member; or Refusal if it is one already or the invitation is not good.

    Attributes:
        invitation: the hash of an invitation, which is used up; None if none is needed.
    """

    name: str
    password: str
    time: float
    invitation: bytes | None = None


@dataclass(frozen=True, slots=True)
class SetPassword:
    """Change a member's password. Answered by True, or False if there is no such member."""

    name: str
    password: str


@dataclass(frozen=True, slots=True)
class RemoveMember:
    """Remove a member with its log, devices and tokens. Answered by Outcome, or None if there is no such member.

    Messages that it sent stay in the logs of others. What waited for it fails. It leaves its rooms (rule 12.4).
    """

    name: str
    time: float


@dataclass(frozen=True, slots=True)
class AddInvitation:
    """Let an invitation with this hash be used once, until `expires`. Answered by None."""

    digest: bytes
    expires: float


@dataclass(frozen=True, slots=True)
class AddToken:
    """Let a device use a token with this hash, in place of an older one.

    Answered by None; or Refusal: too many devices, no such member, or the hash is another device's.
    """

    member: int
    device: str
    digest: bytes
    time: float


@dataclass(frozen=True, slots=True)
class OpenDevice:
    """A device connects to receive (rules 11.2 and 11.5).

    Answered by Opened, or Refusal: too many devices, or no such member. The cursor of a new device stands at the end of
    the log, but before the first message that no device has: such a message is never past all cursors.

    Attributes:
        resume: the device says that it has all up to this entry; 0 if it says nothing.
    """

    member: int
    device: str
    resume: int
    time: float


@dataclass(frozen=True, slots=True)
class Opened:
    """Where a device's cursor stands, what came of moving it, and the number of the log's last entry."""

    cursor: int
    last: int
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Devices:
    """The devices of a member. Answered by a list of Device."""

    member: int


@dataclass(frozen=True, slots=True)
class Revoke:
    """Remove a device and those whose names begin with it and `/`: tokens and cursors.

    Answered by whether there was one.
    """

    member: int
    device: str
