"""What is kept on this machine."""

import sqlite3
import stat
from pathlib import Path

import pytest

from tests.ui.app.making import message, stored
from twotick.client import State
from twotick.ui.app.model import WAITING, Conversation
from twotick.ui.app.store import LocalStore, LocalStoreError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "a" / "chat.db"


def opened(file: Path) -> LocalStore:
    store = LocalStore(file)
    store.add_conversation(Conversation("bob", "Bob"))
    return store


def test_all_is_there_again(file: Path) -> None:
    store = opened(file)
    (came, _) = stored(store, message("hi \x00\u202e", 3, ident="x"), message("mine", 4, outgoing=True))
    store.set_draft("bob", "what I")
    store.set_read("bob", 2)
    store.set_complete("bob")
    store.close()
    store = opened(file)
    (bob,) = store.conversations()
    assert (bob.name, bob.draft, bob.read, bob.unread, bob.complete) == ("Bob", "what I", 2, 1, True)
    first, second = store.page("bob", None, 10)
    assert (first.text, first.place, first.time, first.id) == (came.text, (3, 0), came.time, "x")
    assert (second.outgoing, second.state) == (True, State.ACCEPTED)


def test_only_its_owner_may_read_it(file: Path) -> None:
    opened(file)
    assert [stat.S_IMODE(each.stat().st_mode) for each in file.parent.iterdir()] == [0o600] * 2
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_one_process_at_a_time_has_it(file: Path) -> None:
    store = opened(file)
    with pytest.raises(LocalStoreError, match="open with this name already"):
        LocalStore(file)
    store.close()
    LocalStore(file).close()


def test_what_is_no_database_or_of_another_version_is_left_alone(file: Path) -> None:
    file.parent.mkdir()
    file.write_bytes(b"no database" * 100)
    with pytest.raises(LocalStoreError, match="not a database"):
        LocalStore(file)
    file.unlink()
    with sqlite3.connect(file) as disk:
        disk.execute("PRAGMA user_version = 99")
    disk.close()
    with pytest.raises(LocalStoreError, match="another version"):
        LocalStore(file)


def test_pages_go_backwards_without_gaps(file: Path) -> None:
    store = opened(file)
    stored(store, *(message(str(seq), seq) for seq in range(1, 26)))
    seen: list[str] = []
    before = None
    while page := store.page("bob", before, 10):
        seen[:0] = [each.text for each in page]
        before = page[0].place
    assert seen == [str(seq) for seq in range(1, 26)]


def test_what_is_sent_is_kept_in_order_and_takes_the_place_of_the_draft(file: Path) -> None:
    store = opened(file)
    store.set_draft("bob", "one")
    stored(store, *(message(text, WAITING, outgoing=True, state=State.QUEUED) for text in ("one", "two")))
    assert store.conversations()[0].draft == ""
    assert [each.text for each in store.waiting()] == ["one", "two"]
    assert store.newest() == 0


def test_a_message_is_found_by_its_id_or_its_place(file: Path) -> None:
    store = opened(file)
    sent, came, guest = stored(
        store, message("a", 1, outgoing=True, ident="x"), message("b", 2, ident="y"), message("c", 3)
    )

    def number(found: object) -> int:
        return getattr(found, "number", 0)

    assert number(store.sent("x")) == sent.number
    assert store.sent("y") is store.sent("") is None
    assert number(store.same(message(seq=9, ident="y"))) == came.number
    assert number(store.same(message(seq=3))) == guest.number
    assert store.same(message(seq=4)) is None


def test_what_was_read_and_not_told_is_known(file: Path) -> None:
    store = opened(file)
    store.set_read("bob", 7)
    assert store.untold() == [("Bob", 7)]
    store.set_told("bob", 7)
    assert store.untold() == []
    store.set_read("bob", 3)
    assert store.conversations()[0].read == 7


def test_to_forget_what_the_server_has_leaves_what_was_typed(file: Path) -> None:
    store = opened(file)
    stored(store, message(seq=1), message("wait", WAITING, outgoing=True, state=State.QUEUED))
    store.set_draft("bob", "more")
    store.forget_messages()
    assert [each.text for each in store.page("bob", None, 10)] == ["wait"]
    assert store.conversations()[0].draft == "more"
