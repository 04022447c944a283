"""Who may do what in a room, and what comes of it (rules 12.1 to 12.11, 13.1, 14.2)."""

import pytest

from tests.store.helpers import NOW
from twotick.store import Append, MessageAction, RoomRole, StoreLimits
from twotick.store.rules.conversations import check_setting, mentioned
from twotick.store.rules.editing import check_action, deleted_headers, edited_headers
from twotick.store.rules.errors import NO_ROOM, NotAllowed
from twotick.store.rules.rooms import RoomEvent, RoomState, created, known

LIMITS = StoreLimits(room_members=4, rooms=2)
ALICE, BOB, CAROL, DAVE = 1, 2, 3, 4


def make(public: bool = True, topic: str = "") -> RoomState:
    """A room of alice's."""
    room, _ = created("#Team", public, topic, ALICE, NOW, 0, LIMITS)
    room.last = 1
    return room


def joined(room: RoomState, *members: int) -> None:
    """They join one after the other."""
    for member in members:
        room.invited.add(member)
        room.join(member, NOW + room.last, 0, LIMITS)
        room.last += 1


def told(events: list[RoomEvent]) -> list[tuple[bytes, list[int]]]:
    return [(event.lines, event.members) for event in events]


def roles(room: RoomState) -> dict[int, str]:
    return {member: membership.role.name for member, membership in room.members.items()}


def test_who_creates_a_room_owns_it_and_is_told():
    room, events = created("#Team", False, "what we do", ALICE, NOW, 1, LIMITS)
    assert (room.key, roles(room), room.touched) == (b"#team", {ALICE: "OWNER"}, {ALICE})
    assert [event.headers(NOW) for event in events] == [b"Time: 2027-01-15T08:00:00.000Z\nEvent: created\n"]
    shown = room.seen_by(ALICE)
    assert (shown.name, shown.topic, shown.role, shown.members) == ("#Team", "what we do", RoomRole.OWNER, 1)


@pytest.mark.parametrize("name", ["team", "#", "#a b", "#" + "x" * 33, "#\u00e9", "#\udc80", "#team\n"])
def test_a_name_that_is_none(name: str):
    with pytest.raises(NotAllowed, match="the name of a room"):
        created(name, True, "", ALICE, NOW, 0, LIMITS)


@pytest.mark.parametrize("topic", ["x" * 251, "\u00e9" * 126, "a\nb", "a\x7f", "a\x85", "\udc80"])
def test_a_topic_that_is_none(topic: str):
    with pytest.raises(NotAllowed, match="a topic has"):
        created("#team", True, topic, ALICE, NOW, 0, LIMITS)
    room = make(topic="as it was")
    with pytest.raises(NotAllowed, match="a topic has"):
        room.change(ALICE, False, topic)
    assert (room.public, room.topic) == (True, "as it was")


def test_a_topic_of_250_bytes():
    make(topic="\u00e9" * 125)


def test_a_member_is_in_so_many_rooms_at_most():
    with pytest.raises(NotAllowed, match="too many rooms"):
        created("#team", True, "", ALICE, NOW, 2, LIMITS)
    with pytest.raises(NotAllowed, match="too many rooms"):
        make().join(BOB, NOW, 2, LIMITS)


def test_a_room_has_so_many_members_at_most():
    room = make()
    joined(room, BOB, CAROL, DAVE)
    with pytest.raises(NotAllowed, match="the room is full"):
        room.join(5, NOW, 0, LIMITS)
    assert room.join(DAVE, NOW, 2, LIMITS) == [], "who is in it is in it"


def test_a_private_room_is_not_there_for_others():
    room = make(public=False)
    room.invited.add(BOB)
    assert known(room, ALICE) is known(room, BOB) is room
    for found in (room, None):
        with pytest.raises(NotAllowed, match=NO_ROOM):
            known(found, CAROL)


def test_who_joins_is_told_like_all_others_and_is_invited_no_more():
    room = make(public=False)
    room.invite(ALICE, BOB, b"bob", False, LIMITS)
    room.touched.clear()
    assert told(room.join(BOB, NOW, 0, LIMITS)) == [(b"Event: joined\n", [ALICE, BOB])]
    assert (room.invited, room.touched, room.role(BOB)) == (set(), {BOB}, RoomRole.MEMBER)


def test_from_where_a_member_may_read():
    room = make(public=True)
    joined(room, BOB)  # at place 2
    room.change(ALICE, False, None)
    room.last += 1
    joined(room, CAROL)  # at place 4
    room.change(ALICE, True, None)
    room.last += 1  # to 5
    joined(room, DAVE)
    assert {member: each.seen_from for member, each in room.members.items()} == {ALICE: 1, BOB: 1, CAROL: 4, DAVE: 5}


def test_to_make_public_what_is_public_changes_nothing():
    room = make(public=True)
    assert room.change(ALICE, True, "") == []
    assert room.open_from == 1


