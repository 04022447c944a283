"""Measure what mypyc gives: the message path compiled, against the same source in plain Python."""

import argparse
from collections.abc import Sequence

import durable
from common import machine, median_and_range, run, table
from relay import work
from run_load import Figures, medians
from turns import take_turns

RUNS = 5
SECONDS = 1
IN_FLIGHT = 16
_SIZE = 64
_NAMES = ("twotick", "compiled")


def measure(runs: int = RUNS, seconds: int = SECONDS) -> dict[str, dict[str, list[Figures]]]:
    """Measure with 16 messages in flight from each sender; plain and compiled take turns.

    Args:
        runs: number of runs.
        seconds: length of each run of deliveries between guests.

    Returns:
        For each kind of message, the figures of "twotick" and "compiled".
    """
    (relayed,) = take_turns("compiled", _NAMES, runs, [work(_SIZE, IN_FLIGHT, seconds)])
    stored = durable.measure(_NAMES, [durable.Work(IN_FLIGHT, _SIZE)], runs)
    (by_name,) = stored.runs.values()
    return {"delivery between guests": relayed.runs, "stored message": by_name}


def describe(measured: dict[str, dict[str, list[Figures]]]) -> str:
    """Return a Markdown table."""
    head = "one message", "plain: server CPU, µs", "compiled: server CPU, µs", "compiled to plain"
    rows: list[Sequence[str]] = [(*head, "plain: messages/s", "compiled: messages/s")]
    for kind, by_name in measured.items():
        plain, compiled = (by_name[name] for name in _NAMES)
        rows.append(
            (
                kind,
                *(median_and_range([each.cpu for each in runs], ".2f") for runs in (plain, compiled)),
                f"{medians(compiled).cpu / medians(plain).cpu:.2f}",
                *(f"{medians(runs).rate:,.0f}" for runs in (plain, compiled)),
            )
        )
    return f"**{IN_FLIGHT} in flight** from each sender, {_SIZE}-byte bodies\n\n{table(rows)}"


def report() -> str:
    """Measure everything and return it as Markdown."""
    return describe(measure())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--seconds", type=int, default=SECONDS, help="of each run of deliveries")
    options = parser.parse_args()
    print(machine(()), describe(measure(options.runs, options.seconds)), sep="\n\n")


if __name__ == "__main__":
    run(main)
