"""What the server asks of its store from time to time."""

import asyncio
import math
from collections.abc import Callable
from functools import partial

from twotick.server.clock import StoreClock, describe_difference
from twotick.server.logs import log
from twotick.server.storage import Storage
from twotick.store import KeepTime, Prune, StoreError
from twotick.wire import time_text

_LOOK_FOR_CHANGES = 1.0
"""Seconds between looks whether another process has changed the database, for example its members."""

_HOUR = 3600.0
"""Seconds between looks for messages that are too old (rule 11.13). As often, the time is kept."""

_OTHERS = 2 * _HOUR
"""Seconds by which a time may differ that another server has kept: each keeps it once an hour."""


class PeriodicJobs:
    """Prunes old messages, keeps the time, and looks whether another process has changed the database.

    Args:
        storage: the store.
        retention: the seconds after which messages that every device has are removed.
        clock: the time by which messages age.
        kept: the time that the store has kept, in seconds since 1970; None if it has kept none.
        settling: the seconds from now on in which nothing is pruned.
        leads: tells whether this server prunes for all that share the database.
        is_shared: whether there are others, which keep the time as well.
    """

    def __init__(
        self,
        storage: Storage,
        retention: float,
        clock: StoreClock,
        kept: int | None,
        settling: float,
        *,
        leads: Callable[[], bool],
        is_shared: bool,
    ) -> None:
        self._storage = storage
        self._leads = leads
        self._tolerance = _OTHERS if is_shared else 0.0
        self._retention = retention
        self._clock = clock
        self._kept = kept
        self._loop = asyncio.get_running_loop()
        self._next_look = 0.0
        self._next_prune = self._loop.time() + settling
        self._next_keeping = 0.0
        self._was_believed = True
        self._is_keeping = False

    def keep_for(self, retention: float) -> None:
        """Remove messages after another time from now on, in seconds."""
        self._retention = retention

    def tick(self, now: float) -> None:
        """Start the jobs that are due; `now` is the time of the event loop, in seconds."""
        if now >= self._next_look:
            self._next_look = now + _LOOK_FOR_CHANGES
            self._storage.look_for_changes()
        is_believed = self._clock.is_believed
        if is_believed is not self._was_believed or (not is_believed and now >= self._next_keeping):
            self._was_believed = is_believed
            self._report_clock()
            self._next_keeping = now
        if now >= self._next_keeping:
            self._next_keeping = now + _HOUR
            self.keep_time()
        if now >= self._next_prune and self._leads():
            self._next_prune = math.inf
            time = self._clock()
            future = time + self._clock.bound if self._clock.is_believed else math.inf
            self._storage.submit([(Prune(time, self._retention, future), self._pruned)])

    def keep_time(self) -> None:
        """Keep the time, and find out whether the operator has accepted another one."""
        if not self._is_keeping:
            self._is_keeping = True
            time = int(self._clock())
            self._storage.submit([(KeepTime(time, self._kept, self._tolerance), partial(self._time_kept, time))])

    def _time_kept(self, time: int, kept: int | StoreError) -> None:
        self._is_keeping = False
        if isinstance(kept, StoreError):
            log.warning("the time cannot be kept", reason=str(kept))
            return
        self._kept = kept
        if kept != time:
            self._clock.set(kept)

    def _report_clock(self) -> None:
        if self._was_believed:
            log.warning("the system's clock is believed again")
            return
        log.warning(
            "the system's clock is not believed",
            reason=f"it is {describe_difference(self._clock.ahead)} the time that the server expects",
            expected=time_text(self._clock()).decode(),
            advice="nothing is lost, but messages, files and deadlines age by the expected time: set the clock right,"
            " or run 'twotick clock --accept' if it is right",
        )

    def _pruned(self, more: bool | StoreError) -> None:
        if isinstance(more, StoreError):
            log.warning("old messages cannot be removed", reason=str(more))
        self._next_prune = self._loop.time() + (0.0 if more is True else _HOUR)
