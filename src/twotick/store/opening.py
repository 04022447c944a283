"""Opens the store that the settings ask for. What PostgreSQL needs is imported only for a database there."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from twotick.store.copying import copy_store
from twotick.store.port import StoreError, StoreLimits
from twotick.store.sqlite.store import SqliteStore


def open_store(
    folder: Path | None,
    database: str | None,
    limits: StoreLimits,
    *,
    exclusive: bool = True,
    shared: bool = False,
) -> SqliteStore:
    """Open a store.

    Args:
        folder: the folder of a database on SQLite; None for one in memory.
        database: the address of a database on PostgreSQL, which is used in place of that; None for none.
        limits: the most that is kept.
        exclusive: whether this is a server's store.
        shared: whether several servers use a database on PostgreSQL. Without it, a database has only one.

    Raises:
        StoreError: the database cannot be used.
    """
    store = _open(folder, database, limits, exclusive=exclusive, shared=shared)
    if not store.looking(lambda tables: tables.is_unfinished()):
        return store
    store.close()
    raise StoreError("'twotick migrate' has not finished copying to this database: run it again")


def _open(
    folder: Path | None, database: str | None, limits: StoreLimits, *, exclusive: bool, shared: bool = False
) -> SqliteStore:
    if database is None:
        return SqliteStore(folder, limits, exclusive=exclusive)
    try:
        from twotick.store.postgres.store import PostgresStore
    except ModuleNotFoundError as error:
        raise StoreError("what PostgreSQL needs is not installed: pip install 'twotick[cluster]'") from error
    return PostgresStore(database, limits, exclusive=exclusive, shared=shared)


def migrate_store(source: Path | str, target: Path | str, limits: StoreLimits, tell: Callable[[str], None]) -> int:
    """Copy all data of a store to another one; no server may use either.

    Args:
        source: the folder of a database on SQLite, or the address of one on PostgreSQL.
        target: the same; it is empty, or has a part of an earlier copy. A folder is created.
        limits: the most that is kept.
        tell: is told what is being done, for a person to read.

    Returns:
        The number of rows.

    Raises:
        StoreError: it was not done; the text says why and what to do.
    """
    with (
        closing(open_store(*_place(source), limits)) as old,
        closing(_open(*_place(target), limits, exclusive=True)) as new,
    ):
        return copy_store(old, new, tell)


def _place(where: Path | str) -> tuple[Path | None, str | None]:
    return (None, where) if isinstance(where, str) else (where, None)
