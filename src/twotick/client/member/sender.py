"""What becomes of the messages of one client (docs/protocol.md, rules 9.5, 9.6, 11.6 to 11.8).

Theory of operation. A message is in the outbox until it is accepted; then its receipt lives on as long as the program
keeps it. Every connection is sent what is in the outbox, in order and with the Ids that it has had from the beginning.
Answers and entries of the log find their messages by Id and only ever add to what is known, so what comes twice, or
after something that says more, changes nothing.
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
from twotick.client.member.outbox import Item, Outbox
from twotick.client.member.receipts import MemberReceipt, Outcome
from twotick.wire import Verb, frame

_DEFAULT_MAX_BODY = 1 << 20
"""The longest body, in bytes, until a server has said what it takes."""

_PLACES = 16384
"""Messages of which it is remembered where they stand in the log, to know which of them a READ stands for."""


class Sender:
    """The messages that a client sends.

    Args:
        outbox: where they wait to be accepted.
        limits: how many may be on their way at once.
        write: writes to the server.
        watch: called when the server owes an answer.
        tell: called with what became of a message that was in the outbox before, and an error if it failed: the program
            may have no receipt of it, and it may not be in the log.

    Attributes:
        max_body: the longest body that the server takes, in bytes.
    """

    def __init__(
        self,
        outbox: Outbox,
        limits: MemberLimits,
        write: Callable[[bytes], None],
        watch: Callable[[], None],
        tell: Callable[[MemberReceipt, TwotickError | None], None],
    ) -> None:
        self.max_body = _DEFAULT_MAX_BODY
        self._outbox = outbox
        self._limits = limits
        self._write = write
        self._watch = watch
        self._tell = tell
        self._ids = secrets.token_hex(6)  # with which all Ids of this client begin
        self._connected = False
        self._error: TwotickError | None = None
        self._unsent: deque[Item] = deque()
        self._unanswered: dict[str, Item] = {}
        self._unanswered_bytes = 0
        self._receipts: weakref.WeakValueDictionary[str, MemberReceipt] = weakref.WeakValueDictionary()
        self._given: OrderedDict[str, None] = OrderedDict()  # Ids that the program has made
        self._places: OrderedDict[str, tuple[int, int]] = OrderedDict()  # order and seq by Id; 0 for what is not known
        outbox.on_stored = self._is_stored

    # Connections

    def opened(self, max_body: int | None, same_log: bool) -> None:
        """There is a connection: send what waits.

        Args:
            max_body: the longest body that the server takes, in bytes; None if it does not say.
            same_log: whether numbers of the log mean what they meant before.
        """
        self.max_body = max_body or _DEFAULT_MAX_BODY
        if not same_log:
            self._places.clear()
            for receipt in self._receipts.values():
                receipt.seq = 0
        self._connected = True
        self._unsent = deque(item for item in self._outbox.items.values() if item.stored)
        self._pump()

    def lost(self) -> None:
        """The connection is gone."""
        self._connected = False
        self._unsent.clear()
        self._unanswered.clear()
        self._unanswered_bytes = 0

    def forget_accepted(self, error: TwotickError) -> None:
        """Nobody will tell what becomes of the messages that were accepted."""
        for receipt in list(self._receipts.values()):
            if receipt.state is not State.QUEUED:
                receipt.give_up(error)

    def end(self, error: TwotickError) -> None:
        """Nobody will tell what becomes of any message."""
        self._error = error
        self._outbox.shut(error)
        for receipt in list(self._receipts.values()):
            receipt.give_up(error)

    def owed(self) -> float:
        """Since when the oldest SEND of this connection is unanswered, on the monotonic clock; 0 if none is."""
        return next((item.sent for item in self._unanswered.values()), 0.0)

    # Sending

    async def queue(
        self, recipient: str, body: bytes, headers: bytes, expires: float | None, ident: str | None
    ) -> MemberReceipt:
        """Put a message into the outbox, unless it is there already.

        Args:
            recipient: whom it is for.
            body: the body.
            headers: the header lines, but for `Expires`.
            expires: the seconds after which nobody wants it; None for never.
            ident: its Id; None for a new one.

        Raises:
            TwotickError: it cannot be put there.
        """
        if len(body) > self.max_body:
            raise NotDelivered(self._too_long(len(body)))
        if ident is not None:
            known = self._receipts.get(ident)
            if known is not None and known.state is not State.FAILED:
                return known
            self._given[ident] = None
            if len(self._given) > _PLACES:
                self._given.popitem(last=False)
        until = None if expires is None else time.time() + expires
        item = await self._outbox.add(ident or f"{self._ids}-{secrets.token_hex(8)}", recipient, headers, body, until)
        return item.receipt

    def withdraw(self, receipt: MemberReceipt) -> None:
        """Do not send a message, unless it may have been sent already."""
        item = self._outbox.items.get(receipt.id)
        if item is not None and not item.written:
            self._fail(item, NotDelivered("the call that sent it was cancelled before it was sent"))

    def loaded(self) -> None:
        """The outbox was opened: take in what was there."""
        for item in self._outbox.items.values():
            self._receipts[item.receipt.id] = item.receipt

    def _is_stored(self, item: Item) -> None:
        """A message is in the outbox, and may be sent."""
        self._receipts[item.receipt.id] = item.receipt
        if self._error is not None:
            item.receipt.give_up(self._error)
            return
        left = item.left()
        if left is not None:
            item.timer = asyncio.get_running_loop().call_later(left, self._expire, item)
        if self._connected:
            self._unsent.append(item)
            self._pump()

    def _expire(self, item: Item) -> None:
        item.timer = None
        if not item.written:
            self._fail(item, NotDelivered("expired before it could be sent"))

    def _fail(self, item: Item, error: TwotickError) -> None:
        """A message is not sent."""
        self._outbox.remove(item)
        item.receipt.advance(State.FAILED, error)
        if item.loaded:
            self._tell(item.receipt, error)

    def _too_long(self, size: int) -> str:
        return f"the message has {size} bytes, and {self.max_body} is the limit"

    def _pump(self) -> None:
        """Send what waits, as far as it may go out now."""
        while self._unsent and len(self._unanswered) < self._limits.pipelined:
            item = self._unsent[0]
            ident = item.receipt.id
            size = len(item.body)
            if self._unanswered and self._unanswered_bytes + size > self._limits.pipelined_bytes:
                break
            self._unsent.popleft()
            if ident not in self._outbox.items:
                continue  # it is not wanted any more
            if size > self.max_body:
                self._fail(item, NotDelivered(self._too_long(size)))
                continue
            self._unanswered[ident] = item
            self._unanswered_bytes += size
            item.written = True
            item.sent = time.monotonic()
            recipient = item.receipt.recipient.encode()
            self._write(frame(Verb.SEND, recipient, item.body, item.headers, id=ident.encode(), expires=item.left()))
        self._watch()

    # Outcomes

    def is_ours(self, ident: str) -> bool:
        """Whether a message was sent by this client, so that its receipt is all that anybody needs."""
        return ident.startswith(self._ids) or ident in self._given

    def outcome(self, outcome: Outcome) -> None:
        """The server says what became of a message."""
        ident = outcome.id
        item = self._outbox.items.get(ident)
        receipt = self._receipts.get(ident)
        if item is not None:
            self._outbox.remove(item)
            self.place(ident, item.receipt.order, outcome.seq)
        if (sent := self._unanswered.pop(ident, None)) is not None:
            self._unanswered_bytes -= len(sent.body)
        if receipt is not None:
            receipt.settle(outcome)
        if outcome.state is State.READ:
            self._read(ident, outcome.recipient)
        if item is not None and item.loaded:
            self._tell(item.receipt, outcome.error)
        self._pump()

    def progress(self, ident: str, have: int, of: int) -> None:
        """So many members of a room have a message (rule 12.6)."""
        if (receipt := self._receipts.get(ident)) is not None:
            receipt.advance_to(have, of)

    def place(self, ident: str, order: int, seq: int) -> None:
        """Remember where a message stands.

        Args:
            ident: its Id.
            order: its number among those of this client; 0 if it is not one of them.
            seq: its number in the log; 0 if that is not known.
        """
        self._places[ident] = order, seq
        if len(self._places) > _PLACES:
            self._places.popitem(last=False)

    def _read(self, ident: str, recipient: str) -> None:
        """A message was read, and with it all before it to the same recipient (rule 11.8)."""
        order, seq = self._places.get(ident, (0, 0))
        for receipt in list(self._receipts.values()):
            same = receipt.recipient.lower() == recipient.lower()
            if same and receipt.state is State.DELIVERED and (receipt.order <= order or 0 < receipt.seq <= seq):
                receipt.advance(State.READ)


def ended(error: Exception) -> TwotickError:
    """What to tell those who wait for the fate of a message, when a client has ended with an error of whatever kind."""
    return error if isinstance(error, TwotickError) else ConnectionLost(f"the client has failed: {error!r}")
