"""Deliveries between connections, none of them stored (docs/protocol.md, sections 5, 6 and 9).

Theory of operation. A message on its way is one tuple. It waits in the receiver's `pending` from its FORWARD to the
answer to it, or in the receiver's `queue` before that if the window is full; the queue gives each sending connection
its turn. A classic sender counts its SENDs, and an answer that comes before its turn is held back, so answers go out in
the order of the SENDs; an extended sender gets each answer when it is there. A message that is answered before its
receiver has answered (by the time limit) stays in `pending` as SETTLED, so that the late answer is matched to it and to
no other.

The fast path is between classic connections: `_take_sends` and `_take_answers` handle it in line. A session for which
more is to be done than to write an answer leaves it by having `held`.
"""

from abc import ABC, abstractmethod
from collections import OrderedDict, deque
from typing import Final

from twotick.exchange.limits import Limits
from twotick.exchange.output import Output
from twotick.exchange.session import GONE, SETTLED, Pending, Session, Stage
from twotick.wire import (
    MALFORMED_USERNAME,
    UNABLE_TO_SEND,
    Frame,
    Head,
    Side,
    Verb,
    delivered,
    error,
    forward,
)

_SEND: Final = Verb.SEND
_RECEIVED: Final = Verb.RECEIVED

REFUSED = "the recipient refused the message"
LEFT = "the recipient left before it had the message"
LATE = "the recipient did not answer in time"
STOPPING = "the server is about to stop"
FULL = "too much of what this connection has sent is unanswered"
NO_ROOM = "too much is waiting for the recipient"


