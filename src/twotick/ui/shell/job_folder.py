"""What `listen --exec` notes about its jobs, so that no message is worked on twice.

Theory of operation. A job is the command that works on one message. It has a lock and a file for its exit status. The
command and the processes that it starts inherit the lock, so the system keeps it until the last of them has ended, also
after `listen` was killed. The shell that runs the command writes its exit status into the file as soon as the command
ends, whether `listen` still lives or not. So the next `listen` knows of each message that is handed out again: the
command still works on it (the lock is held), has ended (there is a status), or was cut off (there is neither).

A status is removed when the server has certainly learned that the message was acknowledged: it sends no more than a
window of messages without that.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import os
import re
from collections import deque
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Final

import platformdirs

from twotick.client import MemberMessage
from twotick.client.trust.tokens import Credential
from twotick.ui.shell.errors import CannotSave
from twotick.ui.shell.streams import complain
from twotick.ui.text import visible

_LOOK: Final = 0.05
"""Seconds between two looks whether the lock is free. The system could only tell a thread that cannot be cancelled."""

_KEPT: Final = 256
"""How many messages that were handled last have their status kept; the window of a device is 64."""

_NUMBER: Final = re.compile(r"(\d{1,20})-[0-9a-f]{32}")

_RUN: Final = (
    "trap : TERM\n"  # the command gets the signal too; its status is written all the same
    '/bin/sh -c "$1"\n'
    "status=$?\n"
    'echo "$status" > "$2.new" && mv "$2.new" "$2"\n'
    'exit "$status"'
)
"""What runs a command, and notes its exit status. What the message says is in none of the words."""


class Job:
    """The job of one message.

    Attributes:
        key: names it for good: letters, digits, `-`. It is the same if the message is handed out again.
        output: the file for what its command prints.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self.key = key
        self._lock = folder / f"{key}.lock"
        self._status = folder / f"{key}.status"
        self.output = folder / f"{key}.out"

    def command(self, command: str) -> tuple[str, ...]:
        """Return the words of a command that runs another one and notes its exit status."""
        return "/bin/sh", "-c", _RUN, "sh", command, str(self._status)

    def status(self) -> int | None:
        """Return with which status the command has ended; None if it has not."""
        try:
            return int(self._status.read_text("ascii"))
        except (OSError, ValueError):
            return None

    def forget(self) -> None:
        """Forget that the command has ended: it was stopped, and is to run again."""
        self._status.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove all files of the job."""
        for file in (self.output, self._lock, self._status):
            file.unlink(missing_ok=True)

    @contextlib.asynccontextmanager
    async def held(self) -> AsyncGenerator[int | None, None]:
        """Hold the lock, after the processes of an earlier command of this job have ended.

        Returns:
            A context manager that gives the open file, for the command to inherit; None if the command has ended.

        Raises:
            CannotSave: the file cannot be opened or locked.
        """
        try:
            descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise _cannot_lock(self._lock, error) from error
        try:
            is_held = await self._wait(descriptor)
            yield descriptor if is_held else None
            if is_held:
                fcntl.flock(descriptor, fcntl.LOCK_UN)
        finally:
            os.close(descriptor)

    async def _wait(self, descriptor: int) -> bool:
        """Wait for the lock, and say so. Return False if the command has ended, and left a process that has it."""
        said = False
        while self.status() is None:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not said:
                    complain("the command that an earlier 'listen' has started still runs: waiting until it has ended")
                    said = True
                await asyncio.sleep(_LOOK)
            except OSError as error:
                raise _cannot_lock(self._lock, error) from error
            else:
                return self.status() is None
        return False


class JobFolder:
    """The jobs of a device.

    Args:
        who: whose device it is.
    """

    def __init__(self, who: Credential) -> None:
        device = "\n".join((who.server, who.name.lower(), who.device))
        digest = hashlib.sha256(device.encode()).hexdigest()[:32]
        self._folder = platformdirs.user_state_path("twotick") / "jobs" / f"{digest}.d"
        self._handled: deque[Job] = deque()

    def open(self, cursor: int) -> None:
        """Make the folder if there is none, and remove what is not needed any more.

        Args:
            cursor: the number, in the log, up to which the device has everything.

        Raises:
            CannotSave: the folder cannot be used.
        """
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for file in self._folder.iterdir():
                name = _NUMBER.fullmatch(file.name.partition(".")[0])
                if name is not None and int(name[1]) <= cursor:
                    file.unlink(missing_ok=True)
        except OSError as error:
            raise _cannot_lock(self._folder, error) from error

    def job(self, message: MemberMessage) -> Job:
        """Return the job of a message. Another log, after a backup was restored, gives another message its number."""
        told = (message.sender, message.recipient, message.id, message.fields.get("time", ""))
        if message.is_guest:  # a member may have the name by now
            told = (*told, "guest")
        digest = hashlib.sha256("\n".join(told).encode() + b"\n" + message.body).hexdigest()[:32]
        return Job(self._folder, f"{message.seq}-{digest}")

    def handled(self, job: Job) -> None:
        """Note that the message of a job is acknowledged or refused."""
        self._handled.append(job)
        if len(self._handled) > _KEPT:
            self._handled.popleft().remove()


def _cannot_lock(lock: Path, error: OSError) -> CannotSave:
    name = visible(str(lock), keep="")
    return CannotSave(
        f"cannot lock {name}: {error.strerror}. Without the lock, a command could run twice for a message"
    )
