"""Members with their logs, messages and rooms, in memory (docs/protocol.md, sections 11 and 12).

A log is two sequences side by side: of each entry, what kind it is, and the message that it is about. All else that an
entry shows is read from the message when somebody asks, so there is one object for each message and none for an entry.
"""

from array import array
from typing import Final

from twotick.store.records import Action, Append, Entry, Kind, Member, State
from twotick.store.rooms import RoomState

GONE: Final = 0
"""In place of the kind of an entry that is not there any more."""
RECEIVED: Final = 1
SENT: Final = 2
READ_HERE: Final = 6

NEVER: Final = -1
"""The cursor of a device that has not received yet."""

_RECEIVED_ENTRY: Final = Kind.RECEIVED
_SENT_ENTRY: Final = Kind.SENT
_FAILED_ENTRY: Final = Kind.FAILED
_READ_HERE_ENTRY: Final = Kind.READ_HERE
_ACCEPTED: Final = State.ACCEPTED


class RoomLog:
    """A room, with what was sent to it.

    Attributes:
        state: the room.
        messages: what was sent to it, by place; None for what is not there any more.
        base: the place before that of the first of these.
    """

    __slots__ = ("base", "messages", "state")

    def __init__(self, state: RoomState) -> None:
        self.state = state
        self.messages: list[Message | None] = []
        self.base = 0

    def append(self, message: "Message") -> int:
        """Give a message the next place. Returns the place."""
        self.state.last = place = self.state.last + 1
        self.messages.append(message)
        return place

    def orphans(self, name: bytes, ident: bytes) -> list["Message"]:
        """What was sent under an Id by members with a name, in lower case, who were removed since; the newest first."""
        return [
            message
            for message in reversed(self.messages)
            if message is not None
            and message.id == ident != b""
            and message.sender is None
            and message.sender_name.lower() == name
        ]

    def remove(self, place: int) -> None:
        """Remove what was sent at a place; the place stays unused."""
        self.messages[place - self.base - 1] = None
        front = 0
        while front < len(self.messages) and self.messages[front] is None:
            front += 1
        del self.messages[:front]
        self.base += front


class Special:
    """What only few messages have.

    Attributes:
        room: the room that it was sent to; None if it was not sent to one, or the room is gone.
        room_name: the name of that room as it is shown; empty if it was not sent to one.
        place: its place in the room; 0 if it was not sent to one.
        is_quiet: whether it does not count as unread.
        is_apart: whether it is in no conversation.
        mentions: the members who are mentioned.
        action, about: as in Append.
        edits: the messages that edited it.
        is_deleted: whether it was deleted.
        shut_out: the recipients who have blocked its sender, as long as it does not expire.
        failed: the recipients who will not get it, if it was sent to several.
    """

    __slots__ = (
        "about",
        "action",
        "edits",
        "failed",
        "is_apart",
        "is_deleted",
        "is_quiet",
        "mentions",
        "place",
        "room",
        "room_name",
        "shut_out",
    )

    def __init__(self) -> None:
        self.room: RoomLog | None = None
        self.room_name = b""
        self.place = 0
        self.is_quiet = False
        self.is_apart = False
        self.mentions: set[int] = set()
        self.action = Action.NONE
        self.about = b""
        self.edits: list[Message] = []
        self.is_deleted = False
        self.shut_out: list[Mailbox] = []
        self.failed: list[Mailbox] = []


