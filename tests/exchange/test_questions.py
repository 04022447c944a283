"""Questions about conversations, files and reports through the exchange (docs/protocol.md, sections 14, 16 and 17).

Where the store in memory has no answer, or takes no files, the test has one.
"""

import pytest

from tests.exchange.mail import Line, Mail, message, objects, reason, taken, told
from twotick.exchange import Limits
from twotick.store import (
    PIECE,
    AddReport,
    EntryKind,
    FileOffer,
    History,
    LogEntry,
    MessageState,
    OfferFile,
    ReadPiece,
    Refusal,
    RemoveMember,
    SearchMessages,
    SearchPage,
    StoreError,
    WritePiece,
)
from twotick.wire import Frame, Verb, error, frame

HASH = b"0123456789abcdefABCDEF" + b"0" * 42
FILE = frame(Verb.FILE, b"", None, b"Name: p.png\n", id=b"f1", size=150_000, hash=HASH)


def test_conversations_are_counted_and_set() -> None:
    """Rules 14.1 to 14.3."""
    mail = Mail(b"alice", b"bob")
    alice, bob = mail.device(b"alice", window=64), mail.device(b"bob", window=64)
    other = mail.device(b"alice", b"other", 64)
    bob.write(message(b"alice", b"one", b"b1") + message(b"alice", b"two", b"b2"))
    assert [line[3] for line in told(alice.read())] == [1, 2]
    bob.write(b"ROOM #team\nDo: create\nAccess: public\n\n")
    alice.write(b"ROOM #team\nDo: join\n\n")
    bob.write(message(b"#team", b"ask @Alice", b"b3"))
    alice.read()
    alice.write(frame(Verb.READ, b"bob", seq=1))
    room, direct = objects(alice.write(frame(Verb.CONVERSATIONS)))
    assert (room["name"], room["unread"], room["mentions"], room["role"]) == ("#team", 1, 1, "member")
    assert direct == {
        "name": "bob",
        "unread": 1,
        "mentions": 0,
        "read": 1,
        "newest": 2,
        "muted": False,
        "blocked": False,
    }
    other.read()
    (answer, _), (event, _) = alice.write(b"CONVERSATION bob\nMuted: yes\nId: c1\n\n")
    assert (answer.verb, answer.name) == (Verb.CONVERSATION, b"bob")
    assert answer.headers == {b"id": b"c1", b"muted": b"yes", b"blocked": b"no"}
    ((event_there, _),) = other.read()
    for head in (event, event_there):
        assert (head.name, head.headers[b"event"], head.headers[b"muted"]) == (b"alice", b"set", b"yes")
    ((answer, _),) = alice.write(b"CONVERSATION bob\n\n")
    assert answer.headers == {b"muted": b"yes", b"blocked": b"no"}
    assert reason(alice.write(b"CONVERSATION bob\nMuted: perhaps\n\n")) == "Muted is yes or no"
    assert reason(alice.write(b"CONVERSATION\nMuted: yes\n\n"))
    assert reason(alice.write(b"CONVERSATION a+b\nMuted: yes\n\n"))
    assert reason(alice.write(b"CONVERSATION #team\nBlocked: yes\n\n"))


def test_what_a_blocked_user_sends_is_accepted_and_does_not_arrive() -> None:
    """Rule 14.4."""
    mail = Mail(b"alice", b"bob")
    alice, bob = mail.device(b"alice", window=64), mail.device(b"bob", window=64)
    alice.write(b"CONVERSATION bob\nBlocked: yes\n\n")
    assert [line[0] for line in told(bob.write(message(b"alice", b"hi", b"b1")))] == ["ACCEPTED"]
    sending, _ = mail.classic(b"gus")
    alice.write(b"CONVERSATION gus\nBlocked: yes\n\n")
    assert told(sending.write(b"SEND alice\nContent-length: 2\n\nhi")) == [("ERROR", 102, "", 0)]
    alice.write(b"CONVERSATION bob\nBlocked: no\n\n")
    assert all(head.verb is not Verb.FORWARD or b"event" in head.headers for head, _ in alice.read())


