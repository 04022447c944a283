"""How much users have stored (docs/protocol.md, rule 8.5)."""

from hashlib import sha256

from tests.exchange.mail import Line, Mail, message, told
from twotick.exchange import Limits
from twotick.store import PIECE
from twotick.wire import Frame, Side, Verb, frame, register, send

LIMITS = Limits(sent_bytes_member=4096, sent_bytes_address=16384)


def verbs(frames: list[Frame]) -> list[object]:
    return [line[0] if line[0] != "ERROR" else line[1] for line in told(frames)]


def sends(line: Line, *identifiers: bytes, size: int = 1000, to: bytes = b"bob") -> list[object]:
    """How messages are answered."""
    return verbs(line.write(b"".join(message(to, bytes(size), identifier) for identifier in identifiers)))


def test_a_member_who_has_much_stored_waits_and_then_goes_on() -> None:
    mail = Mail(b"alice", b"bob", b"carol", limits=LIMITS)
    alice = mail.sender(b"alice")
    assert sends(alice, b"m1", b"m2", b"m3", b"m4") == ["ACCEPTED"] * 4
    ((head, _),) = alice.write(message(b"bob", b"", b"m5"))
    assert (head.code, head.headers[b"id"]) == (105, b"m5")
    seconds = int(head.headers[b"retry-after"])
    assert head.headers[b"reason"] == b"the server has stored much of this user or address: try again in %d s" % seconds
    assert sends(mail.sender(b"alice"), b"m5") == [105], "on other connections, too"
    assert sends(mail.sender(b"carol"), b"c1") == ["ACCEPTED"]
    mail.advance(seconds - 1)
    assert sends(alice, b"m5") == [105]
    mail.advance(1)
    assert sends(alice, b"m5", size=1) == ["ACCEPTED"]


def test_members_of_rooms_count() -> None:
    mail = Mail(b"alice", b"bob", b"carol", limits=Limits(sent_bytes_member=1024))
    alice = mail.device(b"alice", window=99)
    alice.write(frame(Verb.ROOM, b"#team", do=b"create", access=b"public"))
    for name in (b"bob", b"carol"):
        mail.device(name, window=99).write(frame(Verb.ROOM, b"#team", do=b"join"))
    alice.read()
    answers = [sends(alice, b"m%d" % number, size=0, to=b"#team")[:1] for number in range(3)]
    assert answers == [["ACCEPTED"], ["ACCEPTED"], [105]], "256 bytes each, and 128 for each of two members"


def test_users_of_one_address_share_a_limit_and_others_have_their_own() -> None:
    mail = Mail(b"alice", b"bob", limits=Limits(sent_bytes_member=1 << 20, sent_bytes_address=4096))
    mail.device(b"bob")
    dan = mail.guest(b"dan")
    assert sends(dan, b"m1", b"m2", b"m3", b"m4") == ["ACCEPTED"] * 4
    assert sends(dan, b"m5") == sends(mail.guest(b"eve"), b"e1") == sends(mail.sender(b"alice"), b"a1") == [105]
    classic, _ = mail.classic(b"fay")
    assert verbs(classic.write(send(b"bob", b"x"))) == [102]
    elsewhere = Line(mail, "192.0.2.7")
    elsewhere.write(register(Side.SENDING, b"alice", authorization=b"alice"))
    assert sends(elsewhere, b"a1") == ["ACCEPTED"]


