"""Send messages that a server stores before it answers, and compare what that costs different servers."""

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from common import machine, median_and_range, run, say, table
from run_load import Figures, build, medians, run_load, server_core
from servers import MeasurementError, RunningServer, running
from stored_peers import PEERS, SENDERS, StoredPeer, temporary_files
from syncs import count_syncs

NAMES = tuple(name for name in PEERS if name != "compiled")
IN_FLIGHT = (1, 16, 128)
BYTES = (64,)
RUNS = 3
SECONDS = 2
"""Length of each run. CPU time is counted in steps of 10 ms, half a percent of this."""
_WARM_UP = 2_000
_OBSERVED = 200


@dataclass(frozen=True)
class Work:
    """A kind of work.

    Attributes:
        in_flight: unanswered messages of each sender.
        bytes: length of each body.
    """

    in_flight: int
    bytes: int


@dataclass(frozen=True)
class Measured:
    """All figures.

    Attributes:
        syncs: for each key of PEERS, how often that server waits for the disk before it answers one message.
        runs: for each work and each key of PEERS, the figures of its runs.
        left_out: a sentence for each server that could not be measured.
    """

    syncs: dict[str, float]
    runs: dict[Work, dict[str, list[Figures]]]
    left_out: list[str]


def syncs_per_message(peer: StoredPeer) -> float:
    """Return how often a server waits for the disk for each message, with one message at a time.

    The load sends a message when the previous one is answered. So a server that waits less than once for each message
    answers before the message is on the disk.
    """
    with running(peer.program) as server:
        send = partial(run_load, server, peer.protocol, pairs=1, deliveries=_OBSERVED)
        send()  # what the server does only once is not counted
        return count_syncs(server, send) / _OBSERVED


def measure(peers: Sequence[str], works: Sequence[Work], runs: int) -> Measured:
    """Let servers take turns, so that changes on the machine affect all of them alike.

    In each run a server starts with an empty folder and does all the works, one after the other.
    """
    build()
    syncs: dict[str, float] = {}
    measured: dict[Work, dict[str, list[Figures]]] = {work: {} for work in works}
    left_out: dict[str, str] = {}
    for number in range(runs):
        for name in (peer for peer in peers if peer not in left_out):
            say(f"durable, run {number + 1} of {runs}: {PEERS[name].program.name}")
            try:
                if name not in syncs:
                    syncs[name] = syncs_per_message(PEERS[name])
                for work, figures in zip(works, _run(PEERS[name], works), strict=True):
                    measured[work].setdefault(name, []).append(figures)
            except MeasurementError as error:
                if name == "twotick":
                    raise
                left_out[name] = f"{PEERS[name].program.name} is left out: {error}"
                say(left_out[name])
    for by_peer in (syncs, *measured.values()):
        for name in left_out:
            by_peer.pop(name, None)
    return Measured(syncs, measured, list(left_out.values()))


def _run(peer: StoredPeer, works: Sequence[Work]) -> list[Figures]:
    with running(peer.program, server_core()) as server:
        return [_load(peer, server, work) for work in works]


def _load(peer: StoredPeer, server: RunningServer, work: Work) -> Figures:
    os.sync()  # so that the server does not wait for what others have written
    size = {"window": work.in_flight, "bytes": work.bytes}
    return run_load(server, peer.protocol, pairs=SENDERS, warm_up=_WARM_UP, seconds=SECONDS, **size)


def answers(syncs: float) -> str:
    """Return whether a server answers before or after a message is on the disk, given its syncs for each message."""
    return "after the disk" if syncs >= 1 else "**before the disk**"


def comparison(by_peer: dict[str, list[Figures]], syncs: dict[str, float]) -> str:
    """Return a Markdown table of one kind of work."""
    head = "server", "answers", "server CPU, µs", "to Twotick", "accepted/s", "to Twotick"
    rows: list[Sequence[str]] = [(*head, "p50, µs", "p99, µs", "p99.9, µs", "load's CPU")]
    own = medians(by_peer["twotick"]) if "twotick" in by_peer else None
    for name, runs in by_peer.items():
        each = medians(runs)
        rows.append(
            (
                PEERS[name].program.name,
                answers(syncs[name]),
                median_and_range([run.cpu for run in runs], ".1f"),
                f"{each.cpu / own.cpu:.2f}" if own else "-",
                median_and_range([run.rate for run in runs], ",.0f"),
                f"{each.rate / own.rate:.2f}" if own else "-",
                f"{each.p50:,.0f}",
                f"{each.p99:,.0f}",
                f"{each.p999:,.0f}",
                f"{each.load_share:.0%}",
            )
        )
    return table(rows)


def describe(measured: Measured) -> str:
    """Return Markdown tables: when each server answers, and the figures of each work."""
    observed = [("server", "version", "syncs for a message", "answers")]
    for name, syncs in measured.syncs.items():
        program = PEERS[name].program
        observed.append((program.name, program.version(), f"{syncs:.2f}", answers(syncs)))
    parts = [f"All servers write to the file system of {temporary_files()}.", table(observed)]
    for work, by_peer in measured.runs.items():
        parts.append(f"**{work.in_flight} in flight** from each of {SENDERS} senders, {work.bytes:,}-byte bodies")
        parts.append(comparison(by_peer, measured.syncs))
    return "\n\n".join(parts + measured.left_out)


def report(
    peers: Sequence[str] = NAMES,
    in_flight: Sequence[int] = IN_FLIGHT,
    sizes: Sequence[int] = BYTES,
    runs: int = RUNS,
) -> str:
    """Measure and return it as Markdown."""
    works = [Work(number, size) for size in sizes for number in in_flight]
    return describe(measure(peers, works, runs))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=NAMES)
    parser.add_argument("--in-flight", nargs="+", type=int, default=IN_FLIGHT, metavar="MESSAGES")
    parser.add_argument("--bytes", nargs="+", type=int, default=BYTES)
    parser.add_argument("--runs", type=int, default=RUNS)
    options = parser.parse_args()
    print(machine(), report(options.peers, options.in_flight, options.bytes, options.runs), sep="\n\n")


if __name__ == "__main__":
    run(main)
