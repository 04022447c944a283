"""How the parts of the exchange learn what a request has changed in the store."""

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from twotick.exchange.output import Output
from twotick.store import (
    Acknowledge,
    ContinueRemoval,
    Effects,
    Expire,
    MarkRead,
    Refuse,
    Settle,
    SettleLost,
    StoreError,
    TellOfAbsence,
)

_Request: TypeAlias = Acknowledge | Refuse | MarkRead | Settle | Expire | TellOfAbsence | ContinueRemoval | SettleLost

_PERIODIC = (Expire, TellOfAbsence, ContinueRemoval, SettleLost)
"""Requests that are asked from time to time, and need not be repeated."""

_MOST_FAILED = 4096
"""The most requests that are kept to be asked again. Beyond that the oldest are dropped: a device states what it has
when it connects again."""

_LONGEST_WAIT = 60.0
"""The longest time, in seconds, until requests that failed are asked again. It doubles from one second on."""


class EffectsPublisher:
    """Passes the effects of requests on to the parts that act on them.

    Args:
        output: takes the requests.

    Attributes:
        output: see above.
        listeners: called with the effects of each request, in this order.
    """

    def __init__(self, output: Output) -> None:
        self.output = output
        self.listeners: list[Callable[[Effects], None]] = []
        self._failed: deque[_Request] = deque()
        self._wait = 0.0
        self._next = 0.0

    def publish(self, effects: Effects) -> None:
        """Pass effects on."""
        for listener in self.listeners:
            listener(effects)

    def ask(self, request: _Request) -> None:
        """Send a request whose only answer is its effects, and publish these.

        If the store fails, for example because the disk is full, the request is asked again later (see `tick`). Until
        then others wait behind it, so that they are carried out in their order.
        """
        if self._failed and not isinstance(request, _PERIODIC):
            self._fail(request)
        else:
            self.output.ask(request, partial(self._answered, request))

    def _answered(self, request: _Request, result: Effects | StoreError) -> None:
        if isinstance(result, Effects):
            self._wait = 0.0
            self.publish(result)
        elif not isinstance(request, _PERIODIC):
            self._fail(request)

    def _fail(self, request: _Request) -> None:
        self._failed.append(request)
        if len(self._failed) > _MOST_FAILED:
            self._failed.popleft()

    def tick(self, now: float) -> None:
        """Ask again what the store could not do; `now` is in seconds on a clock that does not go back."""
        if not self._failed or now < self._next:
            return
        self._wait = min(self._wait * 2 or 1.0, _LONGEST_WAIT)
        self._next = now + self._wait
        self.ask_again()

    def ask_again(self) -> None:
        """Ask again now what the store could not do."""
        failed, self._failed = self._failed, deque()
        for request in failed:
            self.ask(request)
