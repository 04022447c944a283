"""Guests in rooms, as members see them on the page (docs/protocol.md, rules 12.12 to 12.15)."""

import asyncio
import base64
import io
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from PIL import Image
from playwright.async_api import expect

import twotick
from tests.web.visitors import PASSWORD, Crowd, PageServer, check_screen, load_axe

pytestmark = pytest.mark.asyncio(loop_scope="session")


class _Wire:
    """A connection on which frames are written."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def ask(self, data: str, answer: str) -> None:
        """Write a frame, and read up to its answer."""
        self._writer.write(data.encode())
        await self._reader.readuntil(answer.encode())


@asynccontextmanager
async def _wire(port: int, name: str, more: str = "") -> AsyncGenerator[_Wire]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        wire = _Wire(reader, writer)
        await wire.ask(f"REGISTER DUPLEX {name}\n{more}Window: 9\n\n", f"REGISTERED DUPLEX {name}\n")
        yield wire
    finally:
        writer.close()
        await writer.wait_closed()


_AS_EARLIER_VERSIONS_KEPT_IT = """async (uid) => {
    const found = (await indexedDB.databases()).map((each) => each.name);
    for (const name of found) {
        const opening = indexedDB.open(name);
        await new Promise((resolve) => { opening.onsuccess = resolve; });
        const database = opening.result;
        if (database.objectStoreNames.contains("messages")) {
            const work = database.transaction("messages", "readwrite");
            const messages = work.objectStore("messages");
            const key = [uid.split(" ")[0], `${uid} guest`];
            messages.get(key).onsuccess = ({ target: { result } }) => {
                if (!result) return;
                messages.delete(key);
                messages.put({ ...result, uid });
            };
            await new Promise((resolve) => { work.oncomplete = resolve; });
        }
        database.close();
    }
}"""
"""Gives a guest's direct message the key that it would have if a member had sent it."""


