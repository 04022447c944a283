"""Schedules of several servers on one simulated database: new ones, and those that must fail."""

import random
import re

import pytest

from tests.simulation.several import first_problem

pytestmark = pytest.mark.timeout(300)


def test_new_schedules() -> None:
    """All that was accepted arrives once and in order; a failure names the seed."""
    first = random.SystemRandom().randrange(1 << 32)
    assert first_problem(range(first, first + 4)) is None


def test_what_is_read_before_the_standby_has_it_is_found() -> None:
    """Without the barrier, a device is given what a failover takes back. One schedule in six or so shows it."""
    first = random.SystemRandom().randrange(1 << 32)
    found = first_problem(range(first, first + 120), barrier=False)
    assert found is not None, f"none of the schedules from {first} on shows it"
    assert re.search("as entry|has entry|was accepted, and is 0 times", "".join(found[1])), found