class Message:
    """A message. All messages are a list in the order in which they came, which begins and ends at `Logs.ends`.

    Attributes:
        number: its number.
        sender: the member who sent it; None if that was a guest, or is not a member any more.
        sender_name, device, id, recipient, headers, body, time: as in Append.
        total: its recipients; guests count as one.
        waiting: those who do not have it and still may.
        failed: those who never will.
        reason: of the last failure.
        state: what became of it.
        sent: the number of its SENT entry, in the sender's log.
        told: the number of its DELIVERED or FAILED entry there; 0 if there is none yet.
        mailbox: the first member who was sent it; None if there is none.
        received: the number of its RECEIVED entry, in that member's log.
        others: the logs and numbers of its other entries, if it has any.
        before: the message that came before it.
        after: the message that came after it.
        size: the bytes of its body, when it came.
        special: what only few messages have; None for all others.
    """

    __slots__ = (
        "after",
        "before",
        "body",
        "device",
        "failed",
        "headers",
        "id",
        "mailbox",
        "number",
        "others",
        "reason",
        "received",
        "recipient",
        "sender",
        "sender_name",
        "sent",
        "size",
        "special",
        "state",
        "time",
        "told",
        "total",
        "waiting",
    )

    def __init__(
        self, number: int, sender: "Mailbox | None", request: Append, total: int, failed: int, reason: str
    ) -> None:
        self.number = number
        self.sender = sender
        self.sender_name = request.sender_name
        self.device = request.device
        self.id = request.id
        self.recipient = request.recipient
        self.headers = request.headers
        self.body = request.body
        self.time = request.time
        self.total = total
        self.waiting = total - failed
        self.failed = failed
        self.reason = reason
        self.state = _ACCEPTED
        self.sent = 0
        self.told = 0
        self.mailbox: Mailbox | None = None
        self.received = 0
        self.others: list[tuple[Mailbox, int]] | None = None
        self.before = self
        self.after = self
        self.size = len(request.body)
        self.special: Special | None = None

    def make_special(self) -> Special:
        """What only few messages have, which this one has from now on."""
        special = self.special
        if special is None:
            special = self.special = Special()
        return special

    def is_in_room(self) -> bool:
        """Whether it can be read in a room."""
        return self.special is not None and self.special.room is not None

    def conversation(self) -> bytes:
        """In which conversation it is for those who received it: a name in lower case, or nothing."""
        special = self.special
        if special is not None:
            if special.place:
                return special.room_name.lower()
            if special.is_apart:
                return b""
        return self.sender_name.lower()

    def weight(self, member: int) -> int:
        """How a member who received it counts it: 0 not as unread, 1 as unread, 2 as one that mentions the member."""
        special = self.special
        if special is None:
            return 1
        if special.is_quiet:
            return 0
        return 2 if member in special.mentions else 1

    def add_entry(self, box: "Mailbox", seq: int) -> None:
        """Note an entry for which there is no attribute of its own."""
        if self.others is None:
            self.others = []
        self.others.append((box, seq))

    def seqs_in(self, box: "Mailbox") -> "list[int]":
        """The numbers of its SENT and RECEIVED entries in a log."""
        found: list[int] = []
        if self.sender is box and box.is_about(self.sent, self):
            found.append(self.sent)
        if self.mailbox is box and box.is_about(self.received, self):
            found.append(self.received)
        if self.others is not None:
            for other, seq in self.others:
                if other is box and box.is_about(seq, self) and box.kind(seq) == RECEIVED:
                    found.append(seq)
        return found

    def entries(self) -> "list[tuple[Mailbox, int]]":
        """The logs that have entries about the message, and the numbers of these, as far as they are still there."""
        noted: list[tuple[Mailbox, int]] = []
        if self.sender is not None:
            noted += ((self.sender, self.sent), (self.sender, self.told))
        if self.mailbox is not None:
            noted.append((self.mailbox, self.received))
        if self.others is not None:
            noted += self.others
        return [(box, seq) for box, seq in noted if box.is_about(seq, self)]


def no_message() -> Message:
    """What stands where a message is expected and there is none."""
    return Message(0, None, Append(None, b"", b"", b"", b"", (), False, b"", b"", 0.0), 0, 0, "")


_NOTHING: Final = no_message()
"""In place of the message of an entry that is not there any more."""


class DeviceState:
    """A device of a member.

    Attributes:
        cursor: the last entry that it has; NEVER if it has not received yet.
        token: the hash of its token; None if it has none.
        seen: when it was last heard of.
    """

    __slots__ = ("cursor", "seen", "token")

    def __init__(self, seen: float) -> None:
        self.cursor = NEVER
        self.token: bytes | None = None
        self.seen = seen


