"""A lock that the command of `listen --exec` holds as long as one of its processes runs, also after `listen` is killed.

The lock belongs to an open file. The command and the processes that it starts inherit the file, so the system keeps the
lock until the last of them has ended. After a command has ended in the usual way, `listen` gives the lock up itself:
processes that the command has left running on purpose do not delay the next message.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import os
from collections.abc import AsyncGenerator
from pathlib import Path

import platformdirs

from twotick.client.trust.tokens import Credential
from twotick.ui.shell.errors import CannotSave
from twotick.ui.shell.streams import complain
from twotick.ui.text import visible

_LOOK = 0.05
"""Seconds between two looks whether the lock is free. The system could only tell a thread that cannot be cancelled."""


def job_lock(who: Credential) -> Path:
    """Return the file of the lock for the commands of a device."""
    device = "\n".join((who.server, who.name.lower(), who.device))
    return platformdirs.user_state_path("twotick") / "jobs" / hashlib.sha256(device.encode()).hexdigest()[:32]


@contextlib.asynccontextmanager
async def alone(lock: Path) -> AsyncGenerator[int, None]:
    """Hold a lock, after the processes of an earlier command that has it have ended.

    Args:
        lock: the file of the lock.

    Returns:
        A context manager that gives the open file, for the command to inherit.

    Raises:
        CannotSave: the file cannot be opened or locked.
    """
    try:
        lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise _cannot_lock(lock, error) from error
    try:
        await _wait(lock, descriptor)
        yield descriptor
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)


async def _wait(lock: Path, descriptor: int) -> None:
    """Wait for the lock on an open file, and say so."""
    said = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not said:
                complain("the command that an earlier 'listen' has started still runs: waiting until it has ended")
                said = True
            await asyncio.sleep(_LOOK)
        except OSError as error:
            raise _cannot_lock(lock, error) from error
        else:
            return


def _cannot_lock(lock: Path, error: OSError) -> CannotSave:
    name = visible(str(lock), keep="")
    return CannotSave(
        f"cannot lock {name}: {error.strerror}. Without the lock, a command could run twice for a message"
    )
