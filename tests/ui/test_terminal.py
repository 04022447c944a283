"""The commands on a terminal."""

import signal

import pytest

import twotick
from tests.cli.commands import READY, environment, listening, started, wait_until_there
from tests.ui.terminal import terminal

TICKS = "\u2713\u2713"
CROSS = "\u2717"


def welcome(address: str) -> str:
    """The last line that is shown before one can type."""
    return f"You are alice on {address}. '@bob hello' sends to bob; /help lists all."


def test_a_message_does_not_tear_the_line_that_is_being_typed(address: str) -> None:
    with listening("bob", address) as bob, terminal("chat", "--plain", "alice", "--server", address) as alice:
        bob.line()
        alice.shows(welcome(address), ">")
        alice.type("@bob par")
        alice.shows("> @bob par")
        twotick.send("alice", "are you there?\nyou?", sender="carol", server=address)
        alice.shows("carol: are you there?", "             you?", "> @bob par")
        alice.type("tial\r")
        alice.shows("             you?", "> @bob partial", f"{TICKS} delivered to bob", "bob>")
        assert bob.line() == "alice: partial"


def test_what_others_write_is_shown_and_not_obeyed(address: str) -> None:
    with terminal("chat", "--plain", "alice", "--server", address) as alice:
        alice.shows(welcome(address), ">")
        twotick.send("alice", "\x1b]0;owned\x07\x1b[2J\x1b[H\u202emoc\rbob: hi\x9b2J", sender="carol", server=address)
        alice.shows("carol: \u241b]0;owned\u2407\u241b[2J\u241b[H<U+202E>moc\u240dbob: hi<U+009B>2J", ">")
        assert alice.lines[0].startswith("You are alice on ")
        assert alice.title == ""


def test_a_line_without_a_recipient_is_followed_by_a_question(address: str) -> None:
    with listening("bob", address) as bob, terminal("chat", "--plain", "alice", "--server", address) as alice:
        bob.line()
        alice.shows(welcome(address), ">")
        alice.type("hello\r")
        alice.shows("> hello", "To:")
        alice.type("bob\r")
        alice.shows("To: bob", f"{TICKS} delivered to bob", "bob>")
        assert bob.line() == "alice: hello"
        alice.type("hello again\r")
        assert bob.line() == "alice: hello again"
        alice.type("/close\rhello you\r")
        alice.shows("To:")
        alice.type("\x04")
        alice.shows("Nothing was sent: '@bob hello' sends hello to bob.", ">")


def test_several_lines_are_one_message_if_they_are_pasted(address: str) -> None:
    with listening("bob", address) as bob, terminal("chat", "--plain", "alice", "--server", address) as alice:
        bob.line()
        alice.shows(welcome(address), ">")
        alice.type("\x1b[200~@bob one\ntwo\x1b[201~\r")
        assert [bob.line(), bob.line()] == ["alice: one", "       two"]
        alice.shows(f"{TICKS} delivered to bob", "bob>")


def test_a_refused_name_is_said_and_another_one_asked_for(address: str) -> None:
    with listening("bob", address), terminal("chat", "--plain", "bob", "--server", address) as chat:
        chat.shows("the name bob cannot be used: another user has it.", "Name:")
        chat.type("b b\r")
        chat.shows("'b b' cannot be a name: use 1 to 32 letters and digits, but no word of the protocol.", "Name:")
        chat.type("alice\r")
        chat.shows(welcome(address), ">")
        chat.type("@bob hello\r")
        chat.shows(f"{TICKS} delivered to bob", "bob>")


def test_an_error_103_is_said_and_ends_it_and_it_registers_again_when_started_again() -> None:
    """Rule 7.4, as in the first clients of this protocol."""
    with started("serve", "--port", "0", env=environment(TWOTICK_MAX_BODY="5")) as server:
        address = server.line().removeprefix("listening on ")
        for _ in range(2):
            with terminal("chat", "--plain", "alice", "--server", address) as alice:
                alice.shows(welcome(address), ">")
                alice.type("@alice hello\r")
                alice.shows("alice: hello", f"{TICKS} delivered to alice", "alice>")
                alice.type("@alice hello!\r")
                assert alice.ends() == 76
                assert alice.lines[-1] == "twotick: the server did not understand what we sent"


def test_a_lost_connection_ends_it_while_a_line_is_being_typed() -> None:
    with started("serve", "--port", "0") as server:
        address = server.line().removeprefix("listening on ")
        with terminal("chat", "--plain", "alice", "--server", address) as alice:
            alice.shows(welcome(address), ">")
            alice.type("@bob hel")
            alice.shows("> @bob hel")
            server.end(signal.SIGTERM)
            assert alice.ends() == 68
            assert alice.lines[-2:] == ["> @bob hel", "twotick: the server closed the connection"]


@pytest.mark.parametrize(
    ("arguments", "shown", "key", "status"),
    [
        (["chat", "--plain", "alice"], ">", "\x03", 130),
        (["chat", "--plain", "alice"], ">", "\x04", 0),
        (["chat", "--plain", "b b"], "Name:", "\x03", 130),
        (["chat", "--plain", "b b"], "Name:", "\x04", 69),
    ],
)
def test_it_can_be_left_at_any_time(address: str, arguments: list[str], shown: str, key: str, status: int) -> None:
    with terminal(*arguments, "--server", address) as command:
        command.shows(shown)
        command.type(key)
        assert command.ends() == status


def test_a_message_is_typed_until_ctrl_d_and_not_sent_after_ctrl_c(address: str) -> None:
    with listening("bob", address) as bob:
        bob.line()
        for text in ("never\r", "hello\r"):
            with terminal("send", "bob", "--from", "alice", "--server", address) as send:
                send.shows("Type the message; Ctrl-D on a line of its own sends it.")
                send.type(text)
                if text == "never\r":
                    assert send.interrupt() == 130
                else:
                    send.type("\x04")
                    assert send.ends() == 0
                    assert send.lines[-1] == f"{TICKS} delivered to bob"
        assert bob.line() == "alice: hello"


def test_a_listener_shows_messages_as_they_come_until_it_is_interrupted(address: str) -> None:
    with terminal("listen", "bob", "--server", address) as bob:
        wait_until_there("bob", address)
        bob.shows(f"prober: {READY}")
        bob.type("\x03")
        assert bob.ends() == 130
