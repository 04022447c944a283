"""The members' logs in memory, and what becomes of the messages in them (docs/protocol.md, section 11).

A log is two sequences side by side: of each entry, what kind it is, and the message that it is about. All else that an
entry shows is read from the message when somebody asks, so there is one object for each message and none for an entry.
"""

from array import array
from typing import Final

from twotick.store.records import Append, Entry, Kind, Member, Outcome, State, StoreLimits

GONE: Final = 0
"""In place of the kind of an entry that is not there any more."""
RECEIVED: Final = 1
SENT: Final = 2
READ_HERE: Final = 6

NEVER: Final = -1
"""The cursor of a device that has not received yet."""

_RECEIVED_ENTRY: Final = Kind.RECEIVED
_SENT_ENTRY: Final = Kind.SENT
_DELIVERED_ENTRY: Final = Kind.DELIVERED
_FAILED_ENTRY: Final = Kind.FAILED
_READ_HERE_ENTRY: Final = Kind.READ_HERE
_ACCEPTED: Final = State.ACCEPTED
_DELIVERED: Final = State.DELIVERED
_FAILED: Final = State.FAILED


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

    def add_entry(self, box: "Mailbox", seq: int) -> None:
        """Note an entry for which there is no attribute of its own."""
        if self.others is None:
            self.others = []
        self.others.append((box, seq))

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


