"""Runs the load, which is written in C (bench/load), against a server that is running."""

import json
import os
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import astuple, dataclass

from servers import ROOT, MeasurementError, RunningServer

_LOAD = ROOT / "bench/build/load"


@dataclass(frozen=True)
class Figures:
    """What one run of the load gave; times are in microseconds.

    Attributes:
        cpu: of the server, for a delivery.
        rate: deliveries a second.
        p50: half of the latencies are not longer; p99 and p999 likewise.
        p99: see p50.
        p999: see p50.
        worst: the longest latency.
        server_share: the share of a core that the server used.
        load_share: the share of a core that the load used.
    """

    cpu: float
    rate: float
    p50: float
    p99: float
    p999: float
    worst: float
    server_share: float
    load_share: float


def build() -> None:
    """Compile the load if it has changed.

    Raises:
        MeasurementError: it cannot be compiled, or could not run on a core of its own.
    """
    if len(os.sched_getaffinity(0)) < 2:
        raise MeasurementError("the server and the load need a core each, and there is only one")
    made = subprocess.run(["make", "--silent", str(_LOAD.relative_to(ROOT))], cwd=ROOT, check=False)
    if made.returncode != 0:
        raise MeasurementError("the load cannot be compiled")


def server_core() -> int:
    """The core on which a server is to run. The load runs on another."""
    return min(os.sched_getaffinity(0))


def run_load(server: RunningServer, protocol: str, **options: int) -> Figures:
    """Run the load once.

    Args:
        server: what it loads.
        protocol: as it is given to --protocol.
        options: its other options, with `_` for `-`.

    Raises:
        MeasurementError: not every delivery was answered as it must be.
    """
    options |= {"port": server.port, "server_pid": server.pid}
    command = ["taskset", "--cpu-list", str(max(os.sched_getaffinity(0))), str(_LOAD), f"--protocol={protocol}"]
    command += [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    if process.returncode != 0:
        raise MeasurementError(process.stderr.strip() or f"the load ended with status {process.returncode}")
    figures = json.loads(process.stdout)
    return Figures(
        cpu=figures["server_cpu_us_per_delivery"],
        rate=figures["deliveries_per_second"],
        p50=figures["p50_us"],
        p99=figures["p99_us"],
        p999=figures["p99.9_us"],
        worst=figures["worst_us"],
        server_share=figures["server_cpu_share"],
        load_share=figures["load_cpu_share"],
    )


def medians(runs: Sequence[Figures]) -> Figures:
    """The median of each figure by itself."""
    return Figures(*(statistics.median(values) for values in zip(*map(astuple, runs), strict=True)))
