"""The members' logs: appending entries, and what becomes of the messages in them (docs/protocol.md, section 11).

What is written for a message is collected, and written for many messages at once (see journal.py). So whoever reads
from the database calls `flush` first, unless it reads only what is never collected. What is remembered between batches
(`Mailbox`) is forgotten whenever a batch fails or another process has written.
"""

# ruff: noqa: S608 - queries are put together from constants of this package, never from what came from outside

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from twotick.store.port import StoreLimits
from twotick.store.requests.messages import Effects, EntryKind, LogEntry, MessageState, Progress
from twotick.store.rules.rooms import RoomState
from twotick.store.sqlite.journal import Changes, insert, unpack, write

# SQLite takes a plain int faster than an enumeration's.
RECEIVED = int(EntryKind.RECEIVED)
SENT = int(EntryKind.SENT)
_ACCEPTED = int(MessageState.ACCEPTED)
_DELIVERED = int(MessageState.DELIVERED)
_FAILED = int(MessageState.FAILED)

# In Python 3.11 it takes long to find a member of an enumeration.
_DELIVERED_ENTRY: Final = EntryKind.DELIVERED
_FAILED_ENTRY: Final = EntryKind.FAILED

_REMEMBERED = 20_000
"""Mailboxes, about 700 bytes each; messages that several wait for; tens of members of rooms. With more, all are
forgotten at the end of a batch."""

_AT_ONCE = 32
_FIND_IDS = (
    f"WITH sent (sender, id) AS (VALUES {', '.join(['(?, ?)'] * _AT_ONCE)})"
    " SELECT m.sender, m.id FROM sent CROSS JOIN message m INDEXED BY message_id"
    " ON m.sender = sent.sender AND m.id = sent.id AND m.id <> x''"
)
"""One query for many Ids takes a third of the time of one for each."""

_JOURNAL_ROWS = 16384
"""Rows that are kept back at most: those of some 4000 messages, which go into their tables in about 40 ms."""

_YOUNG = 256
"""Messages that are remembered for each mailbox, about 200 bytes each."""

_NO_DEVICE: Final = bytearray()

# An empty set takes 200 bytes, and most mailboxes have some.
_NOBODY: Final = frozenset[bytes]()
_NO_MEMBER: Final = frozenset[int]()

MESSAGE = "m.number, m.sender, m.id, m.recipient, m.size, m.total, m.waiting, m.failed, m.reason, m.room"
"""The columns that make a Message; see `Logs.message`."""


class Mailbox:
    """A member's log, as far as appending to it needs to know.

    Attributes:
        number: the member.
        name: the member's name.
        folded: the name in lower case.
        blocked: whom the member has blocked, by name in lower case.
        last: the number of the newest entry.
        mark: the entry up to which some device has them all: all messages up to it are delivered. No cursor is past it.
        cursors: the devices that receive, and the last entry that each has.
        floor: the entry up to which all of these devices have them all; without any, `mark`. What came after it is in
            the mailbox (rule 11.13).
        entries: the messages in the mailbox.
        size: the bytes of their bodies.
        old: the entry up to which what came has to be looked up.
        young: the messages that came after it, each with its number in the log: most are acknowledged so soon that it
            would be a waste to read them again.
        counted: the entry up to which what is in the mailbox has to be looked up.
        sizes: the bytes of the messages in the mailbox that came after it, each with its number in the log.
        written: some of the members to whom the member has written.
    """

    __slots__ = (
        "blocked",
        "counted",
        "cursors",
        "entries",
        "floor",
        "folded",
        "last",
        "mark",
        "name",
        "number",
        "old",
        "size",
        "sizes",
        "written",
        "young",
    )

    def __init__(
        self,
        number: int,
        name: str,
        last: int,
        mark: int,
        entries: int,
        size: int,
        cursors: dict[str, int],
        blocked: frozenset[bytes],
    ):
        self.number = number
        self.name = name
        self.folded = name.lower().encode()
        self.blocked = blocked or _NOBODY
        self.last = last
        self.mark = mark
        self.entries = entries
        self.size = size
        self.cursors = cursors
        self.floor = min(cursors.values()) if cursors else mark
        self.old = last
        self.young: list[tuple[int, Message]] = []
        self.counted = last
        self.sizes: list[tuple[int, int]] = []
        self.written: frozenset[int] = _NO_MEMBER

    def forget_young(self) -> None:
        """From now on, what has come has to be looked up."""
        self.young.clear()
        self.old = self.last
        self.sizes.clear()
        self.counted = self.last


