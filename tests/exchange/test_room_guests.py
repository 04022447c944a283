"""Guests in rooms, through the exchange and a real store (docs/protocol.md, rules 12.12 to 12.15)."""

import pytest

from tests.exchange.mail import Line, Mail, message, objects, reason, told
from tests.exchange.test_rooms import room, shown
from twotick.exchange import Limits
from twotick.store import FetchRoom, FindGuestRoom, ListGuestRoomMembers, ListGuestRooms, StoreError
from twotick.store.requests.guest_rooms import RoomPart
from twotick.wire import Frame, Side, Verb, frame, register

OPEN = {b"access": b"public", b"members": b"1", b"guests": b"yes"}
NO_ROOM = "there is no such room"


def opened(mail: Mail, name: bytes = b"#open", owner: bytes = b"alice") -> Line:
    """A device of the owner of a room that lets guests in, who is told of them."""
    line = mail.device(owner, window=64)
    assert shown(line.write(room(name, b"create", access=b"public", guests=b"yes"))[:1])[b"guests"] == b"yes"
    line.write(frame(Verb.ROOMS, guests=b"yes"))
    return line


def inside(mail: Mail, name: bytes = b"ann", where: bytes = b"#open") -> Line:
    """A guest who is in a room."""
    line = mail.guest(name)
    assert shown(line.write(room(where, b"join")))[b"role"] == b"guest"
    return line


def events(frames: list[Frame]) -> list[tuple[str, ...]]:
    """What is told of guests: the room, the guest, the event, and why."""
    return [
        (head.name.decode(), *(head.headers.get(name, b"").decode() for name in (b"guest", b"event", b"reason")))
        for head, _ in frames
        if head.verb is Verb.ROOM and b"event" in head.headers
    ]


def said(frames: list[Frame]) -> list[tuple[str, int, str]]:
    """What was sent to a room, and its events: who, the place, the event or the body."""
    return [
        (head.name.decode(), int(head.headers[b"place"]), head.headers.get(b"event", body).decode())
        for head, body in frames
        if head.verb is Verb.FORWARD
    ]


def test_a_guest_joins_speaks_listens_and_leaves() -> None:
    mail = Mail(b"alice")
    alice = opened(mail)
    ann = mail.guest(b"ann")
    assert shown(ann.write(room(b"#Open"))) == {**OPEN, b"role": b"none"}
    assert shown(ann.write(room(b"#Open", b"join"))) == {**OPEN, b"role": b"guest"}
    assert events(alice.read()) == [("#open", "ann", "joined", "")]
    ((head, _),) = ann.write(message(b"#open", b"hello", b"m1"))
    assert (head.verb, head.headers) == (Verb.ACCEPTED, {b"id": b"m1", b"place": b"2", b"members": b"1"})
    ((head, body),) = alice.read()
    assert (head.name, body, head.headers[b"guest"]) == (b"ann", b"hello", b"yes")
    alice.write(message(b"#open", b"welcome", b"a1"))
    ((head, body),) = ann.read()
    assert (head.name, body, head.headers[b"to"], head.headers[b"place"]) == (b"alice", b"welcome", b"#open", b"3")
    assert b"seq" not in head.headers
    assert b"guest" not in head.headers
    assert shown(ann.write(room(b"#open", b"leave"))) == {**OPEN, b"role": b"none"}
    assert events(alice.read()) == [("#open", "ann", "left", "")]
    alice.write(message(b"#open", b"gone?", b"a2"))
    assert ann.read() == []
    refused = told(ann.write(message(b"#open", b"still here", b"m2")))
    assert refused[0][-1] == "you are not in #open"
    assert reason(ann.write(room(b"#open", b"leave"))) == "you are not in #open"


