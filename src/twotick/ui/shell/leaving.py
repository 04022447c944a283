"""How a command ends: what it says, and its exit status."""

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any, NoReturn

import typer

from twotick.client import (
    ConnectionLost,
    MalformedName,
    NotDelivered,
    ProtocolError,
    ServerUnreachable,
    TwotickError,
)
from twotick.ui.shell.errors import CannotSave, Interrupted, NotYet
from twotick.ui.shell.streams import abandon, complain

# From sysexits.h, which scripts know.
EX_USAGE = 64
EX_DATAERR = 65
EX_NOHOST = 68
EX_UNAVAILABLE = 69
EX_OSERR = 71
EX_IOERR = 74
EX_TEMPFAIL = 75
EX_PROTOCOL = 76
EX_INTERRUPTED = 130


def run(work: Coroutine[Any, Any, None], *, fast: bool = False) -> None:
    """Run it, and leave with the exit status that tells how it went."""
    factory = None
    if fast:
        import uvloop

        factory = uvloop.new_event_loop
    try:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(work)
    except MalformedName as error:
        fail(EX_USAGE, str(error))
    except NotDelivered as error:
        fail(EX_UNAVAILABLE, f"not delivered: {error}")
    except ServerUnreachable as error:
        fail(EX_NOHOST, f"{error} (start one with 'twotick serve', or name another with --server)")
    except ConnectionLost as error:
        fail(EX_NOHOST, str(error))
    except ProtocolError as error:
        fail(EX_PROTOCOL, str(error))
    except NotYet as error:
        fail(EX_TEMPFAIL, str(error))
    except CannotSave as error:
        fail(EX_IOERR, str(error))
    except TwotickError as error:
        fail(EX_UNAVAILABLE, str(error))
    except (KeyboardInterrupt, Interrupted):
        raise typer.Exit(EX_INTERRUPTED) from None
    except EOFError:
        fail(EX_UNAVAILABLE, "the input ended before there was a name")
    except ValueError as error:
        fail(EX_USAGE, str(error))
    except OSError as error:
        raise typer.Exit(output_lost(error)) from None


def fail(status: int, *problems: str) -> NoReturn:
    """Say what went wrong, and leave with that exit status."""
    for problem in problems:
        complain(problem)
    raise typer.Exit(status)


def output_lost(error: OSError) -> int:
    """Standard output is gone: say so; returns the exit status."""
    abandon(sys.stdout)
    complain(f"cannot write: {error.strerror}")
    return EX_IOERR
