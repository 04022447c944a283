"""Messages on the page, as two people see them: ticks, the outbox, unread counts, history."""

import asyncio

import pytest
from playwright.async_api import Browser, WebSocketRoute, expect

import twotick
from tests.web.visitors import PASSWORD, Crowd, PageServer

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_ticks_are_true(crowd: Crowd, names: list[str]) -> None:
    """A message is stored, delivered and read when it is, and not before. Its time is that of the server for both."""
    alice = await crowd.person(names[0])
    bob = await crowd.person(names[1])
    await bob.page.close()
    await alice.page.evaluate("() => { const now = Date.now; Date.now = () => now() + 7_200_000; }")
    await alice.talk_to(bob.name)
    await alice.write("are you there?")
    await alice.expect_tick("are you there?", "stored")
    await bob.open()
    await alice.expect_tick("are you there?", "delivered")
    link = bob.page.get_by_role("navigation").get_by_role("link", name=alice.name)
    await expect(link).to_contain_text("1 unread")
    await link.click()
    await alice.expect_tick("are you there?", "read")
    await expect(link).not_to_contain_text("unread")
    time = await bob.page.get_by_role("article").locator(".when").get_attribute("title")
    await expect(alice.page.get_by_role("article").locator(".when")).to_have_attribute("title", time or "")
    await bob.write("yes")
    await alice.expect_message("yes")
    await alice.talk_to("nosuchuser")
    await alice.write("lost")
    await alice.expect_tick("lost", "failed: nosuchuser is not connected")


_TYPE_AHEAD = """async () => {
    const box = document.querySelector("#message-box");
    const type = async (text) => {
        box.value = text;
        box.dispatchEvent(new Event("input", { bubbles: true }));
        for (let n = 0; n < 50; n++) await null; // the page is drawn, and nothing is stored yet
    };
    await type("second");
    box.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true }));
    await type("third");
}"""
"""Sends a message, and begins the next one before the first is stored."""


async def test_what_is_written_offline_survives_a_reload_and_goes_out_in_order_once(
    browser: Browser, own_server: PageServer
) -> None:
    crowd = Crowd(browser, own_server)
    alice, bob = await crowd.person("alice"), await crowd.person("bob")
    await alice.talk_to("bob")
    await alice.write("first")
    await alice.expect_tick("first", "delivered")
    own_server.kill()
    await alice.page.evaluate(_TYPE_AHEAD)
    await alice.expect_tick("second", "waiting")
    await expect(alice.page.get_by_role("textbox", name="Message")).to_have_value("third")
    for number in range(5):
        await alice.write(f"offline {number}")
    await alice.expect_tick("offline 4", "waiting")
    await alice.page.get_by_role("textbox", name="Message").fill("a draft")
    await alice.page.close()
    own_server.start()
    await alice.open()
    await alice.choose("bob")
    await expect(alice.page.get_by_role("textbox", name="Message")).to_have_value("a draft")
    for number in range(5):
        await alice.expect_tick(f"offline {number}", "delivered")
    await bob.choose("alice")
    await bob.expect_message("offline 4")
    await expect(bob.bodies).to_have_text(["first", "second", *(f"offline {number}" for number in range(5))])
    await crowd.close()


async def test_rooms_show_how_many_have_a_message(crowd: Crowd, names: list[str]) -> None:
    alice, bob = await crowd.person(names[0]), await crowd.person(names[1])
    carol = await crowd.person(names[2])
    await carol.page.close()
    room = f"#{names[0]}room"
    await alice.page.get_by_role("button", name="New room").click()
    await alice.page.get_by_label("Room name").fill(room)
    await alice.page.get_by_label("Everyone on this server").check()
    await alice.page.get_by_role("button", name="Create").click()
    await expect(alice.page.get_by_role("heading", name=room)).to_be_visible()
    await alice.page.get_by_role("button", name="Details").click()
    await alice.page.get_by_label("Name of the member to invite").fill(carol.name)
    await alice.page.get_by_role("button", name="Invite", exact=True).click()
    await alice.page.get_by_role("button", name="Close", exact=True).click()
    await bob.page.get_by_role("button", name="Rooms").click()
    await bob.page.get_by_role("listitem").filter(has_text=room).get_by_role("button", name="Join").click()
    await carol.open()
    await carol.choose(alice.name)
    await carol.page.get_by_role("button", name="Join").click()
    await expect(carol.page.get_by_role("heading", name=room)).to_be_visible()
    await carol.page.close()
    await alice.write(f"hello @{bob.name}")
    await alice.expect_tick("hello", "1 of 2")
    await carol.open()
    await alice.expect_tick("hello", "delivered")
    await bob.expect_message("hello")


