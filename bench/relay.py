"""Delivers the same messages through Twotick and through other servers, and compares what it costs them."""

import argparse
import dataclasses
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from common import machine, median_and_range, run, say, table
from peers import EJABBERD, MOSQUITTO, NATS, NGIRCD, PROSODY, REDIS, TWOTICK
from run_load import Figures, build, medians, run_load, server_core
from servers import MeasurementError, Program, running


@dataclass(frozen=True)
class Row:
    """One server in one role.

    Attributes:
        label: what it is called in tables.
        program: the server.
        protocol: in which the load speaks to it.
        longest: the longest body that it carries, in bytes.
    """

    label: str
    program: Program
    protocol: str
    longest: int = 1 << 20


def _open_to_members(_folder: Path) -> dict[str, str]:
    return {"TWOTICK_SIGN_UP": "open"}


_TWOTICK_WITH_MEMBERS = dataclasses.replace(TWOTICK, environment=_open_to_members)

ROWS: dict[str, Row] = {
    "twotick": Row("Twotick", TWOTICK, "window"),
    "classic": Row("Twotick, classic profile", TWOTICK, "classic"),
    "identified": Row("Twotick, guests with Ids", TWOTICK, "identified"),
    "member": Row("Twotick, members", _TWOTICK_WITH_MEMBERS, "member"),
    "nats": Row("nats-server", NATS, "nats"),
    "ngircd": Row("ngircd", NGIRCD, "irc", longest=350),
    "mosquitto": Row("mosquitto", MOSQUITTO, "mqtt"),
    "redis": Row("Redis", REDIS, "redis"),
    "prosody": Row("Prosody", PROSODY, "xmpp"),
    "ejabberd": Row("ejabberd", EJABBERD, "xmpp"),
}
"""What is compared, by its name on the command line. The first is the measure."""

MEASURE = "twotick"
SIZES = (64, 1024, 65536)
IN_FLIGHT = (1, 16, 128)
RUNS = 5
SECONDS = 1
_PAIRS = 50
_PAIRS_OF_LARGE = 10
_LARGE = 16384
_MANY = 100
"""Microseconds from which hundredths say nothing."""

_WARM_UP = 1000


@dataclass(frozen=True)
class Work:
    """What is measured of every server.

    Attributes:
        size: of each body, in bytes.
        in_flight: messages that each sender has on the way.
    """

    size: int
    in_flight: int

    @property
    def pairs(self) -> int:
        """Senders, each with a receiver: fewer with large bodies, of which all together would be 400 MiB in flight."""
        return _PAIRS_OF_LARGE if self.size > _LARGE else _PAIRS

    @property
    def warm_up(self) -> int:
        """Deliveries that are not measured."""
        return max(_WARM_UP, self.pairs * self.in_flight)


@dataclass
class Comparison:
    """What was measured with one kind of work.

    Attributes:
        work: which.
        runs: of each of ROWS that could be measured.
        left_out: what is to be said of the others, by their names.
    """

    work: Work
    runs: dict[str, list[Figures]] = field(default_factory=dict[str, list[Figures]])
    left_out: dict[str, str] = field(default_factory=dict[str, str])

    def leave_out(self, name: str, reason: str) -> None:
        """Have no figures of a server."""
        self.runs.pop(name, None)
        self.left_out[name] = reason


def measure(
    names: Sequence[str] = tuple(ROWS),
    works: Sequence[Work] = tuple(itertools.starmap(Work, itertools.product(SIZES, IN_FLIGHT))),
    runs: int = RUNS,
    seconds: int = SECONDS,
) -> list[Comparison]:
    """Measure some servers in turn, so that what changes on the machine meanwhile meets all of them.

    Args:
        names: keys of ROWS.
        works: what to measure of each of them.
        runs: how often; each time there is a new server process, which does all the works.
        seconds: how long the measured part of each run of the load takes.

    Raises:
        MeasurementError: Twotick itself cannot be measured. If another server cannot, it is left out.
    """
    build()
    comparisons = [Comparison(work) for work in works]
    for comparison in comparisons:
        for name in names:
            if comparison.work.size > ROWS[name].longest:
                comparison.leave_out(name, f"it does not carry messages of {comparison.work.size:,} bytes")
    for number in range(runs):
        for name in names:
            say(f"relay, run {number + 1} of {runs}: {ROWS[name].label}")
            _measure_row(name, [each for each in comparisons if name not in each.left_out], seconds)
    return comparisons


def _measure_row(name: str, comparisons: list[Comparison], seconds: int) -> None:
    """Measure one server once. If it fails, what is left is done with a new process."""
    row = ROWS[name]
    left = list(comparisons)
    while left:
        try:
            with running(row.program, server_core()) as server:
                while left:
                    work = left[0].work
                    figures = run_load(
                        server,
                        row.protocol,
                        pairs=work.pairs,
                        window=work.in_flight,
                        bytes=work.size,
                        warm_up=work.warm_up,
                        seconds=seconds,
                    )
                    left.pop(0).runs.setdefault(name, []).append(figures)
        except MeasurementError as error:
            if row.program.name == TWOTICK.name:
                raise
            say(f"{row.label} is left out: {error}")
            left.pop(0).leave_out(name, str(error))


def comparison_table(comparison: Comparison) -> str:
    """Lay out what was measured with one kind of work."""
    head = "server", "server CPU, µs", "to Twotick", "deliveries/s", "to Twotick"
    rows: list[Sequence[str]] = [(*head, "p50, µs", "p99, µs", "p99.9, µs", "server's CPU", "load's CPU")]
    own = medians(comparison.runs[MEASURE]) if MEASURE in comparison.runs else None
    for name, runs in comparison.runs.items():
        each = medians(runs)
        rows.append(
            (
                ROWS[name].label,
                median_and_range([run.cpu for run in runs], ".2f" if each.cpu < _MANY else ",.0f"),
                f"{each.cpu / own.cpu:.2f}" if own else "-",
                median_and_range([run.rate for run in runs], ",.0f"),
                f"{each.rate / own.rate:.2f}" if own else "-",
                f"{each.p50:,.0f}",
                f"{each.p99:,.0f}",
                f"{each.p999:,.0f}",
                f"{each.server_share:.0%}",
                f"{each.load_share:.0%}",
            )
        )
    return table(rows)


def describe(comparisons: Sequence[Comparison]) -> str:
    """Describe what was measured in Markdown."""
    parts: list[str] = []
    for comparison in comparisons:
        work = comparison.work
        parts.append(f"**{work.size:,}-byte bodies, {work.in_flight} in flight** from each of {work.pairs} senders")
        parts.append(comparison_table(comparison))
        parts += [f"{ROWS[name].label} is left out: {reason}." for name, reason in comparison.left_out.items()]
    return "\n\n".join(parts)


def report() -> str:
    """Measure everything, and describe it in Markdown."""
    return describe(measure())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", nargs="+", choices=ROWS, default=tuple(ROWS))
    parser.add_argument("--bytes", nargs="+", type=int, default=SIZES)
    parser.add_argument("--in-flight", nargs="+", type=int, default=IN_FLIGHT, metavar="MESSAGES")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--seconds", type=int, default=SECONDS, help="of each run")
    options = parser.parse_args()
    works = [Work(size, in_flight) for size in options.bytes for in_flight in options.in_flight]
    print(machine(), describe(measure(options.servers, works, options.runs, options.seconds)), sep="\n\n")


if __name__ == "__main__":
    run(main)
