"""Requests that wait for the server's answer (docs/protocol.md, rules 10.8 and 11.9, sections 12 to 17)."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from twotick.client.errors import ConnectionLost, ProtocolError, TwotickError
from twotick.client.member.error_frames import request_error
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
    Verb.PASSWORD,
    Verb.PROFILE,
    Verb.PINS,
)
ANSWERS = frozenset(_ANSWERS)
"""The verbs of frames that answer requests. A STATUS with a name is an event instead, and so is a PROFILE with a
name and without an Id."""

_REQUEST_OF = {verb: verb.value for verb in _ANSWERS} | {Verb.REVOKED: b"REVOKE"}
"""The verb of the request that each answer belongs to."""

_LONGEST_ANSWER = 4 << 20
"""An answer ends when its bodies reach this size in bytes, so all but one of them are smaller (rule 11.9)."""

_LONGEST_VERB = 32
"""More bytes than any verb has."""


@dataclass(slots=True, eq=False)
class PendingRequest:
    """A request that the server has not answered.

    Attributes:
        data: the frame of the request.
        verb: the request's verb.
        id: the request's Id; empty if it has none.
        once: whether the request must not be repeated on another connection.
        answer: receives the frames of the answer. The last one completes it.
        parts: the most frames before the last one.
        frames: the frames that have come so far.
        size: the bytes of their bodies.
        largest: the bytes of the largest body.
        sent: when the request was sent on this connection, in seconds on the monotonic clock; 0 if it was not.
    """

    data: bytes
    verb: bytes
    id: bytes
    once: bool
    answer: asyncio.Future[list[Frame]]
    parts: int = 0
    frames: list[Frame] = field(default_factory=list[Frame])
    size: int = 0
    largest: int = 0
    sent: float = 0.0


class PendingRequests:
    """The requests that the server has not answered.

    They survive the loss of a connection, except for those that must not be repeated. An answer belongs to the oldest
    request with its verb and, if it has one, its Id.

    Args:
        write: writes to the server.
    """

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self._waiting: deque[PendingRequest] = deque()
        self._connected = False

    def opened(self) -> None:
        """Repeat the requests on a new connection."""
        self._connected = True
        self._waiting = deque(request for request in self._waiting if not request.answer.done())
        for request in self._waiting:
            self._send(request)

    def lost(self, problem: TwotickError) -> None:
        """Fail the requests that were sent and must not be repeated: the connection is lost.

        If the server has sent something malformed, no request is repeated, because its answer may be malformed again
        (rule 9.11).

        Args:
            problem: why the connection is lost.
        """
        self._connected = False
        malformed = isinstance(problem, ProtocolError)
        for request in self._waiting:
            if request.sent and (request.once or malformed) and not request.answer.done():
                request.answer.set_exception(
                    problem
                    if malformed
                    else ConnectionLost(f"{problem}; the server may or may not have carried out the request")
                )

    def end(self, error: Exception) -> None:
        """Fail all requests: there will be no further connection."""
        for request in self._waiting:
            if not request.answer.done():
                request.answer.set_exception(error)

    def waiting_since(self) -> float:
        """Return when the oldest request was sent, in seconds on the monotonic clock; 0 if none waits."""
        return self._waiting[0].sent if self._waiting and self._connected else 0.0

    def add(
        self, data: bytes, ident: bytes = b"", *, once: bool = False, parts: int = 0
    ) -> "asyncio.Future[list[Frame]]":
        """Send a request, now or when the connection is back.

        Args:
            data: the frame of the request.
            ident: the Id in it.
            once: whether to fail the request, rather than to repeat it, if the connection is lost before the answer.
            parts: the most frames before the one that completes the answer.

        Returns:
            A future that receives the frames of the answer.
        """
        verb = data[:_LONGEST_VERB].split(None, 1)[0]
        request = PendingRequest(data, verb, ident, once, asyncio.get_running_loop().create_future(), parts)
        self._waiting.append(request)
        if self._connected:
            self._send(request)
        return request.answer

    def _send(self, request: PendingRequest) -> None:
        request.sent = time.monotonic()
        request.frames.clear()
        request.size = request.largest = 0
        self._write(request.data)

    def _request_of(self, head: Head) -> PendingRequest | None:
        """Return the request that a frame answers."""
        return next((request for request in self._waiting if _answers(head, request)), None)

    def expects(self, head: Head) -> bool:
        """Return whether an ERROR answers a request."""
        return self._request_of(head) is not None

    def take_part(self, head: Head, body: bytes) -> None:
        """Take in a frame that is a part of an answer.

        Args:
            head: the head of the frame; its `History` names the request.
            body: the body of the frame.

        Raises:
            ProtocolError: there is no such request, or its answer is larger than the server may send.
        """
        ident = head.headers[b"history"]
        request = next((request for request in self._waiting if request.id == ident), None)
        if request is None:
            raise ProtocolError("the server sent history without a request for it")
        request.frames.append((head, body))
        request.size += len(body)
        request.largest = max(request.largest, len(body))
        if len(request.frames) > request.parts or request.size - request.largest >= _LONGEST_ANSWER:
            raise ProtocolError("the server sent more than was asked for")

    def take(self, head: Head, body: bytes) -> None:
        """Take in a frame that completes an answer.

        Args:
            head: the head of the frame.
            body: the body of the frame.

        Raises:
            ProtocolError: there is no such request.
        """
        request = self._request_of(head)
        if request is None:
            raise ProtocolError("the server sent an answer without a request for it")
        problem = request_error(head) if head.verb is Verb.ERROR else None
        self._waiting.remove(request)
        if request.answer.done():
            return  # the call was cancelled
        if problem is None:
            request.answer.set_result([*request.frames, (head, body)])
        else:
            request.answer.set_exception(problem)


def _answers(head: Head, request: PendingRequest) -> bool:
    """Return whether a frame may answer a request."""
    ident = head.headers.get(b"id", b"")
    if head.verb is Verb.ERROR:
        return ident == request.id
    return request.verb == _REQUEST_OF[head.verb] and ident in (b"", request.id)
