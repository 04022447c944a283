"""What people do besides writing: rooms, search, pins, threads, forwarding, receipts, blocks, profiles, devices."""

import asyncio

import pytest
from playwright.async_api import expect

import twotick
from tests.web.visitors import PASSWORD, Crowd, PageServer, Person

pytestmark = pytest.mark.asyncio(loop_scope="session")


_NOTIFICATIONS = """async (counts) => {
    const worker = await navigator.serviceWorker.ready;
    for (;;) {
        const shown = await worker.getNotifications();
        if (String(shown.map((each) => each.data.count)) === String(counts))
            return shown.map((each) => [each.title, each.body, each.tag]);
        await new Promise((go) => setTimeout(go, 50));
    }
}"""
"""Waits until notifications with these numbers of messages are shown, and returns them."""


async def _act(person: Person, text: str, action: str) -> None:
    """Choose an action of the menu of a message."""
    body = person.page.locator(".body", has_text=text)  # and no quotation
    row = person.page.get_by_role("article").filter(has=body).last
    await row.hover()
    await row.get_by_role("button", name="Actions").click()
    await row.get_by_role("group", name="Actions").get_by_role("button", name=action, exact=False).first.click()


async def test_messages_are_searched_pinned_forwarded_and_reported(
    crowd: Crowd, page_server: PageServer, names: list[str]
) -> None:
    alice = await crowd.person(names[0])
    page = alice.page
    async with twotick.join(names[1], f"127.0.0.1:{page_server.port}", password=PASSWORD, sign_up="yes") as bob:
        first = await bob.send(names[0], "the wild oats are ripe")
        await bob.send(names[0], "shall we?", reply_to=(names[1], first.id))
        await alice.choose(names[1])
        await alice.expect_message("shall we?")
        await _act(alice, "shall we?", "Pin")
        await expect(page.get_by_text("Pinned.", exact=True)).to_be_visible()
        await _act(alice, "shall we?", "Unpin")  # the menu says what the server knows
        await expect(page.get_by_text("No longer pinned.")).to_be_visible()
        await _act(alice, "shall we?", "Pin")
        await page.get_by_role("button", name="Details").click()
        await page.get_by_role("button", name="Pinned messages").click()
        pins = page.get_by_role("dialog", name="Pinned")
        await expect(pins.get_by_text("shall we?")).to_be_visible()
        await pins.get_by_role("button", name="Unpin").click()
        await expect(pins.get_by_text("No message is pinned.")).to_be_visible()
        await page.keyboard.press("Escape")
        await _act(alice, "shall we?", "Thread")
        await expect(page.get_by_role("dialog").get_by_text("the wild oats are ripe")).to_be_visible()
        await page.get_by_role("dialog").get_by_role("button", name="Reply").click()
        await expect(page.get_by_role("textbox", name="Message")).to_be_focused()
        await expect(page.get_by_text(f"Reply to {names[1]}")).to_be_visible()
        await alice.write("yes")
        await alice.expect_tick("yes", "stored")
        await _act(alice, "yes", "Receipts")
        await expect(page.get_by_role("dialog").get_by_text("stored")).to_be_visible()
        await page.keyboard.press("Escape")
        await alice.talk_to(names[0])
        await alice.choose(names[1])
        await _act(alice, "shall we?", "Forward")
        await page.get_by_role("dialog").get_by_role("button", name=names[0]).click()
        await expect(page.get_by_role("heading", name=names[0])).to_be_visible()
        await alice.expect_message(f"Forwarded from {names[1]}")
        await expect(page.get_by_role("article")).to_contain_text("shall we?")
        await page.get_by_role("textbox", name="Search").fill("wild oat*")
        await page.keyboard.press("Enter")
        found = page.get_by_role("region", name="Messages").get_by_role("button")
        await expect(found).to_contain_text("the wild oats are ripe")
        await found.click()
        await page.get_by_role("textbox", name="Search").fill("")
        await page.get_by_role("button", name="Details").click()
        await page.get_by_role("button", name=f"Report {names[1]}").click()
        await page.get_by_label("What is wrong?").fill("too many oats")
        await page.get_by_role("button", name="Report", exact=True).click()
        await expect(page.get_by_text("The operator will see your report.")).to_be_visible()


