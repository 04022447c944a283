"""The examples of sections 9 to 11 of docs/protocol.md, byte for byte, with a real server and a real store."""

import re
from pathlib import Path

import argon2

from tests.exchange.mail import Mail
from tests.server.place import LOG_IN, Place
from tests.server.test_conversation import EXAMPLES
from tests.simulation.serving import serving
from tests.sockets import Peer
from twotick.server.secrets import needs_rehash
from twotick.store import AddMember, FindMember, Member, SqliteStore, StoreLimits
from twotick.wire import Side, Verb, frame, received, register

TIME = b"2026-11-22T09:30:00.123Z"
"""The time in the examples."""


def play(rule: str, peer: Peer) -> None:
    """Write what the client writes in an example, and see the server write what it should."""
    for _, writer, text in EXAMPLES[rule]:
        if writer == "C":
            peer.write(text)
        else:
            peer.expect(text)


def test_a_device_registers(place: Place) -> None:
    play("9.2", place.connect())
    assert [text for _, _, text in EXAMPLES["9.2"]] == list(LOG_IN)


def test_a_guest_sends_with_ids(place: Place) -> None:
    ann, bob = place.guest(b"ann"), place.connect()
    bob.ask(register(Side.SENDING, b"bo"), b"REGISTERED TOSEND bo\n\n")
    receiving = place.connect()
    receiving.ask(register(Side.RECEIVING, b"bo"), b"REGISTERED TORECV bo\n\n")
    (_, _, send), (_, _, sent), *refused = EXAMPLES["9.6"]
    ann.write(send.replace(b"bob", b"bo"))
    receiving.expect(b"FORWARD ann\nContent-length: 5\n\nhello")
    receiving.write(received(b"ann"))
    ann.expect(sent.replace(b"bob", b"bo"))
    ann.ask(*(text.replace(b"carol", b"cy") for _, _, text in refused))


def test_a_guest_asks_for_reasons(place: Place) -> None:
    play("7.5", place.connect())


def expect_now(peer: Peer, data: bytes) -> None:
    """Check that these bytes come, but with another time of the server."""
    assert re.sub(rb"(?<=: )[0-9T:.-]{23}Z", TIME, peer.read(len(data))) == data


def test_headers_travel(place: Place) -> None:
    gus, ann = place.guest(b"gus"), place.guest(b"ann")
    ann.write(frame(Verb.SEND, b"gus", b"hello", id=b"m1"))
    (_, _, forward), (_, _, answer) = EXAMPLES["9.7"]
    expect_now(gus, forward.replace(b"alice", b"ann"))
    gus.write(answer.replace(b"alice", b"ann"))
    ann.expect(b"SEND gus\nId: m1\n\n")


def test_a_wrong_password(place: Place) -> None:
    peer = place.connect()
    peer.write(register(Side.DUPLEX, b"alice", authorization=b"Basic YWxpY2U6d3Jvbmc="))
    play("10.2", peer)
    play("9.12", peer)
    peer.ask(*LOG_IN)


def test_the_owner_of_an_absent_device_is_told() -> None:
    """With an exchange whose clock is moved by hand: the device is absent for months."""
    mail = Mail(b"alice", device_age=90 * 86400.0)
    mail.device(b"alice", b"phone").cut()
    mail.advance(1)
    laptop = mail.device(b"alice", b"laptop", window=9)
    written: list[bytes] = []

    def take(data: bytes) -> None:
        written.append(data)

    laptop.take = take
    for _ in range(80):
        mail.advance(86400.0)
    ((_, _, told),) = EXAMPLES["10.9"]
    pattern = re.escape(told).replace(rb"\.\.\.", rb"\S+").replace(b"Seq:\\ 9", rb"Seq: \d+")
    assert any(re.fullmatch(pattern, each) for each in written), written


