"""A server with data on the disk, its operator, and members that write frames."""

import base64
import ssl
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tests.cli.commands import Started, environment, run, started
from tests.sockets import PATIENCE, Peer, patiently
from twotick import admin
from twotick.store import StoreLimits
from twotick.wire import MALFORMED_USERNAME, Side, register

PASSWORD = "correct horse"


class Operator:
    """An operator who runs commands on one data folder.

    Attributes:
        data: the folder.
        settings: as variables without TWOTICK_.
    """

    def __init__(self, data: Path, **settings: str) -> None:
        self.data = data
        self.settings: dict[str, str] = {"DATA": str(data), "MEMORY": "no", **settings}

    @property
    def environment(self) -> dict[str, str]:
        return environment(**{f"TWOTICK_{name}": value for name, value in self.settings.items()})

    def run(self, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
        return run(*arguments, stdin=stdin, env=self.environment)

    def do(self, *arguments: str, stdin: bytes = b"") -> str:
        """Run a command that must succeed without a word on standard error; return its output."""
        ended = self.run(*arguments, stdin=stdin)
        assert (ended.returncode, ended.stderr) == (0, ""), ended
        return ended.stdout

    def prepare(self, *names: str) -> None:
        """Make a database with these members, without running a command for each."""
        with admin.opened(admin.DataFolder(self.data), StoreLimits(), create=True) as store:
            for name in names:
                admin.add(store, name, PASSWORD.encode())

    def add(self, name: str, password: str = PASSWORD) -> None:
        """Add a member with `twotick user add`, which prints nothing."""
        assert self.do("user", "add", name, stdin=password.encode() + b"\n") == ""

    @contextmanager
    def serving(self, *options: str, forked: bool = True) -> Generator[tuple[Started, tuple[str, int]]]:
        """Run a server with this data; yield it and its address."""
        with started("serve", "--port", "0", *options, env=self.environment, forked=forked) as server:
            yield server, address(server.line().removeprefix("listening on "))


class Person(Operator):
    """A user with a home folder of their own, who runs commands against a running server."""

    def __init__(self, home: Path, server: tuple[str, int]) -> None:
        super().__init__(home / "data", SERVER=f"{server[0]}:{server[1]}", KEYRING="no")
        self.server = self.settings["SERVER"]
        self._home = home

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, "HOME": str(self._home)}

    @property
    def variables(self) -> dict[str, str]:
        """The variables that this environment sets."""
        return {
            name: value for name, value in self.environment.items() if name == "HOME" or name.startswith("TWOTICK_")
        }

    def log_in(self, name: str, device: str, *options: str, password: str = PASSWORD) -> str:
        return self.do("login", f"{name}@{self.server}", "--device", device, *options, stdin=f"{password}\n".encode())


@contextmanager
def people(folder: Path, *names: str) -> Generator[list[Person]]:
    """Run a server with members, each logged in on a device called desk."""
    operator = Operator(folder / "server")
    operator.prepare(*names)
    with operator.serving() as (_, where):
        found = [Person(folder / name, where) for name in names]
        for person, name in zip(found, names, strict=True):
            person.log_in(name, "desk")
        yield found


def address(text: str) -> tuple[str, int]:
    host, port = text.split(":")
    return host, int(port)


def basic(name: str, password: str) -> bytes:
    return b"Basic " + base64.b64encode(f"{name}:{password}".encode())


def bearer(token: str) -> bytes:
    return b"Bearer " + token.encode()


def log_in(
    server: tuple[str, int],
    name: str,
    authorization: bytes,
    *,
    sign_up: str | None = None,
    context: ssl.SSLContext | None = None,
) -> tuple[Peer, str]:
    """Connect as a member; return the connection and the start line of the answer."""
    peer = Peer(server, "127.0.0.1")
    if context is not None:
        peer.socket = context.wrap_socket(peer.socket)
    invitation = None if sign_up is None else sign_up.encode()
    peer.write(register(Side.DUPLEX, name.encode(), authorization=authorization, sign_up=invitation))
    return peer, answer(peer).partition("\n")[0]


def answer(peer: Peer) -> str:
    """Return the next frame, which has no body."""
    found = b""
    while not found.endswith(b"\n\n"):
        byte = peer.read(1)
        assert byte, found
        found += byte
    return found.decode()


def outcome(server: tuple[str, int], name: str, authorization: bytes, *, sign_up: str | None = None) -> str:
    """Return the start line of the answer to a member who then disconnects."""
    peer, line = log_in(server, name, authorization, sign_up=sign_up)
    peer.close()
    return line


def until_owned(server: tuple[str, int], name: str, *, owned: bool = True) -> None:
    """Wait until guests cannot (or can) have a name."""
    for _ in patiently():
        peer = Peer(server, "127.0.0.1")
        peer.write(register(Side.SENDING, name.encode()))
        refused = answer(peer).encode() == MALFORMED_USERNAME
        peer.finish()
        if refused is owned:
            return
    raise TimeoutError(f"{name} is {'free' if owned else 'owned'} for {PATIENCE} s")
