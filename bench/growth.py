"""Measure how the cost of a message grows with the number of connected users and of stored messages."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from common import machine, median_and_range, run, say, table
from peers import TWOTICK
from run_load import Figures, build, medians, run_load, server_core
from servers import raise_file_limit, running
from stored_peers import PEERS, SENDERS

RUNS = 3
USERS = (10, 1_000, 7_000)
STORED = (10_000, 100_000, 500_000)

_RATE = 20_000
_RATE_SECONDS = 2
_FILES_OF_USER = 2
_SPARE_FILES = 100
_STORED_SENDS = 20_000
_IN_FLIGHT = 16
_IN_FLIGHT_TO_FILL = 128


@dataclass(frozen=True)
class Point:
    """Figures of the runs with one amount."""

    amount: int
    runs: list[Figures]


Measured = dict[str, list[Point]]
"""Points by what grows: "users" or "stored"."""


def measure_users(amounts: Sequence[int] = USERS, runs: int = RUNS) -> list[Point]:
    """Measure deliveries among more and more connected guests, all of whom take their turn.

    The rate is fixed and leaves the server time. If instead each user always had a message in flight, a server with
    more users would do more work in each turn of its event loop, which makes each delivery cheaper and hides the users.
    """
    raise_file_limit(_FILES_OF_USER * max(amounts) + _SPARE_FILES)
    points: list[Point] = []
    for amount in amounts:
        say(f"growth: {amount:,} users")
        work = {"pairs": amount // 2, "window": 256, "rate": _RATE, "warm_up": _RATE // 2}
        with running(TWOTICK, server_core()) as server:
            every = [run_load(server, "window", **work, deliveries=_RATE * _RATE_SECONDS) for _ in range(runs)]
        points.append(Point(amount, every))
    return points


def measure_stored(amounts: Sequence[int] = STORED, runs: int = RUNS) -> list[Point]:
    """Measure stored messages in a server that holds more and more of them, all unread."""
    peer = PEERS["twotick"]
    work = {"pairs": SENDERS, "window": _IN_FLIGHT}
    points: list[Point] = []
    stored = 0
    with running(peer.program, server_core()) as server:
        for amount in sorted(amounts):
            say(f"growth: {amount:,} stored messages")
            if stored < amount:
                fill: Mapping[str, int] = {**work, "window": _IN_FLIGHT_TO_FILL, "deliveries": amount - stored}
                run_load(server, peer.protocol, **fill)
            every = [run_load(server, peer.protocol, **work, deliveries=_STORED_SENDS) for _ in range(runs)]
            stored = max(stored, amount) + runs * _STORED_SENDS
            points.append(Point(amount, every))
    return points


def measure(of: Sequence[str] = ("users", "stored"), runs: int = RUNS, most: int | None = None) -> Measured:
    """Measure.

    Args:
        of: what grows: "users", "stored" or both.
        runs: number of runs for each amount.
        most: leaves out larger amounts.
    """
    build()
    users, stored = ([amount for amount in every if not most or amount <= most] for every in (USERS, STORED))
    measured: Measured = {}
    if "users" in of:
        measured["users"] = measure_users(users, runs)
    if "stored" in of:
        measured["stored"] = measure_stored(stored, runs)
    return measured


_TITLES = {
    "users": ("connected users", f"at {_RATE:,} deliveries a second among all of them"),
    "stored": ("stored messages", f"while {SENDERS} senders with {_IN_FLIGHT} in flight each send more"),
}


def describe(measured: Measured) -> str:
    """Return Markdown tables."""
    parts: list[str] = []
    for name, points in measured.items():
        what, how = _TITLES[name]
        rows: list[Sequence[str]] = [(what, "server CPU of a message, µs", "to the first", "p99, µs", "load's CPU")]
        first = medians(points[0].runs)
        for point in points:
            each = medians(point.runs)
            cpu = median_and_range([figures.cpu for figures in point.runs], ".2f")
            ratio = f"{each.cpu / first.cpu:.2f}"
            rows.append((f"{point.amount:,}", cpu, ratio, f"{each.p99:,.0f}", f"{each.load_share:.0%}"))
        parts += [f"**By {what}**, {how}", table(rows)]
    return "\n\n".join(parts)


def report() -> str:
    """Measure everything and return it as Markdown."""
    return describe(measure())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--of", nargs="+", choices=tuple(_TITLES), default=tuple(_TITLES), help="what grows")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--most", type=int, help="leave out larger amounts")
    options = parser.parse_args()
    print(machine(()), describe(measure(options.of, options.runs, options.most)), sep="\n\n")


if __name__ == "__main__":
    run(main)
