"""Messages and windows (docs/protocol.md, sections 5 and 6)."""

import pytest

from tests.exchange.network import Network
from twotick.exchange import Limits
from twotick.wire import (
    HEADER_INCOMPLETE,
    MALFORMED_USERNAME,
    UNABLE_TO_SEND,
    Side,
    error,
    forward_start,
    register,
    registered,
    send,
)

SENT = b"SEND bob\n\n"


def forward(sender: bytes, body: bytes) -> bytes:
    return forward_start(sender) + b"%d\n\n%b" % (len(body), body)


@pytest.mark.parametrize("body", [b"", b"hello", b"\n\n", b"RECEIVED alice\n\n", bytes(range(256)) * 100])
def test_a_message_is_forwarded_received_and_answered(body: bytes) -> None:
    """Rules 5.1 to 5.4."""
    network = Network()
    alice, alice_receiving = network.user(b"alice")
    bob_sending, bob = network.user(b"bob")
    assert alice.ask(b"SEND bob\nX-a: b\nContent-length: %d\n\n%b" % (len(body), body)) == b""
    assert bob.read() == forward(b"alice", body)
    assert bob.receive(b"alice") == b""
    assert alice.read() == SENT
    assert bob_sending.read() + alice_receiving.read() == b""
    assert network.leave() == {}


def test_one_may_write_to_oneself() -> None:
    """Rule 5.2."""
    network = Network()
    alice, receiving = network.user(b"alice")
    alice.send(b"alice", b"note")
    assert receiving.read() == forward(b"alice", b"note")
    receiving.receive(b"alice")
    assert alice.read() == b"SEND alice\n\n"


@pytest.mark.parametrize("code", [b"103 Header incomplete", b"102", b"999 no", b"7", b""])
def test_an_error_of_any_number_refuses_the_oldest_message(code: bytes) -> None:
    """Rules 5.3, 5.7 and 7.2."""
    network = Network()
    alice, _ = network.user(b"alice")
    _, bob = network.user(b"bob", window=2)
    alice.send(b"bob", b"one", b"two")
    bob.ask(b"ERROR " + code + b"\n\n")
    assert alice.read() == UNABLE_TO_SEND
    bob.receive(b"alice")
    assert alice.read() == SENT


@pytest.mark.parametrize("answer", [b"RECEIVED carol\n\n", b"RECEIVED\n\n", b"RECEIVED alice carol\n\n"])
def test_received_for_another_sender_is_ignored(answer: bytes) -> None:
    """Rule 5.3."""
    network = Network()
    alice, _ = network.user(b"alice")
    network.user(b"carol")
    _, bob = network.user(b"bob")
    alice.send(b"bob", b"one")
    bob.read()
    assert bob.ask(answer) == b""
    assert alice.read() == b""
    bob.receive(b"alice")
    assert alice.read() == SENT


@pytest.mark.parametrize("answer", [b"RECEIVED alice\n\n", b"ERROR 103 Header incomplete\n\n"])
def test_answers_that_nobody_waits_for_are_ignored(answer: bytes) -> None:
    """Rule 5.3: they are not kept for the next message either."""
    network = Network()
    alice, _ = network.user(b"alice")
    _, bob = network.user(b"bob")
    assert bob.ask(answer * 2) == b""
    assert alice.send(b"bob", b"one") == b""
    bob.receive(b"alice", b"alice")
    assert alice.read() == SENT


def test_sends_are_answered_in_their_order() -> None:
    """Rule 5.5, with any results and in any order of the answers."""
    network = Network()
    alice, _ = network.user(b"alice")
    _, bob = network.user(b"bob")
    _, carol = network.user(b"carol")
    alice.write(b"".join(send(name, b"") for name in (b"bob", b"carol", b"nobody", b"bob", b"carol")))
    carol.receive(b"alice", b"alice")
    assert alice.read() == b""
    bob.receive(b"alice")
    assert alice.read() == SENT + b"SEND carol\n\n" + UNABLE_TO_SEND
    bob.ask(error(103))
    assert alice.read() == UNABLE_TO_SEND + b"SEND carol\n\n"
    assert alice.send(b"nobody", b"") == UNABLE_TO_SEND
    alice.send(b"bob", b"")
    bob.receive(b"alice")
    assert alice.read() == SENT


