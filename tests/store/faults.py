"""Connections that fail on demand."""

import contextlib
import sqlite3
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any
from unittest import mock


class Faults:
    """Fails what SQLite is asked, from a chosen moment on.

    Attributes:
        left: how many statements succeed yet; then all fail. None lets all succeed.
        only: the statement that fails, by how it begins; empty for each.
    """

    def __init__(self) -> None:
        self.left: int | None = None
        self.only = ""

    def _count(self, sql: str) -> None:
        if self.left is None or not sql.startswith(self.only):
            return
        if self.left == 0:
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR_WRITE
            error.sqlite_errorname = "SQLITE_IOERR_WRITE"
            raise error
        self.left -= 1

    @contextlib.contextmanager
    def installed(self) -> Generator[None]:
        """While this lasts, connections are opened that fail when told to."""
        faults = self

        class Connection(sqlite3.Connection):
            def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
                faults._count(sql)
                return super().execute(sql, parameters)

            def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
                faults._count(sql)
                return super().executemany(sql, parameters)

        connect = sqlite3.connect

        def opened(*args: Any, **options: Any) -> sqlite3.Connection:
            return connect(*args, factory=Connection, **options)

        with mock.patch("sqlite3.connect", opened):
            yield


def damage_definition(file: Path) -> None:
    """Damage the definition of a table, so that SQLite's error has bytes that are no text."""
    content = file.read_bytes()
    assert b"CREATE TABLE" in content
    file.write_bytes(content.replace(b"CREATE TABLE", b"CREATE \xff\xff\xff\xff\xff"))