async def test_a_guest_in_a_room_is_never_taken_for_a_member(
    crowd: Crowd, page_server: PageServer, names: list[str]
) -> None:
    """What one has written says so everywhere, also when a member has taken the name, and uses the Id."""
    alice = await crowd.person(names[0], bypass_csp=True, reduced_motion="reduce")
    page, port, (_, bob_name, ann) = alice.page, page_server.port, names
    room = f"#{names[0]}open"
    await page.get_by_role("button", name="New room").click()
    await page.get_by_label("Room name").fill(room)
    await page.get_by_label("Topic").fill("Tea for all")
    await expect(page.get_by_label("Guests may take part")).to_have_count(0)
    await page.get_by_label("Everyone on this server can find and join it").check()
    await expect(page.get_by_label("Guests may take part")).not_to_be_checked()
    await page.get_by_role("button", name="Create").click()
    await expect(page.get_by_role("heading", name=room)).to_be_visible()
    details = page.get_by_role("dialog", name=room)
    await page.get_by_role("button", name="Details").click()
    await details.get_by_label("Guests may take part").click()  # it is ticked when the server has answered
    await expect(details.get_by_label("Guests may take part")).to_be_checked()
    await expect(page.get_by_text(f"{alice.name} lets guests in")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.locator(".talk .bar")).to_contain_text("Tea for all")

    async with _wire(port, ann) as guest:
        await guest.ask(f"ROOM {room}\nDo: join\n\n", "Role: guest\n")
        await page.get_by_role("button", name="Details").click()
        item = details.get_by_role("listitem").filter(has_text=ann)
        await expect(item.locator("small")).to_have_text("guest")
        await expect(item.get_by_role("combobox")).to_have_count(0)
        await expect(item.get_by_role("button", name=f"Remove {ann}")).to_be_visible()
        await load_axe(page)
        await check_screen(page, "details of a room with a guest")
        await page.keyboard.press("Escape")
        await guest.ask(f"SEND {alice.name}\nContent-length: 2\nId: m0\n\nyo", "ACCEPTED ")
        await page.evaluate("name => { location.hash = `#/${name}` }", ann)
        await expect(page.get_by_role("article").locator(".sender")).to_have_text(f"{ann} guest")
        await page.evaluate(_AS_EARLIER_VERSIONS_KEPT_IT, f"{ann} m0")
        await page.reload()
        await page.locator("#app[data-ready]").wait_for()
        await expect(page.get_by_role("article").locator(".sender")).to_have_text(f"{ann} guest")
        await load_axe(page)
        await alice.choose(room)
        await guest.ask(f"SEND {room}\nContent-length: 8\nId: m1\n\nwild oat", "ACCEPTED ")

    log = page.get_by_role("log")
    guests = log.get_by_role("article", name=f"{ann} (guest)", exact=True)
    await expect(guests.locator(".sender")).to_have_text(f"{ann} guest")
    row = page.get_by_role("navigation").get_by_role("link", name=room)
    await expect(row).to_contain_text(f"{ann} (guest): wild oat")

    async with (
        twotick.join(bob_name, f"127.0.0.1:{port}", password=PASSWORD, sign_up="yes") as bob,
        twotick.join(ann, f"127.0.0.1:{port}", password=PASSWORD, sign_up="yes") as member,
    ):
        photo = io.BytesIO()
        Image.new("RGB", (64, 64), "red").save(photo, "PNG")
        await member.set_profile(display="Ann of the house", picture=photo.getvalue())
        await bob.join_room(room)
        await bob.send(room, "indeed", reply_to=(ann, "m1"))
        quoted = log.get_by_role("button", name="wild oat")
        await expect(quoted.locator("b")).to_have_text(f"{ann} guest")
        await guests.focus()
        await guests.press("p")
        await expect(page.get_by_text("Pinned.", exact=True)).to_be_visible()
        await page.get_by_role("button", name="Details").click()
        await page.get_by_role("button", name="Pinned messages").click()
        await expect(page.get_by_role("dialog", name="Pinned").locator("b")).to_have_text(f"{ann} guest")
        await page.keyboard.press("Escape")
        await member.join_room(room)
        login = base64.b64encode(f"{ann}:{PASSWORD}".encode()).decode()
        async with _wire(port, ann, f"Authorization: Basic {login}\nDevice: second\n") as second:
            await second.ask(f"SEND {room}\nContent-length: 4\nId: m1\n\nfine", "ACCEPTED ")
            await second.ask(f"SEND {alice.name}\nContent-length: 5\nId: m0\n\nit is", "ACCEPTED ")
            await second.ask(f"SEND {alice.name}\nContent-length: 3\nId: m2\nEdits: m0\n\nis!", "ACCEPTED ")
        await page.evaluate("name => { location.hash = `#/${name}` }", ann)
        await expect(page.get_by_role("article")).to_contain_text(["yo", "is!"])
        await expect(page.get_by_role("article").locator(".sender")).to_have_text(f"{ann} guest")
        await expect(page.get_by_role("article", name=f"{ann} (guest)", exact=True)).to_contain_text("yo")
        await alice.choose(room)
        await alice.expect_message("fine")
        members = log.get_by_role("article", name=ann, exact=True)
        await expect(members.locator(".sender")).to_have_text(f"Ann of the house {ann}")
        await expect(members.locator(".avatar img")).to_have_count(1)
        await expect(guests.locator(".avatar")).to_have_count(1)
        await expect(guests.locator(".avatar img")).to_have_count(0)
        await expect(guests.locator(".sender")).to_have_text(f"{ann} guest")
        await expect(quoted.locator("b")).to_have_text(f"{ann} guest")
        await guests.hover()
        await guests.get_by_role("button", name="Actions").click()
        await expect(guests.get_by_role("button", name="Reply")).to_be_visible()
        await expect(guests.get_by_role("button", name="Thread")).to_have_count(0)
        await guests.get_by_role("button", name="Reply").click()
        await expect(page.get_by_text(f"Reply to {ann} (guest)")).to_be_visible()
        await page.get_by_role("button", name="Cancel").click()

        search = page.get_by_role("textbox", name="Search")
        await search.fill("wild")
        await search.press("Enter")
        found = page.get_by_role("region", name="Messages").get_by_role("button")
        await expect(found.locator("b")).to_have_text(f"{ann} guest")
        await found.click()
        await expect(guests).to_be_focused()

        for scheme in ("light", "dark"):
            await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            for width in (1280, 320):
                await page.set_viewport_size({"width": width, "height": 800})
                await check_screen(page, f"room with a guest, {scheme}, {width}")
