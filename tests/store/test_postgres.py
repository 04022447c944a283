"""What only the store on PostgreSQL does, and that it does what the store on SQLite does."""

import asyncio
import json
import os
import random
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import asyncpg  # pyright: ignore[reportMissingTypeStubs]
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

import twotick
from tests.bus import nats_server
from tests.cli.commands import environment, run
from tests.examples import examples
from tests.store import postgres_server, test_model, test_twins
from tests.store.faults import Faults
from tests.store.helpers import NOW, Asker
from tests.store.postgres_asker import PostgresAsker
from tests.store.postgres_server import execute
from twotick import admin
from twotick.server.secrets import token_digest
from twotick.store import (
    Acknowledge,
    AddDelayed,
    AddMember,
    Append,
    Appended,
    DelayedMessage,
    Duplicate,
    EntryKind,
    Expire,
    Fetch,
    FindDatabaseState,
    FindMember,
    ListDelayed,
    MarkRead,
    Member,
    MessageState,
    OpenDevice,
    Request,
    SetProfile,
    StoreError,
    StoreLimits,
)
from twotick.store.postgres import schema as postgres_schema
from twotick.store.postgres.connection import PostgresConnection
from twotick.store.postgres.store import PostgresStore
from twotick.store.postgres.word_index import parsed
from twotick.store.rules.delivery import Mailbox
from twotick.store.rules.search import Filters, Term, expression
from twotick.store.sqlite import messages, schema

NewDatabase = Callable[[], str]

