"""Guests with one connection each (docs/protocol.md, sections 5 and 9)."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.exchange.mail import Line, Mail, message, told
from twotick.exchange import Limits, ServerIdentity
from twotick.store import (
    ClaimGuest,
    Effects,
    KeepLease,
    KeptLease,
    LookAround,
    NoteConnected,
    ReleaseGuest,
    Request,
    SettleLost,
)
from twotick.wire import Side, received, register

FULL = "too much of what this connection has sent is unanswered"


def flood(sender: Line, recipient: bytes, count: int, body: bytes = b"hi") -> list[tuple[object, ...]]:
    """Send many messages at once, with the Ids m0, m1 and so on; returns what has come by then."""
    return told(sender.write(b"".join(message(recipient, body, b"m%d" % number) for number in range(count))))


def test_guests_who_flood_each_other() -> None:
    """Sending too much does not keep a guest's answers from being read (rule 5.8)."""
    mail = Mail(limits=Limits(unanswered=4))
    ann, bob = mail.guest(b"ann"), mail.guest(b"bob")
    refused = [("ERROR", 102, "m4", 0, FULL), ("ERROR", 102, "m5", 0, FULL)]
    assert flood(ann, b"bob", 6) == refused
    assert flood(bob, b"ann", 6) == [("FORWARD", "ann", "m0", 0, "hi"), *refused]
    assert told(ann.read()) == [("FORWARD", "bob", "m0", 0, "hi")]
    assert told(ann.write(received(b"bob"))) == [("FORWARD", "bob", "m1", 0, "hi")]
    assert told(bob.read())[-1] == ("SEND", "ann", "m0", 0)


def test_what_waits_for_a_guest_does_not_count_as_sent_by_it() -> None:
    """Rule 5.8."""
    mail = Mail(limits=Limits(queue_bytes=1000))
    ann, bob = mail.guest(b"ann"), mail.guest(b"bob")
    flood(ann, b"bob", 3, b"x" * 200)
    got = [told(bob.read())[0][2], *(told(bob.write(received(b"ann")))[0][2] for _ in range(2))]
    assert got == ["m0", "m1", "m2"]
    assert [each[:3] for each in told(bob.write(received(b"ann") + message(b"ann", b"hi", b"b1")))] == []
    assert told(ann.read())[-1] == ("FORWARD", "bob", "b1", 0, "hi")


def test_a_server_that_stops_reads_the_answers_of_guests() -> None:
    """Rule 4.10."""
    mail = Mail()
    ann, bob = mail.guest(b"ann"), mail.guest(b"bob")
    flood(ann, b"bob", 1)
    mail.exchange.drain()
    mail.settle()
    assert told(ann.write(message(b"bob", b"hi", b"late")))[-1][-1] == "the server is about to stop"
    bob.write(received(b"ann"))
    assert told(ann.read())[-1] == ("SEND", "bob", "m0", 0)
    assert mail.exchange.idle


@pytest.mark.parametrize(
    "frame", [b"HELLO\n\n", b"SEND ann\n\n", b"SEND\nContent-length: 0\n\n", b"READ ann\nSeq: 1\n\n"]
)
def test_what_a_guest_must_not_write_is_answered_103(frame: bytes) -> None:
    """Rules 3.2, 7.4 and 9.9: with a Reason, as any error on an extended connection."""
    mail = Mail()
    ann = mail.guest(b"ann")
    assert told(ann.write(frame)) == [("ERROR", 103, "", 0, "the frame cannot be understood")]
    assert ann.closed
    mail.guest(b"ann")  # the name is free


