"""Every screen: nothing that a screen reader or the keyboard cannot use, nothing that is too wide, light and dark."""

import re
from pathlib import Path

import pytest
from PIL import Image
from playwright.async_api import expect

import twotick
from tests.store.pictures import png
from tests.web.visitors import PASSWORD, Crowd, PageServer, Person, check_screen, load_axe

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 320)])
async def test_axe_finds_nothing(
    crowd: Crowd, page_server: PageServer, names: list[str], scheme: str, width: int
) -> None:
    """WCAG 2.2 AA on every screen, and no screen is wider than the window."""
    alice = await crowd.person(
        names[0],
        fresh=False,
        color_scheme=scheme,
        reduced_motion="reduce",  # a dialog that fades in has less contrast
        viewport={"width": width, "height": 800},
        bypass_csp=True,
    )
    await load_axe(alice.page)
    await check_screen(alice.page, "sign in")
    await alice.sign_up()
    room = f"#{names[0]}axe"
    async with twotick.join(names[1], f"127.0.0.1:{page_server.port}", password=PASSWORD, sign_up="yes") as bob:
        await bob.create_room(room, public=True, topic="A room to look at")
        await bob.send(room, "*bold* _italic_ `code` https://a.example @nobody\n> quote\n```\nblock\n```")
        await bob.send(names[0], "unread")
        await check_screen(alice.page, "list")
        await alice.page.get_by_role("button", name="Rooms").click()
        await check_screen(alice.page, "rooms")
        # The title is right at once, not only when the page has asked for its lists again.
        await alice.page.evaluate("() => { app.profile.session.recountSoon = () => {} }")
        await alice.page.get_by_role("listitem").filter(has_text=room).get_by_role("button", name="Join").click()
        await expect(alice.page.get_by_text("2 members · A room to look at")).to_be_visible()
        await alice.expect_message("bold")
        await alice.write("an answer")
        await alice.expect_tick("an answer", "stored")
        await check_screen(alice.page, "room")
        row = alice.page.get_by_role("article").filter(has_text="an answer")
        await row.focus()
        await row.press("+")
        await check_screen(alice.page, "menu")
        await alice.page.keyboard.press("Escape")
        await row.press("r")
        await check_screen(alice.page, "reply")
        await alice.page.get_by_role("button", name="Emoji", exact=True).click()
        await alice.page.get_by_role("textbox", name="Search emoji by name").fill("party p")
        await check_screen(alice.page, "emoji")
        await alice.page.keyboard.press("Enter")
        await expect(alice.page.get_by_role("textbox", name="Message", exact=True)).to_have_value("🎉")
        await alice.page.get_by_role("button", name="Details").click()
        await alice.page.get_by_text("Leave the room").wait_for()
        await check_screen(alice.page, "details")
        await alice.page.keyboard.press("Escape")
    if width < 720:
        await alice.page.get_by_role("button", name="Back").click()
    await alice.page.get_by_role("button", name="Settings").click()
    await alice.page.get_by_text("this browser").wait_for()
    await check_screen(alice.page, "settings")
    await alice.page.get_by_role("button", name="Keys", exact=True).click()
    await alice.page.get_by_role("table", name="With a message selected").wait_for()
    await check_screen(alice.page, "keys")