_NOTHING: Final = Message(0, None, Append(None, b"", b"", b"", b"", (), False, b"", b"", 0.0), 0, 0, "")
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
        kinds: for each entry after that its Kind, or GONE.
        messages: for each of them, the message that it is about.
        taken: entries of messages that were delivered though they are past the mark, because they were read.
        here: for each READ_HERE entry, the device and up to where was read.
        reading: for each peer, the entry up to which the member has read its messages.
        ids: the messages that the member has sent with an Id, by this.
        devices: the devices, by name.
        receiving: those that receive.
    """

    __slots__ = (
        "_gone",
        "_indexed",
        "_peers",
        "base",
        "devices",
        "entries",
        "floor",
        "here",
        "ids",
        "kinds",
        "last",
        "mark",
        "member",
        "messages",
        "number",
        "reading",
        "receiving",
        "size",
        "taken",
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
        self.kinds = bytearray()
        self.messages: list[Message] = []
        self.taken: set[int] = set()
        self.here: dict[int, tuple[bytes, int]] = {}
        self.reading: dict[bytes, int] = {}
        self.ids: dict[bytes, Message] = {}
        self.devices: dict[bytes, DeviceState] = {}
        self.receiving: list[DeviceState] = []
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
        front = len(self.kinds) - len(self.kinds.lstrip(b"\0"))
        del self.kinds[:front]
        del self.messages[:front]
        self.base += front
        self._peers.clear()
        self._indexed = self.base

    def clear(self) -> list[Message]:
        """Remove all entries, for a member that is no more. Returns the messages that they were about."""
        messages = self.messages
        self.base = self.last
        self.kinds = bytearray()
        self.messages = []
        return messages

    def entry(self, seq: int) -> Entry:
        """An entry that is there, with what is known of its message now."""
        kind, message = Kind(self.kind(seq)), self.message(seq)
        number, ident, headers, body = message.number, message.id, message.headers, message.body
        state, time = message.state, message.time
        if kind is _RECEIVED_ENTRY:
            return Entry(
                self.number, seq, kind, number, message.sender_name, ident, headers, body, b"", 0, "", state, time
            )
        if kind is _SENT_ENTRY:
            to, device = message.recipient, message.device
            return Entry(self.number, seq, kind, number, to, ident, headers, body, device, 0, "", state, time)
        if kind is _READ_HERE_ENTRY:
            device, up_to = self.here[seq]
            return Entry(self.number, seq, kind, number, message.sender_name, device=device, up_to=up_to)
        reason = message.reason if kind is _FAILED_ENTRY else ""
        return Entry(self.number, seq, kind, number, message.recipient, ident, reason=reason)

    def with_peer(self, peer: bytes) -> "array[int]":
        """The numbers of all messages to and from a peer, also of those that are gone.

        Args:
            peer: the peer, in lower case.
        """
        # Who never asks does not pay for it: what was appended since it was last asked for is put in order now.
        peers, kinds, messages, base = self._peers, self.kinds, self.messages, self.base
        for index in range(self._indexed - base, self.last - base):
            if kinds[index] == RECEIVED:
                other = messages[index].sender_name.lower()
            elif kinds[index] == SENT:
                other = messages[index].recipient.lower()
            else:
                continue
            numbers = peers.get(other)
            if numbers is None:
                numbers = peers[other] = array("q")
            numbers.append(base + index + 1)
        self._indexed = self.last
        return peers.get(peer) or array("q")

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
                size += len(self.messages[index].body)
        return entries, size

    def lowest_cursor(self) -> int:
        """The entry up to which all devices that receive have them all; without any, `mark`."""
        return min([device.cursor for device in self.receiving]) if self.receiving else self.mark

    def count(self) -> None:
        """Find out anew what is in the mailbox, after its devices have changed."""
        self.floor = self.lowest_cursor()
        self.entries, self.size = self.held(self.floor, self.last)


class Logs:
    """All logs, and all messages.

    Attributes:
        limits: what is kept at most.
        mailboxes: the members, by number.
        ends: stands before the first message and after the last one.
        live: messages of which it is not known what became of their live part, by number.
        looked_at: the message after which `Prune` goes on.
    """

    __slots__ = ("ends", "limits", "live", "looked_at", "mailboxes")

    def __init__(self, limits: StoreLimits) -> None:
        self.limits = limits
        self.mailboxes: dict[int, Mailbox] = {}
        self.ends = Message(0, None, Append(None, b"", b"", b"", b"", (), False, b"", b"", 0.0), 0, 0, "")
        self.live: dict[int, Message] = {}
        self.looked_at = self.ends

    def add(self, message: Message) -> None:
        """Put a message that has come into the list of all."""
        ends = self.ends
        newest = ends.before
        message.before, message.after = newest, ends
        newest.after = ends.before = message

    # What becomes of a message

    def conclude(self, message: Message, outcome: Outcome) -> None:
        """Nobody is waited for any more: tell the sender, DELIVERED if all have the message, else FAILED."""
        box, number = message.sender, message.number
        kind, state, reason = _DELIVERED_ENTRY, _DELIVERED, ""
        if message.failed:
            if message.total > 1:
                message.reason += f"; {message.total - message.failed} of {message.total} have it"
            kind, state, reason = _FAILED_ENTRY, _FAILED, message.reason
        message.state = state
        if box is None:
            outcome.guests.append((number, state, reason))
        else:
            message.told = seq = box.append(kind, message)
            outcome.entries.append(
                Entry(box.number, seq, kind, number, message.recipient, message.id, b"", b"", b"", 0, reason)
            )

    def fail(self, message: Message, reason: str, outcome: Outcome) -> None:
        """One of a message's recipients will never have it."""
        message.waiting -= 1
        message.failed += 1
        message.reason = reason
        if not message.waiting:
            self.conclude(message, outcome)

    def withdraw(self, box: Mailbox, seq: int, reason: str, outcome: Outcome) -> None:
        """Take a message that a member waits for out of its log; it fails for this member."""
        message = box.message(seq)
        box.remove(seq)
        box.entries -= 1  # what no device has is past the floor
        box.size -= len(message.body)
        self.fail(message, reason, outcome)
        if message.sender is None:
            self.remove_if_unused(message)

    def remove_if_unused(self, message: Message) -> None:
        """Remove a message that is in no log any more and that nobody waits for."""
        if not message.waiting and not message.entries():
            self.remove(message)

    def remove(self, message: Message) -> None:
        """Remove a message that is in no log."""
        if self.looked_at is message:
            self.looked_at = message.before
        message.before.after = message.after
        message.after.before = message.before
        if message.sender is not None and message.id:
            del message.sender.ids[message.id]

    # Cursors

    def advance(self, box: Mailbox, device: DeviceState, seq: int, time: float, outcome: Outcome) -> None:
        """A device has all entries up to one (rule 11.3). What no device had before is delivered.

        Nothing happens if the device does not receive, or has them already.
        """
        if seq > box.last:
            seq = box.last
        if device.cursor == NEVER or seq <= device.cursor:
            return
        mark, floor = box.mark, box.floor
        entries = size = 0
        if seq > mark:
            box.mark = seq
            kinds, messages, base, taken = box.kinds, box.messages, box.base, box.taken
            for index in range(mark - base if mark > base else 0, seq - base):
                if kinds[index] == RECEIVED:
                    message = messages[index]
                    entries += 1
                    size += len(message.body)
                    if taken and base + index + 1 in taken:
                        taken.remove(base + index + 1)
                        continue
                    message.waiting -= 1
                    if not message.waiting:
                        self.conclude(message, outcome)
        device.cursor = seq
        device.seen = time
        lowest = seq if len(box.receiving) == 1 else box.lowest_cursor()
        if lowest > floor:
            if floor != mark:
                entries, size = box.held(floor, lowest)
            box.floor = lowest
            box.entries -= entries
            box.size -= size