@pytest.mark.parametrize("sender", ["guest", "device", "sender"])
@pytest.mark.parametrize("receiver", ["guest", "classic"])
@pytest.mark.parametrize("recipient", [b"bob", b"ALL"])
def test_a_guest_is_not_given_what_is_over(sender: str, receiver: str, recipient: bytes) -> None:
    """Rule 11.10: it waited behind another message, and its own time was shorter."""
    mail = Mail(b"alice")
    bob = mail.guest(b"bob") if receiver == "guest" else mail.classic(b"bob")[1]
    senders = {
        "guest": lambda: mail.guest(b"ann"),
        "device": lambda: mail.device(b"alice", window=9),
        "sender": lambda: mail.sender(b"alice"),
    }
    ann = senders[sender]()
    ann.write(message(recipient, b"first", b"m1") + message(recipient, b"second", b"m2", expires=3))
    assert [body for _, body in bob.read()] == [b"first"]
    mail.advance(4)
    name = ann.connection.name
    assert [body for _, body in bob.write(received(name))] == []
    outcomes = {(line[0], line[2]) for line in told(ann.read()) if line[0] in ("SEND", "ERROR")}
    assert outcomes == {("SEND", "m1"), ("ERROR", "m2")}


@pytest.mark.parametrize("sender", ["guest", "device"])
def test_a_message_without_any_time_is_not_delivered_to_a_guest(sender: str) -> None:
    mail = Mail(b"alice")
    bob = mail.guest(b"bob")
    ann = mail.guest(b"ann") if sender == "guest" else mail.device(b"alice")
    answers = told(ann.write(message(b"bob", b"x", b"m1", expires=0)))
    assert [line[2] for line in answers if line[0] == "ERROR"] == ["m1"]
    assert bob.read() == []


def test_a_guest_has_as_long_as_the_sender_says_and_no_longer() -> None:
    mail = Mail()
    ann, bob = mail.guest(b"ann"), mail.guest(b"bob")
    ann.write(message(b"bob", b"x", b"m1", expires=3) + message(b"bob", b"x", b"m2", expires=10**9))
    mail.advance(2)
    assert ann.read() == []
    mail.advance(1)
    assert [line[2] for line in told(ann.read())] == ["m1"]
    mail.advance(27)
    assert [line[2] for line in told(ann.read())] == ["m2"], "the limit of the server"
    bob.write(received(b"ann") * 2)
    assert ann.read() == []


class SlowMail(Mail):
    """A server whose database keeps it waiting for some kinds of requests."""

    def __init__(self) -> None:
        self.slow: set[type] = set()
        self.waiting: list[tuple[Request[Any], Callable[[Any], None]]] = []
        super().__init__(b"alice", identity=ServerIdentity(1, "1", "here"))
        self.answers[KeepLease] = lambda _: KeptLease(True, (1,))
        self.answers[ClaimGuest] = lambda _: True
        self.answers[LookAround] = lambda _: list[Any]()
        self.answers[SettleLost] = lambda _: Effects()
        self.answers[ReleaseGuest] = self.answers[NoteConnected] = lambda _: None
        self.advance(0.0)

    def carry_out(self, requests: list[tuple[Request[Any], Callable[[Any], None]]]) -> None:
        self.waiting += [each for each in requests if type(each[0]) in self.slow]
        super().carry_out([each for each in requests if type(each[0]) not in self.slow])

    def go_on(self) -> None:
        """Answer what has waited."""
        self.slow.clear()
        waiting, self.waiting = self.waiting, []
        self.carry_out(waiting)
        self.settle()


def test_a_name_that_was_asked_for_before_the_lease_ended_is_lost_with_it() -> None:
    """Rules 4.2 and 4.10: when the answer comes, a guest of another server may have the name."""
    mail = SlowMail()
    mail.slow = {ClaimGuest, KeepLease}
    guest = mail.line()
    guest.write(register(Side.DUPLEX, b"gus", 1))
    for _ in range(44):
        mail.advance(0.25)
    mail.go_on()
    reason = "the server cannot look it up now: this server had lost its database meanwhile: try again"
    assert told(guest.read()) == [("ERROR", 107, "", 0, reason)]
    assert guest.closed
    assert any(type(each) is ReleaseGuest for each in mail.asked)
    mail.advance(2.0)
    mail.advance(0.25)
    assert not mail.guest(b"gus").closed
