"""The doors to the tables: reads and writes that never miss what waits in the journal.

`read` and `write` first move all waiting rows to their tables, so no caller can forget that. `direct` does not, and may
be used only for tables and columns that are never in the journal: everything except message, log, device.cursor,
device.seen, the counters in member, and room.last. The hot path appends rows to `pending`, and reads what it needs
through the cache (ledger.py).
"""

# ruff: noqa: S608 - statements are put together from constants of this package, never from input

import math
import sqlite3
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import thread_time
from typing import Any, Final

from twotick.store.port import StoreLimits
from twotick.store.sqlite.cache import Cache
from twotick.store.sqlite.journal import Journal, PendingRows, write_rows

_BACKLOG: Final = 2048
"""Rows in the journal that are worth moving as soon as no request waits."""

_FULL: Final = 4096
"""Rows in the journal from which on each transaction moves some. A read may have to wait until all are moved."""

_STEP_ROWS: Final = 128
"""Rows that one step moves, in about 1 ms: a request that arrives meanwhile waits for it."""

_LEAST_ROWS: Final = 32
"""Rows that a transaction moves at least, so that few of them write the same pages."""

_READ_ROWS: Final = 512
"""Rows in the journal that a request which reads the tables moves at once."""

_MOST_MOVES: Final = 32
"""The most transactions for which such requests wait while rows move: others may add rows meanwhile."""

_INSTRUCTIONS: Final = 10_000
"""Instructions of SQLite's virtual machine that count as work."""

_WORK: Final = 50
"""What they count."""

_UNIT: Final = 5e-6
"""The seconds that one unit of work takes, more or less."""

_LOOKS: Final = 1000
"""Instructions between two looks at the time that a query has taken."""


NOT_YET: Final = 2
"""In place of whether a message is in the word index (`message.indexed`): others are still to get it, in transactions
that follow. Until then these count as one recipient, like guests (`message.live`), and are given up on as guests are if
the server is killed."""

EXPIRED: Final = "expires IS NOT NULL AND expires >= ? AND expires <= ? AND state = 1 AND time >= ?"
"""A message that was sent, and has expired, since a time: that time, now, and that time again."""


UNFINISHED: Final = "unfinished"
"""The counter that the target of a copy has until it is complete."""

NUMBERED: Final = ("member", "report", "room")
"""The tables that never give a number twice, besides that of messages."""


_AT_ONCE: Final = 32
_FIND_ID: Final = "SELECT sender, id FROM message WHERE sender = ? AND id = ? AND id <> x''"
_FIND_IDS: Final = (
    f"WITH sent (sender, id) AS (VALUES {', '.join(['(?, ?)'] * _AT_ONCE)})"
    " SELECT m.sender, m.id FROM sent CROSS JOIN message m INDEXED BY message_id"
    " ON m.sender = sent.sender AND m.id = sent.id AND m.id <> x''"
)
"""One query for many Ids takes a third of the time of one for each."""


class TakesTooLongError(Exception):
    """A query was ended because it had used up its time."""


@dataclass(slots=True)
class ServerRun:
    """What is known of a run of the server, also after the database has been opened again.

    Attributes:
        number: the number of this run among those that use the database.
        over_since: messages that were there before this time, in seconds since 1970, do not expire.
    """

    number: int
    over_since: float = math.inf  # until the server says when it began


