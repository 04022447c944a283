"""The store on PostgreSQL (docs/protocol.md, sections 10 to 17). See `twotick.store.port.Store`.

The repositories are those of the store on SQLite. Each batch of requests is one transaction, which first locks
the rooms and the members that it is about, in the order of their numbers: so the logs of two servers'
transactions have no gaps.
"""

# ruff: noqa: S608 - statements are put together from constants of this module, never from input

import secrets
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from twotick.store.port import CommitUnknown, DatabaseState, Request, StoreError, StoreLimits, Work
from twotick.store.postgres.check import problems
from twotick.store.postgres.connection import OnlyReads
from twotick.store.postgres.database import PostgresDatabase
from twotick.store.postgres.locks import acknowledged_in, again, flat, is_repeatable, names_in, pairs_in
from twotick.store.postgres.schema import risks
from twotick.store.postgres.servers import ServerRepository
from twotick.store.postgres.standing import state_of
from twotick.store.postgres.tables import PostgresTables
from twotick.store.postgres.word_index import PostgresWordIndex
from twotick.store.requests.messages import Append
from twotick.store.requests.servers import FindDatabaseState
from twotick.store.sqlite.accounts import AccountRepository
from twotick.store.sqlite.reserve import Reserve, reads
from twotick.store.sqlite.store import SqliteStore
from twotick.store.sqlite.tables import ServerRun

_LOCK_ROOMS: Final = "SELECT number FROM room WHERE folded = ANY($1::text[]) ORDER BY number FOR NO KEY UPDATE"
_SENDERS: Final = (
    "SELECT m.sender FROM unnest($4::bigint[], $5::bigint[]) AS a (member, seq) JOIN member o ON o.number = a.member"
    " JOIN log l ON l.member = a.member AND l.seq > o.mark AND l.seq <= least(a.seq, o.mark + 2048) AND l.kind = 1"
    " JOIN message m ON m.number = l.message WHERE m.sender IS NOT NULL"
)
"""Who is told that others now have their messages, by the entries up to which these have them."""

_LOCK_MEMBERS: Final = (
    "SELECT number FROM member WHERE number IN (SELECT unnest($1::bigint[])"
    " UNION SELECT number FROM member WHERE folded = ANY($2::text[])"
    " UNION SELECT member FROM room_member WHERE room = ANY($3::bigint[])"
    f" UNION {_SENDERS})"
    " ORDER BY number FOR NO KEY UPDATE"
)
"""Locks members in the order of their numbers. A condition with OR would have to look at all members."""

_TRIES: Final = 3
"""How often it is tried to find out whether the database has kept something."""

_LOOK: Final = 60.0
"""Seconds after which a server looks for what another one has left to be tidied."""

_T = TypeVar("_T")


