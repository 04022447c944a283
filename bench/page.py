"""Measure the web page in Debian's Chromium: how soon it can be used, large conversations, and memory.

The slow network is Chromium's own: each answer waits for the latency, and what is loaded shares the bandwidth. So the
figures depend on what the page asks for, and in which order; the machine's speed adds to them.
"""

import argparse
import asyncio
import os
import signal
import statistics
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common import median_and_range, run, say, table
from peers import TWOTICK
from playwright.async_api import Browser, BrowserContext, CDPSession, Page, Response, async_playwright
from servers import MeasurementError, Program, RunningServer, free_port, installed, running

import twotick

RUNS = 9
MESSAGES = 100_000
"""Messages of the large conversation."""

_BITS = 1_600_000
_LATENCY = 150
_PARTS = 5
"""Parts of the messages after which the memory is measured."""

_AT_ONCE = 200
"""Messages that are sent before the first of them is answered."""

_ASLEEP = 600_000
"""Milliseconds that the machine is asleep."""

_KEYS = 60
_PASSWORD = "correct horse"
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
          "--js-flags=--expose-gc", "--enable-precise-memory-info"]  # fmt: skip

_TYPING = """() => {
    window.latencies = [];
    addEventListener("keydown", ({ timeStamp }) => requestAnimationFrame(() => {
        const { port1, port2 } = new MessageChannel();
        port1.onmessage = () => latencies.push(performance.now() - timeStamp);
        port2.postMessage(0); // comes after the frame was drawn
    }), true);
}"""

_OPENING = """(name) => new Promise((resolve) => {
    const began = performance.now();
    const look = () => {
        if (document.querySelector("main h1, main h2")?.textContent.includes(name)
            && document.querySelectorAll("[role=log] article").length >= 20) {
            const { port1, port2 } = new MessageChannel();
            port1.onmessage = () => resolve(performance.now() - began);
            port2.postMessage(0);
        } else requestAnimationFrame(look);
    };
    [...document.querySelectorAll("nav a")].find((each) => each.textContent.includes(name)).click();
    requestAnimationFrame(look);
})"""


@dataclass
class Figures:
    """What was measured. All times are in milliseconds.

    Attributes:
        requests: of the first load, until the page can be used.
        scripts: scripts among them.
        first_bytes: bytes of their bodies.
        signing_in: from the navigation to the screen that takes a name.
        signed_in: from the navigation to the conversations, in a browser that has the account but not the page.
        second_scripts: scripts and styles that a second load took from the network.
        offline: from the navigation to the messages of the last conversation, without a server.
        waking: from waking to a message that was sent meanwhile.
        opening: from the click to the messages of the large conversation on the screen.
        rows: messages in the document then.
        typing: from a key to the frame that shows it, in the large conversation.
        heap: bytes of the page's JavaScript objects, at first and after each part of the messages.
        messages: messages of the large conversation.
    """

    requests: int = 0
    scripts: int = 0
    first_bytes: int = 0
    signing_in: list[float] = field(default_factory=list[float])
    signed_in: list[float] = field(default_factory=list[float])
    second_scripts: int = 0
    offline: list[float] = field(default_factory=list[float])
    waking: list[float] = field(default_factory=list[float])
    opening: list[float] = field(default_factory=list[float])
    rows: int = 0
    typing: list[float] = field(default_factory=list[float])
    heap: list[int] = field(default_factory=list[int])
    messages: int = 0


def _program(web_port: int, data: Path) -> Program:
    def command(port: int, _: Path) -> list[str]:
        where = ["--port", str(port), "--web-port", str(web_port), "--data", str(data)]
        return [sys.executable, "-m", "twotick", "serve", *where]

    def environment(_: Path) -> dict[str, str]:
        return {"TWOTICK_SIGN_UP": "open"}

    return Program(TWOTICK.name, command, TWOTICK.version, environment=environment)


class _Visit:
    """A person at the page.

    Args:
        context: the profile of the browser.
        url: the page.
    """

    def __init__(self, context: BrowserContext, url: str) -> None:
        self._context = context
        self._url = url
        self.page: Page

    async def open(self, *, slow: bool = False) -> Page:
        """Open the page in a tab, and wait until it can be used."""
        page = self.page = await self._context.new_page()
        if slow:
            await _slow(await self._context.new_cdp_session(page))
        await page.goto(self._url, wait_until="commit")
        await page.locator("#app[data-ready]").wait_for()
        return page

    async def elapsed(self) -> float:
        """Return the milliseconds since the navigation, when the next frame is drawn."""
        return await self.page.evaluate("new Promise((done) => requestAnimationFrame(() => done(performance.now())))")

    async def sign(self, name: str, button: str = "Sign up") -> None:
        """Sign up, or in."""
        page = self.page
        await page.get_by_role("textbox", name="Name").fill(name)
        await page.get_by_label("Password", exact=True).fill(_PASSWORD)
        await page.get_by_role("button", name=button).click()
        await page.get_by_role("navigation", name="Conversations").wait_for()

    async def choose(self, name: str) -> None:
        """Open a conversation of the list."""
        await self.page.get_by_role("navigation").get_by_role("link", name=name).click()
        await self.page.get_by_role("heading", name=name).wait_for()


