"""`twotick demo`, on a terminal and without one."""

from pathlib import Path

import pytest

from tests.cli.commands import run
from tests.ui.terminal import Terminal, terminal

TICK, TICKS = "\u2713", "\u2713\u2713"
WELCOME, LEGEND = "Hello! I am echo.", f"{TICKS}    a device of mine has it"


def has_line(demo: Terminal, text: str, end: str) -> None:
    """Wait until a line of the screen has a text and ends with a tick."""
    demo.wait(lambda: any(text in line and line.split()[-1] == end for line in demo.lines), (text, end))


def go_to(demo: Terminal, name: str) -> None:
    demo.type("\x0b")
    demo.has("Go to")
    demo.type(f"{name}\r")
    demo.has(f"Message to {name}")


@pytest.mark.parametrize("columns", [120, 80, 40])
def test_on_a_terminal_it_shows_the_app_with_a_friend_who_answers(columns: int, tmp_path: Path) -> None:
    with terminal("demo", columns=columns, env={"HOME": str(tmp_path), "TMPDIR": str(tmp_path)}) as demo:
        demo.has("Ctrl+C ends", "Message to echo", *([WELCOME, LEGEND] if columns > 40 else []))
        demo.type("good morning\r")
        has_line(demo, "good morning", TICKS)
        demo.has("you said: good morning")
        go_to(demo, "robin")
        demo.type("are you there?\r")
        has_line(demo, "are you there?", TICK)
        go_to(demo, "#garden")
        demo.has("This is a room.")
        demo.type("hello all\r")
        has_line(demo, "hello all", "1/2")
        demo.has("you said: hello all")
        demo.type("half a sentence\x03")
        assert demo.ends() == 0
        assert "\x1b[?1049l" in demo.output
    assert list(tmp_path.iterdir()) == []  # the demo keeps nothing


def test_it_can_be_left_before_it_has_begun(tmp_path: Path) -> None:
    with terminal("demo", env={"HOME": str(tmp_path)}) as demo:
        demo.loads("_ssl")
        assert demo.interrupt() in (0, 130, None)  # None: the signal ended it while its modules were loading
        assert demo.output.count("\x1b[?1049h") == demo.output.count("\x1b[?1049l")


def test_a_conversation_is_played_and_both_sides_are_shown() -> None:
    ended = run("demo")
    assert (ended.returncode, ended.stderr) == (0, "")
    first, *lines = (line.partition(" (")[0] for line in ended.stdout.splitlines())
    assert first.startswith("a server listens on 127.0.0.1:")
    assert lines == [
        "alice types   @bob hello bob",
        "  bob sees    alice: hello bob",
        "alice sees    \u2713\u2713 delivered to bob",
        "  bob types   @alice hello alice, it arrived",
        "alice sees    bob: hello alice, it arrived",
        "  bob sees    \u2713\u2713 delivered to alice",
        "alice types   @ALL hello everyone",
        "  bob sees    alice: hello everyone",
        "alice sees    \u2713\u2713 delivered to everyone",
        "alice types   @carol are you there?",
        "alice sees    \u2717 not delivered to carol: carol is not connected",
        "every send was answered with what happened to it",
    ]


def test_it_plays_without_any_input() -> None:
    assert run("demo", redirect="<&-").returncode == 0
