"""Whether somebody is at the keys."""

import pytest

from twotick.ui.app.session.activity import IDLE, ActivityMonitor


class Somebody:
    """Somebody at a terminal, and what others are told."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.told: list[bool] = []
        self.attendance = ActivityMonitor(self.told.append, lambda: self.time)

    def waits(self, seconds: float) -> None:
        self.time += seconds
        self.attendance.look()


@pytest.fixture
def somebody() -> Somebody:
    return Somebody()


def test_somebody_is_here_at_first(somebody: Somebody) -> None:
    assert somebody.told == [True]


def test_whoever_does_nothing_for_ten_minutes_is_away_until_a_key(somebody: Somebody) -> None:
    somebody.waits(IDLE - 1)
    assert somebody.told == [True]
    somebody.waits(2)
    somebody.waits(100)
    assert somebody.told == [True, False]
    somebody.attendance.acted()
    assert somebody.told == [True, False, True]
    somebody.waits(IDLE - 1)
    somebody.attendance.acted()
    somebody.waits(IDLE - 1)
    assert somebody.told == [True, False, True]


def test_whoever_looks_elsewhere_is_away(somebody: Somebody) -> None:
    somebody.attendance.focus(False)
    assert somebody.told == [True, False]
    somebody.waits(IDLE * 2)
    somebody.attendance.focus(True)
    assert somebody.told == [True, False, True]


def test_whoever_types_is_here_also_where_terminals_do_not_tell_of_their_focus(somebody: Somebody) -> None:
    somebody.attendance.focus(False)
    somebody.attendance.acted()
    assert somebody.told == [True, False, True]


def test_whoever_has_chosen_to_be_away_stays_so(somebody: Somebody) -> None:
    somebody.attendance.be_away(True)
    somebody.attendance.acted()
    somebody.attendance.focus(True)
    assert somebody.told == [True, False]
    somebody.attendance.be_away(False)
    assert somebody.told == [True, False, True]
