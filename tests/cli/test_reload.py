"""SIGHUP, `twotick reload`, and what systemd is told."""

import json
import signal
import socket
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.commands import started
from tests.cli.operating import PASSWORD, Operator, answer, basic, log_in, outcome
from tests.sockets import patiently
from twotick.server.observing.control import ask_server

ROUNDS = 100


class Configured(Operator):
    """An operator whose settings are in a file."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.file = folder / "twotick.toml"
        super().__init__(folder / "data", CONFIG=str(self.file), **settings)

    def write(self, **settings: str | int) -> None:
        self.file.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items()))


@pytest.fixture
def operator(tmp_path: Path) -> Configured:
    operator = Configured(tmp_path)
    operator.prepare("alice", "bob")
    operator.write(sign_up="closed")
    return operator


def signs_up(where: tuple[str, int], name: str) -> bool:
    return outcome(where, name, basic(name, PASSWORD), sign_up="").startswith("REGISTERED")


def test_settings_change_at_once_and_a_bad_one_changes_nothing(operator: Configured) -> None:
    with operator.serving() as (server, where):
        assert not signs_up(where, "carol")
        operator.write(sign_up="open", max_devices=1, tls_port=1, answer_timeout=5)
        assert operator.do("reload") == (
            "changed: answer_timeout, max_devices, sign_up\nchanges after a restart: tls_port\n"
        )
        found = json.loads(server.stderr.readline())
        assert (found["event"], found["changed"]) == (
            "the settings were loaded again",
            ["answer_timeout", "max_devices", "sign_up"],
        )
        assert signs_up(where, "carol")

        missing = str(operator.data / "none.pem")
        operator.write(sign_up="closed", tls_certificate=missing, tls_key=missing)
        ended = operator.run("reload")
        assert (ended.returncode, ended.stdout) == (65, "")
        assert f"there is no certificate {missing}" in ended.stderr
        assert json.loads(server.stderr.readline())["event"] == "the new certificate cannot be used"
        assert signs_up(where, "dora"), "the server would not start again with it, so nothing was changed"

        operator.write(sign_up="closed", max_devices="many", misspelt=1)
        ended = operator.run("reload")
        assert (ended.returncode, ended.stdout) == (64, "")  # the command reads the same settings
        server.process.send_signal(signal.SIGHUP)
        found = json.loads(server.stderr.readline())
        assert (found["event"], found["effect"]) == ("the new settings cannot be used", "the old ones stay in use")
        assert "line 2: the setting max_devices cannot be 'many'" in found["reason"]
        assert "there is no setting misspelt" in found["reason"]
        assert signs_up(where, "dan"), "nothing was changed"

        operator.write(sign_up="closed")
        server.process.send_signal(signal.SIGHUP)
        for _ in patiently():
            if not signs_up(where, "erin"):
                break
        server.stderr.readline()
        ended = server.end(signal.SIGTERM)
    assert (ended.returncode, ended.stderr) == (0, "")
    ended = operator.run("reload")
    assert (ended.returncode, ended.stderr) == (
        69,
        f"twotick: no server runs on the data in {operator.data}: start it,"
        " or name its folder with --data or --config\n",
    )


def test_no_connection_is_dropped_in_many_reloads(operator: Configured) -> None:
    with operator.serving() as (server, where):
        alice, _ = log_in(where, "alice", basic("alice", PASSWORD))
        bob, _ = log_in(where, "bob", basic("bob", PASSWORD))
        for number in range(ROUNDS):
            operator.write(sign_up="open" if number % 2 else "closed", max_window=number + 1)
            alice.write(b"SEND bob\nContent-length: 5\nId: m%d\n\nhello" % number)
            status, done = ask_server(operator.data, "POST", "/reload")
            assert (status, done["problems"]) == (200, [])
            assert answer(alice).startswith(f"ACCEPTED bob\nId: m{number}\n")
            assert answer(bob).startswith(f"FORWARD alice\nContent-length: 5\nId: m{number}\n")
            bob.expect(b"hello")
            bob.write(b"RECEIVED alice\nSeq: %d\n\n" % (number + 1))
            assert answer(alice) == f"SEND bob\nId: m{number}\nSeq: {2 * number + 2}\n\n"
            alice.write(b"RECEIVED bob\nSeq: %d\n\n" % (2 * number + 2))
        alice.close()
        bob.close()
        assert len(server.end(signal.SIGTERM).stderr.splitlines()) == ROUNDS


@contextmanager
def service_manager(folder: Path) -> Generator[socket.socket]:
    """What systemd listens on."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(folder / "notify"))
        listening.settimeout(30)
        yield listening


def test_systemd_is_told_what_the_server_does(operator: Configured, tmp_path: Path) -> None:
    with service_manager(tmp_path) as manager:
        variables = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "20000"}

        def told() -> str:
            for _ in patiently():
                if (news := manager.recv(1000).decode()) != "WATCHDOG=1":
                    return news
            raise AssertionError

        with started("serve", "--port", "0", env={**operator.environment, **variables}) as server:
            server.line()
            assert told() == "READY=1"
            for _ in patiently():
                if manager.recv(1000) == b"WATCHDOG=1":
                    break
            server.process.send_signal(signal.SIGHUP)
            assert told().startswith("RELOADING=1\nMONOTONIC_USEC=")
            assert told() == "READY=1"
            server.process.send_signal(signal.SIGTERM)
            assert told() == "STOPPING=1"
            assert server.end().returncode == 0
