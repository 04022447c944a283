"""Standard input, output and error: those of a shell may be closed, full, or a pipe that nobody reads."""

import os
import sys
from typing import TextIO


def open_missing() -> None:
    """Open the streams that the shell has closed, so that no socket gets their numbers.

    There is nothing to read on such an input, and to write to such an output fails.
    """
    for number, (name, flags) in enumerate((("stdin", os.O_RDONLY), ("stdout", os.O_RDONLY), ("stderr", os.O_WRONLY))):
        if getattr(sys, name) is None:
            os.dup2(os.open(os.devnull, flags), number)
            setattr(sys, name, open(number, "w" if number else "r", 1, "utf-8"))  # noqa: PTH123, SIM115


def on_a_terminal() -> bool:
    """Whether somebody types at a terminal, and sees it."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def abandon(stream: TextIO) -> None:
    """Write nothing more to a stream that cannot be written, also not what Python still holds on its way out."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def complain(problem: str) -> None:
    """Say on standard error what went wrong, as far as anybody can be told."""
    try:
        print(f"twotick: {problem}", file=sys.stderr)
    except OSError:
        abandon(sys.stderr)
