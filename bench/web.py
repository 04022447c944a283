"""Measure what a WebSocket costs more than a TCP connection: memory while idle, and the server's CPU time a message."""

import argparse
import asyncio
import contextlib
import itertools
import statistics
import sys
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from pathlib import Path

from common import median_and_range, run, say, table
from peers import TWOTICK
from servers import Program, RunningServer, cores, free_port, pinned, raise_file_limit, running

IDLE = 2000
PAIRS = 20
MESSAGES = 1000
"""Messages of each pair in a run."""

RUNS = 5
_IN_FLIGHT = 16
_FIRST = 100
"""Users who are connected before memory is first measured, so that one-time allocations do not count."""

_BODY = bytes(64)
_SETTLE_SECONDS = 3.0
_MASK = b"\x11\x22\x33\x44"

KINDS = {"TCP": False, "WebSocket": True}
"""The kinds of connection, and whether they are WebSockets."""


@dataclass(frozen=True)
class Cost:
    """What connections of one kind cost.

    Attributes:
        kind: a key of KINDS.
        memory: bytes of an idle connection.
        cpu: the server's CPU time for a message and its answer, in microseconds, in each run.
    """

    kind: str
    memory: float
    cpu: list[float]


class User(asyncio.Protocol):
    """A connection that counts the frames that it gets. Frames of the protocol have no body that looks like one.

    Args:
        web: whether it is a WebSocket.
        mark: how the frames begin that are counted.
        on_frames: called with their number.
    """

    def __init__(self, web: bool, mark: bytes = b"REGISTERED", on_frames: Callable[[int], None] | None = None) -> None:
        self._web = web
        self._mark = mark
        self._on_frames = on_frames
        self.arrived = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Count."""
        self.arrived.set()
        if self._on_frames is not None:
            self._on_frames(data.count(self._mark))

    def watch(self, mark: bytes, on_frames: Callable[[int], None]) -> None:
        """Count other frames from now on."""
        self._mark = mark
        self._on_frames = on_frames

    def write(self, data: bytes) -> None:
        """Write bytes of the protocol."""
        self.transport.write(_message(data) if self._web else data)


def _message(data: bytes) -> bytes:
    length = len(data)
    head = bytes((0x82, 0x80 | length)) if length < 126 else bytes((0x82, 0xFE)) + length.to_bytes(2)
    mask = (_MASK * (length // 4 + 1))[:length]
    return head + _MASK + (int.from_bytes(data) ^ int.from_bytes(mask)).to_bytes(length)


async def _connect(port: int, web: bool, name: str) -> User:
    while True:
        try:
            _, user = await asyncio.get_running_loop().create_connection(lambda: User(web), "127.0.0.1", port)
            break
        except ConnectionRefusedError:  # the page's port is opened after the other
            await asyncio.sleep(0.1)
    if web:
        user.transport.write(
            b"GET /connect HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        await user.arrived.wait()
        user.arrived.clear()
    user.write(f"REGISTER DUPLEX {name}\nWindow: {_IN_FLIGHT}\n\n".encode())
    await asyncio.wait_for(user.arrived.wait(), 10)
    return user


@contextlib.asynccontextmanager
async def _users(port: int, web: bool, names: list[str]) -> AsyncGenerator[list[User]]:
    users = [await _connect(port, web, name) for name in names]
    try:
        yield users
    finally:
        for user in users:
            user.transport.abort()


async def _memory(server: RunningServer, port: int, web: bool) -> float:
    names = [f"idle{number}" for number in range(_FIRST + IDLE)]
    async with _users(port, web, names[:_FIRST]):
        await asyncio.sleep(_SETTLE_SECONDS)
        before = server.memory()
        async with _users(port, web, names[_FIRST:]):
            await asyncio.sleep(_SETTLE_SECONDS)
            return (server.memory() - before) / IDLE


async def _cpu(server: RunningServer, port: int, web: bool, run: int) -> float:
    """Let pairs send messages, each of which is answered; return the CPU time for one, in microseconds."""
    names = [f"{side}{run}x{number}" for number in range(PAIRS) for side in ("a", "b")]
    async with _users(port, web, names) as users:
        done = asyncio.Event()
        left = PAIRS

        def drive(sender: User, receiver: User, names: tuple[str, str]) -> None:
            numbers = itertools.count()
            answered = 0

            def send(count: int) -> None:
                for number in itertools.islice(numbers, count):
                    head = f"SEND {names[1]}\nContent-length: {len(_BODY)}\nId: {number}\n\n"
                    sender.write(head.encode() + _BODY)

            def on_answers(count: int) -> None:
                nonlocal answered, left
                answered += count
                send(min(count, max(0, MESSAGES - answered - _IN_FLIGHT + count)))
                if answered == MESSAGES:
                    left -= 1
                    if not left:
                        done.set()

            received = f"RECEIVED {names[0]}\n\n".encode()
            receiver.watch(b"FORWARD ", lambda count: receiver.write(received * count) if count else None)
            sender.watch(b"SEND ", on_answers)
            send(_IN_FLIGHT)

        before = server.cpu()
        for number in range(PAIRS):
            one, other = 2 * number, 2 * number + 1
            drive(users[one], users[other], (names[one], names[other]))
        await asyncio.wait_for(done.wait(), 120)
        return (server.cpu() - before) / (PAIRS * MESSAGES) * 1e6


def measure(runs: int = RUNS) -> list[Cost]:
    """Measure both kinds in turns, each idle figure on a server of its own."""
    server_core, load_core = cores()
    raise_file_limit(2 * (_FIRST + IDLE) + 200)
    web_port = free_port()

    def command(port: int, _: Path) -> list[str]:
        twotick = [sys.executable, "-m", "twotick", "serve", "--memory"]
        return [*twotick, "--port", str(port), "--web-port", str(web_port)]

    program = Program(TWOTICK.name, command, TWOTICK.version)
    memory: dict[str, float] = {}
    cpu: dict[str, list[float]] = {kind: [] for kind in KINDS}
    with pinned(load_core):
        for kind, web in KINDS.items():
            with running(program, server_core) as server:
                memory[kind] = asyncio.run(_memory(server, web_port if web else server.port, web))
        with running(program, server_core) as server:
            for number in range(runs + 1):  # the first run warms up
                for kind, web in KINDS.items():
                    used = asyncio.run(_cpu(server, web_port if web else server.port, web, number))
                    say(f"{kind}: {used:.1f} us a message")
                    cpu[kind] += [used] if number else []
    return [Cost(kind, memory[kind], cpu[kind]) for kind in KINDS]


def describe(costs: list[Cost]) -> str:
    """Return a Markdown table, and what a WebSocket costs more."""
    rows = [["", "KiB of an idle connection", "µs of CPU a message"]]
    rows += [[cost.kind, f"{cost.memory / 1024:.1f}", median_and_range(cost.cpu, ".1f")] for cost in costs]
    tcp, web = costs
    more = statistics.median(web.cpu) - statistics.median(tcp.cpu)
    return (
        f"{table(rows)}\n\nA message on a WebSocket costs {more:.1f} µs more. It passes four times: SEND, FORWARD,"
        f" RECEIVED and the answer. {PAIRS} pairs, {_IN_FLIGHT} messages of each in flight, bodies of {len(_BODY)}"
        f" bytes; {IDLE} idle connections."
    )


def report() -> str:
    """Measure, and return the part of the page."""
    return describe(measure())


def main() -> None:
    """Print the part of the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS)
    print(describe(measure(parser.parse_args().runs)))


if __name__ == "__main__":
    run(main)
