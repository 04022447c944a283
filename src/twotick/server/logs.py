"""The server's log, on standard error: plain lines on a terminal, a JSON object a line otherwise.

No message, password or token is ever in it.
"""

import asyncio
import contextlib
import logging
import os
import sys
import traceback
from typing import Any

import structlog


class _Lines:
    """Writes lines, one at a time and at once."""

    def msg(self, line: str) -> None:
        with contextlib.suppress(OSError):  # nobody reads the log, or the disk is full: the server goes on
            os.write(sys.stderr.fileno(), f"{line}\n".encode("utf-8", "backslashreplace"))

    debug = info = warning = error = critical = msg


class _FromLibraries(logging.Handler):
    """Takes over what libraries log."""

    def emit(self, record: logging.LogRecord) -> None:
        log.log(record.levelno, record.getMessage(), source=record.name)


log: structlog.stdlib.BoundLogger = structlog.get_logger()


def configure() -> None:
    """Have everything written to standard error, whichever library says it."""
    processors: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"),
    ]
    if sys.stderr.isatty():
        processors.append(structlog.dev.ConsoleRenderer(colors=False, pad_event_to=0))
    else:
        processors.append(structlog.processors.JSONRenderer())
    structlog.configure(processors=processors, logger_factory=lambda *_: _Lines())
    logging.basicConfig(handlers=[_FromLibraries(logging.WARNING)], force=True)


def report(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what went wrong in an event loop, for `loop.set_exception_handler`.

    It tells what kind of error it was and where, but with no values, which may be messages: the text of an error has
    some, and so has the text of `context`, which repeats the arguments of callbacks.
    """
    error = context.get("exception")
    if error is None:
        log.error("internal error", kind=context["message"])
    else:
        frames = traceback.extract_tb(error.__traceback__)
        log.error(
            "internal error",
            kind=type(error).__name__,
            where=[f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
        )
