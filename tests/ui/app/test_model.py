"""Tests of the conversations in memory."""

import itertools
import time

import pytest

from tests.ui.app.examples import MORNING, message
from twotick.client import State
from twotick.ui.app.model.conversations import TYPING, ConversationKind, UserPresence
from twotick.ui.app.model.messages import WAITING, LocalMessage, RoomNotice
from twotick.ui.app.model.registry import ConversationRegistry

numbers = itertools.count(1)


def alice(*messages: LocalMessage) -> ConversationRegistry:
    """Return the conversations of alice with loaded messages."""
    conversations = ConversationRegistry("alice")
    for each in messages:
        add(conversations, each)
    return conversations


def add(conversations: ConversationRegistry, each: LocalMessage) -> None:
    each.number = next(numbers)
    conversations.open(each.conversation).loaded = True
    conversations.add(each)


def texts(conversations: ConversationRegistry, name: str = "bob") -> list[str]:
    return [each.text for each in conversations.open(name).messages]


def test_messages_are_in_the_order_of_the_log() -> None:
    assert texts(alice(message("b", 2), message("c", 3), message("a", 1))) == ["a", "b", "c"]


def test_waiting_messages_come_last_until_they_have_a_place() -> None:
    waiting = message("mine", WAITING, outgoing=True, state=State.QUEUED)
    conversations = alice(waiting, message("a", 1), message("c", 3))
    assert texts(conversations) == ["a", "c", "mine"]
    conversations.move(waiting, (2, 0))
    assert texts(conversations) == ["a", "mine", "c"]
    assert conversations.open("bob").index(waiting) == 1


def test_messages_after_the_last_read_one_are_unread() -> None:
    conversations = alice()
    conversations.open("bob").read = 2
    for each in (message(seq=1), message(seq=3), message(seq=4, outgoing=True), message(seq=5)):
        add(conversations, each)
    assert conversations.open("bob").unread == conversations.unread == 2


def test_the_conversation_with_the_latest_activity_comes_first() -> None:
    conversations = alice(message(seq=1, peer="bob"), message(seq=2, peer="Carol"), message(seq=3, peer="bob"))
    assert [each.name for each in conversations] == ["bob", "carol"]
    conversations.open("dave")
    assert [each.name for each in conversations] == ["dave", "bob", "carol"]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("@alice come", True),
        ("come, @ALICE!", True),
        ("_@alice_", True),
        ("alice", False),
        ("@alice2", False),
        ("me@alice", False),
        ("", False),
    ],
)
def test_a_mention_is_a_name_after_an_at_sign(text: str, named: bool) -> None:
    conversations = ConversationRegistry("alice")
    assert [conversations.mentions(text, in_room) for in_room in (True, False)] == [named, named]


def test_all_is_a_mention_outside_of_rooms_only() -> None:
    conversations = ConversationRegistry("alice")
    assert [conversations.mentions("for @all of you", in_room) for in_room in (True, False)] == [False, True]


def test_a_delivery_state_never_goes_back() -> None:
    mine = message(outgoing=True, state=State.ACCEPTED)
    conversations = alice(mine)
    assert conversations.advance(mine, State.READ)
    assert not conversations.advance(mine, State.DELIVERED)
    assert not conversations.advance(mine, State.FAILED, "too late")
    assert (mine.state, mine.reason) == (State.READ, "")


def test_received_messages_have_no_ticks() -> None:
    theirs = message()
    assert not alice(theirs).advance(theirs, State.READ)


def test_a_message_older_than_the_loaded_ones_is_not_shown_before_the_gap_is_filled() -> None:
    conversations = alice(message("b", 5), message("c", 6))
    conversations.open("bob").loaded = False
    old = message("a", 1)
    old.number = next(numbers)
    conversations.add(old)
    assert texts(conversations) == ["b", "c"]


def test_changes_are_reported() -> None:
    told: list[str] = []
    conversations = alice()
    conversations.on_change = lambda each: told.append(each.key)
    add(conversations, message(peer="Bob"))
    assert set(told) == {"bob"}


def test_the_conversation_with_everyone_has_its_own_title() -> None:
    everybody = alice().open("ALL")
    assert (everybody.kind, everybody.title) == (ConversationKind.EVERYONE, "everyone")


def test_names_that_begin_with_a_hash_are_rooms() -> None:
    assert (alice().open("#Team").kind, alice().open("#Team").title) == (ConversationKind.ROOM, "#Team")


def test_only_messages_of_others_that_the_server_has_not_counted_are_counted_as_unread() -> None:
    conversations = alice()
    bob = conversations.open("bob")
    bob.counted, bob.unread = 2, 2
    event = message(seq=4)
    event.event = RoomNotice("joined")
    deleted = message(seq=5)
    deleted.mark_deleted(MORNING)
    for each in (message(seq=1), message(seq=2), message(seq=3), event, deleted):
        add(conversations, each)
    assert bob.unread == 3
    bob.read = 2
    assert bob.first_unread is bob.messages[2]


def test_a_message_is_found_by_sender_and_id() -> None:
    conversations = alice(message("a", 1, ident="x", peer="Bob"), message("b", 2, ident="x", outgoing=True))
    bob = conversations.open("bob")
    assert [conversations.find_message(bob, name, "x") for name in ("BOB", "alice")] == bob.messages
    assert conversations.find_message(bob, "bob", "y") is None
    conversations.find_stored = lambda key, sender, ident, _: message(f"{key} {sender} {ident}")
    found = conversations.find_message(bob, "", "y")
    assert found is not None
    assert found.text == "bob  y"


def test_typing_ends_after_a_while_or_with_the_message(monkeypatch: pytest.MonkeyPatch) -> None:
    conversations = alice(message(seq=1, peer="Bob"))
    bob = conversations.open("bob")
    conversations.set_typing(bob, "Bob", True)
    assert bob.typing == ["Bob"]
    later = time.monotonic() + TYPING
    with monkeypatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: later)
        assert bob.typing == []
    assert bob.typing == ["Bob"]
    add(conversations, message(seq=2, peer="Bob"))
    assert bob.typing == []


def test_of_too_many_typing_users_the_first_is_dropped() -> None:
    conversations = alice()
    room = conversations.open("#team")
    for number in range(30):
        conversations.set_typing(room, f"user{number}", True)
    assert room.typing == [f"user{number}" for number in range(10, 30)]


def test_presence_is_known_before_a_conversation_exists() -> None:
    conversations = alice()
    here = UserPresence("here", MORNING)
    conversations.set_presence("Bob", here)
    assert conversations.open("bob").presence == conversations.presence("BOB") == here
    gone = UserPresence("gone", None)
    conversations.set_presence("bob", gone)
    assert conversations.open("bob").presence == gone


def test_old_messages_are_unloaded_when_there_are_too_many() -> None:
    conversations = alice()
    for seq in range(1, 10_003):
        add(conversations, message(str(seq), seq, ident=str(seq)))
    bob = conversations.open("bob")
    assert 5_000 <= len(bob.messages) <= 10_000
    assert bob.messages[-1].text == "10002"
    assert conversations.find_message(bob, "bob", "1") is None
