"""The records of the exchange: a connection, the guest or member device behind it, and a message on its way."""

from collections import OrderedDict, deque
from collections.abc import Callable
from enum import Enum
from typing import Any, TypeAlias

from twotick.exchange.queue_shares import QueueShares
from twotick.net import network_of
from twotick.store import Answer, LogEntry, LoginProof, MessageState, Refusal, Request, WhileNewest
from twotick.wire import Frame, Head, Side, Verb

Pending: TypeAlias = "tuple[Connection, Head, int, float, Broadcast | None]"
"""A message on its way to one receiver.

The fields are: the sending connection; the head of its SEND; the number of the SEND on that connection, or SETTLED if
no answer depends on this receiver alone; the time by which the SEND is answered; the broadcast that it belongs to. It
is a tuple because the relay makes one for every message.
"""

Waiting: TypeAlias = tuple[Pending, bytes]
"""A message that waits for a place in its receiver's window, and its body."""

Handler: TypeAlias = "Callable[[Connection, list[Frame], int], int]"
"""Handles frames of one verb.

The arguments are the connection, the frames of one read, and the index of the first frame to handle. The handler takes
that frame and may take those of the same verb that follow it directly. It returns the index of the first frame that it
did not take.
"""

SETTLED = -1
"""Stands in for the number of a SEND when no answer depends on this receiver alone."""

GONE = -2
"""Stands in for `Connection.next_answer` when the connection takes no more answers."""


PINGLESS = -1
"""Stands in for `Connection.silent` when the client has not promised to ping."""


class NotUnderstood(Exception):
    """A frame breaks the grammar of its stage; the connection is closed after ERROR 103 (rules 7.4 and 9.9).

    The text says why, for a user to read; it may be empty.
    """


class Broadcast:
    """A message that several receivers must answer, or whose result is more than an answer to its SEND.

    Attributes:
        waiting: the number of receivers that have not answered.
        failure: why one of them does not have the message; None as long as all that answered have taken it.
        finish: called with `failure` after the last answer.
    """

    __slots__ = ("failure", "finish", "waiting")

    def __init__(self, waiting: int, finish: Callable[[str | None], None]) -> None:
        self.waiting = waiting
        self.failure: str | None = None
        self.finish = finish


class Guest:
    """A name that a guest has registered (rules 4.1 to 4.9).

    Attributes:
        key: the name in lower case.
        address: the address of all connections of the guest.
        connections: the guest's connections, at most one for each direction.
        complete: whether both directions were registered at the same time. From then on the guest stays registered
            until both are gone.
    """

    __slots__ = ("address", "complete", "connections", "key")

    def __init__(self, key: bytes, address: str) -> None:
        self.key = key
        self.address = address
        self.connections: dict[Side, Connection] = {}
        self.complete = False


FEED_ENTRIES = 256
"""The most entries that a feed holds."""

FEED_BYTES = 1 << 20
"""The bytes at which a feed takes no more entries; the last entry may exceed it."""


class DeviceFeed:
    """The entries of a member's log that are on their way to one device (rule 11.2).

    It uses lists because it holds little at a time, and an empty list takes less memory than an empty deque.

    Attributes:
        connection: the device's connection.
        entries: the entries to send, oldest first.
        size: the bytes of their bodies and headers.
        covered: the number of the last log entry that is in `entries`, was sent, or does not concern this device.
        unanswered: the numbers of the entries that were sent and not acknowledged, oldest first.
        messages: those of `unanswered` that are received messages, whose senders wait for the acknowledgement.
        acknowledged: the number up to which the device has acknowledged and the store does not know it; 0 for none.
        urgent: whether the store must be told at once.
        fetching: whether the store was asked for the entries after `covered`.
        refused: whether the address of the device had no share left for the last entry (rule 8.1).
    """

    __slots__ = (
        "acknowledged",
        "connection",
        "covered",
        "entries",
        "fetching",
        "messages",
        "refused",
        "size",
        "unanswered",
        "urgent",
    )

    def __init__(self, connection: "Connection", covered: int) -> None:
        self.connection = connection
        self.entries: list[LogEntry] = []
        self.size = 0
        self.covered = covered
        self.unanswered: list[int] = []
        self.messages: list[int] = []
        self.acknowledged = 0
        self.urgent = False
        self.fetching = False
        self.refused = False

    def drop_entries(self) -> None:
        """Drop the entries to send, so that the store is asked for them again."""
        self.covered = self.entries[0].seq - 1
        self.clear()

    def clear(self) -> None:
        """Forget the entries to send."""
        self.entries.clear()
        self.size = 0

    @property
    def full(self) -> bool:
        """Whether the feed takes no more entries."""
        return len(self.entries) >= FEED_ENTRIES or self.size >= FEED_BYTES


class MemberDevice:
    """The member, and the member's device, that a connection belongs to.

    Attributes:
        member: the store's number of the member.
        name: the device's name.
        feed: the entries for the device; None on a connection that only sends.
        is_bot: whether the member is a bot (rule 21.1).
        sent: the messages that were sent on this connection and may still change state, by the store's numbers, and
            what was told of each. None on a connection that receives, because there every change is an entry of the
            log.
        session: the number of the connection among all of the member (`OpenedDevice.session`); 0 if there is none.
        doubted: the number of a later connection of the device that another server has noted, and perhaps does not
            have; 0 for none.
        doubted_at: when it was seen first, in seconds on the clock of `Exchange.tick`.
        doubted_until: until when that server lived, as far as the database knew then.
        proof: what the login of a connection that only sends was checked with; None for others.
    """

    __slots__ = (
        "doubted",
        "doubted_at",
        "doubted_until",
        "feed",
        "is_bot",
        "member",
        "name",
        "proof",
        "sent",
        "session",
    )

    def __init__(self, member: int, name: bytes, is_bot: bool = False) -> None:
        self.member = member
        self.name = name
        self.is_bot = is_bot
        self.feed: DeviceFeed | None = None
        self.sent: OrderedDict[int, MessageState] | None = None
        self.session = 0
        self.doubted = 0
        self.doubted_at = 0.0
        self.doubted_until = 0.0
        self.proof: LoginProof | None = None

    def guarded(self, request: Request[Answer]) -> Request[Answer | Refusal]:
        """Return a request as the store is to carry it out: not once the device has connected again (rule 10.7)."""
        if not self.session:
            return request  # one server has all connections, and its requests stay in their order
        return WhileNewest(self.member, self.name.decode("ascii"), self.session, request)


