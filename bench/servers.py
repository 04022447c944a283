"""Start servers on free ports of this machine, measure what they use, and stop them."""

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
"""The root of the repository."""

BIN = Path(sys.executable).parent
"""The folder of this Python's `twotick` command."""

_START_SECONDS = 60.0
_STOP_SECONDS = 10.0
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = resource.getpagesize()


class MeasurementError(Exception):
    """A measured server is missing, or did not do what it should."""


@dataclass(frozen=True)
class Program:
    """A server program.

    Attributes:
        name: its name in tables.
        command: returns the command that starts it in the foreground, given a port of 127.0.0.1 and a folder.
        version: returns the installed version; raises MeasurementError if there is none.
        package: Debian's package; empty for Twotick.
        environment: returns further environment variables, given the folder.
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
        pid: its process. CPU time and memory include those of its child processes.
        port: its port on 127.0.0.1.
    """

    pid: int
    port: int

    def cpu(self) -> float:
        """Return the CPU time used so far, in seconds, in steps of 10 ms."""
        # Fields 14 to 17 of stat: user and system time, and the same of children that have ended.
        return sum(sum(map(int, _stat(pid)[11:15])) for pid in self.processes()) / _TICKS

    def own_cpu(self) -> float:
        """Return the CPU time of the process alone, without its children, in seconds."""
        return sum(map(int, _stat(self.pid)[11:13])) / _TICKS

    def memory(self) -> int:
        """Return the resident bytes."""
        return sum(map(_resident, self.processes()))

    def own_memory(self) -> int:
        """Return the resident bytes of the process alone, without its children."""
        return _resident(self.pid)

    def processes(self) -> list[int]:
        """Return the process and all its descendants."""
        found = [self.pid]
        for pid in found:  # the list grows meanwhile
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                found += map(int, children.read_text().split())
        return found


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE


def _stat(pid: int) -> list[str]:
    # The second field is the program's name in brackets, which may contain spaces and brackets.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


@contextlib.contextmanager
def running(program: Program, core: int | None = None) -> Generator[RunningServer]:
    """Start a server, yield it as soon as it accepts connections, and stop it at the end.

    Args:
        program: the server.
        core: the only core that it may use; None for all cores.

    Raises:
        MeasurementError: the server does not start.
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
    """Terminate a process, kill it if it does not end, and kill the rest of its process group."""
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def wait_until_accepting(name: str, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Wait until a server accepts connections.

    Raises:
        MeasurementError: the server ended, or takes too long.
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
    """Return the path of a program.

    Raises:
        MeasurementError: the program is not installed.
    """
    # Debian installs servers in a folder that is not in the search path of ordinary users.
    path = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    if path is None:
        raise MeasurementError(f"{name} is not installed (apt-get install {package or name})")
    return path


def raise_file_limit(files: int) -> None:
    """Raise the number of files that this process and its children may open.

    Raises:
        MeasurementError: the system's limit is lower.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < files:
        raise MeasurementError(f"the system lets a process open {hard} files, and this needs {files}")
    if soft != resource.RLIM_INFINITY and soft < files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))


def cores() -> tuple[int, int]:
    """Return the core for the server and the core for the load.

    Raises:
        MeasurementError: this machine has only one core.
    """
    available = sorted(os.sched_getaffinity(0))
    if len(available) < 2:
        raise MeasurementError("the server and the load need a core each, and there is only one")
    return available[0], available[-1]


@contextlib.contextmanager
def pinned(core: int) -> Generator[None]:
    """Bind this process to one core until the end of the block."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
