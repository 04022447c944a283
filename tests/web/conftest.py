"""One browser and one server for all tests of a worker; each person in a test has a profile of their own."""

from collections.abc import AsyncGenerator, Generator
from itertools import count
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from tests.tools import needed
from tests.web.visitors import Crowd, PageServer

_FLAGS: Final = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # No windows of its own interface, and no processes in advance.
    "--disable-features=PreloadTopChromeWebUI,PreloadTopChromeWebUILessNavigations,WebUIOmniboxPopup,"
    "SpareRendererForSitePerProcess,AndroidSpareRenderer",
    "--disable-dev-shm-usage",
    "--use-fake-device-for-media-stream",  # a microphone that beeps
]

_NUMBERS = count(1)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncGenerator[Browser]:
    """Debian's Chromium, without a window."""
    path = needed("chromium", "apt-get install chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=_FLAGS)
        yield browser
        await browser.close()


@pytest.fixture(scope="session")
def page_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[PageServer]:
    """A server that all tests share."""
    server = PageServer(tmp_path_factory.mktemp("server"))
    yield server
    server.kill()


@pytest.fixture
def own_server(tmp_path: Path) -> Generator[PageServer]:
    """A server for one test alone, which may kill it."""
    server = PageServer(tmp_path)
    yield server
    server.kill()


@pytest_asyncio.fixture(loop_scope="session")
async def crowd(browser: Browser, page_server: PageServer) -> AsyncGenerator[Crowd]:
    """The people of a test."""
    crowd = Crowd(browser, page_server)
    yield crowd
    await crowd.close()


@pytest.fixture
def names() -> list[str]:
    """Three names that no other test uses."""
    number = next(_NUMBERS)
    return [f"{name}{number}" for name in ("alice", "bob", "carol")]
