"""Measure what it costs to read a frame of each kind, with and without the memory of heads.

In process, without sockets. Each frame has an Id, a Seq and a time of its own where its kind has them, as real ones do.
Without the memory means `HeadCache(capacity=0)`, which reads every line of every head.
"""

import argparse
import gc
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from common import machine, run, table
from servers import MeasurementError

from twotick.wire import HeadCache, Parser, Verb, frame, received, send

RUNS = 15
_FRAMES = 4096
_IN_A_READ = (1, 64)
"""Frames that arrive together: one, as with one message in flight, or many."""

_MAX_BODY = 1 << 20
_BODY = b"x" * 64
_GARBAGE = 50_000
"""New objects after which Python looks for cyclic garbage, as in the server."""


def _identifier(number: int) -> bytes:
    return b"m-%010d" % number


def _time(number: int) -> bytes:
    return b"2026-01-01T00:00:%02d.%03dZ" % divmod(number % 60_000, 1000)


def _sent(number: int, travels: bytes = b"", **headers: bytes) -> bytes:
    return frame(Verb.SEND, b"bob", _BODY, travels, id=_identifier(number), **headers)


KINDS: dict[str, Callable[[int], bytes]] = {
    "SEND": lambda _: send(b"bob", _BODY),
    "RECEIVED": lambda _: received(b"alice"),
    "SEND, Id": _sent,
    "SEND, Id: a reply with a content type": lambda number: _sent(
        number, b"Reply-to: %b\nContent-type: text/markdown\n" % _identifier(number - 1)
    ),
    "SEND, Id: an edit": lambda number: _sent(number, b"Edits: %b\n" % _identifier(number - 1)),
    "SEND, Id: a file": lambda number: _sent(number, file=b"k4T-%010d" % number),
    "PIECE of a file": lambda number: frame(Verb.PIECE, b"k4T-0123456789", _BODY, offset=number * len(_BODY)),
    "RECEIVED, Seq": lambda number: frame(Verb.RECEIVED, b"alice", seq=number),
    "FORWARD, Id, Seq and time": lambda number: frame(
        Verb.FORWARD, b"alice", _BODY, b"Time: %b\n" % _time(number), id=_identifier(number), seq=number
    ),
    "ACCEPTED, Id and Seq": lambda number: frame(Verb.ACCEPTED, b"bob", id=_identifier(number), seq=number),
}
"""How each kind of frame is written, from a number that is its own."""


@dataclass
class Costs:
    """What it costs to read a frame of one kind, in microseconds of CPU for each run.

    Attributes:
        remembered: with the memory of heads, by the number of frames in a read.
        forgotten: without it.
    """

    remembered: dict[int, list[float]] = field(default_factory=dict[int, list[float]])
    forgotten: dict[int, list[float]] = field(default_factory=dict[int, list[float]])


def measure(runs: int = RUNS) -> dict[str, Costs]:
    """Read frames of all kinds in turn.

    Args:
        runs: how often.

    Returns:
        The costs, by the names in `KINDS`.

    Raises:
        MeasurementError: Not all frames were read.
    """
    costs = {name: Costs() for name in KINDS}
    threshold = gc.get_threshold()
    gc.set_threshold(_GARBAGE)
    try:
        for number in range(runs):
            for name, write in KINDS.items():
                first = number * _FRAMES
                frames = [write(first + each) for each in range(_FRAMES)]
                for count in _IN_A_READ:
                    reads = [b"".join(frames[place : place + count]) for place in range(0, _FRAMES, count)]
                    each = costs[name]
                    each.remembered.setdefault(count, []).append(_cost(reads, HeadCache(_MAX_BODY)))
                    each.forgotten.setdefault(count, []).append(_cost(reads, HeadCache(_MAX_BODY, capacity=0)))
    finally:
        gc.set_threshold(*threshold)
    return costs


def _cost(reads: Sequence[bytes], cache: HeadCache) -> float:
    """Return the microseconds of CPU that a frame took, by the clock of this process."""
    feed = Parser(cache).feed
    feed(reads[0])
    read = 0
    began = time.process_time()
    for data in reads:
        read += len(feed(data))
    seconds = time.process_time() - began
    if read != _FRAMES:
        raise MeasurementError(f"{read} frames were read of {_FRAMES}")
    return seconds / _FRAMES * 1e6


def describe(costs: dict[str, Costs]) -> str:
    """Return the medians as a table in Markdown."""
    head = ["CPU to read a frame, µs"]
    for count in _IN_A_READ:
        together = "one in a read" if count == 1 else f"{count} in a read"
        head += [together, f"{together}, without the memory"]
    rows = [head]
    for name, each in costs.items():
        row = [name]
        for count in _IN_A_READ:
            row += [f"{statistics.median(values[count]):.2f}" for values in (each.remembered, each.forgotten)]
        rows.append(row)
    return table(rows)


def report() -> str:
    """Measure everything, and describe it in Markdown."""
    return describe(measure())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS)
    options = parser.parse_args()
    print(machine(()), describe(measure(options.runs)), sep="\n\n")


if __name__ == "__main__":
    run(main)