async def test_the_keyboard_is_enough(crowd: Crowd, names: list[str]) -> None:
    """A person reacts, edits, replies, deletes and undoes without a pointer."""
    alice, bob = await crowd.person(names[0]), await crowd.person(names[1])
    await alice.talk_to(bob.name)
    await alice.write("first")
    await alice.expect_tick("first", "delivered")
    await bob.choose(alice.name)
    await bob.expect_message("first")
    page = alice.page
    await page.keyboard.press("ArrowUp")
    await expect(page.get_by_role("textbox", name="Message")).to_have_value("first")
    await page.keyboard.type(", edited")
    await page.keyboard.press("Enter")
    await bob.expect_message("first, edited")
    await expect(bob.page.get_by_role("article")).to_contain_text("edited ·")
    await _select_last(bob)
    await bob.page.keyboard.press("+")
    await bob.page.keyboard.press("Enter")  # the first of the reactions
    await expect(page.get_by_role("button", name=f"👍: {bob.name}")).to_be_visible()
    await _select_last(bob)
    await bob.page.keyboard.press("r")
    await bob.page.keyboard.type("an answer")
    await bob.page.keyboard.press("Enter")
    answer = page.get_by_role("article").filter(has_text="an answer")
    await expect(answer.get_by_role("button", name="first, edited")).to_be_visible()
    await page.get_by_role("textbox", name="Message").focus()
    await page.keyboard.press("Escape")
    await page.keyboard.press("ArrowUp")
    await page.keyboard.press("d")
    deleted = page.locator("article .deleted")
    await expect(deleted).to_have_text("This message was deleted.")
    await page.get_by_role("button", name="Undo").press("Enter")
    await expect(deleted).to_have_count(0)
    await alice.expect_message("edited ·")
    await _select_last(alice)
    await page.keyboard.press("ArrowUp")
    await page.keyboard.press("d")
    await expect(deleted).to_have_count(1)
    await page.evaluate("() => { const now = Date.now; Date.now = () => now() - 3600_000 }")  # the clock is put back
    await alice.write("an hour ago")
    await expect(bob.page.locator("article .deleted")).to_have_count(1)
    await _select_last(alice)
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog", name="Keys")).to_contain_text("Reply to the message")
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await page.keyboard.press("Control+k")
    await page.get_by_label("Name of the person").fill(alice.name)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name=alice.name)).to_be_visible()
    await bob.write("one more")
    await expect(page.get_by_role("link", name=bob.name)).to_contain_text("1 unread")
    await page.keyboard.press("F3")
    await expect(page.get_by_role("heading", name=bob.name)).to_be_visible()
    await page.keyboard.press("Alt+ArrowDown")
    await expect(page.get_by_role("heading", name=alice.name)).to_be_visible()


async def _select_last(person: Person) -> None:
    await person.page.get_by_role("textbox", name="Message").focus()
    await person.page.keyboard.press("Escape")


async def test_files_and_pictures(crowd: Crowd, names: list[str], tmp_path: Path) -> None:
    """A picture is shown from a blob, and any other file is only saved."""
    alice, bob = await crowd.person(names[0]), await crowd.person(names[1])
    await alice.talk_to(bob.name)
    picture = Path(__file__).parent.parent.parent / "src/twotick/web/static/icons/icon-512.png"
    page = tmp_path / "evil.html"
    page.write_text("<script>parent.document.title = 'owned'</script>" * 3000)
    async with alice.page.expect_file_chooser() as chooser:
        await alice.page.get_by_role("button", name="Attach file").click()
    await (await chooser.value).set_files([picture, page])
    await bob.choose(alice.name)
    image = bob.page.get_by_role("img", name="icon-512.png")
    await expect(image).to_be_visible()
    assert await image.evaluate("each => each.decode().then(() => each.naturalWidth)") == 512
    assert (await image.get_attribute("src") or "").startswith("blob:")
    async with bob.page.expect_download() as download:
        await bob.page.get_by_role("button", name="Save evil.html").click()
    assert (await (await download.value).path()).read_bytes() == page.read_bytes()
    await alice.expect_tick("evil.html", "read")


async def test_hostile_texts_stay_texts(crowd: Crowd, page_server: PageServer, names: list[str]) -> None:
    """Nothing that others write runs, breaks out of its place, or turns what stands around it."""
    hostile = [
        "<img src=x onerror=alert(1)><script>alert(1)</script>",
        "javascript:alert(1) data:text/html,<script>alert(1)</script> [x](javascript:alert(1))",
        "https://a.example/\"onmouseover='alert(1)'",
        "\u202egnp.exe \u2066\u2067 \u0000\u0007\u001b[31m",
        "a" + "\u0301" * 300 + " " + "W" * 5000,
        "`" * 3000 + "*_" * 1000 + "> " * 500,
        "{{constructor.constructor('alert(1)')()}} ${alert(1)} &lt;b&gt; %00",
        "\n" * 300 + "end",
        "__proto__",
    ]
    alice = await crowd.person(names[0])
    async with twotick.join(names[1], f"127.0.0.1:{page_server.port}", password=PASSWORD, sign_up="yes") as eve:
        await eve.set_profile(display="<b>\u0041dmin</b>", status="<script>alert(1)</script>")
        for text in hostile:
            await eve.send(names[0], text)
        target = await eve.send(names[0], "target")
        await eve.react(names[0], target.id, "<svg onload=alert(1)>")
        await alice.choose(eve.name)
        await alice.expect_message("target")
    page = alice.page
    log = page.get_by_role("log")
    await expect(log.get_by_text("<svg onload=alert(1)>")).to_be_visible()
    await expect(log.get_by_text("<img src=x onerror")).to_be_visible()
    assert await log.locator("img, script, iframe, b, style").count() == 0
    assert await log.locator("a:not([href^='https://a.example/'])").count() == 0
    assert await log.evaluate("box => box.scrollWidth <= box.clientWidth")
    assert "\u202e" not in await log.inner_text()
    # The only errors of the browser would be about a policy that was broken: `crowd` looks for them.


