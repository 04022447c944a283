"""Set a damaged database aside, and save from it what exists nowhere else: drafts, and what waits to be sent."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from twotick.client.member.events import State
from twotick.ui.app.model.messages import WAITING, LocalMessage
from twotick.ui.app.storage.rows import MESSAGE_COLUMNS, to_message

_PARTS = ("", "-wal", "-journal")
"""The endings of the files of a database that have content."""

_DRAFTS = "SELECT name, draft FROM conversation WHERE draft <> ''"
_LAST_NUMBER = "SELECT seq FROM sqlite_sequence WHERE name = 'message'"
_WAITING = f"SELECT {MESSAGE_COLUMNS} FROM message NOT INDEXED WHERE number = ? AND state = {State.QUEUED.value}"  # noqa: S608 # contains constants only

_MOST_READ = 200_000
"""The newest messages, among which those that wait to be sent are looked for, one by one: a damaged page of the file
does not hide the messages of other pages."""


class Salvaged(NamedTuple):
    """What was saved from a damaged database.

    Attributes:
        drafts: the names of conversations, each with its draft.
        waiting: the messages and changes that wait to be sent, in order.
    """

    drafts: list[tuple[str, str]]
    waiting: list[LocalMessage]


def set_aside(file: Path) -> Path:
    """Rename a database, so that a new one can take its place. An older one that was set aside is replaced.

    Returns:
        Its new path.

    Raises:
        OSError: it cannot be renamed.
    """
    aside = file.with_name(f"{file.name}.damaged")
    for part in _PARTS:
        aside.with_name(aside.name + part).unlink(missing_ok=True)
    for part in _PARTS:
        with contextlib.suppress(FileNotFoundError):
            file.with_name(file.name + part).rename(aside.with_name(aside.name + part))
    file.with_name(f"{file.name}-shm").unlink(missing_ok=True)
    return aside


def salvage(file: Path) -> Salvaged:
    """Read what can be read of a damaged database."""
    drafts: dict[str, str] = {}
    waiting: list[LocalMessage] = []
    connection = sqlite3.connect(file, timeout=0.0, isolation_level=None)
    try:
        drafts |= {
            name: draft
            for name, draft in _readable(connection, _DRAFTS)
            if isinstance(name, str) and isinstance(draft, str)
        }
        last = next((number for (number,) in _readable(connection, _LAST_NUMBER) if isinstance(number, int)), 0)
        for number in range(max(1, last - _MOST_READ), last + 1):
            for row in _readable(connection, _WAITING, number):
                with contextlib.suppress(ValueError, TypeError, KeyError):  # a damaged row
                    message = to_message(row)
                    message.place = (WAITING, 0)
                    waiting.append(message)
    finally:
        connection.close()
    return Salvaged(list(drafts.items()), waiting)


def _readable(connection: sqlite3.Connection, sql: str, *values: int) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a query up to the first that cannot be read."""
    with contextlib.suppress(sqlite3.Error, UnicodeError):
        yield from connection.execute(sql, values)
