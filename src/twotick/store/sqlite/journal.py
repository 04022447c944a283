"""The journal: rows that are decided and on the disk, but not in their tables yet.

Why. Writing one message into its tables touches some ten pages of the file, and SQLite writes each page that a
transaction has touched as a whole. So a transaction writes its rows in one piece into the table `journal`, which makes
them durable. They move to their tables later, together with the rows of many transactions after them.

Only the headers and bodies of messages go to their table at once: it grows at its end alone, and large bodies should
not be written twice.

`Tables` (tables.py) sees to it that no statement misses rows that wait here. A process that opens the database, or
finds that another process has written to it, first moves everything that is in the table `journal`.
"""

# ruff: noqa: S608 - statements are put together from constants of this package, never from input

import sqlite3
from collections import deque
from typing import Any, TypeAlias

import msgspec

MessageRow: TypeAlias = tuple[Any, ...]
"""The columns of the table `message`, in order."""

_MESSAGE_COLUMNS = 20
_WAITING = 10
_ROOM = 14
"""Columns from the one to before the other are waiting, failed, state and reason."""

_TOGETHER = 16
"""Rows that are inserted with one statement."""

_Settled: TypeAlias = tuple[int, int, int, str]
_Rows: TypeAlias = tuple[list[Any], list[Any], list[Any], list[Any], list[Any], list[Any]]

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[list[Any]])


class PendingRows:
    """Rows to be written.

    Blobs in them are bytearrays: for a bytes object, as for None, sqlite3 first looks for an adapter.

    Attributes:
        messages: new messages, by number.
        entries: new entries of logs.
        settled: how messages stand now: waiting, failed, state and reason, by number.
        cursors: where devices stand now, and when they were last connected, by member and name.
        members: the counters of members, by number: last, delivered, entries and bytes.
        rooms: the places of the newest messages in rooms, by the room's number.
    """

    __slots__ = ("cursors", "entries", "members", "messages", "rooms", "settled")

    def __init__(self) -> None:
        self.messages: dict[int, MessageRow] = {}
        self.entries: list[tuple[Any, ...]] = []
        self.settled: dict[int, _Settled] = {}
        self.cursors: dict[tuple[int, str], tuple[int, float]] = {}
        self.members: dict[int, tuple[int, int, int, int]] = {}
        self.rooms: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self.messages) + len(self.entries) + len(self.settled) + len(self.cursors) + len(self.members)

    def add(self, later: "PendingRows") -> None:
        """Take over rows that were decided later."""
        self.messages.update(later.messages)
        self.entries += later.entries
        self.settled.update(later.settled)
        self.cursors.update(later.cursors)
        self.members.update(later.members)
        self.rooms.update(later.rooms)

    def pack(self) -> bytes:
        """Return all rows in one piece."""
        return _encoder.encode(self._rows(list(self.messages.values()), self.settled))

    def write(self, connection: sqlite3.Connection) -> None:
        """Write all rows into their tables."""
        settled = self.settled.copy()
        messages: list[MessageRow] = []
        for number, row in self.messages.items():
            now = settled.pop(number, None)
            messages.append(row if now is None else row[:_WAITING] + now + row[_ROOM:])
        self.entries.sort()  # rows of one page after each other
        _write(connection, self._rows(messages, settled))

    def _rows(self, messages: list[MessageRow], settled: dict[int, _Settled]) -> _Rows:
        return (
            messages,
            self.entries,
            [(*now, number) for number, now in settled.items()],
            [(*now, *device) for device, now in self.cursors.items()],
            [(*counters, number) for number, counters in self.members.items()],
            [(last, number) for number, last in self.rooms.items()],
        )


class Journal:
    """The rows that are in the table `journal`, oldest first.

    Args:
        connection: the database.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._batches: deque[tuple[int, PendingRows]] = deque()
        self.rows = 0

    def append(self, pending: PendingRows) -> None:
        """Write the rows of a transaction into the journal."""
        number = self._connection.execute(
            "INSERT INTO journal (rows) VALUES (?)", (bytearray(pending.pack()),)
        ).lastrowid
        assert number is not None
        self._batches.append((number, pending))
        self.rows += len(pending)

    def take(self, most: int) -> PendingRows:
        """Take the oldest batches, with about `most` rows together, out of the journal."""
        taken = PendingRows()
        last = 0
        while self._batches and len(taken) < most:
            last, pending = self._batches.popleft()
            self.rows -= len(pending)
            taken.add(pending)
        if last:
            self._connection.execute("DELETE FROM journal WHERE number <= ?", (last,))
        return taken

    def recover(self) -> None:
        """Forget what is remembered, and move everything that is in the table to where it belongs."""
        self.forget()
        rows = self._connection.execute("SELECT rows FROM journal ORDER BY number").fetchall()
        for (packed,) in rows:
            _write(self._connection, _unpack(packed))
        self._connection.execute("DELETE FROM journal")

    def forget(self) -> None:
        """Forget what is remembered; `recover` must come before anything else."""
        self._batches.clear()
        self.rows = 0


def _unpack(data: bytes) -> _Rows:
    """Return the rows in what `pack` returned, in this version of Twotick or an older one."""
    parts: list[list[Any]] = _decoder.decode(data)
    messages, entries, settled, cursors, members = parts[:5]
    rooms = parts[5] if len(parts) > 5 else []
    if len(parts) == 5:  # before there were rooms
        messages = [[*row, None, 0, 0] for row in messages]
        entries = [[*row, 1] for row in entries]
    return [_complete(row) for row in messages], entries, settled, cursors, members, rooms


def _complete(row: list[Any]) -> list[Any]:
    """Add the columns that a message of an older version does not have."""
    return row + [0] * (_MESSAGE_COLUMNS - len(row))


def _write(connection: sqlite3.Connection, rows: _Rows) -> None:
    messages, entries, settled, cursors, members, rooms = rows
    insert(connection, "message", _MESSAGE_COLUMNS, messages)
    insert(connection, "log (member, seq, kind, message, peer, device, up_to, weight)", 8, entries)
    connection.executemany(
        "UPDATE message SET waiting = ?, failed = ?, state = ?, reason = ? WHERE number = ?", settled
    )
    connection.executemany("UPDATE device SET cursor = ?, seen = ? WHERE member = ? AND name = ?", cursors)
    connection.executemany("UPDATE member SET last = ?, mark = ?, entries = ?, bytes = ? WHERE number = ?", members)
    connection.executemany("UPDATE room SET last = ? WHERE number = ?", rooms)
    if messages:
        newest = max(row[0] for row in messages)
        connection.execute("UPDATE counter SET value = max(value, ?) WHERE name = 'message'", (newest,))


def insert(connection: sqlite3.Connection, table: str, columns: int, rows: list[Any]) -> None:
    """Insert rows, many with one statement: after each statement sqlite3 lets other threads run first.

    Args:
        connection: the database.
        table: the table's name, and the columns if they are not all.
        columns: how many columns these are.
        rows: a tuple for each row.
    """
    row = f"({', '.join('?' * columns)})"
    whole = len(rows) - len(rows) % _TOGETHER
    if whole:
        together = [
            [value for each in rows[start : start + _TOGETHER] for value in each]
            for start in range(0, whole, _TOGETHER)
        ]
        connection.executemany(f"INSERT INTO {table} VALUES {', '.join([row] * _TOGETHER)}", together)
    connection.executemany(f"INSERT INTO {table} VALUES {row}", rows[whole:])