def test_a_receiver_is_given_one_message_at_a_time() -> None:
    """Rules 5.5 and 5.6."""
    network = Network()
    alice, _ = network.user(b"alice")
    _, bob = network.user(b"bob")
    alice.send(b"bob", b"one", b"two", b"three")
    assert bob.read() == forward(b"alice", b"one")
    assert bob.receive(b"alice") == forward(b"alice", b"two")
    assert bob.ask(error(103)) == forward(b"alice", b"three")
    assert bob.receive(b"alice") == b""
    assert alice.read() == SENT + UNABLE_TO_SEND + SENT


def test_senders_take_turns() -> None:
    """Rule 5.6: who writes much does not keep others waiting."""
    network = Network()
    alice, _ = network.user(b"alice")
    carol, _ = network.user(b"carol")
    dave, _ = network.user(b"dave")
    _, bob = network.user(b"bob")
    alice.send(b"bob", *(b"a%d" % number for number in range(5)))
    carol.send(b"bob", b"c0", b"c1")
    dave.send(b"bob", b"d0")
    given = bob.read()
    for sender in (b"alice", b"alice", b"carol", b"dave", b"alice", b"carol", b"alice"):
        given += bob.receive(sender)
    assert [part[-2:] for part in given.split(b"FORWARD ")[1:]] == b"a0 a1 c0 d0 a2 c1 a3 a4".split()


def test_there_is_room_for_so_many_messages() -> None:
    """Rule 5.6: one more is answered 102, in its turn; and there is room again as the receiver answers."""
    network = Network(Limits(queue_messages=3))  # two of which are the share of one address
    alice, _ = network.user(b"alice")
    carol, _ = network.user(b"carol")
    _, bob = network.user(b"bob")
    alice.send(b"bob", b"1", b"2", b"3")
    assert carol.send(b"bob", b"4") == UNABLE_TO_SEND
    bob.receive(b"alice")
    assert alice.read() == SENT
    assert carol.send(b"bob", b"5") == b""
    assert alice.send(b"bob", b"6") == b""
    bob.receive(b"alice", b"alice")
    bob.receive(b"carol")
    assert alice.read() == SENT * 2 + UNABLE_TO_SEND
    assert carol.read() == SENT


def test_there_is_room_for_so_many_bytes() -> None:
    """Rule 5.6, for one receiver and for all together."""
    network = Network(Limits(queue_bytes=8, queue_bytes_total=12))
    alice, _ = network.user(b"alice")
    carol, _ = network.user(b"carol", address="127.0.0.2")
    _, bob = network.user(b"bob")
    network.user(b"dave")
    alice.send(b"bob", b"forwarded at once")
    alice.send(b"bob", b"8 bytes.")
    assert carol.send(b"bob", b"1") == UNABLE_TO_SEND
    assert carol.send(b"bob", b"") == b""
    eve, _ = network.user(b"eve", address="127.0.0.3")
    assert eve.send(b"dave", b"forwarded at once") == b""
    assert eve.send(b"dave", b"4444") == b""
    frank, _ = network.user(b"frank")
    assert frank.send(b"dave", b"1") == UNABLE_TO_SEND
    bob.receive(b"alice")
    eve.finish()
    assert carol.send(b"dave", b"8 bytes.") == b""
    network.advance(30)
    assert eve.read() == UNABLE_TO_SEND * 2
    assert network.leave() == {}


