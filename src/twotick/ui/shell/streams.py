"""Standard input, output and error, each of which may be closed, full, or a pipe without a reader."""

import os
import sys
from typing import TYPE_CHECKING, TextIO

from twotick.client.visible import visible

if TYPE_CHECKING:
    from rich.text import Text


def open_missing() -> None:
    """Open the streams that the shell has closed, so that no socket gets their file descriptors.

    Such an input is empty, and writing to such an output fails.
    """
    for number, (name, flags) in enumerate((("stdin", os.O_RDONLY), ("stdout", os.O_RDONLY), ("stderr", os.O_WRONLY))):
        if getattr(sys, name) is None:
            os.dup2(os.open(os.devnull, flags), number)
            setattr(sys, name, open(number, "w" if number else "r", 1, "utf-8"))  # noqa: PTH123, SIM115


def on_a_terminal() -> bool:
    """Tell whether both standard input and standard output are a terminal."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def full_screen_possible() -> bool:
    """Tell whether a full screen can be shown: on a terminal that can place text anywhere.

    The app draws on standard error.
    """
    return on_a_terminal() and sys.stderr.isatty() and os.environ.get("TERM", "dumb") not in ("", "dumb", "unknown")


def abandon(stream: TextIO) -> None:
    """Discard everything for a stream that cannot be written, including what Python has buffered."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def tell(line: "str | Text") -> None:
    """Print what became of a message.

    If standard output cannot be written, the line goes to standard error: a script that took this for a failure of the
    message would send it again.
    """
    from twotick.ui.text import console

    try:
        console().print(line)
        sys.stdout.flush()
    except OSError as error:
        abandon(sys.stdout)
        complain(f"{line} (standard output cannot be written: {error.strerror})")


def complain(problem: str) -> None:
    """Print a problem on standard error, if that can be written. Nothing in it controls the terminal."""
    try:
        print(f"twotick: {visible(problem)}", file=sys.stderr)
    except OSError:
        abandon(sys.stderr)
