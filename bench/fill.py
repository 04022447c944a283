"""Fills the database of a store with messages that were sent and acknowledged long ago.

The rows are those that there would be if the messages had really been sent, but SQLite makes them up itself: 10 million
in a few minutes.
"""

import contextlib
import sqlite3
from pathlib import Path

from servers import MeasurementError

from twotick.store import SqliteStore, StoreLimits

_CHECKED = 100_000
"""Databases of up to so many messages are checked by the store's own rules, which takes long for larger ones."""

# Who sends to whom: the members s0, s1, ... to r0, r1, ...; each pair has a message in turn.
_PAIRS = """
    CREATE TEMP TABLE pair AS
    SELECT s.number AS sender, r.number AS recipient, CAST(substr(s.name, 2) AS INTEGER) AS place,
        CAST(s.name AS BLOB) AS sender_name, CAST(r.name AS BLOB) AS recipient_name
    FROM member s JOIN member r ON s.name GLOB 's*' AND r.name = 'r' || substr(s.name, 2)
    ORDER BY place
"""
_TURNS = (
    "CREATE TEMP TABLE turn AS WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n LIMIT ?) SELECT i FROM n"
)
_NUMBER = "i * (SELECT count(*) FROM pair) + place + 1"
_FILL = (
    f"""
    INSERT INTO message (number, sender, sender_name, id, recipient, time, expires, live, size, total, waiting, failed,
        state, reason)
    SELECT {_NUMBER}, sender, sender_name, CAST(printf('%012x-%016x', i / 1000, i) AS BLOB), recipient_name,
        unixepoch(), NULL, 0, 64, 1, 0, 0, 2, ''
    FROM turn CROSS JOIN pair
    """,
    """
    INSERT INTO content (message, headers, body)
    SELECT number, CAST('Time: 2026-11-22T09:30:00.123Z' || char(10) AS BLOB), zeroblob(64) FROM message
    """,
    # The sender's log: SENT and DELIVERED, one after the other.
    f"""
    INSERT INTO log (member, seq, kind, message, peer, device)
    SELECT sender, 2 * i + 1 + column1, 2 + column1, {_NUMBER}, iif(column1, NULL, recipient_name),
        iif(column1, NULL, CAST('bench' AS BLOB))
    FROM pair CROSS JOIN turn CROSS JOIN (VALUES (0), (1))
    """,
    f"""
    INSERT INTO log (member, seq, kind, message, peer)
    SELECT recipient, i + 1, 1, {_NUMBER}, sender_name FROM pair CROSS JOIN turn
    """,
    # They were indexed long ago too; their bodies have no words.
    "UPDATE word_progress SET up_to = (SELECT max(number) FROM message)",
    "UPDATE member SET last = (SELECT ifnull(max(seq), 0) FROM log WHERE member = number)",
    "UPDATE member SET mark = last",
    "UPDATE device SET cursor = (SELECT last FROM member WHERE number = member)",
)


def fill(folder: Path, messages: int) -> None:
    """Fill a store.

    Args:
        folder: of a store that has members and no messages. It is not in use.
        messages: how many; a multiple of the number of pairs.
    """
    with contextlib.closing(sqlite3.connect(folder / "twotick.db", isolation_level=None)) as connection:
        execute = connection.execute
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -2000000", "threads = 4"):
            execute(f"PRAGMA {pragma}")
        execute(_PAIRS)
        (pairs,) = execute("SELECT count(*) FROM pair").fetchone()
        execute(_TURNS, (messages // pairs,))
        # Indexes are made at the end: in order, which is much faster.
        indexes = execute("SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL").fetchall()
        execute("BEGIN")
        for name, _ in indexes:
            execute(f"DROP INDEX {name}")
        for statement in _FILL:
            execute(statement)
        for _, sql in indexes:
            execute(sql)
        execute("COMMIT")
        execute("PRAGMA journal_mode = WAL")
    if messages <= _CHECKED:
        with contextlib.closing(SqliteStore(folder, StoreLimits())) as store:
            problems = store.check()
        if problems:
            raise MeasurementError(f"what the store was filled with makes no sense: {problems}")
