"""A server that speaks IRC, and clients that read and write lines."""

import os
import re
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tests.sockets import PATIENCE, Peer
from twotick.server.secrets import hash_password, new_token, token_digest
from twotick.store import AddMember, AddToken, Member, SqliteStore, StoreLimits
from twotick.wire import Side, register

_ANY = (
    (re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{12}Z"), "TIME"),
    (re.compile(r"[0-9a-f]{10}-([0-9]+)"), r"ID\1"),
)
"""What differs each time."""


def members(data: Path, *names: str, password: str = "") -> list[str]:
    """Add members to a data folder that no server uses; return a token of each, for the device `pc`."""
    store = SqliteStore(data, StoreLimits())
    tokens: list[str] = []
    hashed = hash_password(password.encode()) if password else ""
    for name in names:
        (member,) = store.apply([AddMember(name, hashed, 0.0)])
        assert isinstance(member, Member)
        tokens.append(new_token())
        store.apply([AddToken(member.number, "pc", token_digest(tokens[-1]), 0.0)])
    store.close()
    return tokens


class IrcPlace:
    """A server, and those who are connected to it.

    Attributes:
        port: where IRC clients connect.
        tls_port: where those connect that encrypt; 0 if there is no such port.
        address: where other clients connect.
        page: the URL of the web page; empty if there is none.
    """

    def __init__(self, data: Path, tokens: list[str], *, web: bool = False, **settings: str) -> None:
        self._tokens = tokens
        self._taken = 0
        environment = os.environ | {f"TWOTICK_{name.upper()}": value for name, value in settings.items()}
        page = ["--web-port", "0"] if web else ["--no-web"]
        command = [sys.executable, "-m", "twotick", "serve", *page, "--data", str(data), "--port", "0"]
        self.process = subprocess.Popen(
            [*command, "--irc-port", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment | {"TWOTICK_RESERVE_BYTES": "0"},
        )
        assert self.process.stdout is not None
        self.address = "127.0.0.1", int(self.process.stdout.readline().rpartition(":")[2])
        self.page = self.process.stdout.readline().removeprefix("web page: ").strip() if web else ""
        while not (line := self.process.stdout.readline()).startswith("IRC: "):
            assert line, "the server does not listen for IRC clients"
        self.port = int(line.rpartition(":")[2])
        encrypted = self.process.stdout.readline() if "irc_tls_port" in settings else ":0"
        self.tls_port = int(encrypted.rpartition(":")[2].partition(" ")[0])
        self.clients: list[IrcClient | Peer] = []

    def native(self, name: bytes) -> Peer:
        """A guest who speaks the protocol of docs/protocol.md."""
        peer = Peer(self.address, "127.0.0.1")
        self.clients.append(peer)
        peer.write(register(Side.DUPLEX, name))
        peer.frame()
        return peer

    def client(self, *lines: str) -> "IrcClient":
        """A connection that has written these lines."""
        client = IrcClient(self.port)
        self.clients.append(client)
        client.send(*lines)
        return client

    def next_member(self) -> tuple[str, str]:
        """The name and a token of a member who was in no test before."""
        self._taken += 1
        return f"m{self._taken}", self._tokens[self._taken - 1]

    def member(self, *caps: str, device: str = "") -> "IrcClient":
        """A member who was in no test before, and is welcome."""
        name, token = self.next_member()
        return self.log_in(name, token, *caps, device=device)

    def log_in(self, name: str, token: str, *caps: str, device: str = "") -> "IrcClient":
        client = self.client()
        client.name, client.token = name, token
        if caps:
            client.send("CAP REQ :" + " ".join(caps), "CAP END")
        where = f"/pc/{device}" if device else ""
        client.send(f"PASS {name}{where}:{token}", f"NICK {name}", "USER u 0 * :Real name")
        client.sync()
        return client

    def guest(self, name: str, *caps: str) -> "IrcClient":
        client = self.client()
        client.name = name
        if caps:
            client.send("CAP REQ :" + " ".join(caps), "CAP END")
        client.send(f"NICK {name}", "USER u 0 * :Real name")
        client.sync()
        return client

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Stop the server; its log must be empty."""
        for client in self.clients:
            client.close()
        if self.process.poll() is None:
            self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=PATIENCE)
        expected = 0 if number is signal.SIGTERM else -number
        assert (self.process.returncode, errors) == (expected, "")


class IrcClient:
    """A connection of an IRC client.

    Attributes:
        name, token: whose it is.
        msgid: the msgid of the last line that had one.
        ids: those of all lines that had one, in order.
    """

    def __init__(self, port: int, tls: ssl.SSLContext | None = None) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname="127.0.0.1")
        self.name = self.token = self.msgid = ""
        self.ids: list[str] = []
        self._data = b""
        self._syncs = 0

    def send(self, *lines: str) -> None:
        self.raw("".join(f"{line}\r\n" for line in lines).encode())

    def raw(self, data: bytes) -> None:
        self.socket.sendall(data)

    def line(self) -> str:
        """The next line that is no PING, which comes some time after a message; empty if the server closes instead."""
        while (line := self.any_line()).startswith("PING "):
            pass
        return line

    def any_line(self) -> str:
        """The next line; empty if the server closes the connection instead. What differs each time has other words."""
        text = self.raw_line()
        for pattern, name in _ANY:
            text = pattern.sub(name, text)
        return text

    def raw_line(self) -> str:
        """The next line as it is."""
        while b"\r\n" not in self._data:
            more = self.socket.recv(1 << 16)
            if not more:
                return ""
            self._data += more
        line, _, self._data = self._data.partition(b"\r\n")
        text = line.decode()
        found = re.search(r"[@;]msgid=([^; ]+)", text)
        if found:
            self.msgid = found[1]
            self.ids.append(found[1])
        return text

    def until(self, part: str) -> list[str]:
        """The lines up to one that has this part, which must come."""
        lines = [self.line()]
        while part not in lines[-1]:
            assert lines[-1], f"closed before {part!r}"
            lines.append(self.line())
        return lines

    def sync(self) -> list[str]:
        """All lines that come before the answer to a PING, but PINGs of the server."""
        return [line for line in self.everything() if not line.startswith("PING ")]

    def everything(self) -> list[str]:
        """All lines that come before the answer to a PING."""
        self._syncs += 1
        token = f"sync-{self._syncs}"
        self.send(f"PING {token}")
        lines = [self.any_line()]
        while token not in lines[-1]:
            assert lines[-1], f"closed before {token!r}"
            lines.append(self.any_line())
        return lines[:-1]

    def do(self, *lines: str) -> list[str]:
        """All lines that answer these."""
        self.send(*lines)
        return self.sync()

    def exactly(self, line: str) -> list[str]:
        """All lines that answer one, with times and Ids as they are."""
        self.send(line, "PING end")
        lines = [self.raw_line()]
        while " PONG " not in lines[-1]:
            assert lines[-1], "closed"
            lines.append(self.raw_line())
        return [line for line in lines[:-1] if not line.startswith("PING ")]

    def acknowledge(self) -> str:
        """Answer the next PING by which the server asks what has come, and return it.

        A client that has said PONG before is asked soon.
        """
        self.send("PONG here")
        while not (ping := self.any_line()).startswith("PING :tt-"):
            assert ping, "closed without a PING"
        self.send("PONG " + ping.removeprefix("PING "))
        return ping

    def close(self) -> None:
        self.socket.close()


@contextmanager
def placed(data: Path, count: int = 60, *, web: bool = False, **settings: str) -> Generator[IrcPlace]:
    """A server with members m1, m2 and so on, each of whom is in one test."""
    place = IrcPlace(data, members(data, *(f"m{number}" for number in range(1, count + 1))), web=web, **settings)
    try:
        yield place
    finally:
        place.stop()
