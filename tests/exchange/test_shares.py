"""How addresses share a total."""

from hypothesis import given
from hypothesis import strategies as st

from tests.exchange.network import Network
from twotick.exchange import Limits, Shares
from twotick.wire import UNABLE_TO_SEND


def take_all(shares: Shares, address: str) -> int:
    """Take as much as one address may have, piece by piece; return how much that is."""
    taken = 0
    while shares.take(address, 1):
        taken += 1
    return taken


def test_greedy_addresses_leave_something() -> None:
    shares = Shares(1000)
    assert take_all(shares, "a") == 750
    assert take_all(shares, "b") == 187
    assert take_all(shares, "c") == 47
    assert shares.take("d", 16)


def test_an_address_that_has_little_gets_more_than_one_that_has_much() -> None:
    shares = Shares(1000)
    assert shares.take("a", 600)
    assert not shares.take("a", 300)
    assert shares.take("b", 300)


def test_alone_one_may_take_all_and_no_more() -> None:
    shares = Shares(10)
    assert not shares.take("a", 11)
    assert shares.take("a", 10)
    assert not shares.take("b", 1)
    assert not shares.take("a", 1)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 60), st.booleans()), max_size=60))
def test_what_is_given_back_can_be_taken(steps: list[tuple[str, int, bool]]) -> None:
    shares = Shares(100)
    taken: list[tuple[str, int]] = []
    for address, amount, gives in steps:
        if gives and taken:
            shares.give_back(*taken.pop(amount % len(taken)))
        elif shares.take(address, amount):
            taken.append((address, amount))
        assert shares.used == sum(amount for _, amount in taken) <= 100
    for address, amount in taken:
        shares.give_back(address, amount)
    assert shares.take("d", 100)


# The queue of a receiver (rule 5.6)


def test_an_address_leaves_room_in_the_queue_of_a_receiver() -> None:
    """Whatever names its users have."""
    network = Network(Limits(queue_messages=16))
    network.user(b"bob")
    for number in range(20):
        greedy, _ = network.user(b"m%d" % number, address="192.0.2.9")
        answer = greedy.send(b"bob", b"x")
        assert answer == (b"" if number < 13 else UNABLE_TO_SEND), "one is with bob, and twelve wait"
    for number in range(4):
        other, _ = network.user(b"o%d" % number, address="192.0.2.1")
        answer = other.send(b"bob", b"x")
        assert answer == (b"" if number < 3 else UNABLE_TO_SEND), "three quarters of what is left"


def test_large_messages_of_an_address_leave_room() -> None:
    network = Network(Limits(queue_bytes=1600))
    network.user(b"bob")
    network.user(b"first")[0].send(b"bob", b"with bob")
    for number in range(14):
        greedy, _ = network.user(b"m%d" % number, address="192.0.2.9")
        answer = greedy.send(b"bob", bytes(100))
        assert answer == (b"" if number < 12 else UNABLE_TO_SEND)
    assert network.user(b"alice", address="192.0.2.1")[0].send(b"bob", bytes(100)) == b""


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40)), max_size=60))
def test_in_any_order_each_address_has_its_share_of_a_queue(events: list[tuple[int, int]]) -> None:
    """As if shares were counted for every message."""
    messages, size = 9, 200
    network = Network(Limits(queue_messages=messages, queue_bytes=size, unanswered=1 << 20))
    _, bob = network.user(b"bob")
    senders = [network.user(b"m%d" % number, address=f"192.0.2.{number // 2}")[0] for number in range(3)]
    queue = bob.connection
    with_bob: list[int] = []
    waiting: list[tuple[int, int]] = []
    for event, length in events:
        if event == 3:
            given = bob.receive(b"m%d" % with_bob.pop()) if with_bob else b""
            if waiting:
                with_bob.append(int(given.split(b"\n")[0].removeprefix(b"FORWARD m")))
                waiting.remove(next(each for each in waiting if each[0] == with_bob[0]))
            continue
        if senders[event].connection.paused:
            continue
        before = queue.queued
        senders[event].send(b"bob", bytes(length))
        if not with_bob:
            with_bob.append(event)
            bob.read()
            continue
        mine = [each for each in waiting if each[0] // 2 == event // 2]
        left, bytes_left = messages - len(waiting) - 1, size - sum(each for _, each in waiting) - length
        fits = min(left, bytes_left) >= 0
        fits = fits and len(mine) <= 3 * left and sum(each for _, each in mine) <= 3 * bytes_left
        if fits:
            waiting.append((event, length))
        assert queue.queued - before == fits
