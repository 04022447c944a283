"""Run the load, a program in C (bench/load), against a server."""

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
    """Figures of one run of the load; times are in microseconds.

    Attributes:
        cpu: the server's CPU time for a delivery.
        rate: deliveries a second.
        p50: the median latency.
        p99: the latency that 99 % of the deliveries do not exceed.
        p999: the latency that 99.9 % of the deliveries do not exceed.
        worst: the longest latency.
        server_share: share of a core that the server used.
        load_share: share of a core that the load used.
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
    """Compile the load if its source has changed.

    Raises:
        MeasurementError: the load cannot be compiled, or this machine has only one core.
    """
    if len(os.sched_getaffinity(0)) < 2:
        raise MeasurementError("the server and the load need a core each, and there is only one")
    made = subprocess.run(["make", "--silent", str(_LOAD.relative_to(ROOT))], cwd=ROOT, check=False)
    if made.returncode != 0:
        raise MeasurementError("the load cannot be compiled")


def server_core() -> int:
    """Return the core for the server. The load runs on another."""
    return min(os.sched_getaffinity(0))


def run_load(server: RunningServer, protocol: str, **options: int) -> Figures:
    """Run the load once.

    Args:
        server: the server.
        protocol: the load's --protocol.
        options: the load's other options, with `_` for `-`.

    Raises:
        MeasurementError: the server gave an unexpected answer or none, or did not keep up.
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
    """Return the median of each figure."""
    return Figures(*(statistics.median(values) for values in zip(*map(astuple, runs), strict=True)))
