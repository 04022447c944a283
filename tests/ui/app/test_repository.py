"""Tests of the conversations in memory together with the local store."""

import pytest

from tests.ui.app.examples import MORNING, message
from twotick.client import State
from twotick.ui.app.model.messages import WAITING, ChangeKind, LocalMessage, MessageChange
from twotick.ui.app.session.repository import ChatRepository, DeliveryUpdate
from twotick.ui.app.storage.store import LocalStore


@pytest.fixture
def book() -> ChatRepository:
    """Return the repository of alice."""
    return ChatRepository("alice", LocalStore(None))


def typed(
    text: str, *, action: ChangeKind | None = None, about: tuple[str, str] = ("alice", "x"), ident: str = ""
) -> LocalMessage:
    """Return a message from alice to bob that waits to be sent."""
    each = message(text, WAITING, outgoing=True, state=State.QUEUED, ident=ident or f"{action} {text}")
    each.change = None if action is None else MessageChange(action, *about)
    return each


def test_waiting_changes_are_shown_until_they_are_refused(book: ChatRepository) -> None:
    mine = message("a", 1, outgoing=True, ident="x", state=State.DELIVERED)
    book.add(mine)
    book.conversation("bob").loaded = True
    refused: list[str] = []
    book.on_refusal = refused.append
    changes = [
        typed("b", action=ChangeKind.EDIT),
        typed("+1", action=ChangeKind.REACT),
        typed("", action=ChangeKind.DELETE),
    ]
    seen: list[tuple[str, bool, bool]] = []

    def see() -> None:
        (shown,) = book.store.page("bob", None, 10)
        shown = book.shared(shown)
        seen.append((shown.text, "+1" in shown.reactions, shown.deleted is not None))

    for each in changes:
        book.enqueue(each)
        see()
    for each in reversed(changes):
        book.settle(each, DeliveryUpdate(State.FAILED, reason="not yours"))
        see()
    assert seen == [
        ("b", False, False),
        ("b", True, False),
        ("", False, True),
        ("b", True, False),
        ("b", False, False),
        ("a", False, False),
    ]
    assert refused == ["not yours"] * 3
    assert book.waiting == book.store.waiting() == []


def test_changes_of_others_are_shown_below_waiting_changes(book: ChatRepository) -> None:
    mine = typed("a", ident="x")
    book.conversation("bob").loaded = True
    book.enqueue(mine)
    book.enqueue(typed("b", action=ChangeKind.EDIT))
    book.apply_change("bob", MessageChange(ChangeKind.REACT, "alice", "x"), "bob", 7, "ok", MORNING)
    assert (mine.text, mine.reactions, mine.changing) == ("b", {"ok": ["bob"]}, True)
    book.apply_change("bob", MessageChange(ChangeKind.DELETE, "alice", "x"), "bob", 8, "", MORNING)
    assert (mine.deleted, mine.reactions) == (MORNING, {})


def test_a_message_moves_to_its_place(book: ChatRepository) -> None:
    book.conversation("bob").loaded = True
    mine = typed("mine", ident="x")
    book.enqueue(mine)
    book.add(message("a", 5))
    book.settle(mine, DeliveryUpdate(State.ACCEPTED))
    assert mine.place == (5, mine.number)
    book.add(message("b", 7))
    book.settle(mine, DeliveryUpdate(State.ACCEPTED, 6))
    assert [each.text for each in book.conversation("bob").messages] == ["a", "mine", "b"]
    assert [(each.place, each.seq) for each in book.store.page("bob", None, 10)] == [
        ((5, 0), 5),
        ((6, 0), 6),
        ((7, 0), 7),
    ]


def test_reading_counts_the_messages_after_it(book: ChatRepository) -> None:
    for seq in range(1, 6):
        book.add(message("@alice" if seq == 5 else "hello", seq))
    bob = book.conversation("bob")
    assert (bob.unread, bob.mentions) == (5, 1)
    book.mark_read(bob, 3)
    assert (bob.unread, bob.mentions) == (2, 1)
    book.mark_read(bob, 2)
    assert bob.read == 3
    assert book.store.conversations()[0].unread == 2


def test_the_number_of_conversations_is_limited(book: ChatRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twotick.ui.app.session.repository.MAX_CONVERSATIONS", 150)
    book.conversation("draft").draft = "typed"
    book.conversation("shown").loaded = True
    book.add(message("hello", peer="shown"))
    for number in range(400):
        book.add(message("hello", 10 + number, peer=f"user{number}"))
    names = {each.name for each in book.conversations}
    assert len(names) <= 150
    assert {"draft", "shown", "user399"} <= names
    assert names == {each.name for each in book.store.conversations()}
    assert book.store.page("user0", None, 10) == []


@pytest.mark.parametrize("members_first", [True, False])
def test_changes_that_come_before_what_a_guest_and_a_member_of_the_same_name_wrote(
    book: ChatRepository, members_first: bool
) -> None:
    for action, guest, by, text in (
        (ChangeKind.EDIT, False, "ann", "edited"),
        (ChangeKind.REACT, False, "ann", "ok"),
        (ChangeKind.REACT, None, "bob", "+1"),
    ):
        book.apply_change("#lab", MessageChange(action, "Ann", "x", guest), by, 7, text, MORNING)
    guests = message("a guest's", 1, peer="#lab", sender="ann", ident="x", is_guest=True)
    members = message("a member's", 2, peer="#lab", sender="ann", ident="x")
    for each in (members, guests) if members_first else (guests, members):
        book.add(each)
    assert (guests.text, members.text) == ("a guest's", "edited")
    # A reaction that does not say to whose it is goes to a member's message, if there is one then.
    assert guests.reactions == ({} if members_first else {"+1": ["bob"]})
    assert members.reactions == ({"+1": ["bob"]} if members_first else {}) | {"ok": ["ann"]}


def test_a_guests_message_takes_what_moderators_did_before_it_came(book: ChatRepository) -> None:
    for action, by, text in ((ChangeKind.REACT, "bob", "+1"), (ChangeKind.DELETE, "bob", "")):
        book.apply_change("#lab", MessageChange(action, "ann", action.value), by, 7, text, MORNING)
    for place, action in enumerate((ChangeKind.REACT, ChangeKind.DELETE), 1):
        book.add(message("a guest's", place, peer="#lab", sender="ann", ident=action.value, is_guest=True))
    reacted, deleted = book.store.page("#lab", None, 10)
    assert (reacted.reactions, reacted.deleted) == ({"+1": ["bob"]}, None)
    assert (deleted.text, deleted.deleted) == ("", MORNING)


def test_a_waiting_change_is_shown_on_one_message(book: ChatRepository) -> None:
    ann = message("a guest's", 1, peer="#lab", sender="ann", ident="x", is_guest=True)
    book.add(ann)
    waiting = message("+1", WAITING, peer="#lab", outgoing=True, state=State.QUEUED, ident="r")
    waiting.change = MessageChange(ChangeKind.REACT, "ann", "x")
    book.enqueue(waiting)
    book.load(book.conversation("#lab"))
    assert [each.reactions for each in book.conversation("#lab").messages] == [{"+1": ["alice"]}]
    book.add(message("a member's", 2, peer="#lab", sender="ann", ident="x"))
    shown = [each.reactions for each in map(book.shared, book.store.page("#lab", None, 10))]
    assert shown[1] == {"+1": ["alice"]}
