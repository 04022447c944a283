"""Nothing that a person has written is lost or doubled, whatever ends at which moment."""

import asyncio
from random import Random

import pytest
from playwright.async_api import Browser, expect

from tests.web.visitors import Crowd, PageServer

pytestmark = pytest.mark.asyncio(loop_scope="session")

_ROUNDS = 8
_LONGEST = 0.12
"""Seconds after Enter within which something is ended: about as long as a message needs for its tick."""


async def test_the_tab_or_the_server_is_killed_after_enter(browser: Browser, own_server: PageServer) -> None:
    """Afterwards each message is there once, in order, with its true tick."""
    crowd = Crowd(browser, own_server)
    alice, bob = await crowd.person("alice"), await crowd.person("bob")
    await bob.page.close()
    await alice.talk_to("bob")
    random = Random(13)
    written: list[str] = []
    for number in range(_ROUNDS):
        text = f"message {number}."
        box = alice.page.get_by_role("textbox", name="Message")
        await box.fill(text)
        await box.press("Enter", no_wait_after=True)
        # The moment is what is tested: nothing is expected to have happened by then.
        await asyncio.sleep(random.random() * _LONGEST)
        if random.random() < 0.5:
            own_server.kill()
            own_server.start()
        else:
            await alice.page.close()
            await alice.open()
            await expect(alice.page.get_by_role("button", name="Sign in")).to_have_count(0)
            await alice.choose("bob")
            box = alice.page.get_by_role("textbox", name="Message")
            # What the page had not stored when the tab was closed is in the box, and is sent now.
            if await box.input_value():
                assert await box.input_value() == text
                await box.press("Enter")
        written.append(text)
        await alice.expect_message(text)
    for text in written:
        await alice.expect_tick(text, "stored")
    await bob.open()
    await bob.choose("alice")
    await bob.expect_message(written[-1])
    assert await bob.texts() == written
    await alice.expect_tick(written[-1], "read")
    await expect(alice.page.get_by_role("article")).to_have_count(len(written))
    assert await alice.texts() == written
    await crowd.close()


async def test_the_page_opens_without_the_server(browser: Browser, own_server: PageServer) -> None:
    """The page, its messages and drafts are there offline, and what is written then goes out later."""
    crowd = Crowd(browser, own_server)
    alice, bob = await crowd.person("alice"), await crowd.person("bob")
    await alice.talk_to("bob")
    await alice.write("before")
    await alice.expect_tick("before", "delivered")
    await alice.page.locator("#app[data-offline=yes]").wait_for()
    await alice.page.close()
    own_server.kill()
    await alice.open()
    await alice.choose("bob")
    await alice.expect_message("before")
    await alice.page.get_by_role("button", name="Details").click()
    await alice.page.get_by_role("button", name="Close", exact=True).click()
    await alice.write("after")
    await alice.expect_tick("after", "waiting")
    own_server.start()
    await alice.expect_tick("after", "delivered")
    await bob.choose("alice")
    await bob.expect_message("after")
    await crowd.close()


async def test_tabs_share_one_connection(crowd: Crowd, names: list[str]) -> None:
    """A second tab follows the first, sends through it, and takes over when it is closed."""
    alice, bob = await crowd.person(names[0]), await crowd.person(names[1])
    await alice.talk_to(bob.name)
    first = alice.page
    second = await alice.open()
    await alice.choose(bob.name)
    await alice.write("from the second tab")
    await alice.expect_tick("from the second tab", "delivered")
    assert await first.evaluate("app.profile.session !== null") != await second.evaluate("app.profile.session !== null")
    await expect(first.get_by_role("article").filter(has_text="from the second tab")).to_have_count(1)
    await first.close()
    await alice.write("after the first tab")
    await alice.expect_tick("after the first tab", "delivered")
    await bob.choose(alice.name)
    await bob.write("still there?")
    await alice.expect_message("still there?")
