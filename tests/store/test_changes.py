"""Editing, deleting and reacting (docs/protocol.md, section 13)."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest

from tests.store.conftest import AskerMaker
from tests.store.helpers import NOW, Asker, bodies
from twotick.store.port import Refusal, StoreLimits
from twotick.store.requests.bots import AddBot, BotMember
from twotick.store.requests.delayed import AddDelayed, CancelDelayed, DelayedMessage
from twotick.store.requests.members import FindMember
from twotick.store.requests.messages import Appended, MessageAction
from twotick.store.requests.rooms import RoomRole
from twotick.store.sqlite.database import DatabaseFile
from twotick.store.sqlite.store import SqliteStore


@pytest.fixture
def team(asker: Asker) -> Asker:
    """Alice owns the private room #Team, with bob and carol."""
    asker.gather("alice", "bob", "carol")
    return asker


EDITED = b"Edited: 2027-01-15T08:00:01.000Z\n"
DELETED = b"Deleted: 2027-01-15T08:00:01.000Z\n"


@pytest.mark.parametrize("to", ["bob", "#team"])
def test_an_edited_message_is_given_with_its_second_body(team: Asker, to: str):
    team.ask(team.append("alice", *(["bob"] if to == "bob" else []), to=to, id=b"m1", body=b"helo"))
    before = len(team.log("bob"))
    sent = team.ask(team.correction("alice", MessageAction.EDIT, b"m1", b"hello", to=to, id=b"m2"))
    assert not isinstance(sent, Refusal)
    first, second = team.log("bob")[before - 1 :]
    assert (first.body, first.headers) == (b"hello", b"X-a: 1\n" + EDITED)
    assert (second.body, second.headers) == (b"hello", b"X-a: 2\n")
    assert [entry.body for entry in team.history("bob", "alice" if to == "bob" else to)][-2:] == [b"hello", b"hello"]
    team.ask(team.correction("alice", MessageAction.EDIT, b"m1", b"hello!", to=to, id=b"m3", time=NOW + 2))
    assert team.log("bob")[before - 1].headers == b"X-a: 1\nEdited: 2027-01-15T08:00:02.000Z\n"


@pytest.mark.parametrize("to", ["bob", "#team"])
def test_a_deleted_message_and_its_edits_are_given_without_body(team: Asker, to: str):
    team.ask(team.append("alice", *(["bob"] if to == "bob" else []), to=to, id=b"m1", body=b"helo"))
    before = len(team.log("bob"))
    team.ask(team.correction("alice", MessageAction.EDIT, b"m1", b"hello", to=to, id=b"m2"))
    team.ask(team.correction("alice", MessageAction.DELETE, b"m1", to=to, id=b"m3"))
    first, second, third = team.log("bob")[before - 1 :]
    assert (first.id, first.body, first.headers) == (b"m1", b"", DELETED)
    assert (second.id, second.body, second.headers) == (b"m2", b"", b"Edits: m1\n" + DELETED)
    assert (third.id, third.body, third.headers) == (b"m3", b"", b"X-a: 2\n")
    for action in (MessageAction.EDIT, MessageAction.DELETE):
        assert team.refusal(team.correction("alice", action, b"m1", to=to)) == "there is no such message of yours"


def test_only_ones_own_messages_to_the_same_recipient_are_changed(team: Asker):
    team.say("alice", id=b"m1")
    team.send("alice", "bob", id=b"m2")
    team.ask(team.correction("alice", MessageAction.EDIT, b"m1", b"x", id=b"m3"))
    team.create("alice", "#den")
    requests = [
        team.correction("bob", MessageAction.EDIT, b"m1"),
        team.correction("bob", MessageAction.DELETE, b"m1", about_name=b"alice"),
        team.correction("alice", MessageAction.EDIT, b"m2"),
        team.correction("alice", MessageAction.EDIT, b"m1", to="bob"),
        team.correction("alice", MessageAction.EDIT, b"m1", to="#den"),
        team.correction("alice", MessageAction.EDIT, b"m3"),
        team.correction("alice", MessageAction.DELETE, b"m3"),
        team.correction("alice", MessageAction.DELETE, b""),
        team.correction("alice", MessageAction.DELETE, b"nothing"),
        team.correction("alice", MessageAction.DELETE, b"m2", to="bob", about_name=b"bob"),
    ]
    for request in requests:
        assert team.refusal(request) == "there is no such message of yours"
    assert len(team.history("alice", "#den")) == 1, "none of them was stored"


