"""What guests in rooms are given, and what they send (docs/protocol.md, rules 12.12 to 12.15)."""

from dataclasses import replace
from typing import Any

import pytest

from tests.store.helpers import NOW, Asker
from twotick.store.port import Refusal
from twotick.store.requests.guest_rooms import (
    CheckPutOut,
    FetchRoom,
    FindGuestRoom,
    FindRoomMembers,
    GuestRoom,
    ListGuestRoomMembers,
    ListGuestRooms,
    RoomPart,
)
from twotick.store.requests.messages import Acknowledge, Append, Appended, Duplicate, MessageState, Prune
from twotick.store.requests.rooms import ChangeRoom, CreateRoom, RoomChanged, RoomDescription, RoomRole

SEEN = RoomDescription("#Open", True, "all", 2, RoomRole.NONE, invited=False, guests=True)


@pytest.fixture
def team(asker: Asker) -> Asker:
    """Alice owns the room #Open, which lets guests in, and bob is in it; #team does not."""
    made = asker.ask(CreateRoom(asker.members["alice"], "#Open", True, "all", NOW, guests=True))
    assert isinstance(made, RoomChanged)
    assert made.room.guests
    asker.join("bob", "#open")
    asker.create("carol", "#team", public=True)
    return asker


def found(asker: Asker, name: str = "#open") -> GuestRoom:
    room = asker.ask(FindGuestRoom(name, "127.0.0.1"))
    assert isinstance(room, GuestRoom)
    return room


def from_guest(asker: Asker, **more: Any) -> Append:
    said = Append(sender=None, sender_name=b"ann", recipient=b"#open", headers=b"Time: 1\n", body=b"hi", time=NOW)
    return replace(said, **{"id": b"m1", "network": "127.0.0.1", "into": found(asker).number} | more)


def test_rooms_that_let_guests_in_are_found(team: Asker) -> None:
    assert found(team, "#OPEN").room == SEEN
    assert found(team).last == 2
    assert team.ask(ListGuestRooms(10, "127.0.0.1")) == [SEEN]
    members = team.ask(ListGuestRoomMembers("#open", "127.0.0.1"))
    assert not isinstance(members, Refusal)
    assert [each.name for each in members] == ["alice", "bob"]
    assert team.ask(FindRoomMembers(found(team).number)) == [team.members["alice"], team.members["bob"]]
    for name in ("#team", "#nowhere"):
        for request in (FindGuestRoom(name, ""), ListGuestRoomMembers(name, "")):
            assert team.ask(request) == Refusal("there is no such room")


def test_only_the_owner_decides_and_only_of_a_public_room(team: Asker) -> None:
    alice, bob = team.members["alice"], team.members["bob"]
    assert team.ask(ChangeRoom(bob, "#open", None, None, NOW, guests=False)) == Refusal("only the owner may do that")
    private = ChangeRoom(alice, "#open", False, None, NOW, guests=True)
    assert team.ask(private) == Refusal("only public rooms let guests in")
    number = found(team).number
    changed = team.ask(ChangeRoom(alice, "#open", False, None, NOW))
    assert isinstance(changed, RoomChanged)
    assert not changed.room.guests
    assert changed.effects.rooms == (number,)
    assert b"Access: private\nGuests: no\n" in changed.effects.entries[0].headers
    assert team.ask(FetchRoom(number, 0, 10, 1 << 20, NOW)) == RoomPart([], 0, 0, is_open=False)
    changed = team.ask(ChangeRoom(alice, "#open", True, None, NOW))
    assert isinstance(changed, RoomChanged)
    assert not changed.room.guests


def test_a_message_of_a_guest_is_stored_for_members_and_says_so(team: Asker) -> None:
    number = found(team).number
    sent = team.ask(from_guest(team))
    assert isinstance(sent, Appended)
    assert (sent.place, sent.members, sent.effects.rooms) == (3, 2, (number,))
    assert [(entry.member, entry.headers) for entry in sent.effects.entries] == [
        (team.members[name], b"Time: 1\nGuest: yes\n") for name in ("alice", "bob")
    ]
    assert team.ask(from_guest(team, headers=b"Time: 2\nAccepted: 3\n")) == Duplicate(
        sent.message, True, MessageState.ACCEPTED, "", place=3
    )
    for other in ({"body": b"ho"}, {"headers": b"Time: 1\nX-a: 1\n"}):
        again = team.ask(from_guest(team, **other))
        assert isinstance(again, Duplicate)
        assert not again.same
    assert isinstance(team.ask(from_guest(team, sender_name=b"ben")), Appended)
    assert isinstance(team.ask(from_guest(team, id=b"m2")), Appended)
    assert team.store.check() == []


def test_a_room_that_lets_guests_in_no_more_takes_nothing_from_them(team: Asker) -> None:
    said = from_guest(team)
    team.ask(ChangeRoom(team.members["alice"], "#open", None, None, NOW, guests=False))
    assert team.ask(said) == Refusal("there is no such room")
    team.leave("alice", "#open")
    team.leave("bob", "#open")
    assert team.ask(said) == Refusal("there is no such room")


def test_a_room_that_is_gone_and_forgotten_takes_nothing_from_guests(team: Asker) -> None:
    said = from_guest(team)
    for name in ("alice", "bob"):
        team.leave(name, "#open")
        team.ask(Acknowledge(team.members[name], b"main", 99, NOW))
    while team.ask(Prune(NOW + 1_000_000, 1.0)):
        pass
    assert team.ask(FetchRoom(said.into, 0, 10, 1 << 20, NOW)) == RoomPart([], 0, 0, is_open=False)
    assert team.ask(FindRoomMembers(said.into)) == []
    assert team.ask(said) == Refusal("there is no such room")


def test_what_has_a_place_is_read_part_by_part(team: Asker) -> None:
    number = found(team).number
    team.ask(from_guest(team))
    team.ask(from_guest(team, id=b"m2", body=b"x" * 100))
    team.ask(from_guest(team, id=b"m3", expires=NOW + 5))

    def read(after: int, most: int = 10, size: int = 1 << 20, time: float = NOW) -> tuple[list[int], int, int, bool]:
        part = team.ask(FetchRoom(number, after, most, size, time))
        return [entry.place for entry in part.entries], part.up_to, part.last, part.is_open

    assert read(0) == ([1, 2, 3, 4, 5], 5, 5, True)
    assert read(2, most=2) == ([3, 4], 4, 5, True)
    assert read(3, size=50) == ([4], 4, 5, True)
    assert read(4, time=NOW + 6) == ([], 5, 5, True)
    assert read(5) == ([], 5, 5, True)
    (entry,) = team.ask(FetchRoom(number, 2, 1, 1 << 20, NOW)).entries
    assert (entry.peer, entry.room, entry.body, entry.id) == (b"ann", b"#Open", b"hi", b"m1")


def test_who_may_put_guests_out(team: Asker) -> None:
    assert team.ask(CheckPutOut(team.members["bob"], "#open")) == Refusal("only moderators may do that")
    assert team.ask(CheckPutOut(team.members["carol"], "#open")) == Refusal("you are not in #Open")
    room = team.ask(CheckPutOut(team.members["alice"], "#open"))
    assert isinstance(room, RoomDescription)
    assert room.guests
