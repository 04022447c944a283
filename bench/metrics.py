"""What metrics cost a server: each scrape, and counting each message.

    python -m bench.metrics

It starts a server, lets two members send each other messages, and reads the server's own CPU time from its metrics.
A scrape costs the same whatever the server does, so it is given as a share of one CPU with one scrape in 15 s, as
Prometheus does it by default. Counting is measured by itself, and compared with the CPU time of a message.
"""

import asyncio
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from timeit import timeit

import twotick
from twotick import admin
from twotick.exchange import Histogram
from twotick.store import StoreLimits

MESSAGES = 5000
SCRAPES = 200
EVERY = 15.0
"""Messages and scrapes that are measured, and the seconds between two scrapes."""

LIMIT = 1.0
"""The most percent of the CPU that metrics may cost."""


def _read(url: str, name: str) -> float:
    with urllib.request.urlopen(url) as found:
        values = re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", found.read().decode(), re.MULTILINE)
    return sum(map(float, values))


async def _talk(server: str, tokens: dict[str, str]) -> None:
    async with (
        twotick.join("alice", server, token=tokens["alice"]) as alice,
        twotick.join("bob", server, token=tokens["bob"]) as bob,
    ):

        async def take() -> None:
            left = MESSAGES
            async for _ in bob:
                left -= 1
                if not left:
                    return

        taking = asyncio.create_task(take())
        for _ in range(0, MESSAGES, 100):
            await asyncio.gather(*(alice.send("bob", "hello") for _ in range(100)))
        await taking


def _counting() -> float:
    """Return the seconds that counting a message takes: two counts, and one time in a histogram."""
    histogram, count = Histogram(), 0

    class Counts:
        accepted = delivered = 0

    counts = Counts()

    def note() -> None:
        counts.accepted += 1
        counts.delivered += 1
        histogram.note(time.time() - 1764000000.0)

    count = 200_000
    return timeit(note, number=count) / count


def main() -> int:
    """Measure, print, and return whether metrics cost too much."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        with admin.opened(admin.DataFolder(data), StoreLimits(), create=True) as store:
            for name in ("alice", "bob"):
                admin.add(store, name, b"correct horse")
            tokens = {name: admin.new_token(store, name, "bench") for name in ("alice", "bob")}
        command = [sys.executable, "-m", "twotick", "serve", "--port", "0", "--no-web", "--data", folder]
        environment = {**os.environ, "TWOTICK_METRICS_PORT": "0"}
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as server:
            try:
                assert server.stdout
                address = server.stdout.readline().split()[-1]
                url = server.stdout.readline().split()[-1]
                before = _read(url, "process_cpu_seconds_total")
                asyncio.run(_talk(address, tokens))
                message = (_read(url, "process_cpu_seconds_total") - before) / MESSAGES
                before = _read(url, "process_cpu_seconds_total")
                for _ in range(SCRAPES):
                    _read(url, "process_cpu_seconds_total")
                scrape = (_read(url, "process_cpu_seconds_total") - before) / SCRAPES
            finally:
                server.kill()
    scraping, counting = scrape / EVERY * 100, _counting() / message * 100
    print(f"a scrape: {scrape * 1000:.2f} ms of CPU, {scraping:.3f} % of one CPU with one in {EVERY:.0f} s")
    print(f"a message: {message * 1e6:.1f} us of CPU, of which counting {counting:.2f} %")
    print(f"together at most {scraping + counting:.2f} %; the limit is {LIMIT} %")
    return scraping + counting > LIMIT


if __name__ == "__main__":
    sys.exit(main())