async def test_history_comes_on_scroll_to_another_browser(
    crowd: Crowd, page_server: PageServer, names: list[str]
) -> None:
    """A new browser fetches what it has never had, a part at a time, and keeps a bounded number of rows."""
    alice, bob = names[0], await crowd.person(names[1])
    await bob.page.close()
    async with twotick.join(alice, f"127.0.0.1:{page_server.port}", password=PASSWORD, sign_up="yes") as me:
        for number in range(1, 321):
            await me.send(bob.name, f"message {number}")
    other = await crowd.person(bob.name, fresh=False)
    await other.sign_in()
    await expect(other.page.get_by_role("navigation").get_by_role("link", name=alice)).to_contain_text("320 unread")
    await other.choose(alice)
    await other.expect_message("message 320")
    log = other.page.get_by_role("log")
    for _ in range(40):
        if await log.get_by_text("message 1", exact=True).count():
            break
        before = await log.locator("article").first.get_attribute("data-uid")
        await log.evaluate("box => { box.scrollTop = 0 }")
        await expect(log.locator("article").first).not_to_have_attribute("data-uid", before or "")
    await expect(log.get_by_text("message 1", exact=True)).to_have_count(1)
    assert await log.locator("article").count() <= 300
    await other.page.get_by_role("button", name="To the newest message").click()
    await expect(log.get_by_text("message 320", exact=True)).to_be_in_viewport()
    async with twotick.join(alice, f"127.0.0.1:{page_server.port}", password=PASSWORD) as me:
        await asyncio.gather(*(me.send(bob.name, f"more {number}") for number in range(500)))
        await me.send(bob.name, "the last one")
    await expect(log.get_by_text("the last one", exact=True)).to_be_in_viewport()
    assert await log.locator("article").count() <= 300
    # What has left the document has left the memory, too.
    tools = await other.context.new_cdp_session(other.page)
    await tools.send("HeapProfiler.collectGarbage")  # pyright: ignore[reportUnknownMemberType]
    counted = await tools.send("Memory.getDOMCounters")  # pyright: ignore
    assert counted["nodes"] < 2.5 * await other.page.locator("*").count()


async def test_a_guest_talks_and_a_wrong_password_is_explained(crowd: Crowd, names: list[str]) -> None:
    alice = await crowd.person(names[0])
    guest = await crowd.person(names[1], fresh=False)
    await guest.page.get_by_role("textbox", name="Name").fill(alice.name)
    await guest.page.get_by_label("Password", exact=True).fill("wrong password")
    await guest.page.get_by_role("button", name="Sign in").click()
    await expect(guest.page.get_by_role("alert")).to_contain_text("The name or the password is wrong")
    await guest.page.get_by_label("Password", exact=True).fill(PASSWORD)
    await guest.page.get_by_role("button", name="Sign up").click()
    await expect(guest.page.get_by_role("alert")).to_contain_text("taken")
    await guest.page.get_by_role("button", name="guest").click()
    await expect(guest.page.get_by_role("alert")).to_contain_text("belongs to a member")
    await guest.page.get_by_role("textbox", name="Name").fill(guest.name)
    await guest.page.get_by_role("button", name="guest").click()
    await guest.talk_to(alice.name)
    await guest.write("knock knock")
    await guest.expect_tick("knock knock", "delivered")
    await alice.choose(guest.name)
    await alice.write("come in")
    await guest.expect_message("come in")
    await alice.expect_tick("come in", "delivered")
    await guest.page.reload()
    await guest.write("it is me again")
    await guest.expect_tick("it is me again", "read")


