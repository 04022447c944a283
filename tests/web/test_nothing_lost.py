"""Nothing that a person has written is lost or doubled, whatever ends at which moment."""

import asyncio
import os
from random import Random

import pytest
from playwright.async_api import Browser, expect

from tests.web.visitors import PASSWORD, Crowd, PageServer, Person
from twotick.client import join

pytestmark = pytest.mark.asyncio(loop_scope="session")

_ROUNDS = int(os.environ.get("TWOTICK_TEST_KILLS", "8"))
"""How often something is ended; `make crash-page` has 50 of it."""

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
    await expect(bob.bodies).to_have_text(written)
    await alice.expect_tick(written[-1], "read")
    await expect(alice.bodies).to_have_text(written)
    await crowd.close()


_FORGET_PLACE = """
    (text) =>
      new Promise((resolve, reject) => {
        const opening = indexedDB.open("twotick-member-alice");
        opening.onerror = () => reject(opening.error);
        opening.onsuccess = () => {
          const work = opening.result.transaction("messages", "readwrite");
          work.oncomplete = () => resolve(opening.result.close());
          const messages = work.objectStore("messages");
          messages.getAll().onsuccess = ({ target }) => {
            const message = target.result.find((each) => each.text === text);
            messages.put({ ...message, place: 2 ** 52, order: message.time * 1000 });
          };
        };
      })
"""
"""Makes a message as it is if the tab is closed after ACCEPTED, which for one sent again has no place."""


async def _forget_place(person: Person, text: str) -> None:
    await person.page.close()
    page = await person.context.new_page()
    await page.goto(f"{person.url}info.json")
    await page.evaluate(_FORGET_PLACE, text)
    await page.close()


async def test_a_place_that_was_not_learned_is_learned_later(browser: Browser, own_server: PageServer) -> None:
    """Until then no other message counts as read with it."""
    crowd = Crowd(browser, own_server)
    alice, bob = await crowd.person("alice"), await crowd.person("bob")
    await bob.page.close()
    await alice.talk_to("bob")
    async with join("bob", f"127.0.0.1:{own_server.port}", password=PASSWORD) as receiver:
        await alice.write("first")
        first = await receiver.receive()
        await first.ack()
        await alice.write("second")
        await (await receiver.receive()).ack()
        await alice.expect_tick("second", "delivered")
        await _forget_place(alice, "first")
        await receiver.mark_read("alice", first.seq)
    await alice.open()
    await alice.choose("bob")
    await alice.expect_tick("first", "read")
    await expect(alice.bodies).to_have_text(["first", "second"])
    await alice.expect_tick("second", "delivered")
    await _forget_place(alice, "first")
    await alice.open()
    await alice.choose("bob")
    await expect(alice.bodies).to_have_text(["first", "second"])
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
    await expect(alice.page.get_by_role("dialog")).to_have_count(0)  # until then, no key reaches the box
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
