"""Servers to test against."""

import signal
from collections.abc import Callable, Iterator

import pytest

from tests.sockets import ServerProcess, Visitors
from twotick.server import ServerLimits


@pytest.fixture(scope="session")
def server() -> Iterator[ServerProcess]:
    """A server with the default limits, shared by all tests."""
    process = ServerProcess(ServerLimits())
    yield process
    process.signal(signal.SIGTERM)
    process.wait()


@pytest.fixture
def visitors(server: ServerProcess) -> Iterator[Visitors]:
    """The connections of one test to the server that all share; no name is taken."""
    visitors = Visitors(server)
    yield visitors
    visitors.leave()


@pytest.fixture
def start_server() -> Iterator[Callable[[ServerLimits], Visitors]]:
    """Start a server with limits of its own. It is stopped in good order unless it has ended by then."""
    started: list[Visitors] = []

    def start(limits: ServerLimits) -> Visitors:
        started.append(Visitors(ServerProcess(limits)))
        return started[-1]

    yield start
    for visitors in started:
        if visitors.server.running:
            visitors.leave()
            visitors.server.signal(signal.SIGTERM)
        visitors.server.wait()
