"""Pinned messages (docs/protocol.md, rules 13.7 to 13.9)."""

from pathlib import Path

import pytest

from tests.store.helpers import NOW, Asker
from twotick.store import (
    Append,
    ChangeRoom,
    Duplicate,
    ListConversations,
    ListPins,
    MessageAction,
    Prune,
    Refusal,
    RemoveMember,
    RoomRole,
    SetConversation,
)

PIN, UNPIN, DELETE = MessageAction.PIN, MessageAction.UNPIN, MessageAction.DELETE
HEADERS = {PIN: b"Pins: x\n", UNPIN: b"Unpins: x\n", DELETE: b"Deletes: x\n"}


class Board:
    """Members who write to each other and pin messages, a second apart."""

    def __init__(self, folder: Path | None = None) -> None:
        self.asker = Asker(folder)
        self.asker.add("alice", "bob", "carol")
        self.now = NOW
        self.count = 0

    def do(self, name: str, to: str, about: str = "", action: MessageAction = MessageAction.NONE) -> str:
        """Say something, or pin, unpin or delete a message; return why it was refused, or the sender and the Id."""
        self.now += 1
        self.count += 1
        sender, _, ident = about.rpartition(" ")
        answer = self.asker.ask(
            Append(
                sender=self.asker.members[name],
                sender_name=name.encode(),
                recipient=to.encode(),
                headers=HEADERS.get(action, b""),
                body=b"" if action else b"x",
                time=self.now,
                device=b"main",
                id=b"%b%d" % (name[:1].encode(), self.count),
                action=action,
                about=ident.encode(),
                about_name=sender.encode(),
            )
        )
        assert not isinstance(answer, Duplicate)
        return answer.reason if isinstance(answer, Refusal) else f"{name} {name[:1]}{self.count}"

    def pins(self, name: str, peer: str) -> list[str]:
        found = self.asker.ask(ListPins(self.asker.members[name], peer.encode(), 1 << 20, self.now)).entries
        assert all(b"Pinned: " in each.headers and b"Pinned-by: " in each.headers for each in found)
        return [each.id.decode() for each in found]


@pytest.fixture
def board() -> Board:
    return Board()


def test_both_pin_and_unpin_in_their_conversation(board: Board) -> None:
    first, second = board.do("alice", "bob"), board.do("bob", "alice")
    board.do("alice", "bob", first, PIN)
    board.do("alice", "bob", second, PIN)
    for name, peer in (("alice", "bob"), ("bob", "alice")):
        assert board.pins(name, peer) == [second.split()[1], first.split()[1]], "those pinned last first"
    assert board.pins("alice", "carol") == []
    board.do("bob", "alice", first, UNPIN)
    assert board.pins("alice", "bob") == board.pins("bob", "alice") == [second.split()[1]]
    assert board.do("bob", "alice", first, UNPIN) == "there is no such pinned message here"
    board.do("bob", "alice", first, PIN)
    board.do("alice", "bob", second, PIN)
    assert board.pins("bob", "alice") == [second.split()[1], first.split()[1]], "once, and in front"


def test_a_message_that_is_deleted_is_unpinned(board: Board) -> None:
    first = board.do("alice", "bob")
    board.do("bob", "alice", first, PIN)
    board.do("alice", "bob", first.split()[1], DELETE)
    assert board.pins("alice", "bob") == board.pins("bob", "alice") == []
    assert board.do("bob", "alice", first, PIN) == "there is no such message here"


def test_what_cannot_be_pinned(board: Board) -> None:
    to_carol = board.do("alice", "carol")
    deletion = board.do("alice", "carol", board.do("alice", "carol").split()[1], DELETE)
    pin = board.do("alice", "carol", to_carol, PIN)
    assert pin.startswith("alice a")
    for about in (to_carol, deletion, pin, "alice none", "nobody x"):
        assert board.do("alice", "bob", about, PIN) == "there is no such message here"
        assert board.do("bob", "alice", about, PIN) == "there is no such message here"
    for about in (deletion, pin):
        assert board.do("carol", "alice", about, PIN) == "there is no such message here"


