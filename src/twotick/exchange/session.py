"""What the exchange knows about one connection, and about one user."""

from collections import OrderedDict, deque
from collections.abc import Callable
from enum import Enum
from typing import Any, TypeAlias

from twotick.store import Entry
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
    """A message to several receivers, or one whose outcome is more than an answer.

    Attributes:
        waiting: receivers that have not answered.
        failure: why one of them does not have it; None as long as all have taken it.
        finish: called with `failure` when the last has answered.
    """

    __slots__ = ("failure", "finish", "waiting")

    def __init__(self, waiting: int, finish: Callable[[str | None], None]) -> None:
        self.waiting = waiting
        self.failure: str | None = None
        self.finish = finish


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


FEED_ENTRIES = 256
"""Entries that a feed holds at most."""

FEED_BYTES = 1 << 20
"""Bytes of bodies from which on a feed takes no more; one entry may go beyond it."""


class Feed:
    """What a device is given from its member's log (rule 11.2).

    It holds so little at a time that lists do, which cost an idle device less than deques.

    Attributes:
        session: the device's connection.
        entries: entries that are to be sent, oldest first.
        size: the bytes of their bodies.
        covered: everything in the log up to this number is in `entries`, was sent, or is not for this device.
        unanswered: the numbers that were sent and not acknowledged, oldest first.
        messages: those of them that are messages which came: somebody waits for their being acknowledged.
        acknowledged: the number up to which the store is to be told; 0 if there is nothing to tell.
        urgent: whether it is to be told now.
        fetching: whether the store was asked for what comes after `covered`.
    """

    __slots__ = (
        "acknowledged",
        "covered",
        "entries",
        "fetching",
        "messages",
        "session",
        "size",
        "unanswered",
        "urgent",
    )

    def __init__(self, session: "Session", covered: int) -> None:
        self.session = session
        self.entries: list[Entry] = []
        self.size = 0
        self.covered = covered
        self.unanswered: list[int] = []
        self.messages: list[int] = []
        self.acknowledged = 0
        self.urgent = False
        self.fetching = False

    @property
    def full(self) -> bool:
        """Whether it should take no more."""
        return len(self.entries) >= FEED_ENTRIES or self.size >= FEED_BYTES


class Stage(Enum):
    """Which frames a connection is expected to carry."""

    REGISTERING = "registering"
    """REGISTER, until its user is registered on both sides (rule 4.5)."""
    SENDING = "sending"
    """SEND."""
    RECEIVING = "receiving"
    """RECEIVED, or ERROR in its place."""
    WAITING = "waiting"
    """None, until a question is answered: who is asking (rule 10.2), or what it asked (rules 10.8 and 11.9)."""
    EXTENDED = "extended"
    """What section 9 allows, and sections 10 and 11 for a member."""
    OVER = "over"
    """None: it is closed, or about to be."""


class Account:
    """Whose device a connection is.

    Attributes:
        member: the store's number of the member.
        device: the device's name.
        feed: what the device is given; None on a connection that only sends.
        sent: messages that were sent on this connection and whose fate is not final, by the store's numbers; None on
            one that receives, where their fates are entries of the log.
    """

    __slots__ = ("device", "feed", "member", "sent")

    def __init__(self, member: int, device: bytes) -> None:
        self.member = member
        self.device = device
        self.feed: Feed | None = None
        self.sent: OrderedDict[int, None] | None = None


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
        name: the name under which it is or was registered, as it is shown.
        key: the same in lower case.
        extended: whether it was registered as an extended connection (rule 9.1).
        account: whose device it is; None for a guest.
        refusals: errors earned before its user was registered.
        window: how many FORWARDs may be unanswered; 0 while the connection takes no output.
        granted: what `window` is while it does.
        unsent_bytes: of bodies that this sender has sent and that wait, for a receiver's turn or for the store.

        start: sending: the beginning of the FORWARDs of this user.
        next_send: sending: the number of its next SEND.
        next_answer: sending: the number of the SEND that is answered next, or GONE.
        held: sending: answers that came before their turn, by number. None as long as answers need nothing but to be
            written, which is the fast path.
        finished: sending: no more SENDs will come; it is closed as soon as all are answered.

        pending: receiving: FORWARDs that are unanswered, oldest first.
        queue: receiving: messages that wait for their turn, by the connection that sent them.
        queued: receiving: how many these are.
        queued_bytes: receiving: of their bodies.
    """

    __slots__ = (
        "account",
        "address",
        "closing",
        "extended",
        "finished",
        "granted",
        "held",
        "key",
        "name",
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
        "unsent_bytes",
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
        self.name = b""
        self.key = b""
        self.extended = False
        self.account: Account | None = None
        self.refusals = 0
        self.window = 1
        self.granted = 1
        self.unsent_bytes = 0
        self.start = b""
        self.next_send = 0
        self.next_answer = 0
        self.held: dict[int, bytes] | None = None
        self.finished = False
        self.pending: deque[Pending] | None = None
        self.queue: OrderedDict[Session, deque[Waiting]] | None = None
        self.queued = 0
        self.queued_bytes = 0
