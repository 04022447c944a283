"""Servers with a web page, and browsers."""

from collections.abc import Callable, Generator
from contextlib import ExitStack, closing

import pytest

from tests.server.web.browser import Browser
from tests.sockets import ServerProcess, serving
from twotick.server import ServerLimits


@pytest.fixture(scope="session")
def web_server() -> Generator[ServerProcess]:
    """A server with the default limits and a page, shared by all tests."""
    with serving(ServerLimits(), web=True) as server:
        yield server


@pytest.fixture
def browser(web_server: ServerProcess) -> Generator[Callable[[], Browser]]:
    """Connect to the page of the server that all share."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(closing(Browser(web_server)))
