"""What was decided but is not in its tables yet.

To write one message into its tables touches some ten pages of the file, and each page that a transaction has touched
is written to the disk as a whole. So a transaction writes its rows as they are, in one piece, into the table `journal`,
and that is what makes them last. They go into their tables together with those of many transactions after them: as soon
as somebody wants to read them, or when there are many. Until then they are kept in memory too. Only headers and bodies
go into their table at once: it grows at its end alone, and large bodies should not be written twice.

Whoever opens the database, and whoever finds that another process has written to it, begins with `Logs.reload`, which
moves what is in the journal to where it belongs. Nobody else has to know that there is one.
"""

# ruff: noqa: S608 - statements are put together from constants of this package, never from what came from outside

import sqlite3
from typing import Any, TypeAlias

import ormsgpack

MessageRow: TypeAlias = tuple[Any, ...]
"""The columns of the table, in order."""

_WAITING = 10
_ROOM = 14
"""Columns from the one to before the other are waiting, failed, state and reason."""

_TOGETHER = 16
"""Rows that are inserted with one statement."""

_Rows: TypeAlias = tuple[list[Any], list[Any], list[Any], list[Any], list[Any], list[Any]]


class Changes:
    """Rows that are to be written.

    Blobs in them are bytearrays: sqlite3 looks for a way to convert each bytes object, and each None, before it takes
    it as it is.

    Attributes:
        messages: new messages, by number.
        entries: new entries of logs.
        settled: how messages stand now: waiting, failed, state and reason, by number.
        cursors: where devices stand now, and when they were heard of, by member and name.
        members: the counters of members, by number: last, mark, entries and bytes.
        rooms: the places of the newest messages in rooms, by the room's number.
        ids: the messages that members have sent with an Id, by the member and the Id.
    """

    __slots__ = ("cursors", "entries", "ids", "members", "messages", "rooms", "settled")

    def __init__(self) -> None:
        self.messages: dict[int, MessageRow] = {}
        self.entries: list[tuple[int, int, int, int, bytearray | None, bytearray, int, int]] = []
        self.settled: dict[int, tuple[int, int, int, str]] = {}
        self.cursors: dict[tuple[int, str], tuple[int, float]] = {}
        self.members: dict[int, tuple[int, int, int, int]] = {}
        self.rooms: dict[int, int] = {}
        self.ids: dict[tuple[int, bytes], int] = {}

    def __len__(self) -> int:
        return len(self.messages) + len(self.entries) + len(self.settled) + len(self.cursors) + len(self.members)

    def add(self, later: "Changes") -> None:
        """Take over what was decided later."""
        self.messages.update(later.messages)
        self.entries += later.entries
        self.settled.update(later.settled)
        self.cursors.update(later.cursors)
        self.members.update(later.members)
        self.rooms.update(later.rooms)
        self.ids.update(later.ids)

    def find(self, key: tuple[int, bytes]) -> MessageRow | None:
        """The message that a member has sent with an Id, as it stood when it was new."""
        number = self.ids.get(key)
        return None if number is None else self.messages[number]

    def pack(self) -> bytes:
        """All of it as one piece of bytes."""
        return ormsgpack.packb(self._rows(list(self.messages.values()), self.settled))

    def write(self, connection: sqlite3.Connection) -> None:
        """Write all of it into the tables."""
        settled = self.settled.copy()
        messages: list[MessageRow] = []
        for number, row in self.messages.items():
            now = settled.pop(number, None)
            messages.append(row if now is None else row[:_WAITING] + now + row[_ROOM:])
        self.entries.sort()  # rows that go to one page, one after the other
        write(connection, self._rows(messages, settled))

    def _rows(self, messages: list[MessageRow], settled: dict[int, tuple[int, int, int, str]]) -> _Rows:
        return (
            messages,
            self.entries,
            [(*now, number) for number, now in settled.items()],
            [(*now, *device) for device, now in self.cursors.items()],
            [(*counters, number) for number, counters in self.members.items()],
            [(last, number) for number, last in self.rooms.items()],
        )


def unpack(data: bytes) -> _Rows:
    """What `Changes.pack` has packed, in this version of the program or when there were no rooms."""
    messages, entries, settled, cursors, members, *rest = ormsgpack.unpackb(data)
    if rest:
        return messages, entries, settled, cursors, members, rest[0]
    return [[*row, None, 0, 0] for row in messages], [[*row, 1] for row in entries], settled, cursors, members, []


def write(connection: sqlite3.Connection, rows: _Rows) -> None:
    """Write rows into their tables."""
    messages, entries, settled, cursors, members, rooms = rows
    insert(connection, "message", 17, messages)
    insert(connection, "log (member, seq, kind, message, peer, device, up_to, weight)", 8, entries)
    connection.executemany(
        "UPDATE message SET waiting = ?, failed = ?, state = ?, reason = ? WHERE number = ?", settled
    )
    connection.executemany("UPDATE device SET cursor = ?, seen = ? WHERE member = ? AND name = ?", cursors)
    connection.executemany("UPDATE member SET last = ?, mark = ?, entries = ?, bytes = ? WHERE number = ?", members)
    connection.executemany("UPDATE room SET last = ? WHERE number = ?", rooms)


def insert(connection: sqlite3.Connection, table: str, columns: int, rows: list[Any]) -> None:
    """Insert rows, many with one statement: whenever sqlite3 is done with one, it lets other threads go first.

    Args:
        connection: where the table is.
        table: its name, and the columns if they are not all.
        columns: how many these are.
        rows: a tuple for each.
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
