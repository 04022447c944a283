"""The rules of delivery: who gets a message, and what becomes of it (docs/protocol.md, sections 11 and 14).

Theory. A member's log is a list of entries with the numbers 1, 2, 3 ... (Seq). Each device of the member has a cursor:
the last entry that it has. A message is delivered to the member when the first device has it, so `Mailbox.delivered`,
up to which everything is delivered, is never below a cursor. It leaves the mailbox, which is what quotas count, when
the last device has it: `Mailbox.held_after`.

A message waits for each of its recipients (`MessageRecord.waiting`) until that recipient has it or never will. When it
waits for no recipient any more, it is delivered, or failed if at least one recipient will not get it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from twotick.store.port import StoreLimits
from twotick.store.requests.messages import Append, MessageAction, MessageState, Progress
from twotick.store.rules import bots
from twotick.store.rules.bots import BotRights
from twotick.store.rules.errors import NotAllowed

EXPIRED: Final = "expired"
REFUSED: Final = "refused"
HELD_ELSEWHERE: Final = "this server had lost its database, and another one has your name"
UNSURE: Final = "it is not known whether the message arrived"
RESTARTED: Final = "the server was restarted: it is not known whether the message arrived"

UNREAD_NONE: Final = 0
UNREAD: Final = 1
UNREAD_MENTION: Final = 2
"""How a message that came counts as unread: not at all, as one, or as one that mentions the member (rule 14.2)."""

_RECENT: Final = 256
"""The most messages that a mailbox remembers, about 200 bytes each."""

NO_MEMBER: Final = 0
"""In place of a member's number: all guests, and members who were removed."""

# An empty set takes 200 bytes, and most mailboxes have some.
_NO_NAMES: Final = frozenset[bytes]()
_NO_MEMBERS: Final = frozenset[int]()


@dataclass(slots=True, eq=False)
class MessageRecord:
    """A message, as far as the rules about its outcome need it.

    Attributes:
        number: the store's number.
        sender: the member who sent it; None for a guest, or for a member who was removed.
        id: its Id; empty for none.
        recipient: the recipient as the sender wrote it.
        size: the bytes of its body.
        total: how many recipients it has; all guests together count as one.
        waiting: recipients who do not have it and still may.
        failed: recipients who never will.
        reason: why the last of these will not.
        room: the number of the room that it was sent to; None for none.
        time: when it was accepted, in seconds since 1970.
        expires: when it expires, in seconds since 1970, unless it was delivered; None for never.
    """

    number: int
    sender: int | None
    id: bytes
    recipient: bytes
    size: int
    total: int
    waiting: int
    failed: int
    reason: str
    room: int | None
    time: float
    expires: float | None

    @property
    def is_event(self) -> bool:
        """Whether it tells a member of an event, and has no sender."""
        return self.sender is None and not self.id and self.expires is None


@dataclass(slots=True)
class Held:
    """Messages: how many, and the bytes of their bodies."""

    entries: int = 0
    size: int = 0


@dataclass(slots=True)
class PartCount:
    """Messages that were counted by sender, as far as the count has come.

    Attributes:
        up_to: how far it has come: a Seq of the log, or the number of a message.
        held: what was counted, by the number of the sender (NO_MEMBER for guests).
    """

    up_to: int
    held: dict[int, Held] = field(default_factory=dict[int, Held])


