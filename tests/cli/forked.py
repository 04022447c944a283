"""Processes of the `twotick` command that are forked from one that has imported it already.

A command spends most of its time on starting Python and importing modules, and the tests run it a thousand times. Here
one process for all tests, `python -m tests.cli.forked`, imports everything once. For each command it forks a process
with the arguments, environment, folder and standard streams of that command, which ends as any Python program ends.
The tests of the documents and those on a terminal start the command as users do.
"""

import atexit
import gc
import io
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

_TESTED = Path(__file__).parents[2]

COMMAND = str(Path(sys.executable).with_name("twotick"))

_AT_START = ("PYTHON", "LC_", "LANG", "COVERAGE")
"""The beginnings of names of variables that Python obeys at its start. A command with others of them is not forked."""

_STAND_IN = str(_TESTED / "tests" / "machines")
"""A folder whose `sitecustomize` every Python process with it in PYTHONPATH imports at its start, also a forked one."""

_APPS = ("twotick.__main__", "twotick.ui.app", "twotick.ui.demo", "twotick.ui.tour")
"""Modules that are not imported: commands on a full screen are not forked, and their libraries look for a terminal."""

_LIBRARIES = ("argon2", "cryptography.x509", "dns.asyncresolver", "keyring", "rich.console", "uvloop")
"""Modules that commands import late."""

_LONGEST = 100_000
"""Bytes of a request to fork a command. A command with longer arguments is not forked."""

_NUMBER = struct.Struct("i")
_STREAMS = (0, 1, 2)


class Forked(subprocess.Popen[Any]):
    """A running command like one that `subprocess.Popen` starts, with all arguments of `Popen`.

    It overrides methods of `Popen` that are not documented, so that all others, such as `communicate`, are the same.
    """

    def _execute_child(self, args: list[str | bytes], *more: Any) -> None:
        folder, variables = more[4:6]
        given = more[9:15]
        streams = given[0], given[3], given[5]
        variables = {os.fsdecode(name): os.fsdecode(value) for name, value in (variables or os.environ).items()}
        request = json.dumps([[os.fsdecode(each) for each in args], str(folder or Path.cwd()), variables]).encode()
        if len(request) > _LONGEST or not _can_be_forked(variables):
            super()._execute_child(args, *more)  # type: ignore[misc]  # pyright: ignore
            return
        self._news, telling = socket.socketpair()
        with telling:
            passed = [each if each >= 0 else own for each, own in zip(streams, _STREAMS, strict=True)]
            socket.send_fds(_parent(), [request], [*passed, telling.fileno()])
        number = self._news.recv(_NUMBER.size)
        if not number:
            self._news.close()
            raise ChildProcessError("the process that forks commands has ended")
        self._child_created = True
        self.pid = _NUMBER.unpack(number)[0]
        self._close_pipe_fds(*given)  # type: ignore[attr-defined]  # pyright: ignore

    def _try_wait(self, wait_flags: int) -> tuple[int, int]:
        if not hasattr(self, "_news"):
            return super()._try_wait(wait_flags)  # type: ignore[misc]  # pyright: ignore
        news = select.poll()
        news.register(self._news, select.POLLIN)
        if wait_flags == os.WNOHANG and not news.poll(0):
            return 0, 0
        with self._news:
            return self.pid, _NUMBER.unpack(self._news.recv(_NUMBER.size))[0]

    def _internal_poll(self, *more: Any, **options: Any) -> int | None:
        if not hasattr(self, "_news"):
            return super()._internal_poll(*more, **options)  # type: ignore[misc]  # pyright: ignore
        if self.returncode is None:
            pid, status = self._try_wait(os.WNOHANG)
            if pid == self.pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode


def _can_be_forked(variables: dict[str, str]) -> bool:
    """Tell whether a process with these variables starts as the one that forks the others has started."""

    def at_start(variables: Mapping[str, str]) -> dict[str, str]:
        found = {name: value for name, value in variables.items() if name.startswith(_AT_START)}
        return {name: value for name, value in found.items() if (name, value) != ("PYTHONPATH", _STAND_IN)}

    return at_start(variables) == at_start(os.environ)


@cache
def _parent() -> socket.socket:
    """Start the process that forks the others; it ends with this one."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with its:
        program = [sys.executable, "-m", "tests.cli.forked", str(its.fileno())]
        process = subprocess.Popen(program, cwd=_TESTED, pass_fds=[its.fileno()])

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def _import_all() -> None:
    root = _TESTED / "src"
    modules = [file.relative_to(root).with_suffix("").parts for file in root.rglob("*.py")]
    names = {".".join(parts).removesuffix(".__init__") for parts in modules}
    for name in (*sorted(names), *_LIBRARIES):
        if not name.startswith(_APPS):
            import_module(name)


def _serve(control: socket.socket) -> Callable[[], NoReturn] | None:
    """Fork a process for each request. Return in that process, with what it is to do; otherwise at the end."""
    running: dict[int, int] = {}
    waking, woken = os.pipe2(os.O_NONBLOCK)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, _nothing)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    while True:
        ready, _, _ = select.select([control, waking], [], [])
        if waking in ready:
            os.read(waking, 1 << 16)
            _reap(running)
        if control not in ready:
            continue
        request, passed, _, _ = socket.recv_fds(control, 2 * _LONGEST, 4)
        if not request:
            return None
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            control.close()
            for descriptor in (waking, woken, passed[3], *running.values()):
                os.close(descriptor)
            arguments, folder, variables = json.loads(request)
            return _become(arguments, folder, variables, passed[:3])
        running[pid] = passed[3]
        os.write(passed[3], _NUMBER.pack(pid))
        for descriptor in passed[:3]:
            os.close(descriptor)


def _nothing(number: int, frame: object) -> None:
    """Handle a signal that only wakes this process."""


def _reap(running: dict[int, int]) -> None:
    """Tell of each process that has ended how it did."""
    while running:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        telling = running.pop(pid)
        with suppress(BrokenPipeError):  # the test has not waited for it
            os.write(telling, _NUMBER.pack(status))
        os.close(telling)


def _become(arguments: list[str], folder: str, variables: dict[str, str], streams: list[int]) -> Callable[[], NoReturn]:
    """Make this process what Python makes at its start, and return what the command does then."""
    for stream, number in zip(streams, _STREAMS, strict=True):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    time.tzset()
    sys.argv = arguments
    sys.stdin = sys.__stdin__ = _text(0, "r", sys.stdin)
    sys.stdout = sys.__stdout__ = _text(1, "w", sys.stdout)
    sys.stderr = sys.__stderr__ = _text(2, "w", sys.stderr)
    if variables.get("PYTHONPATH") == _STAND_IN:
        import_module("tests.machines.sitecustomize")
    from twotick.cli import main

    return main


def _text(number: int, mode: str, like: Any) -> io.TextIOWrapper:
    """Open a standard stream as Python does at its start."""
    unbuffered = mode == "w" and like.write_through
    raw: Any = open(number, f"{mode}b", 0 if unbuffered else -1, closefd=False)  # noqa: SIM115
    return io.TextIOWrapper(
        raw,
        like.encoding,
        like.errors,
        "\n" if mode == "w" else None,
        line_buffering=number == 2 or os.isatty(number),
        write_through=unbuffered,
    )


if __name__ == "__main__":
    _import_all()
    gc.freeze()
    if command := _serve(socket.socket(fileno=int(sys.argv[1]))):
        command()
