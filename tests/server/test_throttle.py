"""How long those who fail have to wait (rule 10.4)."""

from collections.abc import Callable
from itertools import count, islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twotick.server import throttle as module
from twotick.server.throttle import Throttle

HOME = "192.0.2.1"
HERE = "198.51.100.1"
DAY = 24 * 3600.0


def elsewhere(number: int) -> str:
    return f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"


def attempts(throttle: Throttle, until: float, attempt: Callable[[int], tuple[bytes, str]]) -> list[float]:
    """Return when a client fails that tries whenever it is allowed."""
    times: list[float] = []
    now = 0.0
    while now < until:
        name, address = attempt(len(times))
        wait = throttle.wait(name, address, now)
        if wait == 0.0:
            throttle.failed(name, address, now)
            times.append(now)
        now += wait
    return times


def waits_after(times: list[float]) -> list[float]:
    return [later - sooner for sooner, later in pairwise(times)]


EXPECTED = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 900.0, 900.0]


def test_five_failures_of_a_name_are_free() -> None:
    times = attempts(Throttle(), 4000.0, lambda number: (b"alice", elsewhere(number)))
    assert times[:5] == [0.0] * 5
    assert waits_after(times[4:])[:12] == EXPECTED


def test_twenty_failures_of_an_address_are_free() -> None:
    times = attempts(Throttle(), 3000.0, lambda number: (b"%d" % number, HERE))
    assert times[:20] == [0.0] * 20
    assert waits_after(times[19:])[:12] == EXPECTED


def test_an_attempt_for_no_name_counts_for_its_address_alone() -> None:
    throttle = Throttle()
    times = attempts(throttle, 10.0, lambda number: (b"", HERE))
    assert times[:20] == [0.0] * 20
    assert throttle.wait(b"alice", HERE, times[-1]) > 0.0
    assert throttle.wait(b"", elsewhere(0), times[-1]) == 0.0


def test_nobody_else_waits() -> None:
    throttle = Throttle()
    attempts(throttle, 10.0, lambda number: (b"alice", HERE))
    assert throttle.wait(b"alice", elsewhere(0), 10.0) > 0.0
    assert throttle.wait(b"bob", HERE, 10.0) == 0.0


def test_guesses_a_day_are_few() -> None:
    """What the description of a Throttle promises."""
    of_name = attempts(Throttle(), 3 * DAY, lambda number: (b"alice", elsewhere(number)))
    assert len([time for time in of_name if time >= 2 * DAY]) <= 100
    of_address = attempts(Throttle(), 3 * DAY, lambda number: (b"%d" % number, HERE))
    assert len([time for time in of_address if time >= 2 * DAY]) <= 24 * 30


def test_success_forgets_the_failures_of_a_name_and_not_those_of_the_address() -> None:
    throttle = Throttle()
    for number in range(20):
        throttle.failed(b"alice" if number < 10 else b"bob", HERE, 0.0)
    throttle.succeeded(b"alice", elsewhere(0))
    assert throttle.wait(b"alice", elsewhere(1), 0.0) == 0.0
    assert throttle.wait(b"bob", elsewhere(1), 0.0) == 32.0
    assert throttle.wait(b"alice", HERE, 0.0) == 1.0


def test_a_member_who_attacks_gains_nothing_by_succeeding() -> None:
    throttle = Throttle()
    guesses = 0
    for number in range(1000):
        if throttle.wait(b"mallory", HERE, 0.0) == 0.0:
            throttle.succeeded(b"mallory", HERE)
        if throttle.wait(b"%d" % number, HERE, 0.0) == 0.0:
            throttle.failed(b"%d" % number, HERE, 0.0)
            guesses += 1
    assert guesses == 20


@given(st.lists(st.tuples(st.integers(1, 50), st.floats(0, 4000)), max_size=60), st.floats(0, 4000))
def test_a_name_is_not_locked_out_where_it_is_at_home(failures: list[tuple[int, float]], now: float) -> None:
    throttle = Throttle()
    throttle.succeeded(b"alice", HOME)
    for number, time in sorted(failures, key=lambda failure: failure[1]):
        throttle.failed(b"alice", elsewhere(number), time)
    assert throttle.wait(b"alice", HOME, now) == 0.0


def test_an_attacker_elsewhere_gains_nothing_by_success_at_home() -> None:
    throttle = Throttle()
    throttle.succeeded(b"alice", HOME)
    times = attempts(throttle, 10.0, lambda number: (b"alice", elsewhere(number)))
    before = throttle.wait(b"alice", HERE, times[-1])
    throttle.succeeded(b"alice", HOME)
    assert throttle.wait(b"alice", HERE, times[-1]) == before > 0.0


def test_failures_at_home_count_there_and_elsewhere_until_success() -> None:
    throttle = Throttle()
    throttle.succeeded(b"alice", HOME)
    for _ in range(5):
        assert throttle.wait(b"alice", HOME, 0.0) == 0.0
        throttle.failed(b"alice", HOME, 0.0)
    assert throttle.wait(b"alice", HOME, 0.0) == 1.0
    assert throttle.wait(b"alice", HERE, 0.0) == 1.0
    throttle.succeeded(b"alice", HOME)
    assert throttle.wait(b"alice", HOME, 0.0) == 0.0


