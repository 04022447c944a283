"""The connection to the database: statements, transactions, and errors that a user understands."""

import contextlib
import sqlite3
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

from twotick.client.errors import TwotickError
from twotick.ui.app.storage.schema import open_database


class LocalStoreError(TwotickError):
    """The database on this machine cannot be used. The message says why."""


class Database:
    """The database of one user at one server.

    Args:
        file: the path of the database, which is created if it does not exist; None for a database in memory.
        keep_messages: whether messages are stored in the file, and not only in memory.

    Attributes:
        on_rollback: called after a transaction has failed, so that the file is as it was before.

    Raises:
        LocalStoreError: the database cannot be opened.
    """

    def __init__(self, file: Path | None, keep_messages: bool) -> None:
        self._file = file
        self._has_erased = False
        self.on_rollback: Callable[[], None] = lambda: None
        try:
            self._connection = open_database(file, keep_messages and file is not None)
        except (OSError, sqlite3.Error) as error:
            if "locked" in str(error):
                raise LocalStoreError("the app is already open with this name; close it there first") from error
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> LocalStoreError:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            return LocalStoreError(f"the disk is full, so nothing more is stored: make room ({self._file})")
        return LocalStoreError(f"{self._file} cannot be used: {error}")

    def close(self) -> None:
        """Close the file, so that another process can open it."""
        self._connection.close()

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        """Run a statement and return its cursor.

        Raises:
            LocalStoreError: the statement failed, for example because the disk is full.
        """
        try:
            return self._connection.execute(sql, values)
        except sqlite3.Error as error:
            raise self._unusable(error) from error

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
