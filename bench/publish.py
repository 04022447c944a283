"""Publish messages by HTTP at a steady rate, and see how long programs wait for their answers."""

import argparse
import asyncio
import statistics
import subprocess
import sys
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from common import median_and_range, run, say, table
from peers import TWOTICK
from servers import MeasurementError, Program, RunningServer, cores, free_port, pinned, running

from twotick.store import AddMember, SqliteStore, StoreLimits

RATES = (500, 1000)
"""Posts a second."""

RUNS = 5
SECONDS = 4
_CONNECTIONS = 20
_BOTS = 4
"""Each of them may fill a quarter of a mailbox."""

_BODY = b"disk full on db1: 97 % of /var, and it grows by 1 GiB an hour".ljust(64, b".")
_TWOTICK = [sys.executable, "-m", "twotick"]


@dataclass(frozen=True)
class Published:
    """One run.

    Attributes:
        cpu: the server's CPU time for a post, in microseconds.
        waits: how long each post waited for its answer since it was due, in milliseconds, in order.
    """

    cpu: float
    waits: list[float]

    def quantile(self, part: float) -> float:
        """Return the wait, in milliseconds, that this part of the posts did not exceed."""
        return self.waits[min(int(len(self.waits) * part), len(self.waits) - 1)]


class Poster(asyncio.Protocol):
    """A connection on which one post after the other is due, whether or not the last one was answered.

    Args:
        token: the token of the bot that posts.
    """

    def __init__(self, token: str) -> None:
        self._request = (
            f"POST /bob HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nTitle: Disk\r\n"
            f"Content-Length: {len(_BODY)}\r\n\r\n"
        ).encode() + _BODY
        self._due: deque[float] = deque()
        self.waits: list[float] = []
        self.answered = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def post(self, due: float) -> None:
        """Post a message that was due at this time of the loop."""
        self._due.append(due)
        self.answered.clear()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Take answers."""
        now = asyncio.get_running_loop().time()
        count = data.count(b"HTTP/1.1 ")
        if count != data.count(b"HTTP/1.1 200"):
            raise MeasurementError(f"the server has answered {data[:200]!r}")
        self.waits += [(now - self._due.popleft()) * 1000 for _ in range(count)]
        if not self._due:
            self.answered.set()


async def _connect(port: int, token: str) -> tuple[asyncio.Transport, Poster]:
    while True:
        try:
            return await asyncio.get_running_loop().create_connection(lambda: Poster(token), "127.0.0.1", port)
        except ConnectionRefusedError:  # the page's port is opened after the other
            await asyncio.sleep(0.1)


async def _publish(server: RunningServer, port: int, tokens: list[str], rate: int, seconds: int) -> Published:
    loop = asyncio.get_running_loop()
    failed: asyncio.Future[None] = loop.create_future()

    def note(_: object, context: dict[str, object]) -> None:
        if not failed.done():
            failed.set_exception(MeasurementError(str(context.get("exception"))))

    loop.set_exception_handler(note)
    made = [await _connect(port, tokens[number % len(tokens)]) for number in range(_CONNECTIONS)]
    posters = [poster for _, poster in made]
    before = server.cpu()
    began = loop.time()
    for number in range(rate * seconds):
        due = began + number / rate
        if (wait := due - loop.time()) > 0:
            await asyncio.sleep(wait)
        posters[number % _CONNECTIONS].post(due)
    answers = asyncio.gather(*(poster.answered.wait() for poster in posters))
    await asyncio.wait([answers, failed], timeout=60, return_when=asyncio.FIRST_COMPLETED)
    if failed.done():
        failed.result()
    used = (server.cpu() - before) / (rate * seconds) * 1e6
    for transport, _ in made:
        transport.abort()
    return Published(used, sorted(wait for poster in posters for wait in poster.waits))


def measure(runs: int = RUNS, seconds: int = SECONDS) -> dict[int, list[Published]]:
    """Measure each rate, each run on a server of its own; return the runs by rate."""
    server_core, load_core = cores()
    web_port = free_port()
    tokens: list[str] = []

    def command(port: int, folder: Path) -> list[str]:
        store = SqliteStore(folder, StoreLimits())
        store.apply([AddMember("bob", "", 0.0)])
        store.close()
        for number in range(_BOTS):
            made = [*_TWOTICK, "bot", "add", f"alerts{number}", "--to", "bob", "--data", str(folder)]
            tokens.append(subprocess.run(made, check=True, capture_output=True, text=True).stdout.split()[-1])
        return [*_TWOTICK, "serve", "--data", str(folder), "--port", str(port), "--web-port", str(web_port)]

    program = Program(TWOTICK.name, command, TWOTICK.version)
    found: dict[int, list[Published]] = {rate: [] for rate in RATES}
    with pinned(load_core):
        for number in range(runs):
            for rate, published in found.items():
                tokens.clear()
                with running(program, server_core) as server:
                    one = asyncio.run(_publish(server, web_port, tokens, rate, seconds))
                say(f"run {number + 1}, {rate}/s: p50 {one.quantile(0.5):.1f} ms, {one.cpu:.0f} us a post")
                published.append(one)
    return found


def describe(found: dict[int, list[Published]], seconds: int = SECONDS) -> str:
    """Return a Markdown table."""
    rows = [["posts/s", "server CPU, µs a post", "p50, ms", "p99, ms", "longest, ms"]]
    for rate, runs in found.items():
        rows.append(
            [
                f"{rate:,}",
                median_and_range([each.cpu for each in runs], ".0f"),
                median_and_range([each.quantile(0.5) for each in runs], ".1f"),
                median_and_range([each.quantile(0.99) for each in runs], ".1f"),
                f"{statistics.median(each.waits[-1] for each in runs):.1f}",
            ]
        )
    runs = len(next(iter(found.values())))
    return (
        f"{table(rows)}\n\nEach post was stored before it was answered. {_CONNECTIONS} connections of {_BOTS} bots,"
        f" bodies of {len(_BODY)} bytes, {runs} runs of {seconds} s. The time counts from when a post was due, so posts"
        " that wait behind others count in full."
    )


def report() -> str:
    """Measure, and return the part of the page."""
    return describe(measure())


def main() -> None:
    """Print the part of the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--seconds", type=int, default=SECONDS, help="of each run")
    options = parser.parse_args()
    print(describe(measure(options.runs, options.seconds), options.seconds))


if __name__ == "__main__":
    run(main)
