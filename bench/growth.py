"""Measures how the cost of a delivery grows: with users, bytes, stored messages, and receivers of one message."""

import argparse
import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bare import system_calls
from common import machine, median_and_range, run, say, table
from fill import fill
from peers import TWOTICK
from run_load import Figures, build, medians, run_load, server_core
from servers import Program, raise_file_limit, running
from stored_peers import PEERS, SENDERS

RUNS = 5
_RATE = 20_000
_RATE_SECONDS = 2
_BYTES_IN_ALL = 400 << 20
_STORED = PEERS["twotick"]
_STORED_SENDS = 20_000
_STORED_WARM_UP = 1_000
_SPARE_FILES = 100

_SAME = 0.03
"""The share by which what there is may grow during a run without making a difference."""

_FLAT = 1.25
"""Costs whose largest is less than so many times the least are called flat."""

_STRAIGHT = 0.25
"""Costs that are this close to a straight line are called linear."""


@dataclass(frozen=True)
class Subject:
    """Something of which there may be more.

    Attributes:
        title: what grows, and what is measured meanwhile.
        unit: what there is more of, in the singular.
        cost: what the server's CPU time is counted for.
        amounts: how many of them.
        work: the options of the load, for an amount.
        program: the server that is to do it, for an amount.
        protocol: of the load.
        files: that the load and the server each have to open, for each of them.
        added: how many there are more of after a run.
        bare: what the system calls alone take for an amount, in microseconds of CPU time, if that can be told; measured
            so many times.
    """

    title: str
    unit: str
    cost: str
    amounts: Sequence[int]
    work: Callable[[int], Mapping[str, int]]
    program: Callable[[int], Program] = lambda _amount: TWOTICK
    protocol: str = "window"
    files: int = 0
    added: int = 0
    bare: Callable[[int, int], float] | None = None


# All users have their turn, at a rate that leaves the server time. If each had a message on the way all the time, then
# with more users more would be done in a turn of the server, which makes each delivery cheaper, and hides the users.
def _among_users(users: int) -> dict[str, int]:
    return {
        "pairs": users // 2,
        "window": 256,
        "rate": _RATE,
        "deliveries": _RATE * _RATE_SECONDS,
        "warm_up": _RATE // 2,
    }


