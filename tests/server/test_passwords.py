"""Members change their passwords (docs/protocol.md, rule 10.10)."""

import base64

import pytest

from tests.server.place import LOG_IN, Place
from tests.server.test_extended_page import play
from tests.sockets import Peer
from twotick.wire import Side, register

WRONG = b"ERROR 104 Not authenticated\nReason: wrong name, password or token\n\n"


def coded(text: str | bytes) -> bytes:
    return base64.b64encode(text.encode() if isinstance(text, str) else text)


def change(old: str | bytes, new: str | bytes, more: bytes = b"") -> bytes:
    return b"PASSWORD\nId: p1\nOld: %b\nNew: %b\n%b\n" % (coded(old), coded(new), more)


def log_in(place: Place, password: str, device: bytes = b"phone") -> Peer:
    peer = place.connect()
    credential = b"Basic " + coded(f"alice:{password}")
    peer.write(register(Side.DUPLEX, b"alice", 9, authorization=credential, device=device))
    return peer


def read_to(peer: Peer, end: bytes) -> bytes:
    """Read up to some bytes."""
    data = b""
    while not data.endswith(end):
        byte = peer.read(1)
        assert byte, data
        data += byte
    return data


def registered(device: bytes = b"phone") -> bytes:
    return b"REGISTERED DUPLEX alice\nDevice: %b\nWindow: 9\nSeq: 0\nMax-body: 1048576\n\n" % device


def test_a_member_changes_the_password(place: Place) -> None:
    alice = place.alice()
    play("10.10", alice)
    log_in(place, "secret").expect(WRONG)
    log_in(place, "oats, barley").expect(registered())
    alice.ask(b"ROOMS\n\n", b"ROOMS\nContent-length: 2\nContent-type: application/json\n\n[]")  # it goes on


def test_a_password_that_looks_the_same_is_the_same(place: Place) -> None:
    """Rule 10.3 holds for both passwords: composed, decomposed, and with another space."""
    alice = place.alice()
    alice.ask(change("secret", "a\u0308pfel und birnen"), b"PASSWORD\nId: p1\n\n")
    log_in(place, "\u00e4pfel\u00a0und birnen").expect(registered())
    alice.ask(change("\u00e4pfel und\u2003birnen", "pears and plums"), b"PASSWORD\nId: p1\n\n")
    log_in(place, "pears and plums", b"desk").expect(registered(b"desk"))


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        (change("wrong one", "long enough"), b"ERROR 104 Not authenticated\nId: p1\nReason: the old password is wrong"),
        (change("secret", "short"), b"ERROR 102 Unable to send\nId: p1\nReason: the new password cannot be used: "),
        (change("secret", "x" * 513), b"ERROR 102 Unable to send\nId: p1\nReason: the new password cannot be used: "),
        (change("secret", b"\xff" * 7), b"ERROR 102 Unable to send\nId: p1\nReason: the new password cannot be used"),
        (b"PASSWORD\nId: p1\n\n", b"ERROR 102 Unable to send\nId: p1\nReason: the new password cannot be used: "),
        (b"PASSWORD\nId: p1\nOld: c2VjcmV0\nNew: ?\n\n", b"ERROR 102 Unable to send\nId: p1\nReason: Old and New are "),
        (
            change("secret", "long enough", b"Revoke-others: all\n"),
            b"ERROR 102 Unable to send\nId: p1\nReason: Revoke-others is yes or no",
        ),
    ],
)
def test_refused_changes_change_nothing(place: Place, asked: bytes, answer: bytes) -> None:
    alice = place.alice()
    alice.write(asked)
    alice.expect(answer)
    alice.write(b"ROOMS\n\n")
    assert b"ROOMS\n" in read_to(alice, b"[]")
    log_in(place, "secret").expect(registered())


def test_wrong_old_passwords_are_delayed_like_logins(place: Place) -> None:
    """Rule 10.4."""
    alice = place.alice()
    for _ in range(5):
        alice.write(change("wrong one", "long enough"))
        alice.expect(b"ERROR 104 Not authenticated\nId: p1\nReason: the old password is wrong: nothing was changed\n\n")
    alice.write(change("secret", "long enough"))
    alice.expect(b"ERROR 105 Too many requests\nId: p1\nReason: too many failed attempts: wait 1 s\nRetry-after: 1\n\n")
    log_in(place, "secret").expect(b"ERROR 105 Too many requests\n")  # logins wait with it


def test_devices_on_other_machines_can_be_revoked(place: Place) -> None:
    alice, listening = place.alice(), log_in(place, "secret", b"laptop/listen")
    phone, below = log_in(place, "secret"), log_in(place, "secret", b"phone/chat")
    for peer, device in ((listening, b"laptop/listen"), (phone, b"phone"), (below, b"phone/chat")):
        peer.expect(registered(device))
    bob = place.device(b"bob")
    phone.write(b"TOKEN phone\n\n")
    phone.expect(b"TOKEN phone\nToken: ")
    token = read_to(phone, b"\n\n").removesuffix(b"\n\n")
    alice.ask(change("secret", "long enough", b"Revoke-others: yes\n"), b"PASSWORD\nId: p1\n\n")
    for peer in (phone, below):
        peer.expect(b"ERROR 108 Replaced\nReason: the password was changed, and the device was revoked\n\n")
        assert peer.rest() == b""
    for peer in (alice, listening, bob):
        peer.write(b"ROOMS\n\n")
        peer.expect(b"ROOMS\n")
    again = place.connect()
    again.ask(register(Side.DUPLEX, b"alice", authorization=b"Bearer " + token), WRONG)


def test_a_connection_that_only_sends_changes_passwords(place: Place) -> None:
    sender = place.connect()
    sender.write(register(Side.SENDING, b"alice", authorization=LOG_IN[0].split(b"Authorization: ")[1].split(b"\n")[0]))
    sender.expect(b"REGISTERED TOSEND alice\nDevice: main\nMax-body: 1048576\n\n")
    sender.ask(change("secret", "long enough"), b"PASSWORD\nId: p1\n\n")
    sender.write(b"ROOMS\n\n")
    sender.expect(b"ROOMS\n")
