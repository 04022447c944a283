"""Who asks much of the store while others ask for little rests. The time is that of the test."""

import itertools
import sys

from hypothesis import given
from hypothesis import strategies as some

from twotick.server.asking import Asked, RequestQueue
from twotick.server.resting import Rests
from twotick.store import Acknowledge, Append, FindMember, Request

ALICE, BOB, MALLORY, EVE = 1, 2, 3, 4
FLOOD = 3.0
"""Seconds for which a flood goes on."""


def flood(rests: Rests, *users: int, since: float, until: float, others: tuple[int, ...] = ()) -> dict[int, float]:
    """Let users use the store whenever they may, in turns of 2 ms; others ask for something ten times a second.

    Returns:
        How long each of them has used it, in seconds.
    """
    used = dict.fromkeys(users, 0.0)
    now, tenth = since, since
    while now < until:
        if now >= tenth:
            tenth += 0.1
            for other in others:
                rests.asks(other, now)
        for user in users:
            rests.asks(user, now)
            if not rests.left(user, now):
                now += 0.002
                used[user] += 0.002
                rests.used(user, 0.002, now)
        now += 0.0001
    return used


def test_who_asks_for_much_beside_others_has_an_eighth_of_the_time() -> None:
    used = flood(Rests(), MALLORY, since=0.0, until=FLOOD, others=(ALICE, BOB))
    assert 0.12 < used[MALLORY] / FLOOD < 0.15


def test_who_is_alone_does_not_rest() -> None:
    rests = Rests()
    assert flood(rests, MALLORY, since=0.0, until=FLOOD)[MALLORY] > 0.9 * FLOOD
    assert not rests.left(MALLORY, FLOOD)


def test_nothing_is_saved_up_and_nothing_is_paid_for_later() -> None:
    """Whatever a user has asked for while alone, it has the same once others come."""
    rests = Rests()
    flood(rests, MALLORY, since=0.0, until=100.0)
    used = flood(rests, MALLORY, since=100.0, until=100.0 + FLOOD, others=(ALICE,))
    assert 0.10 < used[MALLORY] / FLOOD < 0.15
    used = flood(rests, MALLORY, since=200.0, until=200.0 + FLOOD, others=(ALICE,))
    assert 0.12 < used[MALLORY] / FLOOD < 0.15


def test_those_who_all_ask_for_much_do_not_rest() -> None:
    used = flood(Rests(), MALLORY, EVE, since=0.0, until=FLOOD)
    assert sum(used.values()) > 0.9 * FLOOD


def test_many_who_ask_for_much_have_the_whole_time_beside_others() -> None:
    many = range(10, 30)
    used = flood(Rests(), *many, since=0.0, until=FLOOD, others=(ALICE,))
    assert sum(used.values()) > 0.9 * FLOOD


def test_who_goes_away_is_soon_forgotten() -> None:
    rests = Rests()
    flood(rests, MALLORY, since=0.0, until=FLOOD, others=(ALICE,))
    assert flood(rests, MALLORY, since=FLOOD, until=FLOOD + 2)[MALLORY] > 1.3


def test_no_one_rests_for_long() -> None:
    """Also after a request that has taken very long, on a slow machine for example."""
    rests = Rests()
    for second in range(60):
        rests.asks(ALICE, float(second))
        rests.used(MALLORY, 10.0, float(second))
        assert 0 < rests.left(MALLORY, float(second)) <= 0.5


def test_little_is_remembered_however_many_users_there_are() -> None:
    rests = Rests()
    for user in range(100_000):
        rests.asks(user, user * 0.001)
        rests.used(user, 0.0001, user * 0.001)
    assert sys.getsizeof(rests._asked) + sys.getsizeof(rests._empty) < 1 << 20  # pyright: ignore[reportPrivateUsage]


def test_what_others_ask_for_is_noticed_among_many_acknowledgements() -> None:
    queue = RequestQueue()
    queue.add(asked(*(message(MALLORY, number) for number in range(10_000))), 0.0)
    served: list[Request[object]] = []
    for turn in range(100):
        others = [Acknowledge(1000 + turn * 50 + each, b"main", 1, 0.0) for each in range(50)]
        queue.add(asked(message(ALICE, turn), *others), turn * 0.01)
        served += serve(queue, turn * 0.01, 0.009)
    assert 200 < sum(isinstance(each, Append) and each.sender == MALLORY for each in served) < 2000  # of 5,200


def test_acknowledging_much_is_asking_for_much() -> None:
    """READ of many messages, for example."""
    queue = RequestQueue()
    served: list[Request[object]] = []
    for turn in range(100):
        queue.add(asked(message(ALICE, turn)), turn * 0.01)
        serve(queue, turn * 0.01, 0.0001)
        queue.add(asked(Acknowledge(MALLORY, b"main", turn, 0.0)), turn * 0.01)
        served += serve(queue, turn * 0.01, 0.009)
    assert 10 < len(served) < 30


def message(sender: int, number: int) -> Append:
    ident = b"%d" % number
    return Append(sender=sender, sender_name=b"mallory", recipient=b"bob", headers=b"", body=b"hi", time=0.0, id=ident)


