"""Lets the operator's commands write to a database that a server writes to without a pause.

SQLite has no queue for its lock: a process that waits for the lock only looks now and then whether it is free. So a
command holds the file `turn` while it waits, and the server begins no transaction as long as a command does.
"""

import fcntl
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_FILE: Final = "turn"

_LOOK: Final = 0.001
"""Seconds between looks of the server whether a command still waits."""

_LOOKS: Final = 1000
"""The most looks for one transaction: a command that does not go on must not stop the server."""


class Turn:
    """The file by which the server learns that a command waits.

    Args:
        folder: the data folder.

    Raises:
        OSError: the file cannot be opened.
    """

    def __init__(self, folder: Path) -> None:
        self._number = os.open(folder / _FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def give_way(self) -> None:
        """Wait, as the server, until no command waits, but for about a second at most."""
        for _ in range(_LOOKS):
            try:
                fcntl.flock(self._number, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(_LOOK)
            else:
                fcntl.flock(self._number, fcntl.LOCK_UN)
                return

    @contextmanager
    def taken(self) -> Generator[None]:
        """Keep the server from beginning a transaction, as a command; other commands wait for the end of this."""
        fcntl.flock(self._number, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._number, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the file."""
        os.close(self._number)
