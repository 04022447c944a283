"""Names and registration (docs/protocol.md, section 4)."""

import pytest

from tests.exchange.network import End, Network
from twotick.exchange import Limits
from twotick.wire import (
    CLASSIC_SIDES,
    HEADER_INCOMPLETE,
    MALFORMED_USERNAME,
    NO_USER_REGISTERED,
    UNABLE_TO_SEND,
    Parser,
    Side,
    register,
    registered,
    send,
)

BOTH = [(Side.SENDING, Side.RECEIVING), (Side.RECEIVING, Side.SENDING)]


def enter(end: End, side: Side, name: bytes) -> None:
    assert end.ask(register(side, name)) == registered(side, name)


@pytest.mark.parametrize("order", BOTH)
def test_either_side_registers_first(order: tuple[Side, Side]) -> None:
    """Rules 4.3, 4.4 and 1.4."""
    network = Network()
    ends = {side: network.connect() for side in order}
    first, second = order
    enter(ends[first], first, b"alice")
    assert ends[first].ask(send(b"bob", b"x")) == NO_USER_REGISTERED
    enter(ends[second], second, b"Alice")
    assert ends[Side.SENDING].send(b"bob", b"x") == UNABLE_TO_SEND


def test_names_that_differ_in_case_are_one_and_are_shown_as_written() -> None:
    """Rule 4.2."""
    network = Network()
    alice, _ = network.user(b"Alice")
    assert network.connect().ask(register(Side.SENDING, b"aLICE")) == MALFORMED_USERNAME
    sending, bob = network.connect(), network.connect()
    enter(sending, Side.SENDING, b"BOB")
    enter(bob, Side.RECEIVING, b"bob")
    alice.send(b"bOb", b"hi")
    assert bob.read() == b"FORWARD Alice\nContent-length: 2\n\nhi"
    bob.receive(b"ALICE")
    assert alice.read() == b"SEND bOb\n\n"


@pytest.mark.parametrize("side", CLASSIC_SIDES)
def test_a_side_that_is_taken_is_refused_and_another_name_can_be_had(side: Side) -> None:
    """Rules 4.4 and 4.6."""
    network = Network()
    network.user(b"alice")
    late = network.connect()
    assert late.ask(register(side, b"alice")) == MALFORMED_USERNAME
    enter(late, side, b"alice2")


