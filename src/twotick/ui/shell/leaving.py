"""How a command ends: what it prints, and its exit status."""

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import Coroutine
from typing import Any, NoReturn

from twotick.client import (
    ConnectionLost,
    MalformedName,
    MessageRefused,
    NameRefused,
    NoRecipient,
    NoSuchRoom,
    NotAuthenticated,
    NotDelivered,
    NotEncrypted,
    OutcomeUnknown,
    ProtocolError,
    Replaced,
    ServerUnreachable,
    TwotickError,
)
from twotick.ui.shell.errors import CannotSave, Interrupted, NoOtherMember, NothingFound, NotReadYet, NotYet, Stopped
from twotick.ui.shell.streams import abandon, complain

# From 64 to 77 as in sysexits.h, whose values scripts know.
EX_NOTFOUND = 1
EX_USAGE = 64
EX_DATAERR = 65
EX_NOINPUT = 66
EX_NOUSER = 67
EX_NOHOST = 68
EX_UNAVAILABLE = 69
EX_SOFTWARE = 70
EX_OSERR = 71
EX_IOERR = 74
EX_TEMPFAIL = 75
EX_PROTOCOL = 76
EX_NOPERM = 77
EX_REFUSED = 79
EX_UNREAD = 80
EX_UNKNOWN = 81
EX_INTERRUPTED = 130

STATUSES: dict[int, str] = {
    0: "done; for `send`: the message is as far as `--until` says",
    EX_NOTFOUND: "`search` and `history` found nothing",
    EX_USAGE: "wrong usage, an invalid name or a wrong setting; nothing was sent",
    EX_DATAERR: "the operator's request was refused, or the database is damaged",
    EX_NOINPUT: "the message is empty; nothing was sent",
    EX_NOUSER: "there is no such user or room, the user is not connected, or no one else is in the room",
    EX_NOHOST: "the server cannot be reached, or the connection was lost; nothing was sent",
    EX_UNAVAILABLE: "not delivered, or not done, for another reason; the message says which",
    EX_SOFTWARE: "an error in Twotick",
    EX_OSERR: "an error of the system, such as a full disk",
    EX_IOERR: "a file, standard input or standard output cannot be read or written",
    EX_TEMPFAIL: "the server has stored the message, but no device of the recipient has it yet",
    EX_PROTOCOL: "the server does not speak the protocol",
    EX_NOPERM: "not logged in on this device, a wrong password, a revoked device, or a name that is another user's",
    EX_REFUSED: "the recipient's program refused the message",
    EX_UNREAD: "delivered, but not read yet (`--until read`)",
    EX_UNKNOWN: "it is not known whether the message arrived",
    EX_INTERRUPTED: "interrupted with Ctrl+C",
}
"""Every exit status with its meaning. The documentation, the manual page and `twotick help status` show this table."""

_STATUS: tuple[tuple[type[Exception] | tuple[type[Exception], ...], int, str], ...] = (
    (MalformedName, EX_USAGE, "{}"),
    (NoRecipient, EX_NOUSER, "not delivered{to}: {}"),
    (MessageRefused, EX_REFUSED, "not delivered{to}: the recipient's program refused it"),
    (OutcomeUnknown, EX_UNKNOWN, "not known{whether}: {}"),
    (NotDelivered, EX_UNAVAILABLE, "not delivered{to}: {}"),
    ((NoOtherMember, NoSuchRoom), EX_NOUSER, "{}"),
    (NothingFound, EX_NOTFOUND, "{}"),
    ((NameRefused, NotAuthenticated, NotEncrypted, Replaced), EX_NOPERM, "{}"),
    (ServerUnreachable, EX_NOHOST, "{}{hint}"),
    (ConnectionLost, EX_NOHOST, "{}"),
    (ProtocolError, EX_PROTOCOL, "{}{hint}"),
    (NotReadYet, EX_UNREAD, "{}"),
    (NotYet, EX_TEMPFAIL, "{}"),
    (CannotSave, EX_IOERR, "{}"),
    (TwotickError, EX_UNAVAILABLE, "{}"),
    (ValueError, EX_USAGE, "{}"),
)
"""Exit status and message of each error; the first entry that fits counts."""


def run(work: Coroutine[Any, Any, None], *, fast: bool = False, recipient: str = "") -> None:
    """Run a coroutine; exit with the status that tells how it failed, if it did.

    Args:
        work: the command.
        recipient: the recipient of the message that it sends; empty if it sends none.
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
        to = f" to {recipient}" if recipient else ""
        whether = f" whether {recipient} has it" if recipient else ""
        fail(status, text.format(error, to=to, whether=whether, hint=_hint(str(error))))
    except (KeyboardInterrupt, Interrupted):
        sys.exit(EX_INTERRUPTED)
    except Stopped as stopped:
        _end_by(stopped.number)
    except EOFError:
        fail(EX_UNAVAILABLE, "the input ended before a name was given")
    except OSError as error:
        sys.exit(output_lost(error))


def _hint(problem: str) -> str:
    """Return what a user can do if a server cannot be reached, or not in this way; empty if that is not known."""
    if "speaks TLS" in problem:
        return ": write tls:// before the address of the server"
    if re.match(r"no server at (127\.|localhost|\[::1])", problem):
        return " ('twotick serve' runs a server here; --as NAME@HOST names another)"
    if problem.startswith("no server at "):
        return " (check the name and the port, or ask the server's operator)"
    return ""


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
    """Report that standard output cannot be written; return the exit status for it.

    If its reader has left, as in `twotick history | head`, the process ends as by SIGPIPE, without a word.
    """
    abandon(sys.stdout)
    if isinstance(error, BrokenPipeError):
        _end_by(signal.SIGPIPE)
    complain(f"cannot write: {error.strerror}")
    return EX_IOERR
