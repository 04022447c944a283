"""The bodies of requests to publish, while they arrive.

Theory of operation. What has arrived of a body waits in memory. If that is more than a message can have, it goes to the
disk, in parts, and nothing more is read meanwhile: so a body takes little memory, however long it is. When all of it is
there, the `Publisher` gets it, with the end that is still in memory.
"""

import asyncio
from collections.abc import Callable

from twotick.server.web.publish.publisher import Publisher
from twotick.server.web.publish.request import RequestHead
from twotick.server.web.publish.spool import Spool
from twotick.server.web.site import WebAnswer


class ArrivingBody:
    """The body of a request to publish, while it arrives and until the request is answered.

    Args:
        publisher: carries out the request.
        head: the head of the request.

    Attributes:
        head: see above.
    """

    __slots__ = ("_data", "_dropped", "_keeping", "_publisher", "_spool", "_whole", "head")

    def __init__(self, publisher: Publisher, head: RequestHead) -> None:
        self.head = head
        self._publisher = publisher
        self._data = bytearray()
        self._spool: Spool | None = None  # where the beginning of it waits
        self._keeping: asyncio.Task[Spool] | None = None  # lets a part of it wait there
        self._whole = False
        self._dropped = False

    @property
    def held(self) -> int:
        """How many bytes of it are in memory."""
        return len(self._data)

    @property
    def is_full(self) -> bool:
        """Whether more of it is in memory than a message can have."""
        return len(self._data) > self._publisher.most_body

    @property
    def is_busy(self) -> bool:
        """Whether nothing may be added now: it is whole, or a part of it is on its way to the disk."""
        return self._whole or self._keeping is not None

    def add(self, data: bytes | bytearray) -> None:
        """Add what has arrived of it."""
        self._data += data

    def keep(self, kept: Callable[[WebAnswer | None], None]) -> None:
        """Let what is in memory wait on the disk.

        Args:
            kept: called when it is there, unless the body was dropped, with the answer to the request if it cannot be
                carried out; with None otherwise.
        """
        work = self._publisher.keep(self.head, bytes(self._data), self._spool)
        self._keeping = asyncio.get_running_loop().create_task(work)
        self._keeping.add_done_callback(lambda task: self._kept(task, kept))

    def _kept(self, task: asyncio.Task[Spool], kept: Callable[[WebAnswer | None], None]) -> None:
        self._keeping = None
        if task.cancelled():
            return
        error = task.exception()  # the publisher has forgotten what waited, if there is one
        self._spool = task.result() if error is None else None
        self._data.clear()
        if self._dropped:
            self.drop()
        else:
            kept(None if error is None else self._publisher.answer_to(error))

    def publish(self, answered: Callable[[WebAnswer], None]) -> None:
        """Carry out the request: the body is whole.

        Args:
            answered: called with the answer.
        """
        self._whole = True
        self._publisher.take(self.head, bytes(self._data), self._spool, answered)

    def drop(self) -> None:
        """Forget it, unless it is whole."""
        self._dropped = True
        if self._spool is not None and not self._whole and self._keeping is None:
            self._publisher.forget(self._spool)
            self._spool = None
