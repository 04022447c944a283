"""Fixtures for the tests of the client library."""

import logging
from collections.abc import AsyncIterator, Iterator

import pytest

from twotick.server import Server, ServerLimits


@pytest.fixture(autouse=True)
def no_error_in_a_callback(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail a test if a callback raised an exception, which the event loop only logs."""
    yield
    assert [record.getMessage() for record in caplog.get_records("call") if record.levelno >= logging.ERROR] == []


@pytest.fixture
async def address() -> AsyncIterator[str]:
    """Run a server in this event loop, and give its HOST:PORT."""
    running = Server(ServerLimits())
    host, port = await running.start("127.0.0.1", 0)
    yield f"{host}:{port}"
    await running.stop()