def test_the_bytes_of_all_that_waits_are_bounded_together() -> None:
    """Rule 5.6: messages that were forwarded, failed or abandoned make room."""
    network = Network(Limits(queue_bytes=100, queue_bytes_total=10, answer_timeout=30))
    receivers = [network.user(b"r%d" % number)[1] for number in range(4)]
    carol, _ = network.user(b"carol")
    for number in range(3):
        sender, _ = network.user(b"s%d" % number, address=f"127.0.0.{number + 2}")
        sender.send(b"r%d" % number, b"", b"333")
    assert carol.send(b"r0", b"22") == UNABLE_TO_SEND
    receivers[0].receive(b"s0")
    assert carol.send(b"r0", b"333") == b""
    receivers[1].disconnect()
    assert carol.send(b"r2", b"333") == b""
    assert carol.send(b"r2", b"22") == b""
    network.advance(30)
    assert carol.read() == UNABLE_TO_SEND * 3
    dave, _ = network.user(b"dave")
    assert dave.send(b"r3", b"", b"0123456789") == b""
    assert network.leave() == {}


def test_one_address_leaves_room_for_others() -> None:
    """Rules 5.6 and 8.1: it has at most three times what is left."""
    network = Network(Limits(queue_bytes_total=100))
    _, bob = network.user(b"bob")
    alice, _ = network.user(b"alice")
    carol, _ = network.user(b"carol", address="127.0.0.2")
    alice.send(b"bob", b"forwarded at once", bytes(60), bytes(30))
    assert carol.send(b"bob", bytes(40)) == b""
    assert bob.receive(b"alice", b"alice", b"carol").count(b"FORWARD") == 3
    assert alice.read() == b"SEND bob\n\n" * 2 + UNABLE_TO_SEND
    assert carol.read() == b"SEND bob\n\n"
    assert network.leave() == {}


def test_nobody_by_that_name() -> None:
    """Rule 5.7."""
    network = Network()
    alice, _ = network.user(b"alice")
    half = network.connect()
    half.write(register(Side.RECEIVING, b"half"))
    for name in (b"bob", b"half", "é".encode(), b"a\0", b"#room", b"x" * 4000):
        assert alice.send(name, b"x") == UNABLE_TO_SEND
    assert half.read() == registered(Side.RECEIVING, b"half")


def test_a_receiver_that_does_not_answer_in_time() -> None:
    """Rule 5.7: the limit is the same for what was forwarded and for what waits."""
    network = Network(Limits(answer_timeout=30))
    alice, _ = network.user(b"alice")
    carol, _ = network.user(b"carol")
    _, bob = network.user(b"bob")
    alice.send(b"bob", b"one", b"two")
    network.advance(10)
    carol.send(b"bob", b"three")
    network.advance(19.75)
    assert alice.read() == b""
    network.advance(0.25)
    assert alice.read() == UNABLE_TO_SEND * 2
    assert carol.read() == b""
    network.advance(9.75)
    assert carol.read() == b""
    network.advance(0.25)
    assert carol.read() == UNABLE_TO_SEND
    assert bob.read() == forward(b"alice", b"one")
    assert bob.receive(b"alice") == b""
    assert network.exchange.idle
    assert network.leave() == {}


def test_a_receiver_that_had_nothing_to_answer_for_a_while() -> None:
    """Rule 5.7: it is looked after again from the next message on."""
    network = Network()
    alice, _ = network.user(b"alice")
    _, bob = network.user(b"bob")
    alice.send(b"bob", b"one")
    bob.receive(b"alice")
    assert alice.read() == SENT
    network.advance(1)
    assert alice.send(b"bob", b"two") == b""
    network.advance(30)
    assert alice.read() == UNABLE_TO_SEND
    assert network.leave() == {}