def test_who_asks_is_told_when_a_message_was_taken() -> None:
    """Rule 11.14, for a member who only sends, a member's message to a room, and a guest's."""

    def accepted(frames: list[Frame]) -> dict[bytes, bytes]:
        (found,) = (head.headers for head, _ in frames if head.verb is Verb.ACCEPTED)
        return found

    mail = Mail(b"alice", b"bob")
    opened(mail)
    taken = {b"accepted": b"1970-01-01T00:16:40.000Z"}
    sending, device, ann = mail.line(), mail.line(), mail.line()
    sending.write(register(Side.SENDING, b"alice", authorization=b"alice", times=b"yes"))
    device.write(register(Side.DUPLEX, b"alice", authorization=b"alice", device=b"phone", times=b"yes", window=64))
    ann.write(register(Side.DUPLEX, b"ann", times=b"yes"))
    ann.write(room(b"#open", b"join"))
    for line, recipient, ident, more in (
        (sending, b"bob", b"m1", {}),
        (device, b"#open", b"m2", {b"seq": b"3", b"place": b"2", b"members": b"0"}),
        (ann, b"#open", b"m3", {b"place": b"3", b"members": b"1"}),
    ):
        mail.now = 1000.0
        assert accepted(line.write(message(recipient, b"hello", ident))) == {b"id": ident, **more, **taken}
        mail.now += 60.0
        assert accepted(line.write(message(recipient, b"hello", ident)))[b"accepted"] == taken[b"accepted"]


def test_only_the_owner_of_a_public_room_lets_guests_in() -> None:
    mail = Mail(b"alice", b"bob")
    alice, bob = mail.device(b"alice", window=64), mail.device(b"bob", window=64)
    for create in (room(b"#den", b"create", guests=b"yes"), room(b"#x", b"create", access=b"private", guests=b"yes")):
        assert reason(alice.write(create)) == "only public rooms let guests in"
    alice.write(room(b"#den", b"create"))
    assert reason(alice.write(room(b"#den", b"change", guests=b"yes"))) == "only public rooms let guests in"
    alice.write(room(b"#team", b"create", access=b"public"))
    ann = mail.guest(b"ann")
    for name in (b"#team", b"#den", b"#nowhere", b"team"):
        for do in (None, b"join", b"members"):
            assert reason(ann.write(room(name, do))) == NO_ROOM
    bob.write(room(b"#team", b"join"))
    alice.write(room(b"#team", b"appoint", member=b"bob", role=b"moderator"))
    bob.read()
    assert reason(bob.write(room(b"#team", b"change", guests=b"yes"))) == "only the owner may do that"
    assert reason(alice.write(room(b"#team", b"change", guests=b"perhaps"))) == "Guests is yes or no"
    (head, _), *_ = alice.write(room(b"#team", b"change", guests=b"yes"))
    assert head.headers[b"guests"] == b"yes"
    assert [head.headers[b"guests"] for head, _ in bob.read() if b"event" in head.headers] == [b"yes"]
    assert objects(ann.write(frame(Verb.ROOMS)))[0]["name"] == "#team"
    assert shown(ann.write(room(b"#team", b"join")))[b"role"] == b"guest"
    assert objects(ann.write(frame(Verb.ROOMS))) == [
        {"name": "#team", "access": "public", "role": "guest", "members": 2, "topic": "", "invited": False}
        | {"guests": True}
    ]


@pytest.mark.parametrize(
    "change", [{b"guests": b"no"}, {b"access": b"private"}, {b"access": b"private", b"topic": b"ours"}, None]
)
def test_when_a_room_lets_no_guests_in_any_more_they_are_put_out(change: dict[bytes, bytes] | None) -> None:
    mail = Mail(b"alice")
    alice = opened(mail)
    ann, ben = inside(mail), inside(mail, b"ben")
    ann.read()
    if change is None:
        got = alice.write(room(b"#open", b"leave"))
    else:
        got = alice.write(room(b"#open", b"change", **{name.decode(): value for name, value in change.items()}))
    closed = "the room does not let guests in any more"
    for guest, name in ((ann, "ann"), (ben, "ben")):
        assert ("#open", name, "removed", closed) in events(guest.read())
        assert reason(guest.write(room(b"#open"))) == NO_ROOM
        assert told(guest.write(message(b"#open", b"x", b"m1")))[0][:2] == ("ERROR", 102)
    if change is not None:
        assert [each[1:3] for each in events(got)][-2:] == [("ann", "removed"), ("ben", "removed")]


