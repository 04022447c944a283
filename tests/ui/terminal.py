"""A person at a terminal: what is typed, and what is on the screen."""

import contextlib
from collections.abc import Callable, Generator

import pexpect
import pyte

from tests.cli.commands import COMMAND, environment

_PATIENCE = 30.0
"""Seconds after which what should be on the screen will not come."""


class _Screen(pyte.Screen):
    """A screen that answers what programs ask of terminals."""

    def __init__(self, answer: Callable[[str], object]) -> None:
        super().__init__(120, 24)
        self._answer = answer

    def write_process_input(self, data: str) -> None:
        self._answer(data)


class Terminal:
    """A command on a terminal of 120 columns and 24 lines.

    Attributes:
        title: the window's title.
    """

    def __init__(self, *arguments: str) -> None:
        self._child: pexpect.spawn[str] = pexpect.spawn(
            COMMAND,
            list(arguments),
            env=environment(TERM="xterm-256color"),  # type: ignore[arg-type]
            encoding="utf-8",
            timeout=_PATIENCE,
            dimensions=(24, 120),
        )
        self._child.delaybeforesend = None
        self._screen = _Screen(self._child.send)
        self._stream = pyte.Stream(self._screen)

    @property
    def lines(self) -> list[str]:
        """What is on the screen, without blank lines and times."""
        return [line.rstrip().partition(" (")[0] for line in self._screen.display if line.strip()]

    @property
    def title(self) -> str:
        return self._screen.title

    def type(self, text: str) -> None:
        r"""Press these keys; `\r` is Enter, `\x04` is Ctrl-D."""
        self._child.send(text)

    def shows(self, *lines: str) -> None:
        """Wait until these are the last lines on the screen."""
        while self.lines[-len(lines) :] != list(lines):
            try:
                self._stream.feed(self._child.read_nonblocking(4096, _PATIENCE))
            except (pexpect.EOF, pexpect.TIMEOUT) as error:
                raise AssertionError(f"{lines} do not come: {self.lines}") from error

    def ends(self, patience: float = _PATIENCE) -> int | None:
        """Wait until the command ends; returns its exit status."""
        with contextlib.suppress(pexpect.EOF):
            while True:
                self._stream.feed(self._child.read_nonblocking(4096, patience))
        self._child.close()
        assert not any("Traceback" in line for line in self.lines), self.lines
        return self._child.exitstatus

    def interrupt(self) -> int | None:
        """Press Ctrl-C until the command ends: it may come in the moment before the command waits for input."""
        while True:
            self._child.send("\x03")
            with contextlib.suppress(pexpect.TIMEOUT):
                return self.ends(2.0)

    def close(self) -> None:
        self._child.close(force=True)


@contextlib.contextmanager
def terminal(*arguments: str) -> Generator[Terminal, None, None]:
    """Run a command on a terminal for a while."""
    opened = Terminal(*arguments)
    try:
        yield opened
    finally:
        opened.close()
