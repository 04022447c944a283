"""The pictures of docs/guide.md: `python -m tests.ui.app.pictures`."""

import asyncio
import tempfile
from pathlib import Path

from tests.client.members import chatting, take
from tests.ui.app.people import Person, member, person
from twotick.ui.app import Wishes

_DOCS = Path(__file__).parents[3] / "docs"


def _draw(alice: Person, name: str) -> None:
    picture = alice.app.export_screenshot(title="twotick chat")
    lines = [line.rstrip() for line in picture.splitlines()]
    (_DOCS / f"app-{name}.svg").write_text("\n".join(lines) + "\n", "utf-8")


async def _talk(folder: Path, theme: str, width: int, name: str) -> None:
    async with (
        chatting("alice", "bob", "carol", "dave") as chat,
        chat.join("bob") as bob,
        chat.join("carol") as carol,
        chat.join("alice") as elsewhere,
    ):
        await bob.send("alice", "Good morning! Did the backup run last night?")
        await elsewhere.send("bob", "Yes. 212 GB in 14 minutes, and the check found no damage.")
        receipt = await elsewhere.send("bob", "The log is at https://backup.example.org/runs/2026-11-22")
        for message in await take(bob, 2):
            await message.read()
        await receipt.read()
        wishes = member(chat, folder)
        wishes = Wishes(wishes.server, wishes.name, wishes.who, theme=theme, folder=folder)
        async with person(wishes, width, 24) as alice:
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
            await alice.sees("@2", "dave", "See you at the")
            alice.session.server = "chat.lan"
            if name == "details":
                await alice.press("ctrl+t", "escape", "up", "up", "up")
                await alice.sees("backup.example.org", "State")
            await alice.finds(lambda: "gladly" in alice.screen and "\u2026" not in alice.screen)
            await alice.resize(width, 24)
            _draw(alice, name)


async def _draw_all() -> None:
    with tempfile.TemporaryDirectory() as folder:
        await _talk(Path(folder) / "1", "dark", 80, "conversation")
        await _talk(Path(folder) / "2", "light", 110, "details")
        async with person(Wishes("chat.lan", theme="dark")) as alice:
            await alice.type("alice", "tab")
            await alice.sees("Password")
            _draw(alice, "first")


if __name__ == "__main__":
    asyncio.run(_draw_all())