FEW = settings(examples(0.02), stateful_step_count=settings().stateful_step_count // 2)
"""A step takes ten times as long as on SQLite."""


@pytest.mark.hypothesis
@pytest.mark.timeout(300)
@pytest.mark.parametrize("machine", [test_twins.Machine, test_twins.InRooms])
def test_it_answers_what_the_store_on_sqlite_answers(
    machine: type[RuleBasedStateMachine], postgres: str, new_database: NewDatabase, monkeypatch: pytest.MonkeyPatch
):
    def open_store(folder: object, limits: StoreLimits) -> Any:
        return original(None, limits) if folder is None else PostgresStore(new_database(), limits)

    original = test_twins.SqliteStore
    monkeypatch.setattr(test_twins, "SqliteStore", open_store)
    monkeypatch.setattr("twotick.store.sqlite.search.SEARCH_SECONDS", 60.0)
    run_state_machine_as_test(machine, settings=FEW)


class PostgresFaults(Faults):
    """Fails what PostgreSQL is asked, from a chosen moment on."""

    @contextmanager
    def installed(self) -> Generator[None]:
        def failing(name: str) -> Any:
            method = getattr(PostgresConnection, name)

            def call(connection: PostgresConnection, statement: str, *more: Any) -> Any:
                if self.left == 0:
                    raise asyncpg.PostgresIOError("disk I/O error")
                if self.left is not None:
                    self.left -= 1
                return method(connection, statement, *more)

            return call

        with ExitStack() as stack:
            for name in "run", "run_many", "script":
                stack.enter_context(mock.patch.object(PostgresConnection, name, failing(name)))
            yield


@pytest.mark.hypothesis
@pytest.mark.timeout(300)
def test_it_does_what_the_model_does(new_database: NewDatabase, monkeypatch: pytest.MonkeyPatch):
    urls: dict[object, str] = {}

    def open_store(folder: object, limits: StoreLimits, *, exclusive: bool = True) -> PostgresStore:
        if folder not in urls:
            urls[folder] = new_database()
        return PostgresStore(urls[folder], limits, exclusive=exclusive)

    monkeypatch.setattr(test_model, "SqliteStore", open_store)
    monkeypatch.setattr(test_model, "Faults", PostgresFaults)
    monkeypatch.setattr(test_model, "kill", PostgresStore.close)
    run_state_machine_as_test(test_model.Machine, settings=FEW)


ONLY_ON_SQLITE = {"journal", "word_part"}
ONLY_ON_POSTGRES = {"word", "server", "guest", "failed_login"}
FOR_SEVERAL_SERVERS = {("member", "session"), ("device", "session"), ("device", "server")}
TYPES = {"bigint": "INTEGER", "double precision": "REAL", "text": "TEXT", "bytea": "BLOB"}


def test_it_has_the_tables_and_columns_of_the_store_on_sqlite(new_database: NewDatabase):
    """Add what is missing to twotick/store/postgres/schema.py, in the same order, as a step of its own."""
    with closing(sqlite3.connect(":memory:")) as file:
        schema.migrate(file, None)
        names = {name for (name,) in file.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        expected = {
            name: [
                (column, kind, not (nullable or key), bool(key))
                for column, kind, nullable, key in file.execute(
                    'SELECT name, type, NOT "notnull", pk FROM pragma_table_info(?)', (name,)
                )
            ]
            for name in names - ONLY_ON_SQLITE
            if not name.startswith("sqlite_")
        }
    with closing(PostgresConnection(new_database())) as connection:
        rows = connection.run(
            "SELECT c.relname::text, a.attname::text, format_type(a.atttypid, NULL), a.attnotnull,"
            " coalesce(a.attnum = ANY(i.indkey), false)"
            " FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
            " LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary"
            " WHERE c.relnamespace = 'twotick'::regnamespace AND c.relkind = 'r' ORDER BY c.relname, a.attnum"
        )
        found: dict[str, list[tuple[str, str, bool, bool]]] = {}
        for table, column, kind, needed, key in rows:
            if table not in ONLY_ON_POSTGRES and (table, column) not in FOR_SEVERAL_SERVERS:
                found.setdefault(table, []).append((column, TYPES[kind], needed and not key, key))
    assert found == expected


def test_a_database_of_an_older_version_is_brought_up_to_date(
    postgres: str, new_database: NewDatabase, monkeypatch: pytest.MonkeyPatch
):
    steps = postgres_schema.STEPS
    layouts: list[object] = []
    for number in range(1, len(steps) + 1):
        url = postgres_server.new_database(postgres, empty=True)
        monkeypatch.setattr("twotick.store.postgres.schema.STEPS", steps[:number])
        with closing(PostgresConnection(url)) as connection:
            postgres_schema.migrate(connection)
        execute(url, "INSERT INTO twotick.member (name, folded, password, added) VALUES ('Alice', 'alice', '', 1)")
        monkeypatch.setattr("twotick.store.postgres.schema.STEPS", steps)
        with closing(PostgresStore(url, StoreLimits())) as store:
            assert store.ask(FindMember("alice")) == Member(1, "Alice", "")
        with closing(PostgresConnection(url)) as connection:
            layouts.append(
                connection.run(
                    "SELECT table_name::text, column_name::text, data_type::text FROM information_schema.columns"
                    " WHERE table_schema = 'twotick' ORDER BY 1, 2"
                ).fetchall()
            )
        postgres_server.drop_database(url)
    assert layouts.count(layouts[-1]) == len(steps)


def failure(url: str, *, exclusive: bool = True) -> str:
    with pytest.raises(StoreError) as caught:
        PostgresStore(url, StoreLimits(), exclusive=exclusive)
    return str(caught.value)


def test_a_database_that_cannot_be_used_is_refused_in_one_line(
    postgres: str, new_database: NewDatabase, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("twotick.store.postgres.database._PATIENCE", 0)
    url = new_database()
    with closing(PostgresStore(url, StoreLimits())):
        assert failure(url).startswith("another server uses this database")
    execute(url, "UPDATE twotick.counter SET value = 999 WHERE name = 'schema'")
    assert "newer version of Twotick (format 999" in failure(url)

    execute(f"{postgres}/postgres", f"CREATE ROLE {postgres_server.LOCKED} LOGIN PASSWORD 'right'")
    for password in ("", ":wrong", ":ri%67ht"):
        locked = url.replace("postgres@", f"{postgres_server.LOCKED}{password}@", 1)
        if password == ":ri%67ht":
            assert "GRANT CREATE ON DATABASE" in failure(locked)
        else:
            assert "check name and password" in failure(locked)
    execute(f"{postgres}/postgres", f"DROP ROLE {postgres_server.LOCKED}")

    strict = postgres_server.new_database(postgres, empty=True)
    name = strict.rpartition("/")[2]
    execute(strict, f"CREATE ROLE {name} LOGIN")
    limited = strict.replace("postgres@", f"{name}@")
    assert "GRANT CREATE ON DATABASE" in failure(limited)
    execute(strict, f"ALTER DATABASE {name} SET synchronous_commit = off")
    assert "synchronous_commit" in failure(strict)
    latin = f"{name}_latin"
    execute(f"{postgres}/postgres", f"CREATE DATABASE {latin} ENCODING 'LATIN1' TEMPLATE template0")
    assert "encoding" in failure(f"{postgres}/{latin}")
    execute(f"{postgres}/postgres", f"DROP DATABASE {latin}")
    postgres_server.drop_database(strict)

    assert "create it with createdb" in failure(f"{postgres}/nothing")
    assert "check name and password" in failure(f"{postgres}/postgres".replace("postgres@", "nobody@"))
    assert "cannot be reached" in failure("postgresql://postgres@127.0.0.1:1/x")
    for wrong in (
        "nonsense",
        *(f"postgresql://postgres:GE{each}" for each in ("#HEIM@x/y", "@[::1/x", "@127.0.0.1:99999/y")),
    ):
        said = failure(wrong)
        assert "not the address" in said, wrong
        assert "GE" not in said, "a part of the password"


def test_old_versions_are_refused(new_database: NewDatabase, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("twotick.store.postgres.schema._OLDEST", 990000)
    assert "is too old: upgrade it" in failure(new_database())


@pytest.mark.parametrize(("seconds", "side"), [(3600, "behind"), (-3600, "ahead of")])
def test_clocks_that_differ_are_refused(
    new_database: NewDatabase, monkeypatch: pytest.MonkeyPatch, seconds: int, side: str
):
    now = time.time()
    monkeypatch.setattr("twotick.store.postgres.schema.time.time", lambda: now + seconds)
    assert f"seconds {side} that of this machine: let both follow a time server" in failure(new_database())


def test_a_host_that_is_silent_is_no_obstacle(new_database: NewDatabase, monkeypatch: pytest.MonkeyPatch):
    """A machine that is gone refuses nothing, and so takes time; the others are asked meanwhile."""
    url = new_database()
    user, _, where = url.partition("@")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"127.0.0.1:{silent.getsockname()[1]}"
        with closing(PostgresStore(f"{user}@{host},{where}", StoreLimits())) as store:
            assert store.ask(FindMember("alice")) is None
            connection: Any = store._database.connection  # pyright: ignore[reportPrivateUsage]
            end = connection._inner._transport.get_extra_info("socket")
            assert end.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        monkeypatch.setattr("twotick.store.postgres.connection._CONNECT_SECONDS", 0.1)
        database = where.partition("/")[2]
        assert "cannot be reached (no answer in time)" in failure(f"{user}@{host}/{database}")
        assert "cannot be reached" in failure(f"{user}@{host},127.0.0.1:1/{database}")


def test_it_goes_on_after_its_connection_was_ended(new_database: NewDatabase):
    url = new_database()
    with closing(PostgresStore(url, StoreLimits())) as store:
        store.apply([AddMember("alice", "", NOW)])
        execute(
            url,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            " AND datname = current_database()",
        )
        assert store.ask(FindMember("alice")) == Member(1, "alice", "")


def test_a_connection_on_which_nothing_can_be_undone_is_given_up(
    new_database: NewDatabase, monkeypatch: pytest.MonkeyPatch
):
    """Else its transaction would stay open, and keep the locks for which all servers wait."""
    with closing(PostgresStore(new_database(), StoreLimits())) as store, monkeypatch.context() as patched:
        broken: Any = store._database.connection  # pyright: ignore[reportPrivateUsage]
        script = PostgresConnection.script

        def confused(self: PostgresConnection, statements: str) -> None:
            if self is broken and statements != "BEGIN":
                raise asyncpg.InterfaceError("cannot perform operation: another operation is in progress")
            script(self, statements)

        patched.setattr(PostgresConnection, "script", confused)
        with pytest.raises(KeyError):
            store.apply([AddMember("alice", "", NOW), "nonsense"])  # type: ignore[list-item]
        assert broken.is_closed
        store.apply([AddMember("alice", "", NOW)])


def test_a_connection_that_breaks_after_a_transaction_has_begun_is_not_replaced_within_it(
    new_database: NewDatabase, monkeypatch: pytest.MonkeyPatch
):
    """What follows would be kept in pieces, each by itself, and without locks."""
    with closing(PostgresStore(new_database(), StoreLimits())) as store, monkeypatch.context() as patched:
        first: Any = store._database.connection  # pyright: ignore[reportPrivateUsage]
        begin, run = PostgresConnection.begin, PostgresConnection.run
        begun: list[PostgresConnection] = []

        def breaking(self: PostgresConnection, *, reading: bool = False) -> None:
            begin(self, reading=reading)
            begun.append(self)
            if self is first and not self.is_closed:
                inner: Any = self
                inner._inner.terminate()
                inner._run(asyncio.sleep(0))

        def checked(self: PostgresConnection, statement: str, parameters: Any = ()) -> Any:
            assert "FOR NO KEY" not in statement or self is begun[-1]
            return run(self, statement, parameters)

        patched.setattr(PostgresConnection, "begin", breaking)
        patched.setattr(PostgresConnection, "run", checked)
        store.apply([AddMember("alice", "", NOW), SetProfile(1, "Al", None)])
        assert len(begun) > 1


def test_a_commit_that_did_not_wait_for_the_standby_is_a_failure(
    new_database: NewDatabase, monkeypatch: pytest.MonkeyPatch
):
    with closing(PostgresStore(new_database(), StoreLimits())) as store:
        commit = PostgresConnection.script

        def cancelled(self: PostgresConnection, statements: str) -> None:
            commit(self, statements)
            if "COMMIT" in statements:
                self.warned = "canceling wait for synchronous replication due to user request"

        with monkeypatch.context() as patched:
            patched.setattr(PostgresConnection, "script", cancelled)
            with pytest.raises(StoreError, match="not known whether"):
                store.apply([AddMember("alice", "", NOW)])
        assert store.changed()
        assert store.ask(FindMember("alice")) is not None


def break_at_commit(monkeypatch: pytest.MonkeyPatch, *, is_kept: bool) -> None:
    """Break the connection once while the database commits."""
    commit = PostgresConnection.commit
    broken: list[PostgresConnection] = []

    def breaking(self: PostgresConnection) -> None:
        if broken:
            commit(self)
            return
        broken.append(self)
        if is_kept:
            commit(self)
        raise ConnectionResetError("the connection broke")

    monkeypatch.setattr(PostgresConnection, "commit", breaking)


@pytest.mark.parametrize("is_kept", [True, False])
def test_what_became_of_a_message_is_found_out_by_its_id(
    shared: PostgresAsker, monkeypatch: pytest.MonkeyPatch, is_kept: bool
):
    """The connection breaks while the database commits. What cannot be carried out twice stays unknown."""
    break_at_commit(monkeypatch, is_kept=is_kept)
    requests = [shared.append("alice", "bob", id=b"1"), AddMember("dave", "", NOW), FindMember("bob")]
    sent, added, found = shared.store.work_on(requests).answers
    assert type(sent) is (Duplicate if is_kept else Appended)
    assert "it is not known whether" in str(added)
    assert isinstance(added, StoreError)
    assert isinstance(found, Member)
    assert len(shared.log("bob")) == 1


def test_a_message_to_a_guest_that_may_be_stored_has_an_outcome(shared: PostgresAsker, monkeypatch: pytest.MonkeyPatch):
    """The server does not know its number, so it gives it to none, and its sender must be told."""
    break_at_commit(monkeypatch, is_kept=True)
    said = shared.append("alice", id=b"1", to="guest", live=True)
    (sent,) = shared.store.work_on([said]).answers
    assert isinstance(sent, Duplicate)
    assert (sent.state, sent.reason) == (MessageState.FAILED, "it is not known whether the message arrived")
    assert [entry.kind for entry in shared.log("alice")] == [EntryKind.SENT, EntryKind.FAILED]


def test_what_only_the_primary_has_is_told_to_no_one(postgres: str):
    """A COMMIT whose wait for the standby is cancelled can be seen by other servers, and can still be lost.

    A stores a message, and its wait is cancelled. B, which is given the same Id, and on which bob's device asks for
    what has come, must say nothing until the standby is back. What the standby has is given at once.
    """
    asker = PostgresAsker(postgres_server.new_database(postgres), StoreLimits(), exclusive=False)
    asker.add("alice", "bob")
    with (
        closing(asker.store),
        closing(asker.open_store()) as at_b,
        closing(asker.open_store()) as of_bob,
        closing(PostgresConnection(asker.url)) as watching,
        ThreadPoolExecutor(3) as threads,
        postgres_server.standby_of(postgres) as standby,
    ):
        state = asker.ask(FindDatabaseState())
        while state is None or not state.standbys or not state.standbys[0].synchronous:
            state = asker.ask(FindDatabaseState())
        assert state.synchronous

        def waiting() -> list[int]:
            """Return who waits for the standby, or for the COMMIT of another one."""
            query = (
                "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
                " AND (wait_event = 'SyncRep' OR wait_event_type = 'Lock')"
            )
            return [pid for (pid,) in watching.run(query)]

        def wait_for(count: int, *asked: Future[Any]) -> None:
            while len(waiting()) < count:
                assert not [each.result() for each in asked if each.done()]

        @contextmanager
        def frozen() -> Generator[None]:
            for process in standby:
                os.kill(process, signal.SIGSTOP)
            try:
                yield
            finally:
                for process in standby:
                    os.kill(process, signal.SIGCONT)

        fetch = Fetch(asker.members["bob"], 0, 9, 1 << 20)
        asker.store.apply([asker.append("alice", "bob", id=b"0")])
        is_given = False
        for _ in range(9):  # PostgreSQL may write to its log at any time, and then the standby lacks something
            with frozen():
                given = threads.submit(of_bob.apply, [fetch])
                while not given.done() and not waiting():
                    pass
                is_given = given.done()
            (found,) = given.result()
            assert [entry.id for entry in found.entries] == [b"0"]
            if is_given:
                break
        assert is_given, "a commit has waited for the standby, which had everything"

        with frozen():
            message = asker.append("alice", "bob", id=b"1")
            at_a = threads.submit(asker.store.apply, [message])
            wait_for(1, at_a)
            watching.run("SELECT pg_cancel_backend($1)", waiting())
            assert "not known whether" in str(at_a.exception())
            again = threads.submit(at_b.apply, [message])
            given = threads.submit(of_bob.apply, [fetch])
            wait_for(2, again, given)
        assert [type(answer) for answer in again.result()] == [Duplicate]
        (found,) = given.result()
        assert [entry.id for entry in found.entries] == [b"0", b"1"]

        for names in "FIRST 2 (*)", "any 2 (*, b)":  # one standby is not enough
            set_standbys(asker.url, names)
            given = threads.submit(of_bob.apply, [fetch])
            wait_for(1, given)
            set_standbys(asker.url, "*")
            asker.add(f"carol{len(names)}")  # with the next COMMIT, PostgreSQL looks who need not wait any more
            assert given.result() == [found]
    postgres_server.drop_database(asker.url)


def set_standbys(url: str, names: str) -> None:
    execute(url, f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
    execute(url, "SELECT pg_reload_conf()")


def test_commands_are_noticed(new_database: NewDatabase):
    url = new_database()
    with closing(PostgresStore(url, StoreLimits())) as store:
        store.changed()
        assert not store.changed()
        with closing(PostgresStore(url, StoreLimits(), exclusive=False)) as command:
            command.ask(AddMember("alice", "", NOW))
        assert store.changed()
        assert not store.changed()
        assert store.ask(OpenDevice(1, "main", 0, NOW))


def test_a_server_that_has_nothing_to_do_leaves_the_database_alone(new_database: NewDatabase):
    """Its log does not grow, and nothing is asked in order to tidy."""
    url = new_database()
    with closing(PostgresStore(url, StoreLimits())) as store, closing(PostgresConnection(url)) as other:

        def state() -> list[object]:
            """Up to where the log is written, and when the server's connection began its last statement."""
            rows = other.run(
                "SELECT pg_current_wal_insert_lsn(), query_start FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name = 'twotick' AND pid <> pg_backend_pid()"
            )
            return [str(each) for row in rows for each in row]

        alice = store.ask(AddMember("alice", "", NOW))
        assert isinstance(alice, Member)
        store.ask(OpenDevice(alice.number, "main", 0, NOW))

        def store_one(body: bytes) -> None:
            note = Append(
                sender=alice.number, sender_name=b"alice", recipient=b"alice", headers=b"", body=body, time=NOW
            )
            store.ask(replace(note, id=body))

        store_one(b"oats")
        while store.tidy():
            pass
        assert not store.tidy()
        before = state()
        for _ in range(3):
            assert not store.tidy()
        assert state() == before
        store.work_on([Expire(NOW), Expire(NOW)])
        assert state()[0] == before[0]
        store_one(b"barley")
        while store.tidy():
            pass
        (row,) = other.run("SELECT count(*) FROM twotick.word")
        assert row[0] == 2


@pytest.fixture
def shared(new_database: NewDatabase) -> Iterator[Asker]:
    """alice, bob and carol, in a database that several processes use."""
    asker = PostgresAsker(new_database(), StoreLimits(), exclusive=False)
    asker.add("alice", "bob", "carol")
    yield asker
    assert asker.store.check() == []
    for name in asker.members:
        seqs = [entry.seq for entry in asker.log(name)]
        assert seqs == [*range(1, len(seqs) + 1)]
    asker.close()


def test_what_a_request_has_read_is_locked(shared: PostgresAsker):
    """One server handles that carol's device has alice's message, while another server stores a message for alice."""
    shared.send("alice", "carol", id=b"1")
    with (
        closing(shared.open_store()) as other,
        closing(PostgresConnection(shared.url)) as watching,
        ThreadPoolExecutor(1) as thread,
    ):
        sent: list[Future[Any]] = []
        cache = shared.store._tables.cache  # pyright: ignore[reportPrivateUsage]
        add = cache.add_mailbox

        def loaded(box: Mailbox) -> Mailbox:
            """Let the other server go on as far as it can, once this one has read alice's mailbox."""
            waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            if box.number == shared.members["alice"]:
                sent.append(thread.submit(other.apply, [shared.append("bob", "alice")]))
                while not sent[0].done() and watching.run(waits).fetchone() is None:
                    pass
            return add(box)

        with mock.patch.object(cache, "add_mailbox", loaded):
            shared.store.apply([Acknowledge(shared.members["carol"], b"main", 1, NOW)])
        assert isinstance(sent[0].result()[0], Appended)
    assert [entry.kind.name for entry in shared.log("alice")] == ["SENT", "DELIVERED", "RECEIVED"]


def test_mailboxes_of_a_room_are_counted_at_once(shared: PostgresAsker, monkeypatch: pytest.MonkeyPatch):
    """The next transaction would not know what this one has counted, and so never come to an end."""
    monkeypatch.setattr(messages, "COUNT_WORK", 1)
    shared.add("dave")
    shared.gather("alice", "bob", "carol", "dave")
    monkeypatch.setattr(shared, "limits", StoreLimits(mailbox_entries=100, sender_entries=20))
    shared.reopen()
    for _ in range(20):
        shared.ask(shared.speech("alice"))
    shared.reopen()
    (answer,) = shared.store.work_on([shared.speech("bob")]).answers
    assert isinstance(answer, Appended)


def test_a_server_writes_many_messages_to_the_tables_of_a_newer_one(shared: PostgresAsker):
    for table in ("message", "content", "log"):
        execute(shared.url, f"ALTER TABLE twotick.{table} ADD COLUMN newer bigint NOT NULL DEFAULT 7")
    answers = shared.store.apply([shared.append("alice", "bob", id=b"%d" % number) for number in range(100)])
    assert all(isinstance(answer, Appended) for answer in answers)
    assert [entry.seq for entry in shared.log("bob")] == [*range(1, 101)]
    assert shared.store.check() == []


def test_a_server_that_hangs_in_a_transaction_does_not_keep_others_waiting(
    new_database: NewDatabase, monkeypatch: pytest.MonkeyPatch
):
    """PostgreSQL gives its locks to others; it carries the transaction out again when it goes on."""
    monkeypatch.setattr("twotick.store.postgres.database._MOST_IDLE", 0.2)
    url = new_database()
    hung, gone_on = threading.Event(), threading.Event()
    tries: list[int] = []
    with (
        closing(PostgresStore(url, StoreLimits(), shared=True)) as one,
        closing(PostgresStore(url, StoreLimits(), shared=True)) as other,
        ThreadPoolExecutor(1) as thread,
    ):
        member = one.ask(AddMember("alice", "", NOW))
        assert isinstance(member, Member)

        def work(tables: Any) -> int:
            tries.append(len(tries))
            tables.read("UPDATE member SET shown = 1 WHERE number = ?", (member.number,))
            hung.set()
            assert gone_on.wait(60)
            return tables.read("UPDATE member SET shown = 0 WHERE number = ?", (member.number,)).rowcount

        hanging = thread.submit(one.writing, work)
        assert hung.wait(60)
        other.ask(OpenDevice(member.number, "laptop", 0, NOW))
        gone_on.set()
        assert hanging.result() == 1
    assert tries == [0, 1]


def test_two_processes_write_at_once(shared: PostgresAsker):
    """An Id that both are given is one message, and places in a room have no gaps."""
    shared.gather("alice", "bob", "carol")

    def write(seed: int) -> list[Any]:
        chance = random.Random(seed)
        answers: list[Any] = []
        with closing(shared.open_store()) as store:
            for number in range(8):
                sender, recipient = chance.sample(sorted(shared.members), 2)
                batch: list[Request[Any]] = [
                    shared.append(sender, recipient),
                    shared.speech(chance.choice(["alice", "bob", "carol"])),
                    shared.append("carol", "alice", id=b"%d" % number),
                    Acknowledge(shared.members[recipient], b"main", chance.randrange(1, 20), NOW),
                    MarkRead(shared.members[sender], b"main", recipient.encode(), chance.randrange(1, 20), NOW),
                ]
                chance.shuffle(batch)
                answers += store.apply(batch[:2]) + store.apply(batch[2:])
        return answers

    with ThreadPoolExecutor(2) as threads:
        answers = [answer for part in threads.map(write, (1, 2)) for answer in part]
    assert sum(isinstance(answer, Appended) for answer in answers) == 2 * 8 * 2 + 8
    assert sum(isinstance(answer, Duplicate) for answer in answers) == 8
    places = [entry.place for entry in shared.log("bob") if entry.place]
    assert sorted(places) == [*range(min(places), max(places) + 1)]


def test_an_expression_of_sqlite_is_understood():
    terms = [Term(["a", "b"], False), Term(["cd"], True)]
    found = parsed(expression(terms, "a", Filters(sender=b"bob"), b"alice", 7))
    assert found == ("('axa' & 'axb') & ('axcd':*) & ('aubob') & m7".replace("m7", "'m7'"), [" axa axb "])


def test_a_phrase_late_in_a_long_text_is_found(new_database: NewDatabase):
    """PostgreSQL's own phrases know only the first 16383 words."""
    from twotick.store.postgres.word_index import PostgresWordIndex
    from twotick.store.rules.search import IndexedText

    url = new_database()
    with closing(PostgresStore(url, StoreLimits())), closing(PostgresConnection(url)) as other:
        other.script("SET search_path = twotick, pg_catalog")
        index = PostgresWordIndex(other.execute)
        index.add([(1, IndexedText("x " * 20_000 + "late words", "")), (2, IndexedText("words late", ""))])
        assert [*index.find('"late words"', 0, 9)] == [1]
        assert [*index.find('"late wor"*', 0, 9)] == [1]
        assert [*index.find('"late" AND "words"', 0, 9)] == [2, 1]


def test_waiting_is_never_cut_short(new_database: NewDatabase):
    """A time limit for statements of the operator's does not end a COMMIT."""
    url = new_database()
    execute(url, f"ALTER DATABASE {url.rpartition('/')[2]} SET statement_timeout = 5000")
    with closing(PostgresStore(url, StoreLimits())) as store:
        connection: Any = store._database.connection  # pyright: ignore[reportPrivateUsage]
        assert connection.run("SHOW statement_timeout").fetchone() == ("0",)


@contextmanager
def serving(url: str, folder: Path, *options: str) -> Generator[tuple[subprocess.Popen[str], str]]:
    """A server on PostgreSQL in a process of its own; the process and its address."""
    command = [sys.executable, "-m", "twotick", "serve", "--port", "0", "--no-web", "--database", url, *options]
    environment = {**os.environ, "TWOTICK_DATA": str(folder)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as server:
        assert server.stdout is not None
        try:
            yield server, server.stdout.readline().removeprefix("listening on ").strip()
        finally:
            server.kill()


async def test_a_server_that_is_killed_has_lost_nothing(new_database: NewDatabase, tmp_path: Path):
    """The next one works at once, and the operator's commands find it."""
    url = new_database()
    with closing(PostgresStore(url, StoreLimits(), exclusive=False)) as store:
        admin.add(store, "alice", b"a password")
        token = await asyncio.to_thread(admin.new_token, store, "alice", "laptop")
    folder = tmp_path / "data"
    with serving(url, folder) as (server, address):
        async with twotick.join("alice", server=address, token=token) as alice:
            await alice.send("alice", "kept")
            server.kill()
        assert server.stderr is not None
        assert "fsync is off in PostgreSQL" in server.stderr.read()
    with serving(url, folder) as (server, address):
        async with twotick.join("alice", server=address, token=token) as alice:
            found = await alice.search("kept")
            assert [message.text for message in found.messages] == ["kept"]
        operator = environment(TWOTICK_MEMORY="no", TWOTICK_DATABASE=url, TWOTICK_DATA=str(folder))
        ended = await asyncio.to_thread(run, "status", "--json", env=operator)
        found = json.loads(ended.stdout)
        assert (found["process"], found["database"]["standbys"], found["members"]) == (server.pid, [], 1)
        assert [each["warning"].partition(":")[0] for each in found["warnings"]] == ["PostgreSQL is not synchronous"]
        assert ended.returncode == 65
        ended = await asyncio.to_thread(run, "reload", env={**operator, "TWOTICK_DATABASE": url})
        assert (ended.returncode, ended.stderr) == (0, "")
        elsewhere = {**operator, "TWOTICK_DATA": str(tmp_path)}
        ended = await asyncio.to_thread(run, "status", env=elsewhere)
        assert "a server on another machine, or with another data folder" in ended.stdout
        assert "no server runs" not in ended.stdout
    ended = await asyncio.to_thread(run, "serve", env={**operator, "TWOTICK_DATABASE": f"{url}x"})
    assert (ended.returncode, ended.stdout) == (71, "")
    assert re.fullmatch(r'twotick: database "\w+" does not exist: create it with createdb.*\n', ended.stderr)


async def write_as_classic_guests(here: str, there: str) -> None:
    """Two guests with connections of the classic protocol to different servers write to each other."""
    connections: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    for server, name in ((here, b"ann"), (there, b"ben")):
        for side in b"TOSEND", b"TORECV":
            host, _, port = server.rpartition(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            connections.append((reader, writer))
            writer.write(b"REGISTER %b %b\n\n" % (side, name))
            assert await reader.readuntil(b"\n\n") == b"REGISTERED %b %b\n\n" % (side, name)
    ann, _, _, ben = connections
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"REGISTER TOSEND Ann\n\n")
    assert await reader.readuntil(b"\n\n") == b"ERROR 100 Malformed username\n\n"
    writer.close()
    ann[1].write(b"SEND Ben\nContent-length: 2\n\nhiSEND nobody\nContent-length: 1\n\nx")
    assert (
        await ben[0].readexactly(len(b"FORWARD ann\nContent-length: 2\n\nhi"))
        == b"FORWARD ann\nContent-length: 2\n\nhi"
    )
    ben[1].write(b"RECEIVED ann\n\n")
    assert await ann[0].readuntil(b"\n\n") == b"SEND Ben\n\n"
    assert await ann[0].readuntil(b"\n\n") == b"ERROR 102 Unable to send\n\n"
    for _, writer in connections:
        writer.close()
        await writer.wait_closed()


def delayed_message(store: PostgresStore) -> DelayedMessage:
    """Add a bot; return a message of it whose time has come."""
    token = admin.add_bot(store, "cron", ["bob"], [])
    number = admin.find_bot(store, "cron").number
    return DelayedMessage(number, b"bob", b"d1", b"", 1.0, "main", token_digest(token), b"", b"delayed")


async def test_two_servers_serve_one_database(new_database: NewDatabase, tmp_path: Path):
    """One of them is killed, and the bus as well: nothing is lost, and nothing comes twice."""
    url = new_database()
    tokens: dict[str, str] = {}
    with closing(PostgresStore(url, StoreLimits(), exclusive=False)) as store:
        for name in "alice", "bob":
            admin.add(store, name, b"a password")
            tokens[name] = await asyncio.to_thread(admin.new_token, store, name, "laptop")
        bot = await asyncio.to_thread(delayed_message, store)
    with nats_server.running(tmp_path) as nats, ExitStack() as stack:
        bus = ("--bus", f"nats://127.0.0.1:{nats.port}")
        a, b = (stack.enter_context(serving(url, tmp_path / name, *bus)) for name in "ab")
        alices = f"{a[1]},{b[1]}"
        await write_as_classic_guests(a[1], b[1])
        patient = twotick.MemberLimits(longest_wait=0.2)
        async with (
            twotick.join("alice", server=alices, token=tokens["alice"], limits=patient) as alice,
            twotick.join("bob", server=b[1], token=tokens["bob"]) as bob,
        ):
            got: list[str] = []

            async def read() -> None:
                async for message in bob:
                    got.append(message.text)

            operator = environment(TWOTICK_MEMORY="no", TWOTICK_DATABASE=url, TWOTICK_DATA=str(tmp_path / "a"))
            ended = await asyncio.to_thread(run, "status", "--json", env=operator)
            servers = json.loads(ended.stdout)["servers"]
            assert [len(servers), sum(each["devices"] for each in servers)] == [2, 2]
            reading = asyncio.create_task(read())
            with closing(PostgresStore(url, StoreLimits(), exclusive=False)) as store:
                await asyncio.to_thread(store.ask, AddDelayed(bot))  # which one of the servers sends, once
                while await asyncio.to_thread(store.ask, ListDelayed(bot.member)):
                    await asyncio.sleep(0.1)
            for text, failing in (("1", None), ("2", nats), ("3", a[0])):
                if failing is not None:
                    failing.kill()
                receipt = await alice.send("bob", text)
                await receipt.delivered()
            reading.cancel()
        assert got == ["delayed", "1", "2", "3"]