@pytest.mark.parametrize("answer", [b"RECEIVED alice\n\n", b"ERROR 103 Header incomplete\n\n"])
def test_a_late_answer_stands_for_its_own_message(answer: bytes) -> None:
    """Rule 5.7: until then that message counts as unanswered."""
    network = Network(Limits(answer_timeout=30))
    alice, _ = network.user(b"alice")
    _, bob = network.user(b"bob")
    alice.send(b"bob", b"one")
    network.advance(30)
    assert alice.read() == UNABLE_TO_SEND
    alice.send(b"bob", b"two")
    assert bob.read() == forward(b"alice", b"one")
    assert bob.ask(answer) == forward(b"alice", b"two")
    assert alice.read() == b""
    bob.receive(b"alice")
    assert alice.read() == SENT


def test_every_message_of_a_window_has_its_own_time_limit() -> None:
    """Rules 5.7 and 6.3: messages that took turns are not forwarded in the order in which they came."""
    network = Network(Limits(answer_timeout=30))
    alice, _ = network.user(b"alice")
    carol, _ = network.user(b"carol")
    _, bob = network.user(b"bob", window=2)
    alice.send(b"bob", b"a1", b"a2", b"a3", b"a4")
    network.advance(10)
    carol.send(b"bob", b"c1")
    bob.receive(b"alice", b"alice")
    assert bob.receive(b"alice") == forward(b"alice", b"a4")
    assert alice.read() == SENT * 3
    network.advance(20)
    assert alice.read() == UNABLE_TO_SEND
    assert carol.read() == b""
    bob.receive(b"carol")
    assert carol.read() == SENT


@pytest.mark.parametrize("window", [None, 4])
def test_a_sender_with_too_much_on_its_way_is_not_read(window: int | None) -> None:
    """Rule 5.8: until half of it is answered (section 8), whether it waits or was forwarded."""
    network = Network(Limits(unanswered=4))
    alice, _ = network.user(b"alice")
    _, bob = network.user(b"bob", window)
    alice.send(b"bob", b"1", b"2", b"3")
    assert not alice.paused
    alice.send(b"bob", b"4")
    assert alice.paused
    bob.receive(b"alice")
    bob.receive(b"alice")
    assert alice.paused
    bob.receive(b"alice")
    assert not alice.paused
    bob.receive(b"alice")
    assert alice.read() == SENT * 4


@pytest.mark.parametrize("window", [None, 3, 8])
def test_sends_that_come_at_once_are_taken_as_they_can_be(window: int | None) -> None:
    """Rule 5.8: what is too much waits unread, in order, whatever stands between."""
    network = Network(Limits(unanswered=4, queue_messages=4))
    alice, _ = network.user(b"alice")
    _, bob = network.user(b"bob", window)
    bodies = [b"%d" % number for number in range(20)]
    other = send(b"nobody", b"") + register(Side.SENDING, b"alice")
    alice.write(b"".join(send(b"bob", body) + other for body in bodies))
    assert alice.paused
    given = bob.read()
    while not given.endswith(bodies[-1]):
        given += bob.receive(b"alice")
    bob.receive(*[b"alice"] * 20)
    assert given == b"".join(forward(b"alice", body) for body in bodies)
    answers = alice.read().replace(MALFORMED_USERNAME, b"")
    assert answers == (SENT + UNABLE_TO_SEND) * 20
    assert not alice.paused
    assert network.leave() == {}


def test_errors_that_come_at_once_are_all_answered() -> None:
    """Rules 5.7 and 5.8: answers that are there at once make no sender wait."""
    network = Network(Limits(unanswered=4))
    alice, _ = network.user(b"alice")
    assert alice.send(b"nobody", *[b""] * 100) == UNABLE_TO_SEND * 100
    assert not alice.paused


@pytest.mark.parametrize("way", ["received", "refused", "left", "late"])
def test_a_sender_whose_bodies_wait_is_not_read(way: str) -> None:
    """Rule 5.8: a quarter of a receiver's queue is the most, and what makes room makes it be read again."""
    network = Network(Limits(queue_bytes=40))
    alice, _ = network.user(b"alice")
    _, bob = network.user(b"bob")
    alice.send(b"bob", b"", b"123456789")
    assert not alice.paused
    alice.send(b"bob", b"0")
    assert alice.paused
    match way:
        case "received":
            bob.receive(b"alice")
        case "refused":
            bob.write(error(103))
        case "left":
            bob.disconnect()
        case _:
            network.advance(30)
    assert not alice.paused