def test_the_longest_moderator_follows_the_owner_or_else_the_longest_member():
    room = make()
    joined(room, DAVE, CAROL, BOB)
    room.appoint(ALICE, BOB, b"bob", RoomRole.MODERATOR)
    room.appoint(ALICE, CAROL, b"carol", RoomRole.MODERATOR)
    room.touched.clear()
    assert told(room.leave(ALICE)) == [(b"Event: left\n", [ALICE, BOB, CAROL, DAVE])]
    assert roles(room) == {DAVE: "MEMBER", CAROL: "OWNER", BOB: "MODERATOR"}
    assert room.touched == {ALICE, CAROL}
    room.leave(BOB)
    room.leave(CAROL)
    assert roles(room) == {DAVE: "OWNER"}
    room.leave(DAVE)
    assert room.members == {}


def test_who_is_removed_from_the_server_leaves_and_is_not_told():
    room = make()
    joined(room, BOB)
    room.invite(ALICE, CAROL, b"carol", False, LIMITS)
    room.touched.clear()
    assert told(room.remove_from_server(ALICE)) == [(b"Event: left\n", [BOB])]
    assert room.remove_from_server(CAROL) == room.remove_from_server(DAVE) == room.remove_from_server(BOB) == []
    assert (room.members, room.invited, room.touched) == ({}, set(), {ALICE, BOB, CAROL})


def test_who_may_change_what():
    room = make()
    joined(room, BOB, CAROL)
    room.appoint(ALICE, BOB, b"bob", RoomRole.MODERATOR)
    assert told(room.change(BOB, None, "new")) == [(b"Event: changed\nTopic: new\n", [ALICE, BOB, CAROL])]
    assert told(room.change(ALICE, False, "")) == [(b"Event: changed\nTopic: \nAccess: private\n", [ALICE, BOB, CAROL])]
    assert room.change(ALICE, False, "") == room.change(ALICE, None, None) == []
    for member, public in ((BOB, True), (CAROL, None), (DAVE, None)):
        with pytest.raises(NotAllowed):
            room.change(member, public, "other")
    assert (room.topic, room.public) == ("", False)


def test_who_may_invite():
    room = make(public=True)
    joined(room, BOB)
    assert told(room.invite(BOB, CAROL, b"carol", False, LIMITS)) == [
        (b"Event: invited\nRoom: #Team\nMember: carol\n", [CAROL])
    ]
    assert room.invite(BOB, CAROL, b"carol", False, LIMITS) == [], "and is told once"
    room.change(ALICE, False, None)
    with pytest.raises(NotAllowed, match="only moderators"):
        room.invite(BOB, DAVE, b"dave", False, LIMITS)
    with pytest.raises(NotAllowed, match="you are not in #Team"):
        room.invite(CAROL, DAVE, b"dave", False, LIMITS)
    with pytest.raises(NotAllowed, match="bob is in #Team already"):
        room.invite(ALICE, BOB, b"bob", False, LIMITS)


def test_so_many_are_invited_at_most():
    room = make()
    for other in range(10, 14):
        room.invite(ALICE, other, b"x", False, LIMITS)
    with pytest.raises(NotAllowed, match="too many are invited"):
        room.invite(ALICE, 14, b"x", False, LIMITS)


def test_to_invite_who_has_blocked_one_looks_the_same_and_is_not_told():
    room = make()
    (event,) = room.invite(ALICE, BOB, b"bob", True, LIMITS)
    assert (event.is_withheld, event.members) == (True, [BOB])
    assert room.invite(ALICE, BOB, b"bob", True, LIMITS) == [], "and waits once"
    assert room.invited == set()
    assert room.remove(ALICE, BOB, b"bob") == []
    assert (room.invited, room.unaware) == (set(), set())


def test_an_invitation_that_nobody_sees_counts_until_it_is_withdrawn_or_made_anew():
    room = make()
    most = LIMITS.room_members
    for member in range(10, 9 + most):
        room.invite(ALICE, member, b"x", False, LIMITS)
    room.invite(ALICE, BOB, b"bob", True, LIMITS)
    for is_blocked in (False, True):
        with pytest.raises(NotAllowed, match="too many are invited"):
            room.invite(ALICE, CAROL, b"carol", is_blocked, LIMITS)
    assert len(room.invite(ALICE, BOB, b"bob", False, LIMITS)) == 1
    assert (BOB in room.invited, room.unaware) == (True, set())


def test_who_may_remove_whom():
    room = make()
    joined(room, BOB, CAROL, DAVE)
    room.appoint(ALICE, BOB, b"bob", RoomRole.MODERATOR)
    for member, other in ((CAROL, DAVE), (BOB, ALICE), (BOB, BOB), (5, DAVE)):
        with pytest.raises(NotAllowed):
            room.remove(member, other, b"other")
    assert told(room.remove(BOB, DAVE, b"dave")) == [(b"Event: removed\nMember: dave\n", [ALICE, BOB, CAROL, DAVE])]
    room.appoint(ALICE, CAROL, b"carol", RoomRole.MODERATOR)
    with pytest.raises(NotAllowed, match="higher role"):
        room.remove(BOB, CAROL, b"carol")
    room.remove(ALICE, BOB, b"bob")
    assert roles(room) == {ALICE: "OWNER", CAROL: "MODERATOR"}


