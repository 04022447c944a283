"""`twotick bench`."""

import json

import pytest

from tests.cli.commands import run


def test_it_says_how_many_deliveries_a_second_there_were_and_how_long_they_took(address: str) -> None:
    ended = run("bench", "--pairs", "2", "--window", "4", "--deliveries", "100", "--server", address)
    assert ended.returncode == 0
    assert "deliveries/s; from send to answer p50 " in ended.stdout
    assert "(100 deliveries in " in ended.stdout
    assert "2 pairs, 4 in flight each, 64 bytes" in ended.stdout


@pytest.mark.parametrize("deliveries", [1, 7, 200])
def test_it_says_so_to_programs(address: str, deliveries: int) -> None:
    options = ["--pairs", "3", "--window", "1", "--size", "0", "--deliveries", str(deliveries)]
    ended = run("bench", *options, "--json", "--server", address)
    result = json.loads(ended.stdout)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert [result[name] for name in ("pairs", "window", "size", "deliveries")] == [3, 1, 0, deliveries]
    assert result["deliveries_per_second"] == pytest.approx(deliveries / result["seconds"])
    assert 0 < result["p50_ms"] <= result["p90_ms"] <= result["p99_ms"] <= result["max_ms"]


def test_messages_that_the_server_does_not_take_have_status_76(address: str) -> None:
    ended = run("bench", "--size", str(2 << 20), "--deliveries", "5", "--server", address)
    assert (ended.returncode, ended.stdout) == (76, "")
    assert "is the message too large for it?" in ended.stderr


def test_a_load_that_makes_no_sense_has_status_64(address: str) -> None:
    for wrong in (["--pairs", "0"], ["--window", "257"], ["--size", "-1"]):
        assert run("bench", *wrong, "--server", address).returncode == 64