class Mailbox:
    """A member and its log, as far as the rules need them.

    Attributes:
        number: the member's number.
        name: the member's name.
        folded: the name in lower case.
        blocked: the names of blocked users, in lower case.
        disabled: whether the member is disabled (rule 10.11).
        last: the Seq of the newest entry.
        delivered: the Seq up to which every message is delivered. No cursor is past it.
        cursors: the Seq that each device has, by device; devices that never received are missing.
        held_after: the Seq up to which all devices have everything; `delivered` without devices.
        entries: how many messages are in the mailbox (rule 11.13).
        size: the bytes of their bodies.
        rights: what it may do, if it is a bot; None if it is none.
        recent: messages that came past `recent_after`, each with its Seq. Most messages are acknowledged so soon that
            reading them from the database again would be a waste.
        recent_after: the Seq up to which messages are not in `recent`.
        sizes: the bytes of messages in the mailbox past `sizes_after`, each with its Seq.
        sizes_after: the Seq up to which messages are not in `sizes`.
        written_to: some of the members to whom the member has written.
        shares: what is in the mailbox of each sender, by number (NO_MEMBER for guests); None if it was not counted.
        withheld: what waits for the member of senders whom the member has blocked, by number, and invitations that are
            kept from the member; None if it was not counted. It is not in the mailbox.
        shares_part: a count of `shares` that is under way, up to a Seq; None for none.
        withheld_part: a count of `withheld` that is under way, up to the number of a message; None for none.
    """

    __slots__ = (
        "blocked",
        "cursors",
        "delivered",
        "disabled",
        "entries",
        "folded",
        "held_after",
        "last",
        "name",
        "number",
        "recent",
        "recent_after",
        "rights",
        "shares",
        "shares_part",
        "size",
        "sizes",
        "sizes_after",
        "withheld",
        "withheld_part",
        "written_to",
    )

    def __init__(
        self,
        number: int,
        name: str,
        last: int,
        delivered: int,
        entries: int,
        size: int,
        cursors: dict[str, int],
        blocked: frozenset[bytes],
    ):
        self.number = number
        self.name = name
        self.folded = name.lower().encode()
        self.blocked = blocked or _NO_NAMES
        self.disabled = False
        self.last = last
        self.delivered = delivered
        self.entries = entries
        self.size = size
        self.cursors = cursors
        self.held_after = min(cursors.values()) if cursors else delivered
        self.rights: BotRights | None = None
        self.recent: list[tuple[int, MessageRecord]] = []
        self.recent_after = last
        self.sizes: list[tuple[int, int]] = []
        self.sizes_after = last
        self.written_to: frozenset[int] = _NO_MEMBERS
        self.shares: dict[int, Held] | None = None
        self.withheld: dict[int, Held] | None = None
        self.shares_part: PartCount | None = None
        self.withheld_part: PartCount | None = None

    def append(self) -> int:
        """Return the Seq of one more entry."""
        self.last = seq = self.last + 1
        return seq

    def receive(self, message: MessageRecord, payer: int) -> int:
        """Return the Seq of one more message that came, and count it for a member, or for NO_MEMBER."""
        self.last = seq = self.last + 1
        self.entries += 1
        self.size += message.size
        if self.shares is not None:
            _count(self.shares, payer, message.size, 1)
        if len(self.sizes) == _RECENT:
            self.forget_recent()
        else:
            self.recent.append((seq, message))
            self.sizes.append((seq, message.size))
        return seq

    def withdraw(self, seq: int, message: MessageRecord) -> None:
        """Uncount a message that leaves the log before any device has it; `seq` is that of its entry."""
        self.forget_recent()
        self.entries -= 1
        self.size -= message.size
        if message.is_event:
            self.shares = self.shares_part = None  # it does not say for whom it counts
        elif (held := _counted(self.shares, self.shares_part, seq)) is not None:
            _count(held, message.sender or NO_MEMBER, message.size, -1)

    def withhold(self, message: MessageRecord, payer: int, change: int) -> None:
        """Count a message that is kept from the member (1), or uncount it (-1), for another member or NO_MEMBER."""
        held = _counted(self.withheld, self.withheld_part, message.number)
        if held is not None:
            _count(held, payer, message.size, change)

    def forget_recent(self) -> None:
        """Drop the recent messages; later reads go to the database."""
        self.recent.clear()
        self.recent_after = self.last
        self.sizes.clear()
        self.sizes_after = self.last

    def take_recent(self, up_to: int) -> list[tuple[int, MessageRecord]]:
        """Take the recent messages up to a Seq out of `recent`, each with its Seq."""
        taken: list[tuple[int, MessageRecord]] = []
        recent = self.recent
        while recent and recent[0][0] <= up_to:
            taken.append(recent.pop(0))
        return taken

    def take_sizes(self, up_to: int) -> tuple[int, int]:
        """Take what is in the mailbox up to a Seq out of `sizes`. Return the number of messages and their bytes."""
        entries = size = 0
        sizes = self.sizes
        while sizes and sizes[0][0] <= up_to:
            seq, body = sizes.pop(0)
            if seq > self.held_after:
                entries += 1
                size += body
        return entries, size

    def release(self, up_to: int, entries: int, size: int) -> None:
        """Uncount messages up to a Seq, which all devices have."""
        self.sizes_after = max(self.sizes_after, up_to)
        self.held_after = up_to
        self.entries -= entries
        self.size -= size

    def note_written_to(self, other: int) -> None:
        """Remember that the member has written to another."""
        self.written_to = frozenset({other}) if len(self.written_to) == _RECENT else self.written_to | {other}