@pytest.mark.parametrize(
    "frame",
    [
        b"SEND bob\nContent-length: 5\n\nhello",
        b"SEND bob\n\n",
        b"RECEIVED bob\n\n",
        b"FORWARD bob\nContent-length: 0\n\n",
        b"ERROR 102 Unable to send\n\n",
        b"HELLO\n\n",
        b"REGISTER\n\n",
        b"REGISTER TRIPLEX alice\n\n",
        b"REGISTERED TOSEND alice\n\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
)
def test_anything_else_before_registration_has_no_effect(frame: bytes) -> None:
    """Rule 4.5."""
    network = Network()
    _, bob = network.user(b"bob")
    end = network.connect()
    assert end.ask(frame) == NO_USER_REGISTERED
    assert bob.read() == b""
    enter(end, Side.SENDING, b"alice")


@pytest.mark.parametrize("name", [b"", b"al ice", b"a" * 33, b"all", b"Send", b"a-b", "é".encode(), b"a\0b", b"DUPLEX"])
@pytest.mark.parametrize("side", CLASSIC_SIDES)
def test_malformed_names_are_refused(side: Side, name: bytes) -> None:
    """Rule 4.6."""
    network = Network()
    end = network.connect()
    assert end.ask(register(side, name)) == MALFORMED_USERNAME
    enter(end, side, b"alice")


def test_register_on_a_registered_connection_changes_nothing() -> None:
    """Rule 4.7, before and after the user is registered, also as half of a batch."""
    network = Network()
    sending, receiving = network.connect(), network.connect()
    enter(sending, Side.SENDING, b"alice")
    for side in CLASSIC_SIDES:
        assert sending.ask(register(side, b"other")) == MALFORMED_USERNAME
    enter(receiving, Side.RECEIVING, b"alice")
    for end in (sending, receiving):
        for side in CLASSIC_SIDES:
            assert end.ask(register(side, b"alice")) == MALFORMED_USERNAME
    assert sending.ask(register(Side.SENDING, b"x") + send(b"alice", b"hi")) == MALFORMED_USERNAME
    assert receiving.read() == b"FORWARD alice\nContent-length: 2\n\nhi"
    assert receiving.ask(register(Side.SENDING, b"x") + b"RECEIVED alice\n\n") == MALFORMED_USERNAME
    assert sending.read() == b"SEND alice\n\n"
    network.user(b"other")


def test_when_the_receiving_side_leaves_its_senders_are_answered_at_once() -> None:
    """Rule 4.8: what was forwarded, and what waits behind it."""
    network = Network()
    alice, _ = network.user(b"alice")
    carol, _ = network.user(b"carol")
    bob_sending, bob = network.user(b"bob")
    alice.send(b"bob", b"one", b"two")
    carol.send(b"bob", b"three")
    bob.disconnect()
    assert alice.read() == UNABLE_TO_SEND * 2
    assert carol.read() == UNABLE_TO_SEND
    assert alice.send(b"bob", b"four") == UNABLE_TO_SEND
    assert bob_sending.send(b"nobody", b"") == UNABLE_TO_SEND
    assert network.leave() == {}


@pytest.mark.parametrize("side", CLASSIC_SIDES)
def test_a_name_is_held_by_either_side_and_the_missing_one_may_return(side: Side) -> None:
    """Rule 4.8."""
    network = Network()
    alice, _ = network.user(b"alice")
    ends = dict(zip(CLASSIC_SIDES, network.user(b"bob"), strict=True))
    ends[side].disconnect()
    (other,) = set(CLASSIC_SIDES) - {side}
    assert network.connect().ask(register(other, b"BOB")) == MALFORMED_USERNAME
    ends[side] = network.connect()
    enter(ends[side], side, b"BOB")
    alice.send(b"bob", b"hi")
    assert ends[Side.RECEIVING].read() == b"FORWARD alice\nContent-length: 2\n\nhi"
    ends[Side.RECEIVING].receive(b"alice")
    assert alice.read() == b"SEND bob\n\n"
    assert ends[Side.SENDING].send(b"nobody", b"") == UNABLE_TO_SEND


@pytest.mark.parametrize("order", BOTH)
def test_when_both_sides_left_the_name_is_free(order: tuple[Side, Side]) -> None:
    """Rule 4.8, for anybody at any address."""
    network = Network()
    ends = dict(zip(CLASSIC_SIDES, network.user(b"bob"), strict=True))
    for side in order:
        assert network.connect().ask(register(side, b"bob")) == MALFORMED_USERNAME
        ends[side].disconnect()
    for side in order:
        enter(network.connect("192.0.2.1"), side, b"bob")


def test_a_side_that_left_before_the_other_came_frees_the_name() -> None:
    """Rules 1.4 and 4.8: nobody was registered."""
    network = Network()
    first = network.connect()
    enter(first, Side.RECEIVING, b"bob")
    first.disconnect()
    second = network.connect("192.0.2.1")
    enter(second, Side.SENDING, b"bob")
    assert second.send(b"bob", b"") == NO_USER_REGISTERED


@pytest.mark.parametrize("order", BOTH)
def test_the_second_side_from_another_address_is_refused(order: tuple[Side, Side]) -> None:
    """Rule 4.9, when the name is new and when a side is missing."""
    first, second = order
    network = Network()
    near = network.connect()
    enter(near, first, b"alice")
    far = network.connect("192.0.2.1")
    assert far.ask(register(second, b"alice")) == MALFORMED_USERNAME
    with_both = network.connect()
    enter(with_both, second, b"alice")
    with_both.disconnect()
    assert far.ask(register(second, b"alice")) == MALFORMED_USERNAME
    near.disconnect()
    enter(far, second, b"alice")


@pytest.mark.parametrize("error", [b"HELLO\n\n", register(Side.SENDING, b""), register(Side.SENDING, b"taken")])
def test_a_connection_that_earns_too_many_errors_is_closed_after_the_last(error: bytes) -> None:
    """Rule 4.11."""
    network = Network(Limits(refusals=3))
    network.user(b"taken")
    end = network.connect()
    answer = end.ask(error)
    assert not end.closed
    assert end.ask(error * 5 + register(Side.SENDING, b"alice")) == answer * 2
    assert end.closed
    network.user(b"alice")


def test_one_side_that_earns_too_many_errors_frees_its_name_at_once() -> None:
    """Rules 4.8 and 4.11: nothing is written to a connection that is closed, and nobody waits for it."""
    network = Network(Limits(refusals=3))
    half = network.connect()
    enter(half, Side.RECEIVING, b"bob")
    assert half.ask(b"HELLO\n\n" * 3) == NO_USER_REGISTERED * 3
    assert half.closed
    sending, receiving = network.user(b"bob")
    sending.send(b"bob", b"hi")
    assert receiving.read() == b"FORWARD bob\nContent-length: 2\n\nhi"


def test_errors_after_registration_do_not_count() -> None:
    """Rule 4.11."""
    network = Network(Limits(refusals=3))
    alice, receiving = network.user(b"alice")
    for end in (alice, receiving):
        assert end.ask(register(Side.SENDING, b"alice") * 10) == MALFORMED_USERNAME * 10
        assert not end.closed


def test_a_sender_that_closes_its_half_is_still_answered() -> None:
    """Rule 4.12: in order, and then the connection is closed. Its side of the name is free at once."""
    network = Network()
    alice, _ = network.user(b"alice")
    _, bob = network.user(b"bob")
    _, carol = network.user(b"carol")
    alice.send(b"bob", b"one")
    alice.send(b"carol", b"two")
    alice.send(b"bob", b"three")
    alice.finish()
    enter(network.connect(), Side.SENDING, b"alice")
    carol.receive(b"alice")
    assert (alice.read(), alice.closed) == (b"", False)
    bob.receive(b"alice")
    assert (alice.read(), alice.closed) == (b"SEND bob\n\nSEND carol\n\n", False)
    bob.receive(b"alice")
    assert (alice.read(), alice.closed) == (b"SEND bob\n\n", True)


@pytest.mark.parametrize("side", CLASSIC_SIDES)
def test_a_client_that_waits_for_nothing_and_closes_its_half_is_closed(side: Side) -> None:
    """Rule 4.12."""
    network = Network()
    end = network.connect()
    enter(end, side, b"alice")
    end.finish()
    assert end.closed
    ends = dict(zip(CLASSIC_SIDES, network.user(b"alice"), strict=True))
    ends[side].finish()
    assert ends[side].closed
    stranger = network.connect()
    stranger.finish()
    assert stranger.closed


def test_a_receiver_that_closes_its_half_has_left() -> None:
    """Rule 4.12."""
    network = Network()
    alice, _ = network.user(b"alice")
    _, bob = network.user(b"bob")
    alice.send(b"bob", b"one")
    bob.finish()
    assert alice.read() == UNABLE_TO_SEND


# Stopping


def test_a_server_that_stops_waits_for_receivers_and_reads_no_more_sends() -> None:
    """Rule 4.10."""
    network = Network()
    alice, _ = network.user(b"alice")
    _, bob = network.user(b"bob")
    assert network.exchange.idle
    alice.send(b"bob", b"one", b"two")
    alice.send(b"ALL", b"three")
    assert not network.exchange.idle
    network.exchange.drain()
    network.flush()
    assert alice.paused
    for _ in range(3):
        assert not network.exchange.idle
        bob.receive(b"alice")
        network.flush()
    assert alice.read() == b"SEND bob\n\nSEND bob\n\nSEND ALL\n\n"
    assert alice.paused
    assert network.exchange.idle
    newcomer, _ = network.user(b"carol")
    assert newcomer.paused


def test_a_server_that_stops_leaves_sends_that_were_read_already() -> None:
    """Rule 4.10: the driver may have read them before it could stop reading."""
    network = Network()
    alice, _ = network.user(b"alice")
    _, bob = network.user(b"bob")
    frames = network.parse(Parser(network.heads), send(b"bob", b"too late"))
    network.exchange.drain()
    assert network.exchange.take(alice.connection, frames) == frames
    network.flush()
    assert (alice.read(), bob.read()) == (b"", b"")


def test_a_server_that_stops_answers_what_is_unanswered_and_closes_all() -> None:
    """Rule 4.10, also for a sender that has closed its half."""
    network = Network()
    half = network.connect()
    enter(half, Side.SENDING, b"half")
    alice, _ = network.user(b"alice")
    carol, _ = network.user(b"carol")
    network.user(b"bob")
    alice.send(b"bob", b"one", b"two")
    carol.send(b"bob", b"three")
    carol.finish()
    network.exchange.drain()
    network.exchange.close()
    network.flush()
    assert alice.read() == UNABLE_TO_SEND * 2
    assert carol.read() == UNABLE_TO_SEND
    assert all(end.closed for end in network.ends)
    assert network.leave() == {}


# What cannot be understood


@pytest.mark.parametrize("side", CLASSIC_SIDES)
@pytest.mark.parametrize(
    "frame",
    [
        b"SEND bob\nContent-length: x\n\n",
        b"HELLO\n\n",
        b"FORWARD bob\nContent-length: 0\n\n",
        b"REGISTERED TOSEND alice\n\n",
    ],
)
def test_what_cannot_be_understood_closes_both_connections_and_frees_the_name(side: Side, frame: bytes) -> None:
    """Rule 7.4, and 3.2 for the verbs that do not belong here. What waits on the user is answered."""
    network = Network()
    bob, _ = network.user(b"bob")
    ends = dict(zip(CLASSIC_SIDES, network.user(b"alice"), strict=True))
    bob.send(b"alice", b"one", b"two")
    ends[Side.RECEIVING].read()
    assert ends[side].ask(frame + send(b"bob", b"") + b"RECEIVED bob\n\n") == HEADER_INCOMPLETE
    assert all(end.closed for end in ends.values())
    assert b"".join(end.read() for end in ends.values()) == b""
    assert bob.read() == UNABLE_TO_SEND * 2
    network.user(b"alice")


@pytest.mark.parametrize(
    ("side", "frame"),
    [
        (Side.SENDING, b"SEND bob\n\n"),
        (Side.SENDING, b"SEND\nContent-length: 0\n\n"),
        (Side.SENDING, b"SEND bob carol\nContent-length: 0\n\n"),
        (Side.SENDING, b"RECEIVED bob\n\n"),
        (Side.SENDING, b"ERROR 102 Unable to send\n\n"),
        (Side.RECEIVING, b"SEND bob\nContent-length: 0\n\n"),
        (Side.RECEIVING, b"SEND bob\n\n"),
    ],
)
def test_frames_that_do_not_belong_on_a_connection_cannot_be_understood(side: Side, frame: bytes) -> None:
    """Rule 3.2."""
    network = Network()
    ends = dict(zip(CLASSIC_SIDES, network.user(b"alice"), strict=True))
    assert ends[side].ask(frame) == HEADER_INCOMPLETE
    assert all(end.closed for end in ends.values())
    assert network.leave() == {}


def test_what_cannot_be_understood_before_registration_closes_that_connection() -> None:
    """Rule 7.4: whole users and half users alike."""
    network = Network()
    stranger = network.connect()
    assert stranger.ask(b"SEND bob\nContent-length: -5\n\n") == HEADER_INCOMPLETE
    assert stranger.closed
    half = network.connect()
    enter(half, Side.SENDING, b"alice")
    assert half.ask(b"x\n:\n\n") == HEADER_INCOMPLETE
    assert half.closed
    network.user(b"alice")


@pytest.mark.parametrize("order", BOTH)
@pytest.mark.parametrize("side", CLASSIC_SIDES)
def test_nothing_is_written_after_header_incomplete(side: Side, order: tuple[Side, Side]) -> None:
    """Rules 2.8 and 7.4: also to a user who waits for themselves, whichever side they registered first."""
    network = Network()
    ends = {each: network.connect() for each in order}
    for each in order:
        enter(ends[each], each, b"alice")
    ends[Side.SENDING].send(b"alice", b"one", b"two")
    ends[Side.RECEIVING].read()
    ends[side].write(b"HELLO\n\n")
    assert ends[side].read() == HEADER_INCOMPLETE
    assert all(end.closed for end in ends.values())


def test_a_body_where_none_belongs_is_thrown_away() -> None:
    """Rule 3.1."""
    network = Network()
    end = network.connect()
    frame = b"REGISTER TOSEND alice\nContent-length: 7\n\nHELLO\n\n"
    assert end.ask(frame) == registered(Side.SENDING, b"alice")
    alice, receiving = network.user(b"bob")
    alice.send(b"bob", b"hi")
    receiving.read()
    assert receiving.ask(b"RECEIVED bob\nContent-length: 7\n\nHELLO\n\n") == b""
    assert alice.read() == b"SEND bob\n\n"
