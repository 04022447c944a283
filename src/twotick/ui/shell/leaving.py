"""How a command ends: what it prints, and its exit status."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Coroutine
from typing import Any, NoReturn

from twotick.client import (
    ConnectionLost,
    MalformedName,
    NotDelivered,
    ProtocolError,
    ServerUnreachable,
    TwotickError,
)
from twotick.ui.shell.errors import CannotSave, Interrupted, NotYet, Stopped
from twotick.ui.shell.streams import abandon, complain

# From sysexits.h, whose values scripts know.
EX_USAGE = 64
EX_DATAERR = 65
EX_NOHOST = 68
EX_UNAVAILABLE = 69
EX_SOFTWARE = 70
EX_OSERR = 71
EX_IOERR = 74
EX_TEMPFAIL = 75
EX_PROTOCOL = 76
EX_INTERRUPTED = 130

_STATUS: tuple[tuple[type[Exception], int, str], ...] = (
    (MalformedName, EX_USAGE, "{}"),
    (NotDelivered, EX_UNAVAILABLE, "not delivered: {}"),
    (ServerUnreachable, EX_NOHOST, "{} (start one with 'twotick serve', or name another with --server)"),
    (ConnectionLost, EX_NOHOST, "{}"),
    (ProtocolError, EX_PROTOCOL, "{}"),
    (NotYet, EX_TEMPFAIL, "{}"),
    (CannotSave, EX_IOERR, "{}"),
    (TwotickError, EX_UNAVAILABLE, "{}"),
    (ValueError, EX_USAGE, "{}"),
)
"""Exit status and message of each error; the first entry that fits counts."""


def run(work: Coroutine[Any, Any, None], *, fast: bool = False) -> None:
    """Run a coroutine; exit with the status that tells how it failed, if it did.

    Args:
        work: the command.
        fast: run it on uvloop, which takes longer to import and less time per message.
    """
    factory = None
    if fast:
        import uvloop

        factory = uvloop.new_event_loop
    try:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(_until_stopped(work))
    except (TwotickError, ValueError) as error:
        status, text = next((status, text) for kind, status, text in _STATUS if isinstance(error, kind))
        fail(status, text.format(error))
    except (KeyboardInterrupt, Interrupted):
        sys.exit(EX_INTERRUPTED)
    except Stopped as stopped:
        _end_by(stopped.number)
    except EOFError:
        fail(EX_UNAVAILABLE, "the input ended before a name was given")
    except OSError as error:
        sys.exit(output_lost(error))


async def _until_stopped(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine, and cancel it at SIGTERM and SIGHUP, so that it can put things in order.

    Raises:
        Stopped: a signal came, and the coroutine has ended.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    came: list[signal.Signals] = []

    def stop(number: signal.Signals) -> None:
        came.append(number)
        task.cancel()

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # `nohup` lets commands ignore SIGHUP
            loop.add_signal_handler(number, stop, number)
    try:
        await work
    except asyncio.CancelledError:
        if not came:
            raise
    if came:
        raise Stopped(came[0])


def _end_by(number: signal.Signals) -> NoReturn:
    """End this process as the signal would have ended it, so that the process that started it sees why."""
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    sys.exit(128 + number)  # not reached unless the signal is blocked


def fail(status: int, *problems: str) -> NoReturn:
    """Print each problem on standard error, and exit."""
    for problem in problems:
        complain(problem)
    sys.exit(status)


def output_lost(error: OSError) -> int:
    """Report that standard output cannot be written; return the exit status for it."""
    abandon(sys.stdout)
    complain(f"cannot write: {error.strerror}")
    return EX_IOERR