def test_what_is_found_comes_as_history_does() -> None:
    """Rule 14.5."""
    mail = Mail(b"alice")
    entries = [
        LogEntry(
            1, 0, EntryKind.RECEIVED, 9, b"bob", id=b"b1", headers=b"X-a: b\n", body=b"red oats", room=b"#team", place=5
        ),
        LogEntry(
            1,
            7,
            EntryKind.SENT,
            8,
            b"bob",
            id=b"a1",
            headers=b"",
            body=b"oats",
            device=b"main",
            state=MessageState.READ,
        ),
    ]
    mail.answers[SearchMessages] = lambda _: SearchPage(entries, 5312)
    alice = mail.device(b"alice")
    question = frame(Verb.SEARCH, b"", b'red "wild oats"', b"In: #Team\n", id=b"s1", limit=500, before=77)
    (first, body), (second, _), (end, _) = alice.write(question)
    assert mail.asked[-1] == SearchMessages(
        mail.members[b"alice"].number, 'red "wild oats"', b"#team", 77, 100, 4 << 20, mail.now
    )
    assert (first.name, body) == (b"bob", b"red oats")
    assert list(first.headers) == [b"content-length", b"to", b"place", b"id", b"history", b"x-a"]
    assert (second.name, second.headers[b"to"], second.headers[b"seq"]) == (b"alice", b"bob", b"7")
    assert (end.verb, end.headers) == (Verb.SEARCH, {b"id": b"s1", b"count": b"2", b"before": b"5312"})
    mail.answers[SearchMessages] = lambda _: SearchPage([], 0)
    ((end, _),) = alice.write(frame(Verb.SEARCH, b"", b"oats"))
    assert mail.asked[-1] == SearchMessages(mail.members[b"alice"].number, "oats", b"", 0, 20, 4 << 20, mail.now)
    assert end.headers == {b"count": b"0"}


def with_much(mail: Mail) -> Line:
    """A device of alice, who has many messages of 10 KB: a HISTORY of them takes several requests to the store."""
    bob = mail.device(b"bob", window=64)
    for number in range(60):
        bob.write(message(b"alice", b"%d" % number + b"x" * 10_000, b"m%d" % number))
    return mail.device(b"alice", window=1)


def clog_at_history(mail: Mail, line: Line) -> None:
    """Let a connection take no more output from each request for a part of a history on."""

    def clog(request: History) -> object:
        mail.exchange.clogged(line.connection)
        return mail.store.apply([request])[0]

    mail.answers[History] = clog


def is_history(frames: list[Frame]) -> list[bytes]:
    """The Ids of the messages of an answer to HISTORY."""
    return [head.headers[b"id"] for head, _ in frames if head.headers.get(b"history")]


IDS = [b"m%d" % number for number in range(60)]


def test_a_long_answer_comes_as_the_connection_takes_it() -> None:
    """Rule 11.9: other requests come between its parts."""
    mail = Mail(b"alice", b"bob")
    alice = with_much(mail)
    mail.answers[History] = lambda request: mail.store.apply([request])[0]
    first = alice.write(frame(Verb.HISTORY, b"bob", id=b"h1", limit=1000))
    assert is_history(first) == IDS
    assert (first[-1][0].verb, first[-1][0].headers) == (Verb.HISTORY, {b"id": b"h1", b"count": b"60"})
    assert len(mail.asked) > 4, "no part has more than some 128 KiB"


def test_a_client_that_does_not_read_gets_no_more_of_an_answer() -> None:
    mail = Mail(b"alice", b"bob")
    alice = with_much(mail)

    clog_at_history(mail, alice)
    got = is_history(alice.write(frame(Verb.HISTORY, b"bob", id=b"h1", limit=1000)))
    parts = 1
    assert 0 < len(got) < len(IDS) // 3
    while len(got) < len(IDS):
        assert len(mail.asked) == parts
        assert alice.write(frame(Verb.DEVICES)) == [], "it waits for its turn"
        mail.exchange.flowing(alice.connection)
        mail.settle()
        got += is_history(alice.read())
        parts += 1
    mail.exchange.flowing(alice.connection)
    mail.settle()
    assert got == IDS
    assert [head.verb for head, _ in alice.read()][-1] is Verb.DEVICES


