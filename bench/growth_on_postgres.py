"""Measure what a message adds to a database on PostgreSQL and to its write-ahead log."""

import random
import sys
from collections.abc import Callable
from contextlib import closing

from common import machine, run
from servers import ROOT

sys.path.insert(0, str(ROOT))  # the tests start a PostgreSQL of their own

from tests.store import postgres_server
from tests.store.postgres_asker import PostgresAsker
from twotick.store import Append, StoreLimits
from twotick.store.postgres.connection import PostgresConnection
from twotick.store.sqlite import search

_WORDS = 12
_VOCABULARY = [f"w{number:05}" for number in range(20_000)]
_WEIGHTS = [1 / (number + 5) for number in range(20_000)]
_BATCH = 256
_BATCHES = 40
_ROOM = 11


def _text() -> bytes:
    return " ".join(random.choices(_VOCABULARY, _WEIGHTS, k=_WORDS)).encode()


def _measure(asker: PostgresAsker, make: Callable[[int], Append]) -> tuple[float, float]:
    """Return the bytes of the database and of the log for each of many messages."""

    def look() -> tuple[int, int]:
        query = "SELECT pg_database_size(current_database()), pg_current_wal_lsn() - '0/0'::pg_lsn"
        size, log = connection.run(query).fetchone()
        return size, int(log)

    number = 0
    with closing(PostgresConnection(asker.url)) as connection:
        before = (0, 0)
        for batch in range(_BATCHES + 4):
            if batch == 4:  # the first pages of each table are not counted
                before = look()
            asker.store.apply([make(number + each) for each in range(_BATCH)])
            number += _BATCH
        size, log = look()
    count = _BATCH * _BATCHES
    return (size - before[0]) / count, (log - before[1]) / count


def main() -> None:
    search.BEHIND = 10  # pyright: ignore[reportConstantRedefinition]  # words are indexed at once, and so counted
    with postgres_server.running() as server:
        asker = PostgresAsker(postgres_server.new_database(server), StoreLimits())
        asker.add(*(f"{side}{number}" for side in "sr" for number in range(50)))
        asker.gather(*(f"s{number}" for number in range(_ROOM)))

        def direct(number: int) -> Append:
            return asker.append(f"s{number % 50}", f"r{number % 50}", body=_text(), id=b"%d" % number)

        def in_room(number: int) -> Append:
            return asker.speech(f"s{number % _ROOM}", body=_text(), id=b"r%d" % number)

        print(machine())
        one, one_log = _measure(asker, direct)
        many, many_log = _measure(asker, in_room)
        asker.store.close()
    further = _ROOM - 2
    print(f"a message to a member: {one:,.0f} bytes, and {one_log:,.0f} of the log")
    row, row_log = (many - one) / further, (many_log - one_log) / further
    print(f"each further recipient: {row:,.0f} bytes, and {row_log:,.0f} of the log")


if __name__ == "__main__":
    run(main)
