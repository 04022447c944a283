"""Let a device come back to many stored messages, and compare what handing them over costs different servers."""

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from common import machine, median_and_range, run, say, table
from run_load import Figures, build, medians, run_load, server_core
from servers import MeasurementError, RunningServer, running
from stored_peers import PEERS, StoredPeer
from syncs import count_syncs

MESSAGES = 20_000
BYTES = 64
RUNS = 3
_OBSERVED = 10_000
_WHILE_FILLING = 128
"""Messages in flight while the server is filled, which is not measured."""


@dataclass(frozen=True)
class Measured:
    """All figures.

    Attributes:
        syncs: for each key of PEERS, how often that server waits for the disk for each message.
        runs: for each key of PEERS, the figures of its runs. Latencies count from the beginning.
        left_out: a sentence for each server that could not be measured.
    """

    syncs: dict[str, float]
    runs: dict[str, list[Figures]]
    left_out: list[str]


def measure(peers: Sequence[str], messages: int, runs: int) -> Measured:
    """Let servers take turns, each time with a new process and an empty folder."""
    build()
    syncs: dict[str, float] = {}
    measured: dict[str, list[Figures]] = {}
    left_out: dict[str, str] = {}
    for number in range(runs):
        for name in (peer for peer in peers if peer not in left_out):
            say(f"waiting, run {number + 1} of {runs}: {PEERS[name].program.name}")
            try:
                if name not in syncs:
                    syncs[name] = _syncs_per_message(PEERS[name])
                measured.setdefault(name, []).append(_come_back(PEERS[name], messages))
            except MeasurementError as error:
                if name == "twotick":
                    raise
                for by_peer in (syncs, measured):
                    by_peer.pop(name, None)
                left_out[name] = f"{PEERS[name].program.name} is left out: {error}"
                say(left_out[name])
    return Measured(syncs, measured, list(left_out.values()))


def _come_back(peer: StoredPeer, messages: int) -> Figures:
    with running(peer.program, server_core()) as server:
        _store(peer, server, messages)
        return _take(peer, server, messages)


def _syncs_per_message(peer: StoredPeer) -> float:
    with running(peer.program) as server:
        _store(peer, server, _OBSERVED)
        return count_syncs(server, partial(_take, peer, server, _OBSERVED)) / _OBSERVED


def _store(peer: StoredPeer, server: RunningServer, messages: int) -> None:
    run_load(server, peer.protocol, pairs=1, window=_WHILE_FILLING, deliveries=messages, bytes=BYTES)
    os.sync()  # so that the server does not wait for what is still to be written


def _take(peer: StoredPeer, server: RunningServer, messages: int) -> Figures:
    assert peer.waiting is not None
    return run_load(server, peer.waiting, pairs=1, window=messages, deliveries=messages, bytes=BYTES)


def describe(measured: Measured, messages: int) -> str:
    """Return a Markdown table."""
    head = (
        "server",
        "server CPU, µs",
        "to Twotick",
        "messages/s",
        "to Twotick",
        "all of them, ms",
        "syncs for 1,000",
        "load's CPU",
    )
    rows: list[Sequence[str]] = [head]
    own = medians(measured.runs["twotick"]) if "twotick" in measured.runs else None
    for name, runs in measured.runs.items():
        each = medians(runs)
        rows.append(
            (
                PEERS[name].program.name,
                median_and_range([run.cpu for run in runs], ".2f"),
                f"{each.cpu / own.cpu:.2f}" if own else "-",
                median_and_range([run.rate for run in runs], ",.0f"),
                f"{each.rate / own.rate:.2f}" if own else "-",
                f"{messages / each.rate * 1000:,.0f}",
                f"{1000 * measured.syncs[name]:.1f}",
                f"{each.load_share:.0%}",
            )
        )
    return "\n\n".join((f"**{messages:,} messages** of {BYTES} bytes are waiting", table(rows), *measured.left_out))


COMPARED = tuple(name for name, peer in PEERS.items() if peer.waiting and name != "compiled")
"""Keys of PEERS that are measured."""


def report(peers: Sequence[str] = COMPARED, messages: int = MESSAGES, runs: int = RUNS) -> str:
    """Measure and return it as Markdown."""
    return describe(measure(peers, messages, runs), messages)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", nargs="+", choices=COMPARED, default=COMPARED)
    parser.add_argument("--messages", type=int, default=MESSAGES, help="no more than a mailbox takes from one sender")
    parser.add_argument("--runs", type=int, default=RUNS)
    options = parser.parse_args()
    print(machine(), report(options.peers, options.messages, options.runs), sep="\n\n")


if __name__ == "__main__":
    run(main)
