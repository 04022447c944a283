"""Deliver the same messages through Twotick and other servers, and compare what each delivery costs them."""

import argparse
from collections.abc import Sequence

from common import machine, median_and_range, run, table
from run_load import medians
from turns import CONTENDERS, MEASURE, Measured, take_turns

NAMES = tuple(name for name in CONTENDERS if name not in ("compiled", "irc", "irc-compiled"))
SIZES = (64, 65536)
IN_FLIGHT = (1, 16, 128)
RUNS = 5
SECONDS = 1
_PAIRS = 50
_WARM_UP = 500

_PAIRS_OF_LARGE = 10
_LARGE = 16384
"""From this body size on there are fewer pairs: all 50 would have hundreds of MiB in flight."""

_MANY = 100
"""Microseconds from which on no decimals are shown."""


def work(size: int, in_flight: int, seconds: int) -> dict[str, int]:
    """Return the options of the load for bodies of `size` bytes and `in_flight` messages of each sender."""
    pairs = _PAIRS if size < _LARGE else _PAIRS_OF_LARGE
    warm_up = _WARM_UP + pairs * in_flight
    return {"pairs": pairs, "window": in_flight, "bytes": size, "warm_up": warm_up, "seconds": seconds}


def measure(
    names: Sequence[str] = NAMES,
    sizes: Sequence[int] = SIZES,
    in_flight: Sequence[int] = IN_FLIGHT,
    runs: int = RUNS,
    seconds: int = SECONDS,
) -> list[Measured]:
    """Measure.

    Args:
        names: keys of CONTENDERS.
        sizes: bytes of each body.
        in_flight: messages of each sender; large bodies are only measured with the least of these.
        runs: number of runs.
        seconds: length of each run.
    """
    works = [
        work(size, number, seconds) for size in sizes for number in (in_flight if size < _LARGE else [min(in_flight)])
    ]
    return take_turns("relay", names, runs, works)


def describe(measured: Sequence[Measured]) -> str:
    """Return Markdown tables, one for each kind of work."""
    parts: list[str] = []
    for each in measured:
        work = each.work
        parts.append(
            f"**{work['bytes']:,}-byte bodies, {work['window']} in flight** from each of {work['pairs']} senders"
        )
        parts += [comparison(each), *each.remarks()]
    return "\n\n".join(parts)


def comparison(measured: Measured) -> str:
    """Return a Markdown table of one kind of work."""
    head = "server", "server CPU, µs", "to Twotick", "deliveries/s", "to Twotick"
    rows: list[Sequence[str]] = [(*head, "p50, µs", "p99, µs", "p99.9, µs", "server's CPU", "load's CPU")]
    own = medians(measured.runs[MEASURE]) if MEASURE in measured.runs else None
    for name, runs in measured.runs.items():
        each = medians(runs)
        rows.append(
            (
                CONTENDERS[name].label,
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


def report() -> str:
    """Measure everything and return it as Markdown."""
    return describe(measure())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--bytes", nargs="+", type=int, default=SIZES, help="of each body")
    parser.add_argument("--in-flight", nargs="+", type=int, default=IN_FLIGHT, metavar="MESSAGES")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--seconds", type=int, default=SECONDS, help="of each run")
    options = parser.parse_args()
    measured = measure(options.servers, options.bytes, options.in_flight, options.runs, options.seconds)
    print(machine(), describe(measured), sep="\n\n")


if __name__ == "__main__":
    run(main)
