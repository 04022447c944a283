"""Copies all data of one store to another, from SQLite to PostgreSQL or back.

A copy can be ended at any time and begun again: it goes on after the last row that the target has. Until all rows were
compared, the target has the mark UNFINISHED, and no server opens it. The index of words is not copied; the server
builds it anew. All rows are read in the order of their keys, some at a time.
"""

# ruff: noqa: S608 - statements are put together from the names of tables and columns, never from input

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final, TypeAlias

from twotick.store.port import StoreError
from twotick.store.sqlite.schema import layout_of_this_version
from twotick.store.sqlite.store import SqliteStore
from twotick.store.sqlite.tables import UNFINISHED, Tables

_AT_ONCE: Final = 500
"""Rows in one transaction."""

_HEAVY_AT_ONCE: Final = 16
"""Rows in one transaction of tables whose rows may be as large as a message or a piece of a file."""

_HEAVY: Final = ("content", "piece", "unedited", "picture", "report", "delayed")

_OWN_TABLES: Final = ("journal",)
_OWN_COUNTERS: Final = ("message", "changes", "schema", "identity", UNFINISHED)
"""What a store keeps for itself, or has in another form."""

Row: TypeAlias = tuple[Any, ...]


class StoredTable:
    """A table that both stores have.

    Args:
        name: its name.
        columns: the names of its columns.
        key: those that are its key.
    """

    def __init__(self, name: str, columns: list[str], key: list[str]) -> None:
        self.name = name
        self.columns = columns
        self._key = [columns.index(each) for each in key]
        self._most = _HEAVY_AT_ONCE if name in _HEAVY else _AT_ONCE
        shown = ", ".join("0" if each == "indexed" else each for each in columns)  # the words are indexed anew
        names, marks = ", ".join(key), ", ".join("?" * len(key))
        own = f" AND name NOT IN {_OWN_COUNTERS}" if name == "counter" else ""
        self._all = f"SELECT {shown} FROM {name} WHERE 1 = 1{own} ORDER BY {names} LIMIT {self._most}"
        self._further = (
            f"SELECT {shown} FROM {name} WHERE ({names}) > ({marks}){own} ORDER BY {names} LIMIT {self._most}"
        )
        backwards = ", ".join(f"{each} DESC" for each in key)
        self._last = f"SELECT {names} FROM {name} WHERE 1 = 1{own} ORDER BY {backwards} LIMIT 1"

    def key_of(self, row: Row) -> Row:
        """Return the key of a row."""
        return tuple(row[at] for at in self._key)

    def last_key(self, store: SqliteStore) -> Row | None:
        """Return the key of the last row; None if there is none."""
        return store.looking(lambda tables: tables.direct(self._last).fetchone())

    def rows(self, store: SqliteStore, after: Row | None) -> Iterator[list[Row]]:
        """Yield the rows after a key in their order, some at a time."""
        while rows := store.looking(partial(self._some, after=after)):
            yield rows
            after = self.key_of(rows[-1])

    def _some(self, tables: Tables, after: Row | None) -> list[Row]:
        found = tables.direct(self._all) if after is None else tables.direct(self._further, after)
        return [tuple(map(_storable, row)) for row in found.fetchall()]


def _storable(value: Any) -> Any:
    """Return a value as both stores keep it: texts on PostgreSQL have no zero bytes."""
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value


def shared_tables() -> list[StoredTable]:
    """Return the tables that are copied."""
    return [
        StoredTable(name, [column[0] for column in columns], _key(columns))
        for name, columns in sorted(layout_of_this_version().items())
        if name not in _OWN_TABLES
    ]


def _key(columns: list[Row]) -> list[str]:
    return [name for _, name in sorted((column[4], column[0]) for column in columns if column[4])]


def copy_store(source: SqliteStore, target: SqliteStore, tell: Callable[[str], None]) -> int:
    """Copy all data, and compare them.

    Args:
        source: has them; no server uses it meanwhile.
        target: is empty, or has a part of an earlier copy.
        tell: is told what is being done, for a person to read.

    Returns:
        The number of rows.

    Raises:
        StoreError: the target has other data, one of the databases failed, or the copies differ.
    """
    tables = shared_tables()
    if not target.looking(lambda tables: tables.is_unfinished()):
        filled = [table.name for table in tables if table.name != "counter" and table.last_key(target) is not None]
        if filled:
            raise StoreError("the target has data already: name an empty folder or database")
        target.writing(lambda tables: tables.mark_unfinished())
    source.writing(lambda tables: tables.flush())
    for table in tables:
        if rows := _copy(table, source, target):
            tell(f"table {table.name}: {rows:,} copied")
    used = source.looking(lambda tables: tables.used_numbers())
    target.writing(lambda tables: tables.use_numbers(used))
    tell("comparing all rows")
    count = sum(_compare(table, source, target) for table in tables)
    if target.looking(lambda tables: tables.used_numbers()) != used:
        raise _difference("the numbers given last")
    target.writing(lambda tables: tables.mark_finished())
    return count


def _copy(table: StoredTable, source: SqliteStore, target: SqliteStore) -> int:
    count = 0
    for rows in table.rows(source, table.last_key(target)):
        target.writing(partial(_insert, table=table, rows=rows))
        count += len(rows)
    return count


def _insert(tables: Tables, *, table: StoredTable, rows: list[Row]) -> None:
    tables.insert(table.name, table.columns, rows)


def _compare(table: StoredTable, source: SqliteStore, target: SqliteStore) -> int:
    count = 0
    others = table.rows(target, None)
    for rows in table.rows(source, None):
        if next(others, None) != rows:
            raise _difference(table.name)
        count += len(rows)
    if next(others, None) is not None:
        raise _difference(table.name)
    return count


def _difference(what: str) -> StoreError:
    return StoreError(
        f"source and copy differ in {what}: the source was changed after the copying had begun. Empty the target"
        " (delete the folder, or run DROP SCHEMA twotick CASCADE), and begin again"
    )
