"""Counts how often a server waits for the disk."""

import contextlib
import re
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from servers import MeasurementError, RunningServer, installed, stop

_CALLS = "fsync,fdatasync,sync_file_range,msync"
_CALL = re.compile(rf"\b({_CALLS.replace(',', '|')})\(")
_ATTACH_SECONDS = 5.0


def count_syncs(server: RunningServer, work: Callable[[], object]) -> int:
    """Count how often a server has the system write to the disk itself, and waits for it.

    Args:
        server: which; it is slower meanwhile.
        work: what it is given to do.

    Raises:
        MeasurementError: strace is not there, or may not look at it.
    """
    with tempfile.NamedTemporaryFile("r") as trace:
        command = [installed("strace"), "-f", "-q", "-e", f"trace={_CALLS}", "-o", trace.name]
        command += [f"--attach={pid}" for pid in server.processes()]
        strace = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            _wait_until_traced(server)
            work()
        finally:
            stop(strace)
        return len(_CALL.findall(trace.read()))


def _wait_until_traced(server: RunningServer) -> None:
    deadline = time.monotonic() + _ATTACH_SECONDS
    for pid in server.processes():
        for status in Path(f"/proc/{pid}/task").glob("*/status"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread that has ended
                while "TracerPid:\t0\n" in status.read_text():
                    if time.monotonic() > deadline:
                        raise MeasurementError("strace cannot look at the server")
                    time.sleep(0.01)
