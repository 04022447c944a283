"""The messages that a client sends, and what becomes of them (docs/protocol.md, rules 9.5, 9.6, 11.6 to 11.8).

Theory of operation. A message stays in the outbox until it is accepted; after that, its receipt lives as long as the
program keeps it. On every new connection, the client sends what is in the outbox again, in order and with the Ids that
the messages have had from the beginning. Answers and log entries name their message by its Id and only ever add to what
is known. So an answer that comes twice, or after a later one, changes nothing.
"""

import asyncio
import secrets
import time
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable

from twotick.client.errors import ConnectionLost, NotDelivered, TwotickError
from twotick.client.member.events import State
from twotick.client.member.limits import MemberLimits
from twotick.client.member.outbox import Outbox, QueuedMessage
from twotick.client.member.receipts import MemberReceipt, Outcome
from twotick.wire import Verb, frame

_DEFAULT_MAX_BODY = 1 << 20
"""The largest body, in bytes, until a server has said what it accepts."""

_LONGEST_PAUSE = 900
"""The longest time, in seconds, that a server can make us wait before we send again."""

_SHORT = 0.01
"""Seconds by which a timer may be early."""

_POSITIONS = 16384
"""How many messages' positions are remembered, to know which of them a READ applies to."""


class Sender:
    """The messages that a client sends.

    Args:
        outbox: the messages that are not accepted yet.
        limits: how many messages may be unanswered at once.
        write: writes to the server.
        watch: called when the server owes an answer.
        report: called with the receipt of a message that was in the outbox before this client was made, and the error
            if the message failed. The program may have no receipt of it, and it may not be in the log.

    Attributes:
        max_body: the largest body that the server accepts, in bytes.
    """

    def __init__(
        self,
        outbox: Outbox,
        limits: MemberLimits,
        write: Callable[[bytes], None],
        watch: Callable[[], None],
        report: Callable[[MemberReceipt, TwotickError | None], None],
    ) -> None:
        self.max_body = _DEFAULT_MAX_BODY
        self._outbox = outbox
        self._limits = limits
        self._write = write
        self._watch = watch
        self._report = report
        self._id_prefix = secrets.token_hex(6)  # all Ids that this client makes begin with it
        self._connected = False
        self._may_send_at = 0.0  # on the monotonic clock
        self._error: TwotickError | None = None
        self._unsent: deque[QueuedMessage] = deque()
        self._unanswered: dict[str, QueuedMessage] = {}
        self._unanswered_bytes = 0
        self._receipts: weakref.WeakValueDictionary[str, MemberReceipt] = weakref.WeakValueDictionary()
        self._given: OrderedDict[str, None] = OrderedDict()  # Ids that the program has made
        self._positions: OrderedDict[str, tuple[int, int]] = OrderedDict()  # order and seq by Id; 0 if not known
        outbox.on_stored = self._is_stored

    # Connections

    def opened(self, max_body: int | None, same_log: bool) -> None:
        """Send what waits in the outbox on a new connection.

        Args:
            max_body: the largest body that the server accepts, in bytes; None if it does not say.
            same_log: whether the numbers of the log have the same meaning as before.
        """
        self.max_body = max_body or _DEFAULT_MAX_BODY
        if not same_log:
            self._positions.clear()
            for receipt in self._receipts.values():
                receipt.seq = 0
        self._connected = True
        self._unsent = deque(each for each in self._outbox.messages.values() if each.stored and not each.held_for())
        self._pump()

    def lost(self) -> None:
        """Stop sending until the next connection."""
        self._connected = False
        self._unsent.clear()
        self._unanswered.clear()
        self._unanswered_bytes = 0

    def forget_accepted(self, error: TwotickError) -> None:
        """Raise `error` in callers that wait for messages that were accepted: their state will not be known."""
        for receipt in list(self._receipts.values()):
            if receipt.state is not State.QUEUED:
                receipt.give_up(error)

    def end(self, error: TwotickError) -> None:
        """Raise `error` in all callers that wait: there will be no further connection."""
        self._error = error
        self._outbox.shut(error)
        for receipt in list(self._receipts.values()):
            receipt.give_up(error)

    def waiting_since(self) -> float:
        """Return when the oldest unanswered SEND was written, in seconds on the monotonic clock; 0 if there is none."""
        return next((message.sent for message in self._unanswered.values()), 0.0)

    # Sending

    async def queue(
        self,
        recipient: str,
        body: bytes,
        headers: bytes,
        *,
        expires: float | None,
        ident: str | None,
        delay: float | None,
    ) -> MemberReceipt:
        """Put a message into the outbox, unless a message with its Id is known already.

        Args:
            recipient: the user or room it is for.
            body: the body.
            headers: the header lines, without `Id` and `Expires`.
            expires: the number of seconds after which it is not delivered any more; None for never.
            ident: its Id; None for a new one.
            delay: the number of seconds for which it is held back, and can be withdrawn; None for none.

        Returns:
            The receipt.

        Raises:
            NotDelivered: the body is too large.
            OutboxError: the outbox on disk cannot be written.
            TwotickError: the client has ended.
        """
        if len(body) > self.max_body:
            raise NotDelivered(self._too_long(len(body)))
        if ident is not None:
            known = self._receipts.get(ident)
            if known is not None and known.state is not State.FAILED:
                return known
            self._given[ident] = None
            if len(self._given) > _POSITIONS:
                self._given.popitem(last=False)
        until = None if expires is None else time.time() + expires
        ident = ident or f"{self._id_prefix}-{secrets.token_hex(8)}"
        held = None if delay is None else time.time() + delay
        return (await self._outbox.add(ident, recipient, headers, body, until, held)).receipt

    def withdraw(self, receipt: MemberReceipt) -> bool:
        """Take a message out of the outbox, unless it may have been sent already.

        Args:
            receipt: the message's receipt.

        Returns:
            Whether it was taken out.
        """
        message = self._outbox.messages.get(receipt.id)
        if message is None or message.written:
            return False
        self._fail(message, NotDelivered("it was cancelled before it was sent"))
        return True

    def loaded(self) -> None:
        """Take in the messages that were in the outbox when it was opened."""
        for message in self._outbox.messages.values():
            self._receipts[message.receipt.id] = message.receipt
            if seconds := message.held_for():
                self._hold(message, seconds)

    def _is_stored(self, message: QueuedMessage) -> None:
        """Send a message, or let it wait for its turn, now that the outbox has stored it."""
        self._receipts[message.receipt.id] = message.receipt
        if self._error is not None:
            message.receipt.give_up(self._error)
            return
        left = message.left()
        if left is not None:
            message.timer = asyncio.get_running_loop().call_later(left, self._expire, message)
        if seconds := message.held_for():
            self._hold(message, seconds)
        elif self._connected:
            self._unsent.append(message)
            self._pump()

    def _hold(self, message: QueuedMessage, seconds: float) -> None:
        """Hold a message back for some time."""
        asyncio.get_running_loop().call_later(seconds, self._release, message)

    def _release(self, message: QueuedMessage) -> None:
        """Send a message that was held back, unless it was withdrawn."""
        message.held_until = 0.0  # not None: the outbox on disk still has the time
        if self._connected and message.receipt.id in self._outbox.messages and not message.written:
            self._unsent.append(message)
            self._pump()

    def _expire(self, message: QueuedMessage) -> None:
        message.timer = None
        if not message.written:
            self._fail(message, NotDelivered("expired before it could be sent"))

    def _fail(self, message: QueuedMessage, error: TwotickError) -> None:
        """Take a message out of the outbox that is not sent."""
        self._outbox.remove(message)
        message.receipt.advance(State.FAILED, error)
        if message.loaded:
            self._report(message.receipt, error)

    def _too_long(self, size: int) -> str:
        return f"the message has {size} bytes, and {self.max_body} is the limit"

    def _pump(self) -> None:
        """Send what waits, up to the limits on unanswered messages."""
        if self._may_send_at > time.monotonic():
            return  # `postpone` has set a timer
        while self._unsent and len(self._unanswered) < self._limits.pipelined:
            message = self._unsent[0]
            ident = message.receipt.id
            size = len(message.body)
            if self._unanswered and self._unanswered_bytes + size > self._limits.pipelined_bytes:
                break
            self._unsent.popleft()
            if ident not in self._outbox.messages:
                continue  # it was withdrawn, or has expired
            if size > self.max_body:
                self._fail(message, NotDelivered(self._too_long(size)))
                continue
            self._unanswered[ident] = message
            self._unanswered_bytes += size
            message.again |= message.written
            message.written = True
            message.sent = time.monotonic()
            self._write(
                frame(
                    Verb.SEND,
                    message.receipt.recipient.encode(),
                    message.body,
                    message.headers,
                    id=ident.encode(),
                    expires=message.left(),
                )
            )
        self._watch()

    def postpone(self, ident: str, seconds: int) -> None:
        """Send a message again later, with all that follow it: the server takes none for so long (rule 8.5).

        Args:
            ident: the message's Id.
            seconds: how long to wait.
        """
        message = self._unanswered.pop(ident, None)
        if message is None:
            return
        self._unanswered_bytes -= len(message.body)
        message.written = False
        self._unsent = deque(
            each
            for each in self._outbox.messages.values()
            if each.stored and each.receipt.id not in self._unanswered and not each.held_for()
        )
        pause = min(max(seconds, 1), _LONGEST_PAUSE)
        self._may_send_at = time.monotonic() + pause
        asyncio.get_running_loop().call_at(asyncio.get_running_loop().time() + pause + _SHORT, self._pump)

    # Outcomes

    def is_ours(self, ident: str) -> bool:
        """Return whether this client has sent the message with this Id, so that its receipt is enough."""
        return ident.startswith(self._id_prefix) or ident in self._given

    def outcome(self, outcome: Outcome) -> None:
        """Record a new state that the server reported.

        Args:
            outcome: the message's Id and its state.
        """
        ident = outcome.id
        message = self._outbox.messages.get(ident)
        receipt = self._receipts.get(ident)
        if message is not None:
            self._outbox.remove(message)
            # If the server knew a new message already, it was sent before others that are older here.
            is_known = outcome.seq or message.again
            self.remember_position(ident, message.receipt.order if is_known else 0, outcome.seq)
        elif outcome.seq and (position := self._positions.get(ident)):  # its log entry came before this answer
            self.remember_position(ident, position[0], outcome.seq)
        if (sent := self._unanswered.pop(ident, None)) is not None:
            self._unanswered_bytes -= len(sent.body)
        if receipt is not None:
            receipt.settle(outcome)
        if outcome.state is State.READ:
            self._mark_read(ident, outcome.recipient)
        if message is not None and message.loaded:
            self._report(message.receipt, outcome.error)
        self._pump()

    def progress(self, ident: str, have: int, of: int) -> None:
        """Record how many members of a room have a message (rule 12.6).

        Args:
            ident: the message's Id.
            have: how many members have it.
            of: how many members it was sent to.
        """
        if (receipt := self._receipts.get(ident)) is not None:
            receipt.advance_to(have, of)

    def remember_position(self, ident: str, order: int, seq: int) -> None:
        """Remember the position of a message, to know later whether a READ applies to it.

        Args:
            ident: the message's Id.
            order: its position among the messages of this outbox; 0 if it was not sent by this client.
            seq: its number in the log; 0 if it is not known.
        """
        self._positions[ident] = order, seq
        if len(self._positions) > _POSITIONS:
            self._positions.popitem(last=False)

    def _mark_read(self, ident: str, recipient: str) -> None:
        """Mark a message, and all earlier messages to the same recipient, as read (rule 11.8).

        Their numbers in the log say which are earlier. A client that only sends does not know them, nor do old servers
        tell the number of a message that they knew: then the order in this outbox counts.
        """
        order, seq = self._positions.get(ident, (0, 0))
        for receipt in list(self._receipts.values()):
            is_earlier = receipt.seq <= seq if receipt.seq and seq else receipt.order <= order
            if is_earlier and receipt.state is State.DELIVERED and receipt.recipient.lower() == recipient.lower():
                receipt.advance(State.READ)


def end_error(error: Exception) -> TwotickError:
    """Return the error for callers that wait for a message, after the client has ended with any kind of exception."""
    return error if isinstance(error, TwotickError) else ConnectionLost(f"the client has failed: {error!r}")
