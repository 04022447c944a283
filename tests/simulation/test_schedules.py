"""Schedules of the simulated world: new ones, and those that must fail."""

import os
import subprocess
import sys

import pytest

from tests.simulation.disk import sqlite_library
from tests.simulation.planted import PLANTED

SECONDS = os.environ.get("TWOTICK_SIMULATE_SECONDS", "20")
"""The seconds of CPU for new schedules."""

pytestmark = [
    pytest.mark.skipif(sqlite_library() is None, reason="needs a shared library of SQLite, and /proc"),
    pytest.mark.timeout(600),  # a test takes 20 s of CPU, which other tests want as well
]


def simulate(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run schedules in a process of their own, whose clocks and file system are simulated."""
    command = [sys.executable, "-m", "tests.simulation.simulate", *arguments]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}  # otherwise it would start itself again with that
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def test_a_seed_repeats_exactly() -> None:
    """The same seed gives the same trace, alone or after others; in the last, there is TLS."""
    together = simulate("--first", "3", "--seeds", "4", "--digests").stdout.splitlines()[:4]
    assert [line.split()[0] for line in together] == ["3", "4", "5", "6"]
    alone = simulate("--seed", "6", "--digests").stdout.splitlines()[0]
    assert alone == together[3]


def test_new_schedules(capsys: pytest.CaptureFixture[str]) -> None:
    """docs/guarantees.md holds with seeds that nothing has tried before; the output says which they were."""
    result = simulate("--seconds", SECONDS)
    with capsys.disabled():
        print(f"\nsimulation: {result.stdout.splitlines()[-1]}")  # noqa: T201
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("faults", [list(PLANTED)[start::3] for start in range(3)], ids="+".join)
def test_planted_faults_are_found(faults: list[str]) -> None:
    """The simulation finds each fault within the stated number of schedules. One process starts for several of them."""
    result = simulate("--find", *faults)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Error" not in result.stderr
