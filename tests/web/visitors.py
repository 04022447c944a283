"""Servers with a page, and people in front of browsers, for the tests of the page."""

import asyncio
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from playwright.async_api import Browser, BrowserContext, Locator, Page, expect

from tests.cli.commands import environment, run
from tests.tools import missing

PASSWORD: Final = "correct horse"
_AXE: Final = Path(__file__).parent.parent.parent / "build/node/node_modules/axe-core/axe.min.js"

expect.set_options(timeout=60_000)  # a browser on a busy machine can be slow


class PageServer:
    """A server process with a page.

    Args:
        data: the folder of its data.
        variables: its settings.

    Attributes:
        url: the address of the page.
        port: the port for other clients.
        irc_port: the port for IRC clients, if its settings say that there is one.
        variables: its settings when it is started next.
    """

    def __init__(self, data: Path, **variables: str) -> None:
        self._data = data
        self.variables = variables
        self.url = ""
        self.port = self.irc_port = 0
        self._web_port = 0
        self.start()

    def start(self) -> None:
        """Start it, on the same ports as before."""
        settings = {"TWOTICK_MEMORY": "no", "TWOTICK_WEB": "yes", "TWOTICK_SIGN_UP": "open", **self.variables}
        where = ["--port", str(self.port), "--web-port", str(self._web_port), "--data", str(self._data)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "twotick", "serve", *where],
            env=environment(**settings),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline().rpartition(":")[2])
        self.url = self._process.stdout.readline().rpartition(" ")[2].strip()
        self._web_port = int(self.url.rstrip("/").rpartition(":")[2])
        if "TWOTICK_IRC_PORT" in self.variables:
            self.irc_port = int(self._process.stdout.readline().rpartition(":")[2])

    def invite(self) -> str:
        """Return a new invitation code."""
        where = environment(TWOTICK_MEMORY="no", TWOTICK_SIGN_UP="invite")
        return run("user", "invite", "--data", str(self._data), env=where).stdout.split()[0]

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it at once, as a power failure does."""
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


class Person:
    """A person in front of a browser with a profile of its own.

    Attributes:
        name: the name of the account.
        context: the profile.
        page: the tab.
        violations: what the browser has said against the page: errors, and breaches of its policy.
    """

    def __init__(self, name: str, context: BrowserContext, url: str) -> None:
        self.name = name
        self.context = context
        self.url = url
        self.violations: list[str] = []
        self.page: Page

    async def open(self, *, clock: bool = False) -> Page:
        """Open the page in a tab.

        Args:
            clock: whether the test can turn its clock forward.
        """
        page = self.page = await self.context.new_page()
        if clock:
            await page.clock.install()
        page.on("pageerror", lambda error: self.violations.append(str(error)))
        page.on("console", lambda said: self._note(said.type, said.text))
        page.on("dialog", lambda dialog: asyncio.ensure_future(dialog.accept()))
        await page.goto(self.url)
        await page.locator("#app[data-ready]").wait_for()
        return page

    def _note(self, kind: str, text: str) -> None:
        # A request to a server that has ended is an error to the browser, which says so itself.
        if kind == "error" and "net::ERR_" not in text and "WebSocket connection to" not in text:
            self.violations.append(text)

    async def sign_up(self, invitation: str = "") -> None:
        """Sign up on the page."""
        await self._fill(invitation)
        await self.page.get_by_role("button", name="Sign up").click()
        await self._arrive()

    async def sign_in(self, password: str = PASSWORD) -> None:
        """Sign in on the page."""
        await self._fill(password=password)
        await self.page.get_by_role("button", name="Sign in").click()
        await self._arrive()

    async def _fill(self, invitation: str = "", password: str = PASSWORD) -> None:
        await self.page.get_by_role("textbox", name="Name").fill(self.name)
        await self.page.get_by_label("Password", exact=True).fill(password)
        if invitation:
            await self.page.get_by_role("textbox", name="Server invitation").fill(invitation)

    async def _arrive(self) -> None:
        await expect(self.page.get_by_role("navigation", name="Conversations")).to_be_visible()

    async def talk_to(self, name: str) -> None:
        """Open a conversation."""
        await self.page.get_by_role("button", name="New conversation").click()
        await self.page.get_by_label("Name of the person").fill(name)
        await self.page.get_by_role("button", name="Start").click()
        await expect(self.page.get_by_role("heading", name=name)).to_be_visible()

    async def choose(self, name: str) -> None:
        """Choose a conversation of the list."""
        await self.page.get_by_role("navigation").get_by_role("link", name=name).click()

    async def write(self, text: str) -> None:
        """Write a message, and send it with Enter."""
        box = self.page.get_by_role("textbox", name="Message")
        await box.fill(text)
        await box.press("Enter")

    async def expect_tick(self, text: str, state: str) -> None:
        """Wait until the message with a text is there once, and in a state."""
        row = self.page.get_by_role("log", name="Messages").get_by_role("article").filter(has_text=text)
        await expect(row).to_have_count(1)
        await expect(row).to_have_accessible_description(_ends_with(state))

    async def expect_message(self, text: str) -> None:
        """Wait until a message is shown, once."""
        rows = self.page.get_by_role("log", name="Messages").get_by_role("article").filter(has_text=text)
        await expect(rows).to_have_count(1)

    @property
    def bodies(self) -> Locator:
        """The texts of the messages that are shown, in order."""
        return self.page.get_by_role("log").locator("article .body")


def _ends_with(state: str) -> re.Pattern[str]:
    return re.compile(f", {re.escape(state)}$")


class Crowd:
    """The people of one test."""

    def __init__(self, browser: Browser, server: PageServer) -> None:
        self._browser = browser
        self._server = server
        self.people: list[Person] = []

    async def person(self, name: str, *, fresh: bool = True, url: str = "", **options: object) -> Person:
        """Return a person with the page in front.

        Args:
            name: the name of the account.
            fresh: whether to sign up.
            url: the address; empty for that of the server.
            options: options of the browser's profile.
        """
        context = await self._browser.new_context(**options)  # pyright: ignore[reportArgumentType]
        person = Person(name, context, url or self._server.url)
        self.people.append(person)
        await person.open()
        if fresh:
            await person.sign_up()
        return person

    async def close(self) -> None:
        """Close all browsers. None of them may have found an error in the page."""
        for person in self.people:
            await person.context.close()
        violations = [each for person in self.people for each in person.violations]
        assert not violations, violations


async def load_axe(page: Page) -> None:
    """Load what `check_screen` needs. The page's policy must be off (`bypass_csp`)."""
    if not _AXE.exists():
        missing("axe-core", "make build/node/.installed")
    await page.add_script_tag(path=_AXE)


async def check_screen(page: Page, screen: str) -> None:
    """Check that a screen fulfils WCAG 2.2 AA, and is no wider than the window."""
    await page.evaluate("Promise.allSettled(document.getAnimations().map((each) => each.finished))")
    options = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
    found: dict[str, Any] = await page.evaluate("(options) => axe.run(document, options)", options)
    told = [(each["id"], [node["html"][:200] for node in each["nodes"]]) for each in found["violations"]]
    assert told == [], (screen, told)
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), screen
