"""Let two servers share one PostgreSQL, and compare that with one server there.

    python bench/several.py

The members of the two servers are others, so the servers do not wait for each other's locks. A message across servers
goes from a device at one to a device at the other. All runs take turns.
"""

import argparse
import asyncio
import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg  # pyright: ignore[reportMissingTypeStubs]
from common import machine, median_and_range, run, say, table
from on_postgres import ON_POSTGRES
from peers import NATS, TWOTICK
from run_load import build, run_load, server_core
from servers import MeasurementError, Program, RunningServer, free_port, running, stop, wait_until_accepting
from stored_peers import SENDERS, make_members, start_postgres

import twotick
from twotick.store import StoreLimits
from twotick.store.postgres.connection import PostgresConnection
from twotick.store.postgres.store import PostgresStore

RUNS = 3
SECONDS = 2
MESSAGES = 500
_WARM_UP = 2_000
_WINDOW = 128
_TRIES = 100


@dataclass(frozen=True)
class Place:
    """Servers on one database.

    Attributes:
        servers: the servers.
        database: PostgreSQL.
    """

    servers: list[RunningServer]
    database: RunningServer

    def cpu(self) -> float:
        """Return the CPU time that all have used so far, in seconds."""
        return sum(each.cpu() for each in (*self.servers, self.database))


@dataclass(frozen=True)
class Cost:
    """What one run has cost.

    Attributes:
        rate: accepted messages a second, in all.
        cpu: the CPU time of all servers and of PostgreSQL for a message, in microseconds.
        database: PostgreSQL's share of it.
    """

    rate: float
    cpu: float
    database: float


@contextlib.contextmanager
def _postgres(core: int) -> Generator[tuple[RunningServer, str]]:
    """Run a PostgreSQL with members for two servers, and yield it with the address of the database."""
    with TemporaryDirectory(prefix="twotick-bench-") as name:
        folder, port = Path(name), free_port()
        log = folder / "postgres.log"
        command = ["taskset", "--cpu-list", str(core), *start_postgres(port, folder)]
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
        try:
            wait_until_accepting("PostgreSQL", process, port, log)
            server = f"postgresql://bench@127.0.0.1:{port}"
            with closing(_connected(f"{server}/postgres")) as connection:
                connection.script("CREATE DATABASE twotick ENCODING 'UTF8' LOCALE 'C' TEMPLATE template0")
            with closing(PostgresStore(f"{server}/twotick", StoreLimits())) as store:
                make_members(store, 2 * SENDERS)
            yield RunningServer(process.pid, port), f"{server}/twotick"
        finally:
            stop(process)


def _connected(url: str) -> PostgresConnection:
    for _ in range(_TRIES):
        with contextlib.suppress(OSError, asyncpg.PostgresError):  # it is starting
            return PostgresConnection(url)
        time.sleep(0.1)
    raise MeasurementError("PostgreSQL does not start")


@contextlib.contextmanager
def place(count: int) -> Generator[Place]:
    """Run so many servers on one PostgreSQL, with NATS between them if there are several."""
    core = server_core()
    with ExitStack() as stack:
        database, url = stack.enter_context(_postgres(core))
        options = ["--database", url]
        if count > 1:
            options += ["--bus", f"nats://127.0.0.1:{stack.enter_context(running(NATS, core)).port}"]

        def command(port: int, _: Path) -> list[str]:
            return [sys.executable, "-m", "twotick", "serve", "--no-web", "--port", str(port), *options]

        program = Program(TWOTICK.name, command, TWOTICK.version, environment=_environment)
        yield Place([stack.enter_context(running(program, core)) for _ in range(count)], database)


def _environment(folder: Path) -> dict[str, str]:
    return {"TWOTICK_DATA": str(folder / "data")}


