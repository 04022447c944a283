"""Copies the write-ahead log into the database file in a thread of its own, so that no batch waits for it.

SQLite otherwise does this at the end of a commit: it writes thousands of pages all over the file and syncs it, and
every sender waits for that. A passive checkpoint runs beside the writer. It can copy everything, and so let the log
begin anew, only if the writer does not write meanwhile. So when the log is long and nearly all of it is copied, the
writer copies the small rest (`DatabaseFile.finish_checkpoint`).
"""

import sqlite3
import threading
from collections.abc import Callable
from typing import Final

from twotick.store.port import StoreError

_LONG: Final = 8192
"""The pages of the log from which on it should begin anew: 32 MiB."""


class Checkpointer:
    """A thread that copies the write-ahead log when it is woken.

    Args:
        connect: opens a connection of the thread's own.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self.lock = threading.Lock()
        """Held while the log is being copied."""
        self._wake = threading.Event()
        self._closing = False
        self.is_long = False
        """Whether the log is long, and nearly all of it is copied."""
        self._thread = threading.Thread(target=self._work, name="checkpoints", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Copy the log soon."""
        self._wake.set()

    def close(self) -> None:
        """End the thread."""
        self._closing = True
        self._wake.set()
        self._thread.join()

    def _work(self) -> None:
        connection: sqlite3.Connection | None = None
        while True:
            self._wake.wait()
            self._wake.clear()
            if self._closing:
                break
            try:
                connection = connection or self._connect()
                with self.lock:
                    _, pages, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                self.is_long = pages > _LONG
            except (sqlite3.Error, StoreError):
                # The log stays as it is, and loses nothing. A disk that fails is reported by the next batch.
                continue
        if connection is not None:
            connection.close()
