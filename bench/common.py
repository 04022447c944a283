"""What the measurements share: the servers, the machine, tables."""

import contextlib
import importlib.metadata
import os
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).parent.parent
"""The checkout."""

BIN = Path(sys.executable).parent
"""Where the `twotick` of this Python is."""

_START_SECONDS = 10.0
_STOP_SECONDS = 10.0

_NGIRCD_CONFIG = """\
[Global]
Name = irc.bench
Info = without limits, for measuring
Listen = 127.0.0.1
Ports = {port}
[Limits]
MaxConnections = 0
MaxConnectionsIP = 0
MaxPenaltyTime = 0
[Options]
PAM = no
DNS = no
Ident = no
"""


class MeasurementError(Exception):
    """Something that is measured is missing, or did not do what it should."""


def run(main: Callable[[], None]) -> None:
    """Run a measuring program: what it started is stopped however it ends, and its failures are told in one line."""

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
    """Tell who waits how far it is; what was measured goes to stdout."""
    print(text, file=sys.stderr, flush=True)


# Servers


@dataclass(frozen=True)
class Program:
    """A server program.

    Attributes:
        name: what it is called.
        command: how it is started on a port of 127.0.0.1, in the foreground, with a folder for its files.
        version: which version is installed.
    """

    name: str
    command: Callable[[int, Path], list[str]]
    version: Callable[[], str]


@dataclass(frozen=True)
class RunningServer:
    """A server that accepts connections.

    Attributes:
        pid: its process.
        port: where it listens on 127.0.0.1.
    """

    pid: int
    port: int


def _twotick_command(port: int, _folder: Path) -> list[str]:
    return [sys.executable, "-m", "twotick", "serve", "--port", str(port), "--memory"]


def _twotick_version() -> str:
    version = importlib.metadata.version("twotick")
    commit = subprocess.run(
        ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return f"{version} at commit {commit.stdout.strip()}" if commit.returncode == 0 else version


def _nats_command(port: int, _folder: Path) -> list[str]:
    return [_installed("nats-server"), "--addr", "127.0.0.1", "--port", str(port)]


def _ngircd_command(port: int, folder: Path) -> list[str]:
    config = folder / "ngircd.conf"
    config.write_text(_NGIRCD_CONFIG.format(port=port))
    return [_installed("ngircd"), "--nodaemon", "--config", str(config)]


def _installed(name: str) -> str:
    # Debian puts servers where the search path of ordinary users does not look.
    path = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    if path is None:
        raise MeasurementError(f"{name} is not installed (apt-get install {name})")
    return path


def _first_line_of_version(name: str) -> str:
    output = subprocess.run([_installed(name), "--version"], capture_output=True, text=True, check=True).stdout
    return output.splitlines()[0]


TWOTICK = Program("Twotick", _twotick_command, _twotick_version)
NATS = Program("nats-server", _nats_command, lambda: _first_line_of_version("nats-server").split()[-1].lstrip("v"))
NGIRCD = Program("ngircd", _ngircd_command, lambda: _first_line_of_version("ngircd").split()[1].split("-")[0])


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
        port = _free_port()
        pinned = [] if core is None else ["taskset", "--cpu-list", str(core)]
        log = folder / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*pinned, *program.command(port, folder)], stdout=output, stderr=subprocess.STDOUT
            )
        try:
            _wait_until_accepting(program, process, port, log)
            yield RunningServer(process.pid, port)
        finally:
            stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask a process to end, and make it end if it does not."""
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _wait_until_accepting(program: Program, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionRefusedError:
            pass
        else:
            return
        if process.poll() is not None or time.monotonic() > deadline:
            raise MeasurementError(f"{program.name} did not start: {log.read_text(errors='replace').strip()[-500:]}")
        time.sleep(0.02)


# The machine


def machine() -> str:
    """Describe what this is measured on, in Markdown."""
    cpu = _proc_field("cpuinfo", "model name") or platform.processor()
    memory = int(_proc_field("meminfo", "MemTotal").split()[0]) / (1 << 20)
    versions = [f"Twotick {TWOTICK.version()}", f"Python {platform.python_version()}"]
    versions += [f"uvloop {importlib.metadata.version('uvloop')}"]
    for program in (NATS, NGIRCD):
        with contextlib.suppress(MeasurementError):  # one that is missing is named where its figures would be
            versions.append(f"{program.name} {program.version()}")
    return "\n".join(
        (
            f"- date: {time.strftime('%Y-%m-%d')}",
            f"- machine: {cpu}, {os.cpu_count()} CPUs, {memory:.1f} GiB",
            f"- system: {platform.freedesktop_os_release()['PRETTY_NAME']}, {platform.system()} {platform.release()}",
            f"- versions: {', '.join(versions)}",
        )
    )


def _proc_field(file: str, name: str) -> str:
    for line in Path("/proc", file).read_text().splitlines():
        field, _, value = line.partition(":")
        if field.strip() == name:
            return value.strip()
    return ""


# Figures


def table(rows: Sequence[Sequence[str]]) -> str:
    """Lay out a Markdown table; the first row is its head, and all columns but the first are figures."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]

    def line(row: Sequence[str]) -> str:
        first, *others = (*row,)
        cells = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))]
        return f"| {' | '.join(cells)} |"

    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join((line(rows[0]), line(rule), *map(line, rows[1:])))


def median_and_range(values: Sequence[float], form: str) -> str:
    """Write the median of some figures, and behind it the least and the largest."""
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"
