"""`twotick serve`."""

import asyncio
import contextlib
import json
import re
import signal
import socket
import subprocess
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.cli.commands import COMMAND, environment, run, started
from tests.cli.operating import address as parsed
from tests.sockets import Peer
from twotick.client import ProtocolError, connect
from twotick.wire import Side, register, registered


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
        (["--host", " , "], 64, r"host names no address: .*\n"),
        (["--host", "127.0.0.1,192.0.2.1"], 71, r"cannot listen on 127.0.0.1, 192.0.2.1:0: .*assign.*\n"),
        (["--host", "192.0.2.1"], 71, r"cannot listen on 192.0.2.1:0: .*assign.*\n"),
        (["--port", "65536"], 64, r"the setting port cannot be 65536: .*\n"),
        (["--port", "http"], 64, r"twotick: .*'--port'.* valid int(.|\n)*"),
        (["--config", "/nonexistent"], 64, r"cannot read the settings in /nonexistent: .*\n"),
        (["--config", "/"], 64, r"twotick: .*'/' is a directory\n(.|\n)*"),
        (["extra"], 64, r"twotick: .*unexpected extra argument(.|\n)*"),
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


@contextlib.contextmanager
def shell(script: str, *arguments: str) -> Generator[subprocess.Popen[str]]:
    """Run a command, which is a server if no other is given, from a shell that first does something else."""
    with subprocess.Popen(
        ["/bin/sh", "-c", f'{script}; exec "$0" "$@"', COMMAND, *(arguments or ("serve", "--port", "0"))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def where(process: subprocess.Popen[str]) -> tuple[str, int]:
    assert process.stdout is not None
    return parsed(process.stdout.readline().removeprefix("listening on "))


def test_a_server_that_nohup_runs_outlives_its_terminal() -> None:
    with shell("trap '' HUP") as process:
        server = where(process)
        process.send_signal(signal.SIGHUP)
        peer = Peer(server, "127.0.0.1")
        peer.ask(register(Side.SENDING, b"alice"), registered(Side.SENDING, b"alice"))
        peer.close()
        process.terminate()
        assert process.wait(60) == 0


def test_few_open_files_are_told_and_bound_the_connections() -> None:
    with shell("ulimit -n 64") as process:
        server = where(process)
        assert process.stderr is not None
        warning = json.loads(process.stderr.readline())
        assert (warning["event"], warning["most"], warning["files"]) == ("the system allows few connections", 32, 64)
        there = [Peer(server, f"127.0.0.{number + 1}") for number in range(33)]
        served = 0
        for number, peer in enumerate(there):
            answer = registered(Side.SENDING, b"u%d" % number)
            with contextlib.suppress(ConnectionError):
                peer.write(register(Side.SENDING, b"u%d" % number))
                served += peer.read(len(answer)) == answer
        assert 16 <= served <= 32  # addresses share them, and so not all of them may be taken
        assert json.loads(process.stderr.readline())["event"] == "too many connections"
        for peer in there:
            peer.close()
        process.terminate()
        assert process.wait(60) == 0


@pytest.mark.parametrize("command", [["serve", "--port", "0"], ["demo"]])
def test_too_few_open_files_are_one_clear_line(command: list[str]) -> None:
    with shell("ulimit -n 32", *command) as process:
        stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (64, "")
    assert stderr == (
        "twotick: the system lets the server open only 32 files, and it needs more than 32: allow more, with"
        " 'ulimit -n' or LimitNOFILE\n"
    )


def test_several_addresses_have_one_port() -> None:
    with started("serve", "--port", "0", "--host", "127.0.0.2, 127.0.0.1") as server:
        found = [parsed(server.line().removeprefix("listening on ")) for _ in range(2)]
        assert [host for host, _ in found] == ["127.0.0.2", "127.0.0.1"]
        assert len({port for _, port in found}) == 1
        (sending, receiving) = (Peer(each, "127.0.0.1") for each in found)
        sending.ask(register(Side.SENDING, b"alice"), registered(Side.SENDING, b"alice"))
        receiving.ask(register(Side.RECEIVING, b"alice"), registered(Side.RECEIVING, b"alice"))
        sending.close()
        receiving.close()
        ended = server.end(signal.SIGTERM)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="needs IPv6")
def test_all_addresses_are_those_of_ipv4_too() -> None:
    allowed = {"TWOTICK_ALLOW_PLAIN": "yes", "TWOTICK_ALLOW_GUESTS": "yes"}
    with started("serve", "--port", "0", "--host", "::", env=environment(**allowed)) as server:
        line = server.line()
        assert line.startswith("listening on [::]:")
        port = int(line.rpartition(":")[2])
        for host in ("127.0.0.1", "::1"):
            with socket.create_connection((host, port)) as peer:
                peer.sendall(register(Side.SENDING, b"alice"))
                answer = registered(Side.SENDING, b"alice")
                assert peer.recv(len(answer), socket.MSG_WAITALL) == answer
                peer.shutdown(socket.SHUT_WR)
                assert peer.recv(1) == b""
        ended = server.end(signal.SIGTERM)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