async def test_a_found_message_is_shown_among_those_around_it(
    crowd: Crowd, page_server: PageServer, names: list[str]
) -> None:
    """Also one that the browser has not stored; older and newer ones follow, and a button leads back."""
    where = f"127.0.0.1:{page_server.port}"
    async with (
        twotick.join(names[1], where, password=PASSWORD, sign_up="yes") as bob,
        twotick.join(names[0], where, password=PASSWORD, sign_up="yes"),
    ):
        for n in range(9):
            await bob.send(names[0], f"number {n}")
        first = await bob.send(names[0], "the wild oats are ripe")
        await asyncio.gather(*(bob.send(names[0], f"later {n}") for n in range(150)))
        await bob.send(names[0], "shall we?", reply_to=(names[1], first.id))
    alice = await crowd.person(names[0], fresh=False)
    await alice.sign_in()
    page = alice.page
    log = page.get_by_role("log")
    # All have come: those that come while the conversation is open are shown in it.
    await expect(page.get_by_role("navigation").get_by_role("link", name=names[1])).to_contain_text("161 unread")
    await alice.choose(names[1])
    await alice.expect_message("shall we?")
    await expect(log.get_by_text("the wild oats are ripe")).to_have_count(0)
    search = page.get_by_role("textbox", name="Search")
    await search.fill("from:")
    await page.get_by_role("button", name=names[1], exact=True).click()
    await expect(search).to_have_value(f"from:{names[1]} ")
    await search.press_sequentially('"wild oats" before:yesterday')
    await search.press("Enter")
    await expect(page.get_by_text("No message matches.")).to_be_visible()
    await search.fill(f"from:{names[1]} wil after:2020 has:what")
    await search.press("Enter")
    await expect(page.get_by_text("has:file finds messages with a file")).to_be_visible()
    await search.fill(f"from:{names[1]} wil after:2020")
    await search.press("Enter")
    await page.get_by_role("region", name="Messages").get_by_role("button", name="wild oats").click()
    found = log.get_by_role("article").filter(has_text="the wild oats are ripe")
    await expect(found).to_be_focused()
    await expect(log.get_by_text("number 0", exact=True)).to_have_count(1)
    await expect(log.get_by_text("later 149", exact=True)).to_have_count(0)  # the time follows: "later 14", "9:30"
    await found.press("+")
    await page.get_by_role("button", name="React 👍").click()
    await expect(found.get_by_role("button", name=f"👍: {names[0]}")).to_be_visible()
    await page.get_by_role("button", name="To the newest message").click()
    await alice.expect_message("shall we?")
    await expect(found).to_have_count(0)
    await log.get_by_role("button", name="an earlier message").click()
    await expect(found).to_be_focused()
    while not await log.get_by_text("shall we?").count():  # newer ones come by scrolling, until the newest are there
        last = await log.get_by_role("article").last.get_attribute("data-uid")
        await log.evaluate("box => { box.scrollTop = box.scrollHeight }")
        await expect(log.get_by_role("article").last).not_to_have_attribute("data-uid", last or "")
    shown = [text for text in await alice.bodies.all_inner_texts() if text.startswith("later")]
    assert shown == sorted(set(shown), key=shown.index)
    await alice.expect_message("shall we?")


async def test_conversations_are_muted_pinned_closed_and_blocked(crowd: Crowd, names: list[str]) -> None:
    alice, bob = await crowd.person(names[0]), await crowd.person(names[1])
    page = alice.page
    await alice.talk_to(bob.name)
    await alice.write("hello")
    await alice.expect_tick("hello", "delivered")
    row = page.get_by_role("navigation").get_by_role("link", name=bob.name)
    await page.get_by_role("button", name="Details").click()
    mute = page.get_by_role("group", name="Mute")
    await mute.get_by_role("button", name="For 1 hour").click()
    await expect(page.get_by_role("button", name="Unmute")).to_contain_text("Muted until")
    await page.get_by_role("button", name="Unmute").click()
    await mute.get_by_role("button", name="Until tomorrow, 8:00 AM").click()
    await page.get_by_role("button", name="Unmute").click()
    await mute.get_by_role("button", name="Until I change it").click()
    await expect(page.get_by_role("button", name="Unmute")).to_have_text("Unmute")
    await page.get_by_role("button", name="Keep at the top").click()
    await expect(page.get_by_role("button", name="No longer at the top")).to_be_visible()
    await page.get_by_role("button", name=f"Block {bob.name}").click()
    await expect(page.get_by_role("button", name=f"Unblock {bob.name}")).to_be_visible()
    await page.keyboard.press("Escape")
    await bob.choose(alice.name)
    await bob.write("do you hear me?")
    await bob.expect_tick("do you hear me?", "stored")
    await page.get_by_role("button", name="Details").click()
    await page.get_by_role("button", name="Close the conversation").click()
    await expect(row).to_have_count(0)
    await expect(page.get_by_text("do you hear me?")).to_have_count(0)