class Relay(ABC):
    """What is on its way between connections. `Exchange` adds who they are.

    Args:
        limits: what is kept at most, and for how long.
        now: the time, in seconds on any clock that does not go back.
    """

    def __init__(self, limits: Limits, now: float) -> None:
        self._limits = limits
        self._most_unanswered = limits.unanswered
        self._most_unsent = limits.queue_bytes // 4
        self._now = now
        self._deadline = now + limits.answer_timeout
        # The classic receiving connections of registered users, by name in lower case.
        self._receivers: dict[bytes, Session] = {}
        # The extended connections of guests, likewise.
        self._extended: dict[bytes, Session] = {}
        # The receivers on which something waits, and some on which it no longer does. No set: the same events are to
        # have the same effects in the same order.
        self._busy: dict[Session, None] = {}
        self._queued_bytes = 0
        self._draining = False
        self._output = Output()
        self.written = self._output.written
        self.changed = self._output.changed
        self.requests = self._output.requests

    @abstractmethod
    def _send_elsewhere(self, sender: Session, number: int, head: Head, body: bytes) -> None:
        """Handle a SEND to anybody but a guest with a classic connection."""

    @abstractmethod
    def _break_off(self, session: Session, head: Head) -> None:
        """Handle a frame that cannot be understood."""

    def _tick(self, now: float) -> None:
        """Answer whoever has waited too long (rule 5.7)."""
        self._now = now
        self._deadline = now + self._limits.answer_timeout
        for receiver in list(self._busy):
            if not receiver.pending and not receiver.queue:
                del self._busy[receiver]
            else:
                self._expire(receiver)

    @property
    def _nothing_waits(self) -> bool:
        return not any(receiver.queue or any(map(_unsettled, receiver.pending or ())) for receiver in self._busy)

    # From the sender (section 5)

    def _take_sends(self, sender: Session, frames: list[Frame]) -> None:
        """Handle the frames of a sending connection, so few that not too many are unanswered afterwards.

        This is one half of the fast path: a SEND to a receiver whose window has room is handled here, in line.
        """
        for head, body in frames:
            if head.verb is not _SEND:
                if head.verb is Verb.REGISTER:
                    self._output.write(sender, MALFORMED_USERNAME)
                    continue
                self._break_off(sender, head)
                return
            number = sender.next_send
            sender.next_send = number + 1
            receiver = self._receivers.get(head.key)
            if receiver is None:
                self._send_elsewhere(sender, number, head, body)
                continue
            pending = receiver.pending
            if not pending:
                pending = self._wake(receiver)
            if len(pending) < receiver.window:
                pending.append((sender, head, number, self._deadline, None))
                out = receiver.out
                if not out:
                    self.written.append(receiver)
                out += (sender.start, head.length_end, body)
            else:
                self._queue(receiver, (sender, head, number, self._deadline, None), body)
        if sender.unsent_bytes and self._full(sender):
            self._pause(sender)

    def _take_as_can_be(self, sender: Session, frames: list[Frame]) -> list[Frame]:
        """Handle so many frames of a sending connection that not too many are unanswered; returns the others."""
        taken = 0
        while taken < len(frames) and not sender.paused and sender.stage is Stage.SENDING:
            room = self._most_unanswered - sender.next_send + sender.next_answer
            self._take_sends(sender, frames[taken : taken + room])
            taken += room
            if self._full(sender):
                self._pause(sender)
        return frames[taken:]

    def _wake(self, receiver: Session) -> deque[Pending]:
        """The `pending` of a receiver, which is now looked after by `tick`."""
        self._busy[receiver] = None
        if receiver.pending is None:
            receiver.pending = deque()
        return receiver.pending

    def _forward_or_queue(self, receiver: Session, message: Pending, body: bytes) -> None:
        """Give a message to a receiver of any kind, now or when its turn has come."""
        pending = self._wake(receiver)
        if len(pending) < receiver.window:
            pending.append(message)
            self._forward(receiver, message, body)
        else:
            self._queue(receiver, message, body)

    def _forward(self, receiver: Session, message: Pending, body: bytes) -> None:
        """Write a FORWARD; a classic receiver gets Content-length alone (rule 5.2), an extended one more (rule 9.7)."""
        sender, send, _, _, _ = message
        if receiver.extended:
            self._output.write(receiver, forward(sender.name, body, send.id, None, send.travels))
        else:
            self._output.write(receiver, sender.start, send.length_end, body)

    def _queue(self, receiver: Session, pending: Pending, body: bytes) -> None:
        """Let a message wait for its turn at a receiver, or fail if there is no room (rule 5.6)."""
        limits = self._limits
        if (
            receiver.queued >= limits.queue_messages
            or receiver.queued_bytes + len(body) > limits.queue_bytes
            or self._queued_bytes + len(body) > limits.queue_bytes_total
        ):
            self._settle(pending, NO_ROOM)
            return
        if receiver.queue is None:
            receiver.queue = OrderedDict()
        receiver.queue.setdefault(pending[0], deque()).append((pending, body))
        self._count_queued(receiver, pending[0], 1, len(body))

    def _count_queued(self, receiver: Session, sender: Session, messages: int, size: int) -> None:
        receiver.queued += messages
        receiver.queued_bytes += size
        sender.unsent_bytes += size
        self._queued_bytes += size

    # From the receiver (section 5)

    def _take_answers(self, receiver: Session, frames: list[Frame]) -> None:
        """Handle the frames of a receiving connection.

        This is the other half of the fast path: RECEIVED for the oldest message, where the sender waits for just that
        answer, is handled here, in line.
        """
        for head, _ in frames:
            pending = receiver.pending
            if head.verb is _RECEIVED:
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
                        self.written.append(sender)
                    out.append(send.delivered)
                elif broadcast is None and number != SETTLED:
                    self._reply(sender, number, send, None)
                else:
                    self._settle(message, None)
            elif head.verb is Verb.ERROR:
                if not pending:
                    continue
                self._settle(pending.popleft(), REFUSED)
            elif head.verb is Verb.REGISTER:
                self._output.write(receiver, MALFORMED_USERNAME)
                if not receiver.window:
                    self._pause(receiver)
            else:
                self._break_off(receiver, head)
                return
            if receiver.queue:
                self._forward_queued(receiver)

    def _forward_queued(self, receiver: Session) -> None:
        """Forward what waits, each sender in turn, as far as the window allows."""
        queue = receiver.queue
        pending = receiver.pending
        while queue and pending is not None and len(pending) < receiver.window:
            sender, waiting = next(iter(queue.items()))
            message, body = waiting.popleft()
            if waiting:
                queue.move_to_end(sender)
            else:
                del queue[sender]
            self._dequeued(receiver, sender, body)
            pending.append(message)
            self._forward(receiver, message, body)

    def _dequeued(self, receiver: Session, sender: Session, body: bytes) -> None:
        self._count_queued(receiver, sender, -1, -len(body))
        if sender.paused:
            self._resume(sender)

    def _expire(self, receiver: Session) -> None:
        """Answer 102 for what has waited too long at a receiver."""
        if pending := receiver.pending:
            for place, message in enumerate(pending):
                sender, send, _, deadline, _ = message
                if deadline <= self._now and _unsettled(message):
                    pending[place] = (sender, send, SETTLED, deadline, None)
                    self._settle(message, LATE)
        if queue := receiver.queue:
            for sender, waiting in list(queue.items()):
                while waiting and waiting[0][0][3] <= self._now:
                    message, body = waiting.popleft()
                    self._dequeued(receiver, sender, body)
                    self._settle(message, LATE)
                if not waiting:
                    del queue[sender]

    def _abandon(self, receiver: Session) -> None:
        """Answer 102 for all that waits on a receiver that is gone."""
        messages = list(receiver.pending or ())
        for sender, waiting in (receiver.queue or {}).items():
            for message, body in waiting:
                self._dequeued(receiver, sender, body)
                messages.append(message)
        receiver.pending = receiver.queue = None
        for message in messages:
            self._settle(message, LEFT)

    # To the sender (section 5)

    def _settle(self, message: Pending, failure: str | None) -> None:
        """One receiver has answered a message, or never will: answer its sender if that decides it.

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
            self._reply(sender, number, send, failure)

    def _reply(self, sender: Session, number: int, send: Head, failure: str | None) -> None:
        """Answer a SEND: it was delivered, or it was not."""
        if not sender.extended:
            self._answer(sender, number, send.delivered if failure is None else UNABLE_TO_SEND)
            return
        if failure is None:
            self._output.write(sender, delivered(send.name, send.id, None))
        else:
            self._output.write(sender, error(102, id=send.id, reason=failure.encode()))
        self._answered(sender)

    def _answered(self, sender: Session) -> None:
        """A SEND of an extended connection has its first answer."""
        if sender.next_answer == GONE:
            return
        sender.next_answer += 1
        if sender.paused:
            self._resume(sender)
        if sender.finished and sender.next_answer == sender.next_send:
            self._output.close(sender)

    def _answer(self, sender: Session, number: int, answer: bytes) -> None:
        """Answer a SEND, in its turn (rule 5.5)."""
        if sender.next_answer == GONE:
            return
        held = self._leave_fast_path(sender)
        held[number] = answer
        while (due := held.pop(sender.next_answer, None)) is not None:
            sender.next_answer += 1
            self._output.write(sender, due)
        if sender.paused:
            self._resume(sender)
        if sender.finished and sender.next_answer == sender.next_send:
            self._output.close(sender)
        if not held and not sender.paused and not sender.finished:
            sender.held = None

    def _leave_fast_path(self, sender: Session) -> dict[int, bytes]:
        """Have every answer to this sender pass through `_answer`."""
        if sender.held is None:
            sender.held = {}
        return sender.held

    def _pause(self, sender: Session) -> None:
        """Read nothing more from a sender for now; or from a receiver that does not take the answers to its errors."""
        self._leave_fast_path(sender)
        if not sender.paused:
            sender.paused = True
            self.changed.append(sender)

    def _full(self, sender: Session, divisor: int = 1) -> bool:
        """Whether a sender has used up what it may have on its way (rule 5.8), or a fraction of that."""
        return (
            sender.next_send - sender.next_answer >= self._most_unanswered // divisor
            or sender.unsent_bytes >= self._most_unsent // divisor
        )

    def _resume(self, sender: Session) -> None:
        """Read again from a connection that was paused, unless there is a reason not to."""
        if not sender.window or sender.stage is Stage.WAITING:
            return
        if answers_others(sender) or not (self._draining or self._full(sender, 2)):
            sender.paused = False
            self.changed.append(sender)


def answers_others(session: Session) -> bool:
    """Whether others wait for what is read from this connection: it must be read even if it sends too much (rule 5.8).

    What a member's device takes is written down, and nobody waits for that.
    """
    return session.account is None and session.side is not Side.SENDING


def _unsettled(message: Pending) -> bool:
    """Whether an answer depends on this message's receiver."""
    return message[2] != SETTLED or message[4] is not None