# To everyone


@pytest.mark.parametrize("everyone", [b"ALL", b"all", b"All"])
def test_a_message_to_all_is_answered_when_the_last_has_answered(everyone: bytes) -> None:
    """Rule 5.9; the answer repeats the word as it was written (4.2)."""
    network = Network()
    alice, alice_receiving = network.user(b"alice")
    others = [network.user(b"u%d" % number)[1] for number in range(3)]
    half = network.connect()
    half.write(register(Side.RECEIVING, b"half"))
    half.read()
    alice.send(everyone, b"hi")
    for other in others:
        assert alice.read() == b""
        assert other.read() == forward(b"alice", b"hi")
        other.receive(b"alice")
    assert alice.read() == b"SEND %b\n\n" % everyone
    assert alice_receiving.read() + half.read() == b""
    assert network.leave() == {}


def test_a_message_to_all_where_there_is_no_one_else() -> None:
    """Rule 5.9."""
    network = Network()
    alice, receiving = network.user(b"alice")
    assert alice.send(b"ALL", b"hi") == b"SEND ALL\n\n"
    assert receiving.read() == b""


@pytest.mark.parametrize("fault", ["refuses", "leaves", "is late", "has no room"])
def test_one_bad_receiver_makes_a_message_to_all_fail(fault: str) -> None:
    """Rule 5.9: the answer waits for the others all the same, and comes once."""
    network = Network(Limits(queue_messages=0) if fault == "has no room" else None)
    alice, _ = network.user(b"alice")
    carol, _ = network.user(b"carol")
    _, bad = network.user(b"bad")
    _, good = network.user(b"good")
    if fault == "has no room":
        carol.send(b"bad", b"first")
    alice.send(b"ALL", b"hi")
    match fault:
        case "refuses":
            bad.write(error(103))
        case "leaves":
            bad.disconnect()
        case "is late":
            good.receive(b"alice")
            network.ends[3].disconnect()
            assert alice.read() == b""
            network.advance(30)
        case _:
            pass
    if fault != "is late":
        network.ends[3].disconnect()
        assert alice.read() == b""
        good.receive(b"alice")
    assert alice.read() == UNABLE_TO_SEND
    network.advance(60)
    assert alice.read() == b""
    assert network.leave() == {}


def test_a_message_to_all_takes_its_turn_among_others() -> None:
    """Rules 5.5 and 5.9."""
    network = Network()
    alice, _ = network.user(b"alice")
    _, bob = network.user(b"bob")
    alice.write(send(b"bob", b"one") + send(b"ALL", b"two") + send(b"bob", b"three"))
    assert bob.read() == forward(b"alice", b"one")
    assert bob.receive(b"alice") == forward(b"alice", b"two")
    assert bob.receive(b"alice") == forward(b"alice", b"three")
    bob.receive(b"alice")
    assert alice.read() == SENT + b"SEND ALL\n\n" + SENT


def test_what_a_sender_who_left_has_sent_still_arrives() -> None:
    """Rule 5.6: its answers go nowhere, and the next message has its own."""
    network = Network()
    alice, alice_receiving = network.user(b"alice")
    carol, _ = network.user(b"carol")
    _, bob = network.user(b"bob")
    alice.send(b"bob", b"one", b"two")
    alice.send(b"ALL", b"three")
    carol.send(b"bob", b"four")
    alice.disconnect()
    alice_receiving.disconnect()
    assert bob.read() == forward(b"alice", b"one")
    assert bob.receive(b"alice") == forward(b"alice", b"two")
    assert bob.receive(b"alice") == forward(b"carol", b"four")
    assert bob.receive(b"carol") == forward(b"alice", b"three")
    assert bob.receive(b"alice") == b""
    assert carol.read().endswith(SENT)
    assert network.leave() == {}


