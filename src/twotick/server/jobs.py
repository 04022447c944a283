"""What the server asks of its store from time to time."""

import asyncio
import math
import time

from twotick.server.logs import log
from twotick.server.storage import Storage
from twotick.store import Prune, StoreError

_LOOK_FOR_CHANGES = 1.0
"""Seconds between looks whether another process has changed the database, for example its members."""

_PRUNE = 3600.0
"""Seconds between looks for messages that are too old (rule 11.13)."""


class PeriodicJobs:
    """Prunes old messages, and looks whether another process has changed the database.

    Args:
        storage: the store.
        retention: the seconds after which messages that every device has are removed.
    """

    def __init__(self, storage: Storage, retention: float) -> None:
        self._storage = storage
        self._retention = retention
        self._loop = asyncio.get_running_loop()
        self._next_look = 0.0
        self._next_prune = 0.0

    def tick(self, now: float) -> None:
        """Start the jobs that are due; `now` is the time of the event loop, in seconds."""
        if now >= self._next_look:
            self._next_look = now + _LOOK_FOR_CHANGES
            self._storage.look_for_changes()
        if now >= self._next_prune:
            self._next_prune = math.inf
            self._storage.submit([(Prune(time.time(), self._retention), self._pruned)])

    def _pruned(self, more: bool | StoreError) -> None:
        if isinstance(more, StoreError):
            log.warning("old messages cannot be removed", reason=str(more))
        self._next_prune = self._loop.time() + (0.0 if more is True else _PRUNE)
