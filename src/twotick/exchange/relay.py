"""Deliveries to guests, which are not stored (docs/protocol.md, sections 5, 6 and 9).

Theory of operation. A message on its way is one tuple (`Pending`). It is in the receiver's `pending` from its FORWARD
until the receiver answers. If the receiver's window is full, it waits in the receiver's `queue` first, where the
sending connections take turns.

The SENDs of a connection are numbered. A classic sender is answered in the order of its SENDs (rule 5.5), so an answer
that comes before its turn is put into the sender's `held`. An extended sender gets each answer at once.

A message that ran out of time is answered, but stays in `pending` as SETTLED until its receiver answers too. That late
answer is thus matched to its own message and to no other.

The fast path is a message between classic connections. Two loops handle it without calling anything for a message:
`Router.take_classic` for the SEND and `take_received` for the RECEIVED. A sender with a `held` that is not None is not
on the fast path: more is to be done for its answers than to write them.
"""

from collections import OrderedDict, deque
from typing import Final

from twotick.exchange.characters import CharacterCounts
from twotick.exchange.connection import GONE, SETTLED, Connection, Pending, Stage, answers_others
from twotick.exchange.limits import Limits
from twotick.exchange.output import Output
from twotick.exchange.queue_shares import QueueShares, is_scarce
from twotick.exchange.shares import Shares
from twotick.exchange.tally import OTHER, Tally
from twotick.wire import UNABLE_TO_SEND, Frame, Head, Verb, delivered, error, forward

_RECEIVED: Final = Verb.RECEIVED

REFUSED = "the recipient refused the message"
LEFT = "the recipient left before it had the message"
LATE = "the recipient did not answer in time"
STOPPING = "the server is about to stop"
FULL = "too much of what this connection has sent is unanswered"
NO_ROOM = "too much is waiting for the recipient, or too much of what came from this address"
BUSY = "too much is waiting that came from this address: send it again later"

_COUNTED_AS: Final = {
    REFUSED: "by_recipient",
    LEFT: "recipient_left",
    LATE: "late",
    STOPPING: "stopping",
    FULL: "unanswered",
    NO_ROOM: "queue_full",
    BUSY: "queue_full",
}
"""The words by which the operator finds these reasons."""


