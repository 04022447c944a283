"""Tests of the local store."""

import dataclasses
import sqlite3
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.databases import is_in_use
from tests.ui.app.examples import MORNING, message, stored
from twotick.client import State
from twotick.ui.app.model.conversations import LocalConversation
from twotick.ui.app.model.messages import WAITING, Attachment, ChangeKind, MessageChange, RoomNotice
from twotick.ui.app.storage.database import LocalStoreError
from twotick.ui.app.storage.store import LocalStore

HIM = MessageChange(ChangeKind.EDIT, "Bob", "x")
"""A message of bob."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "a" / "chat.db"


def opened(file: Path) -> LocalStore:
    store = LocalStore(file)
    store.add_conversation(LocalConversation("bob", "Bob"))
    return store


def test_messages_and_conversations_are_stored(file: Path) -> None:
    store = opened(file)
    (came, _) = stored(store, message("hi \x00\u202e", 3, ident="x"), message("mine", 4, outgoing=True))
    store.set_draft("bob", "what I")
    store.set_read("bob", 2)
    store.set_complete("bob")
    store.close()
    store = opened(file)
    (bob,) = store.conversations()
    assert (bob.name, bob.draft, bob.read, bob.complete) == ("Bob", "what I", 2, True)
    assert store.count_unread("bob", bob.read) == (1, 0)
    first, second = store.page("bob", None, 10)
    assert (first.text, first.place, first.time, first.id) == (came.text, (3, 0), came.time, "x")
    assert (second.outgoing, second.state) == (True, State.ACCEPTED)


def test_a_database_belongs_to_one_program(file: Path) -> None:
    store = opened(file)
    with pytest.raises(LocalStoreError):
        opened(file)
    assert is_in_use(file), "the refused one has not taken the lock away"
    store.close()


def test_all_fields_of_a_message_are_stored(file: Path) -> None:
    store = opened(file)
    full = message("look", 7, outgoing=True, peer="#team", ident="x")
    full.seq, full.have, full.of, full.everyone = 31, 1, 2, True
    full.reply_to = ("Bob", "y")
    full.forwarded_from = "Carol"
    full.file = Attachment("k", "a.png", 150_000, "9f86")
    full.path = file
    event = message("", 8, peer="#team")
    event.event = RoomNotice("changed", topic="t", access="public")
    stored(store, full, event)
    store.close()
    store = opened(file)
    assert [_fields(each) for each in store.page("#team", None, 10)] == [_fields(full), _fields(event)]


def test_the_settings_of_a_conversation_are_stored(file: Path) -> None:
    store = opened(file)
    team = LocalConversation("#team", "#Team", unread=3, mentions=1, counted=9, muted=True, blocked=True, topic="t")
    team.role, team.members, team.access, team.left = "owner", 7, "public", True
    store.add_conversation(team)
    store.update_conversation(team)
    store.close()
    _, again = sorted(LocalStore(file).conversations(), key=lambda each: each.key, reverse=True)
    assert _fields(again) == _fields(team)


def _fields(of: Any) -> dict[str, Any]:
    names = (each.name for each in dataclasses.fields(of))
    return {name: getattr(of, name) for name in names if name != "recency"}


def test_only_the_owner_can_read_the_file(file: Path) -> None:
    opened(file)
    assert [stat.S_IMODE(each.stat().st_mode) for each in file.parent.iterdir()] == [0o600] * 2
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_only_one_process_can_open_the_file(file: Path) -> None:
    store = opened(file)
    with pytest.raises(LocalStoreError, match="already open with this name"):
        LocalStore(file)
    store.close()
    LocalStore(file).close()


def test_a_file_of_another_version_is_not_changed(file: Path) -> None:
    file.parent.mkdir()
    with sqlite3.connect(file) as disk:
        disk.execute("PRAGMA user_version = 99")
    disk.close()
    with pytest.raises(LocalStoreError, match="another version"):
        LocalStore(file)


def test_pages_go_back_without_gaps(file: Path) -> None:
    store = opened(file)
    stored(store, *(message(str(seq), seq) for seq in range(1, 26)))
    seen: list[str] = []
    before = None
    while page := store.page("bob", before, 10):
        seen[:0] = [each.text for each in page]
        before = page[0].place
    assert seen == [str(seq) for seq in range(1, 26)]


def test_waiting_messages_keep_their_order(file: Path) -> None:
    store = opened(file)
    stored(store, *(message(text, WAITING, outgoing=True, state=State.QUEUED) for text in ("one", "two")))
    assert [each.text for each in store.waiting()] == ["one", "two"]
    assert store.newest_seq() == 0


def test_conversations_are_sorted_by_waiting_messages_and_latest_activity(file: Path) -> None:
    store = opened(file)
    for name, counted in (("carol", 9), ("dave", 0), ("erin", 0)):
        conversation = LocalConversation(name, name, counted=counted)
        store.add_conversation(conversation)
        store.update_conversation(conversation)
    stored(store, message(seq=7, peer="dave"), message("waits", WAITING, outgoing=True, state=State.QUEUED))
    assert [each.key for each in store.conversations()] == ["erin", "dave", "carol", "bob"]


def test_a_message_is_found_by_id_or_place(file: Path) -> None:
    store = opened(file)
    sent, came, guest = stored(
        store, message("a", 1, outgoing=True, ident="x"), message("b", 2, ident="y"), message("c", 3)
    )

    def number(found: object) -> int:
        return getattr(found, "number", 0)

    assert number(store.find_sent("x")) == sent.number
    assert store.find_sent("y") is store.find_sent("") is None
    assert number(store.find("bob", "BOB", "y")) == number(store.find("bob", "", "y")) == came.number
    assert store.find("bob", "alice", "y") is store.find("carol", "bob", "y") is store.find("bob", "", "") is None
    assert number(store.find_at("bob", 3)) == number(store.find_by_seq(3)) == guest.number
    assert store.find_at("bob", 4) is store.find_by_seq(4) is store.find_by_seq(0) is None


def test_unreported_reads_are_stored(file: Path) -> None:
    store = opened(file)
    store.set_read("bob", 7)
    assert store.unreported_reads() == [("Bob", 7)]
    store.set_reported_read("bob", 7)
    assert store.unreported_reads() == []
    store.set_read("bob", 3)
    assert store.conversations()[0].read == 7


def test_forgetting_messages_keeps_drafts_and_waiting_messages(file: Path) -> None:
    store = opened(file)
    stored(store, message(seq=1), message("wait", WAITING, outgoing=True, state=State.QUEUED))
    store.set_draft("bob", "more")
    store.forget_messages()
    assert [each.text for each in store.page("bob", None, 10)] == ["wait"]
    assert store.conversations()[0].draft == "more"


# Changes of messages


def test_the_edit_with_the_highest_place_wins(file: Path) -> None:
    store = opened(file)
    stored(store, message("a", 1, peer="Bob", ident="x"))
    store.edit(HIM, "bob", 3, "c", MORNING)
    store.edit(HIM, "bob", 2, "b", MORNING)
    found = store.find("bob", "bob", "x")
    assert found is not None
    assert (found.text, found.edited) == ("c", MORNING)


@pytest.mark.parametrize("order", [(2, 3), (3, 2)])
def test_an_edit_waits_for_its_message(file: Path, order: tuple[int, int]) -> None:
    store = opened(file)
    for place in order:
        store.edit(HIM, "bob", place, f"edit {place}", MORNING)
        assert store.find("bob", "bob", "x") is None
    store.close()
    store = opened(file)
    (came,) = stored(store, message("a", 1, peer="Bob", ident="x"))
    assert (came.text, came.edited) == ("edit 3", MORNING)
    store.edit(HIM, "bob", 2, "too early", MORNING)
    store.edit(HIM, "carol", 4, "in another conversation", MORNING)
    assert [each.text for each in store.page("bob", None, 10)] == ["edit 3"]


def test_a_message_that_was_deleted_before_it_arrived_is_empty(file: Path) -> None:
    store = opened(file)
    store.delete(HIM, "bob", 2, MORNING)
    store.edit(HIM, "bob", 3, "no", MORNING)
    (came,) = stored(store, message("secret", 1, peer="Bob", ident="x"))
    assert (came.text, came.deleted) == ("", MORNING)


def test_deleted_text_is_erased_from_all_files(file: Path) -> None:
    store = opened(file)
    long = "a long secret " * 1000
    stored(store, message("short secret", 1, peer="Bob", ident="x"), message(long, 2, peer="Bob", ident="y"))
    stored(store, *(message(str(seq), seq) for seq in range(3, 50)))
    store.react(HIM, "bob", 50, "carol", "secret too")
    store.edit(HIM, "bob", 51, "another secret", MORNING)
    for ident in ("x", "y"):
        store.delete(MessageChange(ChangeKind.DELETE, "bob", ident), "bob", 52, MORNING)
        found = store.find("bob", "bob", ident)
        assert found is not None
        assert (found.text, found.deleted, found.reactions) == ("", MORNING, {})
    assert b"secret" not in b"".join(each.read_bytes() for each in file.parent.iterdir())
    store.edit(HIM, "bob", 53, "more secrets", MORNING)
    assert store.find("bob", "bob", "x") is not None
    assert [each.text for each in store.page("bob", (3, 0), 10)] == ["", ""]


def test_each_user_has_one_reaction_and_can_remove_it(file: Path) -> None:
    store = opened(file)
    for place, name, text in (
        (5, "carol", "+1"),
        (4, "bob", "+1"),
        (6, "Carol", "ok"),
        (3, "carol", "late"),
        (7, "bob", ""),
    ):
        store.react(HIM, "bob", place, name, text)
    (_, found) = stored(store, message(seq=2), message("a", 1, peer="Bob", ident="x"))
    again = store.reload(found)
    assert again is not None
    assert again.reactions == {"ok": ["carol"]}
    store.react(HIM, "bob", 8, "dave", "ok")
    store.react(HIM, "bob", 9, "bob", "x" * 100)
    again = store.reload(found)
    assert again is not None
    assert again.reactions == {"ok": ["carol", "dave"], "x" * 64: ["bob"]}


def test_the_number_of_reactions_is_limited(file: Path) -> None:
    store = opened(file)
    stored(store, message("a", 1, peer="Bob", ident="x"))
    with store.transaction():
        for number in range(600):
            store.react(HIM, "bob", 10 + number, f"user{number}", "+1")
        store.react(HIM, "bob", 1000, "user0", "changed")
    found = store.find("bob", "bob", "x")
    assert found is not None
    assert {text: len(names) for text, names in found.reactions.items()} == {"+1": 499, "changed": 1}


def test_a_waiting_change_is_not_a_message(file: Path) -> None:
    store = opened(file)
    edit = message("b", WAITING, outgoing=True, state=State.QUEUED, ident="e")
    edit.change = MessageChange(ChangeKind.EDIT, "alice", "x")
    stored(store, edit)
    store.close()
    store = opened(file)
    (waiting,) = store.waiting()
    assert (waiting.text, waiting.change) == ("b", edit.change)
    assert store.page("bob", None, 10) == []
    store.remove(waiting)
    assert store.waiting() == []


# Older versions, and limits

VERSION_1 = """
CREATE TABLE conversation (
    key TEXT PRIMARY KEY, name TEXT NOT NULL, complete INTEGER NOT NULL DEFAULT 0, read INTEGER NOT NULL DEFAULT 0,
    told INTEGER NOT NULL DEFAULT 0, draft TEXT NOT NULL DEFAULT ''
);
CREATE TABLE message (
    number INTEGER PRIMARY KEY AUTOINCREMENT, conversation TEXT NOT NULL, seq INTEGER NOT NULL, ord INTEGER NOT NULL,
    id TEXT NOT NULL, sender TEXT NOT NULL, body TEXT NOT NULL, time TEXT NOT NULL, outgoing INTEGER NOT NULL,
    state INTEGER, reason TEXT NOT NULL, mention INTEGER NOT NULL
);
CREATE INDEX by_place ON message (conversation, seq, ord);
CREATE INDEX by_seq ON message (seq);
CREATE INDEX by_id ON message (id) WHERE id <> '';
CREATE INDEX waiting ON message (number) WHERE state = 0;
INSERT INTO conversation VALUES ('bob', 'Bob', 1, 3, 2, 'what I');
INSERT INTO message VALUES (1, 'bob', 3, 0, 'x', 'Bob', 'a', '2026-11-23T09:30:00+00:00', 0, NULL, '', 0);
INSERT INTO message VALUES (2, 'bob', 4, 0, 'y', 'Bob', '@alice', '2026-11-23T09:30:00+00:00', 0, NULL, '', 1);
INSERT INTO message VALUES (3, 'bob', 4, 3, 'z', 'alice', 'b', '2026-11-23T09:30:00+00:00', 1, 2, '', 0);
INSERT INTO message VALUES
    (4, 'bob', 4611686018427387904, 4, '', 'alice', 'c', '2026-11-23T09:30:00+00:00', 1, 0, '', 0);
