"""Send messages to Twotick with its data on SQLite and on PostgreSQL, and compare what that costs."""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from common import machine, median_and_range, run, say, table
from run_load import Figures, build, run_load, server_core
from servers import Program, RunningServer, running
from stored_peers import PEERS, SENDERS, make_members, postgres_program, postgres_version, start_postgres

from twotick.store import StoreLimits
from twotick.store.postgres.connection import PostgresConnection
from twotick.store.postgres.store import PostgresStore

IN_FLIGHT = (1, 16, 128)
RUNS = 3
SECONDS = 2
_WARM_UP = 2_000
_BYTES = 64


@dataclass(frozen=True)
class Cost:
    """What one run has cost.

    Attributes:
        load: the figures of the load; its CPU is that of all processes.
        database: PostgreSQL's CPU time for a message, in microseconds; 0 on SQLite.
    """

    load: Figures
    database: float


def command(port: int, folder: Path, script: Path = Path(__file__)) -> list[str]:
    """Return the command that starts PostgreSQL, makes the members, and becomes Twotick.

    Args:
        port: Twotick's port.
        folder: the folder for all data.
        script: makes the members when it is called with `--prepare` and the port of PostgreSQL.
    """
    database = folder / "postgres"
    own = int(folder.stat().st_ino) % 20_000 + 30_000  # a port that is probably free; else the server does not start
    start = start_postgres(own, folder)
    url = f"postgresql://bench@127.0.0.1:{own}/twotick"
    prepare = f"{sys.executable} {script.resolve()} --prepare {own}"
    ready = f"until {postgres_program('pg_isready')} -q -h 127.0.0.1 -p {own}; do sleep 0.1; done"
    serve = f"{sys.executable} -m twotick serve --no-web --port {port} --database {url}"
    return [
        "sh",
        "-c",
        f"{' '.join(start)} 2>{database}.log & {ready}; {prepare} && TWOTICK_DATA={folder}/data exec {serve}",
    ]


def prepare(port: int, make: Callable[[PostgresStore], None] = make_members) -> None:
    """Make a database with the members."""
    server = f"postgresql://bench@127.0.0.1:{port}"
    with closing(PostgresConnection(f"{server}/postgres")) as connection:
        connection.script("CREATE DATABASE twotick ENCODING 'UTF8' LOCALE 'C' TEMPLATE template0")
    with closing(PostgresStore(f"{server}/twotick", StoreLimits())) as store:
        make(store)


ON_POSTGRES = Program("on PostgreSQL", command, postgres_version, "postgresql")
_ON_SQLITE = PEERS["twotick"].program


def _measure(server: RunningServer, in_flight: int) -> Cost:
    os.sync()
    send = partial(run_load, server, "stored", pairs=SENDERS, warm_up=_WARM_UP, seconds=SECONDS)
    all_before, own_before = server.cpu(), server.own_cpu()
    figures = send(window=in_flight, bytes=_BYTES)
    all_used, own_used = server.cpu() - all_before, server.own_cpu() - own_before
    share = (all_used - own_used) / all_used if all_used else 0.0
    return Cost(figures, figures.cpu * share)


def measure(in_flight: Sequence[int] = IN_FLIGHT, runs: int = RUNS) -> dict[int, dict[str, list[Cost]]]:
    """Let both take turns, each in a folder of its own."""
    build()
    found: dict[int, dict[str, list[Cost]]] = {each: {} for each in in_flight}
    for number in range(runs):
        for name, program in ("SQLite", _ON_SQLITE), ("PostgreSQL", ON_POSTGRES):
            say(f"on PostgreSQL, run {number + 1} of {runs}: {name}")
            with running(program, server_core()) as server:
                for each in in_flight:
                    found[each].setdefault(name, []).append(_measure(server, each))
    return found


def describe(found: dict[int, dict[str, list[Cost]]]) -> str:
    """Return a Markdown table."""
    rows: list[Sequence[str]] = [
        (
            "in flight",
            "data on",
            "accepted/s",
            "CPU, µs",
            "to SQLite",
            "server, µs",
            "PostgreSQL, µs",
            "p50, ms",
            "p99, ms",
        )
    ]
    for in_flight, by_store in found.items():
        least = statistics.median(each.load.cpu for each in by_store["SQLite"])
        for name, costs in by_store.items():
            cpu = statistics.median(each.load.cpu for each in costs)
            database = statistics.median(each.database for each in costs)
            rows.append(
                (
                    str(in_flight),
                    name,
                    median_and_range([each.load.rate for each in costs], ",.0f"),
                    median_and_range([each.load.cpu for each in costs], ".1f"),
                    f"{cpu / least:.2f}",
                    f"{cpu - database:.1f}",
                    f"{database:.1f}" if database else "-",
                    f"{statistics.median(each.load.p50 for each in costs) / 1000:.1f}",
                    f"{statistics.median(each.load.p99 for each in costs) / 1000:.1f}",
                )
            )
    return table(rows)


def report() -> str:
    """Measure and return it as Markdown."""
    return describe(measure())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--in-flight", nargs="+", type=int, default=IN_FLIGHT, metavar="MESSAGES")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--prepare", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.prepare:
        prepare(options.prepare)
        return
    began = time.monotonic()
    print(machine((ON_POSTGRES,)), describe(measure(options.in_flight, options.runs)), sep="\n\n")
    say(f"after {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    run(main)
