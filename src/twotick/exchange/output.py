"""What an exchange leaves for its driver to do."""

from collections import deque
from collections.abc import Callable
from typing import Any, TypeAlias

from twotick.exchange.connection import GONE, Connection
from twotick.store import Request

Callback: TypeAlias = Callable[[Any], None]
"""Takes the answer to a request, or the StoreError that says why there is none."""


class Output:
    """What an exchange leaves for its driver. The driver empties each of the three after it has acted on it.

    Attributes:
        written: the connections that have output; one may appear twice.
        changed: the connections that are closing, paused or resumed; one may appear twice.
        requests: the requests for the store, in order, each with the callback for its answer. The driver must call the
            callbacks in the order of the requests.
    """

    def __init__(self) -> None:
        self.written: deque[Connection] = deque()
        self.changed: deque[Connection] = deque()
        self.requests: list[tuple[Request[Any], Callback]] = []

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

    def ask(self, request: Request[Any], callback: Callback) -> None:
        """Send a request to the store."""
        self.requests.append((request, callback))