def test_a_room_that_becomes_private_and_public_again_does_not_let_guests_in() -> None:
    mail = Mail(b"alice")
    alice = opened(mail)
    alice.write(room(b"#open", b"change", access=b"private"))
    (head, _), (event, _) = alice.write(room(b"#open", b"change", access=b"public"))
    assert b"guests" not in head.headers
    assert b"guests" not in event.headers
    assert reason(mail.guest(b"ann").write(room(b"#open", b"join"))) == NO_ROOM


def test_a_guest_gets_all_that_has_a_place_from_when_it_joins_on() -> None:
    mail = Mail(b"alice", b"bob")
    alice = opened(mail)
    alice.write(message(b"#open", b"before", b"a1"))
    ann, ben = inside(mail), inside(mail, b"ben")
    assert events(ann.read()) == [("#open", "ben", "joined", "")]
    ben.write(message(b"#open", b"from ben", b"b1"))
    bob = mail.device(b"bob", window=64)
    bob.write(room(b"#open", b"join"))
    alice.write(message(b"#open", b"after", b"a2"))
    alice.write(
        message(b"#open", b"edited", b"a3", edits=b"a2")
        + message(b"#open", b"+", b"a4", reacts_to=b"ben b1")
        + message(b"#open", b"", b"a5", deletes=b"ben b1")
        + room(b"#open", b"change", topic=b"all")
    )
    got = ann.read()
    assert said(got) == [
        ("ben", 3, "from ben"),
        ("bob", 4, "joined"),
        ("alice", 5, "after"),
        ("alice", 6, "edited"),
        ("alice", 7, "+"),
        ("alice", 8, ""),
        ("alice", 9, "changed"),
    ]
    assert got[0][0].headers[b"guest"] == b"yes"
    assert got[-1][0].headers[b"topic"] == b"all"
    assert [each[1] for each in said(ben.read())] == [4, 5, 6, 7, 8, 9]


def test_what_a_guest_wrote_says_so_for_ever() -> None:
    """Rule 12.14: also when it is deleted, and when a member has the name."""
    mail = Mail(b"alice")
    alice = opened(mail)
    ann = inside(mail)
    ann.write(message(b"#open", b"one", b"m1", guest=b"no") + message(b"#open", b"two", b"m2", x_guest=b"no"))
    ann.cut()
    mail.add(b"ann")
    member = mail.device(b"ann", window=64)
    member.write(room(b"#open", b"join"))
    member.write(message(b"#open", b"three", b"m3"))
    assert reason(member.write(message(b"#open", b"mine", b"e1", edits=b"m1"))) == "there is no such message of yours"
    alice.read()
    past = alice.write(frame(Verb.HISTORY, b"#open"))
    marks = {body: head.headers.get(b"guest") for head, body in past if head.verb is Verb.FORWARD and body}
    assert marks == {b"one": b"yes", b"two": b"yes", b"three": None}


def test_a_deleted_message_of_a_guest_still_says_so() -> None:
    mail = Mail(b"alice")
    alice = opened(mail)
    inside(mail).write(message(b"#open", b"bad", b"m1"))
    alice.write(message(b"#open", b"", b"d1", deletes=b"ann m1"))
    past = alice.write(frame(Verb.HISTORY, b"#open"))
    ((head, body),) = [each for each in past if each[0].id == b"m1"]
    assert (body, head.headers[b"guest"]) == (b"", b"yes")
    assert b"deleted" in head.headers


def test_a_guest_that_sends_again_is_answered_with_the_first_message() -> None:
    mail = Mail(b"alice")
    alice = opened(mail)
    ann = inside(mail)
    ann.write(message(b"#open", b"one", b"m1"))
    ann.cut()
    ann = inside(mail)
    assert [head.headers[b"place"] for head, _ in ann.write(message(b"#open", b"one", b"m1"))] == [b"2"]
    used = "this Id was used for another message"
    assert told(ann.write(message(b"#open", b"two", b"m1")))[0][-1] == used
    assert told(ann.write(message(b"#open", b"one", b"m1", x_a=b"b")))[0][-1] == used
    ben = inside(mail, b"ben")
    assert [head.headers[b"place"] for head, _ in ben.write(message(b"#open", b"one", b"m1"))] == [b"3"]
    assert [each[:2] for each in said(alice.read())] == [("ann", 2), ("ben", 3)]


