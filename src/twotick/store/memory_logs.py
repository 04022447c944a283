"""All that is kept in memory, and what becomes of the messages in it (docs/protocol.md, section 11)."""

from collections.abc import Callable
from typing import Final

from twotick.store.memory_mailboxes import NEVER, RECEIVED, DeviceState, Mailbox, Message, RoomLog, no_message
from twotick.store.records import Entry, Kind, Outcome, Progress, State, StoreLimits

_DELIVERED_ENTRY: Final = Kind.DELIVERED
_FAILED_ENTRY: Final = Kind.FAILED
_DELIVERED: Final = State.DELIVERED
_FAILED: Final = State.FAILED


def _ignore(_: Message) -> None:
    """Nobody follows what becomes of messages."""


class Logs:
    """All logs, and all messages.

    Attributes:
        limits: what is kept at most.
        mailboxes: the members, by number.
        names: the members, by name in lower case.
        rooms: the rooms, by name in lower case.
        ends: stands before the first message and after the last one.
        live: messages of which it is not known what became of their live part, by number.
        looked_at: the message after which `Prune` goes on.
        before_change: called before a message is removed, or changed.
        after_change: called after it was changed.
    """

    __slots__ = (
        "after_change",
        "before_change",
        "ends",
        "limits",
        "live",
        "looked_at",
        "mailboxes",
        "names",
        "rooms",
    )

    def __init__(self, limits: StoreLimits) -> None:
        self.limits = limits
        self.mailboxes: dict[int, Mailbox] = {}
        self.names: dict[str, Mailbox] = {}
        self.rooms: dict[bytes, RoomLog] = {}
        self.ends = no_message()
        self.live: dict[int, Message] = {}
        self.looked_at = self.ends
        self.before_change: Callable[[Message], None] = _ignore
        self.after_change: Callable[[Message], None] = _ignore

    def add(self, message: Message) -> None:
        """Put a message that has come into the list of all."""
        ends = self.ends
        newest = ends.before
        message.before, message.after = newest, ends
        newest.after = ends.before = message

    def is_full(self, box: Mailbox, size: int) -> bool:
        """Whether a mailbox does not take one more message with that many bytes (rule 11.13)."""
        return box.entries >= self.limits.mailbox_entries or box.size + size > self.limits.mailbox_bytes

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
            if message.special is None or not message.special.place:
                outcome.guests.append((number, state, reason))
        else:
            message.told = seq = box.append(kind, message)
            outcome.entries.append(
                Entry(box.number, seq, kind, number, message.recipient, message.id, b"", b"", b"", 0, reason)
            )

    def note_progress(self, message: Message, outcome: Outcome) -> None:
        """One more recipient has a message, and others are waited for: who has sent it to a room is told (12.6)."""
        sender, special = message.sender, message.special
        if sender is not None and special is not None and special.place:
            have = message.total - message.waiting - message.failed
            progress = Progress(sender.number, message.number, message.recipient, message.id, have, message.total)
            if outcome.progress is None:
                outcome.progress = []
            outcome.progress.append(progress)

    def fail(self, message: Message, reason: str, outcome: Outcome) -> None:
        """One of a message's recipients will never have it."""
        message.waiting -= 1
        message.failed += 1
        message.reason = reason
        if not message.waiting:
            self.conclude(message, outcome)

    def give_up(self, box: Mailbox, message: Message, reason: str, outcome: Outcome) -> None:
        """Wait no longer for a member who has blocked a message's sender; it fails for this member."""
        special = message.make_special()
        special.shut_out.remove(box)
        del box.shut_out[message.number]
        if message.total > 1:
            special.failed.append(box)
        self.fail(message, reason, outcome)
        if message.sender is None:
            self.remove_if_unused(message)

    def withdraw(self, box: Mailbox, seq: int, reason: str, outcome: Outcome) -> None:
        """Take a message that a member waits for out of its log; it fails for this member."""
        message = box.message(seq)
        box.remove(seq)
        box.entries -= 1  # what no device has is past the floor
        box.size -= message.size
        if message.total > 1:
            message.make_special().failed.append(box)
        self.fail(message, reason, outcome)
        if message.sender is None:
            self.remove_if_unused(message)

    def remove_if_unused(self, message: Message) -> None:
        """Remove a message that is in no log any more, that nobody waits for, and that is not read in a room."""
        if not message.waiting and not message.is_in_room() and not message.entries():
            self.remove(message)

    def remove(self, message: Message) -> None:
        """Remove a message that is in no log."""
        self.before_change(message)
        if self.looked_at is message:
            self.looked_at = message.before
        message.before.after = message.after
        message.after.before = message.before
        if message.sender is not None and message.id:
            del message.sender.ids[message.id]
        special = message.special
        if special is not None:
            if special.room is not None:
                special.room.remove(special.place)
            for box in special.shut_out:
                del box.shut_out[message.number]
            special.shut_out = []

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
                    size += message.size
                    if taken and base + index + 1 in taken:
                        taken.remove(base + index + 1)
                        continue
                    message.waiting -= 1
                    if not message.waiting:
                        self.conclude(message, outcome)
                    elif message.special is not None:
                        self.note_progress(message, outcome)
        device.cursor = seq
        device.seen = time
        lowest = seq if len(box.receiving) == 1 else box.lowest_cursor()
        if lowest > floor:
            if floor != mark:
                entries, size = box.held(floor, lowest)
            box.floor = lowest
            box.entries -= entries
            box.size -= size
