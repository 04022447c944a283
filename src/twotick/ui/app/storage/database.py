"""The connection to the database: statements, transactions, and errors that a user understands."""

import contextlib
import sqlite3
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

from twotick.client.errors import TwotickError
from twotick.ui.app.storage.schema import open_database

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
"""SQLite's codes for damaged files. The last one also means that a table or a column is missing."""


class LocalStoreError(TwotickError):
    """The database on this machine cannot be used. The message says why."""


class DamagedStoreError(LocalStoreError):
    """The database on this machine is damaged. It is set aside when it is opened the next time."""


class Result:
    """The rows that a statement returned, all of which were read.

    Attributes:
        last_number: the number of the row that was inserted last.
        changed: how many rows were changed.
    """

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self._rows: list[tuple[Any, ...]] = cursor.fetchall()
        self.last_number = cursor.lastrowid or 0
        self.changed = cursor.rowcount

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return iter(self._rows)

    def fetchone(self) -> Any:
        """Return the first row; None if there is none."""
        return self._rows[0] if self._rows else None

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Return all rows."""
        return self._rows


class Database:
    """The database of one user at one server.

    Args:
        file: the path of the database, which is created if it does not exist; None for a database in memory.
        keep_messages: whether messages are stored in the file, and not only in memory.

    Attributes:
        on_rollback: called after a transaction has failed, so that the file is as it was before.

    Raises:
        DamagedStoreError: the file is damaged.
        LocalStoreError: the database cannot be opened.
    """

    def __init__(self, file: Path | None, keep_messages: bool) -> None:
        self._file = file
        self._has_erased = False
        self.on_rollback: Callable[[], None] = lambda: None
        try:
            if file is not None and mark_of(file).exists():
                raise self.damaged(sqlite3.DatabaseError("it could not be read"))
            self._connection = open_database(file, keep_messages and file is not None)
        except (OSError, sqlite3.Error, UnicodeError) as error:
            if "locked" in str(error):
                raise LocalStoreError("the app is already open with this name; close it there first") from error
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> LocalStoreError:
        code = getattr(error, "sqlite_errorcode", None)
        if code in _DAMAGED or isinstance(error, UnicodeError) or (code is None and "decode" in str(error)):
            return self.damaged(error)
        if code == sqlite3.SQLITE_FULL:
            return LocalStoreError(f"the disk is full, so nothing more is stored: make room ({self._file})")
        return LocalStoreError(f"{self._file} cannot be used: {error}")

    def close(self) -> None:
        """Close the file, so that another process can open it."""
        self._connection.close()

    def execute(self, sql: str, *values: Any) -> Result:
        """Run a statement and return its rows.

        Raises:
            LocalStoreError: the statement failed, for example because the disk is full.
        """
        try:
            return Result(self._connection.execute(sql, values))
        except (sqlite3.Error, UnicodeError) as error:  # a damaged name is not UTF-8
            raise self._unusable(error) from error

    @contextlib.contextmanager
    def reading(self) -> Generator[None]:
        """Raise DamagedStoreError if a row that the block converts has values that the app has never written."""
        try:
            yield
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise self.damaged(error) from error

    def damaged(self, error: Exception) -> LocalStoreError:
        """Return the error for a damaged file, and let the next start set the file aside."""
        if self._file is not None:
            with contextlib.suppress(OSError):  # the next start may notice the damage by itself
                mark_of(self._file).touch()
        return DamagedStoreError(
            "the copy of your messages here is damaged: start the app again, which sets it aside and fetches the"
            f" messages from the server ({self._file}: {error})"
        )

    @contextlib.contextmanager
    def transaction(self) -> Generator[None]:
        """Apply all statements of the block or, if it raises, none. Transactions can be nested."""
        if self._connection.in_transaction:
            yield
            return
        self.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            self.on_rollback()
            raise
        self._truncate_log()

    def mark_erased(self) -> None:
        """Make sure that what was deleted now is also removed from SQLite's write-ahead log."""
        self._has_erased = True
        self._truncate_log()

    def _truncate_log(self) -> None:
        if self._has_erased and not self._connection.in_transaction:
            self.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._has_erased = False


def mark_of(file: Path) -> Path:
    """Return the path of the empty file that says that a database is damaged."""
    return file.with_name(f"{file.name}.is-damaged")
