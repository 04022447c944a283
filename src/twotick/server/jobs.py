"""What the server asks of its store from time to time."""

import asyncio
import math
import time
from collections.abc import Callable

from twotick.server.logs import log
from twotick.server.storage import Storage
from twotick.store import ListMembers, Member, Prune, StoreError

_LOOK_FOR_CHANGES = 1.0
"""Seconds between looks whether another process has changed the members."""

_PRUNE = 3600.0
"""Seconds between looks for messages that are too old (rule 11.13)."""


class PeriodicJobs:
    """Prunes old messages, and notices when another process has changed the members.

    Args:
        storage: the store.
        retention: the seconds after which messages that every device has are removed.
        on_members: called with all members when they may have changed.
    """

    def __init__(self, storage: Storage, retention: float, on_members: Callable[[list[Member]], None]) -> None:
        self._storage = storage
        self._retention = retention
        self._on_members = on_members
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

    def changed(self) -> None:
        """Another process has changed the database: read the members again."""
        self._storage.submit([(ListMembers(), self._know)])

    def _know(self, members: list[Member] | StoreError) -> None:
        if not isinstance(members, StoreError):  # a store that fails is reported to each connection that needs it
            self._on_members(members)

    def _pruned(self, more: bool | StoreError) -> None:
        if isinstance(more, StoreError):
            log.warning("old messages cannot be removed", reason=str(more))
        self._next_prune = self._loop.time() + (0.0 if more is True else _PRUNE)
