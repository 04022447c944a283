"""The `twotick` command: understands the command line, calls, prints, and turns errors into an exit status."""

import io
import sys
from typing import Annotated, Any, NoReturn

import typer

# Each makes its commands; in this order they are listed.
from twotick.cli import demo, serving, talking, members, rooms, others  # isort: skip
from twotick.cli.common import app
from twotick.ui.shell.leaving import EX_IOERR, EX_USAGE, output_lost
from twotick.ui.shell.streams import open_missing

__all__ = ["demo", "main", "members", "others", "rooms", "serving", "talking"]

_TYPER_STATUS: dict[Any, int] = {1: EX_IOERR, 2: EX_USAGE}
"""The exit statuses that the command line library has of its own: nobody reads its output, and wrong usage."""


@app.callback(invoke_without_command=True)
def _options(
    show_version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    if show_version:
        from importlib.metadata import version

        print(f"twotick {version('twotick')}")
        raise typer.Exit


def main() -> NoReturn:
    """Run the command and exit."""
    open_missing()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    status: Any = 0
    try:
        try:
            app()
        except SystemExit as leaving:
            status = _TYPER_STATUS.get(leaving.code, leaving.code)
        sys.stdout.flush()
    except OSError as error:
        status = output_lost(error)
    sys.exit(status)
