"""Fixtures of the library's tests."""

import logging
from collections.abc import AsyncIterator, Iterator

import pytest

from twotick.server import Server, ServerLimits


@pytest.fixture(autouse=True)
def no_error_in_a_callback(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """The event loop only logs what its callbacks raise."""
    yield
    assert [record.getMessage() for record in caplog.get_records("call") if record.levelno >= logging.ERROR] == []


@pytest.fixture
async def address() -> AsyncIterator[str]:
    """HOST:PORT of a server of our own, in this event loop."""
    running = Server(ServerLimits())
    host, port = await running.start("127.0.0.1", 0)
    yield f"{host}:{port}"
    await running.stop()