class Message:
    """A message, as far as settling it needs to know. The attributes are the columns of its table."""

    __slots__ = ("failed", "id", "number", "reason", "recipient", "room", "sender", "size", "total", "waiting")

    def __init__(
        self,
        number: int,
        sender: int | None,
        ident: bytes,
        recipient: bytes,
        size: int,
        total: int,
        waiting: int,
        failed: int,
        reason: str,
        room: int | None,
    ):
        self.number = number
        self.sender = sender
        self.id = ident
        self.recipient = recipient
        self.size = size
        self.total = total
        self.waiting = waiting
        self.failed = failed
        self.reason = reason
        self.room = room


class Logs:
    """All logs of a database, within a batch that somebody else begins and commits.

    Attributes:
        execute: the connection's method of that name.
        limits: what is kept at most.
        rooms: the rooms that are remembered, by their names in lower case. Only who remembers one changes it.
        erased: whether this batch has removed what was said, so that it must not stay in the write-ahead log.
        on_removal: called with the numbers of messages that are removed or deleted, while their content is still there.
    """

    def __init__(self, connection: sqlite3.Connection, limits: StoreLimits):
        self.execute = connection.execute
        self.limits = limits
        self.rooms: dict[bytes, RoomState] = {}
        self.erased = False
        self.on_removal: list[Callable[[list[int]], None]] = []
        self._connection = connection
        self._mailboxes: dict[int, Mailbox] = {}
        self._shared: dict[int, Message] = {}  # that several wait for, in several mailboxes
        self._in_rooms = 0  # members of the rooms that are remembered
        self._next_message = 0
        self._contents: list[tuple[int, bytearray, bytearray]] = []  # headers and bodies of this batch's messages
        self._fresh = Changes()  # of this batch
        self._pending = Changes()  # of earlier batches: in the journal
        self._touched: dict[int, Mailbox] = {}  # in this batch
        self._in_table: set[tuple[int, bytes]] = set()  # Ids of this batch

    def reload(self) -> None:
        """Drop what was collected and what is remembered, since the database may say otherwise; empty the journal."""
        self.forget()
        for (packed,) in self.execute("SELECT rows FROM journal ORDER BY number").fetchall():
            write(self._connection, unpack(packed))
        self.execute("DELETE FROM journal")

    def forget(self) -> None:
        """Drop what was collected and what is remembered. `reload` has to be called before anything else is done."""
        self.drop_remembered()
        self._next_message = 0
        self._contents.clear()
        self._fresh = Changes()
        self._pending = Changes()
        self._touched.clear()

    def flush(self) -> None:
        """Write what was decided into its tables."""
        self.write_contents()
        self._note_counters()
        self._in_table.update(self._pending.ids)
        self._in_table.update(self._fresh.ids)
        if len(self._pending):
            self._pending.add(self._fresh)
            self._pending.write(self._connection)
            self.execute("DELETE FROM journal")
            self._pending = Changes()
            self._fresh = Changes()
        elif len(self._fresh):
            self._fresh.write(self._connection)
            self._fresh = Changes()

    def end(self) -> None:
        """End a batch: make what was decided last, and do not remember more than is reasonable."""
        self.write_contents()
        self._note_counters()
        fresh, pending = self._fresh, self._pending
        many = max(len(self._mailboxes), len(self._shared), self._in_rooms // 10) > _REMEMBERED
        if len(fresh) + len(pending) > _JOURNAL_ROWS or many:
            self.flush()
        elif len(fresh):
            self.execute("INSERT INTO journal (rows) VALUES (?)", (bytearray(fresh.pack()),))
            pending.add(fresh)
            self._fresh = Changes()
        if many:
            self.drop_remembered()

    def write_contents(self) -> None:
        """Write the headers and bodies of this batch's messages into their table."""
        insert(self._connection, "content", 3, self._contents)
        self._contents.clear()

    def _note_counters(self) -> None:
        for box in self._touched.values():
            self._fresh.members[box.number] = (box.last, box.mark, box.entries, box.size)
        self._touched.clear()

    # Mailboxes

    def mailbox(self, member: int) -> Mailbox | None:
        """A member's mailbox; None if there is no such member."""
        box = self._mailboxes.get(member)
        if box is not None:
            return box
        row = self.execute("SELECT name, last, mark, entries, bytes FROM member WHERE number = ?", (member,)).fetchone()
        if row is None:
            return None
        name, last, mark, entries, size = row
        cursors = dict(
            self.execute("SELECT name, cursor FROM device WHERE member = ? AND cursor IS NOT NULL", (member,))
        )
        blocked = frozenset(
            peer
            for (peer,) in self.execute("SELECT peer FROM conversation WHERE member = ? AND blocked = 1", (member,))
        )
        box = Mailbox(member, name, last, mark, entries, size, cursors, blocked)
        self._mailboxes[member] = box
        return box

    def drop_remembered(self) -> None:
        """Forget mailboxes and rooms. All that was collected is written."""
        self._mailboxes.clear()
        self._shared.clear()
        self.rooms.clear()
        self._in_rooms = 0

    def remember(self, room: RoomState, members: int) -> None:
        """Remember a room, and that so many members of it were not remembered before."""
        self.rooms[room.key] = room
        self._in_rooms += members

    def is_full(self, box: Mailbox, size: int) -> bool:
        """Whether a mailbox does not take one more message with that many bytes (rule 11.13)."""
        return box.entries >= self.limits.mailbox_entries or box.size + size > self.limits.mailbox_bytes

    def changed(self, box: Mailbox) -> None:
        """A mailbox was changed, and has to be written."""
        self._touched[box.number] = box

    def count(self, box: Mailbox) -> None:
        """Find out anew what is in a mailbox, after its devices have changed."""
        self.flush()
        box.floor = min(box.cursors.values()) if box.cursors else box.mark
        box.entries, box.size = self._held(box.number, box.floor, box.last)
        self.changed(box)

    def _leave(self, box: Mailbox, floor: int) -> None:
        """What came up to an entry is in the mailbox no more."""
        entries = size = 0
        sizes = box.sizes
        while sizes and sizes[0][0] <= floor:
            seq, bytes_of_body = sizes.pop(0)
            if seq > box.floor:
                entries += 1
                size += bytes_of_body
        if box.floor < box.counted:
            self.flush()
            entries, size = self._held(box.number, box.floor, floor)
        box.counted = max(box.counted, floor)
        box.floor = floor
        box.entries -= entries
        box.size -= size

    def _held(self, member: int, after: int, up_to: int) -> tuple[int, int]:
        """How many messages came to a member past one entry and up to another, and the bytes of their bodies."""
        row: tuple[int, int] = self.execute(
            "SELECT count(*), ifnull(sum(m.size), 0) FROM log l CROSS JOIN message m ON m.number = l.message"
            f" WHERE l.member = ? AND l.seq > ? AND l.seq <= ? AND l.kind = {RECEIVED}",
            (member, after, up_to),
        ).fetchone()
        return row

    # Appending

    def look_up(self, keys: list[tuple[int, bytes]]) -> None:
        """Find out which of these members' Ids are in the table, as `find` has to know for every Id of a batch."""
        self._in_table.clear()
        for start in range(0, len(keys), _AT_ONCE):
            parameters: list[object] = []
            for sender, ident in keys[start : start + _AT_ONCE]:
                parameters += (sender, bytearray(ident))
            parameters += [0] * (2 * _AT_ONCE - len(parameters))
            self._in_table.update(self.execute(_FIND_IDS, parameters).fetchall())

    def find(self, sender: int, ident: bytes) -> tuple[int, bytes, MessageState, str] | None:
        """The message that a member has sent with this Id: number, recipient, state and reason."""
        key = sender, ident
        row = self._fresh.find(key) or self._pending.find(key)
        if row is None and key in self._in_table:
            row = self.execute(
                "SELECT * FROM message WHERE sender = ? AND id = ? AND id <> x''", (sender, bytearray(ident))
            ).fetchone()
        if row is None:
            return None
        number, recipient, state, reason = row[0], row[4], row[12], row[13]
        for changes in (self._pending, self._fresh):
            if number in changes.settled:
                _, _, state, reason = changes.settled[number]
        return number, bytes(recipient), MessageState(state), reason

    def new_message(
        self,
        sender: int | None,
        sender_name: bytes,
        ident: bytes,
        recipient: bytes,
        time: float,
        expires: float | None,
        live: bool,
        total: int,
        failed: int,
        reason: str,
        headers: bytes,
        body: bytes,
        room: int | None = None,
        place: int = 0,
        about: int = 0,
    ) -> Message:
        """Store a message that waits for all its recipients but the failed ones. The arguments are columns."""
        number = self._next_message
        if not number:
            (newest,) = self.execute("SELECT ifnull(max(number), 0) FROM message").fetchone()
            number = newest + 1
        self._next_message = number + 1
        size = len(body)
        waiting = total - failed
        fresh = self._fresh
        self._contents.append((number, bytearray(headers), bytearray(body)))
        fresh.messages[number] = (
            *(number, sender, bytearray(sender_name), bytearray(ident), bytearray(recipient), time, expires, int(live)),
            *(size, total, waiting, failed, _ACCEPTED, reason, room, place, about),
        )
        if sender is not None and ident:
            fresh.ids[sender, ident] = number
        if room is not None:
            fresh.rooms[room] = place
        message = Message(number, sender, ident, recipient, size, total, waiting, failed, reason, room)
        if total > 1:
            self._shared[number] = message
        return message

    def message(self, columns: Sequence[Any]) -> Message:
        """The message with these columns (MESSAGE). One that several wait for is the same object for all of them."""
        message = Message(*columns)
        if message.total == 1 or not message.waiting:
            return message
        return self._shared.setdefault(message.number, message)

    def append(
        self,
        box: Mailbox,
        kind: int,
        message: int,
        peer: bytes | None = None,
        device: bytes = b"",
        up_to: int = 0,
        weight: int = 0,
    ) -> int:
        """Append an entry to a log. Returns its number. The arguments are columns."""
        box.last = seq = box.last + 1
        self._fresh.entries.append(
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
        self._touched[box.number] = box
        return seq

    def receive(self, box: Mailbox, message: Message, peer: bytes | None, weight: int) -> int:
        """Append a message that came to a log. Returns the entry's number.

        Args:
            box: where it came.
            message: what came.
            peer: whose conversation it is in; None for nobody's.
            weight: 0 if it does not count as unread, 2 if it mentions the member, else 1.
        """
        seq = self.append(box, RECEIVED, message.number, peer, b"", 0, weight)
        box.entries += 1
        box.size += message.size
        if len(box.sizes) == _YOUNG:
            box.forget_young()
        else:
            box.young.append((seq, message))
            box.sizes.append((seq, message.size))
        return seq

    # What becomes of a message

    def settle(self, message: Message, failure: str | None, outcome: Effects) -> None:
        """One of a message's recipients has it, or never will.

        When it was the last one that was waited for, the sender is told: DELIVERED if all have it, else FAILED.

        Args:
            message: the message, which is changed.
            failure: why that recipient will not get it; None if it has it.
            outcome: takes what the sender is told.
        """
        message.waiting -= 1
        if failure is not None:
            message.failed += 1
            message.reason = failure
        elif message.room is not None and message.waiting and message.sender is not None:
            have = message.total - message.waiting - message.failed
            progress = Progress(message.sender, message.number, message.recipient, message.id, have, message.total)
            outcome.progress.append(progress)
        self.conclude(message, outcome)

    def conclude(self, message: Message, outcome: Effects) -> None:
        """Write down how a message stands, and tell its sender if nobody is waited for any more."""
        state = _ACCEPTED
        if not message.waiting:
            state = _FAILED if message.failed else _DELIVERED
            if message.failed and message.total > 1:
                message.reason += f"; {message.total - message.failed} of {message.total} have it"
        self._fresh.settled[message.number] = (message.waiting, message.failed, state, message.reason)
        if message.waiting:
            return
        if message.total > 1:
            self._shared.pop(message.number, None)
        if message.sender is None:
            if message.room is None:
                outcome.guests.append((message.number, MessageState(state), message.reason))
        else:
            self.tell(message, _FAILED_ENTRY if state == _FAILED else _DELIVERED_ENTRY, outcome)

    def tell(self, message: Message, kind: EntryKind, outcome: Effects) -> None:
        """Tell the member who sent a message what became of it."""
        box = self.mailbox(message.sender) if message.sender is not None else None
        assert box is not None, "a removed member is no message's sender"
        seq = self.append(box, int(kind), message.number)
        reason = message.reason if kind is _FAILED_ENTRY else ""
        outcome.entries.append(
            LogEntry(box.number, seq, kind, message.number, message.recipient, id=message.id, reason=reason)
        )

    def withdraw(self, box: Mailbox, seq: int, message: Message, reason: str, outcome: Effects) -> None:
        """Take a message that was not delivered to a member out of its log; it fails for this member."""
        box.forget_young()
        self.execute("DELETE FROM log WHERE member = ? AND seq = ?", (box.number, seq))
        box.entries -= 1  # what no device has is past the floor
        box.size -= message.size
        self.changed(box)
        if message.total > 1:
            self.note_absent(box, message, waits=False)
        self.settle(message, reason, outcome)
        self.remove_if_unused(message)

    def note_absent(self, box: Mailbox, message: Message, *, waits: bool) -> None:
        """Note that a message for a member is not in that member's log; and whether it is waited for even so."""
        self.execute("INSERT INTO absent VALUES (?, ?, ?)", (message.number, box.number, int(waits)))

    def note_contact(self, box: Mailbox, other: int, recipient: bytes) -> bool:
        """Note that a member has written to another (rule 15.2), unless it was to all. Returns whether that is new."""
        if other == box.number or recipient.lower() == b"all" or self.mailbox(other) is None:
            return False
        noted = self.execute("INSERT OR IGNORE INTO contact VALUES (?, ?)", (box.number, other))
        box.written = frozenset({other}) if len(box.written) == _YOUNG else box.written | {other}
        return noted.rowcount > 0

    def remove_if_unused(self, message: Message) -> None:
        """Remove a message that is in no log any more and that nobody waits for; only a guest's can be such.

        What was sent to a room can be read there.
        """
        if message.sender is None and not message.waiting and message.room is None:
            self.flush()
            if self.execute("SELECT 1 FROM log WHERE message = ? LIMIT 1", (message.number,)).fetchone() is None:
                self.remove_messages((message.number,))

    def remove_messages(self, numbers: Iterable[int]) -> None:
        """Remove messages that are in no log."""
        removed = list(numbers)
        for follow in self.on_removal:
            follow(removed)
        keys = [(number,) for number in removed]
        self._connection.executemany("DELETE FROM message WHERE number = ?", keys)
        self._connection.executemany("DELETE FROM content WHERE message = ?", keys)
        self._connection.executemany("DELETE FROM absent WHERE message = ?", keys)

    # Cursors

    def advance(self, box: Mailbox, device: str, seq: int, time: float, outcome: Effects) -> None:
        """A device has all entries up to one (rule 11.3). What no device had before is delivered.

        Nothing happens if the device does not receive, or has them already.
        """
        cursor = box.cursors.get(device)
        seq = min(seq, box.last)
        if cursor is None or seq <= cursor:
            return
        mark = box.mark
        if seq > mark:
            box.mark = seq
            for taken, message in self._received(box, mark, seq):
                if not taken:
                    self.settle(message, None, outcome)
        box.cursors[device] = seq
        self._fresh.cursors[box.number, device] = (seq, time)
        floor = min(box.cursors.values())
        if floor > box.floor:
            self._leave(box, floor)
        self._touched[box.number] = box

    def _received(self, box: Mailbox, after: int, up_to: int) -> list[tuple[int, Message]]:
        """The messages that came past the mark and up to an entry, each with whether it was delivered even so."""
        young = box.young
        if after < box.old:
            self.flush()
            while young and young[0][0] <= up_to:
                young.pop(0)
            rows = self.execute(
                f"SELECT l.taken, {MESSAGE} FROM log l CROSS JOIN message m ON m.number = l.message"
                f" WHERE l.member = ? AND l.seq > ? AND l.seq <= ? AND l.kind = {RECEIVED} ORDER BY l.seq",
                (box.number, after, up_to),
            ).fetchall()
            return [(taken, self.message(columns)) for taken, *columns in rows]
        found: list[tuple[int, Message]] = []
        while young and young[0][0] <= up_to:
            found.append((0, young.pop(0)[1]))
        return found
