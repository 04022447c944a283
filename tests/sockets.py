"""Real server processes and the sockets of those who use them.

Every wait is for something that happens. The time limits only matter when it does not.
"""

import dataclasses
import json
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from twotick.server import ServerLimits
from twotick.wire import MALFORMED_USERNAME, Frame, HeadCache, Parser, Side, register, registered

PATIENCE = 60.0
"""Seconds after which something that should happen has failed to."""

_PAUSE = 0.01
"""Seconds between two looks."""


class ServerProcess:
    """A server in a process of its own.

    Args:
        limits: its limits.
        options: other options of it.

    Attributes:
        address: where it listens.
        page: where its web page is; None if it has none.
        secure_page: where it is for HTTPS; None without a certificate.
    """

    def __init__(self, limits: ServerLimits, **options: str | int) -> None:
        options = {"web": False, **options}
        given = json.dumps(dataclasses.asdict(limits)), json.dumps(options)
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "tests.serving", *given],
            cwd=Path(__file__).parent.parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.address = ("127.0.0.1", int(self._process.stdout.readline()))
        self.page = self.secure_page = None
        self._is_told_to_stop = False
        if "tls_certificate" in options:
            self._process.stdout.readline()
        if options["web"]:
            self.page = ("127.0.0.1", self._page_port())
        if options["web"] and "tls_certificate" in options:
            self.secure_page = ("127.0.0.1", self._page_port())

    def _page_port(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline().rpartition(":")[2].strip("/\n"))

    @property
    def memory(self) -> int:
        """Bytes of memory that it has at the moment."""
        status = Path(f"/proc/{self._process.pid}/status").read_text("ascii")
        return next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmRSS:"))

    @property
    def open_files(self) -> list[str]:
        """What it has open; the names of files that are gone end with `(deleted)`."""
        found: list[str] = []
        for each in Path(f"/proc/{self._process.pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # it was closed meanwhile
                found.append(str(each.readlink()))
        return found

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        self._is_told_to_stop = self._is_told_to_stop or number in {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
        self._process.send_signal(number)

    def stop(self) -> None:
        """Tell it to stop, once: a second signal may meet a process that no longer handles it, and kill it."""
        if self.running and not self._is_told_to_stop:
            self.signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a power failure would, for the process."""
        self._process.kill()
        self._process.communicate()

    def wait(self) -> None:
        """Wait for its end, which must be in good order, and its log without anything but warnings."""
        try:
            _, errors = self._process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
            raise
        found = self._process.returncode, [line for line in errors.splitlines() if '"level": "warning"' not in line]
        assert found == (0, []), found


class Peer:
    """A connection to a server, as blocking as can be."""

    def __init__(self, address: tuple[str, int], source: str) -> None:
        self.socket = socket.create_connection(address, PATIENCE, (source, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._parser = Parser(HeadCache(1 << 20))
        self._frames: deque[Frame] = deque()

    def write(self, data: bytes) -> None:
        self.socket.sendall(data)

    def read(self, size: int) -> bytes:
        """This many bytes, or fewer if the server closes the connection before."""
        data = bytearray()
        while len(data) < size and (more := self.socket.recv(size - len(data))):
            data += more
        return bytes(data)

    def expect(self, data: bytes) -> None:
        """The next bytes are these."""
        found = self.read(len(data))
        assert found == data, f"{found[:500]!r} instead of {data[:500]!r}"

    def ask(self, data: bytes, answer: bytes) -> None:
        self.write(data)
        self.expect(answer)

    def frame(self) -> tuple[bytes, bytes, bytes]:
        """The verb, the name and the body of the next frame. Not to be mixed with the other ways to read."""
        while not self._frames:
            data = self.socket.recv(1 << 16)
            assert data
            self._frames += self._parser.feed(data)
        head, body = self._frames.popleft()
        return head.verb.value, head.name, body

    def is_ready(self, events: int, seconds: float) -> bool:
        """Wait until there is something to read (`select.POLLIN`) or room to write (`select.POLLOUT`), or that long."""
        waiting = select.poll()  # select.select() refuses descriptors above 1023
        waiting.register(self.socket, events)
        return bool(waiting.poll(seconds * 1000))

    def rest(self) -> bytes:
        """All that comes until the server closes the connection, which is then closed on this side as well."""
        data = bytearray()
        while more := self.socket.recv(1 << 16):
            data += more
        self.socket.close()
        return bytes(data)

    def finish(self) -> bytes:
        """Close this half of the connection; returns all that still comes."""
        self.socket.shutdown(socket.SHUT_WR)
        return self.rest()

    def close(self) -> None:
        self.socket.close()

    def reset(self) -> None:
        """Vanish without a goodbye."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class Visitors:
    """A server and those who are connected to it."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self._peers: list[Peer] = []

    def connect(self, source: str = "127.0.0.1") -> Peer:
        peer = Peer(self.server.address, source)
        self._peers.append(peer)
        return peer

    def user(self, name: bytes, window: int | None = None) -> tuple[Peer, Peer]:
        """The sending and the receiving connection of a new user, whose name may be about to be freed."""
        return self.side(Side.SENDING, name), self.side(Side.RECEIVING, name, window)

    def side(self, side: Side, name: bytes, window: int | None = None) -> Peer:
        """A connection that is registered as soon as the name is free."""
        granted = registered(side, name, window)
        for _ in patiently():
            peer = self.connect()
            peer.write(register(side, name, window))
            answer = peer.read(min(len(granted), len(MALFORMED_USERNAME)))
            if granted.startswith(answer):
                peer.expect(granted[len(answer) :])
                return peer
            assert MALFORMED_USERNAME.startswith(answer)
            peer.close()
        raise TimeoutError(f"{name!r} does not become free")

    def leave(self) -> None:
        """Everybody says goodbye and waits until the server has let them go: then all names are free."""
        here = [peer for peer in self._peers if peer.socket.fileno() >= 0]
        for peer in here:
            peer.socket.shutdown(socket.SHUT_WR)
        for peer in here:
            peer.rest()
        self._peers.clear()

    def close(self) -> None:
        """Let nothing be left open, whatever has happened."""
        for peer in self._peers:
            peer.close()


@contextmanager
def visiting(server: ServerProcess) -> Generator[Visitors]:
    """Those who use a server; if it still runs in the end, all names are free."""
    visitors = Visitors(server)
    with closing(visitors):
        yield visitors
        if server.running:
            visitors.leave()


@contextmanager
def serving(limits: ServerLimits, **options: str | int) -> Generator[ServerProcess]:
    """A server process, which is stopped in good order unless it has ended by then."""
    server = ServerProcess(limits, **options)
    try:
        yield server
    finally:
        server.stop()
        server.wait()


def patiently() -> Iterator[None]:
    """Try again and again, but not for ever, and with pauses that leave the processor to what is waited for."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        yield
        time.sleep(_PAUSE)