def _with_bytes(size: int) -> dict[str, int]:
    deliveries = min(100_000, _BYTES_IN_ALL // size)
    return {"pairs": 10, "bytes": size, "deliveries": deliveries, "warm_up": deliveries // 10}


def _to_receivers(receivers: int) -> dict[str, int]:
    # One message is a delivery for each receiver.
    return {"receivers": receivers, "deliveries": max(20, 50_000 // receivers), "warm_up": 2}


def _stored_send(_stored: int) -> dict[str, int]:
    return {"pairs": SENDERS, "window": 16, "deliveries": _STORED_SENDS, "warm_up": _STORED_WARM_UP}


def _with_stored(stored: int) -> Program:
    def command(port: int, folder: Path) -> list[str]:
        words = _STORED.program.command(port, folder)
        fill(folder / "data", stored)
        return words

    return dataclasses.replace(_STORED.program, command=command)


SUBJECTS = {
    "users": Subject(
        title=f"connected users, all of whom have their turn at {_RATE:,} deliveries a second",
        unit="user",
        cost="delivery",
        amounts=(10, 100, 1000, 3000, 9000),
        work=_among_users,
        files=2,
    ),
    "bytes": Subject(
        title="bytes of a body, 10 senders with one in flight each",
        unit="byte",
        cost="delivery",
        amounts=(16, 256, 1024, 4096, 16384, 65536, 262144, 1048576),
        work=_with_bytes,
        bare=system_calls,
    ),
    "stored": Subject(
        title=f"messages stored already, when {SENDERS} senders with 16 in flight each send more",
        unit="stored message",
        cost="accepted message",
        amounts=(1_000, 10_000, 100_000, 1_000_000, 10_000_000),
        work=_stored_send,
        program=_with_stored,
        protocol=_STORED.protocol,
        added=_STORED_WARM_UP + _STORED_SENDS,
    ),
    "receivers": Subject(
        title="receivers of `SEND ALL`, one message after the other",
        unit="receiver",
        cost="receiver",
        amounts=(10, 100, 1000, 3000, 9000),
        work=_to_receivers,
        files=2,
    ),
}


@dataclass(frozen=True)
class Point:
    """What was measured with one amount: by the load, and what the system calls alone take."""

    amount: int
    runs: list[Figures]
    bare: float | None

    @property
    def cpu(self) -> float:
        """The server's CPU time for each delivery, in microseconds: the median of the runs."""
        return medians(self.runs).cpu


Measured = dict[str, list[Point]]
"""What was measured, by the keys of SUBJECTS."""


def measure(names: Sequence[str] = tuple(SUBJECTS), runs: int = RUNS, most: int | None = None) -> Measured:
    """Measure.

    Args:
        names: keys of SUBJECTS.
        runs: how often, with each amount.
        most: the largest amount, if not that of the subject.
    """
    build()
    return {name: _measure_subject(SUBJECTS[name], runs, most or max(SUBJECTS[name].amounts)) for name in names}


def _measure_subject(subject: Subject, runs: int, most: int) -> list[Point]:
    amounts = [amount for amount in subject.amounts if amount <= most]
    raise_file_limit(subject.files * amounts[-1] + _SPARE_FILES)
    points: list[Point] = []
    for amount in amounts:
        say(f"growth: {amount:,} {subject.unit}s")
        figures: list[Figures] = []
        while len(figures) < runs:
            # A server that one run would leave with more than it is measured with has one run only.
            again = runs - len(figures) if subject.added <= amount * _SAME else 1
            with running(subject.program(amount), server_core()) as server:
                figures += [run_load(server, subject.protocol, **subject.work(amount)) for _ in range(again)]
        points.append(Point(amount, figures, subject.bare(amount, runs) if subject.bare else None))
    return points


def _line(points: Sequence[Point], of: Callable[[float], float]) -> tuple[float, float, float]:
    """Draw a straight line through the medians, by least squares of the relative errors: costs differ by magnitudes.

    Args:
        points: what was measured.
        of: what the cost is proportional to, for an amount.

    Returns:
        Where the line begins, its slope, both in microseconds, and the largest relative error.
    """
    known = [(of(point.amount), point.cpu) for point in points]
    weights = [1 / cpu**2 for _, cpu in known]
    middle_x = sum(weight * x for weight, (x, _) in zip(weights, known, strict=True)) / sum(weights)
    middle_y = sum(weight * y for weight, (_, y) in zip(weights, known, strict=True)) / sum(weights)
    both = sum(weight * (x - middle_x) * (y - middle_y) for weight, (x, y) in zip(weights, known, strict=True))
    slope = both / sum(weight * (x - middle_x) ** 2 for weight, (x, _) in zip(weights, known, strict=True))
    base = middle_y - slope * middle_x
    return base, slope, max(abs(base + slope * x - y) / y for x, y in known)


def slope(subject: Subject, points: Sequence[Point]) -> str:
    """Say in words how the cost grows."""
    least, largest = min(point.cpu for point in points), max(point.cpu for point in points)
    if largest / least < _FLAT:
        return f"flat within {largest / least - 1:.0%}"
    base, each, error = _line(points, float)
    log_base, tenfold, log_error = _line(points, math.log10)
    if log_error < min(error, _STRAIGHT):
        return f"logarithmic: {log_base:.1f} µs, and {tenfold:.1f} µs for ten times as many"
    if error < _STRAIGHT:
        return f"linear: {base:.1f} µs, and {1000 * each:.2g} ns for each {subject.unit}"
    *_, last, most = points
    each = (most.cpu - last.cpu) / (most.amount - last.amount)
    return f"no straight line; {1000 * each:.2g} ns for each {subject.unit} from {last.amount:,} on"


def describe(measured: Measured) -> str:
    """Describe what was measured in Markdown."""
    parts: list[str] = []
    for name, points in measured.items():
        subject = SUBJECTS[name]
        head = [f"{subject.unit}s", f"server CPU for each {subject.cost}, µs", "load's CPU"]
        rows: list[Sequence[str]] = [head + ["system calls alone, µs"] * (subject.bare is not None)]
        for point in points:
            cpu = median_and_range([figures.cpu for figures in point.runs], ".2f")
            bare = [] if point.bare is None else [f"{point.bare:.2f}"]
            rows.append((f"{point.amount:,}", cpu, f"{medians(point.runs).load_share:.0%}", *bare))
        parts += [f"**By {subject.title}**", table(rows), f"The cost is {slope(subject, points)}."]
    return "\n\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--of", nargs="+", choices=SUBJECTS, default=tuple(SUBJECTS), help="what grows")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--most", type=int, help="do not go beyond this number of what grows")
    options = parser.parse_args()
    print(machine(()), describe(measure(options.of, options.runs, options.most)), sep="\n\n")


if __name__ == "__main__":
    run(main)