class Stage(Enum):
    """What a connection may be used for at a given moment (connections.py says which frames each stage takes)."""

    REGISTERING = "registering"
    """Its user is not registered on both sides (rule 4.5)."""
    WAITING = "waiting"
    """The exchange waits for the store or for a login, and reads no frames meanwhile (rules 10.2, 10.8 and 11.9)."""
    CLASSIC_SENDING = "classic sending"
    """The sending connection of a guest."""
    CLASSIC_RECEIVING = "classic receiving"
    """The receiving connection of a guest."""
    GUEST = "guest"
    """A guest's extended connection (section 9)."""
    MEMBER_SENDING = "member sending"
    """A member's connection that only sends."""
    MEMBER_DEVICE = "member device"
    """A member's device, which sends and receives (section 11)."""


class Connection:
    """One connection. The driver of the exchange acts on the first five attributes.

    An attribute that most connections never need is None until then, because an idle connection must take little
    memory.

    Attributes:
        port: the driver's object for the connection; the exchange does not use it.
        out: what to write, in order; the driver takes it all. It is bytes, among which whole frames may stand as heads
            and bodies if the connection is `framed`.
        closing: whether the driver must close the connection after it has written `out`.
        paused: whether the driver must not read from the connection for now.

        framed: whether the driver takes frames as heads and bodies, which it writes in a way of its own. The exchange
            gives it the most frequent ones so, and others as bytes.

        number: how many connections had been accepted when it was, including it.
        address: the address of the other end.
        network: what counts as one address where addresses share something (rule 8.1).
        stage: what the connection may be used for.
        handlers: the handlers of that stage.
        guest: the guest that it belongs to; None before registration, after the end, and for members.
        device: the member's device that it belongs to; None before registration, after the end, and for guests.
        side: the side on which it is or was registered.
        name: the name of its user as it is shown.
        key: the same in lower case.
        extended: whether it is an extended connection (rule 9.1).
        reasons: whether its client has asked for a Reason in errors 100 and 102 (rule 7.5).
        times: whether its client has asked for the time in ACCEPTED (rule 11.14).
        refusals: the number of errors before its user was registered.
        window: how many FORWARDs may be unanswered; 0 while the connection takes no output.
        granted: the value of `window` while the connection takes output.
        silent: how many quarters of `peer_timeout` have begun since the client's last PING; PINGLESS if it sends none.
        unsent_bytes: the bytes of the bodies from this sender that wait for a receiver's window or for the store.

        start: sending: the beginning of the FORWARDs of its user.
        next_send: sending: the number of its next SEND.
        next_answer: sending: the number of the SEND that is answered next, or GONE.
        held: sending: the answers that came before their turn, by number. None while every answer can be written at
            once, which is the fast path.
        finished: sending: whether it is closed as soon as all SENDs are answered, since no more will come.

        pending: receiving: the FORWARDs that are unanswered, oldest first.
        queue: receiving: the messages that wait for the window, by sending connection.
        queued: receiving: the number of these messages.
        queued_bytes: receiving: the bytes of their bodies.
        queue_shares: receiving: what addresses have in the queue; None while it has room for all.
    """

    __slots__ = (
        "address",
        "closing",
        "device",
        "extended",
        "finished",
        "framed",
        "granted",
        "guest",
        "handlers",
        "held",
        "key",
        "name",
        "network",
        "next_answer",
        "next_send",
        "number",
        "out",
        "paused",
        "pending",
        "port",
        "queue",
        "queue_shares",
        "queued",
        "queued_bytes",
        "reasons",
        "refusals",
        "side",
        "silent",
        "stage",
        "start",
        "times",
        "unsent_bytes",
        "window",
    )

    def __init__(
        self, number: int, address: str, port: Any, stage: Stage, handlers: dict[Verb, Handler], *, framed: bool = False
    ) -> None:
        self.number = number
        self.port = port
        self.out: list[Any] = []
        self.closing = False
        self.paused = False
        self.framed = framed
        self.address = address
        self.network = network_of(address)
        self.stage = stage
        self.handlers = handlers
        self.guest: Guest | None = None
        self.device: MemberDevice | None = None
        self.side: Side | None = None
        self.name = b""
        self.key = b""
        self.extended = False
        self.reasons = False
        self.times = False
        self.refusals = 0
        self.window = 1
        self.granted = 1
        self.silent = PINGLESS
        self.unsent_bytes = 0
        self.start = b""
        self.next_send = 0
        self.next_answer = 0
        self.held: dict[int, bytes] | None = None
        self.finished = False
        self.pending: deque[Pending] | None = None
        self.queue: OrderedDict[Connection, deque[Waiting]] | None = None
        self.queued = 0
        self.queued_bytes = 0
        self.queue_shares: QueueShares | None = None


def answers_others(connection: Connection) -> bool:
    """Return whether other users wait for answers from this connection, so that it must always be read (rule 5.8).

    No user waits for a member's device: the store keeps what it has not acknowledged.
    """
    return connection.device is None and connection.side is not Side.SENDING