async def _command(session: CDPSession, name: str, **values: object) -> Mapping[str, Any]:
    """Give Chromium a command of its developer tools."""
    return await session.send(name, values)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]


async def _slow(session: CDPSession) -> None:
    speed = _BITS / 8
    conditions = {"offline": False, "latency": _LATENCY, "downloadThroughput": speed, "uploadThroughput": speed}
    await _command(session, "Network.enable")
    await _command(session, "Network.emulateNetworkConditions", **conditions)


async def _measure_loading(browser: Browser, url: str, runs: int, figures: Figures) -> None:
    for number in range(runs):
        context = await browser.new_context(service_workers="block")
        visit = _Visit(context, url)
        responses: list[Response] = []
        context.on("response", lambda response, found=responses: found.append(response))
        await visit.open(slow=True)
        figures.signing_in.append(await visit.elapsed())
        figures.requests = len(responses)
        figures.scripts = len([each for each in responses if each.url.endswith(".js")])
        figures.first_bytes = sum([(await each.request.sizes())["responseBodySize"] for each in responses])
        await visit.sign(f"first{number}")
        state = await context.storage_state(indexed_db=True)
        await context.close()
        context = await browser.new_context(service_workers="block", storage_state=state)
        visit = _Visit(context, url)
        page = await visit.open(slow=True)
        await page.get_by_role("navigation", name="Conversations").wait_for()
        figures.signed_in.append(await visit.elapsed())
        await context.close()
    say(f"first load: {statistics.median(figures.signing_in):.0f} ms")


async def _measure_again(browser: Browser, server: "_Serving", runs: int, figures: Figures) -> None:
    """A second load, loads without the server, and waking."""
    context = await browser.new_context(service_workers="allow")
    visit = _Visit(context, server.url)
    page = await visit.open()
    await visit.sign("carol")
    await page.locator("#app[data-offline=yes]").wait_for()
    async with twotick.join("dave", server.address, password=_PASSWORD, sign_up="yes") as dave:
        await dave.send("carol", "before")
        await visit.choose("dave")
        await page.get_by_text("before", exact=True).last.wait_for()
        address = page.url
        await page.close()
        responses: list[Response] = []
        context.on("response", lambda response: responses.append(response))
        await visit.open()
        figures.second_scripts = len(
            [each for each in responses if each.url.endswith((".js", ".css")) and not each.from_service_worker]
        )
        await visit.page.close()
        server.signal(signal.SIGSTOP)
        visit = _Visit(context, address)
        for _ in range(runs):
            page = await visit.open()
            await page.get_by_role("log").get_by_text("before", exact=True).wait_for()
            figures.offline.append(await visit.elapsed())
            await page.close()
        server.signal(signal.SIGCONT)
        for number in range(runs):
            page = await context.new_page()
            await page.clock.install()
            visit.page = page
            await page.goto(address)
            await page.locator("#app[data-ready]").wait_for()
            await dave.send("carol", f"awake {number}")
            await page.get_by_role("log").get_by_text(f"awake {number}", exact=True).wait_for()
            # The page hears nothing of the server while it is stopped, as if the machine were asleep.
            server.signal(signal.SIGSTOP)
            sending = asyncio.create_task(dave.send("carol", f"meanwhile {number}"))
            await page.clock.pause_at(await page.evaluate("Date.now()") + _ASLEEP)
            server.signal(signal.SIGCONT)
            began = asyncio.get_running_loop().time()
            await page.clock.resume()
            await page.get_by_role("log").get_by_text(f"meanwhile {number}", exact=True).wait_for()
            figures.waking.append((asyncio.get_running_loop().time() - began) * 1000)
            await sending
            await page.close()
    await context.close()
    say(f"offline: {statistics.median(figures.offline):.0f} ms, waking: {statistics.median(figures.waking):.0f} ms")


async def _heap(page: Page) -> int:
    session = await page.context.new_cdp_session(page)
    await _command(session, "HeapProfiler.collectGarbage")
    used = await _command(session, "Runtime.getHeapUsage")
    await session.detach()
    return int(used["usedSize"])


