"""Clients that have vanished, in the protocol's own terms (docs/protocol.md, rule 9.10)."""

import pytest

from tests.exchange.network import End, Network
from twotick.exchange import Limits
from twotick.wire import (
    CLASSIC_SIDES,
    HEADER_INCOMPLETE,
    NO_USER_REGISTERED,
    PING,
    PONG,
    UNABLE_TO_SEND,
    Side,
    register,
    registered,
    send,
)

TIMEOUT = 120


def pinging(network: Network, side: Side, name: bytes) -> End:
    """A connection whose client has promised to ping."""
    end = network.connect()
    answer = end.ask(register(side, name, keep_alive=b"yes"))
    if side is Side.DUPLEX:
        assert answer == registered(side, name, 1, max_body=1 << 20, keep_alive=TIMEOUT)
    else:
        assert answer == registered(side, name, keep_alive=TIMEOUT)
    return end


def classic(network: Network, name: bytes) -> list[End]:
    return [pinging(network, side, name) for side in CLASSIC_SIDES]


@pytest.mark.parametrize("seconds", [0, 1, 29])
def test_a_client_that_stops_pinging_is_gone_within_the_time(seconds: int) -> None:
    """Its name is free, and who waits for it is told."""
    network = Network(Limits(answer_timeout=1000.0))
    network.advance(seconds)
    sending, receiving = classic(network, b"bob")
    alice, _ = network.user(b"alice")
    alice.send(b"bob", b"hi")
    for second in range(TIMEOUT + 1):
        if second < 90:
            assert not receiving.closed
        network.advance(1)
    assert sending.closed
    assert receiving.closed
    assert alice.read() == UNABLE_TO_SEND
    network.user(b"bob")


def test_a_client_that_pings_stays() -> None:
    network = Network()
    ends = [*classic(network, b"bob"), pinging(network, Side.DUPLEX, b"carol")]
    for _ in range(100):
        network.advance(TIMEOUT / 4)
        assert [end.ask(PING) for end in ends] == [PONG] * 3
    assert not any(end.closed for end in ends)


def test_other_frames_are_no_pings() -> None:
    """A client pings whatever else it writes: so an ordinary frame costs the server nothing more."""
    network = Network()
    sending, _ = classic(network, b"bob")
    for _ in range(5):
        network.advance(TIMEOUT / 4)
        sending.write(send(b"nobody", b""))
    assert sending.closed


def test_a_client_that_has_promised_nothing_stays() -> None:
    network = Network()
    ends = network.user(b"bob")
    for _ in range(100):
        network.advance(TIMEOUT)
    assert not any(end.closed for end in ends)


def test_the_time_in_which_a_connection_is_not_read_does_not_count() -> None:
    """Rule 5.8: its pings are still in the socket."""
    network = Network(Limits(unanswered=1, answer_timeout=10_000.0))
    network.user(b"alice")
    sending, receiving = classic(network, b"bob")
    sending.send(b"alice", b"hi")
    assert sending.paused
    for _ in range(8):
        network.advance(TIMEOUT / 4)
        receiving.write(PING)
    assert not sending.closed
    assert not receiving.closed


@pytest.mark.parametrize("side", CLASSIC_SIDES)
def test_a_ping_that_was_not_promised_is_an_unknown_verb(side: Side) -> None:
    network = Network()
    early = network.connect()
    assert early.ask(PING) == NO_USER_REGISTERED
    ends = dict(zip(CLASSIC_SIDES, network.user(b"bob"), strict=True))
    assert ends[side].ask(PING) == HEADER_INCOMPLETE
    assert all(end.closed for end in ends.values())


def test_half_a_user_may_ping() -> None:
    network = Network()
    sending = pinging(network, Side.SENDING, b"bob")
    assert [sending.ask(PING) for _ in range(100)] == [PONG] * 100


def test_answers_to_pings_that_are_not_read_do_not_pile_up() -> None:
    network = Network()
    _, receiving = classic(network, b"bob")
    receiving.clog()
    receiving.write(PING * 1000)
    assert receiving.paused
    assert receiving.read() == PONG
    receiving.flow()
    assert receiving.read() == PONG * 999


@pytest.mark.parametrize("value", [b"no", b"", b"120", b"YES"])
def test_only_yes_is_a_promise(value: bytes) -> None:
    network = Network()
    assert network.connect().ask(register(Side.SENDING, b"bob", keep_alive=value)) == registered(Side.SENDING, b"bob")


@pytest.mark.parametrize("name", [b"ping", b"Pong"])
def test_users_may_have_the_names_of_the_verbs(name: bytes) -> None:
    """Rule 4.1."""
    network = Network()
    sending, receiving = network.user(name)
    assert sending.send(name, b"hi") == b""
    assert receiving.receive(name) == b"FORWARD %b\nContent-length: 2\n\nhi" % name
    assert sending.read() == b"SEND %b\n\n" % name