def test_moderators_pin_in_rooms_and_all_members_if_the_room_lets_them(board: Board) -> None:
    asker = board.asker
    asker.gather("alice", "bob", "carol")
    asker.appoint("alice", "bob", RoomRole.MODERATOR)
    said = board.do("carol", "#team")
    assert board.do("carol", "#team", said, PIN) == "only moderators and the owner pin messages in #Team"
    board.do("bob", "#team", said, PIN)
    assert board.do("carol", "#team", said, UNPIN) == "only moderators and the owner pin messages in #Team"
    for name in ("alice", "bob", "carol"):
        assert board.pins(name, "#TEAM") == [said.split()[1]]
    assert not asker.look("alice").all_pin
    changed = asker.ask(ChangeRoom(asker.members["bob"], "#team", None, None, NOW, True))
    assert not isinstance(changed, Refusal)
    assert changed.room.all_pin
    assert changed.effects.entries[0].headers.endswith(b"Pinning: members\n")
    assert asker.refusal(ChangeRoom(asker.members["carol"], "#team", None, None, NOW, False))
    board.do("carol", "#team", said, UNPIN)
    assert board.pins("alice", "#team") == []
    board.do("carol", "#team", said, PIN)
    asker.leave("carol")
    assert (board.pins("carol", "#team"), board.pins("bob", "#team")) == ([], [said.split()[1]])


def test_who_joins_sees_only_the_pins_of_messages_that_may_be_read(board: Board) -> None:
    board.asker.gather("alice", "bob")
    before = board.do("alice", "#team")
    board.do("alice", "#team", before, PIN)
    board.asker.invite("alice", "carol")
    board.asker.join("carol")
    after = board.do("bob", "#team")
    board.do("alice", "#team", after, PIN)
    assert board.pins("bob", "#team") == [after.split()[1], before.split()[1]]
    assert board.pins("carol", "#team") == [after.split()[1]]
    board.asker.appoint("alice", "carol", RoomRole.MODERATOR)
    assert board.do("carol", "#team", before, UNPIN) == "there is no such pinned message here"
    assert board.do("carol", "#team", before, PIN) == "there is no such message here"


def test_at_most_fifty_messages_are_pinned(board: Board) -> None:
    said = [board.do("alice", "bob") for _ in range(51)]
    for each in said[:50]:
        board.do("bob", "alice", each, PIN)
    assert board.do("bob", "alice", said[50], PIN) == "at most 50 messages can be pinned here: unpin another one first"
    assert board.do("alice", "bob", said[0], PIN).startswith("alice a"), "what is pinned can be pinned again"
    board.do("alice", "bob", said[1], UNPIN)
    board.do("bob", "alice", said[50], PIN)
    assert len(board.pins("alice", "bob")) == len(board.pins("bob", "alice")) == 50


def test_what_a_blocked_user_pins_is_pinned_for_that_user_alone(board: Board) -> None:
    asker, bob = board.asker, board.asker.members["bob"]
    first, second = board.do("alice", "bob"), board.do("bob", "alice")
    board.do("bob", "alice", first, PIN)
    asker.ask(SetConversation(bob, b"alice", None, True, NOW))
    unseen = board.do("alice", "bob")
    for about, action in ((second, PIN), (unseen, PIN), (first, UNPIN)):
        board.do("alice", "bob", about, action)
    assert board.pins("alice", "bob") == [unseen.split()[1], second.split()[1]]
    assert board.pins("bob", "alice") == [first.split()[1]]
    asker.ask(SetConversation(bob, b"alice", None, False, NOW))
    board.do("alice", "bob", unseen, UNPIN)
    board.do("alice", "bob", unseen, PIN)
    assert board.pins("bob", "alice") == [first.split()[1]], "bob does not have that message"


def test_pins_go_with_their_messages_and_members(tmp_path: Path) -> None:
    board = Board(tmp_path)
    asker = board.asker
    said = board.do("alice", "bob")
    board.do("bob", "alice", said, PIN)
    asker.reopen()
    assert board.pins("alice", "bob") == board.pins("bob", "alice") == [said.split()[1]]
    asker.ack("bob", 9)
    asker.ack("alice", 9)
    while asker.ask(Prune(board.now + 100, 10)):
        pass
    assert board.pins("alice", "bob") == board.pins("bob", "alice") == []
    said = board.do("alice", "bob")
    board.do("alice", "bob", said, PIN)
    asker.ask(RemoveMember("alice", NOW))
    asker.add("alice")
    assert board.pins("alice", "bob") == []
    assert board.pins("bob", "alice") == [said.split()[1]]
    assert asker.store.check() == []
    asker.store.close()


def test_a_note_to_oneself_is_pinned_once(board: Board) -> None:
    said = board.do("alice", "alice")
    board.do("alice", "alice", said, PIN)
    assert board.pins("alice", "alice") == [said.split()[1]]


def test_a_pin_is_not_unread(board: Board) -> None:
    said = board.do("alice", "bob")
    board.do("alice", "bob", said, PIN)
    (conversation,) = board.asker.ask(ListConversations(board.asker.members["bob"], 9))
    assert conversation.unread == 1
