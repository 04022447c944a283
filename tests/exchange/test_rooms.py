"""Rooms through the exchange and a real store (docs/protocol.md, section 12)."""

import pytest

from tests.exchange.mail import Line, Mail, message, objects, reason, taken, told
from twotick.store import Acknowledge, Effects, ListRooms, Progress, RoomDescription, RoomRole
from twotick.wire import Frame, Verb, frame, received, send


def room(name: bytes = b"#team", do: bytes | None = None, **headers: bytes | int | None) -> bytes:
    """A question about a room."""
    return frame(Verb.ROOM, name, None, b"", do=do, **headers)


def shown(frames: list[Frame]) -> dict[bytes, bytes]:
    """The room as it is answered by the only frame, without the Id."""
    ((head, _),) = frames
    assert head.verb is Verb.ROOM, (head.code, head.headers)
    return {name: value for name, value in head.headers.items() if name != b"id"}


def news(frames: list[Frame]) -> list[tuple[str, ...]]:
    """The events and messages of rooms in short: who, in which room, the event or the body."""
    return [
        (head.name.decode(), head.headers[b"to"].decode(), head.headers.get(b"event", body).decode())
        for head, body in frames
        if head.verb is Verb.FORWARD
    ]


def meet(mail: Mail, *names: bytes) -> list[Line]:
    """A device of each of these, who are in the public room #team, which the first one has made; they have all news."""
    lines = [mail.device(name, window=64) for name in names]
    for line, do in zip(lines, [b"create", *[b"join"] * len(names)], strict=False):
        line.got = line.write(room(do=do, access=b"public" if do == b"create" else None))
    for line in lines:
        line.write(taken(int(line.read()[-1][0].headers[b"seq"])))
    return lines


def test_a_message_goes_to_all_others_in_a_room_and_the_sender_is_told_how_many_have_it() -> None:
    """Rules 12.5 and 12.6."""
    mail = Mail(b"alice", b"bob", b"carol")
    alice, bob, carol = meet(mail, b"alice", b"bob", b"carol")
    ((accepted, _),) = alice.write(message(b"#Team", b"hello", b"m1"))
    assert (accepted.verb, accepted.name) == (Verb.ACCEPTED, b"#Team")
    assert accepted.headers == {b"id": b"m1", b"seq": b"4", b"place": b"4", b"members": b"2"}
    ((head, body),) = bob.read()
    assert (head.name, body, list(head.headers)[:5]) == (
        b"alice",
        b"hello",
        [b"content-length", b"to", b"place", b"id", b"seq"],
    )
    assert (head.headers[b"to"], head.headers[b"place"], head.headers[b"seq"]) == (b"#team", b"4", b"3")
    bob.write(taken(3))
    assert alice.read() == []
    mail.advance(0.25)
    ((head, _),) = alice.read()
    assert (head.verb, head.name) == (Verb.SENT, b"#Team")
    assert head.headers == {b"id": b"m1", b"have": b"1", b"of": b"2"}
    mail.advance(0.25)
    assert alice.read() == []
    carol.write(taken(2))
    assert told(alice.read()) == [("SEND", "#Team", "m1", 5)]
    mail.advance(0.25)
    assert alice.read() == []


def test_the_last_answer_leaves_nothing_to_tell_in_between() -> None:
    """Rule 12.6: what all have is told once, as an entry."""
    mail = Mail(b"alice", b"bob", b"carol")
    alice, bob, carol = meet(mail, b"alice", b"bob", b"carol")
    alice.write(message(b"#team", b"hello", b"m1"))
    bob.write(taken(3))
    carol.write(taken(2))
    mail.advance(0.25)
    assert [(head.verb, head.headers) for head, _ in alice.read()] == [(Verb.SENT, {b"id": b"m1", b"seq": b"5"})]


def test_a_connection_that_only_sends_is_told_of_its_own_messages() -> None:
    """Rules 9.1 and 12.6."""
    mail = Mail(b"alice", b"bob", b"carol")
    _, bob, carol = meet(mail, b"alice", b"bob", b"carol")
    one, two = mail.sender(b"alice"), mail.sender(b"alice")
    ((accepted, _),) = one.write(message(b"#team", b"hello", b"m1"))
    assert accepted.headers == {b"id": b"m1", b"place": b"4", b"members": b"2"}
    bob.write(taken(3))
    mail.advance(0.25)
    assert [head.headers for head, _ in one.read()] == [{b"id": b"m1", b"have": b"1", b"of": b"2"}]
    carol.write(taken(2))
    assert [head.headers for head, _ in one.read()] == [{b"id": b"m1"}]
    assert two.read() == []