async def test_the_page_speaks_the_language_of_the_browser_or_the_one_that_was_chosen(
    crowd: Crowd, names: list[str]
) -> None:
    """German by the browser, then French by choice, which lasts; Arabic is written from right to left."""
    alice = await crowd.person(names[0], fresh=False, locale="de-DE")
    page = alice.page
    await page.get_by_role("textbox", name="Name").fill(names[0])
    await page.get_by_label("Passwort", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Registrieren").click()
    await page.get_by_role("button", name="Einstellungen").click()
    await page.get_by_label("Sprache").select_option("fr")
    await expect(page.get_by_role("dialog", name="Réglages")).to_be_visible()
    await page.reload()
    await expect(page.get_by_role("navigation", name="Conversations")).to_be_visible()
    await page.get_by_role("button", name="Nouvelle conversation").click()
    await page.get_by_label("Nom de la personne").fill(names[0])
    await page.get_by_role("button", name="Commencer").click()
    await page.get_by_role("textbox", name="Message").fill("مرحبا *كيف* حالك؟")
    await page.keyboard.press("Enter")
    line = page.get_by_role("article").locator("p[dir=auto]")
    await expect(line).to_have_css("direction", "rtl")
    assert await page.locator("html").get_attribute("lang") == "fr"


async def test_a_picture_is_chosen_shown_and_kept(
    crowd: Crowd, page_server: PageServer, names: list[str], tmp_path: Path
) -> None:
    """Nothing of the file but a small square goes out; others see it, from a blob, and load it once."""
    alice = await crowd.person(names[0])
    page = alice.page
    photo, fake = tmp_path / "photo.jpg", tmp_path / "fake.png"
    about = Image.Exif()
    about[0x010E] = "taken at home"
    Image.new("RGB", (900, 400), "red").save(photo, exif=about)
    fake.write_text("<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", "utf-8")
    async with twotick.join(names[1], f"127.0.0.1:{page_server.port}", password=PASSWORD, sign_up="yes") as bob:
        await bob.set_profile(picture=png(64, 64))  # passes the server's look at its head, and cannot be decoded
        await bob.send(names[0], "hi")
        await alice.choose(bob.name)
        await alice.expect_message("hi")
        await alice.write("hello")  # now bob may see her profile
        await alice.expect_tick("hello", "stored")
        await page.get_by_role("button", name="Settings").click()
        settings = page.get_by_role("dialog", name="Settings")
        for file in (fake, photo):
            async with page.expect_file_chooser() as chooser:
                await settings.get_by_role("button", name="Choose a picture").click()
            await (await chooser.value).set_files(file)
            if file is fake:
                await expect(page.get_by_text("This file is no picture")).to_be_visible()
        shown = settings.locator(".avatar img")
        await expect(shown).to_have_attribute("src", re.compile("^blob:"))
        assert await shown.evaluate("each => each.decode().then(() => each.naturalWidth)") == 256
        digest = (await bob.profile(names[0])).picture
        picture = await bob.profile_picture(names[0], digest)
        assert picture.startswith((b"RIFF", b"\xff\xd8\xff"))
        assert b"home" not in picture
        await page.reload()
        await expect(page.get_by_role("button", name="Settings").locator("img")).to_have_count(1)
        assert await page.get_by_role("link", name=bob.name).locator("img").count() == 0
        await page.get_by_role("button", name="Settings").click()
        await settings.get_by_role("button", name="Remove the picture").click()
        await expect(page.get_by_role("button", name="Settings").locator("img")).to_have_count(0)
        assert (await bob.profile(names[0])).picture == ""
