"""Crash a server a few times; `make crash` does it 200 times."""

from tests.simulation.crash import run


async def test_a_server_that_is_killed_keeps_its_promises() -> None:
    """docs/guarantees.md: no accepted message is lost, doubled or out of order, and every sender knows its state."""
    assert "each delivered once and in order" in await run(crashes=8, seed=1)
