"""The time that a store keeps, and what an accepted change of it does to deadlines and ages (docs/operations.md)."""

import pytest

from tests.store.conftest import AskerMaker
from tests.store.helpers import NOW, Asker
from twotick.store import AcceptTime, KeepTime, ReadTimes, StoreLimits
from twotick.store.requests.messages import Expire, Prune

DAY = 86_400


@pytest.fixture
def asker(new_asker: AskerMaker) -> Asker:
    asker = new_asker(StoreLimits())
    asker.add("alice", "bob")
    return asker


def test_a_time_that_another_process_has_kept_stays(asker: Asker) -> None:
    assert asker.ask(KeepTime(5, None)) == 5
    assert asker.ask(KeepTime(7, 5)) == 7
    assert asker.ask(KeepTime(9, 5)) == 7, "another process has kept 7 since"
    assert asker.ask(KeepTime(9, 5, tolerance=2.0)) == 9, "a server's clock may differ by as much"
    assert asker.ask(ReadTimes()).kept == 9


def test_the_newest_message_tells_a_time(asker: Asker) -> None:
    assert asker.ask(ReadTimes()).newest is None
    asker.send("alice", "bob", time=NOW + 3)
    assert asker.ask(ReadTimes()).newest == NOW + 3


def test_deadlines_move_with_a_time_that_is_accepted(asker: Asker) -> None:
    asker.ask(KeepTime(int(NOW), None))
    asker.send("alice", "bob", expires=NOW + 10)
    asker.ask(AcceptTime(int(NOW) + DAY))
    asker.ask(Expire(NOW + DAY + 9))
    assert [each.body for each in asker.log("bob")] == [b"hello"]
    asker.ask(Expire(NOW + DAY + 11))
    assert asker.log("bob") == []


def test_the_first_time_that_is_accepted_moves_no_deadline(asker: Asker) -> None:
    asker.send("alice", "bob", expires=NOW + 10)
    asker.ask(AcceptTime(int(NOW) + DAY))
    asker.ask(Expire(NOW + 11))
    assert asker.log("bob") == []


def test_messages_stay_for_a_whole_period_after_a_time_is_accepted(asker: Asker) -> None:
    """How old they are is not known."""
    asker.ask(KeepTime(int(NOW), None))
    asker.send("alice", "bob")
    asker.ack("bob", 1)
    asker.ack("alice", 9)
    later = NOW + 30 * DAY
    asker.ask(AcceptTime(int(later)))
    while asker.ask(Prune(later + DAY, 7.0 * DAY)):
        pass
    assert [each.body for each in asker.log("bob")] == [b"hello"]
    while asker.ask(Prune(later + 8 * DAY, 7.0 * DAY)):
        pass
    assert asker.log("bob") == []
