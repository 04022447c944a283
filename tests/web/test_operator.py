"""The operator's page in a browser: with the keyboard alone, in light and dark, and nothing that axe finds."""

import json
import re
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from tests.cli.operating import Operator
from tests.store.helpers import Asker
from tests.tools import missing
from tests.web.visitors import PASSWORD, PageServer
from twotick import admin
from twotick.server.observing import operating
from twotick.server.observing.condition import WARNINGS
from twotick.store import AddMember, FindMember, Member, StoreLimits
from twotick.store.rules.errors import NO_MEMBER, NotAllowed
from twotick.store.rules.operators import check_act
from twotick.store.rules.profiles import cleaned_display

pytestmark = pytest.mark.asyncio(loop_scope="session")

AXE = Path(__file__).parent.parent.parent / "build/node/node_modules/axe-core/axe.min.js"


_STATUS = {
    "Version": re.compile(r"\(plain Python\)$"),
    "Connections": re.compile(r"^members 0, guests 0, not registered 0; HTTP 0, IRC 0; at most \d+$"),
    "Members": "223",
    "Oldest waiting message": re.compile(r"20\d\d"),
    "Held for connections": re.compile(r"byte"),
}
"""What of `twotick status` the page shows, too."""

LOOKS: Any = (("light", 1280), ("dark", 320))


async def _check(page: Page, screen: str) -> None:
    for scheme, width in LOOKS:
        await page.emulate_media(color_scheme=scheme)
        await page.set_viewport_size({"width": width, "height": 800})
        await _check_look(page, f"{screen}, {scheme}, {width} pixels wide")


async def _check_look(page: Page, screen: str) -> None:
    options = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
    found: dict[str, Any] = await page.evaluate("(options) => axe.run(document, options)", options)
    told = [(each["id"], [node["html"][:200] for node in each["nodes"]]) for each in found["violations"]]
    assert told == [], (screen, told)
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), screen


def _refusals() -> set[str]:
    """Return why the server refuses what the operator's page asks: of its own, and of the store's rules."""
    source = Path(operating.__file__).read_text("utf-8")
    texts = re.findall(r'_Refused\(\s*\d+, "([^"]+)"', source)
    assert len(texts) == source.count("_Refused(") - 2, "all but the class, and what tells the store's reasons"
    found = {*texts, NO_MEMBER}
    for act in (lambda: check_act(None, "", None), lambda: check_act(Member(1, "a", "", operator=True), "", 1)):
        found.add(_refused(act))
    return found | {_refused(lambda text=text: cleaned_display(text)) for text in ("\n", "x" * 1000)}


def _refused(act: Callable[[], Any]) -> str:
    with pytest.raises(NotAllowed) as refused:
        act()
    return str(refused.value)


async def test_every_language_has_every_text() -> None:
    static = Path(__file__).parent.parent.parent / "src/twotick/web/static/admin"
    used = set(re.findall(r'\bt\("([^"]+)"[,)]', (static / "admin.js").read_text("utf-8"))) | _refusals()
    here = {kind: remedy for kind, remedy in WARNINGS.items() if kind != "no server runs on this data"}
    used |= {*here.keys(), *here.values()}
    languages = re.findall(r'"(\w\w)"', (static / "texts.js").read_text("utf-8").partition("]")[0])
    assert sorted(languages) == sorted(["en", *(file.stem for file in static.glob("texts/*.json"))])
    for file in static.glob("texts/*.json"):
        texts: dict[str, str] = json.loads(file.read_text("utf-8"))
        assert (used - texts.keys(), texts.keys() - used) == (set(), set()), file
        for text, translated in texts.items():
            details = (set(re.findall(r"\{\w+\}", each)) for each in (text, translated))
            assert next(details) == next(details), (file, text)


async def _list_many(page: Page, operator: Operator) -> None:
    with admin.opened(admin.DataFolder(operator.data), StoreLimits()) as store:
        for number in range(220):
            store.ask(AddMember(f"m{number:03}", "!", 0.0))
    await page.get_by_role("button", name="Members", exact=True).press("Enter")
    rows = page.locator("tbody tr")
    await expect(rows).to_have_count(100)
    await page.get_by_role("button", name="More").press("Enter")
    await expect(rows).to_have_count(200)
    await expect(rows.nth(100).get_by_role("button")).to_be_focused()
    await page.get_by_role("button", name="More").press("Enter")
    await expect(rows).to_have_count(223)
    await expect(page.get_by_role("button", name="More")).to_have_count(0)
    await page.get_by_label("Name contains").fill("zzz")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("No member has this in the name.")).to_be_visible()
    await expect(page.get_by_label("Name contains")).to_be_focused()
    await page.get_by_label("Name contains").fill("")
    await page.keyboard.press("Enter")
    await expect(rows).to_have_count(100)


