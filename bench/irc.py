"""Deliver private messages between IRC clients, through Twotick's IRC gateway and through ngircd."""

import argparse
from collections.abc import Sequence

from common import machine, median_and_range, run, table
from relay import work
from run_load import medians
from turns import CONTENDERS, Measured, take_turns

NAMES = ("irc", "irc-compiled", "ngircd")
IN_FLIGHT = (1, 16)
RUNS = 5
SECONDS = 1
_SIZE = 64
_TO = "ngircd"


def measure(names: Sequence[str] = NAMES, runs: int = RUNS, seconds: int = SECONDS) -> list[Measured]:
    """Measure.

    Args:
        names: keys of CONTENDERS.
        runs: number of runs.
        seconds: length of each run.

    Returns:
        Figures in which a delivery is two private messages: one there, and one back.
    """
    return take_turns("irc", names, runs, [work(_SIZE, number, seconds) for number in IN_FLIGHT])


def describe(measured: Sequence[Measured]) -> str:
    """Return a Markdown table."""
    rows: list[Sequence[str]] = [
        ("server", "in flight", "server CPU for two messages, µs", "to ngircd", "deliveries/s")
    ]
    remarks: list[str] = []
    for each in measured:
        ngircd = medians(each.runs[_TO]).cpu if _TO in each.runs else None
        for name, runs in each.runs.items():
            figures = medians(runs)
            rows.append(
                (
                    CONTENDERS[name].label,
                    str(each.work["window"]),
                    median_and_range([run.cpu for run in runs], ".2f"),
                    f"{figures.cpu / ngircd:.2f}" if ngircd else "-",
                    f"{figures.rate:,.0f}",
                )
            )
        remarks += each.remarks()
    return "\n\n".join((f"**{_SIZE}-byte bodies**", table(rows), *remarks))


def report() -> str:
    """Measure everything and return it as Markdown."""
    return describe(measure())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--seconds", type=int, default=SECONDS, help="of each run")
    options = parser.parse_args()
    print(machine(), describe(measure(options.servers, options.runs, options.seconds)), sep="\n\n")


if __name__ == "__main__":
    run(main)
