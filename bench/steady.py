"""Measure latencies at a steady rate: a message is due at its time, even if the ones before it are still unanswered.

Without options, guests deliver messages through Twotick and other servers. With --stored, members send messages that
the server stores before it answers, and PostgreSQL does the same work in the same run.
"""

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass

from common import machine, median_and_range, run, say, table
from run_load import Figures, build, medians, run_load, server_core
from servers import MeasurementError, RunningServer, running
from stored_peers import PEERS, SENDERS, StoredPeer
from turns import CONTENDERS, Measured, take_turns

NAMES = ("twotick", "nats", "mosquitto")
RATE = 10_000
SECONDS = 20
RUNS = 2
_PAIRS = 50
_SIZE = 64

_MOST_IN_FLIGHT = 256
"""Messages that one sender may have unanswered. A server that falls further behind is left out."""

STORED_NAMES = ("twotick", "postgres")
STORED_RATES = (1_000, 2_000, 5_000, 10_000)
STORED_SECONDS = 8
STORED_RUNS = 3

_STORED_MOST_IN_FLIGHT = 64
"""Stored messages that one sender may have unanswered."""


def measure(names: Sequence[str] = NAMES, rate: int = RATE, runs: int = RUNS, seconds: int = SECONDS) -> Measured:
    """Measure deliveries between guests.

    Args:
        names: keys of CONTENDERS.
        rate: messages a second, of all senders together.
        runs: number of runs; the servers take turns.
        seconds: length of each run, after one second that is not measured.
    """
    work = {
        "pairs": _PAIRS,
        "window": _MOST_IN_FLIGHT,
        "bytes": _SIZE,
        "rate": rate,
        "warm_up": rate,
        "deliveries": rate * seconds,
    }
    (measured,) = take_turns("steady", names, runs, [work])
    return measured


def describe(measured: Measured) -> str:
    """Return a Markdown table of deliveries at a steady rate."""
    head = "server", "p50, µs", "p99, µs", "p99.9, µs", "worst, µs"
    rows: list[Sequence[str]] = [(*head, "server CPU, µs", "server's CPU", "load's CPU")]
    for name, runs in measured.runs.items():
        each = medians(runs)
        rows.append(
            (
                CONTENDERS[name].label,
                median_and_range([run.p50 for run in runs], ",.0f"),
                median_and_range([run.p99 for run in runs], ",.0f"),
                median_and_range([run.p999 for run in runs], ",.0f"),
                median_and_range([run.worst for run in runs], ",.0f"),
                median_and_range([run.cpu for run in runs], ".2f"),
                f"{each.server_share:.0%}",
                f"{each.load_share:.0%}",
            )
        )
    rate, seconds = measured.work["rate"], measured.work["deliveries"] // measured.work["rate"]
    title = f"**{rate:,} deliveries a second** for {seconds} s, {_SIZE}-byte bodies, {_PAIRS} senders"
    return "\n\n".join((title, table(rows), *measured.remarks()))


@dataclass(frozen=True)
class StoredMeasured:
    """Latencies of stored messages at several rates.

    Attributes:
        seconds: length of each run.
        runs: for each rate in messages a second and each key of PEERS, the figures of its runs.
        left_out: a sentence for each rate that a server could not keep up with.
    """

    seconds: int
    runs: dict[int, dict[str, list[Figures]]]
    left_out: list[str]


def measure_stored(
    names: Sequence[str] = STORED_NAMES,
    rates: Sequence[int] = STORED_RATES,
    runs: int = STORED_RUNS,
    seconds: int = STORED_SECONDS,
) -> StoredMeasured:
    """Measure stored messages.

    In each run a server starts with an empty folder and does all rates, one after the other. A rate that a server
    cannot keep up with is left out for that server.

    Args:
        names: keys of PEERS.
        rates: messages a second, of all senders together.
        runs: number of runs; the servers take turns.
        seconds: length of each run at each rate, after one second that is not measured.
    """
    build()
    measured: dict[int, dict[str, list[Figures]]] = {rate: {name: [] for name in names} for rate in rates}
    left_out: dict[tuple[int, str], str] = {}
    for number in range(runs):
        for name in names:
            say(f"steady, stored, run {number + 1} of {runs}: {PEERS[name].program.name}")
            with running(PEERS[name].program, server_core()) as server:
                for rate in (rate for rate in rates if (rate, name) not in left_out):
                    try:
                        measured[rate][name].append(_stored_run(server, PEERS[name], rate, seconds))
                    except MeasurementError as error:
                        text = f"{PEERS[name].program.name} is left out at {rate:,} a second: {error}."
                        say(text)
                        left_out[rate, name] = text
    for rate, name in left_out:
        del measured[rate][name]
    return StoredMeasured(seconds, measured, list(left_out.values()))


