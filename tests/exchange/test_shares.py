"""How addresses share a total."""

from hypothesis import given
from hypothesis import strategies as st

from twotick.exchange import Shares


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