def test_an_invitation_is_taken_back():
    room = make(public=False)
    room.invite(ALICE, BOB, b"bob", False, LIMITS)
    assert room.remove(ALICE, BOB, b"bob") == []
    assert not room.is_known_to(BOB)


def test_who_may_appoint():
    room = make()
    joined(room, BOB, CAROL)
    assert told(room.appoint(ALICE, BOB, b"bob", RoomRole.OWNER)) == [
        (b"Event: appointed\nMember: bob\nRole: owner\n", [ALICE, BOB, CAROL])
    ]
    assert roles(room) == {ALICE: "MODERATOR", BOB: "OWNER", CAROL: "MEMBER"}
    assert room.appoint(BOB, ALICE, b"alice", RoomRole.MODERATOR) == []
    for member, other in ((ALICE, CAROL), (CAROL, ALICE), (BOB, BOB), (BOB, DAVE)):
        with pytest.raises(NotAllowed):
            room.appoint(member, other, b"other", RoomRole.MEMBER)


def test_to_whom_a_message_goes():
    room = make()
    joined(room, DAVE, CAROL)
    assert room.others(CAROL) == [ALICE, DAVE]
    with pytest.raises(NotAllowed, match="you are not in #Team"):
        room.others(BOB)


def test_what_may_be_muted_and_blocked():
    limits = StoreLimits(settings=2)
    check_setting(b"bob", True, 1, limits)
    check_setting(b"#team", False, 1, limits)
    for peer, settings in ((b"#team", 0), (b"all", 0), (b"a b", 0), (b"", 0), (b"bob", 2)):
        with pytest.raises(NotAllowed):
            check_setting(peer, True, settings, limits)


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ("hello", set[bytes]()),
        ("@Bob and (@carol), @BOB", {b"bob", b"carol"}),
        ("bob@example x@carol \u00e9@dave", set[bytes]()),
        ("@bob\u00e9 @carol_ _@dave @" + "x" * 33, {b"carol", b"dave"}),
        ("@@bob", {b"bob"}),
    ],
)
def test_whom_a_message_mentions(body: str, names: set[bytes]):
    assert mentioned(body.encode()) == names


def test_mentions_are_looked_for_in_a_bounded_part():
    assert mentioned(b" " * 65531 + b"@bob @carol") == {b"bob"}
    assert len(mentioned(b"".join(b"@name%d " % number for number in range(200)))) == 100
    assert mentioned(b"\xff\xfe @bob") == {b"bob"}


def append(action: MessageAction, **more: object) -> Append:
    request = Append(
        sender=ALICE,
        sender_name=b"Alice",
        device=b"main",
        id=b"m2",
        recipient=b"bob",
        members=(BOB,),
        live=False,
        headers=b"",
        body=b"",
        time=NOW,
        expires=None,
        action=action,
        about=b"m1",
    )
    for name, value in more.items():
        setattr(request, name, value)
    return request


@pytest.mark.parametrize(
    "request_",
    [
        append(MessageAction.EDIT),
        append(MessageAction.EDIT, about_name=b"alice", recipient=b"#team"),
        append(MessageAction.DELETE),
        append(MessageAction.DELETE, about_name=b"carol", recipient=b"#team"),
        append(MessageAction.REACT, about_name=b"carol", body=b"x" * 64),
        append(MessageAction.REACT, sender=None),
        append(MessageAction.REACT, live=True),
        append(MessageAction.NONE, body=b"x" * 65),
    ],
)
def test_a_change_that_can_be_done(request_: Append):
    check_action(request_)


@pytest.mark.parametrize(
    "request_",
    [
        append(MessageAction.EDIT, sender=None),
        append(MessageAction.EDIT, live=True, members=()),
        append(MessageAction.DELETE, recipient=b"All"),
        append(MessageAction.DELETE, body=b"x"),
        append(MessageAction.DELETE, about_name=b"bob"),
        append(MessageAction.EDIT, about_name=b"carol", recipient=b"#team"),
        append(MessageAction.REACT, body=b"x" * 65),
    ],
)
def test_a_change_that_can_not_be_done(request_: Append):
    with pytest.raises(NotAllowed):
        check_action(request_)


def test_the_headers_of_what_was_changed():
    once = edited_headers(b"Time: 1\nX-a: Edited: no\n", b"Edits: m1\n", NOW)
    assert once == b"Time: 1\nX-a: Edited: no\nEdited: 2027-01-15T08:00:00.000Z\n"
    assert edited_headers(once, b"", NOW + 0.5) == once.replace(b".000Z", b".500Z")
    fire = b"Time: 1\nX-priority: 5\nX-tags: fire\nX-a: kept\n"
    over = edited_headers(fire, b"X-tags: ok\nX-b: no\nEdits: m1\n", NOW)
    assert over == b"Time: 1\nX-a: kept\nX-tags: ok\nEdited: 2027-01-15T08:00:00.000Z\n", "rule 21.5"
    assert deleted_headers(NOW) == b"Deleted: 2027-01-15T08:00:00.000Z\n"
    assert deleted_headers(NOW, b"m1") == b"Edits: m1\n" + deleted_headers(NOW)
