"""The write-ahead log is copied into the file beside the writer, and begins anew when it is long."""

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