def test_guests_change_nothing() -> None:
    mail = Mail(b"alice")
    opened(mail)
    ann = inside(mail)
    for do in (b"create", b"change", b"invite", b"remove", b"appoint", b"x"):
        answer = reason(ann.write(room(b"#open", do, member=b"alice", role=b"owner", topic=b"t")))
        assert answer == "a guest can join and leave rooms, and list their members"
    for header in (b"edits", b"deletes", b"pins", b"reacts_to", b"file", b"forwards"):
        answer = told(ann.write(message(b"#open", b"x", b"m" + header, **{header.decode(): b"alice a1"})))
        assert answer[0][:2] == ("ERROR", 102)
    assert told(ann.write(frame(Verb.HISTORY, b"#open")))[0][:2] == ("ERROR", 103)


def test_who_is_there() -> None:
    mail = Mail(b"alice", b"bob")
    alice = opened(mail)
    ann = inside(mail)
    alice.read()
    expected = [("alice", "owner"), ("ann", "guest")]
    for line in (ann, alice):
        found = objects(line.write(room(b"#open", b"members")))
        assert [(each["name"], each["role"]) for each in found] == expected
    bob = mail.device(b"bob", window=64)
    bob.write(room(b"#open", b"create"))  # bob knows the public room, so that is refused
    assert [each["name"] for each in objects(bob.write(room(b"#open", b"members")))] == ["alice", "ann"]


def test_a_private_room_of_the_same_name_has_no_guests() -> None:
    mail = Mail(b"alice", b"bob")
    bob = mail.device(b"bob", window=64)
    bob.write(room(b"#open", b"create"))
    opened(mail)
    ann = inside(mail)
    bob.read()
    assert [each["name"] for each in objects(bob.write(room(b"#open", b"members")))] == ["bob"]
    bob.write(room(b"#open", b"remove", member=b"ann"))
    assert events(ann.read()) == []
    assert shown(ann.write(room(b"#open")))[b"role"] == b"guest"


def test_moderators_put_guests_out_for_an_hour() -> None:
    mail = Mail(b"alice", b"bob")
    alice = opened(mail)
    bob = mail.device(b"bob", window=64)
    bob.write(room(b"#open", b"join"))
    ann, ben = inside(mail), inside(mail, b"ben")
    for line in (alice, bob, ann, ben):
        line.read()
    assert reason(bob.write(room(b"#open", b"remove", member=b"Ann"))) == "only moderators may do that"
    answer, *rest = alice.write(room(b"#open", b"remove", member=b"Ann"))
    assert shown([answer])[b"role"] == b"owner"
    out = ("#open", "ann", "removed", "alice has put you out")
    assert events(rest) == [out]
    assert events(ann.read()) == [out]
    assert events(ben.read()) == [out]
    assert events(bob.read()) == [], "bob's device has not asked"
    assert reason(ann.write(room(b"#open", b"join"))).startswith("a guest from your address was put out of #open")
    mail.advance(3600)
    assert shown(ann.write(room(b"#open", b"join")))[b"role"] == b"guest"
    alice.read()
    assert reason(alice.write(room(b"#open", b"remove", member=b"nat"))) == "there is no such member"


def test_a_guest_whose_connection_ends_leaves() -> None:
    mail = Mail(b"alice")
    alice = opened(mail)
    ann = inside(mail)
    alice.read()
    ann.cut()
    assert events(alice.read()) == [("#open", "ann", "left", "")]
    assert [each["name"] for each in objects(alice.write(room(b"#open", b"members")))] == ["alice"]
    assert shown(mail.guest(b"ann").write(room(b"#open")))[b"role"] == b"none"


def test_a_guest_is_gone_before_it_is_in() -> None:
    mail = Mail(b"alice")
    alice = opened(mail)
    ann = mail.guest(b"ann")
    ann.begin(room(b"#open", b"join"))
    ann.cut()
    assert [each["name"] for each in objects(alice.write(room(b"#open", b"members")))] == ["alice"]


