"""Every key that is documented works in every kind of terminal: the bytes are those that terminals send."""

import re
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pytest

from tests.ui.terminal import end
from twotick.ui.app.commands import CHOOSING, COMMANDS, ON_MESSAGES, WRITING, key_tables

GUIDE = Path(__file__).parents[3] / "docs" / "guide.md"
ROOT = Path(__file__).parents[3]

NAMES = {
    "Enter": "enter",
    "Esc": "escape",
    "Tab": "tab",
    "PgUp": "pageup",
    "PgDn": "pagedown",
    "Home": "home",
    "End": "end",
    "\u2191": "up",
    "\u2193": "down",
    "+": "plus",
}
"""The names of keys that are not a letter or an F key, as they are documented and as Textual has them."""

XTERM = {
    "enter": "\r",
    "escape": "\x1b",
    "tab": "\t",
    "pageup": "\x1b[5~",
    "pagedown": "\x1b[6~",
    "home": "\x1b[H",
    "end": "\x1b[F",
    "up": "\x1b[A",
    "down": "\x1b[B",
    "plus": "+",
    **dict(zip([f"f{number}" for number in range(1, 5)], ["\x1bOP", "\x1bOQ", "\x1bOR", "\x1bOS"], strict=True)),
    **{f"f{number}": f"\x1b[{code}~" for number, code in zip(range(5, 10), (15, 17, 18, 19, 20), strict=True)},
}
"""What xterm, and the terminals that do as xterm does, send for a key without another one held down."""

KITTY = {
    **{name: XTERM[name] for name in ("pageup", "pagedown", "home", "end", "up", "down")},
    "enter": "\x1b[13u",
    "escape": "\x1b[27u",
    "tab": "\x1b[9u",
    "plus": "\x1b[61;2;43u",
    **dict(zip([f"f{number}" for number in range(1, 5)], ["\x1b[P", "\x1b[Q", "\x1b[13~", "\x1b[S"], strict=True)),
    **{f"f{number}": f"\x1b[{code}~" for number, code in zip(range(5, 10), (15, 17, 18, 19, 20), strict=True)},
}
"""The same in the kitty protocol, with the flags that the app asks for."""

TMUX = {
    "enter": "Enter",
    "escape": "Escape",
    "tab": "Tab",
    "pageup": "PPage",
    "pagedown": "NPage",
    "home": "Home",
    "end": "End",
    "up": "Up",
    "down": "Down",
    "plus": "+",
}
"""The names of keys in tmux."""


def documented() -> list[tuple[str, str]]:
    """Return each key that is documented, as Textual names it, with the names that its entry in the table has."""
    entries = [(each.shown, each.keys) for each in (*WRITING, *CHOOSING, *COMMANDS, *ON_MESSAGES) if each.keys]
    return [(textual_name(label), keys) for shown, keys in entries for label in shown.split()]


def textual_name(label: str) -> str:
    """Return Textual's name of a key, from the one that is documented."""
    if label.startswith("^"):
        return f"ctrl+{textual_name(label[1:])}"
    if label.startswith("Alt+"):
        return f"alt+{textual_name(label[4:])}"
    return NAMES.get(label) or label.lower()


def xterm(key: str) -> str:
    """Return what xterm sends for a key."""
    modifiers, _, name = key.rpartition("+")
    if not modifiers:
        return XTERM.get(name, name)
    if len(name) == 1:
        return chr(ord(name) & 0x1F) if modifiers == "ctrl" else f"\x1b{name}"
    if name == "enter":
        return "\x1b\r"
    final = XTERM[name][-1]
    return f"\x1b[1;{3 if modifiers == 'alt' else 5}{final}"


def kitty(key: str) -> str:
    """Return what a terminal with the kitty protocol sends for a key."""
    modifiers, _, name = key.rpartition("+")
    number = {"": 1, "alt": 3, "ctrl": 5}[modifiers]
    if len(name) == 1:
        return f"\x1b[{ord(name)};{number}u" if modifiers else f"\x1b[{ord(name)};;{ord(name)}u"
    if not modifiers:
        return KITTY[name]
    return f"\x1b[13;{number}u" if name == "enter" else f"\x1b[1;{number}{XTERM[name][-1]}"


