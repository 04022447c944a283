"""The main way through the page in Firefox; all other tests of the page use Chromium."""

from pathlib import Path

import pytest

import twotick
from tests.tools import wanted
from tests.web.firefox import ENTER, TAB, firefox
from tests.web.visitors import PASSWORD, PageServer

pytestmark = pytest.mark.asyncio(loop_scope="session")

TICKS = "[...document.querySelectorAll('[role=log] article')].filter((row) => row.textContent.includes('{text}'))"


COMPLETED = """performance.getEntriesByType('resource').filter(({name}) =>
    /(views.complete|model.completion|more.en)[.]js$/.test(name)).length >= 3"""
"""Whether the completion of names is loaded: Firefox takes it for an error if it loads when the page is left."""


async def test_a_message_is_written_and_kept_in_firefox(
    page_server: PageServer, names: list[str], tmp_path: Path
) -> None:
    """Sign up, write, see the ticks, get an answer; all is there after the page is loaded again."""
    program = wanted("firefox-esr", "firefox", how="apt-get install firefox-esr")
    alice, bob = names[:2]
    async with (
        twotick.join(bob, f"127.0.0.1:{page_server.port}", password=PASSWORD, sign_up="yes") as friend,
        firefox(program, tmp_path) as tab,
    ):
        await tab.open(page_server.url)
        await tab.click("textbox", "Name")
        await tab.type(alice + TAB + PASSWORD)
        await tab.click("button", "Sign up")
        await tab.find("navigation", "Conversations")
        await tab.click("button", "New conversation")
        await tab.click("textbox", "Name of the person")
        await tab.type(bob + ENTER)
        await tab.click("textbox", "Message")
        await tab.type("Hello from Firefox." + ENTER)
        said = await friend.receive()
        assert (said.sender, said.text) == (alice, "Hello from Firefox.")
        await said.ack()
        await said.read()
        await friend.send(alice, "Read in Firefox.")
        for _ in range(2):
            await tab.wait_for(f"{TICKS.format(text='Hello from Firefox.')}.length === 1")
            await tab.wait_for(f"{TICKS.format(text='Hello from Firefox.')}[0].textContent.includes('read')")
            await tab.wait_for(f"{TICKS.format(text='Read in Firefox.')}.length === 1")
            await tab.wait_for(COMPLETED)
            await tab.reload()
        assert tab.errors == []
