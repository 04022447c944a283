"""The time by which messages age (docs/operations.md, "Clocks")."""

from collections.abc import Callable
from typing import Final

from twotick.store.requests.times import AcceptTime, KeepTime, ReadTimes, StoredTimes
from twotick.store.sqlite.handlers import Handlers
from twotick.store.sqlite.tables import Tables

_KEPT: Final = "clock"
_HELD_UP_TO: Final = "held up to"
_HELD_FROM: Final = "held from"

_DEADLINES: Final = (
    "UPDATE message SET expires = expires + ?1 WHERE expires IS NOT NULL AND state = 1",
    "UPDATE file SET expires = expires + ?1 WHERE key IS NOT NULL",
    "UPDATE invitation SET expires = expires + ?1",
    "UPDATE farewell SET time = time + ?1",
    "UPDATE device SET seen = seen + ?1, told = CASE WHEN told > 0 THEN told + ?1 ELSE 0 END",
)
"""What moves all times after which something is removed. They are few, compared with the messages."""


class TimeRepository:
    """Carries out requests about the time.

    Args:
        tables: the database.
        written: returns when the database file was written last before it was opened; None if that is not known.
    """

    def __init__(self, tables: Tables, written: Callable[[], float | None]):
        self._tables = tables
        self._written = written

    def handlers(self) -> Handlers:
        """Return the requests that are carried out here."""
        return {ReadTimes: self._read, KeepTime: self._keep, AcceptTime: self._accept}

    def is_held(self, number: int, oldest: float) -> bool:
        """Tell whether retention must keep a message because its age is not known.

        Args:
            number: the message.
            oldest: the time before which messages are too old, in seconds since 1970.
        """
        up_to, since = self._counter(_HELD_UP_TO), self._counter(_HELD_FROM)
        return up_to is not None and since is not None and number <= up_to and since >= oldest

    def _read(self, request: ReadTimes) -> StoredTimes:
        row = self._tables.read("SELECT time FROM message ORDER BY number DESC LIMIT 1").fetchone()
        return StoredTimes(self._counter(_KEPT), row[0] if row else None, self._written())

    def _keep(self, request: KeepTime) -> int:
        kept = self._counter(_KEPT)
        if kept != request.known and kept is not None and abs(kept - request.time) > request.tolerance:
            return kept
        self._set(_KEPT, request.time)
        return request.time

    def _accept(self, request: AcceptTime) -> None:
        tables = self._tables
        kept = self._counter(_KEPT)
        self._set(_KEPT, request.time)
        if kept is None:
            return
        for statement in _DEADLINES:
            tables.write(statement, (request.time - kept,))
        self._set(_HELD_UP_TO, tables.newest_number())
        self._set(_HELD_FROM, request.time)

    def _counter(self, name: str) -> int | None:
        row = self._tables.direct("SELECT value FROM counter WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def _set(self, name: str, value: int) -> None:
        self._tables.direct(
            "INSERT INTO counter VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", (name, value)
        )
