"""The journal: rows that are decided and on the disk, but not in their tables yet.

Why. Writing one message into its tables touches some ten pages of the file, and SQLite writes each page that a
transaction has touched as a whole. So a transaction writes its rows in one piece into the table `journal`, which makes
them durable. They move to their tables later, together with the rows of many transactions after them, sorted so that
rows of one page follow each other.

They move in steps, since all of them at once would take tens of milliseconds: the first steps unpack and sort them, the
others write them into their tables. The table `journal` is emptied with the last step. A process that finds rows in it
writes all of them once more, over those that have moved already. Nothing else changes these rows meanwhile: a statement
that reads or writes the tables first moves everything (`Tables.read`).

Only the headers and bodies of messages go to their table at once: it grows at its end alone, and large bodies should
not be written twice.
"""

# ruff: noqa: S608 - statements are put together from constants of this package, never from input

import sqlite3
from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec

Row: TypeAlias = Sequence[Any]
"""The columns of a row, in order; for a change those of the key at the end."""

_MESSAGE_COLUMNS = 21
_INSERT_MESSAGE = f"INSERT INTO message VALUES ({', '.join('?' * _MESSAGE_COLUMNS)})"
_INSERT_ENTRY = (
    "INSERT INTO log (member, seq, kind, message, peer, device, up_to, weight) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_KEEP_NUMBER = "UPDATE counter SET value = max(value, ?) WHERE name = 'message'"

_ADDED: Row = (0, 0, 0, None)
"""The last columns of a message, in place of those that an older version did not have."""

_WAITING = 10
_ROOM = 14
"""Columns from the one to before the other are waiting, failed, state and reason."""

_UNPACKED = 4
"""Rows that are unpacked in the time in which one is written into its table, about."""

_TOGETHER = 16
"""Rows that are inserted with one statement."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[list[Row]])


class PendingRows:
    """Rows to be written.

    Attributes:
        messages: new messages, by number.
        entries: new entries of logs.
        settled: how messages stand now: waiting, failed, state, reason and number, by number.
        cursors: where devices stand now: cursor, when last connected, member and name, by member and name.
        members: the counters of members: last, delivered, entries, bytes and number, by number.
        rooms: the places of the newest messages in rooms, with the room's number, by that number.
    """

    __slots__ = ("cursors", "entries", "members", "messages", "rooms", "settled")

    def __init__(self) -> None:
        self.messages: dict[int, Row] = {}
        self.entries: list[Row] = []
        self.settled: dict[int, Row] = {}
        self.cursors: dict[tuple[int, str], Row] = {}
        self.members: dict[int, Row] = {}
        self.rooms: dict[int, Row] = {}

    def __len__(self) -> int:
        return len(self.messages) + len(self.entries) + len(self.settled) + len(self.cursors) + len(self.members)

    def pack(self) -> bytes:
        """Return all rows in one piece."""
        tables = (self.messages, self.settled, self.cursors, self.members, self.rooms)
        messages, settled, cursors, members, rooms = (list(table.values()) for table in tables)
        return _encoder.encode((messages, self.entries, settled, cursors, members, rooms))

    def unpack(self, packed: bytes) -> int:
        """Take over rows in what `pack` returned, in this version of Twotick or an older one. Return how many."""
        parts: list[list[Row]] = _decoder.decode(packed)
        messages: list[Row] = parts[0]
        entries: list[Row] = parts[1]
        settled, cursors, members = parts[2:5]
        if len(parts) == 5:  # before there were rooms
            messages = [[*row, None, 0, 0] for row in messages]
            entries = [[*row, 1] for row in entries]
        for row in messages:
            self.messages[row[0]] = _complete(row)
        self.entries += entries
        self.settled.update((row[-1], row) for row in settled)
        self.cursors.update(((row[-2], row[-1]), row) for row in cursors)
        self.members.update((row[-1], row) for row in members)
        if len(parts) > 5:
            self.rooms.update((row[-1], row) for row in parts[5])
        return sum(map(len, parts))

    def statements(self) -> list[tuple[str, list[Row]]]:
        """Return the statements that write all rows into their tables, each with its rows in the order of the table."""
        settled = self.settled.copy()
        messages: list[Row] = []
        for number, row in self.messages.items():
            now = settled.pop(number, None)
            messages.append(row if now is None else [*row[:_WAITING], *now[:-1], *row[_ROOM:]])
        return [
            (_INSERT_MESSAGE, messages),
            (_INSERT_ENTRY, sorted(self.entries, key=_place_in_log)),
            ("UPDATE message SET waiting = ?, failed = ?, state = ?, reason = ? WHERE number = ?", [*settled.values()]),
            ("UPDATE device SET cursor = ?, seen = ? WHERE member = ? AND name = ?", [*self.cursors.values()]),
            ("UPDATE member SET last = ?, mark = ?, entries = ?, bytes = ? WHERE number = ?", [*self.members.values()]),
            ("UPDATE room SET last = ? WHERE number = ?", [*self.rooms.values()]),
            (_KEEP_NUMBER, [(max(self.messages),)] if self.messages else []),
        ]


def _place_in_log(entry: Row) -> tuple[int, int]:
    return entry[0], entry[1]


def _complete(row: Row) -> Row:
    """Return a message's row with the columns that it does not have in an older version."""
    return [*row, *_ADDED[len(row) - _MESSAGE_COLUMNS :]] if len(row) < _MESSAGE_COLUMNS else row


class Journal:
    """The table `journal`: rows of transactions, oldest first.

    They are remembered as they are in the table, in one piece for each transaction. As objects they would keep Python's
    garbage collector busy for tens of milliseconds at a time.

    Args:
        connection: the database.

    Attributes:
        waiting: how many rows have not begun to move.
        moving: how many rows are moving.
        first_moving: the number of the first message among them; None for none.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._transactions: list[tuple[int, bytes]] = []
        self._packed: list[bytes] = []  # what is to move and is not in `_rows` yet, the next one at the end
        self._rows = PendingRows()
        self._statements: list[tuple[str, list[Row]]] = []  # that move rows, the next one at the end
        self._last = 0  # the last transaction whose rows are moving
        self.waiting = 0
        self.moving = 0
        self.first_moving: int | None = None

    def append(self, pending: PendingRows) -> None:
        """Write the rows of a transaction into the journal."""
        packed = pending.pack()
        number = self._connection.execute("INSERT INTO journal (rows) VALUES (?)", (bytearray(packed),)).lastrowid
        assert number is not None
        self._transactions.append((number, packed))
        self.waiting += len(pending)

    def begin_move(self) -> None:
        """Let all rows that wait move; none must be moving."""
        self._last = self._transactions[-1][0]
        self._packed = [packed for _, packed in reversed(self._transactions)]
        self._transactions.clear()
        self.moving, self.waiting = self.waiting, 0

    def step(self, most: int) -> None:
        """Do as much as moving so many rows takes; with the last one, delete all that have moved from the journal."""
        if self._packed:
            self._unpack(_UNPACKED * most)
        else:
            self._write(most)

    def _unpack(self, most: int) -> None:
        rows = self._rows
        while self._packed and most > 0:
            most -= rows.unpack(self._packed.pop())
        if not self._packed:
            self._rows = PendingRows()
            self._statements = [(statement, changed) for statement, changed in rows.statements() if changed][::-1]
            self.moving = sum(len(rows) for _, rows in self._statements)
            self.first_moving = min(rows.messages, default=None)

    def _write(self, most: int) -> None:
        while most > 0 and self._statements:
            statement, rows = self._statements[-1]
            write_rows(self._connection, statement, rows[:most])
            self.moving -= min(most, len(rows))
            most -= len(rows)
            if most < 0:
                del rows[:most]
            else:
                self._statements.pop()
        if not self._statements:
            self._connection.execute("DELETE FROM journal WHERE number <= ?", (self._last,))
            self.first_moving = None

    def move_all(self) -> None:
        """Move all rows."""
        while self.moving or self.waiting:
            if not self.moving:
                self.begin_move()
            self.step(self.moving)

    def recover(self) -> None:
        """Forget what is remembered, and move everything that is in the table, also what has moved before."""
        self.forget()
        rows = PendingRows()
        for (packed,) in self._connection.execute("SELECT rows FROM journal ORDER BY number"):
            rows.unpack(packed)
        if len(rows):
            for statement, changed in rows.statements():
                write_rows(self._connection, statement.replace("INSERT", "INSERT OR REPLACE"), changed)
            self._connection.execute("DELETE FROM journal")

    def forget(self) -> None:
        """Forget what is remembered; `recover` must come before anything else."""
        self._transactions.clear()
        self._packed.clear()
        self._rows = PendingRows()
        self._statements.clear()
        self.waiting = self.moving = 0
        self.first_moving = None


def write_rows(connection: sqlite3.Connection, statement: str, rows: Sequence[Row]) -> None:
    """Run a statement once for each row.

    Rows are inserted many with one statement: after each statement sqlite3 lets other threads run first.

    Args:
        connection: the database.
        statement: what to run; an INSERT ends with the parameters for one row, in brackets.
        rows: the parameters.
    """
    head, values, row = statement.rpartition("VALUES ")
    whole = len(rows) - len(rows) % _TOGETHER if values else 0
    if whole:
        together = [
            [value for each in rows[start : start + _TOGETHER] for value in each]
            for start in range(0, whole, _TOGETHER)
        ]
        connection.executemany(f"{head}VALUES {', '.join([row] * _TOGETHER)}", together)
    if whole < len(rows):
        connection.executemany(statement, rows[whole:])