def test_a_guest_that_does_not_read_gets_the_rest_later() -> None:
    mail = Mail(b"alice")
    alice = opened(mail)
    ann, ben = inside(mail), inside(mail, b"ben")
    ann.read()
    mail.exchange.clogged(ann.connection)
    for number in range(150):
        alice.write(message(b"#open", b"%d" % number, b"a%d" % number))
    assert ann.read() == []
    assert len(said(ben.read())) == 150
    mail.exchange.flowing(ann.connection)
    mail.settle()
    assert [body for *_, body in said(ann.read())] == [str(number) for number in range(150)]


def test_a_guest_that_reads_again_while_the_store_is_asked_for_others_misses_nothing() -> None:
    mail = Mail(b"alice")
    alice = opened(mail)
    ann, ben = inside(mail), inside(mail, b"ben")
    ann.read()
    mail.exchange.clogged(ann.connection)
    alice.write(message(b"#open", b"one", b"a1"))
    assert ann.read() == []

    def answer(request: FetchRoom) -> RoomPart:
        mail.answers.clear()
        mail.exchange.flowing(ann.connection)
        return mail.store.ask(request)

    mail.answers[FetchRoom] = answer
    alice.write(message(b"#open", b"two", b"a2"))
    for guest in (ann, ben):
        assert [body for *_, body in said(guest.read())] == ["one", "two"]


def test_a_store_that_fails_is_asked_again() -> None:
    mail = Mail(b"alice")
    alice = opened(mail)
    ann = inside(mail)
    mail.answers[FetchRoom] = lambda _: StoreError("the disk is full")
    alice.write(message(b"#open", b"hello", b"a1"))
    assert ann.read() == []
    mail.answers.clear()
    mail.advance(0.25)
    assert said(ann.read()) == [("alice", 2, "hello")]


def test_what_another_process_has_changed_is_noticed() -> None:
    """The operator's commands do not go through the exchange."""
    mail = Mail(b"alice")
    opened(mail)
    ann = inside(mail)
    other = Mail(store=mail.store)
    other.members = mail.members
    other.device(b"alice", b"other").write(room(b"#open", b"change", guests=b"no"))
    mail.exchange.members_changed()
    mail.advance(0.25)
    assert [each[2] for each in events(ann.read())] == ["removed"]


def test_limits_of_guests_and_rooms() -> None:
    """Rule 12.15."""
    mail = Mail(b"alice")
    alice = opened(mail)
    names = [b"#r%d" % number for number in range(20)]
    for name in names:
        alice.write(room(name, b"create", access=b"public", guests=b"yes"))
    ann = inside(mail)
    answers = [ann.write(room(name, b"join")) for name in names]
    assert [shown(answer)[b"role"] for answer in answers[:19]] == [b"guest"] * 19
    assert reason(answers[19]) == "you are in too many rooms; a guest is in at most 20"
    assert shown(ann.write(room(b"#open", b"join")))[b"role"] == b"guest", "it is there already"
    for number in range(199):
        inside(mail, b"g%d" % number)
    cat = mail.guest(b"cat")
    assert reason(cat.write(room(b"#open", b"join"))) == "the room is full; it has at most 200 guests"


def test_questions_of_guests_count_for_their_address() -> None:
    """Rule 8.8."""
    mail = Mail(b"alice", limits=Limits(requests_address=2))
    ann = mail.guest(b"ann")
    for question in (frame(Verb.ROOMS), room(b"#open")):
        assert ann.write(question)[0][0].code != 105
    ((head, _),) = ann.write(frame(Verb.ROOMS, id=b"q1"))
    assert (head.code, head.headers[b"id"]) == (105, b"q1")
    assert b"retry-after" in head.headers


def test_the_store_cannot_answer_a_guest() -> None:
    mail = Mail(b"alice")
    opened(mail)
    ann = inside(mail)
    for request in (FindGuestRoom, ListGuestRoomMembers, ListGuestRooms):
        mail.answers[request] = lambda _: StoreError("the disk is full")
    for question in (room(b"#open"), room(b"#open", b"members"), frame(Verb.ROOMS), room(b"#open", b"join")):
        assert reason(ann.write(question)) == "the disk is full"


def test_a_classic_guest_cannot_be_in_a_room() -> None:
    mail = Mail(b"alice")
    opened(mail)
    sending, _ = mail.classic(b"ann", reasons=True)
    assert "rooms are for members" in str(told(sending.write(b"SEND #open\nContent-length: 1\n\nx"))[0][-1])
