"""All data of a store, copied from SQLite to PostgreSQL and back."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.cli.commands import run
from tests.store.helpers import NOW, Asker
from twotick.store import (
    AddBot,
    AddDelayed,
    AddInvitation,
    BotMember,
    DelayedMessage,
    MessageAction,
    RemoveMember,
    SearchMessages,
    SearchPage,
    StoreError,
    StoreLimits,
    migrate_store,
    open_store,
)
from twotick.store.copying import shared_tables

LIMITS = StoreLimits()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store with something in most tables."""
    asker = Asker(tmp_path / "old")
    asker.add("alice", "bob", "carol")
    bot = asker.ask(AddBot("cron", NOW))
    assert isinstance(bot, BotMember)
    asker.ask(AddDelayed(DelayedMessage(bot.number, b"bob", b"d", b"s", NOW + 0.5, "main", b"\0", b"", b"wake up \0")))
    asker.add("dave")
    asker.gather("alice", "bob", "carol")
    for number in range(40):
        asker.send("alice", "bob", id=b"%d" % number, body=b"hello %d \xff\0" % number)
    asker.say("bob", b"in the room", b"r1")
    asker.ask(asker.correction("bob", MessageAction.EDIT, b"r1", b"edited"))
    asker.set("bob", "carol", muted=True)
    asker.ack("bob", 7)
    asker.ask(AddInvitation(b"digest", NOW))
    asker.remove("dave")  # its number is not given again
    asker.close()
    return tmp_path / "old"


def all_rows(place: Path | str) -> dict[str, list[Any]]:
    where = (None, place) if isinstance(place, str) else (place, None)
    with closing(open_store(*where, LIMITS)) as store:
        store.writing(lambda tables: tables.flush())
        return {table.name: [row for rows in table.rows(store, None) for row in rows] for table in shared_tables()}


def test_a_copy_of_a_copy_has_all_data(folder: Path, new_database: Callable[[], str], tmp_path: Path):
    url, back = new_database(), tmp_path / "back"
    told: list[str] = []
    rows = migrate_store(folder, url, LIMITS, told.append)
    assert rows == migrate_store(url, back, LIMITS, told.append)
    before = all_rows(folder)
    assert before == all_rows(url) == all_rows(back)
    assert sum(map(len, before.values())) == rows
    assert {"member", "content", "log", "room", "invitation", "delayed"} <= {
        name for name, found in before.items() if found
    }
    found: list[Any] = []
    for place in (folder, None), (None, url), (back, None):
        with closing(open_store(*place, LIMITS)) as store:
            assert store.check() == []
            asker = Asker.__new__(Asker)
            asker.store, asker.members = store, {"alice": 1, "bob": 2}
            asker.add("erin")
            assert asker.members["erin"] == 6
            last = max(entry.message for entry in asker.log("bob"))
            asker.send("alice", "bob", id=b"new")
            assert max(entry.message for entry in asker.log("bob")) > last
            while store.tidy():
                pass
            found.append(asker.ask(SearchMessages(2, "edited", b"", 0, 9, 1 << 20)))
    assert isinstance(found[0], SearchPage)
    assert found[0].entries
    assert found[0] == found[1] == found[2]


def test_rows_that_may_be_as_large_as_a_message_are_copied_a_few_at_a_time(tmp_path: Path):
    with closing(open_store(tmp_path / "data", None, LIMITS)) as store:
        bot = store.ask(AddBot("cron", NOW))
        assert isinstance(bot, BotMember)
        first = DelayedMessage(bot.number, b"bob", b"d", b"", NOW, "main", b"", b"", b"wake up")
        store.apply([AddDelayed(replace(first, id=b"%d" % number)) for number in range(40)])
        (table,) = (each for each in shared_tables() if each.name == "delayed")
        assert [len(rows) for rows in table.rows(store, None)] == [16, 16, 8]


def test_the_command_copies(folder: Path, new_database: Callable[[], str]):
    url = new_database()
    ended = run("migrate", str(folder), url)
    assert ended.returncode == 0
    assert ended.stdout.endswith("in all): start the server with the copy from now on\n")
    assert ended.stderr.splitlines()[-1] == "twotick: comparing all rows"
    ended = run("migrate", str(folder), url)
    assert (ended.returncode, ended.stdout) == (71, "")
    assert ended.stderr == "twotick: the target has data already: name an empty folder or database\n"
    ended = run("migrate", str(folder / "nowhere"), url)
    assert (ended.returncode, ended.stderr.startswith("twotick: there are no data to copy")) == (64, True)
    for mistyped in ("mysql://me@x/y", "postgresql:/me@x/y"):  # and no folder of that name is made
        ended = run("migrate", str(folder), mistyped)
        assert (ended.returncode, "postgresql://USER@HOST/NAME" in ended.stderr) == (64, True), ended.stderr


def test_a_copy_that_was_broken_off_goes_on(
    folder: Path, new_database: Callable[[], str], monkeypatch: pytest.MonkeyPatch
):
    url = new_database()
    monkeypatch.setattr("twotick.store.copying._AT_ONCE", 3)
    told: list[str] = []

    class BrokenOffError(Exception):
        pass

    def tell(text: str) -> None:
        told.append(text)
        if len(told) == 3:
            raise BrokenOffError

    with pytest.raises(BrokenOffError):
        migrate_store(folder, url, LIMITS, tell)
    with pytest.raises(StoreError, match="has not finished copying to this database: run it again"):
        open_store(None, url, LIMITS)
    before = told.copy()
    migrate_store(folder, url, LIMITS, told.append)
    assert not set(before) & set(told[3:])  # no table twice
    assert all_rows(folder) == all_rows(url)
    with pytest.raises(StoreError, match="the target has data already"):
        migrate_store(folder, url, LIMITS, told.append)


def test_a_source_that_changed_meanwhile_is_noticed(folder: Path, new_database: Callable[[], str]):
    url = new_database()

    def tell(text: str) -> None:
        if text == "comparing all rows":
            with closing(open_store(folder, None, LIMITS, exclusive=False)) as store:
                store.ask(RemoveMember("carol", NOW))

    with pytest.raises(StoreError, match="the source was changed after the copying had begun"):
        migrate_store(folder, url, LIMITS, tell)
    with pytest.raises(StoreError, match="has not finished copying"):
        open_store(None, url, LIMITS)