class PostgresStore(SqliteStore):
    """The store on PostgreSQL. One thread uses it at a time.

    Args:
        url: the database, as libpq knows it.
        limits: the most that is kept.
        exclusive: whether this is a server's store.
        shared: whether several servers use the database. Without it, a database has only one.

    Raises:
        StoreError: the database cannot be used; the text says why and what to do.
    """

    def __init__(self, url: str, limits: StoreLimits, *, exclusive: bool = True, shared: bool = False) -> None:
        self._limits = limits
        self._run = ServerRun(secrets.randbits(62))
        self._written = None
        self._reserve = Reserve(None, 0)
        self._next_look = 0.0  # when it is looked again for what is to be tidied
        self._begun = 0  # how many requests the last transaction has carried out
        opening: Any = self._open
        database: Any = PostgresDatabase(url, opening, exclusive=exclusive, shared=shared)
        self._database = database
        if exclusive and not shared:  # servers that share a database look for what was lost from time to time
            self._database.within(self._messages.settle_lost)

    def _new_tables(self, connection: Any) -> PostgresTables:
        return PostgresTables(connection, self._limits, self._run)

    def _handlers_for_servers(self) -> Any:
        servers = ServerRepository(self._postgres_tables, self._messages, AccountRepository(self._ledger).find)
        return {**servers.handlers(), FindDatabaseState: self._state}

    @property
    def identity(self) -> str:
        """See SqliteStore."""
        database: Any = self._database
        row: Any = database.connection.run("SELECT value FROM twotick.counter WHERE name = 'identity'").fetchone()
        return str(row[0])

    @property
    def _postgres_tables(self) -> PostgresTables:
        tables: Any = self._tables
        return tables

    def _new_words(self) -> Any:
        return PostgresWordIndex(self._tables.direct)

    def _look_up_ids(self, requests: Sequence[Request[Any]]) -> None:
        """Lock all that the requests are about; then look up their Ids, which no other process can use meanwhile."""
        numbers, members, rooms = names_in(requests)
        if not self._postgres_tables.row_lock:
            if numbers:
                self._postgres_tables.load_mailboxes(sorted(numbers), ())
            return
        acknowledged = acknowledged_in(requests)
        run = self._postgres_tables.run_native  # not on a new connection, which would have no transaction
        locked = [number for (number,) in run(_LOCK_ROOMS, (sorted(rooms),))] if rooms else []
        if numbers or members or locked:
            found = run(
                _LOCK_MEMBERS, (sorted(numbers), sorted(members), locked, [*acknowledged], [*acknowledged.values()])
            )
            self._postgres_tables.load_mailboxes([number for (number,) in found], pairs_in(requests))
        tables = self._postgres_tables
        tables.appends = sum(type(request) is Append for request in flat(requests))
        super()._look_up_ids(requests)

    @property
    def risks(self) -> list[str]:
        """See SqliteStore."""
        database: Any = self._database
        return risks(database.connection)

    def backup(self, file: Path) -> None:
        """Raise StoreError: PostgreSQL has its own means for this."""
        raise StoreError("the data are on PostgreSQL: copy them with pg_dump or pg_basebackup")

    def _state(self, _request: FindDatabaseState) -> DatabaseState:
        database: Any = self._database
        return state_of(self._postgres_tables.run_native, served=database.has_server())

    def check(self) -> list[str]:
        """See Store. Damage of the files is for pg_amcheck to find."""
        return self._database.look(partial(problems, self._tables.read))

    def close(self) -> None:
        """See Store."""
        self._database.close()

    def apply(self, requests: Sequence[Request[Any]]) -> list[Any]:
        """See Store."""
        return self._transaction(self._complete_all, requests)

    def work_on(self, requests: Sequence[Request[Any]]) -> Work:
        """See Store."""
        self._begun = 0
        try:
            return self._transaction(self._begin, requests)
        except CommitUnknown as error:
            return self._find_out(requests[: self._begun], error)

    def _transaction(self, carry_out: Callable[[Sequence[Request[Any]]], _T], requests: Sequence[Request[Any]]) -> _T:
        """Carry out requests in one transaction; without locks if they only read."""
        database: Any = self._database
        if all(map(reads, requests)):
            try:
                return database.within(partial(self._without_locks, carry_out, requests), reading=True)
            except OnlyReads:
                pass  # words of new messages had to be put into the index, or a message is over
        return database.within(partial(carry_out, requests))

    def _without_locks(self, carry_out: Callable[[Sequence[Request[Any]]], _T], requests: Sequence[Request[Any]]) -> _T:
        tables = self._postgres_tables
        tables.row_lock = ""
        try:
            return carry_out(requests)
        finally:
            tables.row_lock = type(tables).row_lock

    def tidy(self) -> bool:
        """See Store. There is something to tidy after this server has written, or if another one was killed."""
        database: Any = self._database
        if not database.has_written and time.monotonic() < self._next_look:
            return False
        database.has_written = False
        is_more = super().tidy()
        self._next_look = 0.0 if is_more else time.monotonic() + _LOOK
        return is_more

    def _keep_up(self, requests: Sequence[Request[Any]]) -> None:
        if self._postgres_tables.row_lock:
            super()._keep_up(requests)

    def _begin(self, requests: Sequence[Request[Any]]) -> Work:
        work = super()._begin(requests)
        self._begun = len(work.answers)
        return work

    def _find_out(self, requests: Sequence[Request[Any]], error: CommitUnknown) -> Work:
        """Carry out once more what may be carried out twice, so that it becomes known what the database has kept.

        A message with an Id is found by it, if it was kept. Other requests are answered with the error.
        """
        repeated = [again(request) for request in requests if is_repeatable(request)]
        answers: list[Any] = []
        for _ in range(_TRIES):
            try:
                answers = self._database.within(partial(self._begin, repeated)).answers if repeated else []
                break
            except CommitUnknown as latest:
                error = latest
            except StoreError:
                break  # the database cannot be reached, so it stays unknown
        found = iter(answers)
        return Work([next(found, error) if is_repeatable(each) else error for each in requests], [1] * len(requests))
