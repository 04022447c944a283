"""How much the page loads, and how soon it can be used."""

import shutil
import subprocess
from pathlib import Path

import pytest
from playwright.async_api import Browser, Response, expect

from tests.tools import missing
from tests.web.visitors import Crowd, PageServer, Person
from twotick.server.web.scripts import short_script

pytestmark = pytest.mark.asyncio(loop_scope="session")

_MOST_AT_FIRST = 60 << 10
_MOST_IN_ALL = 100 << 10
_SOURCE = Path(__file__).parent.parent.parent / "src"
_COMPILER = Path(__file__).parent.parent.parent / "build/node/node_modules/.bin/tsc"


async def test_the_first_load_is_small_and_the_second_needs_no_network(
    browser: Browser, page_server: PageServer, names: list[str]
) -> None:
    """At most 60 KB for signing in and a conversation, 100 KB for all; then the browser has the page."""
    context = await browser.new_context(service_workers="allow")
    person = Person(names[0], context, page_server.url)
    responses: list[Response] = []
    context.on("response", lambda response: responses.append(response))
    page = await person.open()
    await person.sign_up()
    await person.talk_to(names[0])
    await person.write("to myself")
    await expect(page.get_by_role("article")).to_have_count(1)
    at_first = {
        each.url.removeprefix(page_server.url): (await each.request.sizes())["responseBodySize"]
        for each in responses
        if each.request.service_worker is None
        and not any(part in each.url for part in ("dialogs.js", "errors.js", "complet", "/more/", "icon"))
    }
    assert [path for path in at_first if path.endswith(".js")] == ["app/main.js"]
    assert sum(at_first.values()) <= _MOST_AT_FIRST, at_first
    await page.locator("#app[data-offline=yes]").wait_for()
    sizes: list[int] = await page.evaluate(
        """async () => {
            const { files } = await (await fetch("/page.json")).json();
            const english = (file) => !file.includes("/texts/") || file.endsWith("en.js");
            const needed = files.filter((file) => !file.includes("icon-512") && english(file));
            return Promise.all(needed.map(async (file) => {
                const packed = (await fetch(file)).body.pipeThrough(new CompressionStream("gzip"));
                return (await new Response(packed).arrayBuffer()).byteLength;
            }));
        }"""
    )
    assert sum(sizes) <= _MOST_IN_ALL
    await page.close()
    responses.clear()
    await person.open()
    await expect(person.page.get_by_role("navigation", name="Conversations")).to_be_visible()
    scripts = [each for each in responses if each.url.endswith((".js", ".css")) and each.request.service_worker is None]
    assert "main.js" in " ".join(each.url for each in scripts)
    assert [each.url for each in scripts if not each.from_service_worker] == []
    assert person.violations == []
    await context.close()


async def test_the_scripts_that_are_served_do_what_was_written(tmp_path: Path) -> None:
    """Only comments and indentation are left out: a compiler makes the same of both, but for indentation."""
    if not _COMPILER.exists():
        missing("TypeScript", "make build/node/.installed")
    written = _SOURCE / "twotick/web/static"
    scripts = {path.relative_to(written): path.read_text("utf-8") for path in written.rglob("*.js")}
    assert Path("app/main.js") in scripts
    for path, content in scripts.items():
        for kind, text in (("written", content), ("served", short_script(content))):
            file = tmp_path / kind / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, "utf-8")
    assert _compiled(tmp_path / "written") == _compiled(tmp_path / "served")


def _compiled(folder: Path) -> dict[str, list[str]]:
    """Return the lines that a compiler makes of the scripts in a folder, without comments and indentation."""
    made = folder.with_name(f"{folder.name}-compiled")
    options = ["--allowJs", "--noCheck", "--noResolve", "--removeComments", "--target", "esnext", "--module", "esnext"]
    files = [str(file) for file in folder.rglob("*.js")]
    subprocess.run([_COMPILER, *options, "--rootDir", folder, "--outDir", made, *files], check=True)
    return {
        str(file.relative_to(made)): [line.lstrip() for line in file.read_text("utf-8").splitlines()]
        for file in made.rglob("*.js")
    }


async def test_a_new_version_comes_as_a_whole(browser: Browser, tmp_path: Path) -> None:
    """Until the user asks for the new version, all of the page is the old one, also what is loaded late."""
    source = tmp_path / "src"
    shutil.copytree(_SOURCE, source, ignore=shutil.ignore_patterns("__pycache__"))
    server = PageServer(tmp_path / "data", PYTHONPATH=str(source))
    try:
        crowd = Crowd(browser, server)
        alice = await crowd.person("alice")
        await alice.page.locator("#app[data-offline=yes]").wait_for()
        server.kill()
        dialogs = source / "twotick/web/static/app/views/dialogs.js"
        dialogs.write_text(
            dialogs.read_text("utf-8").replace('title=${t("settings.title")}', 'title="New settings"'), "utf-8"
        )
        server.start()
        await alice.page.close()
        page = await alice.open()
        await expect(page.get_by_text("A new version of the page is ready.")).to_be_visible()
        await page.get_by_role("button", name="Settings").click()
        await expect(page.get_by_role("dialog", name="Settings", exact=True)).to_be_visible()
        await page.keyboard.press("Escape")
        await page.get_by_role("button", name="Load it").click()
        await expect(page.get_by_text("A new version of the page is ready.")).to_have_count(0)
        await page.get_by_role("button", name="Settings").click()
        await expect(page.get_by_role("dialog", name="New settings")).to_be_visible()
        await crowd.close()
    finally:
        server.kill()
