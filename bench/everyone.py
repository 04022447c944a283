"""Send messages from one sender to everyone, and compare the time until the last receiver has acknowledged."""

import argparse
from collections.abc import Sequence

from common import machine, median_and_range, run, table
from run_load import medians
from servers import raise_file_limit
from turns import CONTENDERS, MEASURE, Measured, take_turns

NAMES = ("twotick", "nats", "ngircd", "mosquitto")
RECEIVERS = 1000
RUNS = 3
SECONDS = 1
_SIZE = 64
_WARM_UP = 5
_FILES_OF_RECEIVER = 2
_SPARE_FILES = 64


def measure(
    names: Sequence[str] = NAMES, receivers: int = RECEIVERS, runs: int = RUNS, seconds: int = SECONDS
) -> Measured:
    """Measure.

    Args:
        names: keys of CONTENDERS.
        receivers: number of receivers of each message.
        runs: number of runs.
        seconds: length of each run.

    Returns:
        Figures in which a delivery is one receiver's, and a latency is the last receiver's.
    """
    raise_file_limit(_FILES_OF_RECEIVER * receivers + _SPARE_FILES)
    work = {"receivers": receivers, "bytes": _SIZE, "warm_up": _WARM_UP, "seconds": seconds}
    (measured,) = take_turns("everyone", names, runs, [work])
    return measured


def describe(measured: Measured) -> str:
    """Return a Markdown table."""
    head = "server", "server CPU for each receiver, µs", "to Twotick", "until the last, ms", "to Twotick"
    rows: list[Sequence[str]] = [(*head, "p99, ms", "server's CPU", "load's CPU")]
    own = medians(measured.runs[MEASURE]) if MEASURE in measured.runs else None
    for name, runs in measured.runs.items():
        each = medians(runs)
        rows.append(
            (
                CONTENDERS[name].label,
                median_and_range([run.cpu for run in runs], ".2f"),
                f"{each.cpu / own.cpu:.2f}" if own else "-",
                median_and_range([run.p50 / 1000 for run in runs], ".1f"),
                f"{each.p50 / own.p50:.2f}" if own else "-",
                f"{each.p99 / 1000:.1f}",
                f"{each.server_share:.0%}",
                f"{each.load_share:.0%}",
            )
        )
    title = f"**To {measured.work['receivers']:,} receivers**, {_SIZE}-byte bodies, one message after the other"
    return "\n\n".join((title, table(rows), *measured.remarks()))


def report() -> str:
    """Measure everything and return it as Markdown."""
    return describe(measure())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--receivers", type=int, default=RECEIVERS)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--seconds", type=int, default=SECONDS, help="of each run")
    options = parser.parse_args()
    measured = measure(options.servers, options.receivers, options.runs, options.seconds)
    print(machine(), describe(measured), sep="\n\n")


if __name__ == "__main__":
    run(main)
