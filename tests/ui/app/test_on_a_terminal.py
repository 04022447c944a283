"""The app on real terminals, with a real server."""

from pathlib import Path

from tests.cli.operating import Operator
from tests.ui.terminal import Terminal, terminal

TICKS = "\u2713\u2713"


def home(folder: Path, name: str) -> dict[str, str]:
    """The variables of somebody whose things are in a folder."""
    return {
        "HOME": str(folder / name),
        "XDG_DATA_HOME": str(folder / name / "data"),
        "XDG_CONFIG_HOME": str(folder / name / "config"),
        "TWOTICK_KEYRING": "no",
    }


def sign_up(person: Terminal, name: str) -> None:
    person.has("Your name")
    person.type(f"{name}\tcorrect horse\t")
    person.has("\u2022" * 13)
    person.type(" ")
    person.has("Invitation")
    person.type("\t\t\r")
    person.has("Nothing was said yet", f"\u25cf {name}@")


def go_to(person: Terminal, name: str) -> None:
    person.type("\x0b")
    person.has("Go to")
    person.type(f"{name}\r")
    person.has(f"Message to {name}")


def test_two_people_sign_up_and_talk_and_nothing_typed_is_lost_when_a_terminal_dies(tmp_path: Path) -> None:
    operator = Operator(tmp_path / "server", SIGN_UP="open")
    with operator.serving() as (_, (host, port)):
        chat = ("chat", "--server", f"{host}:{port}")
        with terminal(*chat, columns=80, env=home(tmp_path, "bob")) as bob:
            sign_up(bob, "bob")
            with terminal(*chat, columns=80, env=home(tmp_path, "alice")) as alice:
                sign_up(alice, "alice")
                go_to(alice, "bob")
                alice.type("hello bob\r")
                bob.has("alice", "hello bob", "Message to alice")
                alice.has(TICKS)
                bob.type("hello alice\nsecond line\r")
                alice.has("bob  ", "hello alice", "second line")
                alice.type("half a sen")
                alice.has("half a sen")
                alice.kill()
            with terminal(*chat, columns=80, env=home(tmp_path, "alice")) as alice:
                alice.has("hello bob", "second line", "half a sen", f"\u25cf alice@{host}:{port}")
                alice.type("tence\r")
                bob.has("half a sentence")
                alice.type("\x11")
                assert alice.ends() == 0
            with terminal(*chat, "--plain", columns=80, env=home(tmp_path, "alice")) as alice:
                alice.has("You are alice on")


def test_a_guest_who_has_given_a_name_begins_at_once(tmp_path: Path, address: str) -> None:
    with terminal("chat", "alice", "--server", address, columns=80, env=home(tmp_path, "alice")) as alice:
        alice.has("Nothing was said yet", f"\u25cf alice@{address}")
        alice.type("\x11")
        assert alice.ends() == 0


def test_what_is_pasted_is_one_message_and_what_it_has_for_the_terminal_is_shown(tmp_path: Path, address: str) -> None:
    with terminal("chat", "alice", "--server", address, columns=80, env=home(tmp_path, "alice")) as alice:
        alice.has("Nothing was said yet")
        go_to(alice, "bob")
        alice.type("\x1b[200~one\rtwo \x07three\x1b[201~")
        alice.has("one", "two \u2407three")
        alice.type("\r")
        alice.has("alice  ", "not delivered: ")
        assert alice.screen.count("two \u2407three") == 1
