"""A short form of `make crash`."""

from tests.simulation.crash import run


async def test_a_server_that_is_killed_keeps_its_promises() -> None:
    """docs/guarantees.md: nothing that was accepted is lost, doubled or out of order, and every sender knows."""
    assert "each delivered once and in order" in await run(crashes=8, seed=1)
