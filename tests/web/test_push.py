"""Notifications that come while no page is open (docs/protocol.md, section 20)."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, expect

import twotick
from tests.server.web.push_service import Post, PushService, SubscribedBrowser, encoded
from tests.web.visitors import PASSWORD, Crowd, PageServer

pytestmark = pytest.mark.asyncio(loop_scope="session")

_SUBSCRIBE = """([endpoint, p256dh, auth]) => {
    let subscription = null;
    PushManager.prototype.getSubscription = async () => subscription;
    PushManager.prototype.subscribe = async ({ applicationServerKey }) => {
        const text = atob(applicationServerKey.replace(/-/g, "+").replace(/_/g, "/"));
        const key = Uint8Array.from(text, (each) => each.charCodeAt(0)).buffer;
        subscription = {
            endpoint,
            options: { userVisibleOnly: true, applicationServerKey: key },
            toJSON: () => ({ endpoint, keys: { p256dh, auth } }),
            unsubscribe: async () => { subscription = null; return true; },
        };
        return subscription;
    };
}"""
"""The browser's own push service is not there: another one, with keys that the test knows."""

_CHOSEN = """async (how) => {
    while ((localStorage.getItem("twotick.push") ?? "") !== how) await new Promise((go) => setTimeout(go, 50));
}"""
"""Waits until the browser has noted how it is notified."""

_NOTIFICATIONS = """async (count) => {
    const worker = await navigator.serviceWorker.ready;
    for (;;) {
        const shown = await worker.getNotifications();
        if (shown.length === count) return shown.map((each) => [each.title, each.body, each.tag, each.data]);
        await new Promise((go) => setTimeout(go, 50));
    }
}"""


@pytest.fixture
def service(tmp_path: Path) -> Generator[PushService]:
    service = PushService(tmp_path / "service")
    yield service
    service.close()


@pytest.fixture
def pushing_server(tmp_path: Path, service: PushService) -> Generator[PageServer]:
    server = PageServer(tmp_path / "data", TWOTICK_ALLOW_LOCAL_PUSH="yes", SSL_CERT_FILE=str(service.certificate))
    yield server
    server.kill()


async def _deliver(context: BrowserContext, url: str, content: dict[str, Any]) -> None:
    """Give a message of the push service to the worker, while no page is open."""
    page = await context.new_page()
    session = await context.new_cdp_session(page)
    registered: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def note(event: dict[str, Any]) -> None:
        for each in event["registrations"]:
            if each["scopeURL"] == url and not registered.done():
                registered.set_result(each["registrationId"])

    session.on("ServiceWorker.workerRegistrationUpdated", note)
    send: Callable[..., Awaitable[Any]] = session.send  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    await send("ServiceWorker.enable")
    where = {"origin": url.rstrip("/"), "registrationId": await registered}
    await send("ServiceWorker.deliverPushMessage", {**where, "data": json.dumps(content)})
    await page.close()


async def test_a_closed_page_is_notified(
    browser: Browser, pushing_server: PageServer, service: PushService, names: list[str]
) -> None:
    """Also after the server was killed; and no more once the user has logged out."""
    crowd, keys = Crowd(browser, pushing_server), SubscribedBrowser()
    alice = await crowd.person(names[0], permissions=["notifications"])
    page = alice.page
    stub = [f"{service.origin}/alice", encoded(keys.public), encoded(keys.auth)]
    await page.evaluate(_SUBSCRIBE, stub)
    await alice.context.add_init_script(f"({_SUBSCRIBE})({json.dumps(stub)})")
    await page.evaluate("navigator.serviceWorker.ready.then(() => null)")
    await page.get_by_role("button", name="Settings").click()
    choice = page.get_by_label("While the page is closed, notify me")
    await choice.select_option("of who has written, with the text")
    await page.evaluate(_CHOSEN, "text")
    await page.close()
    pushing_server.kill()
    pushing_server.start()
    where = f"127.0.0.1:{pushing_server.port}"

    async def pushed() -> tuple[Post, dict[str, Any]]:
        post = await asyncio.to_thread(service.next)
        return post, keys.read(post.body)

    async with twotick.join(names[1], where, password=PASSWORD, sign_up="yes") as bob:
        await bob.send(names[0], "the wild oats are ripe")
        post, content = await pushed()
        assert (post.path, content) == (
            "/alice",
            {"name": names[1], "sender": names[1], "count": 1, "text": "the wild oats are ripe"},
        )
        await _deliver(alice.context, pushing_server.url, content)
        await _deliver(alice.context, pushing_server.url, {"name": "#Team", "sender": names[1], "count": 2})
        page = await alice.open()
        expected = [
            [names[1], "the wild oats are ripe", names[1], {"name": names[1], "count": 1}],
            [f"{names[1]} · #Team", "2 new messages", "#team", {"name": "#Team", "count": 2}],
        ]
        assert sorted(await page.evaluate(_NOTIFICATIONS, 2)) == sorted(expected)
        await alice.choose(names[1])
        await alice.expect_message("the wild oats are ripe")
        assert await page.evaluate(_NOTIFICATIONS, 1) == expected[1:], "reading removes it"
        await page.get_by_role("button", name="Settings").click()
        await page.get_by_role("button", name="Sign out", exact=True).click()
        await expect(page.get_by_role("button", name="Sign in")).to_be_visible()
        await page.evaluate(_CHOSEN, "")
        await bob.send(names[0], "and gone")
    pushing_server.kill()
    assert service.waiting() == 0
    await crowd.close()
