"""The members' logs: appending entries, and what becomes of the messages in them (docs/protocol.md, section 11).

What is written for a message is collected and written for the whole batch at once, because a call of SQLite for each
row costs more than the row. So whoever reads from the database calls `flush` first, unless it reads only what nothing
in this batch can have changed. What is remembered between batches (`Mailbox`) is forgotten whenever a batch fails or
another process has written.
"""

# ruff: noqa: S608 - queries are put together from constants of this package, never from what came from outside

import sqlite3
from collections import deque
from collections.abc import Iterable

from twotick.store.records import Entry, Kind, Outcome, State, StoreLimits

# SQLite takes a plain int faster than an enumeration's.
RECEIVED = int(Kind.RECEIVED)
SENT = int(Kind.SENT)
_ACCEPTED = int(State.ACCEPTED)
_DELIVERED = int(State.DELIVERED)
_FAILED = int(State.FAILED)

_REMEMBERED = 20_000
"""Mailboxes, about 1 KiB each. With more, all are forgotten at the end of a batch."""

_YOUNG = 128
"""Messages that are remembered for each mailbox, about 200 bytes each."""

MESSAGE = "m.number, m.sender, m.id, m.recipient, m.size, m.total, m.waiting, m.failed, m.reason"
"""The columns that make a Message."""


class SameIdError(Exception):
    """A member used an Id twice, though the batch was begun in the hope that none would."""


class Mailbox:
    """A member's log, as far as appending to it needs to know.

    Attributes:
        number: the member.
        name: the member's name.
        last: the number of the newest entry.
        stored: the newest one that is in the database, and not only collected.
        mark: the entry up to which some device has them all: all messages up to it are delivered. No cursor is past it.
        cursors: the devices that receive, and the last entry that each has.
        floor: the entry up to which all of these devices have them all; without any, `mark`. What came after it is in
            the mailbox (rule 11.13).
        entries: the messages in the mailbox.
        size: the bytes of their bodies.
        old: the entry up to which what came has to be looked up.
        young: the messages that came after it, each with its number in the log: most are acknowledged so soon that it
            would be a waste to read them again. Those to several recipients may have changed since.
    """

    __slots__ = (
        "cursors",
        "entries",
        "floor",
        "last",
        "mark",
        "name",
        "number",
        "old",
        "size",
        "stored",
        "young",
    )

    def __init__(self, number: int, name: str, last: int, mark: int, entries: int, size: int, cursors: dict[str, int]):
        self.number = number
        self.name = name
        self.last = last
        self.stored = last
        self.mark = mark
        self.entries = entries
        self.size = size
        self.cursors = cursors
        self.floor = min(cursors.values()) if cursors else mark
        self.old = last
        self.young: deque[tuple[int, Message]] = deque()

    def forget_young(self) -> None:
        """From now on, what has come has to be looked up."""
        self.young.clear()
        self.old = self.last


class Message:
    """A message, as far as settling it needs to know. The attributes are the columns of its table."""

    __slots__ = ("failed", "id", "number", "reason", "recipient", "sender", "size", "total", "waiting")

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


