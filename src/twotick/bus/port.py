"""What servers see of the bus between them."""

import re
from collections.abc import Callable
from typing import Protocol, TypeAlias

Reply: TypeAlias = Callable[[bytes], None]
"""Answers a request. Only the first answer counts."""

_SUBJECT = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


class BusError(Exception):
    """The bus cannot be used as it is configured. The message is one line that says why and what to do."""


class BusAway(Exception):
    """The bus cannot carry a request now. It is not known whether one that was under way has arrived."""


class NoResponder(Exception):
    """No server answers requests on this subject."""


class Bus(Protocol):
    """A bus between servers.

    A *hint* goes to all servers that have subscribed to its subject. It may be lost, for example because a queue is
    full, so what depends on it must be found in another way as well. A *request* goes to a server that serves its
    subject. A bus has one handler for a subject. It is called in the event loop, for one message at a time, in the
    order in which a server has sent them. A subject is one or more words of A-Z a-z 0-9 `_` `-`, joined by dots.
    """

    @property
    def connected(self) -> bool:
        """Whether hints and requests reach other servers now."""
        ...

    @property
    def dropped(self) -> int:
        """How many hints this server has lost, as their sender or as their receiver."""
        ...

    async def open(self, on_change: Callable[[str | None], None]) -> None:
        """Connect, and connect again whenever the connection is lost.

        Args:
            on_change: called with None when there is a connection, and with the reason when there is none.

        Raises:
            BusError: the bus refuses this server. A bus that is away is no error.
        """
        ...

    def publish(self, subject: str, data: bytes) -> None:
        """Send a hint. It is dropped and counted if there is no connection, or too much waits already."""
        ...

    def subscribe(self, subject: str, handler: Callable[[bytes], None]) -> None:
        """Call a handler for each hint on a subject, also for those of this server."""
        ...

    def serve(self, subject: str, handler: Callable[[bytes, Reply], None]) -> None:
        """Call a handler for each request on a subject. It answers at once or later."""
        ...

    def leave(self, subject: str) -> None:
        """Undo `subscribe` or `serve`."""
        ...

    async def request(self, subject: str, data: bytes, timeout: float) -> bytes:
        """Ask the server that serves a subject.

        Args:
            subject: the subject.
            data: the request.
            timeout: how many seconds to wait for the answer.

        Returns:
            The answer.

        Raises:
            NoResponder: no server serves the subject, which is known at once.
            BusAway: there is no connection, it was lost, or too many requests are under way.
            TimeoutError: there was no answer in time.
        """
        ...

    async def close(self) -> None:
        """Leave the bus. Hints that wait are lost."""
        ...


def check_subject(subject: str) -> None:
    """Raise ValueError unless a text is a subject."""
    if not _SUBJECT.fullmatch(subject):
        raise ValueError(f"{subject!r} is not a subject of the bus")
