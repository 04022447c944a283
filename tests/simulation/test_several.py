"""Schedules of several servers on one simulated database: new ones, and those that must fail."""

import os
import random
import subprocess
import sys

import pytest

from tests.simulation.several import first_problem

pytestmark = pytest.mark.timeout(300)


def test_new_schedules() -> None:
    """All that was accepted arrives once and in order; a failure names the seed."""
    first = random.SystemRandom().randrange(1 << 32)
    assert first_problem(range(first, first + 4)) is None


def test_what_is_read_before_the_standby_has_it_is_found() -> None:
    """Without the barrier, a device is given what a failover takes back. With the same hashes, the seed shows it."""
    command = [sys.executable, "-m", "tests.simulation.several", "--first", "60", "--seeds", "200", "--no-barrier"]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "as entry" in result.stdout
