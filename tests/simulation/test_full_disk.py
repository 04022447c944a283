"""A server on a disk that fills up (docs/operations.md, "A full disk").

The disk is a small file system in memory, in a namespace of its own in which the server and the commands run.
"""

import contextlib
import json
import signal
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.cli.commands import COMMAND, environment
from tests.cli.operating import PASSWORD, address, answer, basic, log_in
from tests.sockets import Peer, patiently

SIZE = 48 << 20
RESERVE = 16 << 20

READING = (("history", "bob", "--limit", "1", "--json"), ("export",), ("devices",), ("profile",))
"""Commands that only read."""

NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount"]

MOUNT = f'mount -t tmpfs -o size={SIZE} none "$1" && shift && exec "$@"'


def _can_mount() -> bool:
    probe = [*NAMESPACE, "mount", "-t", "tmpfs", "none", "/mnt"]
    with contextlib.suppress(OSError):
        return subprocess.run(probe, check=False, capture_output=True).returncode == 0
    return False


pytestmark = pytest.mark.skipif(not _can_mount(), reason="needs user namespaces of Linux")


class SmallDisk:
    """A small disk with a data folder, which lasts as long as this object's process.

    Attributes:
        data: the folder as programs inside see it.
        outside: the same folder as the test sees it.
        log: the events in the log of the last server that has stopped.
    """

    def __init__(self, folder: Path) -> None:
        keeper = [*NAMESPACE, "sh", "-c", MOUNT, "sh", str(folder), "sh", "-c", "echo ready; exec cat"]
        self._keeper = subprocess.Popen(keeper, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._keeper.stdout is not None
        assert self._keeper.stdout.readline() == "ready\n"
        self.log: list[str] = []
        self._home = folder.with_name("home")
        self.data = folder / "data"
        self.outside = Path(f"/proc/{self._keeper.pid}/root") / self.data.relative_to("/")

    def command(self, *arguments: str) -> list[str]:
        """Return the command line that runs `twotick` inside."""
        inside = ["nsenter", "--target", str(self._keeper.pid), "--user", "--mount", "--preserve-credentials"]
        return [*inside, "--", COMMAND, *arguments]

    @property
    def environment(self) -> dict[str, str]:
        settings = {"TWOTICK_DATA": str(self.data), "TWOTICK_MEMORY": "no", "TWOTICK_RESERVE_BYTES": str(RESERVE)}
        settings["HOME"] = str(self._home)
        return environment(**settings)

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments), input=stdin, capture_output=True, text=True, env=self.environment, check=False
        )

    def use(self) -> None:
        """Let another program take room, so that the server has less than 1,000 messages' worth besides the reserve."""
        (self.outside.parent / "other").write_bytes(bytes(SIZE // 2 - (4 << 20)))

    def fill(self) -> None:
        """Let another program take all room that is left."""
        with (self.outside.parent / "other").open("ab", buffering=0) as other, contextlib.suppress(OSError):
            while True:
                other.write(bytes(4096))

    def make_room(self) -> None:
        (self.outside.parent / "other").unlink()

    @contextlib.contextmanager
    def serving(self) -> Generator[tuple[subprocess.Popen[str], tuple[str, int]]]:
        """Run a server, which must stop in good order unless it is dead by then."""
        with subprocess.Popen(
            self.command("serve", "--port", "0"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment,
            text=True,
        ) as server:
            try:
                assert server.stdout is not None
                line = server.stdout.readline()
                assert line.startswith("listening on "), server.communicate()
                yield server, address(line.removeprefix("listening on "))
            finally:
                server.send_signal(signal.SIGTERM)
                assert server.wait(60) in (0, -signal.SIGKILL)
                assert server.stderr is not None
                self.log = [json.loads(line)["event"] for line in server.stderr]

    def close(self) -> None:
        self._keeper.communicate()


@pytest.fixture
def disk(tmp_path: Path) -> Generator[SmallDisk]:
    """A small disk with the members alice and bob."""
    disk = SmallDisk(tmp_path)
    for name in ("alice", "bob"):
        added = disk.run("user", "add", name, stdin=f"{PASSWORD}\n")
        assert (added.returncode, added.stderr) == (0, "")
    yield disk
    disk.close()


def entered(where: tuple[str, int], name: str) -> Peer:
    peer, line = log_in(where, name, basic(name, PASSWORD))
    assert line == f"REGISTERED DUPLEX {name}"
    return peer


def send(peer: Peer, number: int, size: int) -> str:
    """Send bob a message; return the answer's start line."""
    peer.write(b"SEND bob\nContent-length: %d\nId: m%d\n\n%b" % (size, number, bytes(size)))
    return answer(peer).partition("\n")[0]


def send_until_full(peer: Peer) -> int:
    """Send messages until one is refused; return how many were accepted."""
    for number in range(1000):
        line = send(peer, number, 20_000)
        if line != "ACCEPTED bob":
            assert line == "ERROR 102 Unable to send"
            return number
    raise AssertionError("the disk does not fill up")


def history(peer: Peer, limit: int) -> list[str]:
    """Ask for the newest messages with bob; return the Ids."""
    peer.write(b"HISTORY bob\nId: h\nLimit: %d\n\n" % limit)
    ids: list[str] = []
    while True:
        head = answer(peer)
        headers: dict[str, str] = dict(line.split(": ", 1) for line in head.splitlines()[1:] if line)
        if not head.startswith("FORWARD"):
            assert headers["Count"] == str(len(ids)), head
            return ids
        peer.read(int(headers["Content-length"]))
        ids.append(headers["Id"])


def delete(peer: Peer, number: int) -> str:
    """Delete a message to bob; return the answer."""
    peer.write(b"SEND bob\nContent-length: 0\nId: d%d\nDeletes: m%d\n\n" % (number, number))
    return answer(peer)


def test_a_full_disk_refuses_what_adds_and_nothing_else(disk: SmallDisk) -> None:
    with disk.serving() as (_, where):
        alice = entered(where, "alice")
        disk.use()
        sent = send_until_full(alice)
        assert sent > 0
        assert history(alice, 3) == [f"m{number}" for number in range(sent - 3, sent)]
        alice.close()
        alice = entered(where, "alice")
        assert delete(alice, 0).startswith("ACCEPTED bob\n")
        removed = disk.run("user", "remove", "bob", "--yes")
        assert (removed.returncode, removed.stderr) == (0, "")
        alice.close()
    assert disk.log[0] == "the disk is full"
    assert set(disk.log) <= {"the disk is full", "the disk has room again"}  # the write-ahead log may have become short


def test_a_server_starts_on_a_full_disk_and_accepts_messages_when_there_is_room(disk: SmallDisk) -> None:
    with disk.serving() as (server, where):
        alice = entered(where, "alice")
        assert send(alice, 1, 100) == "ACCEPTED bob"
        disk.fill()
        server.kill()
        alice.close()
    with disk.serving() as (server, where):
        alice = entered(where, "alice")
        assert history(alice, 3) == ["m1"]
        assert send(alice, 2, 20_000) == "ERROR 102 Unable to send"
        disk.make_room()
        for number, _ in enumerate(patiently(), 3):
            if send(alice, number, 100) == "ACCEPTED bob":
                break
        alice.close()
    assert disk.log == ["the disk is full", "the disk has room again"]
    assert (disk.outside / "reserve").stat().st_size == RESERVE


def test_reading_needs_no_room_at_all(disk: SmallDisk) -> None:
    with disk.serving() as (_, where):
        logged_in = disk.run("login", f"alice@{where[0]}:{where[1]}", "--device", "shell", stdin=f"{PASSWORD}\n")
        assert logged_in.returncode == 0, logged_in
        alice = entered(where, "alice")
        disk.use()
        sent = send_until_full(alice)
        disk.fill()  # with what the reserve has left
        assert history(alice, 3) == [f"m{number}" for number in range(sent - 3, sent)]
        alice.close()
        alice = entered(where, "alice")
        assert history(alice, 1) == [f"m{sent - 1}"]
        alice.close()
        for command in READING:
            read = disk.run(*command)
            assert (read.returncode, read.stderr) == (0, ""), (command, read)
            assert read.stdout
        refused = disk.run("room", "create", "other")
        assert refused.returncode
        assert "the disk is full" in refused.stderr
