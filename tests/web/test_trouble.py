"""Trouble: each has a clear text that says what to do, and nothing that was typed is lost."""

import re
import signal
from typing import Final

import pytest
from playwright.async_api import Browser, WebSocketRoute, expect

from tests.web.visitors import Crowd, PageServer, Person

pytestmark = pytest.mark.asyncio(loop_scope="session")

_BROKEN_LISTS: Final = {
    b"CONVERSATIONS": b"{}",
    b"ROOMS": b'[null, 7, {"name": "<b>"}, {"name": "#x", "topic": {"a": 1}, "members": "many", "role": []}]',
    b"STATUS": b'[{"name": "constructor", "state": 7}, {"name": null}, []]',
    b"PROFILE": b"no list",
    b"DEVICES": b'{"device": 1}',
}
"""What a broken server answers."""

_BROKEN_FRAMES: Final = b"".join(
    b"%b\nContent-length: 1\n%b\n\nx" % (start, headers)
    for start, headers in [
        (b"FORWARD <b>", b"Id: b1"),
        (b"FORWARD constructor", b"Id: b2\nTime: never\nReply-to: ###\nFile: k\nFile-size: -5\nX-Voice: x\nState: odd"),
        (b"FORWARD constructor", b"Id: b3\nReacts-to: ###\nEdits:"),
        (b"FORWARD constructor", b"Id: b4\nTo: #room\nPlace: 1\nEvent: exploded\nMember: <i>\nRole: king"),
        (b"FORWARD ALL", b"Id: b5\nContent-type: text/html; charset=none"),
        (b"STATUS constructor", b"State: dancing"),
        (b"PROFILE constructor", b"Display: \xff\xfe\nPicture: ../x"),
        (b"TYPING <b>", b"To: #"),
        (b"SEND x", b"Id: nosuch\nHave: 99\nOf: 1"),
        (b"READ x", b"Up-to: x"),
        (b"ROOM", b"Id: nosuch\nMembers: 3"),
        (b"NEWS from a newer server", b"Id: b6"),
    ]
)
"""What no server writes, in frames that can be read."""

_FULL = """() => {
    window.add = IDBObjectStore.prototype.add;
    IDBObjectStore.prototype.add = () => { throw new DOMException("full", "QuotaExceededError") };
}"""
"""Lets the browser have no room for what is to be sent."""


async def test_a_dead_connection_is_noticed(browser: Browser, own_server: PageServer) -> None:
    """A connection to a machine that does not answer is given up on waking, or within a minute; the next catches up."""
    crowd = Crowd(browser, own_server)
    alice, bob = await crowd.person("alice"), await crowd.person("bob")
    await alice.page.close()
    page = await alice.open(clock=True)
    await alice.talk_to("bob")
    await alice.write("before")
    await alice.expect_tick("before", "delivered")
    own_server.signal(signal.SIGSTOP)
    await alice.write("meanwhile")
    await alice.expect_tick("meanwhile", "waiting")
    await alice.page.evaluate("dispatchEvent(new Event('online'))")  # as the browser says when the network is back
    await expect(alice.page.get_by_text("No connection.")).to_be_visible()
    own_server.signal(signal.SIGCONT)
    await alice.expect_tick("meanwhile", "delivered")
    await expect(alice.page.get_by_text("No connection.")).to_have_count(0)
    # Asleep for ten minutes, of which nothing tells the page; and awake, without a word from the server.
    for number, pass_time in enumerate((page.clock.fast_forward, page.clock.run_for)):
        own_server.signal(signal.SIGSTOP)
        await alice.write(f"again {number}")
        await pass_time((600_000, 61_000)[number])
        await expect(page.get_by_text("No connection.")).to_be_visible()
        own_server.signal(signal.SIGCONT)
        await page.clock.run_for(20_000)  # until it is opened again
        await alice.expect_tick(f"again {number}", "delivered")
    await bob.choose("alice")
    await expect(bob.bodies).to_have_text(["before", "meanwhile", "again 0", "again 1"])
    await crowd.close()


async def test_a_browser_that_keeps_nothing_is_told(browser: Browser, page_server: PageServer) -> None:
    """As in some private windows."""
    context = await browser.new_context()
    await context.add_init_script("indexedDB.open = () => { throw new DOMException('denied', 'SecurityError') }")
    person = Person("nobody", context, page_server.url)
    page = await context.new_page()
    await page.goto(person.url)
    await expect(page.get_by_text("does not let the page keep anything")).to_be_visible()
    await context.close()


