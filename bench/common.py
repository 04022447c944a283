"""Helpers of all measurements: errors, progress messages, the machine, tables."""

import contextlib
import importlib.metadata
import os
import platform
import signal
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from peers import PEERS, TWOTICK
from servers import MeasurementError, Program


def run(main: Callable[[], None]) -> None:
    """Run a measuring program, so that it stops its servers however it ends and reports a failure in one line."""

    def end(_number: int, _frame: FrameType | None) -> None:
        sys.exit("stopped by SIGTERM")

    signal.signal(signal.SIGTERM, end)
    try:
        main()
    except MeasurementError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("stopped by Ctrl-C")


def say(text: str) -> None:
    """Print a progress message to stderr; figures go to stdout."""
    print(text, file=sys.stderr, flush=True)


# The machine


def machine(programs: Sequence[Program] = PEERS) -> str:
    """Return a line with the date, the machine and the versions.

    Args:
        programs: the servers that are measured besides Twotick.
    """
    cpu = _proc_field("cpuinfo", "model name") or platform.processor()
    memory = int(_proc_field("meminfo", "MemTotal").split()[0]) / (1 << 20)
    system = f"{platform.freedesktop_os_release()['PRETTY_NAME']}, {platform.system()} {platform.release()}"
    versions = [f"Twotick {TWOTICK.version()}", f"Python {platform.python_version()}"]
    versions += [f"uvloop {importlib.metadata.version('uvloop')}"]
    for program in programs:
        with contextlib.suppress(MeasurementError):  # the report names missing servers elsewhere
            versions.append(f"{program.name} {program.version()}")
    hardware = f"{cpu}, {os.cpu_count()} CPUs, {memory:.1f} GiB"
    return f"{time.strftime('%Y-%m-%d %H:%M')}, on {hardware}; {system}; {', '.join(versions)}."


def _proc_field(file: str, name: str) -> str:
    for line in Path("/proc", file).read_text().splitlines():
        field, _, value = line.partition(":")
        if field.strip() == name:
            return value.strip()
    return ""


# Figures


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table. The first row is the head; all columns but the first are aligned right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]

    def line(row: Sequence[str]) -> str:
        first, *others = (*row,)
        cells = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))]
        return f"| {' | '.join(cells)} |"

    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join((line(rows[0]), line(rule), *map(line, rows[1:])))


def median_and_range(values: Sequence[float], form: str) -> str:
    """Return the median of some figures, followed by the least and the largest if there are several."""
    median = f"{statistics.median(values):{form}}"
    return f"{median} ({min(values):{form}} to {max(values):{form}})" if len(values) > 1 else median
