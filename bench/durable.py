"""Sends messages that are stored before the sender is answered, and compares what that costs different servers."""

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass

from common import machine, median_and_range, run, say, table
from run_load import Figures, build, medians, run_load, server_core
from servers import MeasurementError, running
from stored_peers import PEERS, SENDERS

IN_FLIGHT = (1, 16, 128)
BYTES = (64, 1024)
RUNS = 5


@dataclass(frozen=True)
class Work:
    """What is sent.

    Attributes:
        in_flight: messages that each sender has sent and that are not answered yet.
        bytes: of each message's body.
    """

    in_flight: int
    bytes: int

    @property
    def messages(self) -> int:
        """Enough for a second or more, of which the clock tick of 10 ms is a percent or less."""
        return 20_000 if self.in_flight == 1 else 50_000


@dataclass(frozen=True)
class Measured:
    """What was measured.

    Attributes:
        runs: for each work, and each peer by its name in PEERS, what its runs gave.
        left_out: what is to be said of those that could not be measured.
    """

    runs: dict[Work, dict[str, list[Figures]]]
    left_out: list[str]


def measure(peers: Sequence[str], works: Sequence[Work], runs: int) -> Measured:
    """Measure some peers in turn, so that what changes on the machine meanwhile meets all of them.

    In each run a peer has a new server process and an empty folder, and does all of the work one after the other, each
    warmed with a tenth of it.
    """
    build()
    measured: dict[Work, dict[str, list[Figures]]] = {work: {peer: [] for peer in peers} for work in works}
    left_out: dict[str, str] = {}
    for number in range(runs):
        for name in (peer for peer in peers if peer not in left_out):
            peer = PEERS[name]
            say(f"durable, run {number + 1} of {runs}: {peer.program.name}")
            try:
                with running(peer.program, server_core()) as server:
                    for work in works:
                        os.sync()  # what others have left to be written is not to be waited for
                        figures = run_load(
                            server,
                            peer.protocol,
                            pairs=SENDERS,
                            window=work.in_flight,
                            bytes=work.bytes,
                            warm_up=work.messages // 10,
                            deliveries=work.messages,
                        )
                        measured[work][name].append(figures)
            except MeasurementError as error:
                if name == "twotick":
                    raise
                left_out[name] = f"{peer.program.name} is left out: {error}"
                say(left_out[name])
    for name in left_out:
        for by_peer in measured.values():
            del by_peer[name]
    return Measured(measured, list(left_out.values()))


def comparison(by_peer: dict[str, list[Figures]]) -> str:
    """Lay out what was measured of one kind of work."""
    head = "server", "answers", "server CPU, µs", "to Twotick", "accepted/s", "to Twotick"
    rows: list[Sequence[str]] = [(*head, "p50, µs", "p99, µs", "p99.9, µs", "load's CPU")]
    own = medians(by_peer["twotick"]) if "twotick" in by_peer else None
    for name, runs in by_peer.items():
        each = medians(runs)
        rows.append(
            (
                PEERS[name].program.name,
                "from disk" if PEERS[name].on_disk() else "**before**",
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
    """Describe what was measured, in Markdown."""
    parts: list[str] = []
    for work, by_peer in measured.runs.items():
        parts.append(f"**{work.in_flight} in flight** from each of {SENDERS} senders, {work.bytes:,}-byte bodies")
        parts.append(comparison(by_peer))
    return "\n\n".join(parts + measured.left_out)


def report(
    peers: Sequence[str] = tuple(PEERS),
    in_flight: Sequence[int] = IN_FLIGHT,
    sizes: Sequence[int] = BYTES,
    runs: int = RUNS,
) -> str:
    """Measure, and describe it in Markdown."""
    works = [Work(number, size) for size in sizes for number in in_flight]
    return describe(measure(peers, works, runs))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=tuple(PEERS))
    parser.add_argument("--in-flight", nargs="+", type=int, default=IN_FLIGHT, metavar="MESSAGES")
    parser.add_argument("--bytes", nargs="+", type=int, default=BYTES)
    parser.add_argument("--runs", type=int, default=RUNS)
    options = parser.parse_args()
    print(machine(), report(options.peers, options.in_flight, options.bytes, options.runs), sep="\n\n")


if __name__ == "__main__":
    run(main)