def is_full(box: Mailbox, size: int, limits: StoreLimits, *, is_blocked: bool = False) -> bool:
    """Tell whether a mailbox takes no message with a body of that many bytes from anyone (rule 11.13).

    To blocked senders, what all of them have sent counts as if it were in the mailbox, so that none of them can tell
    (rule 14.4).
    """
    entries, stored = box.entries, box.size
    if is_blocked and box.withheld is not None:
        entries += sum(each.entries for each in box.withheld.values())
        stored += sum(each.size for each in box.withheld.values())
    return entries >= limits.mailbox_entries or stored + size > limits.mailbox_bytes


def _counted(held: dict[int, Held] | None, part: PartCount | None, place: int) -> dict[int, Held] | None:
    """Return the count that a message at a place is in; None if it was not counted, or not yet."""
    return part.held if part is not None and place <= part.up_to else held


def _count(held: dict[int, Held], payer: int, size: int, change: int) -> None:
    """Count a message with a body of so many bytes once more (1) or less (-1)."""
    own = held.setdefault(payer, Held())
    own.entries += change
    own.size += change * size


def may_exceed_share(box: Mailbox, name: bytes, size: int, limits: StoreLimits) -> bool:
    """Tell whether what is in a mailbox must be counted by sender before one more message comes (rule 11.13).

    Args:
        box: the mailbox.
        name: the sender's name, in lower case.
        size: the bytes of the body.
        limits: the quotas.
    """
    if box.shares is not None and box.withheld is not None:
        return False
    return (
        box.entries >= limits.sender_entries
        or box.size + size > limits.sender_bytes
        or (bool(box.blocked) and name in box.blocked)
    )


def why_full(box: Mailbox, sender: int, size: int, limits: StoreLimits, *, is_blocked: bool) -> str:
    """Return why a mailbox takes no more of a sender; empty if it does (rules 11.13 and 14.4).

    Args:
        box: the mailbox.
        sender: the member who sends, or NO_MEMBER.
        size: the bytes of the body.
        limits: the quotas.
        is_blocked: whether the owner of the mailbox has blocked the sender.
    """
    own = None if box.shares is None else box.shares.get(sender)
    own_entries, own_size = (0, 0) if own is None else (own.entries, own.size)
    if is_blocked and box.withheld is not None:
        withheld = box.withheld.get(sender, Held())
        own_entries, own_size = own_entries + withheld.entries, own_size + withheld.size
    if is_full(box, size, limits, is_blocked=is_blocked):
        return f"the mailbox of {box.name} is full"
    if own_entries >= limits.sender_entries or own_size + size > limits.sender_bytes:
        whose = "you have sent" if sender else "guests have sent"
        return f"too much of what {whose} waits in the mailbox of {box.name}"
    return ""


def is_nearly_full(entries: int, size: int, limits: StoreLimits) -> bool:
    """Tell whether a mailbox with so many messages and bytes is three quarters full."""
    return entries * 4 > limits.mailbox_entries * 3 or size * 4 > limits.mailbox_bytes * 3


