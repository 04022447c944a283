"""What a client asks the server about, one answer after the other (docs/protocol.md, rules 10.8 and 11.9)."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from twotick.client.entries import as_text
from twotick.client.errors import ProtocolError, RequestRefused, TwotickError
from twotick.client.lifeline import error_of
from twotick.wire import Frame, Head, Verb

_ASKED_BY = {Verb.HISTORY: b"HISTORY", Verb.DEVICES: b"DEVICES", Verb.TOKEN: b"TOKEN", Verb.REVOKED: b"REVOKE"}
"""How the question begins that a frame answers."""


@dataclass(slots=True, eq=False)
class _Question:
    """Something that was asked.

    Attributes:
        data: the frame that asks it.
        id: its Id; empty if it has none.
        answer: gets the frames that answer it, the last one being the answer proper.
        frames: those that came so far.
        asked: when it was written on this connection, in seconds on the monotonic clock.
    """

    data: bytes
    id: bytes
    answer: asyncio.Future[list[Frame]]
    frames: list[Frame] = field(default_factory=list[Frame])
    asked: float = 0.0


class Questions:
    """The questions whose answers have not come. They survive a connection: what was asked twice does no harm.

    Args:
        write: writes to the server.
    """

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self._waiting: deque[_Question] = deque()
        self._connected = False

    def opened(self) -> None:
        """There is a connection: ask again."""
        self._connected = True
        self._waiting = deque(question for question in self._waiting if not question.answer.done())
        for question in self._waiting:
            self._put(question)

    def lost(self) -> None:
        """The connection is gone."""
        self._connected = False

    def end(self, error: Exception) -> None:
        """There will be no answers."""
        for question in self._waiting:
            if not question.answer.done():
                question.answer.set_exception(error)

    def owed(self) -> float:
        """Since when the oldest one waits on this connection, in seconds on the monotonic clock; 0 if none does."""
        return self._waiting[0].asked if self._waiting and self._connected else 0.0

    def ask(self, request: bytes, ident: bytes = b"") -> "asyncio.Future[list[Frame]]":
        """Ask something.

        Args:
            request: the frame.
            ident: the Id in it.

        Returns:
            What gets the frames that answer it, the last one being the answer proper.
        """
        question = _Question(request, ident, asyncio.get_running_loop().create_future())
        self._waiting.append(question)
        if self._connected:
            self._put(question)
        return question.answer

    def _put(self, question: _Question) -> None:
        question.asked = time.monotonic()
        question.frames.clear()
        self._write(question.data)

    def expects(self, head: Head) -> bool:
        """Whether an ERROR answers the oldest question."""
        return bool(self._waiting) and head.headers.get(b"id", b"") == self._waiting[0].id

    def take_part(self, head: Head, body: bytes) -> None:
        """A part of an answer came.

        Raises:
            ProtocolError: nobody asked for it.
        """
        if not self._waiting or self._waiting[0].id != head.headers[b"history"]:
            raise ProtocolError("the server sent history that nobody asked for")
        self._waiting[0].frames.append((head, body))

    def take(self, head: Head, body: bytes) -> None:
        """The oldest question is answered.

        Raises:
            ProtocolError: that was not the question.
        """
        if not self._waiting:
            raise ProtocolError("the server answered what nobody has asked")
        question = self._waiting.popleft()
        problem: TwotickError | None = None
        if head.verb is not Verb.ERROR and not question.data.startswith(_ASKED_BY[head.verb]):
            problem = ProtocolError("the server answered something else than it was asked")
        elif head.verb is Verb.ERROR and head.code == RequestRefused.code:
            problem = RequestRefused(as_text(head.headers.get(b"reason", b"")) or "the server refuses to say")
        elif head.verb is Verb.ERROR:
            problem = error_of(head)
        if not question.answer.done():  # else the call was cancelled
            if problem is None:
                question.answer.set_result([*question.frames, (head, body)])
            else:
                question.answer.set_exception(problem)
        if isinstance(problem, ProtocolError):
            raise problem
