"""Starts servers on free ports of this machine, finds out what they use, and stops them."""

import contextlib
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent
"""The checkout."""

BIN = Path(sys.executable).parent
"""Where the `twotick` of this Python is."""

_START_SECONDS = 30.0
_STOP_SECONDS = 10.0
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = resource.getpagesize()


class MeasurementError(Exception):
    """Something that is measured is missing, or did not do what it should."""


@dataclass(frozen=True)
class Program:
    """A server program.

    Attributes:
        name: what it is called.
        command: how it is started on a port of 127.0.0.1, in the foreground, with a folder for its files.
        version: which version is installed.
        package: Debian's package that it is in, if it is not our own.
        environment: variables that it needs besides, for that folder.
    """

    name: str
    command: Callable[[int, Path], list[str]]
    version: Callable[[], str]
    package: str = ""
    environment: Callable[[Path], Mapping[str, str]] = field(default=lambda _folder: {})


@dataclass(frozen=True)
class RunningServer:
    """A server that accepts connections.

    Attributes:
        pid: its process. What it uses is counted with all the processes that this one has started.
        port: where it listens on 127.0.0.1.
    """

    pid: int
    port: int

    def cpu(self) -> float:
        """The CPU time used so far, in seconds: in steps of 10 ms."""
        # Fields 14 to 17 of stat, two of which stand before what is split: user, system, and both of ended children.
        return sum(sum(map(int, _stat(pid)[11:15])) for pid in self.processes()) / _TICKS

    def memory(self) -> int:
        """The bytes that are resident."""
        return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE for pid in self.processes())

    def processes(self) -> list[int]:
        """The process, and those that it has started."""
        found = [self.pid]
        for pid in found:  # which grows meanwhile
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                found += map(int, children.read_text().split())
        return found


def _stat(pid: int) -> list[str]:
    # The second field is the program's name, in brackets, in which anything may stand.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


@contextlib.contextmanager
def running(program: Program, core: int | None = None) -> Generator[RunningServer]:
    """Start a server, and stop it at the end whatever happens.

    Args:
        program: which.
        core: the only core that it may run on.

    Yields:
        The server, as soon as it accepts connections.

    Raises:
        MeasurementError: it cannot be started.
    """
    with tempfile.TemporaryDirectory(prefix="twotick-bench-") as name:
        folder = Path(name)
        port = free_port()
        pinned = [] if core is None else ["taskset", "--cpu-list", str(core)]
        log = folder / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*pinned, *program.command(port, folder)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **program.environment(folder)},
                start_new_session=True,
            )
        try:
            wait_until_accepting(program.name, process, port, log)
            yield RunningServer(process.pid, port)
        finally:
            stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask a process to end, make it end if it does not, and end what is left of its group if it leads one."""
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def free_port() -> int:
    """A port of 127.0.0.1 on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def wait_until_accepting(name: str, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Wait for a server that was started.

    Raises:
        MeasurementError: it ended, or takes too long.
    """
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionRefusedError:
            pass
        else:
            return
        if process.poll() is not None or time.monotonic() > deadline:
            raise MeasurementError(f"{name} did not start: {log.read_text(errors='replace').strip()[-500:]}")
        time.sleep(0.02)


def installed(name: str, package: str = "") -> str:
    """Where a program is.

    Raises:
        MeasurementError: it is not installed.
    """
    # Debian puts servers where the search path of ordinary users does not look.
    path = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    if path is None:
        raise MeasurementError(f"{name} is not installed (apt-get install {package or name})")
    return path


def raise_file_limit(files: int) -> None:
    """Let this process and its children open so many files.

    Raises:
        MeasurementError: the system does not allow it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < files:
        raise MeasurementError(f"the system lets a process open {hard} files, and this needs {files}")
    if soft != resource.RLIM_INFINITY and soft < files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))


def cores() -> tuple[int, int]:
    """The core for the server, and that for the load.

    Raises:
        MeasurementError: there is only one.
    """
    available = sorted(os.sched_getaffinity(0))
    if len(available) < 2:
        raise MeasurementError("the server and the load need a core each, and there is only one")
    return available[0], available[-1]


@contextlib.contextmanager
def pinned(core: int) -> Generator[None]:
    """Let this process run on one core only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
