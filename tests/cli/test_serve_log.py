"""What `twotick serve` writes on standard error."""

import json
import signal
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pexpect

from tests.cli.commands import COMMAND, environment, started
from tests.cli.operating import PASSWORD, Operator, address, answer, basic, bearer, log_in, outcome
from tests.sockets import Peer
from twotick.wire import Side, register

CROWD = 20


def crowd(server: tuple[str, int]) -> Peer:
    """Open one connection, which stays, and then more than there may be."""
    first = Peer(server, "127.0.0.1")
    first.ask(register(Side.SENDING, b"alice"), b"REGISTERED TOSEND alice\n\n")
    for _ in range(CROWD):
        assert Peer(server, "127.0.0.1").rest() == b""
    return first


def test_connections_that_are_turned_away_are_counted() -> None:
    with started("serve", "--port", "0", env=environment(TWOTICK_MAX_CONNECTIONS="1")) as server:
        first = crowd(address(server.line().removeprefix("listening on ")))
        turned_away = 0
        while turned_away < CROWD:
            line = json.loads(server.stderr.readline())
            assert (line["event"], line["level"], line["most"]) == ("too many connections", "warning", 1)
            assert line["timestamp"].endswith("Z")
            turned_away += line["turned_away"]
        assert turned_away == CROWD
        first.close()
        ended = server.end(signal.SIGTERM)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_on_a_terminal_the_log_is_plain() -> None:
    terminal = cast(
        Any,
        pexpect.spawn(
            COMMAND,
            ["serve", "--port", "0"],
            env=environment(TWOTICK_MAX_CONNECTIONS="1"),
            timeout=60,
            encoding="utf-8",
            use_poll=True,
        ),
    )
    with terminal:
        terminal.expect(r"listening on (\S+)\r\n")
        crowd(address(terminal.match[1])).close()
        terminal.expect(r"(\S+Z \[warning *\] too many connections .*turned_away=\d+)\s*\r\n")
        assert "\x1b" not in terminal.match[1]


def test_a_log_that_cannot_be_written_stops_nothing() -> None:
    with (
        Path("/dev/full").open("w") as full,
        subprocess.Popen(
            [COMMAND, "serve", "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=full,
            env=environment(TWOTICK_MAX_CONNECTIONS="1"),
            text=True,
        ) as server,
    ):
        assert server.stdout
        where = address(server.stdout.readline().removeprefix("listening on "))
        for _ in range(2):  # the second time it has tried to write for certain
            first = crowd(where)
            assert first.finish() == b""
        server.terminate()
        assert server.wait(60) == 0


def test_a_damaged_page_is_told_to_clients_and_logged(tmp_path: Path) -> None:
    operator = Operator(tmp_path / "data")
    operator.prepare("alice")
    file = operator.data / "twotick.db"
    with closing(sqlite3.connect(file)) as database:
        (page,) = database.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'content'").fetchone()
        (size,) = database.execute("PRAGMA page_size").fetchone()
    with file.open("r+b") as opened:
        opened.seek((page - 1) * size)
        opened.write(b"\xff" * size)
    with operator.serving() as (server, where):
        alice, line = log_in(where, "alice", basic("alice", PASSWORD))
        assert line == "REGISTERED DUPLEX alice"
        for number in range(3):
            alice.write(b"SEND alice\nContent-length: 2\nId: m%d\n\nhi" % number)
            assert answer(alice).startswith(f"ERROR 102 Unable to send\nId: m{number}\nReason: the database is damaged")
        alice.close()
        ended = server.end(signal.SIGTERM)
    lines = [json.loads(each) for each in ended.stderr.splitlines()]
    assert [line["event"] for line in lines] == ["the data cannot be read or written"]
    assert lines[0]["reason"].startswith("the database is damaged: ")


def test_no_secret_and_no_message_is_seen_from_outside(tmp_path: Path) -> None:
    operator = Operator(tmp_path / "data")
    operator.prepare("alice")
    token = operator.do("token", "alice", "laptop").removesuffix("\n")
    with operator.serving(forked=False) as (server, where):
        for authorization, line in (
            (basic("alice", "wrong password"), "ERROR 104 Not authenticated"),
            (bearer(token + "x"), "ERROR 104 Not authenticated"),
            (bearer(token), "REGISTERED DUPLEX alice"),
            (basic("alice", PASSWORD), "REGISTERED DUPLEX alice"),
        ):
            assert outcome(where, "alice", authorization) == line
        peer, _ = log_in(where, "alice", bearer(token))
        peer.write(b"SEND alice\nContent-length: 10\nId: m1\n\ntop secret")
        assert answer(peer).startswith("ACCEPTED alice\n")
        peer.write(b"SEND alice\nContent-length: x\n\ntop secret")
        assert b"ERROR 103 " in peer.rest()
        command = Path(f"/proc/{server.process.pid}/cmdline").read_bytes()
        ended = server.end(signal.SIGTERM)
    assert command.split(b"\0")[-4:] == [b"serve", b"--port", b"0", b""]
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert token.encode() not in (operator.data / "twotick.db").read_bytes()
    assert PASSWORD.encode() not in (operator.data / "twotick.db").read_bytes()
