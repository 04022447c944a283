"""The conversations."""

import itertools
import time

import pytest

from tests.ui.app.making import MORNING, message
from twotick.client import State
from twotick.ui.app.model.conversations import TYPING, ConversationKind, UserPresence
from twotick.ui.app.model.messages import WAITING, LocalMessage, RoomNotice
from twotick.ui.app.model.registry import ConversationRegistry

numbers = itertools.count(1)


def alice(*messages: LocalMessage) -> ConversationRegistry:
    """The conversations of alice, in which these are loaded."""
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


def test_messages_stand_in_the_order_of_the_log_whenever_they_come() -> None:
    assert texts(alice(message("b", 2), message("c", 3), message("a", 1))) == ["a", "b", "c"]


def test_what_waits_stands_after_all_others_until_it_has_a_place() -> None:
    waiting = message("mine", WAITING, outgoing=True, state=State.QUEUED)
    conversations = alice(waiting, message("a", 1), message("c", 3))
    assert texts(conversations) == ["a", "c", "mine"]
    conversations.move(waiting, (2, 0))
    assert texts(conversations) == ["a", "mine", "c"]
    assert conversations.open("bob").index(waiting) == 1


def test_unread_are_those_that_came_after_what_was_read() -> None:
    conversations = alice()
    conversations.open("bob").read = 2
    for each in (message(seq=1), message(seq=3), message(seq=4, outgoing=True), message(seq=5)):
        add(conversations, each)
    assert conversations.open("bob").unread == conversations.unread == 2


def test_the_conversation_where_something_happened_last_comes_first() -> None:
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
def test_a_message_names_somebody_after_an_at_sign(text: str, named: bool) -> None:
    conversations = ConversationRegistry("alice")
    assert [conversations.mentions(text, in_room) for in_room in (True, False)] == [named, named]


def test_all_are_named_together_but_for_rooms_where_the_server_counts() -> None:
    conversations = ConversationRegistry("alice")
    assert [conversations.mentions("for @all of you", in_room) for in_room in (True, False)] == [False, True]


def test_a_tick_never_turns_back() -> None:
    mine = message(outgoing=True, state=State.ACCEPTED)
    conversations = alice(mine)
    assert conversations.advance(mine, State.READ)
    assert not conversations.advance(mine, State.DELIVERED)
    assert not conversations.advance(mine, State.FAILED, "too late")
    assert (mine.state, mine.reason) == (State.READ, "")


def test_what_came_has_no_ticks() -> None:
    theirs = message()
    assert not alice(theirs).advance(theirs, State.READ)


def test_an_older_message_than_those_that_are_loaded_is_not_shown_before_the_gap_is_filled() -> None:
    conversations = alice(message("b", 5), message("c", 6))
    conversations.open("bob").loaded = False
    old = message("a", 1)
    old.number = next(numbers)
    conversations.add(old)
    assert texts(conversations) == ["b", "c"]


def test_whoever_looks_is_told_what_has_changed() -> None:
    told: list[str] = []
    conversations = alice()
    conversations.on_change = lambda each: told.append(each.key)
    add(conversations, message(peer="Bob"))
    assert set(told) == {"bob"}


def test_the_conversation_with_everybody_is_called_so() -> None:
    everybody = alice().open("ALL")
    assert (everybody.kind, everybody.title) == (ConversationKind.EVERYONE, "everyone")


def test_what_begins_with_a_hash_is_a_room() -> None:
    assert (alice().open("#Team").kind, alice().open("#Team").title) == (ConversationKind.ROOM, "#Team")


def test_only_what_somebody_else_has_said_counts_as_unread_and_not_what_the_server_has_counted() -> None:
    conversations = alice()
    bob = conversations.open("bob")
    bob.counted, bob.unread = 2, 2
    event = message(seq=4)
    event.event = RoomNotice("joined")
    deleted = message(seq=5)
    deleted.mark_deleted(MORNING)
    for each in (message(seq=1), message(seq=2), message(seq=3), event, deleted):
        add(conversations, each)
    assert bob.unread == 4
    bob.read = 2
    assert bob.first_unread is bob.messages[2]


def test_a_message_is_found_by_who_has_sent_it_and_its_id() -> None:
    conversations = alice(message("a", 1, ident="x", peer="Bob"), message("b", 2, ident="x", outgoing=True))
    bob = conversations.open("bob")
    assert [conversations.find_message(bob, name, "x") for name in ("BOB", "alice")] == bob.messages
    assert conversations.find_message(bob, "bob", "y") is None
    conversations.find_stored = lambda key, sender, ident: message(f"{key} {sender} {ident}")
    found = conversations.find_message(bob, "", "y")
    assert found is not None
    assert found.text == "bob  y"


def test_somebody_types_until_it_is_too_long_ago_or_the_message_comes(monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_of_too_many_who_type_the_first_is_left_out() -> None:
    conversations = alice()
    room = conversations.open("#team")
    for number in range(30):
        conversations.set_typing(room, f"user{number}", True)
    assert room.typing == [f"user{number}" for number in range(10, 30)]


def test_whether_somebody_is_there_is_known_before_anything_is_said() -> None:
    conversations = alice()
    here = UserPresence("here", MORNING)
    conversations.set_presence("Bob", here)
    assert conversations.open("bob").presence == conversations.presence("BOB") == here
    gone = UserPresence("gone", None)
    conversations.set_presence("bob", gone)
    assert conversations.open("bob").presence == gone


def test_a_conversation_lets_go_of_old_messages_when_there_are_too_many() -> None:
    conversations = alice()
    for seq in range(1, 10_003):
        add(conversations, message(str(seq), seq, ident=str(seq)))
    bob = conversations.open("bob")
    assert 5_000 <= len(bob.messages) <= 10_000
    assert bob.messages[-1].text == "10002"
    assert conversations.find_message(bob, "bob", "1") is None