def asked(*requests: Request[object]) -> list[Asked]:
    return [(request, lambda _: None) for request in requests]


def serve(queue: RequestQueue, now: float, seconds: float) -> list[Request[object]]:
    """Carry out a transaction that takes so many seconds."""
    taken = queue.take(512, now)
    queue.done(taken, [5] * len(taken), [], used=seconds, now=now + seconds)
    return [request for request, _ in taken]


def flooded(*beside: Request[object]) -> tuple[RequestQueue, float]:
    """Let mallory ask for much and others for this, ten times a second, for some seconds.

    Returns:
        The queue, in which many requests of mallory wait, and the time: just after a transaction of mallory's.
    """
    queue, now = RequestQueue(), 0.0
    queue.add(asked(*(message(MALLORY, number) for number in range(100_000))), now)
    for turn in itertools.count():
        if turn % 10 == 0:
            queue.add(asked(*beside), now)
        taken = serve(queue, now, 0.009)
        now += 0.01
        if now > FLOOD and any(isinstance(request, Append) and request.sender == MALLORY for request in taken):
            break
    return queue, now


def test_the_requests_of_a_user_who_rests_wait_and_those_of_others_do_not() -> None:
    queue, now = flooded(message(ALICE, 0))
    assert 0.05 < queue.rest(now, is_behind=False) < 0.08
    assert not queue.take(512, now)
    queue.add(asked(message(BOB, 0)), now)
    assert queue.rest(now, is_behind=False) == 0
    assert [request.sender for request in serve(queue, now, 0.0) if isinstance(request, Append)] == [BOB]
    now += queue.rest(now, is_behind=False) + 0.001
    assert {request.sender for request in serve(queue, now, 0.002) if isinstance(request, Append)} == {MALLORY}


def test_a_flood_has_less_of_each_transaction_while_others_ask_for_little() -> None:
    queue, now = flooded(message(ALICE, 0))
    assert len(serve(queue, now + queue.rest(now, is_behind=False) + 0.001, 0.009)) <= 32
    queue, now = flooded()
    assert 50 <= len(serve(queue, now, 0.009)) <= 64


def test_all_are_served_when_there_is_a_hurry() -> None:
    queue, now = flooded(message(ALICE, 0))
    assert queue.take(512, now, hurry=True)


def test_tidying_rests_as_a_user_does() -> None:
    """What a user has left to tidy would otherwise be done while that user rests."""
    queue = RequestQueue()
    for turn in range(1000):
        queue.tidied(0.002, turn * 0.002)
    assert not queue.rest_of_tidying(2.0)
    queue.add(asked(message(ALICE, 0)), 2.0)
    queue.tidied(0.002, 2.0)
    assert 0.005 < queue.rest_of_tidying(2.0) <= 0.016


def test_long_requests_wait_while_tidying_rests_and_others_do_not() -> None:
    queue = RequestQueue()
    for turn in range(1000):
        queue.tidied(0.002, turn * 0.002)
    queue.add(asked(message(MALLORY, 0)), 2.0)
    queue.done(queue.take(1, 2.0), [1000], asked(message(MALLORY, 1)), used=0.001, now=2.0)
    queue.add(asked(message(ALICE, 0)), 2.0)
    assert queue.rest(2.0, is_behind=True) == 0
    serve(queue, 2.0, 0.0)
    assert queue.rest(2.0, is_behind=False) == 0
    queue.tidied(0.002, 2.0)
    assert queue.rest(2.0, is_behind=True) == queue.rest_of_tidying(2.0) > 0


def test_acknowledgements_and_logins_let_no_one_rest() -> None:
    """Who receives what a user sends is no other user that waits."""
    queue, now = flooded(Acknowledge(BOB, b"main", 1, 0.0), FindMember("alice"))
    assert queue.rest(now, is_behind=False) == 0
    assert queue.take(512, now)


@given(
    some.lists(
        some.tuples(some.integers(1, 5), some.integers(1, 80), some.floats(0, 0.05), some.floats(0, 0.5)), max_size=40
    )
)
def test_every_request_is_carried_out_once_and_those_of_a_user_in_their_order(
    steps: list[tuple[int, int, float, float]],
) -> None:
    queue = RequestQueue()
    now, number = 0.0, 0
    expected: dict[int | None, list[bytes]] = {}
    got: dict[int | None, list[bytes]] = {}

    def note(requests: list[Request[object]]) -> None:
        for request in requests:
            assert isinstance(request, Append)
            got.setdefault(request.sender, []).append(request.id)

    for user, count, seconds, pause in steps:
        new = [message(user, number + each) for each in range(count)]
        number += count
        expected.setdefault(user, []).extend(each.id for each in new)
        queue.add(asked(*new), now)
        note(serve(queue, now, seconds))
        now += seconds + pause
    while queue:
        rest = queue.rest(now, is_behind=False)
        assert 0 <= rest < 1  # it never waits for long, and never forever
        now += rest + 0.000_001
        note(serve(queue, now, 0.01))
        now += 0.01
    assert got == expected
