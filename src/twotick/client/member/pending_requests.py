"""What a client asks the server, and waits for (docs/protocol.md, rules 10.8 and 11.9, sections 12 to 17)."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from twotick.client.errors import ConnectionLost, ProtocolError, RequestRefused, TwotickError
from twotick.client.member.events import as_text
from twotick.client.member.reconnecting import error_of
from twotick.wire import Frame, Head, Verb

_ANSWERS = (
    Verb.HISTORY,
    Verb.DEVICES,
    Verb.TOKEN,
    Verb.REVOKED,
    Verb.ROOM,
    Verb.ROOMS,
    Verb.RECEIPTS,
    Verb.CONVERSATION,
    Verb.CONVERSATIONS,
    Verb.SEARCH,
    Verb.STATUS,
    Verb.FILE,
    Verb.PIECE,
    Verb.REPORT,
)
ANSWERS = frozenset(_ANSWERS)
"""What answers questions; STATUS only without a name."""

_ASKED_BY = {verb: verb.value for verb in _ANSWERS} | {Verb.REVOKED: b"REVOKE"}
"""The verb of the question that each answers."""

_LONGEST_VERB = 32
"""More bytes than any verb has."""


@dataclass(slots=True, eq=False)
class _Question:
    """Something that was asked.

    Attributes:
        data: the frame that asks it.
        verb: its first word.
        id: its Id; empty if it has none.
        once: whether it must not be asked again.
        answer: gets the frames that answer it, the last one being the answer proper.
        frames: those that came so far.
        asked: when it was written on this connection, in seconds on the monotonic clock.
    """

    data: bytes
    verb: bytes
    id: bytes
    once: bool
    answer: asyncio.Future[list[Frame]]
    frames: list[Frame] = field(default_factory=list[Frame])
    asked: float = 0.0


class Questions:
    """The questions whose answers have not come. They survive a connection, unless to ask twice would do harm.

    Which one is answered is told by the verb and the Id; else it is the oldest.

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

    def lost(self, problem: TwotickError) -> None:
        """The connection is gone."""
        self._connected = False
        for question in self._waiting:
            if question.once and question.asked and not question.answer.done():
                question.answer.set_exception(ConnectionLost(f"{problem}; nobody knows whether it was done"))

    def end(self, error: Exception) -> None:
        """There will be no answers."""
        for question in self._waiting:
            if not question.answer.done():
                question.answer.set_exception(error)

    def owed(self) -> float:
        """Since when the oldest one waits on this connection, in seconds on the monotonic clock; 0 if none does."""
        return self._waiting[0].asked if self._waiting and self._connected else 0.0

    def ask(self, request: bytes, ident: bytes = b"", *, once: bool = False) -> "asyncio.Future[list[Frame]]":
        """Ask something.

        Args:
            request: the frame.
            ident: the Id in it.
            once: if the connection is lost before the answer, do not ask again.

        Returns:
            What gets the frames that answer it, the last one being the answer proper.
        """
        verb = request[:_LONGEST_VERB].split(None, 1)[0]
        question = _Question(request, verb, ident, once, asyncio.get_running_loop().create_future())
        self._waiting.append(question)
        if self._connected:
            self._put(question)
        return question.answer

    def _put(self, question: _Question) -> None:
        question.asked = time.monotonic()
        question.frames.clear()
        self._write(question.data)

    def _asked(self, head: Head) -> _Question | None:
        """The question that a frame answers."""
        return next((question for question in self._waiting if _fits(head, question)), None)

    def expects(self, head: Head) -> bool:
        """Whether an ERROR answers a question."""
        return self._asked(head) is not None

    def take_part(self, head: Head, body: bytes) -> None:
        """A part of an answer came.

        Raises:
            ProtocolError: nobody asked for it.
        """
        ident = head.headers[b"history"]
        question = next((question for question in self._waiting if question.id == ident), None)
        if question is None:
            raise ProtocolError("the server sent history that nobody asked for")
        question.frames.append((head, body))

    def take(self, head: Head, body: bytes) -> None:
        """A question is answered.

        Raises:
            ProtocolError: nobody has asked that.
        """
        question = self._asked(head)
        if question is None:
            raise ProtocolError("the server answered what nobody has asked")
        self._waiting.remove(question)
        problem: TwotickError | None = None
        if head.verb is Verb.ERROR and head.code == RequestRefused.code:
            problem = RequestRefused(as_text(head.headers.get(b"reason", b"")) or "the server refuses to say")
        elif head.verb is Verb.ERROR:
            problem = error_of(head)
        if question.answer.done():
            return  # the call was cancelled
        if problem is None:
            question.answer.set_result([*question.frames, (head, body)])
        else:
            question.answer.set_exception(problem)


def _fits(head: Head, question: _Question) -> bool:
    """Whether a frame may answer a question."""
    ident = head.headers.get(b"id", b"")
    if head.verb is Verb.ERROR:
        return ident == question.id
    return question.verb == _ASKED_BY[head.verb] and ident in (b"", question.id)
