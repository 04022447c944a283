"""Asks the store in a thread of its own, so that the event loop never waits for the disk."""

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from twotick.exchange import Histogram
from twotick.server.asking import Asked, RequestQueue
from twotick.server.awaiting import stored_answer
from twotick.server.failures import FailureLog
from twotick.server.logs import log
from twotick.store import Answer, Damaged, DatabaseFailure, Effects, Request, Store, StoreError, Unfinished, Work

_BATCH = 512
"""The most requests in one transaction, so that the first of them does not wait for very many others."""

_GATHER = 0.0003
"""Seconds to wait for more requests after a batch of a few. Each transaction costs as much CPU as several requests."""

_FEW = range(2, 64)
"""The sizes of batches after which this pays: one request alone has no company, and many form a batch by themselves."""

_IDLE = 1.0
"""Seconds between steps of tidying while there is nothing to tidy."""

_AFTER_FAILURE = 60.0
"""Seconds until the next step of tidying after one has failed."""

_STOPPING = "the server stops"

_LOOK: Final[list[Asked]] = []
"""Stands for the question whether another process has changed the database."""


class Storage:
    """A store in a thread: what arrives while the thread is busy goes into its next transactions.

    Users take turns if that is too much for one (see `RequestQueue`). The number of waiting requests is bounded by
    those who ask: a connection has few requests at a time.

    Args:
        store: the store; from now on only the thread uses it.
        on_answers: called in the event loop after callbacks were called.
        on_change: called in the event loop when another process has changed the database.
        on_effects: called in the event loop with what a part of a long request has changed.

    Attributes:
        waiting: how many requests have no answer yet.
        commits: how long transactions took.
        is_full: whether the disk is so full that requests that add much are refused.
    """

    def __init__(
        self,
        store: Store,
        on_answers: Callable[[], None],
        on_change: Callable[[], None],
        on_effects: Callable[[Effects], None],
    ) -> None:
        self.waiting = 0
        self._store = store
        self._on_answers = on_answers
        self._on_change = on_change
        self._on_effects = on_effects
        self._loop = asyncio.get_running_loop()
        self._asked: queue.SimpleQueue[list[Asked] | None] = queue.SimpleQueue()
        self._failures = FailureLog()
        self.commits = Histogram()
        self.is_full = False
        self._next_tidying = 0.0
        self._cannot_tidy_now = False
        self._thread = threading.Thread(target=self._work, name="store", daemon=True)
        self._thread.start()

    def submit(self, asked: list[Asked]) -> None:
        """Carry out requests, and call their callbacks with the answers or with a StoreError.

        The requests of one user are carried out in their order. All callbacks are called in the order in which the
        requests were carried out.
        """
        self.waiting += len(asked)
        self._asked.put(asked)

    def look_for_changes(self) -> None:
        """Find out whether another process has changed the database."""
        self._asked.put(_LOOK)

    async def ask(self, request: Request[Answer]) -> Answer:
        """Carry out one request.

        Returns:
            Its answer.

        Raises:
            StoreError: it could not be carried out.
        """
        answer = await stored_answer(lambda each, take: self.submit([(each, take)]), request)
        if isinstance(answer, StoreError):
            raise answer
        return answer

    async def close(self) -> None:
        """Carry out what was asked, and close the store."""
        self._asked.put(None)
        await asyncio.to_thread(self._thread.join)

    # In the thread

    def _work(self) -> None:
        turns = RequestQueue()
        more = True
        while more or turns:
            look = False
            while more and (((rest := self._rest(turns)) and not look) or not self._asked.empty()):
                asked = self._next(turns, rest)
                more = asked is not None
                look |= asked is _LOOK
                turns.add(asked or [], time.monotonic())
            batch = turns.take(_BATCH, time.monotonic(), short=self._store.is_behind, hurry=not more)
            if batch:
                self._carry_out(batch, turns, is_last=not more)
                if len(batch) in _FEW and not turns:
                    time.sleep(_GATHER)
            elif turns:
                self._catch_up(turns)
            if look:
                self._look()
        self._store.close()

    def _carry_out(self, batch: list[Asked], turns: RequestQueue, *, is_last: bool) -> None:
        """Carry out some of a batch of requests in one transaction.

        Args:
            batch: the requests.
            turns: takes those that are left.
            is_last: whether no part of a long request is to follow, since the server stops.
        """
        began, used = time.monotonic(), time.thread_time()
        work = self._apply(batch)
        ended = time.monotonic()
        self.commits.note(ended - began)
        self._note_room()
        failures = [answer for answer in work.answers if isinstance(answer, StoreError)]
        if failures:
            self._loop.call_soon_threadsafe(self._failures.note, failures[0])
            work.answers[:] = map(_for_users, work.answers)
        done = len(work.answers)
        carried_out, left = batch[:done], batch[done:]
        last = work.answers[-1]
        if isinstance(last, Unfinished):
            if is_last and last.is_begun:
                work.answers[-1] = StoreError(_STOPPING)
            else:
                left.insert(0, (last.rest, batch[done - 1][1]))
        turns.done(carried_out, work.costs, left, used=time.thread_time() - used, now=ended)
        self._loop.call_soon_threadsafe(self._answer, carried_out, work.answers)

    def _catch_up(self, turns: RequestQueue) -> None:
        """Tidy a little, while only long requests wait, which would leave more to tidy."""
        if self._tidy(turns) == _AFTER_FAILURE:
            told = turns.take(_BATCH, time.monotonic(), hurry=True)  # what is wrong
            self._carry_out(told, turns, is_last=False)

    def _rest(self, turns: RequestQueue) -> float:
        return turns.rest(time.monotonic(), is_behind=self._store.is_behind)

    def _next(self, turns: RequestQueue, most: float) -> list[Asked] | None:
        """Take what was asked next; tidy the store while there is nothing.

        Args:
            turns: the requests that wait already.
            most: after so many seconds, return an empty list if nothing was asked.
        """
        end = time.monotonic() + most
        while True:
            now = time.monotonic()
            is_urgent = self._store.has_backlog and not self._cannot_tidy_now
            tidying = now + turns.rest_of_tidying(now) if is_urgent else self._next_tidying
            wait = max(0.0, min(tidying, end) - now)
            try:
                return self._asked.get(timeout=wait) if wait else self._asked.get_nowait()
            except queue.Empty:
                if now + wait >= end:
                    return []
                self._next_tidying = time.monotonic() + self._tidy(turns)
                self._note_room()

    def _tidy(self, turns: RequestQueue) -> float:
        """Tidy a little. Return after how many seconds to go on."""
        began = time.thread_time()
        self._cannot_tidy_now = True
        try:
            more = self._store.tidy()
        except StoreError as error:
            self._loop.call_soon_threadsafe(self._cannot_tidy, error)
        except Exception as error:  # a defect must not end the thread, on which all requests wait
            context = {"message": "the store cannot be tidied", "exception": error}
            self._loop.call_soon_threadsafe(self._loop.call_exception_handler, context)
        else:
            self._cannot_tidy_now = False
            return 0.0 if more else _IDLE
        finally:
            turns.tidied(time.thread_time() - began, time.monotonic())
        return _AFTER_FAILURE

    def _apply(self, batch: list[Asked]) -> Work:
        try:
            return self._store.work_on([request for request, _ in batch])
        except Exception as error:
            if len(batch) > 1 and (isinstance(error, Damaged) or not isinstance(error, StoreError)):
                return self._apply(batch[: len(batch) // 2])  # the others do not meet the damage, or the defect
            reason = self._report(error)
        return Work([reason] * len(batch), [1] * len(batch))

    def _report(self, error: Exception) -> StoreError:
        """Return what those who asked are told; a defect is logged."""
        if isinstance(error, StoreError):
            return error
        context = {"message": "the store cannot carry out a request", "exception": error}
        self._loop.call_soon_threadsafe(self._loop.call_exception_handler, context)
        return StoreError("the server made a mistake, which is in its log")

    def _note_room(self) -> None:
        """Log if the disk has become full, or has room again."""
        is_full = self._store.is_full
        if is_full is not self.is_full:
            self.is_full = is_full
            self._loop.call_soon_threadsafe(self._failures.note_room, is_full)

    def _look(self) -> None:
        try:
            changed = self._store.changed()
        except StoreError as error:
            self._loop.call_soon_threadsafe(self._failures.note, error)
            return
        if changed:
            self._loop.call_soon_threadsafe(self._on_change)

    # In the event loop

    def _cannot_tidy(self, error: StoreError) -> None:
        log.warning("new messages cannot be found", reason=str(error))  # tidying adds them to the index of words

    def _answer(self, carried_out: list[Asked], answers: list[Any]) -> None:
        for (_, callback), answer in zip(carried_out, answers, strict=True):
            if isinstance(answer, Unfinished):
                self._on_effects(answer.effects)
            else:
                self.waiting -= 1
                try:
                    callback(answer)
                except Exception as error:  # a defect must not leave the others without an answer
                    context = {"message": "an answer of the store cannot be handled", "exception": error}
                    self._loop.call_exception_handler(context)
        self._on_answers()


def _for_users(answer: Any) -> Any:
    """Return an answer, without what only the operator can make use of."""
    return StoreError(answer.told) if isinstance(answer, DatabaseFailure) else answer
