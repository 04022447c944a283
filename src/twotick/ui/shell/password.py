"""Read a password from a terminal, or from standard input."""

import contextlib
import getpass
import os
import signal
import sys
import termios

SHORTEST = 8
SHORTEST_OF_OPERATOR = 6
"""The fewest bytes of a new password (rule 10.3). The server checks it too; here a user is told at once."""

_MOST = 1024
"""Most bytes to read: no valid password is that long, and a longer one is refused."""


def read_change() -> tuple[bytes, bytes]:
    """Return a member's old and new password: typed unseen on a terminal, or two lines of standard input.

    Raises:
        ValueError: the new password is too short, or was not typed alike twice.
        EOFError: a password is missing.
        OSError: standard input cannot be read.
    """
    if sys.stdin.isatty():
        old = _unseen("Old password: ")
        return old, _typed_twice("New password: ", "Repeat the new password: ", SHORTEST)
    old, line = read_password(), sys.stdin.buffer.readline(_MOST)
    if not line:
        raise EOFError("the new password is missing: standard input has two lines, the old password and the new one")
    return old, line.removesuffix(b"\n").removesuffix(b"\r")


def read_password(*, new: bool = True, shortest: int = SHORTEST) -> bytes:
    """Return a password, typed unseen on a terminal or read as one line of standard input.

    Args:
        new: whether it is a new password, which a terminal asks for twice.
        shortest: how many bytes a new one has at least.

    Raises:
        ValueError: the new password is too short, or was not typed alike twice.
        EOFError: no password was given.
        OSError: standard input cannot be read.
    """
    if not sys.stdin.isatty():
        return sys.stdin.buffer.readline(_MOST).removesuffix(b"\n").removesuffix(b"\r")
    if new:
        return _typed_twice("Password: ", "Repeat the password: ", shortest)
    return _unseen("Password: ")


def _typed_twice(prompt: str, again: str, shortest: int) -> bytes:
    """Return a new password that a user types unseen, twice."""
    password = _unseen(prompt)
    if len(password) < shortest:
        raise ValueError(f"the password is too short: it must have at least {shortest} bytes")
    if password != _unseen(again):
        raise ValueError("the two passwords differ: nothing was changed")
    return password


def _unseen(prompt: str) -> bytes:
    """Return a password that a user types unseen, also after the command was stopped with Ctrl+Z and continued.

    A shell shows what is typed while the command is stopped, and leaves that so when it lets the command go on.
    """

    def hide_again(*_: object) -> None:
        with contextlib.suppress(OSError, termios.error):  # there is no terminal any more, so that nothing is shown
            terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
            try:
                modes = termios.tcgetattr(terminal)
                modes[3] &= ~termios.ECHO
                termios.tcsetattr(terminal, termios.TCSANOW, modes)
                os.write(terminal, prompt.encode())
            finally:
                os.close(terminal)

    before = signal.signal(signal.SIGCONT, hide_again)
    try:
        return getpass.getpass(prompt).encode("utf-8", "surrogateescape")
    except (EOFError, KeyboardInterrupt):
        sys.stderr.write("\n")  # what follows must not stand beside the prompt
        raise
    finally:
        signal.signal(signal.SIGCONT, before)
