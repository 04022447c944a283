"""A full disk, a failing one, and a process that is killed: all of a batch is kept, or nothing."""

import contextlib
import random
import resource
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.store.faults import Faults, damage_definition
from tests.store.helpers import Asker, brief
from twotick.store.port import Damaged, StoreError, StoreLimits
from twotick.store.requests.messages import Append, Appended, EntryKind
from twotick.store.sqlite.checkpointer import Checkpointer
from twotick.store.sqlite.store import SqliteStore


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def kept(tmp_path: Path, faults: Faults) -> Iterator[Asker]:
    """Alice and bob on disk, with a message between them."""
    with faults.installed():
        asker = Asker(tmp_path / "data")
        asker.add("alice", "bob")
        asker.send("alice", "bob", id=b"m1")
        yield asker
        assert asker.store.check() == []
        asker.store.close()


def large(asker: Asker, first: int = 2) -> list[Append]:
    """Messages that take more than the few pages that a small file may have left."""
    return [asker.append("alice", "bob", id=b"m%d" % i, body=bytes(5000)) for i in range(first, first + 40)]


def connection_of(store: SqliteStore) -> sqlite3.Connection:
    return vars(store)["_database"].connection


def check_as_before(asker: Asker) -> None:
    """Nothing is kept but the first message, and the numbers go on from there."""
    assert brief(asker.log("alice")) == [(1, "SENT", b"m1")]
    assert brief(asker.log("bob")) == [(1, "RECEIVED", b"m1")]
    assert asker.store.check() == []
    sent = asker.send("alice", "bob", id=b"m2")
    assert [entry.seq for entry in sent.effects.entries] == [2, 2]


def test_a_full_disk_keeps_nothing_of_the_batch(kept: Asker):
    connection = connection_of(kept.store)
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages + 5}")
    with pytest.raises(StoreError, match=r"^the disk is full$"):
        kept.store.apply(large(kept))
    check_as_before(kept)
    connection.execute("PRAGMA max_page_count = 1000000")
    assert all(isinstance(result, Appended) for result in kept.store.apply(large(kept, 3)))


@contextlib.contextmanager
def small_files(size: int) -> Generator[None]:
    """The operating system lets no file grow beyond a size: what writes more fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("room", [100, 30_000, 120_000])
def test_a_write_that_the_system_refuses_keeps_nothing_of_the_batch(kept: Asker, room: int):
    assert kept.folder is not None
    size = (kept.folder / "twotick.db-wal").stat().st_size
    with small_files(size + room):
        for _ in range(2):
            with pytest.raises(StoreError, match=r"^the disk (is full|fails)"):
                kept.store.apply(large(kept))
    check_as_before(kept)
    kept.reopen()
    assert len(kept.store.apply(large(kept, 3))) == 40
    assert len(kept.log("bob")) == 42


def test_every_statement_may_fail(kept: Asker, faults: Faults):
    """The first fails, or the second, and so on until none does; for a while, so does taking it back."""
    batch = [kept.append("alice", "bob", id=b"m2"), kept.append("alice", "alice", "bob", to="ALL", id=b"m3")]
    failures: list[str] = []
    while faults.left is None:
        faults.left = len(failures)
        try:
            kept.store.apply(batch)
        except StoreError as error:
            failures.append(str(error))
            faults.left = None
            assert brief(kept.log("alice")) == [(1, "SENT", b"m1")]
            assert kept.store.check() == []
    faults.left = None
    assert len(failures) >= 8
    assert set(failures) == {"the disk fails (SQLITE_IOERR_WRITE)"}
    assert [entry.seq for entry in kept.log("alice")] == [1, 2, 3, 4]


def test_the_end_may_fail(kept: Asker, faults: Faults):
    faults.only, faults.left = "COMMIT", 0
    with pytest.raises(StoreError, match=r"^the disk fails"):
        kept.store.apply(large(kept))
    faults.left = None
    check_as_before(kept)


def test_a_store_that_cannot_be_opened_for_a_while_is_used_again(kept: Asker, faults: Faults):
    faults.left = 3
    for _ in range(3):
        with pytest.raises(StoreError, match="the disk fails"):
            kept.store.apply(large(kept))
        with pytest.raises(StoreError, match="the disk fails"):
            kept.store.changed()
        with pytest.raises(StoreError, match="the disk fails"):
            kept.store.check()
    faults.left = None
    assert kept.store.changed(), "it is not known what happened in between"
    check_as_before(kept)


def test_a_locked_database_is_said_to_be_locked(kept: Asker):
    assert kept.folder is not None
    other = sqlite3.connect(kept.folder / "twotick.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    connection = connection_of(kept.store)
    connection.execute("PRAGMA busy_timeout = 1")
    with pytest.raises(StoreError, match=r"^another program has locked the database: try again"):
        kept.store.apply(large(kept))
    other.execute("ROLLBACK")
    other.close()
    check_as_before(kept)


def test_a_definition_that_is_no_text_is_damage(tmp_path: Path) -> None:
    Asker(tmp_path).store.close()
    damage_definition(tmp_path / "twotick.db")
    with pytest.raises(Damaged, match=r"twotick\.db cannot be opened: the database is damaged"):
        SqliteStore(tmp_path, StoreLimits())


def test_a_mistake_of_ours_keeps_nothing_either(kept: Asker):
    with pytest.raises(KeyError):
        kept.store.apply([*large(kept), "nonsense"])  # type: ignore[list-item]
    check_as_before(kept)


def test_what_apply_returned_for_survives_kill(tmp_path: Path):
    """A process writes, and is killed at any moment; then the next one goes on from there."""
    folder = tmp_path / "data"
    asker = Asker(folder)
    asker.add("alice", "bob")
    asker.store.close()
    chance = random.Random(11)
    kept = promised = 0
    for _ in range(10):
        call = f"write({str(folder)!r}, {asker.members['alice']}, {asker.members['bob']}, {kept + 1})"
        script = f"from tests.store.writer import write\n{call}"
        with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            for _ in range(chance.randrange(1, 60)):
                promised = int(process.stdout.readline())
            # It does not wait to be killed: it is in the middle of one of the next batches, at no chosen point of it.
            process.kill()
            for line in process.stdout:
                promised = int(line)
        asker.store = SqliteStore(folder, StoreLimits())
        assert asker.store.check() == []
        entries = asker.fetch("bob", most=10**9).entries
        assert [entry.id for entry in entries] == [b"%d" % number for number in range(1, len(entries) + 1)]
        assert all(entry.body == b"%d " % at * (at % 300) for at, entry in enumerate(entries, 1))
        assert len(entries) >= promised
        delivered = [
            entry.id for entry in asker.fetch("alice", most=10**9).entries if entry.kind is EntryKind.DELIVERED
        ]
        assert delivered == [entry.id for entry in entries][: len(delivered)]
        kept = len(entries)
        asker.store.close()


def test_a_disk_that_fails_once_does_not_end_the_copying_of_the_log() -> None:
    """Otherwise the write-ahead log would grow until the server is started again."""
    failed, opened = threading.Event(), threading.Event()

    def connect() -> sqlite3.Connection:
        if not failed.is_set():
            failed.set()
            raise StoreError("the disk fails")
        opened.set()
        return sqlite3.connect(":memory:", check_same_thread=False)

    checkpointer = Checkpointer(connect)
    checkpointer.wake()
    assert failed.wait(60)
    checkpointer.wake()
    assert opened.wait(60)
    checkpointer.close()