@dataclass(slots=True)
class Recipients:
    """How a message is distributed.

    Attributes:
        total: how many recipients it has, including members who were removed; all guests together count as one.
        boxes: the members who get it.
        blocking: the members who have blocked its sender.
        full: the members whose mailbox is full.
        waiting: how many recipients it waits for.
        reason: why another recipient does not get it.
    """

    total: int
    waiting: int
    boxes: list[Mailbox] = field(default_factory=list[Mailbox])
    blocking: list[Mailbox] = field(default_factory=list[Mailbox])
    full: list[Mailbox] = field(default_factory=list[Mailbox])
    reason: str = ""


def takes(box: Mailbox, peer: bytes) -> bool:
    """Tell whether a member gets what is sent in a conversation; a bot may not (rule 21.3).

    Args:
        box: the member.
        peer: the room, or else the sender, in lower case.
    """
    return box.rights is None or peer in box.rights.reads


def without_bots(request: Append, boxes: Sequence[Mailbox | None], room: bytes | None) -> Sequence[Mailbox | None]:
    """Return the members that a message is for, without bots that do not read there (rule 21.3).

    Args:
        request: the message.
        boxes: the members; None for one who was removed.
        room: the room that it is sent to, in lower case; None for none.

    Raises:
        NotAllowed: it is for such a bot alone.
    """
    peer = request.sender_name.lower() if room is None else room
    left = [box for box in boxes if box is None or takes(box, peer)]
    if boxes and not left and not request.live and room is None and request.recipient.lower() != b"all":
        raise NotAllowed(bots.takes_nothing(request.recipient.decode("ascii", "replace")))
    return left


def choose_recipients(
    request: Append, boxes: Sequence[Mailbox | None], limits: StoreLimits, *, is_room: bool
) -> Recipients:
    """Decide who gets a message (rules 10.11, 11.13 and 14.4).

    Args:
        request: the message.
        boxes: the members it is for; None for one that was removed.
        limits: the quotas.
        is_room: whether it is to a room, where blocking has no effect.

    Raises:
        NotAllowed: no recipient gets it, and the sender may know why.
    """
    name = request.sender_name.lower()
    to = Recipients(len(boxes) + request.live, int(request.live))
    for box in boxes:
        if box is None:
            to.reason = "the recipient is not a member any more"
            continue
        if box.disabled and not is_room and request.action is not MessageAction.DELETE:
            to.reason = f"{box.name} is disabled, and cannot get messages"
            continue
        is_blocked = bool(box.blocked) and not is_room and name in box.blocked
        if is_blocked and request.recipient.lower() == b"all":
            to.total -= 1  # as if the member were not connected
        elif is_blocked and request.sender is None and not request.id:
            raise NotAllowed(not_connected(request.recipient))  # a classic guest's
        elif full := why_full(box, request.sender or NO_MEMBER, len(request.body), limits, is_blocked=is_blocked):
            to.reason = full
            to.full.append(box)
        elif is_blocked:
            to.blocking.append(box)
        else:
            to.boxes.append(box)
    to.waiting += len(to.boxes) + len(to.blocking)
    if to.reason and not to.waiting:
        raise NotAllowed(to.reason)
    return to


def choose_some(request: Append, boxes: Sequence[Mailbox | None], limits: StoreLimits) -> Recipients:
    """Decide how some of the members get a message that others have already; the arguments are as above."""
    to = choose_recipients(replace(request, live=True), boxes, limits, is_room=False)
    to.total -= 1
    to.waiting -= 1
    return to


def readers_of(sender: int | None, to: Recipients) -> bytes:
    """Return the members in whose logs a message is put, as numbers with spaces between them."""
    readers = {box.number for box in to.boxes}
    if sender is not None:
        readers.add(sender)
    return " ".join(map(str, readers)).encode()


def not_connected(recipient: bytes) -> str:
    """Return why a message to a name that no member and no connected guest has is refused."""
    return f"{recipient.decode('ascii', 'replace')} is not connected"


