"""Delivers the same messages through Twotick and through other servers, and compares what it costs them."""

import argparse
import json
import os
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import astuple, dataclass

from common import (
    NATS,
    NGIRCD,
    ROOT,
    TWOTICK,
    MeasurementError,
    Program,
    RunningServer,
    machine,
    median_and_range,
    run,
    running,
    say,
    table,
)

PROTOCOLS: dict[str, tuple[str, Program]] = {
    "window": ("Twotick", TWOTICK),
    "classic": ("Twotick, classic profile", TWOTICK),
    "nats": ("nats-server", NATS),
    "irc": ("ngircd", NGIRCD),
}
"""What is compared: the protocols of load.c, with a label and the server that speaks it. The first is the measure."""

PAIRS = 50
BYTES = 64
IN_FLIGHT = (1, 16, 128)
RUNS = 5
_LOAD = ROOT / "bench/build/load"


@dataclass(frozen=True)
class Run:
    """What one run of the load gave."""

    cpu: float
    rate: float
    p50: float
    p99: float
    p999: float
    load_share: float


def deliveries_for(in_flight: int) -> int:
    """The deliveries of one run: a second of work or more, of which the clock tick of 10 ms is a percent or less."""
    return 200_000 if in_flight == 1 else 1_000_000


def run_load(protocol: str, in_flight: int, deliveries: int, server: RunningServer, core: int) -> Run:
    """Run the load once.

    Raises:
        MeasurementError: not every delivery was answered as it must be.
    """
    options = {
        "protocol": protocol,
        "port": server.port,
        "pairs": PAIRS,
        "window": in_flight,
        "deliveries": deliveries,
        "bytes": BYTES,
        "server-pid": server.pid,
    }
    command = ["taskset", "--cpu-list", str(core), str(_LOAD), *(f"--{name}={options[name]}" for name in options)]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    if process.returncode != 0:
        raise MeasurementError(process.stderr.strip() or f"the load ended with status {process.returncode}")
    figures = json.loads(process.stdout)
    return Run(
        cpu=figures["server_cpu_us_per_delivery"],
        rate=figures["deliveries_per_second"],
        p50=figures["p50_us"],
        p99=figures["p99_us"],
        p999=figures["p99.9_us"],
        load_share=figures["load_cpu_share"],
    )


def measure(
    protocols: Sequence[str], in_flight: int, runs: int, deliveries: int
) -> tuple[dict[str, list[Run]], list[str]]:
    """Measure some protocols in turn, so that what changes on the machine meanwhile meets all of them.

    Every run has a server process of its own, which is warmed with a tenth of the work.

    Returns:
        The runs of each protocol that could be measured, and what is to be said of the others.
    """
    server_core, *_, load_core = sorted(os.sched_getaffinity(0))
    measured: dict[str, list[Run]] = {protocol: [] for protocol in protocols}
    left_out: list[str] = []
    for number in range(runs):
        for protocol in list(measured):
            label, program = PROTOCOLS[protocol]
            say(f"{in_flight} in flight, run {number + 1} of {runs}: {label}")
            try:
                with running(program, server_core) as server:
                    run_load(protocol, in_flight, max(deliveries // 10, 1), server, load_core)
                    measured[protocol].append(run_load(protocol, in_flight, deliveries, server, load_core))
            except MeasurementError as error:
                if program is TWOTICK:
                    raise
                del measured[protocol]
                left_out.append(f"{label} is left out at {in_flight} in flight: {error}")
                say(left_out[-1])
    return measured, left_out


def comparison(measured: dict[str, list[Run]]) -> str:
    """Lay out what was measured with one number in flight."""
    head = "server", "server CPU, µs", "to Twotick", "deliveries/s", "to Twotick"
    rows: list[Sequence[str]] = [(*head, "p50, µs", "p99, µs", "p99.9, µs", "load's CPU")]
    own = medians(measured["window"]) if "window" in measured else None
    for protocol, runs in measured.items():
        each = medians(runs)
        rows.append(
            (
                PROTOCOLS[protocol][0],
                median_and_range([run.cpu for run in runs], ".2f"),
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


def medians(runs: list[Run]) -> Run:
    """The median of each figure by itself."""
    return Run(*(statistics.median(values) for values in zip(*map(astuple, runs), strict=True)))


def report(
    protocols: Sequence[str] = tuple(PROTOCOLS),
    in_flight: Sequence[int] = IN_FLIGHT,
    runs: int = RUNS,
    deliveries: int | None = None,
) -> str:
    """Measure, and describe it in Markdown."""
    if len(os.sched_getaffinity(0)) < 2:
        raise MeasurementError("the server and the load need a core each, and there is only one")
    subprocess.run(["make", "--silent", str(_LOAD.relative_to(ROOT))], cwd=ROOT, check=True)
    parts: list[str] = []
    for number in in_flight:
        measured, left_out = measure(protocols, number, runs, deliveries or deliveries_for(number))
        parts += [f"**{number} in flight** from each of {PAIRS} senders, {BYTES}-byte bodies", comparison(measured)]
        parts += left_out
    return "\n\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--protocols", nargs="+", choices=PROTOCOLS, default=tuple(PROTOCOLS))
    parser.add_argument("--in-flight", nargs="+", type=int, default=IN_FLIGHT, metavar="MESSAGES")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--deliveries", type=int, help="of each run; otherwise a second of work or more")
    options = parser.parse_args()
    print(machine(), report(options.protocols, options.in_flight, options.runs, options.deliveries), sep="\n\n")


if __name__ == "__main__":
    run(main)