def test_the_rest_of_an_answer_goes_with_its_connection() -> None:
    mail = Mail(b"alice", b"bob")
    alice = with_much(mail)

    clog_at_history(mail, alice)
    alice.write(frame(Verb.HISTORY, b"bob", id=b"h1", limit=1000))
    alice.cut()
    mail.exchange.flowing(alice.connection)
    mail.settle()
    assert len(mail.asked) == 1


def test_an_answer_that_cannot_be_read_to_its_end_ends_with_an_error() -> None:
    mail = Mail(b"alice", b"bob")
    alice = with_much(mail)
    mail.answers[History] = lambda request: (
        StoreError("the disk is gone") if request.first else mail.store.apply([request])[0]
    )
    frames = alice.write(frame(Verb.HISTORY, b"bob", id=b"h1", limit=1000))
    assert 0 < len(is_history(frames)) < len(IDS) // 3
    assert reason(frames[-1:]) == "the disk is gone"
    mail.answers.clear()
    assert is_history(alice.write(frame(Verb.HISTORY, b"bob", limit=2))) == IDS[-2:]


def test_a_report_is_kept() -> None:
    """Rule 17.1."""
    mail = Mail(b"alice")
    mail.answers[AddReport] = lambda _: None
    alice = mail.device(b"alice")
    ((head, _),) = alice.write(frame(Verb.REPORT, b"Bob", b"spam \xff", b"About: m1\n", id=b"r1"))
    assert (head.verb, head.name, head.headers) == (Verb.REPORT, b"Bob", {b"id": b"r1"})
    assert mail.asked[-1] == AddReport(mail.members[b"alice"].number, b"Bob", b"m1", b"spam \xff", mail.now)
    mail.answers[AddReport] = lambda _: Refusal("too many")
    assert reason(alice.write(frame(Verb.REPORT, b"bob", b""))) == "too many"


@pytest.mark.parametrize("sends", [False, True])
def test_a_file_is_announced_sent_in_pieces_and_read(sends: bool) -> None:
    """Rules 16.1, 16.2 and 16.4: on either kind of connection of a member."""
    mail = Mail(b"alice")
    member = mail.members[b"alice"].number
    mail.answers[OfferFile] = lambda asked: FileOffer(asked.key, 7)
    line = mail.sender(b"alice") if sends else mail.device(b"alice")
    ((head, _),) = line.write(FILE)
    offer = mail.asked[-1]
    assert isinstance(offer, OfferFile)
    assert (offer.member, offer.id, offer.name, offer.size) == (member, b"f1", "p.png", 150_000)
    assert (offer.digest, len(offer.key)) == (bytes.fromhex(HASH.decode()), 32)
    assert (head.verb, head.name) == (Verb.FILE, offer.key)
    assert head.headers == {b"id": b"f1", b"have": b"7", b"piece": b"65536"}
    line.write(FILE)
    assert mail.asked[-1] != offer  # another key
    mail.answers[WritePiece] = lambda asked: FileOffer(asked.key, asked.offset + len(asked.data))
    ((head, _),) = line.write(frame(Verb.PIECE, b"k-1", b"\n\n\0" * 9, offset=5))
    assert (head.verb, head.name, head.headers) == (Verb.PIECE, b"k-1", {b"have": b"32"})
    assert mail.asked[-1] == WritePiece(member, b"k-1", 5, b"\n\n\0" * 9)
    line.write(frame(Verb.PIECE, b"k-1", b"", offset=5))
    assert mail.asked[-1] == WritePiece(member, b"k-1", 5, b"")
    mail.answers[ReadPiece] = lambda asked: b"x" * asked.length
    ((head, body),) = line.write(frame(Verb.PIECE, b"k-1", offset=9, length=3, id=b"p"))
    assert (head.name, body) == (b"k-1", b"xxx")
    assert head.headers == {b"content-length": b"3", b"id": b"p", b"offset": b"9"}
    assert mail.asked[-1] == ReadPiece(member, b"k-1", 9, 3, mail.now)
    for length in (b"Length: 999999999999999999\n", b""):
        line.write(frame(Verb.PIECE, b"k-1", None, length, offset=0))
        assert mail.asked[-1] == ReadPiece(member, b"k-1", 0, PIECE, mail.now)