class Logs:
    """All logs of a database, within a batch that somebody else begins and commits.

    Attributes:
        execute: the connection's method of that name.
        limits: what is kept at most.
        careful: whether every Id is looked up before its message is stored. If not, a batch may end in SameIdError: it
            is rare that a member sends an Id again, and the database notices for less than it costs to ask.
    """

    def __init__(self, connection: sqlite3.Connection, limits: StoreLimits):
        self.execute = connection.execute
        self.limits = limits
        self.careful = False
        self._executemany = connection.executemany
        self._mailboxes: dict[int, Mailbox] = {}
        self._next_message = 0
        self._messages: list[tuple[object, ...]] = []
        self._contents: list[tuple[int, bytearray, bytearray]] = []
        self._entries: list[tuple[int, int, int, int, bytearray | None, bytearray | None, int | None]] = []
        self._settled: list[tuple[int, int, int, str, int]] = []
        self._cursors: dict[tuple[int, str], tuple[int, float]] = {}
        self._changed: dict[int, Mailbox] = {}

    def forget(self) -> None:
        """Drop what was collected and what is remembered: the database may say otherwise."""
        self._mailboxes.clear()
        self._next_message = 0
        for collected in (self._messages, self._contents, self._entries, self._settled):
            collected.clear()
        self._cursors.clear()
        self._changed.clear()

    def flush(self) -> None:
        """Write what was collected.

        Raises:
            SameIdError: see `careful`.
        """
        if self._messages:
            try:
                self._executemany(
                    "INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", self._messages
                )
            except sqlite3.IntegrityError as error:
                if self.careful:
                    raise
                raise SameIdError from error
            self._executemany("INSERT INTO content VALUES (?, ?, ?)", self._contents)
            self._messages.clear()
            self._contents.clear()
        if self._entries:
            self._entries.sort()  # rows that go to one page, one after the other
            self._executemany(
                "INSERT INTO log (member, seq, kind, message, peer, device, up_to) VALUES (?, ?, ?, ?, ?, ?, ?)",
                self._entries,
            )
            self._entries.clear()
        if self._settled:
            self._executemany(
                "UPDATE message SET waiting = ?, failed = ?, state = ?, reason = ? WHERE number = ?", self._settled
            )
            self._settled.clear()
        if self._cursors:
            self._executemany(
                "UPDATE device SET cursor = ?, seen = ? WHERE member = ? AND name = ?",
                [at + key for key, at in self._cursors.items()],
            )
            self._cursors.clear()
        if self._changed:
            self._executemany(
                "UPDATE member SET last = ?, mark = ?, entries = ?, bytes = ? WHERE number = ?",
                [(box.last, box.mark, box.entries, box.size, box.number) for box in self._changed.values()],
            )
            for box in self._changed.values():
                box.stored = box.last
            self._changed.clear()

    def end(self) -> None:
        """End a batch: write what was collected, and do not remember more than is reasonable."""
        self.flush()
        if len(self._mailboxes) > _REMEMBERED:
            self._mailboxes.clear()

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
        cursors = self.execute("SELECT name, cursor FROM device WHERE member = ? AND cursor IS NOT NULL", (member,))
        box = self._mailboxes[member] = Mailbox(member, name, last, mark, entries, size, dict(cursors))
        return box

    def drop_mailboxes(self) -> None:
        """A member is no more: it is nobody's sender and nobody's recipient. All that was collected is written."""
        self._mailboxes.clear()

    def changed(self, box: Mailbox) -> None:
        """A mailbox was changed, and has to be written."""
        self._changed[box.number] = box

    def count(self, box: Mailbox) -> None:
        """Find out anew what is in a mailbox, after its devices have changed."""
        self.flush()
        box.floor = min(box.cursors.values()) if box.cursors else box.mark
        box.entries, box.size = self._held(box.number, box.floor, box.last)
        self.changed(box)

    def _held(self, member: int, after: int, up_to: int) -> tuple[int, int]:
        """How many messages came to a member past one entry and up to another, and the bytes of their bodies."""
        row: tuple[int, int] = self.execute(
            "SELECT count(*), ifnull(sum(m.size), 0) FROM log l CROSS JOIN message m ON m.number = l.message"
            f" WHERE l.member = ? AND l.seq > ? AND l.seq <= ? AND l.kind = {RECEIVED}",
            (member, after, up_to),
        ).fetchone()
        return row

    # Appending

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
    ) -> Message:
        """Store a message that waits for all its recipients but the failed ones."""
        number = self._next_message
        if not number:
            (newest,) = self.execute("SELECT ifnull(max(number), 0) FROM message").fetchone()
            number = newest + 1
        self._next_message = number + 1
        size = len(body)
        waiting = total - failed
        self._messages.append(
            (
                *(
                    number,
                    sender,
                    bytearray(sender_name),
                    bytearray(ident),
                    bytearray(recipient),
                    time,
                    expires,
                    int(live),
                ),
                *(size, total, waiting, failed, _ACCEPTED, reason),
            )
        )
        self._contents.append((number, bytearray(headers), bytearray(body)))
        return Message(number, sender, ident, recipient, size, total, waiting, failed, reason)

    def append(
        self,
        box: Mailbox,
        kind: int,
        message: int,
        peer: bytes | None = None,
        device: bytes | None = None,
        up_to: int | None = None,
    ) -> int:
        """Append an entry to a log. Returns its number."""
        box.last = seq = box.last + 1
        self._entries.append(
            (
                box.number,
                seq,
                kind,
                message,
                None if peer is None else bytearray(peer),
                None if device is None else bytearray(device),
                up_to,
            )
        )
        self._changed[box.number] = box
        return seq

    def receive(self, box: Mailbox, message: Message, peer: bytes) -> int:
        """Append a message that came to a log. Returns the entry's number."""
        seq = self.append(box, RECEIVED, message.number, peer)
        box.entries += 1
        box.size += message.size
        if len(box.young) == _YOUNG:
            box.forget_young()
        else:
            box.young.append((seq, message))
        return seq

    # What becomes of a message

    def settle(self, message: Message, failure: str | None, outcome: Outcome) -> None:
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
        self.conclude(message, outcome)

    def conclude(self, message: Message, outcome: Outcome) -> None:
        """Write down how a message stands, and tell its sender if nobody is waited for any more."""
        state = _ACCEPTED
        if not message.waiting:
            state = _FAILED if message.failed else _DELIVERED
            if message.failed and message.total > 1:
                message.reason += f"; {message.total - message.failed} of {message.total} have it"
        self._settled.append((message.waiting, message.failed, state, message.reason, message.number))
        if message.waiting:
            return
        if message.sender is None:
            outcome.guests.append((message.number, State(state), message.reason))
        else:
            self.tell(message, Kind.FAILED if state == _FAILED else Kind.DELIVERED, outcome)

    def tell(self, message: Message, kind: Kind, outcome: Outcome) -> None:
        """Tell the member who sent a message what became of it."""
        box = self.mailbox(message.sender) if message.sender is not None else None
        assert box is not None, "a removed member is no message's sender"
        seq = self.append(box, int(kind), message.number)
        reason = message.reason if kind is Kind.FAILED else ""
        outcome.entries.append(
            Entry(box.number, seq, kind, message.number, message.recipient, message.id, reason=reason)
        )

    def withdraw(self, box: Mailbox, seq: int, message: Message, reason: str, outcome: Outcome) -> None:
        """Take a message that was not delivered to a member out of its log; it fails for this member."""
        box.forget_young()
        self.execute("DELETE FROM log WHERE member = ? AND seq = ?", (box.number, seq))
        box.entries -= 1  # what no device has is past the floor
        box.size -= message.size
        self.changed(box)
        self.settle(message, reason, outcome)
        self.remove_if_unused(message)

    def remove_if_unused(self, message: Message) -> None:
        """Remove a message that is in no log any more and that nobody waits for; only a guest's can be such."""
        if message.sender is None and not message.waiting:
            self.flush()
            if self.execute("SELECT 1 FROM log WHERE message = ? LIMIT 1", (message.number,)).fetchone() is None:
                self.remove_messages((message.number,))

    def remove_messages(self, numbers: Iterable[int]) -> None:
        """Remove messages that are in no log."""
        keys = [(number,) for number in numbers]
        self._executemany("DELETE FROM message WHERE number = ?", keys)
        self._executemany("DELETE FROM content WHERE message = ?", keys)

    # Cursors

    def advance(self, box: Mailbox, device: str, seq: int, time: float, outcome: Outcome) -> None:
        """A device has all entries up to one (rule 11.3). What no device had before is delivered.

        Nothing happens if the device does not receive, or has them already.
        """
        cursor = box.cursors.get(device)
        seq = min(seq, box.last)
        if cursor is None or seq <= cursor:
            return
        mark, floor = box.mark, box.floor
        entries = size = 0
        if seq > mark:
            box.mark = seq
            for taken, message in self._received(box, mark, seq):
                entries += 1
                size += message.size
                if not taken:
                    self.settle(message, None, outcome)
        box.cursors[device] = seq
        self._cursors[box.number, device] = (seq, time)
        box.floor = min(box.cursors.values())
        if box.floor > floor:
            if floor != mark or box.floor != seq:
                entries, size = self._held(box.number, floor, box.floor)
            box.entries -= entries
            box.size -= size
        self._changed[box.number] = box

    def _received(self, box: Mailbox, after: int, up_to: int) -> list[tuple[int, Message]]:
        """The messages that came past the mark and up to an entry, each with whether it was delivered even so."""
        young = box.young
        if after < box.old:
            self.flush()
            while young and young[0][0] <= up_to:
                young.popleft()
            rows = self.execute(
                f"SELECT l.taken, {MESSAGE} FROM log l CROSS JOIN message m ON m.number = l.message"
                f" WHERE l.member = ? AND l.seq > ? AND l.seq <= ? AND l.kind = {RECEIVED} ORDER BY l.seq",
                (box.number, after, up_to),
            ).fetchall()
            return [(taken, Message(*columns)) for taken, *columns in rows]
        found: list[tuple[int, Message]] = []
        while young and young[0][0] <= up_to:
            message = young.popleft()[1]
            if message.total > 1:
                self.flush()
                row = self.execute(f"SELECT {MESSAGE} FROM message m WHERE number = ?", (message.number,)).fetchone()
                message = Message(*row)
            found.append((0, message))
        return found