async def _measure_many(browser: Browser, server: "_Serving", runs: int, figures: Figures) -> None:
    """A day of messages, more than once, and what the conversation costs then."""
    context = await browser.new_context()
    visit = _Visit(context, server.url)
    page = await visit.open()
    await visit.sign("alice")
    async with twotick.join("bob", server.address, password=_PASSWORD, sign_up="yes") as bob:
        await bob.send("alice", "hello")
        await visit.choose("bob")
        figures.heap.append(await _heap(page))
        for part in range(_PARTS):
            amount = figures.messages // _PARTS
            for first in range(0, amount, _AT_ONCE):
                texts = [f"part {part}, message {first + each}: so goes the day" for each in range(_AT_ONCE)]
                await asyncio.gather(*(bob.send("alice", text) for text in texts))
            await bob.send("alice", f"end of part {part}")
            await page.get_by_role("log").get_by_text(f"end of part {part}", exact=True).wait_for(timeout=300_000)
            figures.heap.append(await _heap(page))
            say(f"{(part + 1) * amount:,} messages, {figures.heap[-1] / (1 << 20):.1f} MiB")
    async with twotick.join("erin", server.address, password=_PASSWORD, sign_up="yes") as erin:
        await erin.send("alice", "hi")
        for _ in range(runs):
            await visit.choose("erin")
            await page.get_by_role("log").get_by_text("hi", exact=True).wait_for()
            figures.opening.append(await page.evaluate(_OPENING, "bob"))
    figures.rows = await page.get_by_role("log").locator("article").count()
    await page.evaluate(_TYPING)
    box = page.get_by_role("textbox", name="Message")
    await box.focus()
    for number in range(_KEYS):
        await page.keyboard.press("abcdefghij"[number % 10])
        await page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
    figures.typing = await page.evaluate("latencies")
    await context.close()


@dataclass
class _Serving:
    """The server that runs.

    Attributes:
        server: the process.
        url: the page.
    """

    server: RunningServer
    url: str

    @property
    def address(self) -> str:
        """Where other clients find it."""
        return f"127.0.0.1:{self.server.port}"

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.server.pid, number)


async def _measure(server: RunningServer, web_port: int, runs: int, messages: int) -> Figures:
    figures = Figures(messages=messages)
    serving = _Serving(server, f"http://127.0.0.1:{web_port}/")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=installed("chromium"), args=_FLAGS)
        await _measure_loading(browser, serving.url, runs, figures)
        await _measure_again(browser, serving, runs, figures)
        await _measure_many(browser, serving, runs, figures)
        await browser.close()
    return figures


def measure(runs: int = RUNS, messages: int = MESSAGES) -> Figures:
    """Measure everything, with a server of its own."""
    web_port = free_port()
    with (
        tempfile.TemporaryDirectory(prefix="twotick-bench-") as name,
        running(_program(web_port, Path(name))) as server,
    ):
        return asyncio.run(_measure(server, web_port, runs, messages))


def describe(figures: Figures) -> str:
    """Return a Markdown table, and what the memory did."""
    load = f"{os.getloadavg()[0]:.1f}"
    rows = [["", "bar", "measured"]]
    rows += [
        ["bytes of the first load, compressed", "61,440", f"{figures.first_bytes:,}"],
        ["requests of the first load; scripts among them", "", f"{figures.requests}; {figures.scripts}"],
        ["first load until a name can be typed", "1,500 ms", f"{median_and_range(figures.signing_in, ',.0f')} ms"],
        ["first load until the conversations", "1,500 ms", f"{median_and_range(figures.signed_in, ',.0f')} ms"],
        ["scripts of the second load from the network", "0", f"{figures.second_scripts}"],
        ["reload without the server until the messages", "1,000 ms", f"{median_and_range(figures.offline, ',.0f')} ms"],
        ["waking after ten minutes until a new message", "2,000 ms", f"{median_and_range(figures.waking, ',.0f')} ms"],
        [f"opening {figures.messages:,} messages", "200 ms", f"{median_and_range(figures.opening, ',.0f')} ms"],
        ["messages in the document then", "300", f"{figures.rows}"],
        ["a key until its letter is drawn", "", f"{median_and_range(figures.typing, ',.0f')} ms"],
    ]
    heap = ", ".join(f"{each / (1 << 20):.1f}" for each in figures.heap)
    return (
        f"{table(rows)}\n\nMiB of JavaScript objects at first, and after each {figures.messages // _PARTS:,} messages"
        f" that came while the conversation was open: {heap}. The loads are at {_BITS / 1e6} Mbit/s with {_LATENCY} ms"
        f" of latency. The machine's load at the end was {load}."
    )


def report() -> str:
    """Measure, and return the part of the page."""
    return describe(measure())


def main() -> None:
    """Print the part of the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--messages", type=int, default=MESSAGES)
    arguments = parser.parse_args()
    if arguments.messages % (_PARTS * _AT_ONCE):
        raise MeasurementError(f"--messages is not a multiple of {_PARTS * _AT_ONCE}")
    print(describe(measure(arguments.runs, arguments.messages)))


if __name__ == "__main__":
    run(main)
