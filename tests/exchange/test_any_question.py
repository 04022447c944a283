"""Questions and messages with headers of any kind: each is answered once (docs/protocol.md, sections 12 to 17)."""

from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from tests.exchange.mail import Line, Mail
from twotick.wire import Verb

VERBS = [
    *(b"HISTORY", b"DEVICES", b"TOKEN", b"REVOKE", b"ROOM", b"ROOMS", b"RECEIPTS", b"CONVERSATIONS", b"CONVERSATION"),
    *(
        b"SEARCH",
        b"STATUS",
        b"FILE",
        b"PIECE",
        b"REPORT",
        b"PROFILE",
        b"PINS",
        b"PUSH",
        b"SEND",
        b"SEND",
        b"ROOM",
        b"ROOM",
    ),
]
NAMES = [
    b"",
    b"alice",
    b"bob",
    b"BOB",
    b"#team",
    b"#Cellar",
    b"#",
    b"nobody",
    b"ALL",
    b"a b",
    b"\xff",
    b"\0",
    b"x" * 300,
]
HEADERS = [
    *(
        b"Do",
        b"Access",
        b"Topic",
        b"Member",
        b"Role",
        b"Muted",
        b"Blocked",
        b"In",
        b"Limit",
        b"Before",
        b"Since",
        b"From",
        b"Until",
        b"Has",
    ),
    *(b"State", b"Shown", b"Name", b"Size", b"Hash", b"Offset", b"Length", b"About", b"Edits", b"Deletes"),
    *(
        b"Reacts-to",
        b"File",
        b"Expires",
        b"Time",
        b"Event",
        b"X-a",
        b"Display",
        b"Status",
        b"Thread",
        b"Reply-to",
        b"Pins",
        b"Unpins",
        b"Closed",
        b"Pinned",
        b"Muted-until",
        b"Pinning",
    ),
]
VALUES = [
    *(b"create", b"join", b"leave", b"change", b"invite", b"remove", b"appoint", b"members", b"public", b"private"),
    *(b"bob", b"alice m1", b"m1", b"m2", b"owner", b"moderator", b"yes", b"no", b"here", b"away", b"#team", b"file"),
    *(b"0", b"1", b"65536", b"999999999999999999", b"9" * 30, b"-1", b"1e9", b"0x1", "²".encode(), b"\xff\xfe", b"\0"),
    *(b"2026-11-22T09:30:00Z", b"9999-12-31T23:59:59Z", b"0001-01-01", b"ab" * 32, b"..", b"a/b", b"x" * 300, b""),
]
BODIES = [
    b"",
    b"x",
    b'red "wild oats"',
    b'"',
    b"*",
    b"a*" * 40,
    b"AND OR NOT NEAR(",
    b"\xff\0",
    b"y" * 5000,
    "\u0301".encode(),
]


@st.composite
def questions(draw: st.DrawFn) -> tuple[bytes, bool]:
    """A question or a SEND, and whether it is the latter."""
    verb = draw(st.sampled_from(VERBS))
    name = draw(st.sampled_from(NAMES[1:-5] if verb == b"SEND" else NAMES))
    headers = draw(st.dictionaries(st.sampled_from(HEADERS), st.sampled_from(VALUES), max_size=5))
    lines = b"".join(b"%b: %b\n" % header for header in headers.items())
    body = draw(st.sampled_from(BODIES if verb == b"SEND" else [None, *BODIES]))
    length = b"" if body is None else b"Content-length: %d\n" % len(body)
    identifier = b"Id: m%d\n" % draw(st.integers(1, 5))
    return b"%b %b\n%b%b%b\n%b" % (verb, name, identifier, length, lines, body or b""), verb == b"SEND"


def ends(line: Line, question: bytes) -> int:
    """How many frames there are that end the answer to a question."""
    endings = {verb for verb in Verb if verb.value in VERBS} - {Verb.SEND}
    return sum(
        head.verb in endings or head.verb in (Verb.REVOKED, Verb.ERROR)
        for head, _ in line.write(question)
        if b"seq" not in head.headers and not (head.verb is Verb.STATUS and head.name)
    )


@examples(0.6)
@given(st.lists(questions(), min_size=1, max_size=30))
def test_every_question_is_answered_once(asked: list[tuple[bytes, bool]]) -> None:
    """Rule 12.2: an answer or an error; a connection that an error closes is opened again."""
    mail = Mail(b"alice", b"bob")
    alice, bob = mail.device(b"alice", window=99), mail.device(b"bob", window=99)
    bob.write(b"ROOM #team\nDo: create\nAccess: public\n\n")
    alice.write(b"ROOM #team\nDo: join\n\nSEND #team\nId: m0\nContent-length: 1\n\nx")
    for number, (question, is_send) in enumerate(asked):
        got = ends(alice, question)
        assert is_send or got == 1, question
        if alice.closed:
            alice = mail.device(b"alice", window=99)
            alice.read()
        if number % 5 == 0:
            mail.advance(1)
            alice.read()
    assert b"x" in [body for _, body in bob.read()]
    assert mail.store.check() == []
    mail.store.close()