class Relay:
    """The messages that are on their way to guests, and the answers to all senders.

    Args:
        limits: the limits of the exchange.
        now: the time, in seconds on any clock that does not go back.
        output: takes what is written.
        tally: counts the answers.

    Attributes:
        tally: see above.
        now: the time at the last tick.
        deadline: the time by which a SEND that arrives now is answered (rule 5.7).
        draining: whether the server takes no more SENDs because it is about to stop (rule 4.10).
        length_end: returns the length for a body that is not ASCII; see `CharacterCounts.length_end`.
        most_unanswered: the most unanswered SENDs of one connection (rule 5.8).
        queued_bytes: the bytes of bodies that wait for a receiver or for the store, which addresses share (rule 5.6).
    """

    def __init__(self, limits: Limits, now: float, output: Output, tally: Tally) -> None:
        self._limits = limits
        self.tally = tally
        self._output = output
        self._written = output.written
        self._most_unsent = limits.queue_bytes // 4
        # The receivers that something waits for, and some that nothing waits for any more. It is a dict and not a set
        # so that the same events have the same effects in the same order.
        self._busy: dict[Connection, None] = {}
        self.queued_bytes = Shares(limits.queue_bytes_total)
        self._characters = CharacterCounts()
        self.length_end = self._characters.length_end
        self.most_unanswered = limits.unanswered
        self.now = now
        self.deadline = now + limits.answer_timeout
        self.draining = False

    def tick(self, now: float) -> None:
        """Set the time, and answer 102 for every message that has waited too long (rule 5.7)."""
        self.now = now
        self.deadline = now + self._limits.answer_timeout
        for receiver in list(self._busy):
            if not receiver.pending and not receiver.queue:
                del self._busy[receiver]
            else:
                self._expire(receiver)

    @property
    def idle(self) -> bool:
        """Whether no message waits for an answer."""
        return not any(receiver.queue or any(map(_unsettled, receiver.pending or ())) for receiver in self._busy)

    # To a receiver

    def deadline_of(self, sender: Connection, head: Head) -> float:
        """Return the time by which a SEND to guests is answered (rules 5.7 and 11.10)."""
        seconds = time_to_live(sender, head)
        return self.deadline if seconds is None else min(self.deadline, self.now + seconds)

    def wake(self, receiver: Connection) -> deque[Pending]:
        """Return the `pending` of a receiver, and look at it at every tick from now on."""
        self._busy[receiver] = None
        if receiver.pending is None:
            receiver.pending = deque()
        return receiver.pending

    def deliver(self, receiver: Connection, message: Pending, body: bytes) -> None:
        """Forward a message to a receiver, now or when the receiver's window has room."""
        pending = self.wake(receiver)
        if message[3] <= self.now:  # its Expires is 0
            self.settle(message, LATE)
        elif len(pending) < receiver.window:
            pending.append(message)
            self._forward(receiver, message, body)
        else:
            self.queue(receiver, message, body)

    def _forward(self, receiver: Connection, message: Pending, body: bytes) -> None:
        """Write a FORWARD: with Content-length alone for a classic receiver (rule 5.2), else with more (rule 9.7)."""
        sender, send, _, _, _ = message
        if receiver.framed:
            self._output.give_forward(receiver, sender.name, body, send.id, send.travels)
        elif receiver.extended:
            self._output.write(receiver, forward(sender.name, body, send.id, None, send.travels))
        else:
            length_end = send.length_end if body.isascii() else self.length_end(receiver, message, body)
            self._output.write(receiver, sender.start, length_end, body)

    def queue(self, receiver: Connection, message: Pending, body: bytes) -> None:
        """Let a message wait for a receiver's window, or answer 102 if too much waits (rule 5.6)."""
        size = _size(message, body)
        network = message[0].network
        if not self._has_room(receiver, network, size):
            self.settle(message, NO_ROOM)
            return
        if not self.queued_bytes.take(network, size):
            if receiver.queue_shares is not None:
                receiver.queue_shares.give_back(network, size)
            self.settle(message, BUSY)
            return
        if receiver.queue is None:
            receiver.queue = OrderedDict()
        receiver.queue.setdefault(message[0], deque()).append((message, body))
        receiver.queued += 1
        receiver.queued_bytes += size
        message[0].unsent_bytes += size

    def _has_room(self, receiver: Connection, network: str, size: int) -> bool:
        """Tell whether one more message of an address may wait for a receiver, and count it if shares are counted."""
        messages, most_bytes = self._limits.queue_messages, self._limits.queue_bytes
        if not (is_scarce(receiver.queued, 1, messages) or is_scarce(receiver.queued_bytes, size, most_bytes)):
            receiver.queue_shares = None
            return True
        if receiver.queue_shares is None:
            waiting = (
                (sender.network, _size(message, body))
                for sender, messages_of_sender in (receiver.queue or {}).items()
                for message, body in messages_of_sender
            )
            receiver.queue_shares = QueueShares(messages, most_bytes, waiting)
        return receiver.queue_shares.take(network, size)

    def forward_queued(self, receiver: Connection) -> None:
        """Forward queued messages as far as the receiver's window allows; the senders take turns."""
        queue = receiver.queue
        pending = receiver.pending
        while queue and pending is not None and len(pending) < receiver.window:
            sender, waiting = next(iter(queue.items()))
            message, body = waiting.popleft()
            if waiting:
                queue.move_to_end(sender)
            else:
                del queue[sender]
            self._dequeued(receiver, message, body)
            if message[3] <= self.now:  # it has less time than one before it
                self.settle(message, LATE)
                continue
            pending.append(message)
            self._forward(receiver, message, body)

    def _dequeued(self, receiver: Connection, message: Pending, body: bytes) -> None:
        sender = message[0]
        size = _size(message, body)
        receiver.queued -= 1
        receiver.queued_bytes -= size
        if receiver.queue_shares is not None:
            receiver.queue_shares.give_back(sender.network, size)
        sender.unsent_bytes -= size
        self.queued_bytes.give_back(sender.network, size)
        if sender.paused:
            self.resume(sender)

    def _expire(self, receiver: Connection) -> None:
        """Answer 102 for the messages to one receiver that have waited too long."""
        if pending := receiver.pending:
            for place, message in enumerate(pending):
                sender, send, _, deadline, _ = message
                if deadline <= self.now and _unsettled(message):
                    pending[place] = (sender, send, SETTLED, deadline, None)
                    self.settle(message, LATE)
        if queue := receiver.queue:
            for sender, waiting in list(queue.items()):
                while waiting and waiting[0][0][3] <= self.now:
                    message, body = waiting.popleft()
                    self._dequeued(receiver, message, body)
                    self.settle(message, LATE)
                if not waiting:
                    del queue[sender]

    def abandon(self, receiver: Connection) -> None:
        """Answer 102 for every message to a receiver that is gone (rule 4.8)."""
        messages = list(receiver.pending or ())
        for waiting in (receiver.queue or {}).values():
            for message, body in waiting:
                self._dequeued(receiver, message, body)
                messages.append(message)
        receiver.pending = receiver.queue = receiver.queue_shares = None
        self._characters.forget(receiver)
        for message in messages:
            self.settle(message, LEFT)

    # From a receiver

    def take_received(self, receiver: Connection, frames: list[Frame], start: int) -> int:
        """Take RECEIVED frames of a guest (rule 5.3): each answers the oldest FORWARD, if it names its sender.

        This is one half of the fast path: if the sender waits for just that answer, it is written here.
        """
        relayed = 0
        taken = len(frames)
        for head, body in frames[start:] if start else frames:
            if head.verb is not _RECEIVED:
                taken = frames.index((head, body), start)
                break
            pending = receiver.pending
            if not pending:
                continue
            message = pending.popleft()
            sender, send, number, _, broadcast = message
            if head.key != sender.key:
                pending.appendleft(message)
                continue
            if number == sender.next_answer and sender.held is None:
                sender.next_answer = number + 1
                out = sender.out
                if not out:
                    self._written.append(sender)
                out.append(send.delivered)
                relayed += 1
            elif broadcast is None and number != SETTLED:
                self.reply(sender, number, send, None)
            else:
                self.settle(message, None)
            if receiver.queue:
                self.forward_queued(receiver)
        self.tally.relayed += relayed
        return taken

    def take_refusal(self, receiver: Connection, head: Head, _body: bytes) -> None:
        """Take an ERROR of a guest in place of RECEIVED: the oldest FORWARD is refused (rule 5.3).

        A classic receiver that may count characters is given it once more instead (rule 5.10).
        """
        pending = receiver.pending
        if pending:
            if not receiver.extended and (again := self._characters.once_more(receiver, pending[0], head.code)):
                self._output.write(receiver, pending[0][0].start, *again)
                return
            self.settle(pending.popleft(), REFUSED)
        if receiver.queue:
            self.forward_queued(receiver)

    # To a sender

    def settle(self, message: Pending, failure: str | None) -> None:
        """Note the result of a message at one receiver, and answer its sender if that was the last one.

        Args:
            message: the message.
            failure: why the receiver does not have it; None if it does.
        """
        sender, send, number, _, broadcast = message
        if broadcast is not None:
            broadcast.waiting -= 1
            broadcast.failure = broadcast.failure or failure
            if not broadcast.waiting:
                broadcast.finish(broadcast.failure)
        elif number != SETTLED:
            self.reply(sender, number, send, failure)

    def reply(self, sender: Connection, number: int, send: Head, failure: str | None) -> None:
        """Answer a SEND: it was delivered (rule 5.4), or it failed for this reason."""
        if failure is None:
            self.tally.relayed += 1
        else:
            self.tally.refuse(_COUNTED_AS.get(failure, OTHER))
        if not sender.extended:
            self._answer(sender, number, send.delivered if failure is None else _unable(sender, failure))
            return
        if failure is None and sender.framed:
            self._output.give_answer(sender, b"SEND", send.name, send.id)
        elif failure is None:
            self._output.write(sender, delivered(send.name, send.id, None))
        else:
            self._output.write(sender, error(102, id=send.id, reason=failure.encode()))
        self.count_answer(sender)

    def postpone(self, sender: Connection, number: int, send: Head, seconds: int) -> None:
        """Answer a SEND that comes too early, and say how long to wait (rule 8.5)."""
        self.tally.refuse("rate")
        self.tally.note_met(sender.name if sender.device is not None else sender.network.encode(), "sent_bytes")
        reason = f"the server has stored much of this user or address: try again in {seconds} s"
        if not sender.extended:
            self._answer(sender, number, _unable(sender, reason))
            return
        self._output.write(sender, error(105, id=send.id, reason=reason.encode(), retry_after=seconds))
        self.count_answer(sender)

    def count_answer(self, sender: Connection) -> None:
        """Note that a SEND of an extended connection has its first answer."""
        if sender.next_answer == GONE:
            return
        sender.next_answer += 1
        if sender.paused:
            self.resume(sender)
        if sender.finished and sender.next_answer == sender.next_send:
            self._output.close(sender)

    def _answer(self, sender: Connection, number: int, answer: bytes) -> None:
        """Write the answer to a SEND of a classic connection when it is its turn (rule 5.5)."""
        if sender.next_answer == GONE:
            return
        held = self.leave_fast_path(sender)
        held[number] = answer
        while (due := held.pop(sender.next_answer, None)) is not None:
            sender.next_answer += 1
            self._output.write(sender, due)
        if sender.paused:
            self.resume(sender)
        if sender.finished and sender.next_answer == sender.next_send:
            self._output.close(sender)
        if not held and not sender.paused and not sender.finished:
            sender.held = None

    def leave_fast_path(self, sender: Connection) -> dict[int, bytes]:
        """Return the `held` of a sender; while it has one, every answer passes through `_answer`."""
        if sender.held is None:
            sender.held = {}
        return sender.held

    # Reading from connections

    def pause(self, connection: Connection) -> None:
        """Stop reading from a connection for now."""
        self.leave_fast_path(connection)
        if not connection.paused:
            connection.paused = True
            self._output.changed.append(connection)

    def resume(self, connection: Connection) -> None:
        """Read again from a connection that was paused, unless there is another reason not to."""
        if not connection.window or connection.stage is Stage.WAITING:
            return
        if answers_others(connection) or not (self.draining or self.is_full(connection, 2)):
            connection.paused = False
            if not (connection.held or connection.extended or connection.finished):
                connection.held = None  # so an idle connection does not keep an empty dict
            self._output.changed.append(connection)

    def is_full(self, sender: Connection, divisor: int = 1) -> bool:
        """Return whether a sender has on its way what rule 5.8 allows, or the given fraction of that."""
        return (
            sender.next_send - sender.next_answer >= self.most_unanswered // divisor
            or sender.unsent_bytes >= self._most_unsent // divisor
        )


def time_to_live(sender: Connection, head: Head) -> int | None:
    """Return the seconds that a message has to arrive by its Expires, which is well formed; None without one."""
    if head.is_plain or not sender.extended:
        return None
    seconds = head.headers.get(b"expires")
    return None if seconds is None else int(seconds)


def _unsettled(message: Pending) -> bool:
    """Return whether an answer depends on this message's receiver."""
    return message[2] != SETTLED or message[4] is not None


def _size(message: Pending, body: bytes) -> int:
    """Return the bytes of a message that waits: its body, and the headers that go with it."""
    return len(body) + len(message[1].travels)


def _unable(sender: Connection, failure: str) -> bytes:
    """Return the answer to a SEND of a classic connection that failed, with the reason if its client asks for it."""
    return error(102, reason=failure.encode()) if sender.reasons else UNABLE_TO_SEND
