"""The conversations."""

import itertools

import pytest

from tests.ui.app.making import message
from twotick.client import State
from twotick.ui.app.model import WAITING, Conversations, Kind, Message

numbers = itertools.count(1)


def alice(*messages: Message) -> Conversations:
    """The conversations of alice, in which these are loaded."""
    conversations = Conversations("alice")
    for each in messages:
        add(conversations, each)
    return conversations


def add(conversations: Conversations, each: Message) -> None:
    each.number = next(numbers)
    conversations.open(each.conversation).loaded = True
    conversations.add(each)


def texts(conversations: Conversations, name: str = "bob") -> list[str]:
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
        ("for @all of you", True),
        ("alice", False),
        ("@alice2", False),
        ("me@alice", False),
        ("", False),
    ],
)
def test_a_message_names_somebody_after_an_at_sign(text: str, named: bool) -> None:
    assert Conversations("alice").mentions(text) is named


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
    conversations.changed = lambda each: told.append(each.key)
    add(conversations, message(peer="Bob"))
    assert set(told) == {"bob"}


def test_the_conversation_with_everybody_is_called_so() -> None:
    everybody = alice().open("ALL")
    assert (everybody.kind, everybody.title) == (Kind.EVERYONE, "everyone")
