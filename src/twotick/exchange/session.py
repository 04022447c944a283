"""What the exchange knows about one connection, and about one user."""

from collections import OrderedDict, deque
from enum import Enum
from typing import Any, TypeAlias

from twotick.wire import Head, Side

Pending: TypeAlias = "tuple[Session, Head, int, float, Broadcast | None]"
"""A message on its way to one receiver: who sent it, the head of its SEND, its number among the SENDs of that
connection (SETTLED where the answer does not depend on this receiver alone, or not any more), the time until which it
is answered, and the broadcast that it is a part of. A tuple, since one is made for every message."""

Waiting: TypeAlias = tuple[Pending, bytes]
"""A message that waits for its turn at a receiver, and its body."""

SETTLED = -1
"""In place of a message's number: no answer depends on it alone."""

GONE = -2
"""In place of `Session.next_answer`: nobody wants answers any more."""


class Broadcast:
    """A SEND to everyone, on its way to several receivers (rule 5.9).

    Attributes:
        number: its number among the SENDs of its connection.
        waiting: receivers that have not answered.
        failed: whether one of them did not take it.
    """

    __slots__ = ("failed", "number", "waiting")

    def __init__(self, number: int, waiting: int) -> None:
        self.number = number
        self.waiting = waiting
        self.failed = False


class User:
    """A name in use (rules 4.1 to 4.9).

    Attributes:
        key: the name in lower case.
        address: where its connections come from.
        sessions: its connections, at most one for each side.
        complete: whether both sides were registered at once; from then on it is registered until both are gone.
    """

    __slots__ = ("address", "complete", "key", "sessions")

    def __init__(self, key: bytes, address: str) -> None:
        self.key = key
        self.address = address
        self.sessions: dict[Side, Session] = {}
        self.complete = False


class Stage(Enum):
    """Which frames a connection is expected to carry."""

    REGISTERING = "registering"
    """REGISTER, until its user is registered on both sides (rule 4.5)."""
    SENDING = "sending"
    """SEND."""
    RECEIVING = "receiving"
    """RECEIVED, or ERROR in its place."""
    OVER = "over"
    """None: it is closed, or about to be."""


class Session:
    """One connection, as the exchange sees it. Whoever drives the exchange acts on the first group of attributes.

    What most connections never need is None until it is needed, since an idle connection should cost little.

    Attributes:
        port: what the driver writes to; the exchange does not look at it.
        out: bytes to write, in order; the driver takes them all.
        closing: nothing will be written after `out`; the driver then closes the connection.
        paused: the driver reads nothing more from the connection for now.

        address: where the connection comes from.
        stage: which frames are expected on it.
        user: the user for whom it is registered; None before that and afterwards.
        side: the side on which it is or was registered.
        key: the name under which it is or was registered, in lower case.
        refusals: errors earned before its user was registered.
        window: how many FORWARDs may be unanswered; 0 while the connection takes no output.
        granted: what `window` is while it does.
        queued_bytes: of bodies that wait: for this receiver's turn, or for others', sent by this sender.

        start: sending: the beginning of the FORWARDs of this user.
        next_send: sending: the number of its next SEND.
        next_answer: sending: the number of the SEND that is answered next, or GONE.
        held: sending: answers that came before their turn, by number. None as long as answers need nothing but to be
            written, which is the fast path.
        finished: sending: no more SENDs will come; it is closed as soon as all are answered.

        pending: receiving: FORWARDs that are unanswered, oldest first.
        queue: receiving: messages that wait for their turn, by the connection that sent them.
        queued: receiving: how many these are.
    """

    __slots__ = (
        "address",
        "closing",
        "finished",
        "granted",
        "held",
        "key",
        "next_answer",
        "next_send",
        "out",
        "paused",
        "pending",
        "port",
        "queue",
        "queued",
        "queued_bytes",
        "refusals",
        "side",
        "stage",
        "start",
        "user",
        "window",
    )

    def __init__(self, address: str, port: Any) -> None:
        self.port = port
        self.out: list[bytes] = []
        self.closing = False
        self.paused = False
        self.address = address
        self.stage = Stage.REGISTERING
        self.user: User | None = None
        self.side: Side | None = None
        self.key = b""
        self.refusals = 0
        self.window = 1
        self.granted = 1
        self.queued_bytes = 0
        self.start = b""
        self.next_send = 0
        self.next_answer = 0
        self.held: dict[int, bytes] | None = None
        self.finished = False
        self.pending: deque[Pending] | None = None
        self.queue: OrderedDict[Session, deque[Waiting]] | None = None
        self.queued = 0
