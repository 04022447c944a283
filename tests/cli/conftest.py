"""Fixtures of the command's tests."""

import pytest

from tests.sockets import ServerProcess


@pytest.fixture(scope="session")
def address(server: ServerProcess) -> str:
    """HOST:PORT of a running server."""
    host, port = server.address
    return f"{host}:{port}"