def test_ticks(place: Place) -> None:
    alice, bob = place.alice(), place.device(b"bob")
    for number in range(3):  # so that the numbers are those of the example
        head = b"bob\nId: a%d\nSeq: " % number
        alice.ask(
            frame(Verb.SEND, b"bob", b"", id=b"a%d" % number),
            b"ACCEPTED %b%d\n\n" % (head, 2 * number + 1),
        )
        expect_now(
            bob, b"FORWARD alice\nContent-length: 0\nId: a%d\nSeq: %d\nTime: %b\n\n" % (number, number + 1, TIME)
        )
        bob.write(b"RECEIVED alice\nSeq: %d\n\n" % (number + 1))
        alice.expect(b"SEND %b%d\n\n" % (head, 2 * number + 2))
        alice.write(b"RECEIVED bob\nSeq: %d\n\n" % (2 * number + 2))
    lines = [text for _, _, text in EXAMPLES["11.6"]]
    alice.ask(lines[0], lines[1])
    expect_now(bob, b"FORWARD alice\nContent-length: 5\nId: m1\nSeq: 4\nTime: " + TIME + b"\n\nhello")
    bob.write(b"RECEIVED alice\nSeq: 4\n\n")
    alice.expect(lines[2])
    alice.write(lines[3])
    bob.write(b"READ alice\nSeq: 4\n\n")
    alice.expect(lines[4])
    alice.write(lines[5])


def test_a_sender_is_told_when_its_message_was_taken(place: Place) -> None:
    """Rule 11.14: the time that the recipient is told, whatever the sender's clock says, and the same one again."""
    bob, alice = place.device(b"bob"), place.connect()
    (_, _, asked), (_, _, registered), (_, _, send), (_, _, answer) = EXAMPLES["11.14"]
    alice.ask(asked, registered)
    alice.write(send)
    told = alice.read(len(answer))
    assert re.sub(rb"(?<=Accepted: )[0-9T:.-]{23}Z", TIME, told) == answer
    time = told.removesuffix(b"\n\n").rpartition(b" ")[2]
    bob.expect(b"FORWARD alice\nContent-length: 5\nId: m1\nSeq: 1\nTime: " + time + b"\n\nhello")
    alice.ask(send, told)
    alice.write(frame(Verb.SEND, b"bob", b"", id=b"m2", time=b"2096-11-22T09:30:00Z", x_a=b"Time: 1"))
    start = b"ACCEPTED bob\nId: m2\nSeq: 2\nAccepted: "
    alice.expect(start)
    time = alice.read(24)
    alice.expect(b"\n\n")
    bob.write(b"RECEIVED alice\nSeq: 1\n\n")
    lines = b"Time: 2096-11-22T09:30:00Z\nX-a: Time: 1\nAccepted: " + time
    bob.expect(b"FORWARD alice\nContent-length: 0\nId: m2\nSeq: 2\n" + lines + b"\n\n")


def test_a_hash_of_other_days_is_made_anew_at_the_next_login(tmp_path: Path) -> None:
    old = argon2.PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(b"secret")
    store = SqliteStore(tmp_path, StoreLimits())
    store.apply([AddMember("alice", old, 0.0)])
    store.close()
    with serving(tmp_path) as server:
        for _ in range(2):
            peer = Place(server.port).alice()
            peer.close()
    store = SqliteStore(tmp_path, StoreLimits())
    (member,) = store.apply([FindMember("alice")])
    store.close()
    assert isinstance(member, Member)
    assert member.password != old
    assert not needs_rehash(member.password, b"secret")


def test_tokens_devices_and_revoking(place: Place) -> None:
    """Rule 10.8, and rule 10.6 for the device below."""
    alice = place.alice()
    alice.write(b"TOKEN laptop\n\n")
    alice.expect(b"TOKEN laptop\nToken: ")
    token = alice.read(46)
    alice.expect(b"\n\n")
    below = place.connect()
    below.ask(
        register(Side.DUPLEX, b"alice", authorization=b"Bearer " + token, device=b"laptop/listen"),
        b"REGISTERED DUPLEX alice\nDevice: laptop/listen\nWindow: 1\nSeq: 0\nMax-body: 1048576\n\n",
    )
    alice.ask(b"REVOKE laptop/listen\n\n", b"REVOKED laptop/listen\n\n")
    assert below.rest() == b"ERROR 108 Replaced\nReason: the device was revoked\n\n"
    alice.ask(
        b"HISTORY\nId: h\n\n",
        b"HISTORY\nId: h\nCount: 0\n\n",
    )