def test_what_comes_after_a_piece_waits_for_the_answer() -> None:
    """Rules 10.8 and 16.1: so the server holds one piece of a connection at a time."""
    mail = Mail(b"alice", b"bob")
    line = mail.sender(b"alice")
    mail.answers[WritePiece] = lambda asked: FileOffer(asked.key, asked.offset + len(asked.data))
    pieces = b"".join(frame(Verb.PIECE, b"k", b"x" * 10, offset=offset) for offset in range(0, 50, 10))
    got = line.write(pieces + message(b"bob", b"hi", b"m1") + frame(Verb.PIECE, b"k", b"y", offset=50))
    answers = [(head.verb, head.headers.get(b"have")) for head, _ in got]
    assert answers == [
        *((Verb.PIECE, b"%d" % have) for have in range(10, 60, 10)),
        (Verb.ACCEPTED, None),
        (Verb.PIECE, b"51"),
    ]


def changed(old: bytes, new: bytes) -> bytes:
    """FILE with another header."""
    assert old in FILE
    return FILE.replace(old, new)


@pytest.mark.parametrize(
    ("question", "why"),
    [
        (changed(b"Id: f1\n", b""), "Id is missing"),
        (changed(b"Id: f1\n", b"Id: a+b\n"), "Id is 1 to 64 of the characters A-Z a-z 0-9 . _ -"),
        (changed(b"Name: p.png\n", b""), "Name is missing"),
        (changed(b"p.png", b"\xff\xfe"), "Name is not UTF-8"),
        (changed(b"Size: 150000\n", b""), "Size is missing"),
        (changed(b"150000", b"-1"), "Size is a number of at most 18 digits"),
        (changed(b"150000", b"1" * 19), "Size is a number of at most 18 digits"),
        (changed(b"150000", "²".encode()), "Size is a number of at most 18 digits"),
        (changed(b"150000", b""), "Size is a number of at most 18 digits"),
        (changed(b"Hash: " + HASH + b"\n", b""), "Hash is missing"),
        (changed(HASH, HASH[1:]), "Hash is 64 hexadecimal digits"),
        (changed(HASH, b"g" + HASH[1:]), "Hash is 64 hexadecimal digits"),
        (frame(Verb.PIECE, b"k"), "Offset is missing"),
        (frame(Verb.PIECE, b"k", offset=b"x"), "Offset is a number of at most 18 digits"),
        (frame(Verb.PIECE, b"k", offset=0, length=b"0x5"), "Length is a number of at most 18 digits"),
        (frame(Verb.PIECE, b"k", b"x", offset=b"+5"), "Offset is a number of at most 18 digits"),
        (frame(Verb.SEARCH, b"", b"\xff"), "what is searched for is not UTF-8"),
        (frame(Verb.SEARCH, b"", b"x", b"From: #team\n"), "From is the name of a user"),
        (frame(Verb.SEARCH, b"", b"x", b"From: \n"), "From is the name of a user"),
        (frame(Verb.SEARCH, b"", b"x", b"Has: link\n"), "Has is file"),
        (frame(Verb.SEARCH, b"", b"x", b"Until: soon\n"), "Until is a time such as 2026-11-22T09:30:00Z"),
        (frame(Verb.SEARCH, b"", b"x", b"Since: \n"), "Since is a time such as 2026-11-22T09:30:00Z"),
        (frame(Verb.SEARCH, b"", b"x", limit=b"many"), "Limit is a number of at most 18 digits, and at least 1"),
        (frame(Verb.SEARCH, b"", b"x", before=b"-"), "Before is a number of at most 18 digits, and at least 1"),
        (frame(Verb.HISTORY, limit=b"x"), "Limit is a number of at most 18 digits, and at least 1"),
        (frame(Verb.HISTORY, before=b"9" * 30), "Before is a number of at most 18 digits, and at least 1"),
        (frame(Verb.HISTORY, since=b"yesterday"), "Since is a time such as 2026-11-22T09:30:00Z"),
        (frame(Verb.HISTORY, since=b"\xff"), "Since is a time such as 2026-11-22T09:30:00Z"),
        (frame(Verb.REPORT, b"", b"spam"), "there is no such user"),
        (frame(Verb.REPORT, b"x" * 33, b"spam"), "there is no such user"),
        (frame(Verb.REPORT, b"bob", b"spam", about=b"a b"), "About is no Id"),
    ],
)
def test_questions_that_make_no_sense_are_answered_why(question: bytes, why: str) -> None:
    """Rule 12.2: with 102; the connection goes on, and the store is not asked."""
    mail = Mail(b"alice")
    alice = mail.device(b"alice")
    assert reason(alice.write(question)) == why
    assert objects(alice.write(frame(Verb.CONVERSATIONS))) == []


