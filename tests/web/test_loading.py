"""How much the page loads, and how soon it can be used."""

import pytest
from playwright.async_api import Browser, Response, expect

from tests.web.visitors import PageServer, Person

pytestmark = pytest.mark.asyncio(loop_scope="session")

_MOST_AT_FIRST = 60 << 10
_MOST_IN_ALL = 100 << 10


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
        if each.request.service_worker is None and "dialogs.js" not in each.url and "icon" not in each.url
    }
    assert "app/main.js" in at_first
    assert sum(at_first.values()) <= _MOST_AT_FIRST, at_first
    assert len([path for path in at_first if path.endswith(".js")]) <= 27
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
