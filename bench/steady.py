"""Delivers messages at a steady rate, whether or not the ones before have been answered, and compares the latencies."""

import argparse
from collections.abc import Sequence

from common import machine, median_and_range, run, table
from run_load import medians
from turns import CONTENDERS, Measured, take_turns

NAMES = ("twotick", "nats", "mosquitto")
RATE = 10_000
SECONDS = 60
RUNS = 3
_PAIRS = 50
_SIZE = 64

_MOST_IN_FLIGHT = 256
"""Of one sender. A server that falls so far behind does not keep up with the rate, and is left out."""


def measure(names: Sequence[str] = NAMES, rate: int = RATE, runs: int = RUNS, seconds: int = SECONDS) -> Measured:
    """Measure.

    Args:
        names: keys of CONTENDERS.
        rate: messages a second, of all senders together.
        runs: how often.
        seconds: for how long each time, after a second that is not measured.
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
    """Describe what was measured in Markdown."""
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


def report() -> str:
    """Measure everything, and describe it in Markdown."""
    return describe(measure())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--rate", type=int, default=RATE, help="deliveries a second")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--seconds", type=int, default=SECONDS, help="of each run")
    options = parser.parse_args()
    measured = measure(options.servers, options.rate, options.runs, options.seconds)
    print(machine(), describe(measured), sep="\n\n")


if __name__ == "__main__":
    run(main)