# Windows


@pytest.mark.parametrize(
    ("asked", "granted"), [(b"1", 1), (b"2", 2), (b"256", 256), (b"1000", 256), (b"0000000003", 3)]
)
def test_a_window_is_granted_up_to_the_limit(asked: bytes, granted: int) -> None:
    """Rules 6.1 to 6.3."""
    network = Network()
    alice, _ = network.user(b"alice")
    sending, bob = network.connect(), network.connect()
    sending.write(register(Side.SENDING, b"bob"))
    answer = bob.ask(b"REGISTER TORECV bob\nWindow: " + asked + b"\n\n")
    assert answer == registered(Side.RECEIVING, b"bob", granted)
    bodies = [b"%d" % number for number in range(granted + 2)]
    for body in bodies:
        alice.send(b"bob", body)
    assert bob.read() == b"".join(forward(b"alice", body) for body in bodies[:granted])
    assert bob.receive(b"alice", b"alice") == b"".join(forward(b"alice", body) for body in bodies[granted:])
    bob.receive(*[b"alice"] * granted)
    assert alice.read() == SENT * len(bodies)


@pytest.mark.parametrize("asked", [b"0", b"", b"-1", b"+1", b"many", b"1 1", b"00000000001", b"0" * 10])
def test_a_window_that_cannot_be_understood(asked: bytes) -> None:
    """Rule 6.1."""
    network = Network()
    sending, receiving = network.connect(), network.connect()
    sending.write(register(Side.SENDING, b"bob"))
    assert receiving.ask(b"REGISTER TORECV bob\nWindow: " + asked + b"\n\n") == HEADER_INCOMPLETE
    assert receiving.closed


def test_a_window_means_nothing_on_the_sending_side() -> None:
    """Rules 2.3 and 6.1."""
    network = Network()
    assert network.connect().ask(b"REGISTER TOSEND bob\nWindow: x\n\n") == registered(Side.SENDING, b"bob")


# Connections that take no output


def test_a_receiver_that_takes_no_output_is_given_nothing_more() -> None:
    """What comes for it waits, within the bounds of rule 5.6, and goes out in order when it reads again."""
    network = Network(Limits(queue_messages=3))  # two of which are the share of one address
    alice, _ = network.user(b"alice")
    _, bob = network.user(b"bob", window=4)
    alice.send(b"bob", b"one")
    bob.read()
    bob.clog()
    alice.send(b"bob", b"two", b"three", b"four")
    assert bob.read() == b""
    bob.receive(b"alice")
    assert (bob.read(), alice.read()) == (b"", SENT)
    bob.flow()
    assert bob.read() == forward(b"alice", b"two") + forward(b"alice", b"three")
    bob.receive(b"alice", b"alice")
    assert alice.read() == SENT * 2 + UNABLE_TO_SEND


def test_a_sender_that_takes_no_output_is_not_read() -> None:
    """Rule 5.8: answers that nobody reads must not pile up."""
    network = Network()
    alice, _ = network.user(b"alice")
    alice.clog()
    assert alice.paused
    alice.flow()
    assert not alice.paused
    assert alice.send(b"bob", b"") == UNABLE_TO_SEND


def test_a_receiver_that_takes_no_output_cannot_pile_up_errors() -> None:
    """Rules 4.7 and 5.8: it is not read while it does not take the answers, whatever waits for it."""
    network = Network(Limits(queue_bytes=8))
    alice, _ = network.user(b"alice")
    _, bob = network.user(b"bob")
    alice.send(b"bob", b"1", b"7 bytes")
    bob.clog()
    assert not bob.paused
    bob.write(register(Side.RECEIVING, b"bob"))
    assert bob.paused
    network.exchange.drain()
    bob.flow()
    assert not bob.paused
    assert bob.read() == forward(b"alice", b"1") + MALFORMED_USERNAME
