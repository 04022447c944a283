"""The pictures of docs/web.md: `python -m tests.web.pictures`."""

import asyncio
import io
import tempfile
from pathlib import Path

from PIL import Image
from playwright.async_api import async_playwright, expect

import twotick
from tests.tools import needed
from tests.web.visitors import PASSWORD, Crowd, PageServer

_DOCS = Path(__file__).parents[2] / "docs"
_COLOURS = 64
"""Colours of a picture: enough for a page, and few enough for a small file."""


def _save(name: str, *shots: bytes) -> None:
    """Write pictures side by side."""
    pictures = [Image.open(io.BytesIO(shot)).convert("RGB") for shot in shots]
    gap = 24
    width = sum(each.width for each in pictures) + gap * (len(pictures) - 1)
    whole = Image.new("RGB", (width, max(each.height for each in pictures)), "#808080")
    left = 0
    for each in pictures:
        whole.paste(each, (left, 0))
        left += each.width + gap
    whole.quantize(_COLOURS, dither=Image.Dither.NONE).save(_DOCS / f"{name}.png", optimize=True)


async def _draw(crowd: Crowd, server: PageServer) -> None:
    """Draw a room, light and dark, and the settings on a phone in German and Hindi."""
    light = await crowd.person("alice", color_scheme="light", viewport={"width": 900, "height": 560})
    async with twotick.join("bob", f"127.0.0.1:{server.port}", password=PASSWORD, sign_up="yes") as bob:
        reading = asyncio.create_task(_read(bob))
        await bob.create_room("#garden", public=True, topic="what grows")
        await bob.send("#garden", "Who has seeds for spring? I would like to try wild oats.")
        await bob.send("alice", "Have you seen my hat?")
        await light.page.get_by_role("button", name="Rooms").click()
        await light.page.get_by_role("listitem").filter(has_text="#garden").get_by_role("button", name="Join").click()
        await light.expect_message("wild oats")
        await light.write("Oats I have, and *red poppies*.")
        await light.expect_tick("poppies", "delivered")
        await light.page.locator(".preview").filter(has_text="my hat").wait_for()
        room = await light.page.screenshot()
        dark = await crowd.person(
            "alice", fresh=False, color_scheme="dark", reduced_motion="reduce", viewport={"width": 340, "height": 560}
        )
        await dark.sign_in()
        await dark.choose("#garden")
        await dark.expect_message("poppies")
        _save("web-room", room, await dark.page.screenshot())
        await dark.page.get_by_role("button", name="Back").click()
        await dark.page.get_by_role("button", name="Settings").click()
        await dark.page.get_by_label("Language").wait_for()
        shots: list[bytes] = []
        for language, title in (("de", "Einstellungen"), ("hi", "\u0938\u0947\u091f\u093f\u0902\u0917")):
            await dark.page.get_by_role("combobox").last.select_option(language)
            await dark.page.get_by_role("heading", name=title).wait_for()
            await expect(dark.page.get_by_role("combobox").last).to_have_value(language)
            shots.append(await dark.page.screenshot())
        _save("web-languages", *shots)
        reading.cancel()


async def _read(who: twotick.MemberClient) -> None:
    """Take all messages, so that they are delivered."""
    async for _ in who:
        pass


async def _draw_all() -> None:
    with tempfile.TemporaryDirectory() as folder:
        server = PageServer(Path(folder))
        try:
            async with async_playwright() as playwright:
                path = needed("chromium", "apt-get install chromium")
                browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
                crowd = Crowd(browser, server)
                await _draw(crowd, server)
                await crowd.close()
                await browser.close()
        finally:
            server.kill()


if __name__ == "__main__":
    asyncio.run(_draw_all())