def test_what_is_told_in_between_is_bounded() -> None:
    """Rule 12.6: a sender that does not read is told nothing, and there is a limit to how many messages are told of."""
    mail = Mail(b"alice", b"bob")
    alice, bob = meet(mail, b"alice", b"bob")
    member = mail.members[b"alice"].number

    def progress(_: Acknowledge) -> Effects:
        outcome = Effects()
        outcome.progress = [Progress(member, message, b"#team", b"m%d" % message, 1, 3) for message in range(5000)]
        return outcome

    alice.write(message(b"#team", b"one", b"m1") + message(b"#team", b"two", b"m2"))
    mail.answers[Acknowledge] = progress
    first, second = (int(head.headers[b"seq"]) for head, _ in bob.read())
    bob.write(taken(first))
    alice.read()
    mail.advance(0.25)
    assert len(alice.read()) == 4096
    mail.exchange.clogged(alice.connection)
    bob.write(taken(second))
    mail.advance(0.25)
    mail.exchange.flowing(alice.connection)
    mail.advance(0.25)
    assert alice.read() == []


def test_other_devices_of_the_sender_get_a_copy() -> None:
    """Rule 11.1."""
    mail = Mail(b"alice", b"bob")
    alice, _ = meet(mail, b"alice", b"bob")
    other = mail.device(b"alice", b"other", 9)
    alice.write(message(b"#team", b"hello", b"m1"))
    ((copy, body),) = other.read()
    assert (copy.name, body) == (b"alice", b"hello")
    assert [(name, copy.headers[name]) for name in (b"to", b"place", b"id")] == [
        (b"to", b"#team"),
        (b"place", b"3"),
        (b"id", b"m1"),
    ]


def test_to_oneself_alone_a_message_is_there_at_once() -> None:
    """Rule 12.6."""
    mail = Mail(b"alice")
    (alice,) = meet(mail, b"alice")
    got = told(alice.write(message(b"#team", b"hello?", b"m1")))
    assert got == [("ACCEPTED", "#team", "m1", 2), ("SEND", "#team", "m1", 3)]


@pytest.mark.parametrize("name", [b"#team", b"#nowhere", b"#", b"#a+b", b"#" + b"x" * 33])
def test_who_is_not_in_a_room_cannot_send_to_it(name: bytes) -> None:
    """Rule 12.1."""
    mail = Mail(b"alice", b"bob")
    meet(mail, b"alice")
    assert reason(mail.device(b"bob").write(message(name, b"hi", b"m1")))
    assert reason(mail.guest(b"ann").write(message(name, b"hi", b"m1"))) == f"you are not in {name.decode()}"
    sending, _ = mail.classic(b"gus")
    assert told(sending.write(send(name, b"hi"))) == [("ERROR", 102, "", 0)]


def test_the_same_id_again_is_the_same_message() -> None:
    """Rule 11.7."""
    mail = Mail(b"alice", b"bob")
    alice, bob = meet(mail, b"alice", b"bob")
    ((first, _),) = alice.write(message(b"#team", b"hello", b"m1"))
    ((again, _),) = alice.write(message(b"#team", b"hello", b"m1"))
    assert (again.verb, again.name) == (first.verb, first.name) == (Verb.ACCEPTED, b"#team")
    assert again.headers == {name: first.headers[name] for name in (b"id", b"seq", b"place")}
    assert [body for _, body in bob.read()] == [b"hello"]


def test_a_room_is_made_found_joined_changed_and_left() -> None:
    """Rules 12.2, 12.3 and 12.8."""
    mail = Mail(b"alice", b"bob")
    alice, bob = mail.device(b"alice", window=64), mail.device(b"bob", window=64)
    question = room(do=b"create", access=b"public", topic="wir fünf".encode(), id=b"q1")
    (answer, _), event = alice.write(question)
    assert list(answer.headers.items()) == [
        (b"id", b"q1"),
        (b"access", b"public"),
        (b"role", b"owner"),
        (b"members", b"1"),
        (b"topic", "wir fünf".encode()),
    ]
    assert news([event]) == [("alice", "#team", "created")]
    found = {"name": "#team", "access": "public", "role": "none", "members": 1, "topic": "wir fünf", "invited": False}
    assert objects(bob.write(frame(Verb.ROOMS))) == [found]
    assert shown(bob.write(room(b"#TEAM")))[b"role"] == b"none"
    (answer, _), event = bob.write(room(b"#TEAM", b"join"))
    assert (answer.name, answer.headers[b"role"], answer.headers[b"members"]) == (b"#TEAM", b"member", b"2")
    assert news([event]) == news(alice.read()) == [("bob", "#team", "joined")]
    _, (event, _) = alice.write(room(do=b"change", topic=b"", access=b"private"))
    assert (event.headers[b"event"], event.headers[b"topic"], event.headers[b"access"]) == (b"changed", b"", b"private")
    bob.read()
    assert [(each["name"], each["role"]) for each in objects(bob.write(room(do=b"members")))] == [
        ("alice", "owner"),
        ("bob", "member"),
    ]
    alice.write(room(do=b"appoint", member=b"Bob", role=b"owner"))
    assert news(bob.read()) == [("alice", "#team", "appointed")]
    assert shown(alice.write(room(do=b"leave"))[:1])[b"role"] == b"none"
    assert news(bob.read()) == [("alice", "#team", "left")]
    assert reason(alice.write(room())) == "there is no such room"