class Tables:
    """The database within a transaction, which the caller begins and commits.

    Args:
        connection: the database.
        limits: the most that is kept.
        run: what is known of this run of the server.

    Attributes:
        pending: rows that this transaction has decided; `end` writes them.
        cache: what is remembered between transactions.
        erased: whether content was removed that must leave the write-ahead log as well.
        on_removal: called with the numbers of messages that are removed or deleted, while their content still exists.
        on_withdrawal: called with the number of a message that was taken out of a log.
        work: how much was done so far, in units of about 5 microseconds. An entry of a log and a KiB are one unit.
        is_long: whether the last request of the transaction was long.
        remembers: whether a transaction knows what the one before has read.
        row_lock: what a query ends with that keeps others from changing its rows until this transaction is over.
        message_lock: the same for the rows of the table `message`, as `m`.
        skip_locked: what follows that to leave rows out which others are changing.
    """

    remembers = True
    row_lock = ""  # a transaction on SQLite locks the whole database
    message_lock = ""
    skip_locked = ""

    def __init__(self, connection: sqlite3.Connection, limits: StoreLimits, run: ServerRun):
        self.direct = connection.execute
        self.limits = limits
        self.run = run
        self.cache = Cache()
        self.pending = PendingRows()
        self.erased = False
        self.on_removal: list[Callable[[list[int]], None]] = []
        self.on_withdrawal: list[Callable[[int], None]] = []
        self.work = 0
        self.is_long = False
        self._connection = connection
        connection.set_progress_handler(self._count_work, _INSTRUCTIONS)
        self._journal = Journal(connection)
        self._contents: list[tuple[int, bytearray, bytearray]] = []
        self._waiting_ids: set[tuple[int, bytes]] = set()
        self._moving_ids: set[tuple[int, bytes]] = set()
        self._moved_ids: set[tuple[int, bytes]] = set()  # in this transaction
        self._next_expiry = math.inf  # of messages that wait
        self._moves = 0  # for which a request that reads has waited

    # Doors

    def read(self, query: str, parameters: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Run a query, after everything that waits was moved to its tables."""
        self.flush()
        return self.direct(query, parameters)

    def write(self, statement: str, parameters: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Change a table, after everything that waits was moved to its table."""
        self.flush()
        return self.direct(statement, parameters)

    def write_many(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Change a table once for each row of parameters."""
        self.flush()
        self._connection.executemany(statement, rows)

    def direct_many(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Change a table that the journal never holds, or rows that it does not hold, once for each row."""
        self._connection.executemany(statement, rows)

    def add_content(self, message: int, headers: bytes, body: bytes) -> None:
        """Write the headers and the body of a new message."""
        self.work += len(body) >> 10
        self._contents.append((message, bytearray(headers), bytearray(body)))

    def note_id(self, sender: int, ident: bytes) -> None:
        """Note the Id of a message in `pending`."""
        self._waiting_ids.add((sender, ident))

    def stored_ids(self, keys: list[tuple[int, bytes]]) -> set[tuple[int, bytes]]:
        """Return which Ids of members are in the table of messages."""
        if len(keys) == 1:
            sender, ident = keys[0]
            return set(self.direct(_FIND_ID, (sender, bytearray(ident))))
        found: set[tuple[int, bytes]] = set()
        for start in range(0, len(keys), _AT_ONCE):
            parameters: list[object] = []
            for sender, ident in keys[start : start + _AT_ONCE]:
                parameters += (sender, bytearray(ident))
            parameters += (0, bytearray()) * (_AT_ONCE - len(parameters) // 2)
            found.update(self.direct(_FIND_IDS, parameters))
        return found

    def has_new_id(self, sender: int, ident: bytes) -> bool:
        """Tell whether a message with this Id was not in its table when the transaction began."""
        key = sender, ident
        return key in self._waiting_ids or key in self._moving_ids or key in self._moved_ids

    def note_expiry(self, time: float) -> None:
        """Note when a message in `pending` expires, in seconds since 1970."""
        self._next_expiry = min(self._next_expiry, time)

    def has_expired(self, time: float, since: float) -> bool:
        """Tell whether a message may have expired between two times, in seconds since 1970."""
        if self._next_expiry <= time:
            return True
        row = self.direct(f"SELECT 1 FROM message WHERE {EXPIRED} LIMIT 1", (since, time, since)).fetchone()
        return row is not None

    def next_number(self) -> int:
        """Return the number of the next message."""
        number = self.cache.next_message or self.newest_number() + 1
        self.cache.next_message = number + 1
        return number

    def newest_number(self) -> int:
        """Return the largest number that a message has had."""
        (newest,) = self.read("SELECT value FROM counter WHERE name = 'message'").fetchone()
        return int(newest)

    def _count_work(self) -> None:
        self.work += _WORK

    @contextmanager
    def bounded(self, seconds: float) -> Generator[None]:
        """End the queries of a block when they have taken long. What the block writes must be written before.

        Args:
            seconds: of the processor's time.

        Raises:
            TakesTooLongError: they were ended.
        """
        began = thread_time()
        self._connection.set_progress_handler(lambda: thread_time() - began > seconds, _LOOKS)
        try:
            yield
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
                raise
            raise TakesTooLongError from error
        finally:
            self._connection.set_progress_handler(self._count_work, _INSTRUCTIONS)
            self.work += int((thread_time() - began) / _UNIT)

    # What several servers need to know of each other (see twotick.store.postgres)

    def new_session(self, member: int, device: str) -> int:
        """Return the number of a new connection of a device; 0 if one server has all connections."""
        return 0

    def is_current(self, member: int, device: str, session: int) -> bool:
        """Tell whether this is the last connection of a device; it is if one server has all connections."""
        return True

    def is_held_elsewhere(self, guest: bytes) -> bool:
        """Tell whether another server has noted a guest of this name (`ClaimGuest`)."""
        return False

    def devices_changed(self, member: int) -> None:
        """Let other servers notice that devices of a member were revoked."""

    def connected_elsewhere(self, member: int) -> frozenset[str]:
        """Return the devices of a member that are connected to servers that live, as far as the database knows."""
        return frozenset()

    # Copies (see copying.py)

    def is_unfinished(self) -> bool:
        """Tell whether the database is the target of a copy that was not finished."""
        return self.direct("SELECT 1 FROM counter WHERE name = ?", (UNFINISHED,)).fetchone() is not None

    def mark_unfinished(self) -> None:
        """Note that a copy has begun."""
        self.direct("INSERT INTO counter VALUES (?, 1)", (UNFINISHED,))

    def mark_finished(self) -> None:
        """Note that it is complete."""
        self.direct("DELETE FROM counter WHERE name = ?", (UNFINISHED,))

    def insert(self, table: str, columns: list[str], rows: list[tuple[Any, ...]]) -> None:
        """Insert rows into a table as they are."""
        marks = ", ".join("?" * len(columns))
        write_rows(self._connection, f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", rows)

    def used_numbers(self) -> dict[str, int]:
        """Return the largest number that messages, and the rows of NUMBERED tables, have ever had."""
        direct = self.direct
        used = dict(direct("SELECT name, seq FROM sqlite_sequence").fetchall())
        return {"message": self.newest_number(), **{table: used.get(table, 0) for table in NUMBERED}}

    def use_numbers(self, used: dict[str, int]) -> None:
        """Let no new row have a number up to these."""
        self.direct("UPDATE counter SET value = ? WHERE name = 'message'", (used["message"],))
        for table in NUMBERED:
            self.direct("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
            self.direct("INSERT INTO sqlite_sequence VALUES (?, ?)", (table, used[table]))

    # Transactions

    def begin(self) -> None:
        """Begin a transaction."""
        self._moved_ids.clear()
        self.is_long = False

    def flush(self) -> None:
        """Move everything that waits to its tables."""
        self.write_contents()
        if not (self._journal.waiting or self._journal.moving or len(self.pending)):
            return
        self._journal.move_all()
        for statement, rows in self.pending.statements():
            write_rows(self._connection, statement, rows)
        self.pending = PendingRows()
        self._next_expiry = math.inf
        self._moved_ids |= self._waiting_ids | self._moving_ids
        self._waiting_ids.clear()
        self._moving_ids.clear()

    def write_contents(self) -> None:
        """Write headers and bodies of this transaction's messages into their table."""
        if self._contents:
            write_rows(self._connection, "INSERT INTO content VALUES (?, ?, ?)", self._contents)
            self._contents.clear()

    def end(self) -> None:
        """Write everything that this transaction has decided."""
        self.write_contents()
        if self.cache.is_too_large:
            self.flush()
            self.cache.forget()
        elif len(self.pending):
            rows = len(self.pending)
            self._journal.append(self.pending)
            self.pending = PendingRows()
            # The rows of a long request move in transactions of their own: short requests have their turn between them.
            if not self.is_long and (self._journal.moving or self._journal.waiting > _FULL):
                self.move_some(max(rows + (rows >> 2), _LEAST_ROWS))  # more than it has added, and not all at once

    def move_some(self, rows: int = _STEP_ROWS) -> bool:
        """Move some rows from the journal to their tables: so many, or a step. Return whether there are more."""
        journal = self._journal
        if not journal.moving and journal.waiting:
            journal.begin_move()
            self._moving_ids, self._waiting_ids = self._waiting_ids, set()
        if journal.moving:
            journal.step(rows)
            if not journal.moving:
                self._moving_ids = set()
        return bool(journal.moving or journal.waiting)

    def moves_first(self) -> bool:
        """Move some rows if so many are in the journal that a request which reads the tables would take long.

        Returns:
            Whether it did. The request is to try again in another transaction, between which others have their turn.
        """
        if self._journal.waiting + self._journal.moving <= _READ_ROWS or self._moves >= _MOST_MOVES:
            self._moves = 0
            return False
        self._moves += 1
        self.move_some(2 * _STEP_ROWS)
        return True

    @property
    def first_moving(self) -> int | None:
        """The number of the first message that is moving to its table; None for none. Its row may move once more."""
        return self._journal.first_moving

    @property
    def has_backlog(self) -> bool:
        """Whether enough rows wait to move some as soon as no request waits."""
        return self._journal.moving > 0 or self._journal.waiting > _BACKLOG

    @property
    def is_behind(self) -> bool:
        """Whether so many rows wait that some must move before there are many more."""
        return self._journal.moving + self._journal.waiting > _FULL

    def recover(self) -> None:
        """Forget everything, since the database may say otherwise, and empty the journal."""
        self.forget()
        self._journal.recover()

    def forget(self) -> None:
        """Forget everything after a failure; `recover` must come before anything else."""
        self.cache.forget()
        self.pending = PendingRows()
        self._contents.clear()
        self._waiting_ids.clear()
        self._moving_ids.clear()
        self._moved_ids.clear()
        self._next_expiry = math.inf
        self._journal.forget()
