"""Programs that vanish, at every byte of what they write and are given."""

from collections.abc import Callable
from typing import TypeAlias

import pytest

from tests.sockets import Peer, Visitors
from twotick.wire import CLASSIC_SIDES, UNABLE_TO_SEND, Side, forward_start, received, register, registered, send

Vanish: TypeAlias = Callable[[Peer], None]

SEND = send(b"bob", b"hello")
FORWARD = forward_start(b"alice") + b"5\n\nhello"
RECEIVED = received(b"alice")
SENT = b"SEND bob\n\n"

ways = pytest.mark.parametrize("vanish", [Peer.close, Peer.reset], ids=["close", "reset"])


def check_still_receives(visitors: Visitors, bob: Peer) -> None:
    """Bob answers what he is given until a message from another user comes, whose sender knows then."""
    carol, carol_receiving = visitors.user(b"carol")
    carol.write(send(b"bob", b"still here?"))
    verb, sender, body = bob.frame()
    while sender == b"alice":
        assert (verb, body) == (b"FORWARD", b"hello")
        bob.write(RECEIVED)
        verb, sender, body = bob.frame()
    assert (verb, sender, body) == (b"FORWARD", b"carol", b"still here?")
    bob.write(received(b"carol"))
    carol.expect(SENT)
    assert (carol.finish(), carol_receiving.finish()) == (b"", b"")


@ways
@pytest.mark.parametrize("side", CLASSIC_SIDES)
def test_while_it_registers(visitors: Visitors, side: Side, vanish: Vanish) -> None:
    """Rule 4.8: whether the frame was whole or not, and whether its answer was read or not."""
    frame = register(side, b"alice")
    for place in range(len(frame) + 1):
        peer = visitors.connect()
        peer.write(frame[:place])
        vanish(peer)
        visitors.side(side, b"alice").finish()


@ways
def test_a_sender_while_it_writes(visitors: Visitors, vanish: Vanish) -> None:
    """Rule 4.8: nobody hangs, and the side of the name is free."""
    _, bob = visitors.user(b"bob")
    alice, _ = visitors.user(b"alice")
    for place in range(len(SEND) + 1):
        alice.write(SEND[:place])
        vanish(alice)
        alice = visitors.side(Side.SENDING, b"alice")
        check_still_receives(visitors, bob)


@ways
def test_a_sender_whose_message_waits(visitors: Visitors, vanish: Vanish) -> None:
    """Rules 4.8 and 5.3: its message is forwarded; the answer to it is for nobody."""
    _, bob = visitors.user(b"bob")
    for _ in range(20):
        alice, alice_receiving = visitors.user(b"alice")
        alice.write(SEND * 3)
        bob_has = bob.frame()
        vanish(alice)
        vanish(alice_receiving)
        assert bob_has == (b"FORWARD", b"alice", b"hello")
        bob.write(RECEIVED)
        check_still_receives(visitors, bob)


@ways
def test_a_sender_while_its_answer_comes(visitors: Visitors, vanish: Vanish) -> None:
    """Rule 4.8: the client has read nothing of the answer, or a part of it."""
    _, bob = visitors.user(b"bob")
    visitors.side(Side.RECEIVING, b"alice")
    for place in range(len(SENT) + 1):
        alice = visitors.side(Side.SENDING, b"alice")
        alice.write(SEND)
        assert bob.frame() == (b"FORWARD", b"alice", b"hello")
        bob.write(RECEIVED)
        assert alice.read(place) == SENT[:place]
        vanish(alice)


@ways
def test_a_receiver_while_it_reads(visitors: Visitors, vanish: Vanish) -> None:
    """Rule 4.8: senders that wait are answered at once, and that side of the name is free."""
    alice, _ = visitors.user(b"alice")
    visitors.side(Side.SENDING, b"bob")
    for place in range(len(FORWARD) + 1):
        bob = visitors.side(Side.RECEIVING, b"bob")
        alice.write(SEND * 3)
        assert bob.read(place) == FORWARD[:place]
        vanish(bob)
        alice.expect(UNABLE_TO_SEND * 3)


@ways
def test_a_receiver_while_it_answers(visitors: Visitors, vanish: Vanish) -> None:
    """Rule 4.8: only an answer that came whole counts."""
    alice, _ = visitors.user(b"alice")
    visitors.side(Side.SENDING, b"bob")
    for place in range(len(RECEIVED)):
        bob = visitors.side(Side.RECEIVING, b"bob")
        alice.write(SEND * 3)
        bob.expect(FORWARD)
        bob.write(RECEIVED[:place])
        vanish(bob)
        alice.expect(UNABLE_TO_SEND * 3)


def test_a_receiver_that_answers_and_leaves(visitors: Visitors) -> None:
    """Rules 4.8 and 5.3: the answer counts; the next message failed."""
    alice, _ = visitors.user(b"alice")
    visitors.side(Side.SENDING, b"bob")
    bob = visitors.side(Side.RECEIVING, b"bob")
    alice.write(SEND * 2)
    bob.expect(FORWARD)
    bob.write(RECEIVED)
    bob.expect(FORWARD)
    bob.close()
    alice.expect(SENT + UNABLE_TO_SEND)


@ways
def test_both_connections_at_once(visitors: Visitors, vanish: Vanish) -> None:
    """Rule 4.8: the name is free for both sides, again and again."""
    for _ in range(100):
        for peer in visitors.user(b"alice"):
            vanish(peer)
    sending, receiving = visitors.user(b"alice")
    sending.write(send(b"alice", b"hello"))
    receiving.expect(FORWARD)


@ways
def test_one_receiver_of_a_message_to_all(visitors: Visitors, vanish: Vanish) -> None:
    """Rules 4.8 and 5.9: the answer waits for the others only."""
    alice, _ = visitors.user(b"alice")
    _, bob = visitors.user(b"bob")
    _, carol = visitors.user(b"carol")
    alice.write(send(b"ALL", b"hello"))
    carol.expect(FORWARD)
    bob.expect(FORWARD)
    vanish(bob)
    carol.write(RECEIVED)
    alice.expect(UNABLE_TO_SEND)


def test_a_client_that_connects_and_vanishes(visitors: Visitors) -> None:
    """Before a byte is written."""
    for _ in range(200):
        visitors.connect().reset()
    visitors.connect().ask(register(Side.SENDING, b"alice"), registered(Side.SENDING, b"alice"))