def test_an_invitation_is_told_to_the_invited_alone() -> None:
    """Rule 12.8."""
    mail = Mail(b"alice", b"bob", b"carol")
    alice, bob = mail.device(b"alice", window=64), mail.device(b"bob", window=64)
    alice.write(room(do=b"create"))
    assert reason(bob.write(room(do=b"join"))) == "there is no such room"
    assert shown(alice.write(room(do=b"invite", member=b"bob")))[b"members"] == b"1"
    ((head, body),) = bob.read()
    assert (head.name, body) == (b"alice", b"")
    invited = {name: head.headers[name] for name in (b"event", b"room", b"member")}
    assert invited == {b"event": b"invited", b"room": b"#team", b"member": b"bob"}
    assert not head.headers.keys() & {b"to", b"place", b"id"}
    assert shown(bob.write(room(do=b"join"))[:1])[b"role"] == b"member"
    alice.read()
    alice.write(room(do=b"remove", member=b"bob"))
    assert news(bob.read()) == [("alice", "#team", "removed")]
    assert reason(bob.write(message(b"#team", b"hi", b"m1")))


@pytest.mark.parametrize(
    ("question", "why"),
    [
        (room(do=b"dance"), "Do is create, join, leave, change, invite, remove, appoint or members"),
        (room(do=b"create", access=b"secret"), "Access is public or private"),
        (room(do=b"create", topic=b"\xff"), "Topic is not UTF-8"),
        (room(do=b"change", topic=b"x" * 251), "a topic has at most 250 bytes"),
        (room(do=b"change", topic=b"a\x00b"), "a topic has no control characters"),
        (room(b"#a b", b"create"), "the name of a room is # and 1 to 32 of the characters A-Z a-z 0-9 - _"),
        (room(b"#\xff", b"create"), "the name of a room is # and 1 to 32 of the characters A-Z a-z 0-9 - _"),
        (room(b"team", b"create"), "the name of a room is # and 1 to 32 of the characters A-Z a-z 0-9 - _"),
        (room(b"", b"create"), "the name of a room is # and 1 to 32 of the characters A-Z a-z 0-9 - _"),
        (room(b"#" + b"x" * 33, b"create"), "the name of a room is # and 1 to 32 of the characters A-Z a-z 0-9 - _"),
        (room(do=b"invite"), "Member is missing"),
        (room(do=b"remove"), "Member is missing"),
        (room(do=b"remove", member=b"\xff"), "there is no such member"),
        (room(do=b"appoint", member=b"bob"), "Role is missing"),
        (room(do=b"appoint", member=b"bob", role=b"king"), "Role is member, moderator or owner"),
        (frame(Verb.RECEIPTS, b"#team"), "Id is missing"),
    ],
)
def test_questions_that_make_no_sense_are_answered_why(question: bytes, why: str) -> None:
    """Rule 12.2: with 102, and the connection stays."""
    mail = Mail(b"alice")
    (alice,) = meet(mail, b"alice")
    assert reason(alice.write(question)) == why
    assert shown(alice.write(room()))[b"role"] == b"owner"


def test_an_error_repeats_the_id_of_the_question() -> None:
    """Rule 12.2."""
    ((head, _),) = Mail(b"alice").device(b"alice").write(room(id=b"q7"))
    assert (head.code, head.headers) == (102, {b"id": b"q7", b"reason": b"there is no such room"})


def test_receipts_say_who_has_a_message() -> None:
    """Rules 12.7 and 12.9."""
    mail = Mail(b"alice", b"bob", b"carol", b"dave")
    alice, bob, carol, _ = meet(mail, b"alice", b"bob", b"carol", b"dave")
    alice.write(message(b"#team", b"hello", b"m1"))
    bob.write(taken(4))
    carol.write(frame(Verb.READ, b"#team", seq=3))
    alice.read()
    ((head, _),) = answer = alice.write(frame(Verb.RECEIPTS, b"#team", id=b"m1"))
    assert (head.name, head.headers[b"id"]) == (b"#team", b"m1")
    assert objects(answer) == [
        {"name": "bob", "state": "delivered"},
        {"name": "carol", "state": "read"},
        {"name": "dave", "state": "accepted"},
    ]


