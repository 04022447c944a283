"""What an exchange leaves for its driver to do."""

from collections import deque
from collections.abc import Callable
from typing import Any, Final, TypeAlias, TypeVar, overload

from twotick.exchange.connection import GONE, Connection
from twotick.store import Answer, EntryKind, LogEntry, Request, StoreError, Together
from twotick.wire import Frame, GivenHead, HeadCache, read_travelling

_First = TypeVar("_First")
_Second = TypeVar("_Second")
_Third = TypeVar("_Third")

Asked: TypeAlias = tuple[Request[Any], Callable[[Any], None]]
"""A request, and the callback for its answer or for the StoreError that says why there is none. `Output.ask` checks
that the two fit together."""

_DELIVERED: Final = EntryKind.DELIVERED
_SENDERS: Final = 4096
"""Of how many users the start lines of what is given are remembered."""


class Output:
    """What an exchange leaves for its driver. The driver empties each of these after it has acted on it.

    Attributes:
        written: the connections that have output; one may appear twice.
        changed: the connections that are closing, paused or resumed; one may appear twice.
        requests: the requests for the store, in order, each with the callback for its answer. The driver may let users
            take turns, but must keep the requests of each user in order. It must call the callbacks in the order in
            which the requests are carried out.
        stored: how much each address has asked to be stored since the driver has cleared this, as bytes that take as
            long to read.
    """

    def __init__(self) -> None:
        self.written: deque[Connection] = deque()
        self.changed: deque[Connection] = deque()
        self.requests: list[Asked] = []
        self.stored: dict[str, int] = {}
        self._starts = HeadCache(0, _SENDERS)
        self._travels = b""
        self._travelling: dict[bytes, bytes] = {}

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

    # To connections that are framed: what `frames.py` of the wire makes bytes of

    def give_forward(
        self,
        connection: Connection,
        sender: bytes,
        body: bytes,
        identifier: bytes,
        travels: bytes,
        *,
        seq: int | None = None,
        place: int = 0,
        room: bytes = b"",
    ) -> None:
        """Give a framed connection a FORWARD; the arguments are those of `wire.forward`."""
        if travels != self._travels:
            self._travels, self._travelling = travels, read_travelling(travels)
        headers = {b"to": room, b"place": b"%d" % place, **self._travelling} if place else self._travelling
        start = self._starts.start_line(b"FORWARD " + sender)
        self._give(connection, (GivenHead(start, headers, identifier, seq, len(body)), body))

    def give_answer(
        self, connection: Connection, verb: bytes, recipient: bytes, identifier: bytes, seq: int | None = None
    ) -> None:
        """Give a framed connection an ACCEPTED, or a SEND that says that a message has arrived.

        Args:
            connection: the connection.
            verb: `ACCEPTED` or `SEND`.
            recipient: the recipient, as written in the SEND.
            identifier: the Id of the message.
            seq: the entry of the sender's log; None for an answer that is no entry.
        """
        start = self._starts.start_line(b"%b %b" % (verb, recipient))
        self._give(connection, (GivenHead(start, {}, identifier, seq), b""))

    def give_entry(self, connection: Connection, entry: LogEntry) -> None:
        """Give a framed connection an entry of its log that tells of a message that has come, or arrived."""
        if entry.kind is _DELIVERED:
            self.give_answer(connection, b"SEND", entry.peer, entry.id, entry.seq)
        else:
            self.give_forward(
                connection,
                entry.peer,
                entry.body,
                entry.id,
                entry.headers,
                seq=entry.seq,
                place=entry.place,
                room=entry.room,
            )

    def _give(self, connection: Connection, given: Frame) -> None:
        if not connection.closing:
            if not connection.out:
                self.written.append(connection)
            connection.out.append(given)

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
