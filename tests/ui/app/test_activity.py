"""Tests of the detection of activity."""

import pytest

from twotick.ui.app.session.activity import IDLE, ActivityMonitor


class UserAtTerminal:
    """A user at a terminal, and the reported presence."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.told: list[bool] = []
        self.attendance = ActivityMonitor(self.told.append, lambda: self.time)

    def waits(self, seconds: float) -> None:
        self.time += seconds
        self.attendance.look()


@pytest.fixture
def user() -> UserAtTerminal:
    return UserAtTerminal()


def test_the_user_is_here_at_the_start(user: UserAtTerminal) -> None:
    assert user.told == [True]


def test_the_user_is_away_after_ten_minutes_without_a_key(user: UserAtTerminal) -> None:
    user.waits(IDLE - 1)
    assert user.told == [True]
    user.waits(2)
    user.waits(100)
    assert user.told == [True, False]
    user.attendance.acted()
    assert user.told == [True, False, True]
    user.waits(IDLE - 1)
    user.attendance.acted()
    user.waits(IDLE - 1)
    assert user.told == [True, False, True]


def test_a_user_without_focus_is_away(user: UserAtTerminal) -> None:
    user.attendance.focus(False)
    assert user.told == [True, False]
    user.waits(IDLE * 2)
    user.attendance.focus(True)
    assert user.told == [True, False, True]


def test_typing_means_here_even_if_the_terminal_does_not_report_focus(user: UserAtTerminal) -> None:
    user.attendance.focus(False)
    user.attendance.acted()
    assert user.told == [True, False, True]


def test_a_user_who_chose_away_stays_away(user: UserAtTerminal) -> None:
    user.attendance.be_away(True)
    user.attendance.acted()
    user.attendance.focus(True)
    assert user.told == [True, False]
    user.attendance.be_away(False)
    assert user.told == [True, False, True]
