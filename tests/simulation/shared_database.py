"""A simulated database that several servers share: a primary, a standby that follows it, and failovers.

What a transaction writes can be seen by others as soon as it is carried out, but its COMMIT returns only when the
standby has it too. A failover makes the standby the primary: what it does not have is gone, and what is to become of
the commits that were waiting is unknown. The transactions themselves are those of the store on SQLite, with the
requests of servers as PostgreSQL carries them out.
"""

# pyright: reportPrivateUsage=false

import json
import random
import re
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from twotick.store import (
    CheckLogin,
    Fetch,
    FindMembers,
    FindOutcomes,
    LookAround,
    Request,
    StoreError,
    StoreLimits,
)
from twotick.store.port import Work
from twotick.store.postgres.connection import Rows
from twotick.store.postgres.locks import again, is_repeatable
from twotick.store.postgres.servers import ServerRepository
from twotick.store.postgres.tables import PostgresTables
from twotick.store.sqlite.accounts import AccountRepository
from twotick.store.sqlite.database import DatabaseFile
from twotick.store.sqlite.store import SqliteStore
from twotick.store.sqlite.tables import ServerRun, Tables

_EXTRA: Final = """
    ALTER TABLE member ADD COLUMN session INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE device ADD COLUMN session INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE device ADD COLUMN server INTEGER NOT NULL DEFAULT 0;
    CREATE TABLE server (
        number INTEGER PRIMARY KEY, version TEXT NOT NULL, address TEXT NOT NULL, alive_until REAL NOT NULL
    );
    CREATE TABLE guest (folded TEXT PRIMARY KEY, server INTEGER NOT NULL, claim INTEGER NOT NULL);
"""
"""What only the store on PostgreSQL has."""

_READS: Final = (CheckLogin, Fetch, FindMembers, FindOutcomes, LookAround)
"""Requests that do not wait for the standby without the barrier."""

_RECONNECTIONS: Final = (0.0, 0.1, 0.5, 2.0)
"""The seconds for which a server may be without a connection with the database."""

_UNNEST: Final = re.compile(r"unnest\(([^()]*)\) AS (\w+) \(([^)]*)\)")
_WORDS: Final = (
    (re.compile(r"= ANY\(\$(\d+)::\w+\[\]\)"), r"IN (SELECT value FROM json_each(?\1))"),
    (re.compile(r"\$(\d+)(::(double precision|bigint|text))?"), r"?\1"),
    (re.compile(r"extract\(epoch FROM clock_timestamp\(\)\)"), "now()"),
    (re.compile(r" FOR UPDATE SKIP LOCKED"), ""),
    (re.compile(r"IS DISTINCT FROM"), "IS NOT"),
)


def _for_sqlite(statement: str) -> str:
    """Return a statement that is written for PostgreSQL in the words of SQLite."""

    def rows(found: re.Match[str]) -> str:
        arrays = re.findall(r"\$(\d+)", found[1])
        columns = ", ".join(f"j{at}.value AS {each}" for at, each in enumerate(found[3].split(", ")))
        first, *others = [f"json_each(?{array}) j{at}" for at, array in enumerate(arrays)]
        joined = "".join(f" JOIN {each} ON j{at}.key = j0.key" for at, each in enumerate(others, 1))
        return f"(SELECT {columns} FROM {first}{joined}) AS {found[2]}"

    statement = _UNNEST.sub(rows, statement)
    for pattern, replacement in _WORDS:
        statement = pattern.sub(replacement, statement)
    return statement


