"""The formats of the database: no number is used twice, and a layout that was never released is named."""

import hashlib
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.store import older
from tests.store.helpers import Asker
from twotick.store import ListMembers
from twotick.store.port import StoreError, StoreLimits
from twotick.store.sqlite.schema import APPLICATION_ID, STEPS
from twotick.store.sqlite.store import SqliteStore

DIGESTS = [
    "806aa60d1610d350",
    "8271aebd5db93b1d",
    "a5bcc4ab6fc9c3fe",
    "69b5125eb13d8f1d",
    "15ae4ce2c5bbe7b8",
    "e4679817c0022240",
    "f79e6f6cb1d6fef2",
    "521ff824f0631d7b",
    "3fa33484c4d8eac0",
    "0590e3844ff0540f",
    "dd44e62979fa4857",
    "d409b32f4e1e241b",
    "34950646aa3c79b0",
    "290d4fa0427cc789",
    "7499bdae27a21a56",
    "c0868bb3604c9bbf",
    "047a827cc8099773",
    "5b193e9c701934e0",
    "58a677c0e2776120",
    "0dbf5e3679cde7b5",
    "f40c2c9f6cc31a92",
    "cfb7b21981fd0740",
]
"""How the SHA-256 of each step begins. A line is added with its step, and never changed afterwards."""


def test_no_number_is_used_for_two_layouts() -> None:
    """Whoever changes the tables adds a step, even if the last one was not released: a database may have it."""
    digests = [hashlib.sha256(step.encode()).hexdigest()[:16] for step in STEPS]
    assert digests == DIGESTS, "add the digest of a new step, and change no other"


def without_a_table(connection: sqlite3.Connection) -> None:
    connection.execute("DROP TABLE reading")


def with_another_column(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE member ADD COLUMN colour TEXT")


@pytest.mark.parametrize("number", [1, 2, len(STEPS) - 1, len(STEPS)])
@pytest.mark.parametrize("change", [without_a_table, with_another_column])
def test_a_layout_that_was_never_released_is_named(
    tmp_path: Path, number: int, change: Callable[[sqlite3.Connection], None]
) -> None:
    file = tmp_path / "twotick.db"
    connection = sqlite3.connect(file)
    for step in STEPS[:number]:
        connection.executescript(step)
    change(connection)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {number}")
    connection.commit()
    connection.close()
    content = file.read_bytes()
    with pytest.raises(StoreError, match=f"an unreleased version of Twotick, whose format {number} is another one"):
        SqliteStore(tmp_path, StoreLimits())
    assert file.read_bytes() == content


def test_the_tables_of_litestream_are_no_obstacle(tmp_path: Path) -> None:
    asker = Asker(tmp_path)
    asker.add("alice")
    asker.close()
    with closing(sqlite3.connect(tmp_path / "twotick.db")) as connection:
        connection.execute("CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER)")
        connection.execute("CREATE TABLE _litestream_lock (id INTEGER)")
        connection.commit()
    with closing(Asker(tmp_path)) as asker:
        assert [each.name for each in asker.ask(ListMembers())] == ["alice"]
        assert asker.store.check() == []


def test_a_store_that_is_used_keeps_its_layout(tmp_path: Path) -> None:
    asker = Asker(tmp_path)
    asker.add("alice", "bob")
    asker.send("alice", "bob", id=b"m1")
    while asker.store.tidy():
        pass
    asker.reopen()
    asker.store.close()


@pytest.mark.parametrize("number", [11, 12, 13, 14, 15, 16])
def test_a_database_of_an_older_format_opens_with_everything_in_it(tmp_path: Path, number: int) -> None:
    (tmp_path / "old").mkdir()
    asker, new = older.opened(tmp_path / "old", number), Asker(tmp_path / "new")
    older.fill(new)
    assert older.everything(asker) == older.everything(new)
    assert asker.store.check() == []
    asker.reopen()
    sent = [each.send("Bob", "alice", id=b"b9", body=b"an apple again") for each in (asker, new)]
    assert sent[0] == sent[1], "the numbers go on"
    for each in (asker, new):
        each.ack("Bob", 99, b"phone")
        while each.store.tidy():
            pass
    assert older.everything(asker) == older.everything(new)
    for each in (asker, new):
        assert each.store.check() == []
        each.store.close()
