"""Opens the store that the settings ask for. What PostgreSQL needs is imported only for a database there."""

from pathlib import Path

from twotick.store.port import StoreError, StoreLimits
from twotick.store.sqlite.store import SqliteStore


def open_store(
    folder: Path | None, database: str | None, limits: StoreLimits, *, exclusive: bool = True
) -> SqliteStore:
    """Open a store.

    Args:
        folder: the folder of a database on SQLite; None for one in memory.
        database: the address of a database on PostgreSQL, which is used in place of that; None for none.
        limits: the most that is kept.
        exclusive: whether this is the server's store, of which a database has only one.

    Raises:
        StoreError: the database cannot be used.
    """
    if database is None:
        return SqliteStore(folder, limits, exclusive=exclusive)
    try:
        from twotick.store.postgres.store import PostgresStore
    except ModuleNotFoundError as error:
        raise StoreError("what PostgreSQL needs is not installed: pip install 'twotick[cluster]'") from error
    return PostgresStore(database, limits, exclusive=exclusive)
