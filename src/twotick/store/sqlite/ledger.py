"""The members' logs: loads mailboxes and messages, applies the rules of delivery, and notes what these decide.

See rules/delivery.py for the rules, and docs/protocol.md, section 11.
"""

# ruff: noqa: S608 - statements are put together from constants of this package, never from input

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from twotick.store.requests.messages import Append, Duplicate, Effects, EntryKind, LogEntry, MessageState
from twotick.store.rules import delivery
from twotick.store.rules.bots import BotRights
from twotick.store.rules.delivery import NO_MEMBER, Held, Mailbox, MessageRecord, PartCount, Recipients
from twotick.store.sqlite.tables import NOT_YET, Tables

# SQLite takes a plain int faster than an enumeration's.
RECEIVED: Final = int(EntryKind.RECEIVED)
SENT: Final = int(EntryKind.SENT)

# In Python 3.11 it takes long to find a member of an enumeration.
_RECEIVED_ENTRY: Final = EntryKind.RECEIVED
_SENT_ENTRY: Final = EntryKind.SENT
_DELIVERED_ENTRY: Final = EntryKind.DELIVERED
_FAILED_ENTRY: Final = EntryKind.FAILED
_ACCEPTED: Final = MessageState.ACCEPTED
_FAILED: Final = MessageState.FAILED

OVER_WORK: Final = 16
"""What the removal of a message that is over counts as work (see `Tables.work`)."""

COUNT_WORK: Final = 1024
"""The work after which no more of mailboxes is counted by senders in one transaction (see `Tables.work`)."""

_COUNT_STEP: Final = 2048
"""The entries that are counted by sender at once."""

CURSOR_STEP: Final = 2048
"""The entries over which a cursor moves in one transaction."""

_NO_DEVICE: Final = bytearray()

MEMBERS: Final = "folded > '+'"
LEAVING: Final = "folded < '+'"
"""Which rows of the table `member` are members, and which are being removed: these have a `*` in place of a name."""

MESSAGE: Final = (
    "m.number, m.sender, m.id, m.recipient, m.size, m.total, m.waiting, m.failed, m.reason, m.room, m.time, m.expires"
)
"""The columns that make a MessageRecord; see `Ledger.message`."""


_PAYER: Final = (
    f"ifnull(m.sender, iif(m.id = x'' AND m.expires IS NULL, ifnull((SELECT number FROM member s WHERE s.{MEMBERS}"
    f" AND s.folded = lower(CAST(m.sender_name AS TEXT)) AND s.added <= m.time), {NO_MEMBER}), {NO_MEMBER}))"
)
"""For whom a message counts in a mailbox: its sender; for an event, the member who has caused it."""


@dataclass(slots=True, kw_only=True)
class NewMessage:
    """A message to be stored.

    Attributes:
        sender: the member who sends it; None for a guest or an event.
        sender_name: the sender's name as it is shown.
        recipient: the recipient as the sender wrote it.
        headers: its header lines.
        body: its body.
        time: when it was accepted, in seconds since 1970.
        total: how many recipients it has.
        waiting: how many of them it waits for.
        id: its Id; empty for none.
        expires: when it expires; None for never.
        live: whether guests get it.
        reason: why a recipient does not get it.
        room: the number of its room; None for none.
        room_name: the name of that room as it is shown.
        place: its place there.
        about: the number of the message that it edits or deletes; 0 for none.
        payer: for an event, the member for whom it counts in mailboxes (rule 11.13); else the sender. 0 for guests.
        readers: the numbers of the members in whose logs it is put; None for a message to a room, or an event.
        indexed: 0 if the word index is to have it, or `NOT_YET`.
    """

    sender: int | None
    sender_name: bytes
    recipient: bytes
    headers: bytes
    body: bytes
    time: float
    total: int
    waiting: int
    id: bytes = b""
    expires: float | None = None
    live: bool = False
    reason: str = ""
    room: int | None = None
    room_name: bytes = b""
    place: int = 0
    about: int = 0
    payer: int = NO_MEMBER
    readers: bytes | None = None
    indexed: int = 0


