"""The server's log on standard error: plain lines on a terminal, otherwise one JSON object per line.

It never contains messages, passwords or tokens.
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
    """Writes each line at once, in one piece."""

    def msg(self, line: str) -> None:
        with contextlib.suppress(OSError):  # the log is closed or the disk is full: the server keeps running
            os.write(sys.stderr.fileno(), f"{line}\n".encode("utf-8", "backslashreplace"))

    debug = info = warning = error = critical = msg


class _FromLibraries(logging.Handler):
    """Passes on what libraries log."""

    def emit(self, record: logging.LogRecord) -> None:
        log.log(record.levelno, record.getMessage(), source=record.name)


log: structlog.stdlib.BoundLogger = structlog.get_logger()


def configure() -> None:
    """Write the log, and that of all libraries, to standard error."""
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
    """Log an error that the event loop caught; for `loop.set_exception_handler`.

    The entry names the type of the error and the place in the code. It leaves out the texts of the error and of
    `context`, because they may contain messages.
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