async def _look_at_bots(page: Page) -> None:
    await page.get_by_role("button", name="Bots", exact=True).press("Enter")
    row = page.get_by_role("row", name="alerts")
    await expect(row.get_by_role("cell")).to_have_text(["", "alice, olga", "olga"])
    await _check(page, "bots")
    for action, said, state in (
        ("Disable", "alerts is disabled.", "disabled"),
        ("Enable", "alerts can log in again.", ""),
    ):
        await page.get_by_role("button", name="alerts", exact=True).press("Enter")
        dialog = page.get_by_role("dialog", name="alerts")
        await expect(dialog.get_by_role("row", name="main")).to_be_visible()
        await expect(dialog.get_by_role("button", name="Reset")).to_have_count(0)
        await _check(page, "bot")
        await dialog.get_by_role("button", name=action).press("Enter")
        await expect(page.get_by_role("status")).to_have_text(said)
        await expect(row.get_by_role("cell").first).to_have_text(state)


async def test_an_operator_looks_and_acts(browser: Browser, tmp_path: Path) -> None:
    if not AXE.exists():
        missing("axe-core", "make build/node/.installed")
    operator = Operator(tmp_path)
    operator.prepare("alice", "olga")
    operator.do("user", "role", "olga", "operator")
    operator.do("bot", "add", "alerts", "--to", "alice", "--to", "olga", "--read", "olga")
    with closing(Asker(tmp_path)) as asker:
        for name in ("alice", "olga"):
            found = asker.ask(FindMember(name))
            assert found is not None
            asker.members[name] = found.number
        asker.open("alice", "main")
        asker.send("olga", "alice")
    server = PageServer(tmp_path, TWOTICK_MAILBOX_MESSAGES="1")
    context = await browser.new_context(bypass_csp=True, locale="en")
    errors: list[str] = []
    try:
        page = await context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        await page.goto(f"{server.url}admin/")
        await page.add_script_tag(path=AXE)
        await expect(page.get_by_label("Name")).to_be_focused()
        await _check(page, "log in")
        await page.keyboard.type("olga")
        await page.keyboard.press("Tab")
        await page.keyboard.type(PASSWORD)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("button", name="alice", exact=True)).to_be_visible()
        await _check(page, "members")
        await page.get_by_role("button", name="alice", exact=True).press("Enter")
        await expect(page.get_by_role("dialog", name="alice")).to_be_visible()
        await _check(page, "member")
        await page.get_by_role("button", name="Disable").press("Enter")
        await expect(page.get_by_role("status")).to_have_text("alice is disabled.")
        await expect(page.get_by_role("row", name="alice")).to_contain_text("disabled")
        await expect(page.get_by_role("button", name="alice", exact=True)).to_be_focused()
        await _list_many(page, operator)
        async with page.expect_download() as saving:
            await page.get_by_role("button", name="alice", exact=True).press("Enter")
            await page.get_by_role("button", name="Export", exact=True).press("Enter")
        archive = await saving.value
        await expect(page.get_by_role("status")).to_contain_text("alice.zip has all that is stored about alice.")
        assert archive.suggested_filename == "alice.zip"
        with zipfile.ZipFile(await archive.path()) as saved:
            assert json.loads(saved.read("profile.json"))["name"] == "alice"
            assert saved.read("messages.jsonl").count(b"\n") == 1
        await _look_at_bots(page)
        for view in ("Invitations", "Reports", "Status"):
            await page.get_by_role("button", name=view, exact=True).press("Enter")
            await expect(page.get_by_role("heading", name=view, exact=True)).to_be_visible()
            if view == "Status":
                warning = page.locator(".warning")
                await expect(warning).to_contain_text("Warning: full mailboxes: alice")
                await expect(warning).to_contain_text("let these members connect, or revoke devices that stay away")
                for name, text in _STATUS.items():
                    await expect(page.locator(f"dt:text-is('{name}') + dd")).to_have_text(text)
            await _check(page, view)
        await page.get_by_role("button", name="Invitations", exact=True).press("Enter")
        await page.get_by_role("button", name="Invite", exact=True).press("Enter")
        dialog = page.get_by_role("dialog", name="Invitation")
        await expect(dialog).to_contain_text("The code is shown only once")
        await _check(page, "code")
        await page.keyboard.press("Escape")
        await expect(dialog).to_have_count(0)
        await expect(page.get_by_role("row")).to_have_count(2)
        operator.do("user", "role", "olga", "member")
        await page.get_by_role("button", name="Members", exact=True).press("Enter")
        await expect(page.get_by_role("alert")).to_have_text("your rights have changed: log in again")
        assert errors == []
        german = await browser.new_page(locale="de")
        await german.goto(f"{server.url}admin/")
        for name, said in (("nina", "Falscher Name oder falsches Passwort."), ("alice", "Dieses Konto ist gesperrt")):
            await german.get_by_label("Name").fill(name)
            await german.get_by_label("Passwort").fill(PASSWORD)
            await german.keyboard.press("Enter")
            await expect(german.get_by_role("alert")).to_contain_text(said)
        await german.context.close()
    finally:
        await context.close()
        server.kill()
