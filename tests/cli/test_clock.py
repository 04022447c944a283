"""`twotick clock`: what the operator says about the system's clock."""

import json
import signal
import time
from pathlib import Path

import pytest

from tests.cli.operating import Operator
from twotick.store import KeepTime, SqliteStore, StoreLimits


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    operator = Operator(tmp_path / "data")
    operator.prepare("alice")
    return operator


def keep(operator: Operator, seconds_ago: float) -> None:
    """Let the last server on this data have kept a time."""
    store = SqliteStore(operator.data, StoreLimits())
    store.ask(KeepTime(int(time.time() - seconds_ago), None))
    store.close()


def test_a_clock_is_compared_and_accepted(operator: Operator) -> None:
    keep(operator, 500 * 86400)
    said = operator.do("clock")
    assert "the system's clock is 500 days ahead of that\n" in said
    assert said.endswith("it is not believed: set it right, or run 'twotick clock --accept'\n")
    assert operator.do("clock", "--accept") == "accepted: messages age by the system's clock from now on\n"
    assert operator.do("clock").endswith("\nit is believed\n")


def test_a_running_server_notices_that_its_clock_was_accepted(operator: Operator) -> None:
    keep(operator, 500 * 86400)
    with operator.serving() as (server, _):
        line = json.loads(server.stderr.readline())
        assert (line["event"], line["level"]) == ("the system's clock is not believed", "warning")
        assert line["reason"] == "it is 500 days ahead of the time that the server expects"
        operator.do("clock", "--accept")
        assert json.loads(server.stderr.readline())["event"] == "the system's clock is believed again"
        ended = server.end(signal.SIGTERM)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_without_a_server_there_is_nothing_to_compare_with(operator: Operator) -> None:
    for arguments in (("clock",), ("clock", "--accept")):
        ended = operator.run(*arguments)
        assert ended.returncode == 65
        assert "no server has kept the time here" in ended.stderr
