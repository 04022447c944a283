"""The write-ahead log is copied into the file beside the writer, and begins anew when it is long."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.store.helpers import Asker
from twotick.store import SqliteStore

PATIENCE = 60.0


def wait_until_log_is_long(store: SqliteStore) -> None:
    """Wait for the thread that copies the log to find that it is long."""
    checkpointer = vars(store._database)["_checkpointer"]  # pyright: ignore[reportPrivateUsage]
    deadline = time.monotonic() + PATIENCE
    while not checkpointer.is_long:
        assert time.monotonic() < deadline, "the log was not copied"
        time.sleep(0.01)


def test_a_long_log_begins_anew_and_nothing_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("twotick.store.sqlite.database._CHANGES", 10)
    monkeypatch.setattr("twotick.store.sqlite.checkpointer._LONG", 5)
    asker = Asker(tmp_path)
    asker.add("alice", "bob")
    for number in range(200):
        asker.send("alice", "bob", id=b"m%d" % number)
    wait_until_log_is_long(asker.store)
    log = tmp_path / "twotick.db-wal"
    size = log.stat().st_size
    assert asker.store.tidy()
    for number in range(200, 220):
        asker.send("alice", "bob", id=b"m%d" % number)
    assert log.stat().st_size == size, "the log grows on instead of beginning anew"
    asker.reopen()
    assert [entry.id for entry in asker.log("bob")] == [b"m%d" % number for number in range(220)]
    assert asker.store.check() == []
    asker.store.close()


_COMMAND = "import sys; from pathlib import Path; from twotick.store import ListMembers, SqliteStore, StoreLimits\n" + (
    "store = SqliteStore(Path(sys.argv[1]), StoreLimits(), exclusive=False)\n"
    "print(*(each.name for each in store.ask(ListMembers()))); store.close()"
)
"""What a command of the operator does beside the server."""


def test_a_command_does_not_take_the_log_from_a_server_that_copies_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """SQLite's locks belong to the process: it loses all that it has on a file when it closes the file anywhere."""
    monkeypatch.setattr("twotick.store.sqlite.database._CHANGES", 10)
    monkeypatch.setattr("twotick.store.sqlite.checkpointer._LONG", 5)
    asker = Asker(tmp_path)
    asker.add("alice", "bob")
    for number in range(200):
        asker.send("alice", "bob", id=b"m%d" % number)
    wait_until_log_is_long(asker.store)
    command = [sys.executable, "-c", _COMMAND, str(tmp_path)]
    assert subprocess.run(command, capture_output=True, check=True, text=True).stdout.split() == ["alice", "bob"]
    assert (tmp_path / "twotick.db-wal").exists(), "the command was the last one to close the database, it believed"
    asker.add("carol")
    found = subprocess.run(command, capture_output=True, check=True, text=True).stdout.split()
    assert found == ["alice", "bob", "carol"]
    asker.store.close()