class Printer:
    """The app that writes down its keys.

    Args:
        folder: a folder for its file.
    """

    def __init__(self, folder: Path) -> None:
        self.file = folder / "keys"
        self.file.touch()
        self.command = [sys.executable, "-m", "tests.ui.app.key_printer", str(self.file)]

    def pressed(self, number: int) -> list[str]:
        """Wait until there are so many keys; return them, and forget them."""
        until = time.monotonic() + 20
        while len(keys := self.file.read_text().split()) < number:
            assert time.monotonic() < until, f"only {keys} of {number} keys came"
        self.file.write_text("")
        return keys


@pytest.fixture
def printer(tmp_path: Path) -> Printer:
    return Printer(tmp_path)


@pytest.fixture
def send(printer: Printer) -> Iterator[Callable[[str], None]]:
    """Return what sends bytes to the app, which runs on a pseudo-terminal."""
    child: pexpect.spawn[bytes] = pexpect.spawn(
        printer.command[0],
        printer.command[1:],
        cwd=str(ROOT),
        env={"TERM": "xterm-256color", "PATH": "/usr/bin:/bin"},
        use_poll=True,
    )
    child.delaybeforesend = None
    child.expect("ready", timeout=30)

    def send(text: str) -> None:
        child.send(text.encode())

    yield send
    end(child)


@pytest.mark.parametrize("encode", [xterm, kitty])
def test_every_documented_key_is_recognised(
    printer: Printer, send: Callable[[str], None], encode: Callable[[str], str]
) -> None:
    wrong: list[tuple[str, str]] = []
    for key, keys in documented():
        send(encode(key))
        (came,) = printer.pressed(1)
        if came not in keys.split(","):
            wrong.append((key, came))
    assert wrong == []


def test_keys_with_alt_that_come_at_once_are_keys_and_not_text(printer: Printer, send: Callable[[str], None]) -> None:
    send("\x1ba\x1bu\x1b\rx\x1b\x1bd")
    assert printer.pressed(6) == ["alt+a", "alt+u", "alt+enter", "x", "escape", "alt+d"]


@pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux")
def test_every_documented_key_is_recognised_in_tmux(printer: Printer) -> None:
    server = ["tmux", "-L", f"twotick-{uuid.uuid4().hex}", "-f", "/dev/null"]
    subprocess.run([*server, "new-session", "-d", "-c", ROOT, *printer.command], check=True, timeout=20)
    try:
        until = time.monotonic() + 30
        while "ready" not in subprocess.check_output([*server, "capture-pane", "-p"], text=True, timeout=20):
            assert time.monotonic() < until
        wrong: list[tuple[str, str]] = []
        for key, keys in documented():
            modifiers, _, name = key.rpartition("+")
            prefix = {"": "", "alt": "M-", "ctrl": "C-"}[modifiers]
            name = TMUX.get(name) or (name.upper() if re.fullmatch(r"f\d", name) else name)
            subprocess.run([*server, "send-keys", prefix + name], check=True, timeout=20)
            (came,) = printer.pressed(1)
            if came not in keys.split(","):
                wrong.append((key, came))
        assert wrong == []
    finally:
        subprocess.run([*server, "kill-server"], check=False, timeout=20)


def test_no_key_means_two_things_in_one_part_of_the_screen() -> None:
    anywhere = [key for each in COMMANDS for key in each.keys.split(",") if key]
    for part in (WRITING, (*CHOOSING, *ON_MESSAGES)):
        keys = anywhere + [key for each in part for key in each.keys.split(",") if key]
        assert sorted(keys) == sorted(set(keys))


def guide() -> str:
    """Return the tables of keys as docs/guide.md has them."""
    lines: list[str] = []
    for title, rows in key_tables():
        lines += [f"**{title}**", "", "| key | |", "|---|---|"]
        for shown, what in rows:
            keys = " ".join(f"`{label.replace('^', 'Ctrl+') if len(label) > 1 else label}`" for label in shown.split())
            lines.append(f"| {keys} | {what} |")
        lines.append("")
    return "\n".join(lines)


def test_the_guide_has_the_keys_of_the_table() -> None:
    """To write them into the guide: `python -m tests.ui.app.test_keys`."""
    _, _, rest = GUIDE.read_text("utf-8").partition("<!-- keys -->\n\n")
    assert rest.partition("<!-- end of keys -->")[0] == guide()


if __name__ == "__main__":
    before, _, rest = GUIDE.read_text("utf-8").partition("<!-- keys -->\n\n")
    after = rest.partition("<!-- end of keys -->")[2]
    GUIDE.write_text(f"{before}<!-- keys -->\n\n{guide()}<!-- end of keys -->{after}", "utf-8")
