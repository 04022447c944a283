"""How the server asks its store: in a thread if the disk has to be waited for, at once if not."""

import asyncio
import queue
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, TypeAlias, cast

from twotick.store import Member, Members, MemoryStore, Request, SqliteStore, StoreError

_BATCH = 512
"""Requests in one transaction at most, so that the first of them need not wait for very many others."""

_Asked: TypeAlias = tuple[Request, Callable[[Any], None]]


class Storage(ABC):
    """A store, as the server uses it.

    The number of requests that wait is bounded by those who ask: a connection has few requests at a time.

    Attributes:
        waiting: how many requests have no answer yet.
    """

    def __init__(self) -> None:
        self.waiting = 0

    @abstractmethod
    def submit(self, asked: list[_Asked]) -> None:
        """Have requests carried out, and their callbacks called with the answers or with a StoreError, in order."""

    @abstractmethod
    def look_for_members(self) -> None:
        """Find out whether another process has changed the members."""

    @abstractmethod
    async def close(self) -> None:
        """Carry out what was asked, and close the store."""

    async def ask(self, request: Request) -> Any:
        """Have one request carried out.

        Returns:
            Its answer.

        Raises:
            StoreError: it could not be done.
        """
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.submit([(request, lambda result: None if answer.done() else answer.set_result(result))])
        result = await answer
        if isinstance(result, StoreError):
            raise result
        return result


class MemoryStorage(Storage):
    """A store that answers at once.

    Args:
        store: the store.
    """

    def __init__(self, store: MemoryStore) -> None:
        super().__init__()
        self._store = store

    def submit(self, asked: list[_Asked]) -> None:
        """See Storage."""
        self._store.answer(asked)

    def look_for_members(self) -> None:
        """See Storage. No other process has a part in it."""

    async def close(self) -> None:
        """See Storage."""
        self._store.close()


class DiskStorage(Storage):
    """A store in a thread of its own: whatever comes in while it is busy goes into its next transaction.

    Args:
        store: the store; from now on it is used by the thread alone.
        on_members: called with all members when another process has changed them, and once at the start.
        on_answers: called after callbacks were called.
    """

    def __init__(
        self, store: SqliteStore, on_members: Callable[[list[Member]], None], on_answers: Callable[[], None]
    ) -> None:
        super().__init__()
        self._store = store
        self._on_members = on_members
        self._on_answers = on_answers
        self._loop = asyncio.get_running_loop()
        self._asked: queue.SimpleQueue[list[_Asked] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="store", daemon=True)
        self._thread.start()

    def submit(self, asked: list[_Asked]) -> None:
        """See Storage."""
        self.waiting += len(asked)
        self._asked.put(asked)

    def look_for_members(self) -> None:
        """See Storage."""
        self._asked.put([])

    async def close(self) -> None:
        """See Storage."""
        self._asked.put(None)
        await asyncio.to_thread(self._thread.join)

    # In the thread

    def _work(self) -> None:
        self._tell_members(True)
        more = True
        while more:
            batch: list[_Asked] = []
            look = False
            while more and len(batch) < _BATCH and (not (batch or look) or not self._asked.empty()):
                asked = self._asked.get()
                more = asked is not None
                look |= asked == []
                batch += asked or []
            if batch:
                self._loop.call_soon_threadsafe(self._answer, batch, self._apply(batch))
            if look:
                self._tell_members(False)
        self._store.close()

    def _apply(self, batch: list[_Asked]) -> list[Any]:
        try:
            return list(self._store.apply([request for request, _ in batch]))
        except StoreError as error:
            return [error] * len(batch)
        except Exception as error:  # a mistake of ours must not leave everybody without an answer
            context = {"message": "the store cannot carry out a request", "exception": error}
            self._loop.call_soon_threadsafe(self._loop.call_exception_handler, context)
            return [StoreError("the server made a mistake, which is in its log")] * len(batch)

    def _tell_members(self, anyway: bool) -> None:
        try:
            if self._store.changed() or anyway:
                (members,) = self._store.apply([Members()])
                self._loop.call_soon_threadsafe(self._on_members, cast(list[Member], members))
        except StoreError:
            return  # a disk that cannot be read is reported to everyone who asks for something

    # In the event loop

    def _answer(self, batch: list[_Asked], results: list[Any]) -> None:
        self.waiting -= len(batch)
        for (_, callback), result in zip(batch, results, strict=True):
            callback(result)
        self._on_answers()