def test_moderators_delete_what_others_said(team: Asker):
    team.say("bob", b"spam", b"m1")
    team.say("carol", b"spam", b"m1")
    assert team.refusal(team.correction("carol", MessageAction.DELETE, b"m1", about_name=b"bob")) != ""
    team.appoint("alice", "carol", RoomRole.MODERATOR)
    assert not isinstance(team.ask(team.correction("carol", MessageAction.DELETE, b"m1", about_name=b"bob")), Refusal)
    assert bodies(team.history("alice", "#team"))[:2] == [b"", b"spam"]
    refused = team.refusal(team.correction("alice", MessageAction.EDIT, b"m1", b"ham", about_name=b"carol"))
    assert refused == "there is no such message of yours"


def test_moderators_delete_what_those_said_who_were_removed_from_the_server(team: Asker):
    """Also if there is another member of that name now: what that one said goes first, and then the newest."""
    team.say("bob", b"old spam", b"m1")
    team.ask(team.correction("bob", MessageAction.EDIT, b"m1", b"old spam!", id=b"m2"))
    team.remove("bob")
    team.add("bob")
    team.invite("alice", "bob")
    team.join("bob")
    team.say("bob", b"more spam", b"m1")
    team.remove("bob")
    team.add("bob")
    team.invite("alice", "bob")
    team.join("bob")
    assert team.refusal(team.correction("carol", MessageAction.DELETE, b"m1", about_name=b"bob")) != ""
    assert team.refusal(team.correction("alice", MessageAction.DELETE, b"m2", about_name=b"bob")) != "", "an edit"
    team.say("bob", b"spam", b"m1")
    expected = [b"old spam!", b"old spam!", b"more spam", b"spam"]
    assert bodies(team.history("alice", "#team")) == expected
    for index in (3, 2, 0):
        deletion = team.correction("alice", MessageAction.DELETE, b"m1", about_name=b"bob")
        assert not isinstance(team.ask(deletion), Refusal)
        expected[index] = b""
        if not index:
            expected[1] = b""
        assert bodies(team.history("alice", "#team"))[: len(expected)] == expected
    deletion = team.correction("alice", MessageAction.DELETE, b"m1", about_name=b"bob")
    assert team.refusal(deletion) == "there is no such message of yours"


def test_what_guests_have_is_not_changed(asker: Asker):
    asker.send("alice", to="dan", id=b"m1", live=True)
    request = asker.correction("alice", MessageAction.DELETE, b"m1", to="dan")
    request.live = True
    assert asker.refusal(request) == "only messages between members can be changed"
    guest = asker.correction("dan", MessageAction.EDIT, b"m1", b"x", to="bob")
    assert asker.refusal(guest) == "only messages between members can be changed"


def test_a_reaction_changes_nothing(team: Asker):
    team.say("alice", b"hello", b"m1")
    team.ask(team.correction("bob", MessageAction.REACT, b"m1", b"+1", about_name=b"alice", id=b"r1"))
    assert bodies(team.history("carol", "#team")) == [b"hello", b"+1"]
    long = team.correction("bob", MessageAction.REACT, b"m1", b"x" * 65, about_name=b"alice")
    assert team.refusal(long) == "a reaction has at most 64 bytes"