class Setting:
    """How a conversation is set (rule 14.3): the peer's name as it was given, and what was said of it."""

    __slots__ = ("blocked", "muted", "name")

    def __init__(self, name: bytes, muted: bool, blocked: bool) -> None:
        self.name = name
        self.muted = muted
        self.blocked = blocked


class Mailbox:
    """A member, with its log and its devices.

    Attributes:
        member: the member, as it is told to those who ask.
        number: the member's number.
        last: the number of the newest entry.
        mark: the entry up to which some device has them all: all messages up to it are delivered. No cursor is past it.
        floor: the entry up to which all devices that receive have them all; without any, `mark`. What came after it
            is in the mailbox (rule 11.13).
        entries: the messages in the mailbox.
        size: the bytes of their bodies.
        base: the number of the last entry that was dropped from the front of the log.
        kinds: for each entry after that its Kind, or GONE. A list, since mypyc knows no bytearrays.
        messages: for each of them, the message that it is about.
        taken: entries of messages that were delivered though they are past the mark, because they were read.
        here: for each READ_HERE entry, the device and up to where was read.
        reading: for each peer, the entry up to which the member has read its messages.
        ids: the messages that the member has sent with an Id, by this.
        rooms: the rooms that the member is in, by name in lower case.
        settings: the conversations that are muted or blocked, by name in lower case.
        blocked: those of them that are blocked.
        shut_out: messages that are waited for, though the member has blocked their sender and does not get them.
        written: the members to whom it has written, by number.
        writers: the members who have written to it, by number.
        is_shown: whether others may see that the member is here.
        devices: the devices, by name.
        receiving: those that receive.
    """

    __slots__ = (
        "_gone",
        "_indexed",
        "_peers",
        "base",
        "blocked",
        "devices",
        "entries",
        "floor",
        "here",
        "ids",
        "is_shown",
        "kinds",
        "last",
        "mark",
        "member",
        "messages",
        "number",
        "reading",
        "receiving",
        "rooms",
        "settings",
        "shut_out",
        "size",
        "taken",
        "writers",
        "written",
    )

    def __init__(self, member: Member) -> None:
        self.member = member
        self.number = member.number
        self.last = 0
        self.mark = 0
        self.floor = 0
        self.entries = 0
        self.size = 0
        self.base = 0
        self.kinds: list[int] = []
        self.messages: list[Message] = []
        self.taken: set[int] = set()
        self.here: dict[int, tuple[bytes, int]] = {}
        self.reading: dict[bytes, int] = {}
        self.ids: dict[bytes, Message] = {}
        self.devices: dict[bytes, DeviceState] = {}
        self.receiving: list[DeviceState] = []
        self.rooms: dict[bytes, RoomLog] = {}
        self.settings: dict[bytes, Setting] = {}
        self.blocked: set[bytes] = set()
        self.shut_out: dict[int, Message] = {}
        self.written: set[int] = set()
        self.writers: set[int] = set()
        self.is_shown = True
        self._gone = 0
        self._peers: dict[bytes, array[int]] = {}
        self._indexed = 0

    # The log

    def append(self, kind: int, message: Message) -> int:
        """Append an entry. Returns its number."""
        self.last = seq = self.last + 1
        self.kinds.append(kind)
        self.messages.append(message)
        return seq

    def kind(self, seq: int) -> int:
        """The kind of an entry that was appended; GONE if it is not there any more."""
        return self.kinds[seq - self.base - 1] if seq > self.base else GONE

    def message(self, seq: int) -> Message:
        """The message that an entry is about, which is there."""
        return self.messages[seq - self.base - 1]

    def is_about(self, seq: int, message: Message) -> bool:
        """Whether an entry is still there. The message is the one that it was appended for."""
        return self.base < seq <= self.last and self.messages[seq - self.base - 1] is message

    def remove(self, seq: int) -> None:
        """Remove an entry that is there; its number stays unused."""
        self.kinds[seq - self.base - 1] = GONE
        self.messages[seq - self.base - 1] = _NOTHING
        self.here.pop(seq, None)
        self._gone += 1
        if self._gone * 2 > len(self.kinds):  # seldom enough that it costs next to nothing for each entry
            self._gone = 0
            self._shorten()

    def _shorten(self) -> None:
        """Drop what is gone from the front of the log."""
        front = 0
        while front < len(self.kinds) and self.kinds[front] == GONE:
            front += 1
        del self.kinds[:front]
        del self.messages[:front]
        self.base += front
        self._peers.clear()
        self._indexed = self.base

    def clear(self) -> list[Message]:
        """Remove all entries, for a member that is no more. Returns the messages that they were about."""
        messages = self.messages
        self.base = self.last
        self.kinds = []
        self.messages = []
        return messages

    def entry(self, seq: int) -> Entry:
        """An entry that is there, with what is known of its message now."""
        kind, message = Kind(self.kind(seq)), self.message(seq)
        number, ident, headers, body = message.number, message.id, message.headers, message.body
        state, time, special = message.state, message.time, message.special
        room, place = (b"", 0) if special is None else (special.room_name, special.place)
        if kind is _RECEIVED_ENTRY:
            name = message.sender_name
            return Entry(
                self.number, seq, kind, number, name, ident, headers, body, b"", 0, "", state, time, room, place
            )
        if kind is _SENT_ENTRY:
            to, device = message.recipient, message.device
            return Entry(
                self.number, seq, kind, number, to, ident, headers, body, device, 0, "", state, time, b"", place
            )
        if kind is _READ_HERE_ENTRY:
            device, up_to = self.here[seq]
            return Entry(self.number, seq, kind, number, room or message.sender_name, device=device, up_to=up_to)
        reason = message.reason if kind is _FAILED_ENTRY else ""
        return Entry(self.number, seq, kind, number, message.recipient, ident, reason=reason)

    def with_peer(self, peer: bytes) -> "array[int]":
        """The numbers of all messages to and from a peer, also of those that are gone.

        Args:
            peer: the peer, in lower case.
        """
        # Who never asks does not pay for it: what was appended since it was last asked for is put in order now.
        self._index()
        return self._peers.get(peer) or array("q")

    def peers(self) -> "dict[bytes, array[int]]":
        """What `with_peer` says of each peer."""
        self._index()
        return self._peers

    def _index(self) -> None:
        peers, kinds, messages, base = self._peers, self.kinds, self.messages, self.base
        for index in range(self._indexed - base, self.last - base):
            if kinds[index] == RECEIVED:
                other = messages[index].conversation()
                if not other:
                    continue
            elif kinds[index] == SENT:
                other = messages[index].recipient.lower()
            else:
                continue
            numbers = peers.get(other)
            if numbers is None:
                numbers = peers[other] = array("q")
            numbers.append(base + index + 1)
        self._indexed = self.last

    # The mailbox

    def is_needed(self, seq: int) -> bool:
        """Whether a device does not have an entry yet, or the mailbox of a member without devices has it."""
        return seq > self.floor and (self.kind(seq) == RECEIVED or bool(self.receiving))

    def waits(self, seq: int) -> bool:
        """Whether an entry is a message that was not delivered to this member."""
        return seq > self.mark and self.kind(seq) == RECEIVED and seq not in self.taken

    def held(self, after: int, up_to: int) -> tuple[int, int]:
        """How many messages came past one entry and up to another, and the bytes of their bodies."""
        entries = size = 0
        for index in range(max(after - self.base, 0), up_to - self.base):
            if self.kinds[index] == RECEIVED:
                entries += 1
                size += self.messages[index].size
        return entries, size

    def lowest_cursor(self) -> int:
        """The entry up to which all devices that receive have them all; without any, `mark`."""
        return min([device.cursor for device in self.receiving]) if self.receiving else self.mark

    def count(self) -> None:
        """Find out anew what is in the mailbox, after its devices have changed."""
        self.floor = self.lowest_cursor()
        self.entries, self.size = self.held(self.floor, self.last)