def test_eight_homes_are_remembered() -> None:
    throttle = Throttle()
    for number in range(9):
        throttle.succeeded(b"alice", elsewhere(number))
    for _ in range(5):
        throttle.failed(b"alice", HERE, 0.0)
    assert [throttle.wait(b"alice", elsewhere(number), 0.0) for number in range(9)] == [1.0] + [0.0] * 8


def test_homes_that_are_used_stay_homes() -> None:
    throttle = Throttle()
    for number in range(8):
        throttle.succeeded(b"alice", elsewhere(number))
    throttle.succeeded(b"alice", elsewhere(0))
    throttle.succeeded(b"alice", elsewhere(8))
    for _ in range(5):
        throttle.failed(b"alice", HERE, 0.0)
    assert [throttle.wait(b"alice", elsewhere(number), 0.0) for number in range(3)] == [0.0, 1.0, 0.0]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.7", "192.0.2.7", True),
        ("192.0.2.7", "192.0.2.8", False),
        ("somewhere", "somewhere", True),
        ("somewhere", "elsewhere", False),
    ],
)
def test_what_is_one_address(one: str, other: str, same: bool) -> None:
    throttle = Throttle()
    for number in range(20):
        throttle.failed(b"%d" % number, one, 0.0)
    assert (throttle.wait(b"alice", other, 0.0) > 0.0) is same


@given(st.lists(st.floats(0, 2 * DAY), min_size=1, max_size=100), st.floats(0, 3 * DAY))
def test_no_wait_is_longer_than_a_quarter_of_an_hour(times: list[float], later: float) -> None:
    throttle = Throttle()
    for time in sorted(times):
        throttle.failed(b"alice", HERE, time)
    now = max(*times, later) if len(times) > 1 else max(times[0], later)
    wait = throttle.wait(b"alice", HERE, now)
    assert 0.0 <= wait <= 900.0
    assert throttle.wait(b"alice", HERE, now) == wait, "to ask changes nothing"
    assert throttle.wait(b"alice", HERE, now + wait) == pytest.approx(0.0, abs=1e-6)


def test_a_day_later_all_is_forgotten() -> None:
    throttle = Throttle()
    for _ in range(30):
        throttle.failed(b"alice", HERE, 0.0)
    assert throttle.wait(b"alice", HERE, 899.0) == 1.0
    for number in range(5):
        assert throttle.wait(b"alice", HERE, DAY + number) == 0.0
        throttle.failed(b"alice", HERE, DAY + number)
    assert throttle.wait(b"alice", HERE, DAY + 4) == 1.0


def test_each_failure_is_forgotten_in_its_time() -> None:
    throttle = Throttle()
    for hour in (0, 0, 0, 0, 0, 0, 12, 12):
        throttle.failed(b"alice", HERE, hour * 3600.0)
    assert throttle.wait(b"alice", elsewhere(0), 12 * 3600.0) == 8.0
    for _ in range(3):
        assert throttle.wait(b"alice", elsewhere(0), DAY) == 0.0
        throttle.failed(b"alice", elsewhere(0), DAY)
    assert throttle.wait(b"alice", elsewhere(0), DAY) == 1.0


def remembered(throttle: Throttle) -> int:
    tables = (throttle._names, throttle._addresses, throttle._at_home, throttle._homes)  # pyright: ignore[reportPrivateUsage]
    return max(map(len, tables))


def test_old_failures_take_no_memory() -> None:
    throttle = Throttle()
    for number in range(100):
        throttle.failed(b"%d" % number, elsewhere(number), 0.0)
    assert remembered(throttle) == 100
    throttle.failed(b"alice", HERE, DAY)
    assert remembered(throttle) == 1


def test_names_that_succeed_keep_their_homes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REMEMBERED", 100)
    throttle = Throttle()
    throttle.succeeded(b"alice", HOME)
    throttle.succeeded(b"bob", HOME)
    for number in range(120):
        if number == 60:
            throttle.succeeded(b"alice", HOME)
        throttle.succeeded(b"%d" % number, elsewhere(number))
    for _ in range(5):
        throttle.failed(b"alice", HERE, 0.0)
        throttle.failed(b"bob", HERE, 0.0)
    assert throttle.wait(b"alice", HOME, 0.0) == 0.0
    assert throttle.wait(b"bob", HOME, 0.0) == 1.0


def test_memory_is_bounded_and_who_fails_on_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REMEMBERED", 100)
    throttle = Throttle()
    numbers = count()
    for _ in range(30):
        for number in islice(numbers, 40):
            throttle.failed(b"%d" % number, elsewhere(number), 0.0)
            throttle.succeeded(b"a%d" % number, elsewhere(number))
            throttle.failed(b"a%d" % number, elsewhere(number), 0.0)
        throttle.failed(b"b%d" % next(numbers), HERE, 0.0)
        throttle.failed(b"alice", elsewhere(next(numbers)), 0.0)
    assert remembered(throttle) == 100
    assert throttle.wait(b"bob", HERE, 0.0) == 900.0
    assert throttle.wait(b"alice", elsewhere(next(numbers)), 0.0) == 900.0