def test_mailboxes_hold_the_same_after_a_deletion(new_asker: AskerMaker):
    """What was deleted counts until every device has it, as before; and no more than once."""
    asker = new_asker(StoreLimits(mailbox_bytes=10))
    asker.add("alice", "bob")
    asker.send("alice", "bob", id=b"m1", body=b"x" * 10)
    asker.ask(asker.correction("alice", MessageAction.DELETE, b"m1", to="bob", id=b"m2"))
    assert asker.refusal(asker.append("alice", "bob")) == "the mailbox of bob is full"
    asker.ack("bob", 2)
    asker.send("alice", "bob", body=b"x" * 10)


# On the disk


def stored(folder: Path) -> bytes:
    """All that is in the files of a store."""
    return b"".join(path.read_bytes() for path in sorted(folder.iterdir()))


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Asker]:
    """A team on disk."""
    asker = Asker(tmp_path / "data")
    asker.add("alice", "bob", "carol")
    asker.gather("alice", "bob", "carol")
    yield asker
    assert asker.store.check() == []
    asker.store.close()


FIRST, SECOND, HEADER = b"what-nobody-should-know", b"nor-anybody-this", b"X-secret: not-this-either\n"


def say_twice(asker: Asker, to: str) -> None:
    """Say something and edit it, with much around it."""
    assert asker.folder is not None
    for i in range(300):
        asker.send("bob", "alice", body=b"x" * 100, id=b"a%d" % i)
    request = asker.append("alice", *([to] if to in asker.members else []), to=to, id=b"m1", body=FIRST)
    request.headers = HEADER
    asker.ask(request)
    assert FIRST in stored(asker.folder)
    asker.ask(asker.correction("alice", MessageAction.EDIT, b"m1", SECOND, to=to, id=b"m2"))


@pytest.mark.parametrize("to", ["bob", "#team"])
def test_what_was_edited_or_deleted_is_on_the_disk_no_more(kept: Asker, to: str):
    assert kept.folder is not None
    say_twice(kept, to)
    left = stored(kept.folder)
    assert FIRST not in left
    assert SECOND in left
    kept.ask(kept.correction("alice", MessageAction.DELETE, b"m1", to=to, id=b"m3"))
    left = stored(kept.folder)
    assert FIRST not in left
    assert SECOND not in left
    assert HEADER not in left


def test_what_is_deleted_in_the_batch_in_which_it_was_said_is_on_the_disk_no_more(kept: Asker):
    assert kept.folder is not None
    deletion = kept.correction("alice", MessageAction.DELETE, b"m1", id=b"m2")
    kept.store.apply([kept.speech("alice", FIRST, b"m1"), deletion])
    assert FIRST not in stored(kept.folder)
    assert bodies(kept.history("bob", "#team")) == [b"", b""]


def test_what_another_process_is_reading_is_off_the_disk_when_it_has_read(kept: Asker):
    assert kept.folder is not None
    say_twice(kept, "bob")
    reader = sqlite3.connect(kept.folder / "twotick.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM content").fetchone()
    kept.ask(kept.correction("alice", MessageAction.DELETE, b"m1", to="bob", id=b"m3"))
    assert SECOND in stored(kept.folder)
    reader.close()
    kept.send("alice", "bob")
    assert SECOND not in stored(kept.folder)


def test_what_a_server_erased_that_was_killed_then_is_off_the_disk_when_it_is_back(kept: Asker, tmp_path: Path):
    """Between the deletion and what empties the write-ahead log."""
    assert kept.folder is not None
    say_twice(kept, "bob")
    with mock.patch.object(DatabaseFile, "_empty_log"):
        kept.ask(kept.correction("alice", MessageAction.DELETE, b"m1", to="bob", id=b"m3"))
    left = tmp_path / "left"
    shutil.copytree(kept.folder, left)
    assert SECOND in stored(left)
    back = SqliteStore(left, kept.limits)
    assert SECOND not in stored(left)
    back.close()