def test_reading_a_room_is_told_to_ones_own_devices_alone() -> None:
    """Rule 12.9."""
    mail = Mail(b"alice", b"bob")
    alice, bob = meet(mail, b"alice", b"bob")
    other = mail.device(b"bob", b"other", 9)
    alice.write(message(b"#team", b"hello", b"m1"))
    seq = int(bob.read()[0][0].headers[b"seq"])
    bob.write(taken(seq) + frame(Verb.READ, b"#team", seq=seq))
    _, (read, _) = other.read()
    assert (read.verb, read.name, read.headers[b"up-to"]) == (Verb.READ, b"#team", b"%d" % seq)
    assert [line[0] for line in told(alice.read())] == ["SEND"]


def test_the_history_of_a_room_has_places_and_no_numbers() -> None:
    """Rule 12.10."""
    mail = Mail(b"alice", b"bob", b"carol")
    alice, _ = meet(mail, b"alice", b"bob")
    alice.write(b"".join(message(b"#team", b"%d" % number, b"m%d" % number) for number in range(4)))
    carol = mail.device(b"carol", window=64)
    assert told(carol.write(frame(Verb.HISTORY, b"#team"))) == [("HISTORY", "#team", "", 0)]
    carol.write(room(do=b"join"))
    *found, (end, _) = carol.write(frame(Verb.HISTORY, b"#Team", id=b"h1", limit=3, before=6))
    assert (end.name, end.headers) == (b"#Team", {b"id": b"h1", b"count": b"3"})
    assert [(head.headers[b"place"], body) for head, body in found] == [(b"3", b"0"), (b"4", b"1"), (b"5", b"2")]
    for head, _ in found:
        assert (head.name, head.headers[b"to"], head.headers[b"history"]) == (b"alice", b"#team", b"h1")
        assert b"seq" not in head.headers
    alice.read()
    *own, _ = alice.write(frame(Verb.HISTORY, b"#team", limit=2))
    assert [(head.headers[b"to"], head.headers.get(b"state")) for head, _ in own] == [
        (b"#team", b"accepted"),
        (b"#team", None),  # carol has joined
    ]


def test_a_list_has_so_many_objects_and_bytes_at_most() -> None:
    """Rule 12.3: however many rooms there are."""
    mail = Mail(b"alice")
    rooms = [RoomDescription(f"#r{number}", True, "t", 1, RoomRole.NONE, False) for number in range(5000)]
    mail.answers[ListRooms] = lambda _: rooms
    alice = mail.device(b"alice")
    found = objects(alice.write(frame(Verb.ROOMS)))
    assert [each["name"] for each in found] == [each.name for each in rooms[:2000]]
    long = [RoomDescription(f"#r{number}", True, "ü" * 1000, 1, RoomRole.NONE, False) for number in range(5000)]
    mail.answers[ListRooms] = lambda _: long
    ((head, body),) = answer = alice.write(frame(Verb.ROOMS))
    assert 1 << 19 < len(body) <= 1 << 20
    assert [each["name"] for each in objects(answer)] == [each.name for each in long[: len(objects(answer))]]
    assert head.size == len(body)


@pytest.mark.parametrize("verb", ["RECEIPTS #team\nId: m", "STATUS", "TYPING bob", "SEARCH"])
def test_only_members_may_ask(verb: str) -> None:
    """Rule 12.2: guests are answered 103. A connection that only sends asks what a device asks, but tells nothing."""
    question = verb.encode() + b"\n\n"
    mail = Mail(b"alice")
    guest, sender = mail.guest(b"ann"), mail.sender(b"alice")
    assert told(guest.write(question))[0][:2] == ("ERROR", 103)
    assert guest.closed
    refused = told(sender.write(question))[0][:2] == ("ERROR", 103)
    assert refused is sender.closed is verb.startswith("TYPING")
    for line in mail.classic(b"gus"):
        assert told(line.write(question)) in ([("ERROR", 103, "", 0)], [])
    assert told(mail.line().write(question)) == [("ERROR", 101, "", 0)]


def test_classic_connections_see_nothing_of_rooms() -> None:
    """Section 9: also not of what members do there who write to them."""
    mail = Mail(b"alice", b"bob")
    alice, _ = meet(mail, b"alice", b"bob")
    sending, receiving = mail.classic(b"gus")
    alice.write(message(b"#team", b"hello", b"m1") + message(b"gus", b"hi", b"m2"))
    ((head, body),) = receiving.read()
    assert (head.headers, body) == ({b"content-length": b"2"}, b"hi")
    receiving.write(received(b"alice"))
    assert sending.read() == []
