"""Files on their way: dropped and pasted, resumed after a break and a reload, and sent again after a refusal."""

import asyncio
import re
from pathlib import Path
from random import Random

import pytest
from playwright.async_api import Browser, WebSocketRoute, expect

import twotick
from tests.web.visitors import PASSWORD, Crowd, PageServer, Person

pytestmark = pytest.mark.asyncio(loop_scope="session")

_PIECES = 12
_AT_A_TIME = 5


_GIVE = """([kind, where, name]) => {
    const data = new DataTransfer();
    data.items.add(new File(["the content"], name));
    const more = { bubbles: true, cancelable: true };
    const event = kind === "drop" ? new DragEvent(kind, { dataTransfer: data, ...more })
        : new ClipboardEvent(kind, { clipboardData: data, ...more });
    const target = document.querySelector(where);
    if (kind === "drop") target.dispatchEvent(new DragEvent("dragover", { dataTransfer: data, ...more }));
    if (target.dispatchEvent(event)) throw new Error(`the browser would handle the ${kind}`);
}"""
"""Gives the page a file, as a browser does."""


class Line:
    """The line between a page and the server, which breaks when pieces have passed, and counts them.

    Attributes:
        sent: the offsets of the pieces that the page has sent.
        asked: the offsets of the pieces that it has asked for.
        breaks: how often the line still breaks, each time before one more piece than `_AT_A_TIME`.
        away: whether there is no line at all.
    """

    def __init__(self) -> None:
        self.sent: list[int] = []
        self.asked: list[int] = []
        self.breaks = 0
        self.away = False

    async def place(self, person: Person) -> None:
        """Place it before all connections that the page opens from now on."""
        await person.context.route_web_socket("**/connect", self._connect)

    def _connect(self, page: WebSocketRoute) -> None:
        if self.away:
            asyncio.ensure_future(page.close(code=1001))  # noqa: RUF006 # it is done before the page asks again
            return
        server = page.connect_to_server()
        passed = 0

        async def forward(data: str | bytes) -> None:
            nonlocal passed
            found = re.match(rb"PIECE [^\n]*\n(?:[^\n]+\n)*?Offset: (\d+)\n", data if isinstance(data, bytes) else b"")
            if found is not None:
                if self.breaks and passed >= _AT_A_TIME:
                    self.breaks -= 1
                    self.away = b"Content-length" in found[0]  # until the page is loaded again
                    await page.close(code=1001)
                    await server.close(code=1001)
                    return
                passed += 1
                (self.sent if b"Content-length" in found[0] else self.asked).append(int(found[1]))
            server.send(data)

        page.on_message(forward)  # pyright: ignore[reportArgumentType]


async def test_a_transfer_goes_on_after_breaks_and_a_reload(
    browser: Browser, page_server: PageServer, names: list[str], tmp_path: Path
) -> None:
    """Each piece goes over the line once, up and down."""
    crowd = Crowd(browser, page_server)
    alice = await crowd.person(names[0])
    line = Line()
    await line.place(alice)
    await alice.page.close()
    page = await alice.open()
    await alice.talk_to(alice.name)
    file = tmp_path / "oats.bin"
    file.write_bytes(Random(1).randbytes((_PIECES - 1) * 65536 + 100))
    offsets = [at * 65536 for at in range(_PIECES)]
    line.breaks = 1
    async with page.expect_file_chooser() as chooser:
        await page.get_by_role("button", name="Attach file").click()
    await (await chooser.value).set_files(file)
    await expect(page.get_by_text("No connection.")).to_be_visible()
    await expect(page.get_by_role("progressbar", name="oats.bin")).to_have_js_property("value", offsets[_AT_A_TIME])
    assert line.sent == offsets[:_AT_A_TIME]
    await page.reload()
    line.away = False
    await alice.expect_tick("oats.bin", "delivered")
    assert line.sent == offsets
    line.breaks = 2
    async with page.expect_download() as download:
        await page.get_by_role("button", name="Save oats.bin").click()
    assert (await (await download.value).path()).read_bytes() == file.read_bytes()
    assert line.asked == offsets
    assert line.breaks == 0
    await crowd.close()


async def test_files_are_dropped_and_pasted_and_sent_again(
    crowd: Crowd, page_server: PageServer, names: list[str]
) -> None:
    """A file beside the conversation does not replace the page, and one that was refused is not lost."""
    alice = await crowd.person(names[0])
    page = alice.page
    await alice.talk_to(names[0])
    await page.evaluate(_GIVE, ["drop", ".side", "missed.txt"])
    await page.evaluate(_GIVE, ["drop", ".talk", "dropped.txt"])
    await alice.expect_tick("dropped.txt", "delivered")
    await page.evaluate(_GIVE, ["paste", "#message-box", "pasted.png"])
    await alice.expect_tick("pasted.png", "delivered")
    await expect(page.get_by_role("article")).to_have_count(2)
    await alice.talk_to(names[1])  # there is no such member yet
    await page.evaluate(_GIVE, ["drop", ".talk", "again.txt"])
    failed = page.get_by_role("article").filter(has_text="again.txt")
    again = failed.get_by_role("button", name="Send again")
    await expect(again).to_be_visible()
    async with twotick.join(names[1], f"127.0.0.1:{page_server.port}", password=PASSWORD, sign_up="yes") as bob:
        await again.click()
        message = await anext(aiter(bob))
        assert message.file is not None
        assert message.file.name == "again.txt"
    await expect(failed).to_have_count(1)