class _Tables(Tables):
    """The tables on SQLite, with what those on PostgreSQL know of servers."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.sessions: dict[tuple[int, str], int] = {}
        self._held: dict[str, bool] = {}
        self._postgres = _Native(self.run_native)

    def begin(self) -> None:
        """See Tables."""
        self.sessions = {}
        self._held = {}
        super().begin()

    def run_native(self, statement: str, parameters: Sequence[Any] = ()) -> Rows:
        """See PostgresTables."""
        self.flush()
        given = [json.dumps(each) if isinstance(each, list) else each for each in parameters]
        found = self.direct(_for_sqlite(statement), given)
        return Rows(found.fetchall(), f"ROWS {found.rowcount}")


@dataclass
class _Native:
    """What PostgresTables asks."""

    run: Callable[..., Rows]


for _name in ("new_session", "is_current", "is_held_elsewhere", "devices_changed", "connected_elsewhere"):
    setattr(_Tables, _name, getattr(PostgresTables, _name))


class _Servers(ServerRepository):
    def _forget_old_failures(self) -> None:
        """Do nothing: there are no logins."""


class _Primary(SqliteStore):
    """The store of the primary.

    Args:
        clock: the time of the database, in seconds since 1970.
        copy: what the standby had; None for a new database.
    """

    def __init__(self, clock: Callable[[], float], copy: bytes | None) -> None:
        self._clock = clock
        self._copy = copy
        super().__init__(None, StoreLimits())

    def _open_file(self, folder: Any, *, exclusive: bool) -> DatabaseFile:
        return DatabaseFile(folder, self._open, exclusive=exclusive)  # messages to guests of other servers live on

    def _open(self, connection: sqlite3.Connection) -> Tables:
        connection.create_function("now", 0, self._clock)
        if self._copy is None:
            connection.executescript(_EXTRA)
        else:
            connection.deserialize(self._copy)
        return super()._open(connection)

    def _new_tables(self, connection: sqlite3.Connection) -> Tables:
        return _Tables(connection, self._limits, self._run)

    def _handlers_for_servers(self) -> Any:
        tables: Any = self._tables
        return _Servers(tables, self._messages, AccountRepository(self._ledger).find).handlers()

    def of(self, run: ServerRun) -> None:
        """Carry out requests of a server from now on."""
        self._tables.run = run

    @property
    def changes(self) -> int:
        """How many rows were changed so far."""
        return self._database.connection.total_changes

    def copied(self) -> bytes:
        """Return all that it has."""
        return self._database.connection.serialize()


@dataclass
class _Commit:
    """A transaction whose COMMIT has not returned.

    Attributes:
        run: the server.
        requests: its requests.
        work: what was carried out.
        place: up to where in the log of the primary the standby must be.
        done: called with what is known then.
    """

    run: ServerRun
    requests: list[Request[Any]]
    work: Work
    place: int
    done: Callable[[Work], None]


class SharedDatabase:
    """The database.

    Args:
        clock: its time, in seconds since 1970.
        chance: decides when servers find out what became of their commits.
        barrier: whether a transaction that has only read waits for the standby too, as it must.

    Attributes:
        primary: its store.
        place: how many transactions have written something.
        replicated: how many of them the standby has.
    """

    def __init__(self, clock: Callable[[], float], chance: random.Random, *, barrier: bool = True) -> None:
        self._clock = clock
        self._chance = chance
        self._barrier = barrier
        self.primary = _Primary(clock, None)
        self.place = self.replicated = 0
        self._copies = {0: self.primary.copied()}
        self._waiting: list[_Commit] = []
        self._unknown: list[tuple[float, _Commit]] = []

    def work_on(self, run: ServerRun, requests: list[Request[Any]], done: Callable[[Work], None]) -> None:
        """Carry out a transaction of a server; `done` is called when its COMMIT returns."""
        work, place = self._carried_out(run, requests)
        self._waiting.append(_Commit(run, requests, work, place, done))
        self._return()

    def _carried_out(self, run: ServerRun, requests: list[Request[Any]]) -> tuple[Work, int]:
        self.primary.of(run)
        before = self.primary.changes
        work = self.primary.work_on(requests)
        if not self._barrier and all(isinstance(request, _READS) for request in requests):
            return work, 0
        if self.primary.changes == before:
            return work, self.place if self._barrier else 0
        self.place += 1
        self._copies[self.place] = self.primary.copied()
        return work, self.place

    def waits(self, run: ServerRun) -> bool:
        """Tell whether a COMMIT of a server has not returned."""
        return any(each.run is run for each in self._waiting)

    def replicate(self, place: int) -> None:
        """Let the standby have what the primary had written up to a place."""
        self.replicated = min(max(place, self.replicated), self.place)
        for old in [old for old in self._copies if old < self.replicated]:
            del self._copies[old]
        self._return()

    def _return(self) -> None:
        ready = [each for each in self._waiting if each.place <= self.replicated]
        self._waiting = [each for each in self._waiting if each.place > self.replicated]
        for each in ready:
            each.done(each.work)

    def fail_over(self) -> int:
        """Lose the primary, and make the standby the primary. Return how many transactions are gone."""
        lost = self.place - self.replicated
        self.primary.close()
        self.primary = _Primary(self._clock, self._copies[self.replicated])
        self.place = self.replicated
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            self._lose(each)
        return lost

    def break_off(self, run: ServerRun, *, is_dead: bool) -> None:
        """End the connection of a server. What its COMMIT has written stays, but it is not told.

        Args:
            run: the server.
            is_dead: whether it was killed; otherwise it finds out.
        """
        own = [each for each in self._waiting if each.run is run]
        self._waiting = [each for each in self._waiting if each.run is not run]
        for each in own:
            self._lose(each)
        if is_dead:
            self._unknown = [each for each in self._unknown if each[1].run is not run]

    def _lose(self, commit: _Commit) -> None:
        """Let a server be without its connection for a while; others are connected again sooner, or later."""
        self._unknown.append((self._clock() + self._chance.choice(_RECONNECTIONS), commit))

    def find_out(self) -> None:
        """Let servers that are connected again do what PostgresStore does if the outcome of a COMMIT is unknown."""
        due = [each for when, each in self._unknown if when <= self._clock()]
        self._unknown = [each for each in self._unknown if each[0] > self._clock()]
        for commit in due:
            begun = commit.requests[: len(commit.work.answers)]
            repeated = [again(each) for each in begun if is_repeatable(each)]
            unknown = StoreError("it is not known whether the database has kept this")
            work, place = self._carried_out(commit.run, repeated) if repeated else (Work([], []), 0)
            found = iter(work.answers)
            answers: list[Any] = [next(found, unknown) if is_repeatable(each) else unknown for each in begun]
            self._waiting.append(_Commit(commit.run, begun, Work(answers, [1] * len(answers)), place, commit.done))
        self._return()

    def close(self) -> None:
        """End it."""
        self.primary.close()
