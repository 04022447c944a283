"""The app on real terminals with a real server."""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from tests.cli.operating import Operator, people
from tests.client.members import Proxy
from tests.ui.terminal import Terminal, terminal

Result = TypeVar("Result")
TICKS = "\u2713\u2713"


class Relay:
    """A proxy to a server that can be interrupted, in a thread of its own.

    Attributes:
        address: the address of the proxy.
    """

    def __init__(self, port: int) -> None:
        self._proxy = Proxy(port)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._stack = contextlib.AsyncExitStack()
        self.address = ""

    def __enter__(self) -> "Relay":
        self._thread.start()
        self.address = self._do(self._stack.enter_async_context(self._proxy.listening()))
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._stack.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, what: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result()

    def cut(self) -> None:
        """Close all connections, and refuse new ones."""

        async def cut() -> None:
            self._proxy.away = True
            self._proxy.cut()

        self._do(cut())

    def mend(self) -> None:
        """Accept connections again."""
        self._proxy.away = False


def home(folder: Path, name: str) -> dict[str, str]:
    """Return the environment of a user with data in a folder."""
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
    person.has("Repeat the password")
    person.type("\tcorrect horse\r")
    person.has("No conversations yet", f"\u25cf {name}@")


def go_to(person: Terminal, name: str) -> None:
    person.type("\x0b")
    person.has("Go to")
    person.type(f"{name}\r")
    person.has(f"Message to {name}")


def test_two_users_sign_up_and_chat_and_a_draft_survives_a_killed_terminal(tmp_path: Path) -> None:
    operator = Operator(tmp_path / "server", SIGN_UP="open")
    with operator.serving() as (_, (host, port)):
        chat = ("chat", "--server", f"{host}:{port}")
        with terminal(*chat, columns=80, env=home(tmp_path, "bob")) as bob:
            sign_up(bob, "bob")
            with terminal(*chat, columns=80, env=home(tmp_path, "alice")) as alice:
                sign_up(alice, "alice")
                go_to(alice, "bob")
                alice.type("hello bob\r")
                bob.has("alice", "1 unread")
                bob.type("\x1bOR")  # F3
                bob.has("alice", "hello bob", "Message to alice")
                alice.has(TICKS)
                bob.type("hello alice\x1b\rsecond line\r")  # Alt+Enter
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


def test_two_users_meet_in_a_room_and_a_lost_connection_loses_nothing(tmp_path: Path) -> None:
    operator = Operator(tmp_path / "server", SIGN_UP="open")
    (tmp_path / "plan.txt").write_text("wild oats, red poppies")
    (tmp_path / "saved").mkdir()
    with operator.serving() as (_, (_, port)), Relay(port) as relay:
        chat = ("chat", "--server", relay.address)
        with (
            terminal(*chat, columns=80, env=home(tmp_path, "alice")) as alice,
            terminal(*chat, columns=80, env=home(tmp_path, "bob")) as bob,
        ):
            sign_up(alice, "alice")
            sign_up(bob, "bob")
            # a room
            alice.type("\x1b[18~")  # F7
            alice.has("New room")
            alice.type("garden\twhat grows\t")
            alice.has("garden", "what grows")
            alice.type(" ")
            alice.has("[x] Public")
            alice.type("\t\r")
            alice.has("alice created the room", "Message to #garden", "what grows")
            bob.type("\x1b[17~")  # F6
            bob.has("Rooms", "#garden  1 member  what grows")
            bob.type("\r")
            bob.has("bob joined", "Message to #garden")
            alice.has("bob joined", "2 members")
            # a message, its ticks, a reply, a reaction
            alice.type("who has seeds?\r")
            bob.has("who has seeds?")
            alice.has(TICKS)
            bob.type("\x1b")
            bob.has("Esc again")
            bob.type("\x1b")
            bob.has("\u258c who has seeds?")
            bob.type("r")
            bob.has("Replying to alice: who has seeds?")
            bob.type("I have oats\r")
            alice.has("\u250c alice: who has seeds?", "I have oats")
            alice.type("/react\r")
            alice.has("Type to find an emoji")
            alice.type("party\r")
            bob.has("\U0001f389")
            # a file
            alice.type(f"/file {tmp_path}/plan.txt\r")
            bob.has("plan.txt  22 bytes  s: save")
            bob.type(f"/save {tmp_path}/saved\r")
            bob.has("Saved as")
            assert (tmp_path / "saved" / "plan.txt").read_text() == "wild oats, red poppies"
            # messages typed without a connection are sent when it is back
            relay.cut()
            alice.has("No connection")
            alice.type("are you there?\r")
            alice.has("1 waiting to be sent")
            relay.mend()
            alice.type("\x12")
            bob.type("\x12")
            alice.has("\u25cf alice@")
            bob.has("are you there?")
            alice.has("are you there?", TICKS)
            # a search
            search(bob, "seeds")
            bob.type("\r")
            bob.has("Message to #garden", "\u258c who has seeds?")
            for person in (alice, bob):
                person.type("\x11")
                assert person.ends() == 0


def search(person: Terminal, words: str) -> None:
    """Search until something is found: indexing can take a few seconds (rule 14.5)."""
    while True:
        person.type("\x06")
        person.has("Enter: search")
        person.type(f"{words}\r")
        if person.has_one_of("1 found.", "No messages found.") == "1 found.":
            return
        person.type("\x1b")
        person.has("Message to")


def test_a_guest_with_a_name_starts_at_once(tmp_path: Path, address: str) -> None:
    with terminal("chat", "alice", "--server", address, columns=80, env=home(tmp_path, "alice")) as alice:
        alice.has("No conversations yet", f"\u25cf alice@{address}")
        alice.type("\x11")
        assert alice.ends() == 0


def test_pasted_text_is_one_message_and_its_control_characters_are_visible(tmp_path: Path, address: str) -> None:
    with terminal("chat", "alice", "--server", address, columns=80, env=home(tmp_path, "alice")) as alice:
        alice.has("No conversations yet")
        go_to(alice, "bob")
        alice.type("\x1b[200~one\rtwo \x07three\x1b[201~")
        alice.has("one", "two \u2407three")
        alice.type("\r")
        alice.has("alice  ", "not delivered: ")
        assert alice.screen.count("two \u2407three") == 1


def test_the_terminal_is_as_before_when_the_app_was_asked_to_end(tmp_path: Path) -> None:
    with people(tmp_path, "alice") as (alice,), terminal("chat", "alice", env=alice.variables) as app:
        app.has("No conversations yet", "\u25cf alice@")
        app.terminate()
        assert app.ends() is None  # ended by the signal
        assert "\x1b[?1049l" in app.output
