"""Send requests to the server and wait for their answers."""

import secrets
from collections.abc import Callable, Mapping
from typing import NamedTuple

from twotick.client.member.pending_requests import PendingRequests
from twotick.client.member.reconnecting import ReconnectingConnection
from twotick.wire import Frame, Head, Verb, frame

_NO_HEADERS: Mapping[str, bytes | int | None] = {}


class Answer(NamedTuple):
    """The answer to a request.

    Attributes:
        head: the head of the frame that completes it.
        body: the body of that frame.
        parts: the frames before it that belong to the answer, such as the messages of a history.
    """

    head: Head
    body: bytes
    parts: list[Frame]


class RepeatedRequest:
    """A request after which the server tells this client of changes; it is repeated on every new connection.

    Args:
        verb: the verb of the request.
        headers: its headers.

    Attributes:
        active: whether the server tells of changes.
    """

    def __init__(self, verb: Verb, **headers: bytes) -> None:
        self.active = False
        self._verb = verb
        self._headers = headers

    def request(self, ident: bytes) -> bytes:
        """Return the frame that repeats the request.

        Args:
            ident: the Id of the request.
        """
        return frame(self._verb, id=ident, **self._headers)


class Requests:
    """Sends requests to the server, and waits for the connection while it is lost.

    Args:
        connection: the connection to the server.
        pending: the requests without an answer.
        check: raises an error if the client cannot send a request. It is given whether only a device may send it.
    """

    def __init__(
        self, connection: ReconnectingConnection, pending: PendingRequests, check: Callable[[bool], None]
    ) -> None:
        self._connection = connection
        self._pending = pending
        self._check = check

    async def ask(
        self,
        verb: Verb,
        name: bytes = b"",
        headers: Mapping[str, bytes | int | None] = _NO_HEADERS,
        *,
        body: bytes | None = None,
        ident: bytes | None = None,
        once: bool = False,
        parts: int = 0,
    ) -> Answer:
        """Send a request and wait for its answer.

        Args:
            verb: the verb of the request.
            name: the name after the verb; empty for none.
            headers: the headers. Those whose value is None are left out.
            body: the body; None for none.
            ident: the Id; None for a new one, empty for none.
            once: whether to fail, rather than to repeat the request, if the connection is lost before the answer.
            parts: the most frames before the one that completes the answer.

        Returns:
            The answer.

        Raises:
            RequestRefused: the server refused the request.
            ConnectionLost: the connection was lost, and the request is not repeated: the server may or may not have
                carried it out.
            TwotickError: the client has ended.
        """
        self._check(False)
        ident = secrets.token_hex(8).encode() if ident is None else ident
        lines = b"".join(
            b"%b: %b\n" % (header.encode(), value if isinstance(value, bytes) else b"%d" % value)
            for header, value in headers.items()
            if value is not None
        )
        answer = self._pending.add(frame(verb, name, body, lines, id=ident or None), ident, once=once, parts=parts)
        self._connection.watch()
        *before, (head, answer_body) = await answer
        return Answer(head, answer_body, before)

    def tell(self, data: bytes) -> None:
        """Write a frame that has no answer, unless the connection is lost.

        Args:
            data: the frame.

        Raises:
            TwotickError: the client has ended.
        """
        self._check(True)
        self._connection.write(data)


class RequestMethods:
    """Base class of the groups of methods of `MemberClient` that send requests.

    `MemberClient` sets `_requests` before any of the methods is called.
    """

    _requests: Requests
