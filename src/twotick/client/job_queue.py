"""Jobs: so many at once, and what belongs together one after the other."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Final

_WAITING: Final = 1024
"""How much work may wait, besides what is being done."""


class JobQueue:
    """Jobs that wait for their turn.

    Args:
        at_once: how many are done at the same time.

    Attributes:
        failed: gets the first exception that a job has raised.
    """

    def __init__(self, at_once: int) -> None:
        if at_once < 1:
            raise ValueError("at least one job must be done at once")
        self._places = asyncio.Semaphore(at_once)
        self._room = asyncio.Semaphore(at_once + _WAITING)
        self._last: dict[Hashable, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closed = False
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def add(self, key: Hashable, work: Callable[[], Awaitable[None]]) -> None:
        """Let something be done. Wait if too much waits already.

        Args:
            key: what it belongs to: work with the same key is done one after the other, in this order.
            work: does it.
        """
        await self._room.acquire()
        task = asyncio.create_task(self._do(self._last.get(key), work))
        self._last[key] = task
        self._tasks.add(task)
        task.add_done_callback(lambda _: self._done(key, task))

    async def _do(self, before: asyncio.Task[None] | None, work: Callable[[], Awaitable[None]]) -> None:
        if before is not None:
            await asyncio.wait([before])
        async with self._places:
            if not self._is_closed and not self.failed.done():
                await work()

    def _done(self, key: Hashable, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._room.release()
        if self._last.get(key) is task:
            del self._last[key]
        if not task.cancelled() and (error := task.exception()) is not None and not self.failed.done():
            self.failed.set_exception(error)

    @property
    def under_way(self) -> int:
        """How many jobs are being done, or wait."""
        return len(self._tasks)

    def close(self) -> None:
        """Begin no further job. Those that wait are never done."""
        self._is_closed = True

    async def finish(self) -> None:
        """Wait until all is done. If the caller is cancelled, what is left is cancelled too, and waited for."""
        try:
            while self._tasks:
                await asyncio.wait(self._tasks)
        except asyncio.CancelledError:
            await self.cancel()
            raise

    def hurry(self) -> None:
        """Cancel what is left."""
        for task in self._tasks:
            task.cancel()

    async def cancel(self) -> None:
        """Cancel what is left, and wait until it has ended."""
        while self._tasks:
            self.hurry()
            try:
                await asyncio.wait(self._tasks)
            except asyncio.CancelledError:
                continue  # the caller is in a hurry, and so are the jobs from now on