async def test_a_notification_is_shown_for_each_conversation_and_opens_it(
    crowd: Crowd, page_server: PageServer, names: list[str]
) -> None:
    alice = await crowd.person(names[0], permissions=["notifications"])
    page = alice.page
    await page.locator("#app[data-offline=yes]").wait_for()
    await page.evaluate("Object.defineProperty(document, 'visibilityState', {value: 'hidden', configurable: true})")
    async with twotick.join(names[1], f"127.0.0.1:{page_server.port}", password=PASSWORD, sign_up="yes") as bob:
        for text in "one", "two":
            receipt = await bob.send(names[0], text)
            await receipt.delivered()
    shown = await page.evaluate(_NOTIFICATIONS, [2])
    assert shown == [[names[1], "2 new messages\ntwo", names[1].lower()]]
    worker = alice.context.service_workers[0]
    await worker.evaluate(
        """async () => {
            const [notification] = await self.registration.getNotifications();
            self.dispatchEvent(new NotificationEvent("notificationclick", { notification }));
        }"""
    )
    await alice.expect_message("two")
    await page.evaluate("Object.defineProperty(document, 'visibilityState', {value: 'visible', configurable: true})")
    await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    assert await page.evaluate(_NOTIFICATIONS, []) == []
    await page.evaluate("delete window.Notification")
    await page.get_by_role("button", name="Settings").click()
    await expect(page.get_by_text("This browser has no notifications")).to_be_visible()


async def test_people_see_who_is_there_and_who_types(crowd: Crowd, names: list[str]) -> None:
    alice, bob = await crowd.person(names[0]), await crowd.person(names[1])
    await alice.talk_to(bob.name)
    await alice.write("hello")
    await alice.expect_tick("hello", "delivered")
    await bob.choose(alice.name)
    await expect(bob.page.get_by_text("here", exact=True)).to_be_visible()
    await bob.write("hello, too")  # from now on, alice may see him
    await alice.expect_message("hello, too")
    await bob.page.get_by_role("textbox", name="Message").press_sequentially("let me think")
    await expect(alice.page.get_by_text(f"{bob.name} is typing")).to_be_visible()
    await bob.page.get_by_role("button", name="Settings").click()
    await bob.page.get_by_label("Display name").fill("Bob Miller")
    await bob.page.get_by_label("Status text").fill("back at noon")
    await bob.page.get_by_role("button", name="Save").click()
    await expect(alice.page.get_by_role("heading", name="Bob Miller")).to_be_visible()
    head = alice.page.get_by_role("region", name=bob.name)
    await expect(head.get_by_text("here · back at noon")).to_be_visible()
    await bob.page.get_by_label("Others see whether I am here").uncheck()
    await expect(head.get_by_text("back at noon", exact=True)).to_be_visible()
    await expect(bob.page.get_by_text("You are shown as not connected.")).to_be_visible()


async def test_a_device_is_logged_out_and_the_password_is_changed(crowd: Crowd, names: list[str]) -> None:
    alice = await crowd.person(names[0])
    other = await crowd.person(names[0], fresh=False)
    await other.sign_in()
    page = alice.page
    await page.get_by_role("button", name="Settings").click()
    await page.get_by_text("Change the password").click()
    await page.get_by_label("Current password").fill("something else")
    await page.get_by_label("New password").fill("a better password")
    await page.get_by_role("button", name="Change", exact=True).click()
    await expect(page.get_by_role("alert")).to_have_text("The current password is wrong.")
    await page.get_by_label("Current password").fill(PASSWORD)
    await page.get_by_label("Log out all other devices").check()
    await page.get_by_role("button", name="Change", exact=True).click()
    await expect(page.get_by_text("The password is changed.")).to_be_visible()
    await expect(other.page.get_by_role("button", name="Sign in")).to_be_visible()
    await expect(other.page.get_by_role("alert")).to_contain_text("This browser was logged out from another device")
    await other.sign_in("a better password")
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    assert await page.evaluate("indexedDB.databases().then((all) => all.map((each) => each.name))") == ["twotick"]


