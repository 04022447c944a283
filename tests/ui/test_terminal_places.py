"""Servers on other machines, on a terminal: two homes, and a host name that is not this machine's."""

import json
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.cli.operating import PASSWORD
from tests.machines.machines import HOST, Machine, machine
from tests.ui.terminal import terminal


@pytest.fixture
def server(tmp_path: Path) -> Generator[Machine]:
    """A machine whose server admits guests and new members."""
    with machine(tmp_path, SIGN_UP="open") as found, found.running():
        yield found


def test_a_newcomer_signs_up_in_the_app_and_finds_the_account_everywhere(server: Machine) -> None:
    alice, bob = server.user("alice"), server.user("bob")
    with terminal("chat", env=alice.variables) as app:
        app.has("Your name, or name@server")
        app.type(f"alice@{HOST}\t{PASSWORD}\t ")
        app.has("Repeat the password")
        app.type("\tanother one\r")
        app.has("The two passwords differ")
        app.type(f"{PASSWORD}\r")
        app.has("No conversations yet", f"first connection to {HOST}:18443")
        app.type("\x11")
        assert app.ends() == 0
    assert alice.do("accounts").startswith(f"* alice@{HOST} ")
    bob.tell("login", f"bob@{HOST}", "--sign-up", "yes", stdin=f"{PASSWORD}\n".encode())
    assert bob.do("send", "alice", "hello", "--until", "accepted") == "\u2713 stored for alice\n"
    with terminal("chat", env=alice.variables) as app:
        app.has("bob", f"\u25cf alice@{HOST}")
        assert "Password" not in app.screen
    assert "hello" in alice.do("history")


def test_the_app_tells_of_the_first_connection_also_after_a_wrong_password(server: Machine) -> None:
    server.prepare("alice")
    alice = server.user("alice")
    with terminal("chat", env=alice.variables) as app:
        app.has("Your name, or name@server")
        app.type(f"alice@{HOST}\tnot this one\r")
        app.has("wrong name or password")
        app.type(f"{PASSWORD}\r")
        app.has("No conversations yet", f"first connection to {HOST}:18443")
        app.has(f"\u25cf alice@{HOST}")
        listed = [json.loads(line)["device"] for line in alice.do("devices", "--json").splitlines()]
        assert sorted(listed) == [listed[0], f"{listed[0]}/chat"]
        shown = alice.do("devices").split()
        assert shown == [listed[0], "connected", "(this", "device)"], "the programs of a device are one line"


def test_a_guest_in_the_app_uses_tls(server: Machine) -> None:
    guest = server.user("guest")
    with terminal("chat", "--as", f"carol@{HOST}", env=guest.variables) as app:
        app.has("No conversations yet", f"first connection to {HOST}:18443")


def test_the_password_is_asked_for_twice_by_who_signs_up(server: Machine) -> None:
    alice = server.user("alice")
    with terminal("login", f"alice@{HOST}", "--sign-up", "yes", env=alice.variables) as login:
        login.has("Password:")
        login.type(f"{PASSWORD}\r")
        login.has("Repeat the password:")
        login.type("another one\r")
        login.has("the two passwords differ: nothing was changed")
        assert login.ends() == 64
    with terminal("login", f"alice@{HOST}", "--sign-up", "yes", env=alice.variables) as login:
        login.has("Password:")
        login.type(f"{PASSWORD}\r")
        login.has("Repeat the password:")
        login.type(f"{PASSWORD}\r")
        login.has("You are logged in as alice")
        assert login.ends() == 0


def test_a_password_is_not_seen_after_the_command_was_stopped_and_continued(server: Machine) -> None:
    """A shell shows what is typed while a command is stopped, and does not hide it again for the command."""
    alice = server.user("alice")
    with terminal("login", f"alice@{HOST}", "--sign-up", "yes", env=alice.variables) as login:
        login.has("Password:")
        login.go_on()
        login.has("Password: Password:")
        login.type(f"{PASSWORD}\r")
        login.has("Repeat the password:")
        assert PASSWORD not in login.screen
        login.type(f"{PASSWORD}\r")
        login.has("You are logged in as alice")
        assert login.ends() == 0


def test_the_line_client_asks_for_a_name_and_understands_the_server(server: Machine) -> None:
    user = server.user("user")
    with terminal("chat", "--plain", env=user.variables) as chat:
        chat.has("Name:")
        chat.type(f"carol@{HOST}\r")
        chat.has(f"You are carol on {HOST}.")
    user.tell("login", f"alice@{HOST}", "--sign-up", "yes", stdin=f"{PASSWORD}\n".encode())
    with terminal("chat", "--plain", "--server", "127.0.0.1:7", env=user.variables) as chat:
        chat.has("Name:")
        chat.type(f"alice@{HOST}\r")
        chat.has(f"You are alice on {HOST}.", "/help")