class Ledger:
    """All logs of a database, within a transaction.

    Args:
        tables: the database.
    """

    def __init__(self, tables: Tables):
        self.tables = tables
        self.limits = tables.limits
        self._cache = tables.cache
        self._stored_ids: set[tuple[int, bytes]] = set()  # of this batch's messages, those that are in the table

    # Loading

    def mailbox(self, member: int) -> Mailbox | None:
        """Return a member's mailbox; None if there is no such member."""
        box = self._cache.mailboxes.get(member)
        return box if box is not None else self._load("number = ?", member)

    def mailbox_named(self, name: bytes) -> Mailbox | None:
        """Return the mailbox of the member with a name, in any case; None if there is no such member."""
        folded = name.lower()
        number = self._cache.names.get(folded)
        if number is not None:
            return self.mailbox(number)
        return self._load("folded = ?", folded.decode("ascii", "replace"))

    def _load(self, which: str, key: int | str) -> Mailbox | None:
        # Nothing of a member that is not in the cache waits: the cache is forgotten only when nothing waits.
        direct = self.tables.direct
        row = direct(
            f"SELECT number, name, last, mark, entries, bytes, disabled, bot FROM member WHERE {which} AND {MEMBERS}"
            f"{self.tables.row_lock}",
            (key,),
        ).fetchone()
        if row is None:
            return None
        number, name, last, delivered, entries, size, disabled, is_bot = row
        cursors = dict(direct("SELECT name, cursor FROM device WHERE member = ? AND cursor IS NOT NULL", (number,)))
        blocked = frozenset(
            peer for (peer,) in direct("SELECT peer FROM conversation WHERE member = ? AND blocked = 1", (number,))
        )
        box = Mailbox(number, name, last, delivered, entries, size, cursors, blocked)
        box.disabled = bool(disabled)
        if is_bot:
            self.load_rights(box)
        return self._cache.add_mailbox(box)

    def load_rights(self, box: Mailbox) -> None:
        """Set what a bot may do."""
        rows = self.tables.direct("SELECT peer, sends, reads FROM bot_right WHERE member = ?", (box.number,)).fetchall()
        box.rights = BotRights(
            frozenset(bytes(peer) for peer, sends, _ in rows if sends),
            frozenset(bytes(peer) for peer, _, reads in rows if reads),
        )

    def message(self, columns: Sequence[Any]) -> MessageRecord:
        """Return the message with these columns (MESSAGE)."""
        return self._cache.share(MessageRecord(*columns))

    def look_up_ids(self, keys: list[tuple[int, bytes]]) -> None:
        """Find out which of these members' Ids are in the table; `duplicate` needs to know for each Id of a batch."""
        self._stored_ids = self.tables.stored_ids(keys)  # Ids that wait are known to `Tables.has_new_id`

    def duplicate(self, sender: int, request: Append) -> Duplicate | None:
        """Return what became of the message that a member has sent with the same Id (rule 11.7); None for none."""
        if (sender, request.id) not in self._stored_ids and not self.tables.has_new_id(sender, request.id):
            return None
        row = self.tables.read(
            "SELECT m.number, m.recipient, m.state, m.reason, ifnull(l.seq, 0), m.place, ifnull(c.headers, x'')"
            f" FROM message m LEFT JOIN log l ON l.message = m.number AND l.member = m.sender AND l.kind = {SENT}"
            " LEFT JOIN content c ON c.message = m.number"
            " WHERE m.sender = ? AND m.id = ? AND m.id <> x''",
            (sender, request.id),
        ).fetchone()
        if row is None:  # another request of this batch has removed the message
            return None
        number, recipient, state, reason, seq, place, headers = row
        same = recipient.lower() == request.recipient.lower()
        failure = reason if state == _FAILED else ""
        return Duplicate(number, same, MessageState(state), failure, seq, place, bytes(headers))

    # Storing

    def add(self, new: NewMessage) -> MessageRecord:
        """Store a message."""
        tables = self.tables
        number = tables.next_number()
        size = len(new.body)
        failed = new.total - new.waiting
        tables.add_content(number, new.headers, new.body)
        tables.pending.messages[number] = (
            number,
            new.sender,
            bytearray(new.sender_name),
            bytearray(new.id),
            bytearray(new.recipient),
            new.time,
            new.expires,
            int(new.live),
            size,
            new.total,
            new.waiting,
            failed,
            int(_ACCEPTED),
            new.reason,
            new.room,
            new.place,
            new.about,
            tables.run.number if new.live else 0,
            new.indexed,
            new.time,
            None if new.readers is None else bytearray(new.readers),
        )
        if new.sender is not None and new.id:
            tables.note_id(new.sender, new.id)
        if new.expires is not None:
            tables.note_expiry(new.expires)
        if new.room is not None:
            tables.pending.rooms[new.room] = (new.place, new.room)
        message = MessageRecord(
            number,
            new.sender,
            new.id,
            new.recipient,
            size,
            new.total,
            new.waiting,
            failed,
            new.reason,
            new.room,
            new.time,
            new.expires,
        )
        return self._cache.share(message)

    def add_entry(
        self,
        box: Mailbox,
        seq: int,
        kind: int,
        message: int,
        *,
        peer: bytes | None = None,
        device: bytes = b"",
        up_to: int = 0,
        weight: int = 0,
    ) -> None:
        """Write an entry of a log. The arguments are columns."""
        tables = self.tables
        tables.work += 1
        tables.pending.entries.append(
            (
                box.number,
                seq,
                kind,
                message,
                None if peer is None else bytearray(peer),
                bytearray(device) if device else _NO_DEVICE,
                up_to,
                weight,
            )
        )
        self.changed(box)

    def changed(self, box: Mailbox) -> None:
        """Write the counters of a member."""
        number = box.number
        self.tables.pending.members[number] = (box.last, box.delivered, box.entries, box.size, number)

    def send(self, box: Mailbox, message: MessageRecord, new: NewMessage, device: bytes) -> LogEntry:
        """Append the SENT entry of a message to its sender's log."""
        seq = box.append()
        self.add_entry(box, seq, SENT, message.number, peer=new.recipient.lower(), device=device)
        return LogEntry(
            box.number,
            seq,
            _SENT_ENTRY,
            message.number,
            new.recipient,
            id=new.id,
            headers=new.headers,
            body=new.body,
            device=device,
            state=_ACCEPTED,
            time=new.time,
            place=new.place,
        )

    def receive(
        self, box: Mailbox, message: MessageRecord, new: NewMessage, peer: bytes | None, weight: int
    ) -> LogEntry:
        """Append the RECEIVED entry of a message to a recipient's log.

        Args:
            box: the recipient.
            message: the message.
            new: what it says.
            peer: the conversation that it belongs to, in lower case; None for none.
            weight: how it counts as unread.
        """
        seq = box.receive(message, new.sender or new.payer)
        self.add_entry(box, seq, RECEIVED, message.number, peer=peer, weight=weight)
        return LogEntry(
            box.number,
            seq,
            _RECEIVED_ENTRY,
            message.number,
            new.sender_name,
            id=new.id,
            headers=new.headers,
            body=new.body,
            state=_ACCEPTED,
            time=new.time,
            expires=new.expires,
            room=new.room_name,
            place=new.place,
        )

    # A message to many members

    def unfinished(self, number: int) -> MessageRecord | None:
        """Return a message that others are still to get; None if these have been given up on."""
        row = self.tables.read(
            f"SELECT {MESSAGE} FROM message m WHERE number = ? AND indexed = {NOT_YET}{self.tables.message_lock}",
            (number,),
        ).fetchone()
        return None if row is None else self.message(row)

    def add_recipients(self, message: MessageRecord, to: Recipients, *, more: int) -> None:
        """Count some of the others as recipients of their own.

        Args:
            message: the message.
            to: how these get it.
            more: whether yet others (1) are to get it, or guests; or none (0).
        """
        message.total += to.total + more - 1
        message.waiting += to.waiting + more - 1
        message.failed += to.total - to.waiting
        message.reason = to.reason or message.reason
        self.tables.write("UPDATE message SET total = ? WHERE number = ?", (message.total, message.number))

    def end_others(self, message: int, *, live: bool) -> bool:
        """Note that no others are to get a message, but perhaps guests. Return whether there were others."""
        changed = self.tables.write(
            f"UPDATE message SET indexed = 0, live = ? WHERE number = ? AND indexed = {NOT_YET}", (int(live), message)
        )
        return changed.rowcount > 0

    # What becomes of a message

    def settle(self, message: MessageRecord, failure: str | None, effects: Effects) -> None:
        """Note that one recipient has a message, or never will (`failure` says why), and tell its sender."""
        progress = delivery.settle(message, failure)
        if progress is not None:
            effects.progress.append(progress)
        self.conclude(message, effects)

    def conclude(self, message: MessageRecord, effects: Effects) -> None:
        """Write how a message stands, and tell its sender if it waits for no recipient any more."""
        state = delivery.conclude(message)
        number = message.number
        self.tables.pending.settled[number] = (message.waiting, message.failed, int(state), message.reason, number)
        if message.waiting:
            return
        self._cache.shared.pop(number, None)
        if not message.is_event:
            effects.concluded.append((message.time, message.room is not None, state))
        if message.sender is not None:
            self.tell_sender(message, _FAILED_ENTRY if state is _FAILED else _DELIVERED_ENTRY, effects)
        elif message.room is None:
            effects.guests.append((message.number, state, message.reason))

    def tell_sender(self, message: MessageRecord, kind: EntryKind, effects: Effects) -> None:
        """Append an entry about a message's outcome to its sender's log."""
        box = self.mailbox(message.sender) if message.sender is not None else None
        if box is None:
            return  # the sender is being removed
        seq = box.append()
        self.add_entry(box, seq, int(kind), message.number)
        reason = message.reason if kind is _FAILED_ENTRY else ""
        effects.entries.append(
            LogEntry(box.number, seq, kind, message.number, message.recipient, id=message.id, reason=reason)
        )

    def withdraw(self, box: Mailbox, seq: int, message: MessageRecord, reason: str, effects: Effects) -> None:
        """Take a message that was not delivered to a member out of its log: it fails for this member."""
        self.tables.write("DELETE FROM log WHERE member = ? AND seq = ?", (box.number, seq))
        if message.sender != box.number:  # else it stays in the log as a message that was sent
            for follow in self.tables.on_withdrawal:
                follow(message.number)
        box.withdraw(seq, message)
        self.changed(box)
        if message.total > 1:
            self.note_absent(box, message, waits=False)
        self.settle(message, reason, effects)
        self.remove_if_unused(message)

    def remove_over(self, box: Mailbox, over: Iterable[tuple[int, int]]) -> Effects:
        """Take messages that are over out of a member's log.

        Args:
            box: the member, who has none of them.
            over: their entries and numbers.

        Returns:
            What that has changed.
        """
        effects = Effects()
        for seq, number in over:
            row = self.tables.read(
                f"SELECT {MESSAGE} FROM message m WHERE number = ?{self.tables.message_lock}", (number,)
            ).fetchone()
            self.tables.work += OVER_WORK
            self.withdraw(box, seq, self.message(row), delivery.EXPIRED, effects)
        return effects

    def note_absent(self, box: Mailbox, message: MessageRecord, payer: int = NO_MEMBER, *, waits: bool) -> None:
        """Note that a message for a member is not in that member's log.

        Args:
            box: the member.
            message: the message.
            payer: for an event, the member for whom it counts.
            waits: whether it is waited for all the same.
        """
        self.tables.direct("INSERT INTO absent VALUES (?, ?, ?)", (message.number, box.number, int(waits)))
        if waits:
            box.withhold(message, message.sender or payer, 1)

    def note_contact(self, box: Mailbox, other: Mailbox) -> bool:
        """Note that a member has written to another (rule 15.2). Return whether that is new."""
        if other is box or other.number in box.written_to:
            return False
        noted = self.tables.direct("INSERT OR IGNORE INTO contact VALUES (?, ?)", (box.number, other.number))
        box.note_written_to(other.number)
        return noted.rowcount > 0

    def remove_if_unused(self, message: MessageRecord) -> None:
        """Remove a message that waits for no recipient and is in no log: a guest's, or one of a removed member."""
        if not message.waiting and message.room is None and self._has_no_log(message.sender):
            row = self.tables.read("SELECT 1 FROM log WHERE message = ? LIMIT 1", (message.number,)).fetchone()
            if row is None:
                self.remove((message.number,))

    def _has_no_log(self, sender: int | None) -> bool:
        return sender is None or self.mailbox(sender) is None

    def remove(self, numbers: Iterable[int]) -> None:
        """Remove messages that are in no log."""
        removed = list(numbers)
        for follow in self.tables.on_removal:
            follow(removed)
        keys = [(number,) for number in removed]
        for table, column in (
            ("message", "number"),
            ("content", "message"),
            ("absent", "message"),
            ("unedited", "message"),
            ("reply", "message"),
            ("reply", "root"),
        ):
            self.tables.write_many(f"DELETE FROM {table} WHERE {column} = ?", keys)

    # Cursors

    def advance(self, box: Mailbox, device: str, seq: int, time: float, effects: Effects) -> None:
        """Move a device's cursor, and settle the messages that no device had before (rules 11.3 and 11.10)."""
        moved = delivery.advance(box, device, seq)
        if moved is None:
            return
        before, after = moved
        if after > before:
            for entry, message in self._undelivered(box, before, after):
                if self.is_over(message, time):
                    self.withdraw(box, entry, message, delivery.EXPIRED, effects)
                else:
                    self.settle(message, None, effects)
        self.tables.pending.cursors[box.number, device] = (box.cursors[device], time, box.number, device)
        self._release_up_to(box, delivery.held_after(box))
        self.changed(box)

    def is_over(self, message: MessageRecord, time: float) -> bool:
        """Tell whether a message is over for recipients who do not have it; `time` is in seconds since 1970."""
        return delivery.is_over(message, time, self.tables.run.over_since)

    def _undelivered(self, box: Mailbox, after: int, up_to: int) -> list[tuple[int, MessageRecord]]:
        """Return the messages in a range of entries that were not delivered before their turn, each with its Seq."""
        if after >= box.recent_after:
            return box.take_recent(up_to)
        rows = self.tables.read(
            f"SELECT l.seq, {MESSAGE} FROM log l CROSS JOIN message m ON m.number = l.message"
            f" WHERE l.member = ? AND l.seq > ? AND l.seq <= ? AND l.kind = {RECEIVED} AND l.taken = 0 ORDER BY l.seq"
            f"{self.tables.message_lock}",
            (box.number, after, up_to),
        ).fetchall()
        box.take_recent(up_to)
        return [(seq, self.message(columns)) for seq, *columns in rows]

    def _release_up_to(self, box: Mailbox, up_to: int) -> None:
        """Uncount messages that all devices have."""
        if up_to <= box.held_after:
            return
        if box.shares is not None:
            self._release_shares(box, box.shares, up_to)
        elif (part := box.shares_part) is not None:
            self._release_shares(box, part.held, min(up_to, part.up_to))
            part.up_to = max(up_to, part.up_to)
        entries, size = box.take_sizes(up_to)
        if box.held_after < box.sizes_after:
            entries, size = self._held(box.number, box.held_after, up_to)
        box.release(up_to, entries, size)

    def skip_delivered(self, box: Mailbox) -> bool:
        """Note of some entries that no device has to get them, up to the first message that waits.

        Returns:
            Whether there may be more.
        """
        end = min(box.delivered + CURSOR_STEP, box.last)
        row = self.tables.read(
            f"SELECT seq FROM log WHERE member = ? AND seq > ? AND seq <= ? AND kind = {RECEIVED} AND taken = 0"
            " ORDER BY seq LIMIT 1",
            (box.number, box.delivered, end),
        ).fetchone()
        box.delivered = end if row is None else row[0] - 1
        self._release_up_to(box, delivery.held_after(box))
        self.changed(box)
        return row is None and end < box.last

    def let_go(self, box: Mailbox, devices: Sequence[str]) -> bool:
        """Let go of some messages that only these devices of a member do not have, which are about to go.

        Returns:
            Whether there are more.
        """
        others = [cursor for device, cursor in box.cursors.items() if device not in devices]
        last = min(others, default=box.delivered)
        end = min(box.held_after + CURSOR_STEP, last)
        for device in devices:
            box.cursors[device] = cursor = max(box.cursors[device], end)
            self.tables.write(
                "UPDATE device SET cursor = ? WHERE member = ? AND name = ?", (cursor, box.number, device)
            )
        self._release_up_to(box, end)
        self.changed(box)
        return end < last

    # The shares of senders (rule 11.13)

    def count_shares(self, box: Mailbox) -> None:
        """Count by senders what is in a mailbox, and what waits for a member of senders whom it has blocked."""
        while self.count_some(box):
            pass

    def count_some(self, box: Mailbox) -> bool:
        """Count some of what `count_shares` counts. Return whether there is more."""
        if box.shares is None:
            self._count_entries(box)
        elif box.withheld is None:
            self._count_withheld(box)
        return box.shares is None or box.withheld is None

    def _count_entries(self, box: Mailbox) -> None:
        part = box.shares_part = box.shares_part or PartCount(box.held_after)
        end = min(part.up_to + _COUNT_STEP, box.last)
        self.tables.work += (end - part.up_to) >> 3
        _add_to(part.held, self._held_by_sender(box, part.up_to, end))
        part.up_to = end
        if end == box.last:
            box.shares, box.shares_part = part.held, None

    def _count_withheld(self, box: Mailbox) -> None:
        part = box.withheld_part = box.withheld_part or PartCount(0)
        some = (
            "SELECT message, waits FROM absent INDEXED BY absent_member WHERE member = ? AND message > ?"
            f" ORDER BY message LIMIT {_COUNT_STEP}"
        )
        at = (box.number, part.up_to)
        rows = self.tables.read(
            f"SELECT {_PAYER} AS payer, count(*), sum(m.size)"
            f" FROM ({some}) AS a CROSS JOIN message m ON m.number = a.message WHERE a.waits = 1 GROUP BY 1",
            at,
        ).fetchall()
        looked, up_to = self.tables.direct(f"SELECT count(*), max(message) FROM ({some}) AS a", at).fetchone()
        self.tables.work += looked >> 3
        _add_to(part.held, {sender: Held(entries, size) for sender, entries, size in rows})
        if looked < _COUNT_STEP:
            box.withheld, box.withheld_part = part.held, None
        else:
            part.up_to = up_to

    def _release_shares(self, box: Mailbox, shares: dict[int, Held], up_to: int) -> None:
        for sender, held in self._held_by_sender(box, box.held_after, up_to).items():
            if own := shares.get(sender):
                own.entries -= held.entries
                own.size -= held.size

    def _held_by_sender(self, box: Mailbox, after: int, up_to: int) -> dict[int, Held]:
        """Count the messages that came to a member in a range of entries, by sender."""
        rows = self.tables.read(
            f"SELECT {_PAYER} AS payer, count(*), sum(m.size)"
            " FROM log l CROSS JOIN message m ON m.number = l.message"
            f" WHERE l.member = ? AND l.seq > ? AND l.seq <= ? AND l.kind = {RECEIVED} GROUP BY 1",
            (box.number, after, up_to),
        )
        return {sender: Held(entries, size) for sender, entries, size in rows}

    def _held(self, member: int, after: int, up_to: int) -> tuple[int, int]:
        """Count the messages that came to a member in a range of entries, and the bytes of their bodies."""
        row: tuple[int, int] = self.tables.read(
            "SELECT count(*), ifnull(sum(m.size), 0) FROM log l CROSS JOIN message m ON m.number = l.message"
            f" WHERE l.member = ? AND l.seq > ? AND l.seq <= ? AND l.kind = {RECEIVED}",
            (member, after, up_to),
        ).fetchone()
        return row


def _add_to(held: dict[int, Held], more: dict[int, Held]) -> None:
    for sender, each in more.items():
        own = held.setdefault(sender, Held())
        own.entries += each.entries
        own.size += each.size
