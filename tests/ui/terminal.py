"""Run a command on a terminal: type on it, and read its screen."""

import contextlib
import re
import signal
import termios
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pexpect
import pyte

from tests.cli.commands import COMMAND, environment

_PATIENCE = 60.0
"""Seconds to wait for the screen to change."""

_LIMIT = 60.0
"""Seconds to wait for something to appear on the screen: less than pytest's limit, so that a failure shows it."""


class _Screen(pyte.Screen):
    """A screen that replies to the queries that programs send to terminals."""

    def __init__(self, columns: int, answer: Callable[[str], object]) -> None:
        super().__init__(columns, 24)
        self._answer = answer

    def write_process_input(self, data: str) -> None:
        self._answer(data)


class Terminal:
    """A command on a terminal of 24 lines.

    Args:
        arguments: the arguments of the command.
        columns: how wide the terminal is.
        env: variables.

    Attributes:
        title: the window's title.
        output: all output of the command that was read so far.
    """

    def __init__(self, *arguments: str, columns: int = 120, env: dict[str, str] | None = None) -> None:
        self._child: pexpect.spawn[str] = pexpect.spawn(
            COMMAND,
            list(arguments),
            env=environment(**{"TERM": "xterm-256color", "COLUMNS": str(columns), "LINES": "24", **(env or {})}),  # type: ignore[arg-type]
            encoding="utf-8",
            timeout=_PATIENCE,
            dimensions=(24, columns),
            use_poll=True,
        )
        self._child.delaybeforesend = None
        self._screen = _Screen(columns, self._child.send)
        self._stream = pyte.Stream(self._screen)
        self.output = ""

    @property
    def lines(self) -> list[str]:
        """The lines on the screen, without blank lines and times."""
        lines = [line.rstrip().partition(" (")[0] for line in self._screen.display if line.strip()]
        return [re.sub(r"^\d\d:\d\d ", "", line) for line in lines]

    @property
    def title(self) -> str:
        return self._screen.title

    def type(self, text: str) -> None:
        r"""Press these keys; `\r` is Enter, `\x04` is Ctrl-D."""
        self._child.send(text)

    def shows(self, *lines: str) -> None:
        """Wait until these are the last lines on the screen."""
        self.wait(lambda: self.lines[-len(lines) :] == list(lines), lines)

    @property
    def screen(self) -> str:
        """The text on the screen."""
        return "\n".join(line.rstrip() for line in self._screen.display)

    def has(self, *texts: str) -> None:
        """Wait until all of these are on the screen."""
        self.wait(lambda: all(text in self.screen for text in texts), texts)

    def has_one_of(self, *texts: str) -> str:
        """Wait until one of these is on the screen; return it."""
        self.wait(lambda: any(text in self.screen for text in texts), texts)
        return next(text for text in texts if text in self.screen)

    def wait(self, condition: Callable[[], bool], texts: tuple[str, ...]) -> None:
        """Wait until a condition is true of the screen. The texts are named if it does not become true."""
        end = time.monotonic() + _LIMIT
        while not condition():
            # A screen that keeps changing, as with a clock, is not read for ever.
            assert time.monotonic() < end, f"{texts} do not appear:\n{self.screen}"
            try:
                self._read(_PATIENCE)
            except (pexpect.EOF, pexpect.TIMEOUT) as error:
                raise AssertionError(f"{texts} do not appear:\n{self.screen}") from error

    def _read(self, patience: float) -> None:
        written = self._child.read_nonblocking(4096, patience)
        self.output += written
        self._stream.feed(written)

    def terminate(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Ask the command to end."""
        self._child.kill(number)

    def go_on(self) -> None:
        """Let the command go on as after Ctrl+Z: the shell has made the terminal show what is typed."""
        self._child.setecho(True)
        self._child.kill(signal.SIGCONT)

    def attributes(self) -> list[Any]:
        """Return how the terminal is set."""
        return termios.tcgetattr(self._child.child_fd)

    def drained(self) -> None:
        """Read all output until the command has ended; the terminal stays open."""
        with contextlib.suppress(pexpect.EOF):
            while True:
                self._read(_PATIENCE)

    @property
    def signal(self) -> int | None:
        """The signal that ended the command; None if none did."""
        return self._child.signalstatus

    def kill(self) -> None:
        """Kill the command, as a power failure would."""
        self._child.kill(signal.SIGKILL)
        self._child.wait()

    def ends(self, patience: float = _PATIENCE) -> int | None:
        """Wait until the command ends; returns its exit status."""
        with contextlib.suppress(pexpect.EOF):
            while True:
                self._read(patience)
        self._child.close()
        assert "Traceback" not in self.output, self.output
        return self._child.exitstatus

    def loads(self, library: str) -> None:
        """Wait until the command loads a library of Python: then it has begun to load its own modules."""
        maps = Path(f"/proc/{self._child.pid}/maps")
        end = time.monotonic() + _LIMIT
        while f"/{library}." not in maps.read_text("utf-8"):
            assert time.monotonic() < end, f"{library} is not loaded"
            time.sleep(0.001)

    def interrupt(self) -> int | None:
        """Press Ctrl-C until the command ends: it may come in the moment before the command waits for input."""
        while True:
            self._child.send("\x03")
            with contextlib.suppress(pexpect.TIMEOUT):
                return self.ends(2.0)

    def close(self) -> None:
        end(self._child)


def end(child: "pexpect.spawn[Any]") -> None:
    """Close a terminal and end its command, however long a killed process takes to end on a busy machine."""
    try:
        child.close(force=True)
    except pexpect.ExceptionPexpect:  # it is killed, but has not ended
        child.wait()
        child.close()


@contextlib.contextmanager
def terminal(*arguments: str, columns: int = 120, env: dict[str, str] | None = None) -> Generator[Terminal, None, None]:
    """Run a command on a terminal for a while."""
    opened = Terminal(*arguments, columns=columns, env=env)
    try:
        yield opened
    finally:
        opened.close()
