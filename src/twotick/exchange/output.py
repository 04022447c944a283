"""What an exchange leaves behind for its driver to do."""

from collections import deque
from collections.abc import Callable
from typing import Any, TypeAlias

from twotick.exchange.session import GONE, Session, Stage
from twotick.store import Request

Callback: TypeAlias = Callable[[Any], None]
"""Takes the answer to a request: what records.py says, or the StoreError that says why there is none."""


class Output:
    """What an exchange leaves behind. The driver empties what it looks at.

    Attributes:
        written: the sessions that have output; one may be in it twice.
        changed: the sessions that are closing, paused or resumed; one may be in it twice.
        requests: what the store is asked, in order, each with the callback for the answer. Callbacks must be called in
            the order of their requests.
    """

    def __init__(self) -> None:
        self.written: deque[Session] = deque()
        self.changed: deque[Session] = deque()
        self.requests: list[tuple[Request, Callback]] = []

    def write(self, session: Session, *chunks: bytes) -> None:
        """Write to a connection, unless it is closing."""
        if session.closing:
            return
        out = session.out
        if not out:
            self.written.append(session)
        if len(chunks) == 1:
            out.append(chunks[0])
        else:
            out += chunks

    def close(self, session: Session) -> None:
        """Close a connection after what was written to it."""
        session.closing = True
        session.stage = Stage.OVER
        session.next_answer = GONE
        self.changed.append(session)

    def ask(self, request: Request, callback: Callback) -> None:
        """Ask the store."""
        self.requests.append((request, callback))
