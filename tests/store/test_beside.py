"""The operator's commands beside a server that writes without a pause."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.sockets import PATIENCE
from tests.store.helpers import NOW, Asker, brief
from twotick.store.port import Damaged, StoreError, StoreLimits
from twotick.store.requests.members import AddMember, ContinueRemoval, Member, RemoveMember
from twotick.store.requests.messages import Effects
from twotick.store.sqlite.check import problems
from twotick.store.sqlite.store import SqliteStore
from twotick.store.sqlite.turn import Turn

MOST = 20
"""The most transactions of the server that a command may have to wait for. One that waits at random waits for
hundreds."""


class Busy:
    """A server's store that a thread writes to without a pause.

    Attributes:
        folder: where it is.
        batches: how many transactions it has made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.batches = 0
        self._asker = Asker(folder)
        self._asker.add("alice", "bob")
        self._sent = 0
        self._stopping = False
        self._written = threading.Condition()
        self._thread = threading.Thread(target=self._write)
        self._thread.start()
        assert self.goes_on(1)

    def _write(self) -> None:
        while not self._stopping:
            ids = [b"m%d" % number for number in range(self._sent, self._sent + 100)]
            self._sent += len(ids)
            self._asker.store.apply([self._asker.append("alice", "bob", id=each, body=bytes(500)) for each in ids])
            with self._written:
                self.batches += 1
                self._written.notify()

    def goes_on(self, batches: int) -> bool:
        """Wait for some more transactions without taking the processor from the thread; return whether they came."""
        with self._written:
            end = self.batches + batches
            return self._written.wait_for(lambda: self.batches >= end, PATIENCE)

    def stop(self) -> None:
        self._stopping = True
        self._thread.join()
        self._asker.store.close()


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[Busy]:
    busy = Busy(tmp_path / "data")
    yield busy
    busy.stop()


@pytest.fixture
def command(busy: Busy) -> Iterator[SqliteStore]:
    """The store of a command on the same folder."""
    store = SqliteStore(busy.folder, StoreLimits(), exclusive=False)
    yield store
    store.close()


def test_a_command_does_not_wait_for_a_moment_in_which_the_server_is_idle(busy: Busy, command: SqliteStore) -> None:
    waited: list[int] = []
    for number in range(5):
        before = busy.batches
        assert isinstance(command.ask(AddMember(f"new{number}", "", NOW)), Member)
        waited.append(busy.batches - before)
    assert max(waited) <= MOST


def test_nothing_that_the_server_writes_meanwhile_is_taken_for_damage(busy: Busy, command: SqliteStore) -> None:
    for _ in range(3):
        assert command.check() == []


def test_rows_on_their_way_to_their_tables_are_waited_for(tmp_path: Path) -> None:
    asker = Asker(tmp_path)
    asker.add("alice", "bob")
    asker.send("alice", "bob", id=b"m1")
    command = SqliteStore(tmp_path, StoreLimits(), exclusive=False)
    assert problems(vars(command)["_database"].connection) is None
    assert command.check() == []
    command.close()
    asker.store.close()


def test_a_locked_database_is_not_a_damaged_one(tmp_path: Path) -> None:
    asker = Asker(tmp_path)
    other = sqlite3.connect(tmp_path / "twotick.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    connection: sqlite3.Connection = vars(asker.store)["_database"].connection
    connection.execute("PRAGMA busy_timeout = 1")
    with pytest.raises(StoreError, match="another program has locked the database") as caught:
        asker.store.check()
    assert not isinstance(caught.value, Damaged)
    other.execute("ROLLBACK")
    other.close()
    assert asker.store.check() == []
    asker.store.close()


def test_a_command_that_stands_still_does_not_stop_the_server(busy: Busy) -> None:
    with closing(Turn(busy.folder)) as turn, turn.taken():
        assert busy.goes_on(2), "the server waits for the command"


def test_beside_a_server_a_removal_is_only_begun(tmp_path: Path) -> None:
    """The server goes on with it, and so its users are told at once what becomes of their messages (rule 12.4)."""
    server = Asker(tmp_path)
    server.add("alice", "bob")
    server.send("alice", "bob", id=b"m1")
    command = SqliteStore(tmp_path, StoreLimits(), exclusive=False)
    assert command.ask(RemoveMember("bob", NOW)) == Effects()
    assert server.store.changed()
    assert not server.exists("bob")
    assert brief(server.log("alice")) == [(1, "SENT", b"m1")]
    assert brief(server.store.ask(ContinueRemoval(NOW)).entries) == [(2, "FAILED", b"m1")]
    server.store.close()
    command.close()


def test_without_a_server_a_removal_is_completed(tmp_path: Path) -> None:
    server = Asker(tmp_path)
    server.add("alice", "bob")
    server.send("alice", "bob", id=b"m1")
    server.store.close()
    command = SqliteStore(tmp_path, StoreLimits(), exclusive=False)
    command.ask(RemoveMember("bob", NOW))
    command.close()
    server = Asker(tmp_path)
    server.members["alice"] = 1
    assert brief(server.log("alice")) == [(1, "SENT", b"m1"), (2, "FAILED", b"m1")]
    assert server.store.ask(ContinueRemoval(NOW)) == Effects()
    server.store.close()
