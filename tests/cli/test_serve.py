"""`twotick serve`."""

import asyncio
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.commands import environment, run, started
from twotick.client import ProtocolError, connect


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_it_listens_and_stops_when_all_that_waits_is_answered(number: signal.Signals) -> None:
    """Rule 4.10."""
    with started("serve", "--port", "0") as server:
        address = server.line().removeprefix("listening on ")

        async def talk() -> str:
            async with connect("alice", address) as alice, connect("bob", address) as bob:
                sending = asyncio.create_task(alice.send("bob", "hello"))
                message = await bob.receive()
                server.process.send_signal(number)
                host, port = address.split(":")
                while True:  # until the server has received the signal, and accepts no connections
                    try:
                        _, writer = await asyncio.open_connection(host, int(port))
                    except (ConnectionRefusedError, ConnectionResetError):
                        break
                    writer.close()
                await message.ack()
                return (await sending).recipient

        assert asyncio.run(talk()) == "bob"
        ended = server.end()
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


@pytest.fixture
def port_in_use() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_port_in_use_is_one_clear_line_wherever_it_was_set(port_in_use: int, tmp_path: Path) -> None:
    """The precedence of settings: the command line, a variable, a file."""
    file = tmp_path / "some.toml"
    file.write_text(f"port = {port_in_use}\n")
    other = tmp_path / "other.toml"
    other.write_text("port = 1\nhost = '0.0.0.0'\n")
    for ended in (
        run("serve", "--port", str(port_in_use), env=environment(TWOTICK_PORT="1")),
        run("serve", "--config", str(other), env=environment(TWOTICK_PORT=str(port_in_use), TWOTICK_HOST="127.0.0.1")),
        run("serve", "--config", str(file), env=environment(TWOTICK_CONFIG=str(other))),
        run("serve", env=environment(TWOTICK_CONFIG=str(file))),
    ):
        assert ended.stderr == (
            f"twotick: 127.0.0.1:{port_in_use} is in use: stop the program that listens there,"
            " or choose another port with --port\n"
        )
        assert (ended.returncode, ended.stdout) == (71, "")


@pytest.mark.parametrize(
    ("arguments", "status", "problem"),
    [
        (["--host", "nosuchhost.invalid"], 71, r"cannot listen on nosuchhost.invalid:0: (?!Unknown).*\n"),
        (["--host", "x" * 70], 71, r"cannot listen on x{70}:0: that is not a valid host name\n"),
        (["--host", ""], 71, r"cannot listen on :0: .*\n"),
        (["--host", "192.0.2.1"], 71, r"cannot listen on 192.0.2.1:0: .*assign.*\n"),
        (["--port", "65536"], 64, r"the setting port cannot be 65536: .*\n"),
        (["--port", "http"], 64, r"Usage: (.|\n)*'--port'.* valid int.*\n"),
        (["--config", "/nonexistent"], 64, r"cannot read the settings in /nonexistent: .*\n"),
        (["--config", "/"], 64, r"Usage: (.|\n)*'/' is a directory.\n"),
        (["extra"], 64, r"Usage: (.|\n)*unexpected extra argument.*\n"),
    ],
)
def test_what_cannot_be_done_is_said(arguments: list[str], status: int, problem: str) -> None:
    env = environment(TWOTICK_ALLOW_PLAIN="yes", TWOTICK_ALLOW_GUESTS="yes")
    ended = run("serve", "--port", "0", *arguments, env=env)
    assert (ended.returncode, ended.stdout) == (status, "")
    assert re.fullmatch(f"(twotick: )?{problem}", ended.stderr), ended.stderr


def test_a_limit_that_is_set_is_kept() -> None:
    with started("serve", "--port", "0", env=environment(TWOTICK_MAX_BODY="5")) as server:
        address = server.line().removeprefix("listening on ")

        async def talk() -> None:
            async with connect("alice", address) as alice:
                await alice.send("alice", b"hello!")

        with pytest.raises(ProtocolError):
            asyncio.run(talk())
        assert server.end(signal.SIGTERM).returncode == 0
