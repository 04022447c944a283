"""The pictures of README.md and docs/guide.md: `python -m tests.ui.app.pictures`."""

import asyncio
import os
import tempfile
from dataclasses import replace
from pathlib import Path

from tests.client.members import chatting, take
from tests.ui.app.users import AppUser, app_user, member
from twotick.client import Presence
from twotick.ui.app import AppOptions
from twotick.ui.tour import TourApp, prepared

TICKS = "\u2713\u2713"
_DOCS = Path(__file__).parents[3] / "docs"


def _draw(alice: AppUser, name: str, title: str = "twotick chat") -> None:
    picture = alice.app.export_screenshot(title=title)
    lines = [line.rstrip() for line in picture.splitlines()]
    (_DOCS / f"{name}.svg").write_text("\n".join(lines) + "\n", "utf-8")


async def _try() -> None:
    """Draw the demo."""
    async with prepared() as options:
        app = TourApp(replace(options, theme="dark"))
        async with app.run_test(size=(84, 28), notifications=True) as pilot:
            you = AppUser(app, pilot)
            await you.sees("Ctrl+C ends the demo")
            await you.type("Good morning!", "enter")
            await you.sees("you said: Good morning!")
            await _draw_of(you, "demo", "twotick demo")


async def _talk(folder: Path, theme: str, width: int, name: str) -> None:
    """Draw a conversation of two users."""
    async with (
        chatting("alice", "bob", "carol", "dave") as chat,
        chat.join("bob") as bob,
        chat.join("carol") as carol,
        chat.join("alice") as elsewhere,
    ):
        await bob.status(Presence.HERE)
        await bob.send("alice", "Good morning! Did the backup run last night?")
        await elsewhere.send("bob", "Yes. 212 GB in 14 minutes, and the check found no damage.")
        receipt = await elsewhere.send("bob", "The log is at https://backup.example.org/runs/2026-11-22")
        for message in await take(bob, 2):
            await message.read()
        await receipt.read()
        options = member(chat, folder)
        options = AppOptions(options.server, options.name, options.credential, theme=theme, folder=folder)
        async with app_user(options, width, 24) as alice:
            await alice.opens("bob")
            await alice.sees("Did the backup run")
            await bob.send("alice", "Nice, twice as fast as last week. So the new disks were worth it.")
            await bob.send("alice", "@alice lunch at 12?")
            await alice.sees("lunch at 12")
            await carol.send("alice", "The printer on floor 2 is out of paper again.")
            await carol.send("alice", "@alice, you have the key.")
            await alice.type("Yes, gladly", "enter")
            for message in await take(bob, 1):
                await message.read()
            await elsewhere.send("dave", "Are you there?")
            await alice.type("See you at the ")
            await alice.sees("@2", "dave", "See you at the", "\u25cf bob  here")
            alice.session.server = "chat.lan"
            alice.session.on_connection()
            if name == "details":
                await alice.press("ctrl+t", "escape", "escape", "up", "up", "up")
                await alice.sees("backup.example.org", "State")
            await alice.sees_at_end("gladly", TICKS) if name == "conversation" else await alice.sees("gladly")
            await alice.finds(lambda: chat.address not in alice.screen)
            _draw(alice, f"app-{name}")


async def _meet(folder: Path) -> None:
    """Draw a room, the list of rooms and a search."""
    folder.mkdir()
    photo = folder / "poppies.jpg"
    photo.write_bytes(b"red" * 80_000)
    async with (
        chatting("alice", "bob", "carol", folder=folder / "server") as chat,
        app_user(_dark(member(chat, folder / "bob", "bob"))) as bob,
        app_user(_dark(member(chat, folder / "carol", "carol"))) as carol,
        app_user(_dark(member(chat, folder / "alice"))) as alice,
    ):
        for each in (alice, bob, carol):
            await each.sees("\u25cf ")
        mine = await alice.session.create_room("#garden", "public", "what grows")
        await alice.session.create_room("#cellar", "private", "wine")
        await carol.session.create_room("#office", "public", "who is where")
        bobs, carols = await bob.session.join("#garden"), await carol.session.join("#garden")
        await alice.talks_to("#garden")
        await alice.sees("carol joined")
        carol.session.send(carols, "Who has seeds for spring? I would like to try wild oats.")
        await alice.sees("I would like to try")
        await bob.finds(lambda: "oats" in bobs.messages[-1].text)
        bob.session.send(bobs, "Oats I have, and *red poppies*.", bobs.messages[-1])
        await alice.sees("red poppies.")
        bob.session.send_file(bobs, photo, "Those of last year:")
        await alice.sees("poppies.jpg  234 KiB  v: show  s: save")
        await alice.type("/react", "enter")
        await alice.sees("React")
        await alice.type("tada", "enter")
        await alice.sees("\U0001f389 1")
        await alice.type("Lovely. I bring the spades on Saterday", "enter")
        await alice.sees_at_end("Saterday", TICKS)
        await alice.type("/edit", "enter")
        await alice.sees("Editing")
        await alice.press(*["backspace"] * 8)
        await alice.type("Saturday", "enter")
        await alice.sees_at_end("Saturday", "edited " + TICKS)
        carol.session.send(carol.session.open("alice"), "Psst: have you seen my hat?")
        await alice.sees("carol", "unread elsewhere")
        bob.session.typing(bobs)
        await alice.sees("bob is typing")
        await _draw_of(alice, "app-room")
        await alice.finds(lambda: not mine.typing)
        await alice.press("f6")
        await alice.sees("#office")
        await _draw_of(alice, "app-rooms")
        await alice.press("escape")
        await alice.sees_no("#office  ")
        await _search(alice, "oats")
        await _draw_of(alice, "app-search")


async def _search(alice: AppUser, word: str) -> None:
    while True:  # it may take a few seconds
        await alice.press("ctrl+f")
        await alice.sees("Enter: search")
        await alice.type(word, "enter")
        await alice.finds(lambda: "found." in alice.screen)
        if "2 found." in alice.screen:
            return
        await alice.press("escape")
        await alice.sees("Message to")


async def _draw_of(alice: AppUser, name: str, title: str = "twotick chat") -> None:
    server, alice.session.server = alice.session.server, "chat.lan"
    alice.session.on_connection()
    await alice.finds(lambda: server not in alice.screen)
    _draw(alice, name, title)
    alice.session.server = server


def _dark(options: AppOptions) -> AppOptions:
    return AppOptions(options.server, options.name, options.credential, theme="dark", folder=options.folder)


async def _draw_all() -> None:
    with tempfile.TemporaryDirectory() as folder:
        await _try()
        await _talk(Path(folder) / "1", "dark", 80, "conversation")
        await _talk(Path(folder) / "2", "light", 110, "details")
        await _meet(Path(folder) / "3")
        async with app_user(AppOptions("chat.lan", theme="dark")) as alice:
            await alice.type("alice", "tab")
            await alice.sees("Password")
            _draw(alice, "app-first")


if __name__ == "__main__":
    os.environ["COLORTERM"] = "truecolor"
    asyncio.run(_draw_all())
