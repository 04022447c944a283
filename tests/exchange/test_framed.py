"""Connections whose driver takes frames as heads and bodies: they are told what others are told in bytes."""

from collections import Counter
from collections.abc import Callable

from tests.exchange.mail import Line, Mail, message, taken
from twotick.wire import Frame, GivenHead, Verb, frame, received

_OF_BYTES = (b"content-length", b"id", b"seq")
"""Headers that a head which was never bytes has as attributes only."""


def said(frames: list[Frame]) -> list[tuple[object, ...]]:
    """What frames say."""
    return [
        (
            head.verb,
            (head.name, head.key, head.side, head.code, head.delivered),
            {name: value for name, value in head.headers.items() if name not in _OF_BYTES},
            (head.id, head.seq, head.size, head.length_end),
            body,
        )
        for head, body in frames
    ]


def told_alike(happen: Callable[[Mail], list[list[Frame]]]) -> list[list[Frame]]:
    """Let the same happen with and without frames that are bytes; returns what each read got with."""
    plain, framed = (happen(Mail(b"alice", b"bob", framed=framed)) for framed in (False, True))
    assert [said(each) for each in framed] == [said(each) for each in plain]
    assert not any(isinstance(head, GivenHead) for each in plain for head, _ in each)
    return framed


def given(reads: list[list[Frame]]) -> list[Verb]:
    """The verbs of the frames that were never bytes."""
    return [head.verb for read in reads for head, _ in read if isinstance(head, GivenHead)]


def news(*lines: Line) -> list[list[Frame]]:
    """What has come on each of these."""
    return [line.read() for line in lines]


def test_guests() -> None:
    """A message, its headers, one that waits for the window, and the answers (rules 9.5 to 9.7)."""

    def happen(mail: Mail) -> list[list[Frame]]:
        ann, dan = mail.guest(b"Ann"), mail.guest(b"Dan")
        odd = message(b"DAN", "grüß".encode(), b"m2", content_type=b"text/x", **{"x-Odd": b"a: b"})
        return [
            ann.write(message(b"dan", b"hi", b"m1") + odd),
            dan.write(received(b"ann")),
            dan.write(frame(Verb.ERROR, b"102")),
            dan.write(message(b"dan", b"", b"m3") + received(b"dan")),
            *news(ann, dan),
        ]

    reads = told_alike(happen)
    assert Counter(given(reads)) == {Verb.FORWARD: 3, Verb.SENT: 2}
    assert [head.headers[b"x-odd"] for read in reads for head, _ in read if b"x-odd" in head.headers] == [b"a: b"]


def test_members() -> None:
    """What a member is told of messages to a member, to guests and to a room (rules 11.1, 11.6 and 12.5)."""

    def happen(mail: Mail) -> list[list[Frame]]:
        alice, bob, ann = mail.device(b"alice", window=9), mail.device(b"bob", window=9), mail.guest(b"ann")
        return [
            alice.write(message(b"bob", b"one", b"m1") + message(b"bob", b"one", b"m1")),
            bob.read(),
            bob.write(taken(1)),
            bob.write(frame(Verb.ROOM, b"#team", None, b"", id=b"q", do=b"create", access=b"public")),
            alice.write(frame(Verb.ROOM, b"#team", None, b"", id=b"q", do=b"join")),
            bob.write(message(b"#team", b"two", b"m2", reply_to=b"m1")),
            bob.write(message(b"ann", b"three", b"m3") + message(b"carol", b"four", b"m4")),
            ann.write(received(b"bob") + message(b"bob", b"five", b"m5")),
            *news(alice, bob, ann),
        ]

    assert set(given(told_alike(happen))) == {Verb.ACCEPTED, Verb.FORWARD, Verb.SENT}


def test_nothing_is_given_to_a_connection_that_closes() -> None:
    """What is answered after the end goes nowhere."""
    mail = Mail(framed=True)
    ann, bob = mail.guest(b"ann"), mail.guest(b"bob")
    ann.write(message(b"bob", b"hi", b"m1"))
    bob.read()
    mail.exchange.disconnected(ann.connection)
    bob.write(received(b"ann"))
    assert ann.read() == []
    assert ann.connection.out == []