def test_a_server_with_short_bodies_takes_no_files() -> None:
    """Rule 16.5: a piece would not fit."""
    mail = Mail(b"alice", limits=Limits(max_body=65535))
    why = "this server takes no files: its Max-body is too small"
    assert reason(mail.device(b"alice").write(FILE)) == why


def test_a_store_that_fails_is_said_so() -> None:
    """Rule 12.2."""
    mail = Mail(b"alice")
    mail.answers[SearchMessages] = lambda _: StoreError("the disk is full")
    assert mail.device(b"alice").write(frame(Verb.SEARCH, b"", b"x", id=b"s"))[0][0].headers == {
        b"id": b"s",
        b"reason": b"the disk is full",
    }


def test_answers_to_questions_are_not_acknowledged() -> None:
    """Rules 11.9 and 14.5: a RECEIVED for what is found moves no cursor."""
    mail = Mail(b"alice", b"bob")
    alice, bob = mail.device(b"alice"), mail.device(b"bob", window=9)
    alice.write(message(b"bob", b"hi", b"m1"))
    assert [line[3] for line in told(bob.read())] == [1]
    bob.write(taken(1))
    alice.write(message(b"bob", b"ho", b"m2"))
    bob.read()
    found, _ = bob.write(frame(Verb.HISTORY, b"alice", limit=1))
    bob.write(taken(int(found[0].headers[b"seq"]) + 5) + error(103, seq=7))
    bob.cut()
    assert [line[4] for line in told(mail.device(b"bob").read())] == ["ho"]


QUESTIONS = [
    frame(Verb.HISTORY),
    frame(Verb.HISTORY, b"#team"),
    frame(Verb.DEVICES),
    frame(Verb.TOKEN, b"laptop"),
    frame(Verb.REVOKE, b"laptop"),
    *(
        frame(Verb.ROOM, b"#team", None, b"", do=do, member=b"bob", role=b"member", topic=b"t")
        for do in (None, b"create", b"join", b"leave", b"change", b"invite", b"remove", b"appoint", b"members")
    ),
    frame(Verb.ROOMS),
    frame(Verb.RECEIPTS, b"bob", id=b"m1"),
    frame(Verb.CONVERSATIONS),
    frame(Verb.CONVERSATION, b"bob", None, b"Muted: yes\nBlocked: yes\n"),
    frame(Verb.SEARCH, b"", b"oats"),
    frame(Verb.STATUS, b"", None, b"State: here\nShown: no\n"),
    FILE,
    frame(Verb.PIECE, b"k", b"x", offset=0),
    frame(Verb.PIECE, b"k", offset=0),
    frame(Verb.REPORT, b"bob", b"spam"),
]
"""Each question once."""


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_member_who_was_removed_is_answered_and_sees_nothing(question: bytes) -> None:
    """Rule 10.1: another process may have removed the member a moment ago."""
    mail = Mail(b"alice", b"bob")
    alice, bob = mail.device(b"alice", window=64), mail.device(b"bob", window=64)
    bob.write(
        b"ROOM #team\nDo: create\n\nROOM #team\nDo: invite\nMember: alice\n\n" + message(b"alice", b"oats", b"b1")
    )
    alice.write(b"ROOM #team\nDo: join\n\n" + message(b"bob", b"oats", b"m1"))
    bob.write(b"STATUS\nState: here\n\n")
    alice.read()
    bob.read()
    mail.store.apply([RemoveMember("alice", mail.now)])
    answers = alice.write(question + b"TYPING bob\n\nTYPING #team\n\n")
    assert len(answers) == 1
    assert not any(word in body for _, body in answers for word in (b"bob", b"oats", b"team"))
    mail.advance(0.25)
    mail.advance(0.25)
    assert [head for head, _ in bob.read() if head.verb in (Verb.STATUS, Verb.TYPING)] == []
    mail.exchange.members_changed()
    mail.settle()
    assert alice.closed
    mail.advance(0.25)
    mail.advance(0.25)