def _send(count: int) -> Cost:
    """Let so many servers accept messages at once."""
    with place(count) as found, ThreadPoolExecutor(count) as threads:
        os.sync()
        size = {"window": _WINDOW // count, "bytes": 64, "pairs": SENDERS}
        send = partial(run_load, protocol="stored", warm_up=_WARM_UP // count, seconds=SECONDS, **size)
        before, own = found.cpu(), found.database.cpu()
        runs = [threads.submit(send, each, first=SENDERS * at) for at, each in enumerate(found.servers)]
        figures = [each.result() for each in runs]
        used, own = found.cpu() - before, found.database.cpu() - own
        rate = sum(each.rate for each in figures)
        cpu = sum(each.cpu * each.rate for each in figures) / rate  # of the servers alone
        servers = used - own
        return Cost(rate, cpu * used / servers, cpu * own / servers)


async def _deliver(first: RunningServer, second: RunningServer, messages: int) -> list[float]:
    """Send messages, and return how long each took until the recipient's program had it, in ms.

    Each is sent when the one before it was acknowledged: else it would wait for the transaction of that, too.
    """
    took: list[float] = []

    def at(server: RunningServer) -> str:
        return f"127.0.0.1:{server.port}"

    async with (
        twotick.join("s0", at(first), token="tt_s0") as alice,
        twotick.join("r0", at(second), token="tt_r0") as bob,
    ):

        async def read() -> None:
            incoming = aiter(bob)
            while True:
                await anext(incoming)
                took.append((time.perf_counter() - began) * 1e3)

        began = time.perf_counter()
        reading = asyncio.create_task(read())
        for number in range(messages + messages // 10):
            began = time.perf_counter()
            receipt = await alice.send("r0", f"{number:064}")
            await receipt.delivered()
        reading.cancel()
    return took[messages // 10 :]


def measure(runs: int = RUNS, messages: int = MESSAGES) -> tuple[dict[int, list[Cost]], dict[int, list[list[float]]]]:
    """Let one server and two take turns, and return what sends cost, and how long deliveries take."""
    build()
    costs: dict[int, list[Cost]] = {1: [], 2: []}
    times: dict[int, list[list[float]]] = {1: [], 2: []}
    for number in range(runs):
        for count in costs:
            say(f"several servers, run {number + 1} of {runs}: {count}")
            costs[count].append(_send(count))
            with place(count) as found:
                times[count].append(asyncio.run(_deliver(found.servers[0], found.servers[-1], messages)))
    return costs, times


def describe(costs: dict[int, list[Cost]], times: dict[int, list[list[float]]]) -> str:
    """Return two Markdown tables: what sends cost, and how long deliveries take."""
    sends: list[Sequence[str]] = [("servers", "accepted/s", "CPU, µs", "to one", "servers, µs", "PostgreSQL, µs")]
    one = statistics.median(each.cpu for each in costs[1])
    for count, runs in costs.items():
        cpu, database = (
            statistics.median(values) for values in zip(*((each.cpu, each.database) for each in runs), strict=True)
        )
        rate, spread = ([each.rate for each in runs], [each.cpu for each in runs])
        row = (str(count), median_and_range(rate, ",.0f"), median_and_range(spread, ".1f"), f"{cpu / one:.2f}")
        sends.append((*row, f"{cpu - database:.1f}", f"{database:.1f}"))
    deliveries: list[Sequence[str]] = [("sender and recipient at", "p50, ms", "p99, ms")]
    for count, of_runs in times.items():
        middle = [statistics.median(each) for each in of_runs]
        slow = [statistics.quantiles(each, n=100)[98] for each in of_runs]
        where = "one server" if count == 1 else "two servers"
        deliveries.append((where, median_and_range(middle, ".2f"), median_and_range(slow, ".2f")))
    return f"{table(sends)}\n\n{table(deliveries)}"


def report() -> str:
    """Measure and return it as Markdown."""
    return describe(*measure())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--messages", type=int, default=MESSAGES, help="how many are delivered in each run")
    options = parser.parse_args()
    print(machine((ON_POSTGRES, NATS)), describe(*measure(options.runs, options.messages)), sep="\n\n")


if __name__ == "__main__":
    run(main)