PRAGMA user_version = 1;
"""


def test_a_database_of_version_1_is_migrated(file: Path) -> None:
    file.parent.mkdir()
    with sqlite3.connect(file) as disk:
        disk.executescript(VERSION_1)
    disk.close()
    for _ in range(2):
        store = LocalStore(file)
        (bob,) = store.conversations()
        assert (bob.name, bob.draft, bob.read, bob.complete) == ("Bob", "what I", 3, True)
        assert (bob.unread, bob.mentions) == store.count_unread("bob", 3) == (1, 1)
        messages = store.page("bob", None, 10)
        assert [(each.text, each.place[0] % WAITING, each.seq) for each in messages] == [
            ("a", 3, 3),
            ("@alice", 4, 4),
            ("b", 4, 0),
            ("c", 0, 0),
        ]
        assert [each.text for each in store.waiting()] == ["c"]
        store.react(HIM, "bob", 9, "carol", "+1")
        assert store.page("bob", (4, 0), 10)[0].reactions == {"+1": ["carol"]}
        store.close()


VERSION_3 = """
CREATE TABLE conversation (
    key TEXT PRIMARY KEY, name TEXT NOT NULL, complete INTEGER NOT NULL DEFAULT 0, read INTEGER NOT NULL DEFAULT 0,
    told INTEGER NOT NULL DEFAULT 0, draft TEXT NOT NULL DEFAULT '', unread INTEGER NOT NULL DEFAULT 0,
    mentions INTEGER NOT NULL DEFAULT 0, counted INTEGER NOT NULL DEFAULT 0, muted INTEGER NOT NULL DEFAULT 0,
    blocked INTEGER NOT NULL DEFAULT 0, topic TEXT NOT NULL DEFAULT '', role TEXT NOT NULL DEFAULT '',
    members INTEGER NOT NULL DEFAULT 0, access TEXT NOT NULL DEFAULT '', gone INTEGER NOT NULL DEFAULT 0,
    closed INTEGER NOT NULL DEFAULT 0, pinned INTEGER NOT NULL DEFAULT 0, muted_until REAL NOT NULL DEFAULT 0
);
CREATE TABLE place (only INTEGER PRIMARY KEY CHECK (only = 1), conversation TEXT NOT NULL);
INSERT INTO conversation (key, name, draft) VALUES ('#lab', '#lab', 'what I');
"""

MESSAGES_3 = """
CREATE TABLE message (
    number INTEGER PRIMARY KEY AUTOINCREMENT, conversation TEXT NOT NULL, place INTEGER NOT NULL, ord INTEGER NOT NULL,
    id TEXT NOT NULL, sender TEXT NOT NULL, body TEXT NOT NULL, time TEXT NOT NULL, outgoing INTEGER NOT NULL,
    state INTEGER, reason TEXT NOT NULL, mention INTEGER NOT NULL, seq INTEGER NOT NULL DEFAULT 0,
    have INTEGER NOT NULL DEFAULT 0, recipients INTEGER NOT NULL DEFAULT 0, edited TEXT,
    edit_place INTEGER NOT NULL DEFAULT 0, deleted TEXT, more TEXT NOT NULL DEFAULT '', action TEXT NOT NULL DEFAULT '',
    news INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX by_place ON message (conversation, place, ord);
CREATE INDEX by_seq ON message (seq);
CREATE INDEX by_conversation_seq ON message (conversation, seq);
CREATE INDEX by_id ON message (id) WHERE id <> '';
CREATE INDEX waiting ON message (number) WHERE state = 0;
CREATE TABLE later (
    conversation TEXT NOT NULL, sender TEXT NOT NULL, id TEXT NOT NULL, place INTEGER NOT NULL, body TEXT NOT NULL,
    edited TEXT, deleted TEXT, PRIMARY KEY (conversation, sender, id)
);
CREATE TABLE reaction (
    conversation TEXT NOT NULL, sender TEXT NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL COLLATE NOCASE,
    place INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (conversation, sender, id, name)
);
INSERT INTO message (conversation, place, ord, id, sender, body, time, outgoing, reason, mention, more) VALUES
    ('#lab', 1, 0, 'x', 'Ann', 'a guest''s', '2026-11-23T09:30:00+00:00', 0, '', 0, '{"guest": true}'),
    ('#lab', 2, 0, 'y', 'Ann', 'another', '2026-11-23T09:30:00+00:00', 0, '', 0, '{"guest": true}'),
    ('#lab', 3, 0, 'y', 'ann', 'a member''s', '2026-11-23T09:30:00+00:00', 0, '', 0, '{"reply_to": ["Ann", "x"]}');
INSERT INTO message (conversation, place, ord, id, sender, body, time, outgoing, state, reason, mention, more, action)
    VALUES ('#lab', 4611686018427387904, 4, 'r', 'alice', 'ok', '2026-11-23T09:30:00+00:00', 1, 0, '', 0,
    '{"about": ["Ann", "x"]}', 'react');
INSERT INTO later VALUES ('#lab', 'ann', 'z', 5, 'edited', '2026-11-23T09:30:00+00:00', NULL);
INSERT INTO reaction VALUES ('#lab', 'ann', 'x', 'bob', 6, '+1'), ('#lab', 'ann', 'y', 'bob', 7, '+1');
"""


@pytest.mark.parametrize("keep_messages", [True, False])
def test_a_database_of_version_3_is_migrated(file: Path, keep_messages: bool) -> None:
    file.parent.mkdir()
    with sqlite3.connect(file) as disk:
        disk.executescript(f"{VERSION_3}{MESSAGES_3 if keep_messages else ''}PRAGMA user_version = 3;")
    disk.close()
    for _ in range(2):
        store = LocalStore(file, keep_messages)
        assert [each.draft for each in store.conversations()] == ["what I"]
        messages = store.page("#lab", None, 10)
        assert [(each.text, each.is_guest, each.reactions) for each in messages] == (
            [("a guest's", True, {"+1": ["bob"]}), ("another", True, {}), ("a member's", False, {"+1": ["bob"]})]
            if keep_messages
            else []
        )
        assert [each.change for each in store.waiting()] == [MessageChange(ChangeKind.REACT, "Ann", "x")] * len(
            messages[:1]
        )
        store.close()
    store = LocalStore(file, keep_messages)
    guests, members = (message("z", 5, peer="#lab", sender="ann", ident="z", is_guest=guest) for guest in (True, False))
    stored(store, guests, members)
    assert (guests.text, members.text) == ("z", "edited" if keep_messages else "z")
    store.close()


def test_the_oldest_messages_of_the_longest_conversation_are_deleted_first(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twotick.ui.app.storage.store._MAX_MESSAGES", 15)
    store = opened(file)
    store.set_complete("bob")
    stored(store, *(message(str(seq), seq) for seq in range(1, 11)))
    stored(store, *(message(str(seq), seq, peer="carol") for seq in range(11, 17)))
    stored(store, message("waits", WAITING, outgoing=True, state=State.QUEUED))
    ((key, place),) = store.trim()
    assert (key, place) == ("bob", (6, 0))
    assert [each.text for each in store.page("bob", None, 100)] == ["6", "7", "8", "9", "10", "waits"]
    assert len(store.page("carol", None, 100)) == 6
    assert not store.conversations()[0].complete


def test_conversations_with_the_oldest_activity_are_deleted_first(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = opened(file)
    for name in ("carol", "dave", "erin", "frank"):
        store.add_conversation(LocalConversation(name, name))
    store.set_draft("carol", "typed")
    stored(store, message(seq=2, peer="erin"), message(seq=1), message("waits", WAITING, outgoing=True, peer="dave"))
    store.close()
    monkeypatch.setattr("twotick.ui.app.storage.store.MAX_CONVERSATIONS", 1)
    store = LocalStore(file)
    assert {each.key for each in store.conversations()} == {"carol", "dave", "erin"}
    assert store.page("bob", None, 10) == []


def test_messages_of_a_guest_are_never_stored_on_disk(tmp_path: Path) -> None:
    file = tmp_path / "guest.db"
    store = LocalStore(file, keep_messages=False)
    for name in ("bob", "carol"):
        store.add_conversation(LocalConversation(name, name))
    stored(store, message("a secret", 1), message("another secret", WAITING, outgoing=True, state=State.QUEUED))
    store.set_draft("bob", "what I")
    assert [each.text for each in store.page("bob", None, 10)] == ["a secret", "another secret"]
    store.close()
    assert b"secret" not in file.read_bytes()
    store = LocalStore(file, keep_messages=False)
    assert [(each.key, each.draft) for each in store.conversations()] == [("bob", "what I")]
    assert store.page("bob", None, 10) == store.waiting() == []
