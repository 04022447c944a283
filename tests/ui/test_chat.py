"""`twotick chat` at the end of pipes."""

import os
import signal
import socket
import threading

import pytest

import twotick
from tests.cli.commands import environment, listening, run, started
from tests.client.servers import read_frame, registered, registering, serving


def test_each_line_has_an_outcome_and_the_end_of_input_ends_it(address: str) -> None:
    with listening("bob", address) as bob:
        bob.line()
        ended = run(
            "chat", "alice", "--server", address, stdin=b"@bob hello  bob\n@nobody hi\n\n  \n@All bye \n@no-one x\n"
        )
        assert [bob.line(), bob.line()] == ["alice: hello  bob", "alice: bye "]
    assert (ended.returncode, ended.stderr) == (0, "")
    welcome, *lines = ended.stdout.splitlines()
    assert welcome.startswith(f"You are alice on {address}.")
    assert [line.partition(" (")[0] for line in lines] == [
        "\u2713\u2713 delivered to bob",
        "\u2717 not delivered to nobody: nobody is not connected",
        "\u2713\u2713 delivered to everyone",
        "\u2717 not delivered to no-one: 'no-one' is not a valid name",
    ]


def test_the_recipient_of_a_line_without_one_is_the_next_line(address: str) -> None:
    with listening("bob", address) as bob:
        bob.line()
        ended = run("chat", "alice", "--server", address, stdin=b"hello\nbob\n  hi @bob\n/close\nno\n")
        assert [bob.line(), bob.line()] == ["alice: hello", "alice:   hi @bob"]
    assert ended.returncode == 0
    lines = sorted(line.partition(" (")[0] for line in ended.stdout.splitlines()[1:])
    assert lines == [
        "Nothing was sent: '@bob hello' sends hello to bob.",
        "The next line goes to no one, unless it names a recipient.",
        *2 * ["\u2713\u2713 delivered to bob"],
    ]


def test_messages_are_shown_as_they_come_and_acknowledged(address: str) -> None:
    with started("chat", "alice", "--server", address) as alice:
        alice.line()
        twotick.send("alice", "hello\nmallory: hi\x1b[2J", sender="bob", server=address)
        assert [alice.line(), alice.line()] == ["bob: hello", "     mallory: hi\u241b[2J"]
        ended = alice.end()
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_a_refused_name_is_said_and_another_one_asked_for(address: str) -> None:
    with listening("bob", address):
        ended = run("chat", "bob", "--server", address, stdin=b"al\x1bice\n\n alice \n@bob hello\n")
    assert (ended.returncode, ended.stderr) == (0, "")
    taken, malformed, empty, welcome, delivered = ended.stdout.splitlines()
    assert taken == "the name bob cannot be used: another user has it."
    assert malformed.startswith("'al\\x1bice' cannot be a name: ")
    assert empty.startswith("'' cannot be a name: ")
    assert welcome.startswith("You are alice on ")
    assert delivered.startswith("\u2713\u2713 delivered to bob (")


def test_input_that_ends_before_there_is_a_name_has_status_69(address: str) -> None:
    ended = run("chat", "b b", "--server", address)
    assert (ended.returncode, ended.stderr) == (69, "twotick: the input ended before a name was given\n")


def test_input_may_be_anything(address: str) -> None:
    with listening("bob", address, "--json") as bob:
        bob.line()
        stdin = b"\xff\0\x1b[2J\nbob\n@bob \xff\n@@ x\n@\xff\x1b[2J hello\n" + b"@bob " + b"x" * 30_000
        ended = run("chat", "alice", "--server", address, stdin=stdin)
        for expected in ('"base64": "/wAbWzJK"', '"base64": "/w=="', '"text": "xxx'):
            assert expected in bob.line()
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "\x1b" not in ended.stdout


def test_a_line_that_is_too_long_is_not_delivered(address: str) -> None:
    ended = run("chat", "alice", "--server", address, stdin=b"@bob " + bytes(1 + (1 << 20)) + b"\n@bob hello\n")
    assert ended.returncode == 0
    assert "1048577 bytes, and 1048576 is the limit" in ended.stdout.splitlines()[1]
    assert ended.stdout.splitlines()[2].startswith("\u2717 not delivered to bob: bob is not connected")


def test_an_error_103_is_said_and_ends_it_and_it_registers_again_when_started_again() -> None:
    """Rule 7.4, as in the first clients of this protocol."""
    with started("serve", "--port", "0", env=environment(TWOTICK_MAX_BODY="5")) as server:
        address = server.line().removeprefix("listening on ")
        for _ in range(2):
            ended = run("chat", "alice", "--server", address, stdin=b"@alice hello\n@alice hello!\n@alice hello\n")
            assert ended.returncode == 76
            assert ended.stderr.startswith("twotick: the server did not understand what we sent")
            assert [line.partition(" (")[0] for line in ended.stdout.splitlines()[1:]] == [
                "alice: hello",
                "\u2713\u2713 delivered to alice",
                *2 * ["\u2717 not delivered to alice: the server did not understand what we sent"],
            ]


def test_a_lost_connection_gives_every_send_an_outcome() -> None:
    with serving(registering(lambda _: None)) as address:
        ended = run("chat", "alice", "--server", address, stdin=b"@bob 1\n@carol 2\n@dave 3\n")
    assert ended.returncode == 68
    assert ended.stderr == "twotick: the server closed the connection\n"
    assert ended.stdout.splitlines()[1:] == [
        f"? sent to {name}, but not known whether it arrived: the server closed the connection"
        for name in ("bob", "carol", "dave")
    ]


def test_a_lost_connection_ends_it_while_it_waits_for_input() -> None:

    closing = threading.Event()

    def talk(connection: socket.socket) -> None:
        connection.sendall(registered(read_frame(connection)))
        closing.wait()
        connection.close()

    with serving(talk) as address, started("chat", "alice", "--server", address) as alice:
        alice.line()
        closing.set()
        assert alice.process.wait() == 68
        assert alice.stderr.read() == "twotick: the server closed the connection\n"


@pytest.mark.parametrize("sends", [True, False])
def test_a_closed_output_ends_it(address: str, sends: bool) -> None:
    with started("chat", "alice", "--server", address) as alice:
        alice.line()
        alice.stdout.close()
        if sends:
            alice.type("@nobody hello")
        else:
            with pytest.raises(twotick.NotDelivered):
                twotick.send("alice", "hello", sender="bob", server=address)
        assert alice.process.wait() == -signal.SIGPIPE
        assert alice.stderr.read() == ""


def test_input_that_cannot_be_read_has_ended(address: str) -> None:
    assert run("chat", "alice", "--server", address, redirect="<&-").returncode == 0
    writing = os.open(os.devnull, os.O_WRONLY)
    ended = run("chat", "alice", "--server", address, stdin=writing)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_an_ascii_terminal_is_shown_what_it_can_show(address: str) -> None:
    ended = run("chat", "alice", "--server", address, stdin=b"@nobody hi\n", env=environment(PYTHONIOENCODING="ascii"))
    assert ended.returncode == 0
    assert ended.stdout.splitlines()[1].startswith("\\u2717 not delivered to nobody")


def test_without_a_name_one_is_asked_for(address: str) -> None:
    ended = run("chat", "--server", address, stdin=b"alice\n@nobody hi\n")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith(f"You are alice on {address}.")
