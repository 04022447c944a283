"""The server's log on standard error: plain lines on a terminal, otherwise one JSON object per line.

It never contains messages, passwords or tokens.
"""

import asyncio
import contextlib
import json
import logging
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

Write: TypeAlias = Callable[[str, Mapping[str, object]], None]
"""Writes an entry of the log, given its level, and its event and details by name."""


def _write_json(level: str, entry: Mapping[str, object]) -> None:
    _write_line(json.dumps({**entry, "level": level, "timestamp": _now()}, default=repr))


def _write_plain(level: str, entry: Mapping[str, object]) -> None:
    details = " ".join(f"{name}={_plain(value)}" for name, value in sorted(entry.items()) if name != "event")
    _write_line(f"{_now()} [{level:<9}] {entry['event']} {details}".rstrip())


def _plain(value: object) -> str:
    """Return a value as it is if that is one word, and otherwise in quotes, without control characters."""
    return value if isinstance(value, str) and value.isprintable() and len(value.split()) == 1 else repr(value)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _write_line(line: str) -> None:
    """Write a line at once, in one piece."""
    with contextlib.suppress(OSError):  # the log is closed or the disk is full: the server keeps running
        os.write(sys.stderr.fileno(), f"{line}\n".encode("utf-8", "backslashreplace"))


LEVELS: Final = ("error", "warning", "info")
"""The levels, each with those before it: what has failed, what the operator should look at, and what happens."""

PARTS: Final = ("login", "push", "server", "tls", "web")
"""The parts of the server whose levels can be set."""

_LEVEL: Final = f"({'|'.join(LEVELS)})"
LEVELS_PATTERN: Final = rf"^ *{_LEVEL} *(, *({'|'.join(PARTS)}) *= *{_LEVEL} *)*$"
"""How levels are written: the one of all parts, and those of some, such as `warning, web=info`."""


class ServerLog:
    """Where all entries go, each an event with details by name.

    Attributes:
        write: writes them.
    """

    def __init__(self) -> None:
        self.write: Write = _write_json
        self._most: dict[str, int] = {}
        self.use_levels("warning")

    def use_levels(self, text: str) -> None:
        """Write entries of these levels from now on, which are written as LEVELS_PATTERN says."""
        general, *others = (each.strip() for each in text.split(","))
        own = dict(each.replace(" ", "").split("=") for each in others)
        self._most = {part: LEVELS.index(own.get(part, general)) for part in PARTS}

    def wants(self, part: str, level: str) -> bool:
        """Tell whether entries of a part and a level are written."""
        return LEVELS.index(level) <= self._most[part]

    def warning(self, event: str, **details: object) -> None:
        """Write what the operator should look at."""
        if self.wants("server", "warning"):
            self.write("warning", {**details, "event": event})

    def error(self, event: str, **details: object) -> None:
        """Write what has failed."""
        self.write("error", {**details, "event": event})


log = ServerLog()


class PartLog:
    """The log of a part of the server.

    Args:
        part: which one, of PARTS.
    """

    def __init__(self, part: str) -> None:
        self._part = part

    def warning(self, event: str, **details: object) -> None:
        """Write what the operator should look at."""
        self._write("warning", event, details)

    def info(self, event: str, **details: object) -> None:
        """Write what happens. It has no bodies, passwords or tokens."""
        self._write("info", event, details)

    def _write(self, level: str, event: str, details: dict[str, object]) -> None:
        if log.wants(self._part, level):
            log.write(level, {**details, "event": event, "part": self._part})


class _FromLibraries(logging.Handler):
    """Passes on what libraries log."""

    def emit(self, record: logging.LogRecord) -> None:
        log.write(record.levelname.lower(), {"source": record.name, "event": record.getMessage()})


def configure() -> None:
    """Write the log, and that of all libraries, to standard error."""
    log.write = _write_plain if sys.stderr.isatty() else _write_json
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