def delete_as_server(kept: Asker) -> None:
    """Delete the message m1 of alice in a transaction of a server, which may be busy."""
    work = kept.store.work_on([kept.correction("alice", MessageAction.DELETE, b"m1", to="bob", id=b"m3")])
    assert isinstance(work.answers[0], Appended)


def test_what_a_server_erases_is_off_the_disk_once_nothing_waits(kept: Asker):
    assert kept.folder is not None
    say_twice(kept, "bob")
    delete_as_server(kept)
    assert SECOND in stored(kept.folder)
    assert kept.store.has_backlog
    assert kept.store.tidy()
    assert SECOND not in stored(kept.folder)


def test_what_a_busy_server_erases_is_off_the_disk_after_some_transactions(kept: Asker):
    assert kept.folder is not None
    say_twice(kept, "bob")
    delete_as_server(kept)
    for _ in range(31):
        assert SECOND in stored(kept.folder)
        kept.store.work_on([FindMember("alice")])
    assert SECOND not in stored(kept.folder)


def test_a_quiet_server_does_not_try_again_and_again_to_erase_what_another_process_reads(kept: Asker):
    assert kept.folder is not None
    say_twice(kept, "bob")
    with closing(sqlite3.connect(kept.folder / "twotick.db", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM content").fetchone()
        delete_as_server(kept)
        steps = 0
        while kept.store.tidy() or kept.store.has_backlog:
            steps += 1
            assert steps < 50
        assert SECOND in stored(kept.folder)
    kept.store.work_on([FindMember("alice")])
    assert SECOND not in stored(kept.folder)


def test_what_a_server_has_erased_is_off_the_disk_when_it_has_stopped(kept: Asker):
    """Also if another process has the database open, so that the write-ahead log stays."""
    assert kept.folder is not None
    say_twice(kept, "bob")
    with closing(sqlite3.connect(kept.folder / "twotick.db")) as other:
        other.execute("SELECT count(*) FROM content").fetchone()
        delete_as_server(kept)
        assert SECOND in stored(kept.folder)
        kept.store.close()
        assert SECOND not in stored(kept.folder)
    kept.store = SqliteStore(kept.folder, kept.limits)


@pytest.mark.parametrize("is_replaced", [False, True], ids=["cancelled", "replaced"])
def test_what_waited_for_its_time_is_on_the_disk_no_more(kept: Asker, is_replaced: bool):
    assert kept.folder is not None
    bot = kept.ask(AddBot("cron", NOW))
    assert isinstance(bot, BotMember)
    waits = DelayedMessage(bot.number, b"bob", b"d1", b"s", NOW + 60, "main", b"", HEADER, FIRST)
    kept.ask(AddDelayed(waits))
    assert FIRST in stored(kept.folder)
    kept.ask(
        AddDelayed(replace(waits, id=b"d2", headers=b"", body=SECOND))
        if is_replaced
        else CancelDelayed(bot.number, b"bob", b"d1")
    )
    left = stored(kept.folder)
    assert FIRST not in left
    assert HEADER not in left


def test_a_moderator_does_not_learn_which_ids_there_were_before(asker: Asker):
    asker.gather("alice", "bob")
    asker.say("alice", b"oats", id=b"m1")
    asker.invite("alice", "carol")
    asker.join("carol")
    asker.appoint("alice", "carol", RoomRole.MODERATOR)
    asker.say("alice", b"rye", id=b"m2")
    refused = [
        asker.refusal(asker.correction("carol", MessageAction.DELETE, about, about_name=b"alice", id=b"d1"))
        for about in (b"m1", b"none")
    ]
    assert refused[0] == refused[1]
    asker.ask(asker.correction("carol", MessageAction.DELETE, b"m2", about_name=b"alice", id=b"d2"))
    asker.ask(asker.correction("alice", MessageAction.DELETE, b"m1", id=b"d3"))
    bodies_left = [entry.body for entry in asker.history("alice", "#team") if entry.id in (b"m1", b"m2")]
    assert bodies_left == [b"", b""]
