"""What an exchange leaves for its driver to do."""

from collections import deque
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar, overload

from twotick.exchange.connection import GONE, Connection
from twotick.store import Answer, Request, StoreError, Together

_First = TypeVar("_First")
_Second = TypeVar("_Second")
_Third = TypeVar("_Third")

Asked: TypeAlias = tuple[Request[Any], Callable[[Any], None]]
"""A request, and the callback for its answer or for the StoreError that says why there is none. `Output.ask` checks
that the two fit together."""


class Output:
    """What an exchange leaves for its driver. The driver empties each of the three after it has acted on it.

    Attributes:
        written: the connections that have output; one may appear twice.
        changed: the connections that are closing, paused or resumed; one may appear twice.
        requests: the requests for the store, in order, each with the callback for its answer. The driver may let users
            take turns, but must keep the requests of each user in order. It must call the callbacks in the order in
            which the requests are carried out.
    """

    def __init__(self) -> None:
        self.written: deque[Connection] = deque()
        self.changed: deque[Connection] = deque()
        self.requests: list[Asked] = []

    def write(self, connection: Connection, *chunks: bytes) -> None:
        """Write to a connection, unless it is closing."""
        if connection.closing:
            return
        out = connection.out
        if not out:
            self.written.append(connection)
        if len(chunks) == 1:
            out.append(chunks[0])
        else:
            out += chunks

    def close(self, connection: Connection) -> None:
        """Close a connection after its output. The exchange takes no frames from it any more."""
        connection.closing = True
        connection.next_answer = GONE
        self.changed.append(connection)

    def ask(self, request: Request[Answer], callback: Callable[[Answer | StoreError], None]) -> None:
        """Send a request to the store; the callback is called with its answer."""
        self.requests.append((request, callback))

    @overload
    def ask_together(
        self,
        requests: tuple[Request[_First], Request[_Second]],
        callback: Callable[[_First | StoreError, _Second | StoreError], None],
    ) -> None: ...

    @overload
    def ask_together(
        self,
        requests: tuple[Request[_First], Request[_Second], Request[_Third]],
        callback: Callable[[_First | StoreError, _Second | StoreError, _Third | StoreError], None],
    ) -> None: ...

    def ask_together(self, requests: tuple[Request[Any], ...], callback: Callable[..., None]) -> None:
        """Send requests to the store, to be carried out in this order with nothing in between.

        Args:
            requests: the requests.
            callback: called once, with all answers.
        """

        def take(answers: tuple[Any, ...] | StoreError) -> None:
            callback(*([answers] * len(requests) if isinstance(answers, StoreError) else answers))

        self.ask(Together(requests), take)
