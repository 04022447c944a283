"""The doors to the tables: reads and writes that never miss what waits in the journal.

`read` and `write` first move all waiting rows to their tables, so no caller can forget that. `direct` does not, and may
be used only for tables and columns that are never in the journal: everything except message, log, device.cursor,
device.seen, the counters in member, and room.last. The hot path appends rows to `pending`, and reads what it needs
through the cache (ledger.py).
"""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from twotick.store.port import StoreLimits
from twotick.store.sqlite.cache import Cache
from twotick.store.sqlite.journal import Journal, PendingRows, insert

_JOURNAL_ROWS: Final = 16384
"""The most rows in the journal: those of some 4,000 messages."""

_BACKLOG: Final = 2048
"""Rows in the journal that are worth moving as soon as no request waits."""

_STEP_ROWS: Final = 1024
"""Rows that one step moves, in some 3 ms: a request that arrives meanwhile waits for it."""


class Tables:
    """The database within a transaction that somebody else begins and commits.

    Args:
        connection: the database.
        limits: the most that is kept.
        server: the number of this server among those that use the database.

    Attributes:
        pending: rows that this transaction has decided; `end` writes them.
        cache: what is remembered between transactions.
        erased: whether content was removed that must leave the write-ahead log as well.
        on_removal: called with the numbers of messages that are removed or deleted, while their content still exists.
    """

    def __init__(self, connection: sqlite3.Connection, limits: StoreLimits, server: int):
        self.direct = connection.execute
        self.limits = limits
        self.server = server
        self.cache = Cache()
        self.pending = PendingRows()
        self.erased = False
        self.on_removal: list[Callable[[list[int]], None]] = []
        self._connection = connection
        self._journal = Journal(connection)
        self._contents: list[tuple[int, bytearray, bytearray]] = []
        self._waiting_ids: set[tuple[int, bytes]] = set()
        self._moved_ids: set[tuple[int, bytes]] = set()  # in this transaction

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

    def add_content(self, message: int, headers: bytes, body: bytes) -> None:
        """Write the headers and the body of a new message."""
        self._contents.append((message, bytearray(headers), bytearray(body)))

    def note_id(self, sender: int, ident: bytes) -> None:
        """Note the Id of a message in `pending`."""
        self._waiting_ids.add((sender, ident))

    def has_new_id(self, sender: int, ident: bytes) -> bool:
        """Tell whether a message with this Id was not in its table when the transaction began."""
        key = sender, ident
        return key in self._waiting_ids or key in self._moved_ids

    # Transactions

    def begin(self) -> None:
        """Begin a transaction."""
        self._moved_ids.clear()

    def flush(self) -> None:
        """Move everything that waits to its tables."""
        self.write_contents()
        if self._journal.rows:
            rows = self._journal.take(self._journal.rows)
            rows.add(self.pending)
            self._move(rows)
        elif len(self.pending):
            self._move(self.pending)

    def _move(self, rows: PendingRows) -> None:
        rows.write(self._connection)
        self.pending = PendingRows()
        self._moved_ids |= self._waiting_ids
        self._waiting_ids.clear()

    def write_contents(self) -> None:
        """Write headers and bodies of this transaction's messages into their table."""
        if self._contents:
            insert(self._connection, "content", 3, self._contents)
            self._contents.clear()

    def end(self) -> None:
        """Write everything that this transaction has decided."""
        self.write_contents()
        if self.cache.is_too_large:
            self.flush()
            self.cache.forget()
        elif len(self.pending):
            if self._journal.rows > _JOURNAL_ROWS:
                self.move_some(_JOURNAL_ROWS // 4)
            self._journal.append(self.pending)
            self.pending = PendingRows()

    def move_some(self, most: int = _STEP_ROWS) -> bool:
        """Move about `most` rows from the journal to their tables. Return whether there are more."""
        rows = self._journal.take(most)
        if len(rows):
            rows.write(self._connection)
            moved = {(message[1], bytes(message[3])) for message in rows.messages.values()}
            self._moved_ids |= moved
            self._waiting_ids -= moved
        return self._journal.rows > 0

    @property
    def has_backlog(self) -> bool:
        """Whether enough rows wait to move some as soon as no request waits."""
        return self._journal.rows > _BACKLOG

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
        self._moved_ids.clear()
        self._journal.forget()
