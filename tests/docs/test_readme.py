"""The commands in the documents exist, and the code in README.md does what the text says."""

import asyncio
import inspect
import re
import shlex
import subprocess
import sys
import textwrap
from contextlib import suppress
from functools import cache
from pathlib import Path

import pytest

from tests.cli.commands import listening, run, wait_until_there
from tests.docs.conftest import Server
from twotick import EventKind, MemberClient, MemberMessage, join, send

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/*.md"), *ROOT.glob("examples/*.md")]
GROUPS = {"bot", "room", "user"}
"""Commands that have commands of their own."""

BLOCKS = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)


def commands(page: Path) -> list[list[str]]:
    """Return the `twotick` commands in the code of a page, each as its words after `twotick`."""
    text = page.read_text("utf-8")
    lines = [
        line for block in re.findall(r"^```\n(.*?)^```$", text, re.MULTILINE | re.DOTALL) for line in block.split("\n")
    ]
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    lines += [span.replace("\n", " ") for span in re.findall(r"`([^`]+)`", prose)]
    found: list[list[str]] = []
    for line in lines:
        for command in re.findall(r"(?:^|(?<!-u)[ (/])twotick +(?:twotick +)?([a-z][^|&>;)]*)", line):
            with suppress(ValueError):  # text that is no command line
                found.append(shlex.split(command.translate(str.maketrans("", "", "[]")), comments=True))
    return found


COMMANDS = sorted({tuple(words) for page in PAGES for words in commands(page)})


@cache
def usage(*command: str) -> str:
    """Return what `--help` says about a command, which must exist."""
    ended = run(*command, "--help")
    assert ended.returncode == 0, f"there is no command {' '.join(command)}"
    return ended.stdout


def test_the_pages_have_commands() -> None:
    assert len(COMMANDS) > 40


def test_every_command_and_option_in_the_documents_exists() -> None:
    for words in COMMANDS:
        path = words[: 2 if words[0] in GROUPS and len(words) > 1 and words[1].islower() else 1]
        described = usage(*path)
        assert [word for word in words if word.startswith("--") and word not in described] == [], words


def test_a_guest_sends_and_receives(place: Server) -> None:
    """The first block, as a program of its own."""
    assert BLOCKS[0].count('connect("alice")') == 1
    program = BLOCKS[0].replace('connect("alice")', f'connect("ann", "{place.address}")').replace('"bob"', '"ben"')
    with listening("ben", place.address) as ben:
        ben.line()
        command = [sys.executable, "-u", "-c", program]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as ann:
            try:
                assert ann.stdout is not None
                assert ben.line() == "ann: hello"
                assert re.fullmatch(r"bob has it, after \d+\.\d ms\n", ann.stdout.readline())
                wait_until_there("ann", place.address)
                assert ann.stdout.readline() == "prober are you there?\n"
            finally:
                ann.kill()


def test_a_script_without_asyncio_sends(place: Server) -> None:
    with listening("ben", place.address) as ben:
        ben.line()
        assert send("ben", "hello", sender="ann", server=place.address).recipient == "ben"
        assert ben.line() == "ann: hello"


async def play(block: str, place: Server, **names: object) -> None:
    """Run a block of the page that is the inside of a coroutine function."""
    source = re.sub(r'join\("(\w+)", ', rf'join("\1", "{place.address}", ', block)
    assert source != block
    namespace = names
    exec(f"import twotick\nasync def main():\n{textwrap.indent(source, '    ')}", namespace)
    main = namespace["main"]
    assert inspect.iscoroutinefunction(main)
    await main()


async def test_a_member_follows_a_message(place: Server) -> None:
    """The second block: it ends when bob has read the message."""
    async with join("bob", place.address, token=place.token("bob")) as bob:
        alice = asyncio.ensure_future(play(BLOCKS[1], place, token=place.token("alice")))
        message = await bob.receive()
        assert message.text == "hello"
        await message.read()
        await alice


async def test_members_talk_in_a_room(
    place: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The third and the fourth block: alice sends a file to the room, bob saves it and replies."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "menu.png").write_bytes(b"soup")
    (tmp_path / "downloads").mkdir()
    async with join("alice", place.address, token=place.token("alice", "other")) as other:
        await other.create_room("#team", public=True)
        bob = asyncio.ensure_future(play(BLOCKS[3], place, token=place.token("bob"), Path=Path))
        await until_event(other, "bob", EventKind.JOINED)
        await play(BLOCKS[2], place, token=place.token("alice"), Path=Path)
        reply = await other.receive()
        while reply.outgoing:
            await reply.ack()
            reply = await other.receive()
        bob.cancel()
    assert (reply.sender, reply.text, reply.room) == ("bob", "yes", "#team")
    assert reply.reply_to is not None
    assert reply.reply_to.sender == "alice"
    assert (tmp_path / "downloads/menu.png").read_bytes() == b"soup"
    assert "1 of 1 have it" in capsys.readouterr().out


async def until_event(client: MemberClient, name: str, kind: EventKind) -> None:
    """Wait until a member has done something in a room."""
    async for entry in client.entries():
        if isinstance(entry, MemberMessage) and entry.event and (entry.sender, entry.event.kind) == (name, kind):
            return
