"""Count how often a server waits for the disk."""

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
    """Return how often a server calls fsync or the like during some work. The server is slower meanwhile.

    Args:
        server: the server.
        work: gives the server work, and returns when it is done.

    Raises:
        MeasurementError: strace is not installed, or may not trace the server.
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
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # the thread has ended
                while "TracerPid:\t0\n" in status.read_text():
                    if time.monotonic() > deadline:
                        raise MeasurementError("strace cannot trace the server")
                    time.sleep(0.01)