def test_uploads_have_limits_of_their_own() -> None:
    """Rule 16.6."""
    limits = Limits(uploaded_bytes_member=2 * PIECE, uploaded_bytes_address=3 * PIECE, sent_bytes_member=4096)
    mail = Mail(b"alice", b"bob", b"carol", limits=limits)
    content = bytes(4 * PIECE)

    def announce(line: Line) -> bytes:
        digest = sha256(content).hexdigest().encode()
        lines = b"Name: x\nSize: %d\nHash: %b\n" % (len(content), digest)
        ((head, _),) = line.write(frame(Verb.FILE, b"", None, lines, id=b"f1"))
        return head.name

    def put(line: Line, key: bytes, number: int) -> Frame:
        piece = frame(Verb.PIECE, key, content[:PIECE], b"", id=b"p%d" % number, offset=number * PIECE)
        (answer,) = line.write(piece)
        return answer

    alice, bob, elsewhere = mail.sender(b"alice"), mail.sender(b"bob"), Line(mail, "192.0.2.7")
    elsewhere.write(register(Side.SENDING, b"carol", authorization=b"carol"))
    key = announce(alice)
    assert [put(alice, key, 0)[0].verb, put(alice, key, 3)[0].headers[b"have"]] == [Verb.PIECE, b"%d" % PIECE]
    assert put(alice, key, 1)[0].headers[b"have"] == b"%d" % (2 * PIECE), "what is not stored does not count"
    head, _ = put(alice, key, 2)
    assert (head.code, head.headers[b"id"]) == (105, b"p2")
    seconds = int(head.headers[b"retry-after"])
    assert head.headers[b"reason"] == b"this user or address has uploaded much: try again in %d s" % seconds
    assert sends(alice, b"m1") == ["ACCEPTED"], "messages are counted apart"
    others = announce(bob)
    assert put(bob, others, 0)[0].verb is Verb.PIECE
    assert put(bob, others, 1)[0].code == 105, "for the address"
    assert put(elsewhere, announce(elsewhere), 0)[0].verb is Verb.PIECE
    for _ in range(seconds):
        mail.advance(1)
    assert put(alice, key, 2)[0].headers[b"have"] == b"%d" % (3 * PIECE)


def test_nobody_is_remembered_for_ever() -> None:
    mail = Mail(b"alice", b"bob", limits=LIMITS)
    alice = mail.sender(b"alice")
    for number in range(100):
        assert sends(alice, b"m%d" % number)
    for _ in range(300):
        mail.advance(1)
    assert sends(alice, b"n1", b"n2", b"n3", b"n4") == ["ACCEPTED"] * 4


def test_searches_rooms_and_reports_count_and_the_operator_sees_who_met_a_limit() -> None:
    mail = Mail(b"alice", b"bob", limits=Limits(requests_member=3, requests_address=5))
    alice, bob = mail.device(b"alice"), mail.device(b"bob")
    asked = [frame(Verb.SEARCH, b"", b"word", b"", id=b"s1"), frame(Verb.ROOM, b"#one", do=b"create", id=b"r1")]
    asked.append(frame(Verb.REPORT, b"bob", b"spam", b"", id=b"p1"))
    for each in asked:
        assert 105 not in verbs(alice.write(each))
    ((head, _),) = alice.write(frame(Verb.ROOM, b"#two", do=b"create", id=b"r2"))
    seconds = int(head.headers[b"retry-after"])
    assert (head.code, head.headers[b"id"]) == (105, b"r2")
    assert head.headers[b"reason"] == b"this user or address has asked much: try again in %d s" % seconds
    assert verbs(alice.write(frame(Verb.ROOMS, id=b"q")))[:1] == ["ROOMS"], "which costs little"
    assert [verbs(bob.write(each))[0] for each in (asked[0], asked[1], asked[2])][2] == 105, "they share an address"
    assert set(mail.exchange.tally.met) == {("alice", "requests"), ("bob", "requests")}
    mail.advance(seconds)
    assert "ROOM" in verbs(alice.write(frame(Verb.ROOM, b"#two", do=b"create", id=b"r2")))


def test_what_the_operator_sees_of_limits_is_bounded() -> None:
    tally = Mail(b"alice").exchange.tally
    for number in range(300):
        tally.note_met(b"member%d" % number, "sent_bytes")
    tally.note_met(b"member250", "sent_bytes")
    assert len(tally.met) == 200
    assert ("member0", "sent_bytes") not in tally.met
    assert tally.met["member250", "sent_bytes"][0] == 2