async def test_what_is_being_written_is_completed(crowd: Crowd, page_server: PageServer, names: list[str]) -> None:
    """Names of members, emoji and commands, by keys and by the mouse, with the keys of the terminal app."""
    alice = await crowd.person(names[0])
    page, room, where = alice.page, f"#{names[0]}", f"127.0.0.1:{page_server.port}"
    box, listed = page.get_by_role("textbox", name="Message", exact=True), page.get_by_role("listbox")
    async with (
        twotick.join(names[1], where, password=PASSWORD, sign_up="yes") as bob,
        twotick.join(names[2], where, password=PASSWORD, sign_up="yes") as carol,
    ):
        await bob.create_room(room, public=True)
        await carol.join_room(room)
        await page.get_by_role("button", name="Rooms").click()
        await page.get_by_role("listitem").filter(has_text=room).get_by_role("button", name="Join").click()
        await expect(page.get_by_role("heading", name=room)).to_be_visible()
        await expect(box).to_be_focused()
        await box.press_sequentially(f"hello @{names[1]}")
        await expect(listed.get_by_role("option")).to_have_text([f"@{names[1]}"])
        await expect(box).to_have_attribute("aria-activedescendant", "completion-0")
        await box.press("Tab")
        await expect(box).to_have_value(f"hello @{names[1]} ")
        await expect(listed).to_have_count(0)
        await box.fill("@")
        await expect(listed.get_by_role("option")).to_have_count(2)
        second = await listed.get_by_role("option").nth(1).text_content()
        await box.press("ArrowDown")
        await expect(listed.get_by_role("option", selected=True)).to_have_text(second or "")
        await box.press("Enter")
        await expect(box).to_have_value(f"{second} ")
        await box.fill("fine :party_pop")
        await listed.get_by_role("option").first.click()
        await expect(box).to_have_value("fine 🎉")
        await expect(box).to_be_focused()
        await box.fill("@")
        await expect(listed).to_be_visible()
        await box.press("Escape")
        await expect(listed).to_have_count(0)
        await box.fill("@nobody")
        await box.press("Enter")
        await alice.expect_message("@nobody")
        row = page.get_by_role("article").filter(has_text="@nobody")
        await row.press("+")
        await row.get_by_role("group", name="Actions").get_by_role("button", name="Emoji", exact=True).click()
        await page.get_by_role("textbox", name="Search emoji by name").fill("party_pop")
        await page.keyboard.press("Enter")
        await expect(row.get_by_role("button", name=f"🎉: {names[0]}")).to_be_visible()
        await expect(row).to_be_focused()
        await box.fill("/pi")
        await expect(listed.get_by_role("option")).to_have_text(["/pinsPinned messages"])
        await box.press("Enter")
        await expect(page.get_by_role("dialog", name="Pinned messages")).to_be_visible()
        await expect(box).to_have_value("")
        await page.keyboard.press("Escape")
        for command, told in (("/mute 2h", "Unmute"), ("/mute off", "Mute")):
            await box.fill(command)
            await box.press("Enter")
            await expect(box).to_have_value("")
            await box.fill("/mu")
            await expect(listed.get_by_role("option")).to_have_text([f"/mute [2h]{told}"])
        for wrong in ("/mute soon", "/mute 0h"):
            await box.fill(wrong)
            await box.press("Enter")
            await expect(page.get_by_text("Write it like this: /mute 30m")).to_be_visible()
            await box.fill("/mu")
            await expect(listed.get_by_role("option")).to_have_text(["/mute [2h]Mute"])
        await box.fill("/pins soon")
        await box.press("Enter")
        await alice.expect_message("/pins soon")
        await box.fill(f"/to {names[2]}")
        await box.press("Enter")
        await expect(page.get_by_role("heading", name=names[2])).to_be_visible()
