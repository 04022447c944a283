"""The app on terminals with few colours or none, and its notifications."""

import re
from pathlib import Path

import pexpect
import pytest

import twotick
from tests.cli.commands import COMMAND, environment
from tests.ui.app.test_on_a_terminal import go_to, home
from tests.ui.terminal import Terminal, end, terminal

_FEW = set(range(30, 38)) | set(range(40, 48)) | set(range(90, 98)) | set(range(100, 108))
"""The sixteen foreground and background colours."""

_NO_COLOUR = {0, 1, 2, 3, 4, 7, 9, 22, 23, 24, 27, 29, 39, 49}
"""Attributes such as bold, dim and reverse, and the default colours."""


def parameters(person: Terminal) -> set[int]:
    """Return the parameters of all style sequences."""
    found = re.findall(r"\x1b\[([0-9;:]*)m", person.output)
    return {int(each) for one in found for each in re.split("[;:]", one) if each}


def rings(person: Terminal) -> int:
    """Return how often the bell rang: the number of BELs that do not end a control sequence."""
    return re.sub(r"\x1b\][^\x07\x1b]*\x07", "", person.output).count("\x07")


@pytest.mark.parametrize("term", ["xterm-16color", "linux", "screen", "vt100"])
@pytest.mark.parametrize("theme", ["terminal", "dark", "light"])
def test_a_terminal_with_sixteen_colours_gets_no_other_colours(
    tmp_path: Path, address: str, term: str, theme: str
) -> None:
    env = {**home(tmp_path, "alice"), "TERM": term, "TWOTICK_THEME": theme, "COLORTERM": ""}
    with terminal("chat", "alice", "--server", address, columns=40, env=env) as alice:
        alice.has("No conversations yet")
        go_to(alice, "bob")
        alice.type("hello\r")
        alice.has("not delivered")
        assert parameters(alice) <= _NO_COLOUR | _FEW
        assert parameters(alice) & _FEW


@pytest.mark.parametrize("theme", ["terminal", "dark", "light"])
def test_no_color_disables_colours(tmp_path: Path, address: str, theme: str) -> None:
    env = {**home(tmp_path, "alice"), "NO_COLOR": "1", "COLORTERM": "truecolor", "TWOTICK_THEME": theme}
    with terminal("chat", "alice", "--server", address, columns=80, env=env) as alice:
        alice.has("No conversations yet")
        go_to(alice, "bob")
        alice.type("hello\r")
        alice.has("not delivered")
        assert parameters(alice) <= _NO_COLOUR


def test_with_standard_error_in_a_file_there_is_no_empty_screen(tmp_path: Path, address: str) -> None:
    line = f"{COMMAND} chat alice --server {address} 2> {tmp_path}/errors"
    env = environment(**home(tmp_path, "alice"), TERM="xterm")
    shell: pexpect.spawn[str] = pexpect.spawn("/bin/sh", ["-c", line], env=env, encoding="utf-8", use_poll=True)  # type: ignore[arg-type]
    try:
        shell.expect_exact("You are alice on", timeout=60)
        assert (tmp_path / "errors").read_text() == ""
    finally:
        end(shell)


def test_the_bell_rings_once_for_a_message_in_another_conversation(tmp_path: Path, address: str) -> None:
    with terminal("chat", "alice", "--server", address, columns=80, env=home(tmp_path, "alice")) as alice:
        alice.has("No conversations yet", "\u25cf alice@")
        go_to(alice, "carol")
        assert rings(alice) == 0
        tricks = "\x07\x07 \x1b]9;pwned\x07 \x1b]777;notify;a;pwned\x07 \x1b]52;c;cHduZWQ=\x07 \x9b2J"
        twotick.send("alice", tricks, sender="bob", server=address)
        alice.has("bob", "1 unread elsewhere")
        assert rings(alice) == 1
        go_to(alice, "bob")
        alice.has("pwned")
        assert rings(alice) == 1
        assert not re.search(r"\x1b\](9|777|52);|\x9b", alice.output)


def test_desktop_notifications_are_plain_text(tmp_path: Path, address: str) -> None:
    told = tmp_path / "told"
    program = tmp_path / "notify-send"
    program.write_text(f'#!/bin/sh\nprintf "%s|" "$@" > {told}.part\nmv {told}.part {told}\n')
    program.chmod(0o755)
    env = {
        **home(tmp_path, "alice"),
        "TWOTICK_NOTIFY": "desktop",
        "DISPLAY": ":0",
        "PATH": f"{tmp_path}:/usr/bin:/bin",
        "SSH_CONNECTION": "",
    }
    with terminal("chat", "alice", "--server", address, columns=80, env=env) as alice:
        alice.has("No conversations yet", "\u25cf alice@")
        go_to(alice, "carol")
        twotick.send("alice", "--urgency <b>hi</b> \x1b[2J", sender="bob", server=address)
        alice.has("bob", "1 unread elsewhere")
        go_to(alice, "bob")
        alice.has("--urgency")
        while not told.exists():
            alice.type(" ")
            alice.has("Message to bob" if told.exists() else "--urgency")
        assert rings(alice) == 0
    assert told.read_text() == "--app-name=Twotick|--|bob|--urgency &lt;b&gt;hi&lt;/b&gt; \u241b[2J|"
