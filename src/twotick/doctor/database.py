"""Look at the database without opening it as a server does: nothing is upgraded, and nothing recovered."""

import asyncio
import sqlite3
import time
from collections.abc import Generator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from twotick.doctor.case import Case
from twotick.doctor.findings import Finding, fine, problem
from twotick.store.sqlite.schema import APPLICATION_ID, STEPS

_LONGEST: Final = 5.0
"""Seconds in which the database is looked through, and in which PostgreSQL answers."""

_STEPS_BETWEEN: Final = 10_000
"""Steps of SQLite between looks at the time."""


def look_at_database(case: Case) -> Generator[Finding]:
    """Look at the version of the database, and for damage."""
    if case.settings.database:
        yield _look_at_postgres(case.settings.database)
    if case.folder is None:
        return
    file = case.folder / "twotick.db"
    try:
        with file.open("rb") as opened:
            head = opened.read(100)
    except FileNotFoundError:
        yield fine("database", "there is none yet: the server makes it, and so does twotick user add")
        return
    except OSError as error:
        yield problem("database", "the database cannot be read", f"{file}: {error.strerror}")
        return
    if not head:  # of a server that found no room to begin with
        yield fine("database", "there is only an empty file yet: the server fills it when it starts")
        return
    version, ours = int.from_bytes(head[60:64]), int.from_bytes(head[68:72]) == APPLICATION_ID
    if not head.startswith(b"SQLite format 3\0"):
        yield problem("database", "the database is damaged", f"{file} is no database")
    elif version and not ours:
        yield problem("database", "the database is of another program", str(file))
    elif version > len(STEPS):
        yield problem("database", "the database is of a newer version", f"format {version}; this one has {len(STEPS)}")
    else:
        yield _look_through(file, version, has_server=case.has_server)


def _look_through(file: Path, version: int, *, has_server: bool) -> Finding:
    log = file.with_name(f"{file.name}-wal")
    if not has_server and log.exists() and log.stat().st_size:
        return problem("database", "the database was not looked at", "the server did not end in good order")
    # Without the file that a server shares with those who read, SQLite would make one.
    how = "mode=ro" if has_server and file.with_name(f"{file.name}-shm").exists() else "immutable=1"
    ends = time.monotonic() + _LONGEST
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?{how}", uri=True)) as connection:
            connection.set_progress_handler(lambda: time.monotonic() > ends, _STEPS_BETWEEN)
            said = [str(row[0]) for row in connection.execute("PRAGMA quick_check(1)")]
    except UnicodeDecodeError:  # of the error, which quotes what is damaged
        return problem("database", "the database is damaged", f"{file}: the definition of a table is no text")
    except sqlite3.DatabaseError as error:
        if time.monotonic() > ends:
            return fine(
                "database", f"format {version}; no damage in {_LONGEST:.0f} s: twotick check looks at all of it"
            )
        return problem("database", "the database is damaged", f"{file}: {error}")
    if said != ["ok"]:
        return problem("database", "the database is damaged", f"{file}: {said[0].splitlines()[0]}")
    upgrade = "" if version == len(STEPS) else f", which the server upgrades to {len(STEPS)} when it starts"
    return fine("database", f"format {version}{upgrade}; no damage")


def _look_at_postgres(address: str) -> Finding:
    if find_spec("asyncpg") is None:
        return problem("database", "PostgreSQL cannot be reached", "pip install 'twotick[cluster]' is missing")
    try:
        return fine("database", f"PostgreSQL {asyncio.run(_postgres_version(address))} answers")
    except Exception as error:  # asyncpg raises errors of many kinds, and an address can be any text
        return problem("database", "PostgreSQL cannot be reached", " ".join(str(error).split()) or type(error).__name__)


async def _postgres_version(address: str) -> str:
    import asyncpg  # pyright: ignore[reportMissingTypeStubs]

    connect: Any = asyncpg.connect  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    async with asyncio.timeout(_LONGEST):
        connection = await connect(address)
        try:
            return str(await connection.fetchval("SHOW server_version"))
        finally:
            await connection.close()