def unread_weight(box: Mailbox, *, sender: int | None, is_plain: bool, mentioned: set[bytes] | frozenset[bytes]) -> int:
    """Return how a message counts as unread for a member (rules 14.1 and 14.2).

    Args:
        box: the member.
        sender: the member who sent it; None for a guest.
        is_plain: whether it is a message of its own, and does not change another.
        mentioned: the names that it mentions, in lower case.
    """
    if not is_plain or sender == box.number:
        return UNREAD_NONE
    return UNREAD_MENTION if box.folded in mentioned else UNREAD


def settle(message: MessageRecord, failure: str | None) -> Progress | None:
    """Note that one recipient has a message, or never will.

    Args:
        message: the message.
        failure: why that recipient will not get it; None if it has it.

    Returns:
        What the sender of a message to a room is told (rule 12.6), while others are waited for.
    """
    message.waiting -= 1
    if failure is not None:
        message.failed += 1
        message.reason = failure
        return None
    if message.room is None or not message.waiting or message.sender is None:
        return None
    have = message.total - message.waiting - message.failed
    return Progress(message.sender, message.number, message.recipient, message.id, have, message.total)


def is_over(message: MessageRecord, time: float, since: float) -> bool:
    """Tell whether the time of a message is over for recipients who do not have it (rule 11.10).

    Args:
        message: the message.
        time: now, in seconds since 1970.
        since: leave alone what was there before this time, in seconds since 1970.
    """
    expires = message.expires
    return expires is not None and since <= expires <= time and message.time >= since


def conclude(message: MessageRecord) -> MessageState:
    """Return how a message stands; complete its reason if it waits for no recipient any more."""
    if message.waiting:
        return MessageState.ACCEPTED
    if not message.failed:
        return MessageState.DELIVERED
    if message.total > 1:
        message.reason += f"; {message.total - message.failed} of {message.total} have it"
    return MessageState.FAILED


def advance(box: Mailbox, device: str, seq: int) -> tuple[int, int] | None:
    """Move a device's cursor up to an entry (rule 11.3).

    Returns:
        The range of entries (after the first Seq, up to the second) that no device had before, which may be empty. None
        if the device does not receive, or has them all already: then nothing changes.
    """
    cursor = box.cursors.get(device)
    seq = min(seq, box.last)
    if cursor is None or seq <= cursor:
        return None
    box.cursors[device] = seq
    before = box.delivered
    box.delivered = max(before, seq)
    return before, box.delivered


def held_after(box: Mailbox) -> int:
    """Return the Seq up to which all devices of a member have everything."""
    return min(box.cursors.values()) if box.cursors else box.delivered


def machine_of(device: str) -> str:
    """Return the first part of a device's name, which all devices on one machine have (rule 10.10)."""
    return device.partition("/")[0]


def with_below(box: Mailbox, device: str) -> list[str]:
    """Return those of a device, and of the devices whose names begin with its name and `/`, that receive."""
    below = device + "/"
    return [name for name in box.cursors if name == device or name.startswith(below)]


def is_needed(box: Mailbox, seq: int, *, came: bool) -> bool:
    """Tell whether retention must keep an entry: a device does not have it yet, or no device ever came for it.

    Args:
        box: whose log it is in.
        seq: its number.
        came: whether it is a message that came.
    """
    return seq > box.held_after and (came or bool(box.cursors))


def is_read_now(message: MessageRecord, state: MessageState, peer: bytes, box: Mailbox) -> bool:
    """Tell whether a message becomes READ when its recipient reads it (rule 11.8).

    A message to several recipients does not, nor does one whose sender the reader has blocked.
    """
    return message.total == 1 and message.room is None and state != MessageState.READ and peer not in box.blocked


def receipt_state(*, is_waiting: bool, was_read: bool) -> MessageState:
    """Return what became of a message for a member in whose log it is (rule 12.7)."""
    if is_waiting:
        return MessageState.ACCEPTED
    return MessageState.READ if was_read else MessageState.DELIVERED


def refuse_device(devices: Sequence[str], device: str, limits: StoreLimits) -> str | None:
    """Return why a member cannot have one more device; None if it can, or if it has that device (rule 10.6)."""
    if device not in devices and len(devices) >= limits.devices:
        return f"too many devices; a member has at most {limits.devices}"
    return None
