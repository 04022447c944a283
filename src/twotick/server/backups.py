"""Backups that the server makes by itself, each by the command that the operator has too, in a process of its own."""

import asyncio
import contextlib
import os
import re
import signal
import sys
import time
from pathlib import Path
from typing import Final

from twotick.server.logs import log

_LOOK: Final = 60.0
"""Seconds between looks whether a backup is due."""

_PATIENCE: Final = 5.0
"""Seconds in which a command ends that is told to."""

_NAME: Final = re.compile(r"twotick-\d{4}-\d\d-\d\dT\d{6}Z\.db")

_AGAIN: Final = 3600.0
"""The longest time, in seconds, until one is tried again that has failed."""


class Backups:
    """Makes backups from `start` to `stop`.

    Args:
        data: the folder of the data.
        folder: where the backups are.
        every: the seconds from one to the next.
        keep: how many are kept.

    Attributes:
        every: see above.
        newest: when the newest was made, in seconds since 1970; None if there is none.
        busy: whether it is being looked which is the newest, or one is being made.
    """

    def __init__(self, data: Path, folder: Path, every: float, keep: int) -> None:
        self.every = every
        self.newest: float | None = None
        self.busy = True
        self._folder = folder.absolute()
        self._command = (
            *(sys.executable, "-P", "-m", "twotick", "backup", "--folder", str(self._folder)),
            *("--keep", str(keep), "--data", str(data.absolute())),
        )
        self._failed = 0.0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Make the backups that are due, from now on."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Make no more backups; one that is being made is left unfinished."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            self.busy = True
            self.newest = await asyncio.to_thread(newest_backup, self._folder)
            now = time.time()
            due = self.newest is None or not 0 <= now - self.newest < self.every
            if due and not 0 <= now - self._failed < min(self.every, _AGAIN):
                await self._make()
            self.busy = False
            await asyncio.sleep(min(_LOOK, self.every))

    async def _make(self) -> None:
        """Make a backup in another process, which cannot slow the server down."""
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
            )
        except OSError as error:
            self._fail(str(error))
            return
        try:
            _, said = await process.communicate()
        except asyncio.CancelledError:
            process.send_signal(signal.SIGINT)  # it removes the unfinished copy
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), _PATIENCE)
            raise
        if process.returncode:
            self._fail(said.decode(errors="replace").strip() or f"the command ended with status {process.returncode}")
        else:
            self.newest = await asyncio.to_thread(newest_backup, self._folder)

    def _fail(self, reason: str) -> None:
        self._failed = time.time()
        log.error("the backup failed", reason=reason, folder=str(self._folder))


def backup_name() -> str:
    """Return the name of a backup that is made now."""
    return f"twotick-{time.strftime('%Y-%m-%dT%H%M%SZ', time.gmtime())}.db"


def backups_in(folder: Path) -> list[Path]:
    """Return the backups in a folder, in the order of their names. Files that others put there are none.

    Raises:
        OSError: the folder cannot be read.
    """
    return sorted(each for each in folder.iterdir() if _NAME.fullmatch(each.name) and each.is_file())


def newest_backup(folder: Path) -> float | None:
    """Return when the newest backup in a folder was made, in seconds since 1970; None if there is none."""
    try:
        return max((os.stat(each).st_mtime for each in backups_in(folder)), default=None)  # noqa: PTH116
    except OSError:
        return None