async def test_a_full_disk_leaves_what_was_typed(crowd: Crowd, names: list[str]) -> None:
    """The text stays in the box, and is sent when there is room again. So does an edit, which outlives the page."""
    alice = await crowd.person(names[0])
    await alice.talk_to(names[0])
    await alice.page.evaluate(_FULL)
    await alice.write("important")
    await expect(alice.page.get_by_text("There is no more room")).to_be_visible()
    box = alice.page.get_by_role("textbox", name="Message")
    await expect(box).to_have_value("important")
    await alice.page.evaluate("() => { IDBObjectStore.prototype.add = window.add }")
    await box.press("Enter")
    await alice.expect_message("important")
    await expect(box).to_have_value("")
    await box.press("ArrowUp")
    await box.fill("very important")
    await alice.page.evaluate(_FULL)
    await box.press("Enter")
    await expect(alice.page.get_by_text("There is no more room")).to_be_visible()
    await expect(box).to_have_value("very important")
    await alice.page.reload()
    await alice.page.locator("#app[data-ready]").wait_for()
    await expect(alice.page.get_by_text("Edit your message")).to_be_visible()
    await expect(box).to_have_value("very important")
    await box.press("Enter")
    await alice.expect_message("very important")
    await expect(box).to_have_value("")
    await alice.page.reload()
    await alice.expect_message("very important")
    await expect(alice.page.get_by_text("Edit your message")).to_have_count(0)


async def test_an_invitation_is_needed(browser: Browser, own_server: PageServer) -> None:
    """The link fills in the code; a code that is not valid is said, and nothing typed is lost."""
    own_server.kill()
    own_server.variables["TWOTICK_SIGN_UP"] = "invite"
    own_server.start()
    crowd = Crowd(browser, own_server)
    alice = await crowd.person("alice", fresh=False, url=f"{own_server.url}#invite=NOSUCHCODE")
    page = alice.page
    await expect(page.get_by_role("textbox", name="Server invitation")).to_have_value("NOSUCHCODE")
    await page.get_by_role("textbox", name="Name").fill("alice")
    await page.get_by_label("Password", exact=True).fill("correct horse")
    await page.get_by_role("button", name="Sign up").click()
    await expect(page.get_by_role("alert")).to_contain_text("The invitation is not valid")
    await page.get_by_role("textbox", name="Server invitation").fill(own_server.invite())
    await page.get_by_role("button", name="Sign up").click()
    await expect(page.get_by_role("navigation", name="Conversations")).to_be_visible()
    await crowd.close()


async def test_broken_answers_break_nothing(crowd: Crowd, names: list[str]) -> None:
    """Nor do new words: each is left out or said, and the page goes on. A text that is too long stays in the box."""
    alice = await crowd.person(names[0])
    page = alice.page

    def route(page_side: WebSocketRoute) -> None:
        server = page_side.connect_to_server()

        def ask(frame: bytes | str) -> None:
            assert isinstance(frame, bytes)
            verb = frame.split(b"\n")[0].split(b" ")[0]
            found = re.search(rb"\nId: (\S+)\n", frame)
            if verb not in _BROKEN_LISTS or found is None:
                server.send(frame)
                return
            body = _BROKEN_LISTS[verb]
            page_side.send(b"%b\nContent-length: %d\nId: %b\n\n%b" % (verb, len(body), found[1], body))
            if verb == b"CONVERSATIONS":
                page_side.send(_BROKEN_FRAMES)

        page_side.on_message(ask)

    await alice.context.route_web_socket(re.compile("/connect$"), route)
    await page.reload()
    await alice.choose("constructor")
    await expect(page.get_by_role("heading", name="constructor")).to_be_visible()
    await expect(page.get_by_role("textbox", name="Message")).to_have_value("")
    await page.get_by_role("button", name="Rooms").click()
    await expect(page.get_by_role("dialog").get_by_text("#x", exact=True)).to_be_visible()
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Settings").click()
    await expect(page.get_by_text("This did not work").first).to_be_visible()
    await page.keyboard.press("Escape")
    await alice.talk_to(alice.name)
    await alice.write("still here")
    await alice.expect_tick("still here", "delivered")
    box = page.get_by_role("textbox", name="Message")
    long = "é" * (1 << 19) + "!"
    await box.fill(long)
    await box.press("Enter")
    await expect(page.get_by_text("This is too large for the server.")).to_be_visible()
    assert await box.input_value() == long