_SWIFT_HANDS = """async (box) => {
    const turn = () => new Promise((done) => {
        const { port1, port2 } = new MessageChannel();
        port1.onmessage = done;
        port2.postMessage(null);
    });
    box.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowUp", bubbles: true, cancelable: true }));
    await turn();
    box.value = "second";
    box.dispatchEvent(new InputEvent("input", { bubbles: true }));
}"""
"""Starts an edit, and types before the browser has drawn it."""


async def test_what_is_typed_at_once_into_an_edit_stays(crowd: Crowd, names: list[str]) -> None:
    alice = await crowd.person(names[0])
    await alice.talk_to(names[0])
    await alice.write("first")
    await alice.expect_tick("first", "delivered")
    box = alice.page.get_by_role("textbox", name="Message")
    await box.evaluate(_SWIFT_HANDS)
    drawn = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))"
    await alice.page.evaluate(drawn)
    await expect(box).to_have_value("second")
    await box.press("Enter")
    await alice.expect_message("second")


async def test_an_edit_stays_in_its_conversation(crowd: Crowd, names: list[str]) -> None:
    """Who edits a message and chooses another conversation finds there what they wrote there, and later their edit."""
    alice = await crowd.person(names[0])
    box = alice.page.get_by_role("textbox", name="Message")
    await alice.talk_to(names[1])
    await box.fill("for later")
    await alice.talk_to(names[0])
    await alice.write("first")
    await alice.expect_tick("first", "delivered")
    await box.press("ArrowUp")
    await expect(box).to_have_value("first")
    await box.press_sequentially(" of all")
    await alice.choose(names[1])
    await expect(alice.page.get_by_role("heading", name=names[1])).to_be_visible()
    await expect(alice.page.get_by_text("Edit your message")).to_have_count(0)
    await expect(box).to_have_value("for later")
    await alice.choose(names[0])
    await expect(alice.page.get_by_text("Edit your message")).to_be_visible()
    await expect(box).to_have_value("first of all")


_ENTER_BEFORE_DRAWING = """(box, name) => {
    const draw = window.requestAnimationFrame;
    let pressed = false;
    window.requestAnimationFrame = (act) => draw((time) => {
        const enter = new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true });
        if (!pressed) box.dispatchEvent(enter);
        pressed = true;
        act(time);
    });
    location.hash = `#/${name}`;
}"""
"""Opens another conversation, and presses Enter when the page knows of it and has not drawn it."""


async def test_a_message_goes_where_it_was_written(crowd: Crowd, names: list[str]) -> None:
    alice = await crowd.person(names[0])
    await alice.talk_to(names[0])
    await alice.talk_to(names[1])
    box = alice.page.get_by_role("textbox", name="Message")
    await box.fill("not for all eyes")
    await box.evaluate(_ENTER_BEFORE_DRAWING, names[0])
    await expect(alice.page.get_by_role("heading", name=names[0])).to_be_visible()
    await alice.choose(names[1])
    await alice.expect_message("not for all eyes")
    await alice.choose(names[0])
    await expect(alice.page.get_by_role("heading", name=names[0])).to_be_visible()
    await expect(alice.bodies).to_have_count(0)


async def test_a_conversation_opens_while_the_history_of_another_is_awaited(
    browser: Browser, page_server: PageServer, names: list[str]
) -> None:
    crowd = Crowd(browser, page_server)
    bob = await crowd.person(names[1])
    await bob.page.close()
    for name in (names[0], names[2]):
        async with twotick.join(name, f"127.0.0.1:{page_server.port}", password=PASSWORD, sign_up="yes") as me:
            await me.send(bob.name, f"from {name}")
    asked = asyncio.Event()

    def route(page: WebSocketRoute) -> None:
        server = page.connect_to_server()

        def pass_on(data: str | bytes) -> None:
            if isinstance(data, bytes) and f"HISTORY {names[0]}\n".encode() in data:
                asked.set()  # and never answered
            else:
                server.send(data)

        page.on_message(pass_on)

    other = await crowd.person(bob.name, fresh=False)
    await other.context.route_web_socket("**/connect", route)
    await other.page.reload()
    await other.sign_in()
    await other.choose(names[0])
    async with asyncio.timeout(60):
        await asked.wait()
    await other.choose(names[2])
    await expect(other.page.get_by_text("This is the beginning of your conversation")).to_be_visible()
    await other.expect_message(f"from {names[2]}")
    await crowd.close()