def _stored_run(server: RunningServer, peer: StoredPeer, rate: int, seconds: int) -> Figures:
    os.sync()  # so that the server does not wait for what others have written
    options = {"pairs": SENDERS, "window": _STORED_MOST_IN_FLIGHT, "bytes": _SIZE, "rate": rate}
    return run_load(server, peer.protocol, **options, warm_up=rate, deliveries=rate * seconds)


def describe_stored(measured: StoredMeasured) -> str:
    """Return a Markdown table of stored messages: for each rate the servers, and the ratio of the first two."""
    head = "server", "accepted/s", "p50, ms", "p99, ms", "p99.9, ms", "worst, ms"
    rows: list[Sequence[str]] = [(*head, "server CPU, µs", "server's CPU", "load's CPU")]
    for rate, by_name in measured.runs.items():
        for name, runs in by_name.items():
            each = medians(runs)
            rows.append(
                (
                    PEERS[name].program.name,
                    f"{rate:,}",
                    f"{each.p50 / 1000:.2f}",
                    median_and_range([run.p99 / 1000 for run in runs], ".1f"),
                    f"{each.p999 / 1000:.1f}",
                    f"{each.worst / 1000:.1f}",
                    median_and_range([run.cpu for run in runs], ".0f"),
                    f"{each.server_share:.0%}",
                    f"{each.load_share:.0%}",
                )
            )
        if len(by_name) > 1:
            rows.append(_ratio(rate, *list(by_name.values())[:2]))
    title = f"**Stored messages** for {measured.seconds} s at each rate, {_SIZE}-byte bodies, {SENDERS} senders"
    return "\n\n".join((title, table(rows), *measured.left_out))


def _ratio(rate: int, ours: Sequence[Figures], others: Sequence[Figures]) -> Sequence[str]:
    """Return a row with our medians divided by the others'."""
    a, b = medians(ours), medians(others)
    ratios = a.p50 / b.p50, a.p99 / b.p99, a.p999 / b.p999, a.worst / b.worst, a.cpu / b.cpu
    return ("*ratio*", f"{rate:,}", *(f"*{ratio:.2f}*" for ratio in ratios), "", "")


def report() -> str:
    """Measure everything and return it as Markdown."""
    return f"{describe(measure())}\n\n{describe_stored(measure_stored())}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stored", action="store_true", help="messages that are stored before they are answered")
    parser.add_argument("--servers", nargs="+", choices=sorted({*NAMES, *PEERS}))
    parser.add_argument("--rates", nargs="+", type=int, help="messages a second; several only with --stored")
    parser.add_argument("--runs", type=int)
    parser.add_argument("--seconds", type=int, help="of each run at each rate")
    options = parser.parse_args()
    names: Sequence[str] = options.servers or (STORED_NAMES if options.stored else NAMES)
    if unknown := [name for name in names if name not in (PEERS if options.stored else CONTENDERS)]:
        parser.error(f"{unknown[0]} takes no part {'with' if options.stored else 'without'} --stored")
    rates: Sequence[int] = options.rates or (STORED_RATES if options.stored else (RATE,))
    if options.stored:
        stored = measure_stored(names, rates, options.runs or STORED_RUNS, options.seconds or STORED_SECONDS)
        texts = [describe_stored(stored)]
    else:
        runs, seconds = options.runs or RUNS, options.seconds or SECONDS
        texts = [describe(measure(names, rate, runs, seconds)) for rate in rates]
    print(machine(), *texts, sep="\n\n")


if __name__ == "__main__":
    run(main)
