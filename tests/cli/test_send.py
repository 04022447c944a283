"""`twotick send`: the exit status says what became of the message."""

import base64
import json
import os
import socket

import pytest

from tests.cli.commands import environment, listening, run

BODIES = {
    "text": b"disk full\n",
    "all bytes": bytes(range(256)),
    "a frame": b"\n\nSEND bob\nContent-length: 5\n\nhello",
    "much": b"x" * 50_000,
}


def test_a_delivered_message_has_two_ticks_and_status_0(address: str) -> None:
    with listening("Bob", address) as bob:
        bob.line()
        ended = run("send", "bob", "disk full", "--from", "cron", "--server", address)
        assert bob.line() == "cron: disk full"
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("\u2713\u2713 delivered to bob (")


def test_what_looks_like_an_option_is_sent_after_two_dashes(address: str) -> None:
    with listening("bob", address) as bob:
        bob.line()
        ended = run("send", "--server", address, "--from", "cron", "--", "ALL", "--json")
        assert bob.line() == "cron: --json"
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("\u2713\u2713 delivered to everyone (")


@pytest.mark.parametrize("body", BODIES)
def test_standard_input_is_sent_as_it_is(address: str, body: str) -> None:
    with listening("bob", address, "--json") as bob:
        bob.line()
        assert run("send", "bob", "--from", "cron", "--server", address, stdin=BODIES[body]).returncode == 0
        got = json.loads(bob.line())
    assert BODIES[body] == (base64.b64decode(got["base64"]) if "base64" in got else got["text"].encode())


def test_an_argument_that_is_not_text_is_sent_as_it_is(address: str) -> None:
    with listening("bob", address, "--json") as bob:
        bob.line()
        assert run("send", "bob", b"\xff\x1b", "--from", "cron", "--server", address).returncode == 0
        assert base64.b64decode(json.loads(bob.line())["base64"]) == b"\xff\x1b"


def test_a_message_that_is_not_delivered_says_why(address: str) -> None:
    with listening("bob", address, "--exec", "[ $TWOTICK_FROM = prober ]"):
        for recipient, status in (("bob", 79), ("nobody", 67), ("\x1b[2J", 64)):
            ended = run("send", recipient, "hello", "--from", "alice", "--server", address)
            assert (ended.returncode, ended.stdout) == (status, "")
            assert ended.stderr.startswith("twotick: not delivered to ")
            assert ended.stderr.strip("\n").isprintable()


def test_a_message_that_is_too_long_has_status_69(address: str) -> None:
    ended = run("send", "bob", "--from", "cron", "--server", address, stdin=bytes(1 + (1 << 20)))
    assert (ended.returncode, ended.stdout) == (69, "")
    assert "1048576 is the limit" in ended.stderr


def test_a_message_from_a_name_that_is_taken_has_status_77(address: str) -> None:
    with listening("bob", address):
        ended = run("send", "bob", "hello", "--from", "bob", "--server", address)
    assert (ended.returncode, ended.stdout) == (77, "")
    assert ended.stderr == "twotick: the name bob cannot be used: another user has it\n"


def test_a_server_that_is_not_there_has_status_68() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    for given in (["--server", f"127.0.0.1:{port}"], ["--server", "nosuchhost.invalid"]):
        ended = run("send", "bob", "hello", "--from", "alice", *given)
        assert (ended.returncode, ended.stdout) == (68, "")
        assert ended.stderr.startswith(f"twotick: no server at {given[1]}")
        here = given[1].startswith("127.")
        assert ("'twotick serve' runs a server here" if here else "ask the server's operator") in ended.stderr


def test_the_server_may_be_set_in_the_environment(address: str) -> None:
    with socket.socket() as refusing:
        refusing.bind(("127.0.0.1", 0))
        dead = f"127.0.0.1:{refusing.getsockname()[1]}"
        for given in (address, f"{dead},{address}"):
            ended = run("send", "all", "hello", "--from", "alice", env=environment(TWOTICK_SERVER=given))
            assert (ended.returncode, ended.stderr) == (0, "")
        ended = run("send", "all", "hello", "--from", "alice", "--server", f"{dead},{address},")
        assert (ended.returncode, ended.stderr) == (64, "twotick: '' is not HOST:PORT\n")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["bob", "hello"],
        ["--from", "alice"],
        ["bob", "hello", "more", "--from", "alice"],
        ["bob", "hello", "--from", "al ice"],
        ["bo b", "hello", "--from", "alice"],
        ["#", "hello", "--from", "alice"],
        ["", "hello", "--from", "alice"],
        ["bob", "hello", "--from", "\x1b[2J"],
        ["bob", "hello", "--from", "alice", "--server", ""],
        ["bob", "hello", "--from", "alice", "--server", "::1"],
        ["bob", "hello", "--from", "alice", "--server", b"\xff:1"],
        ["bob", "hello", "--from", "alice", "--config", "/nonexistent"],
    ],
)
def test_wrong_usage_has_status_64_and_says_what_is_wrong(arguments: list[str | bytes]) -> None:
    ended = run("send", *arguments)
    assert (ended.returncode, ended.stdout) == (64, "")
    assert ended.stderr.startswith(("twotick: ", "Usage: "))


def test_a_recipient_with_a_server_and_a_text_without_quotes_are_explained() -> None:
    ended = run("send", "bob@chat.example", "hello", "--from", "alice")
    assert ended.returncode == 64
    assert ended.stderr == (
        "twotick: not delivered to bob@chat.example: that is no user, no room such as '#team', and not ALL: write bob;"
        " --as NAME@HOST chooses the server\n"
    )
    ended = run("send", "bob", "hello", "there", "--from", "alice")
    assert ended.stderr.startswith(
        "twotick: got unexpected extra argument (there): put a text of several words in quotes\n"
    )


def test_the_exit_status_tells_of_the_message_also_if_it_cannot_be_printed(address: str) -> None:
    """A script that hears of a failure sends again."""
    for output in (">&-", ">/dev/full"):
        ended = run("send", "ALL", "hello", "--from", "alice", "--server", address, redirect=output)
        assert ended.returncode == 0
        assert "delivered to everyone" in ended.stderr
        assert "(standard output cannot be written: " in ended.stderr


def test_standard_input_that_cannot_be_read_is_said(address: str) -> None:
    writing = os.open(os.devnull, os.O_WRONLY)
    ended = run("send", "ALL", "--from", "alice", "--server", address, stdin=writing)
    os.close(writing)
    assert (ended.returncode, ended.stdout) == (74, "")
    assert ended.stderr == "twotick: cannot read standard input: Bad file descriptor\n"
    assert run("send", "ALL", "--from", "alice", "--server", address, redirect="<&-").returncode == 66
