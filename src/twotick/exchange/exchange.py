"""The exchange: registrations, deliveries and their answers (docs/protocol.md, sections 4 to 6).

Theory of operation. A driver (the server, a test, a simulation) owns the connections and the clock. It calls

- `connected` for each new connection, which gives a `Session`;
- `take` with the frames that came on it (and again with those that are returned, when the session is no longer
  `paused`), `finish` when no more will come, `disconnected` when it is gone;
- `clogged` and `flowing` as the connection stops and starts to take output;
- `tick` from time to time, which moves the clock: time limits are as fine as its steps.

Whenever it likes, best when all that has arrived was handled, it looks at `written`, writes what those sessions hold in
`out`, looks at `changed`, closes those sessions that are `closing`, stops or starts reading as `paused` says, and
empties both lists.

A message on its way is one tuple. It waits in the receiver's `pending` from its FORWARD to the answer to it, or in the
receiver's `queue` before that if the window is full; the queue gives each sending connection its turn. A sender counts
its SENDs, and an answer that comes before its turn is held back, so answers go out in the order of the SENDs. A message
that is answered before its receiver has answered (by the time limit) stays in `pending` as SETTLED, so that the late
answer is matched to it and to no other.
"""

import re
from collections import OrderedDict, deque
from typing import Any

from twotick.exchange.limits import Limits
from twotick.exchange.session import GONE, SETTLED, Broadcast, Pending, Session, Stage, User
from twotick.wire import (
    HEADER_INCOMPLETE,
    MALFORMED_USERNAME,
    NO_USER_REGISTERED,
    UNABLE_TO_SEND,
    Frame,
    Head,
    Side,
    Verb,
    forward_start,
    is_name,
    registered,
)

_SEND = Verb.SEND
_RECEIVED = Verb.RECEIVED
_SENDING = Stage.SENDING
_RECEIVING = Stage.RECEIVING
_WINDOW = re.compile(rb"[0-9]{1,10}")


class Exchange:
    """All users of one server and what is on its way between them.

    Args:
        limits: what is kept at most, and for how long.
        now: the time, in seconds on any clock that does not go back.

    Attributes:
        written: the sessions that have output; one may be in it twice.
        changed: the sessions that are closing, paused or resumed; one may be in it twice.
    """

    def __init__(self, limits: Limits, now: float) -> None:
        self._limits = limits
        self._most_unanswered = limits.unanswered
        self._now = now
        self._deadline = now + limits.answer_timeout
        self._users: dict[bytes, User] = {}
        # The receiving connections of registered users, by name in lower case.
        self._receivers: dict[bytes, Session] = {}
        # The receivers on which something waits, and some on which it no longer does.
        self._busy: set[Session] = set()
        self._queued_bytes = 0
        self._draining = False
        self.written: list[Session] = []
        self.changed: list[Session] = []

    # What the driver reports

    def connected(self, address: str, port: Any) -> Session:
        """A connection came.

        Args:
            address: where it comes from; both connections of a user come from one address (rule 4.9).
            port: what the driver writes to, kept in `Session.port`.
        """
        return Session(address, port)

    def take(self, session: Session, frames: list[Frame]) -> list[Frame]:
        """Frames came on a connection, in this order.

        Returns:
            Those that were not taken since the session was paused, to be given again when it is no longer.
        """
        stage = session.stage
        if stage is _SENDING:
            if len(frames) > self._most_unanswered - session.next_send + session.next_answer:
                return self._take_as_can_be(session, frames)
            self._take_sends(session, frames)
        elif stage is _RECEIVING:
            self._take_answers(session, frames)
        elif stage is Stage.REGISTERING:
            for count, (head, _) in enumerate(frames, 1):
                self._take_registration(session, head)
                if session.stage is not Stage.REGISTERING:
                    return self.take(session, frames[count:])
        return []

    def finish(self, session: Session) -> None:
        """No more frames will come, but answers can still be written: the peer closed its half of the connection.

        A sender is closed when all its SENDs are answered; its name is free at once. Everyone else is closed now.
        """
        self._release(session)
        if session.side is Side.SENDING and not session.closing and session.next_answer != session.next_send:
            session.finished = True
            self._leave_fast_path(session)
        else:
            self._close(session)

    def disconnected(self, session: Session) -> None:
        """The connection is gone: whoever waits on it is answered (rule 4.8). Harmless if it was reported before."""
        session.out.clear()
        self._release(session)
        self._close(session)

    def clogged(self, session: Session) -> None:
        """The connection takes no more output for now: what comes for it waits in its queue."""
        session.window = 0
        if session.side is Side.SENDING:
            self._pause(session)

    def flowing(self, session: Session) -> None:
        """The connection takes output again."""
        session.window = session.granted
        if session.paused:
            self._resume(session)
        self._forward_queued(session)

    def tick(self, now: float) -> None:
        """The time is `now`, in seconds: answer 102 to whoever has waited too long (rule 5.7)."""
        self._now = now
        self._deadline = now + self._limits.answer_timeout
        for receiver in list(self._busy):
            if not receiver.pending and not receiver.queue:
                self._busy.discard(receiver)
            else:
                self._expire(receiver)

    def drain(self) -> None:
        """Take no more SENDs: the server is about to stop (rule 4.10)."""
        self._draining = True
        for user in self._users.values():
            if sender := user.sessions.get(Side.SENDING):
                self._pause(sender)

    @property
    def idle(self) -> bool:
        """Whether no message waits for an answer."""
        return not any(receiver.queue or any(map(_unsettled, receiver.pending or ())) for receiver in self._busy)

    def close(self) -> None:
        """Answer 102 to all that waits, and close the connections of all users (rule 4.10)."""
        sessions = [session for user in self._users.values() for session in user.sessions.values()]
        sessions.sort(key=lambda session: session.side is Side.SENDING)  # receivers first: that answers the senders
        for session in sessions:
            self._release(session)
            self._close(session)

    # Registration (section 4)

    def _take_registration(self, session: Session, head: Head) -> None:
        """Handle a frame that comes before the session's user is registered."""
        if head.verb is Verb.MALFORMED:
            self._break_off(session)
        elif head.verb is not Verb.REGISTER or head.side is None:
            self._refuse(session, NO_USER_REGISTERED)
        elif session.user is not None or not is_name(head.name):
            self._refuse(session, MALFORMED_USERNAME)
        elif head.side is Side.SENDING:
            self._register(session, head, Side.SENDING, None)
        else:
            window = head.headers.get(b"window")
            if window is None:
                self._register(session, head, Side.RECEIVING, None)
            elif _WINDOW.fullmatch(window) and int(window):
                self._register(session, head, Side.RECEIVING, min(int(window), self._limits.window))
            else:
                self._break_off(session)

    def _register(self, session: Session, head: Head, side: Side, window: int | None) -> None:
        """Give the session the name and side that it asks for, if they can be had (rules 4.2 and 4.9)."""
        user = self._users.get(head.key)
        if user is None:
            user = self._users[head.key] = User(head.key, session.address)
        elif side in user.sessions or user.address != session.address:
            self._refuse(session, MALFORMED_USERNAME)
            return
        user.sessions[side] = session
        session.user = user
        session.side = side
        session.key = head.key
        session.start = forward_start(head.name)
        session.window = session.granted = window or 1
        self._write(session, registered(side, head.name, window))
        if user.complete or len(user.sessions) == len(Side):
            user.complete = True
            for each in user.sessions.values():
                self._admit(user, each)

    def _admit(self, user: User, session: Session) -> None:
        """The session's user is registered on both sides: its connection is open for messages."""
        if session.side is Side.SENDING:
            session.stage = Stage.SENDING
            if self._draining:
                self._pause(session)
        else:
            session.stage = Stage.RECEIVING
            self._receivers[user.key] = session

    def _refuse(self, session: Session, error: bytes) -> None:
        self._write(session, error)
        session.refusals += 1
        if session.refusals >= self._limits.refusals:
            self._release(session)
            self._close(session)

    def _break_off(self, session: Session) -> None:
        """It cannot be told where the next frame begins: 103, and the name is free (rule 2.8)."""
        self._write(session, HEADER_INCOMPLETE)
        others = (
            [] if session.user is None else [each for each in session.user.sessions.values() if each is not session]
        )
        for each in [session, *others]:
            self._release(each)
            self._close(each)

    def _release(self, session: Session) -> None:
        """Take the session's side away from its user, and answer what waits on it (rule 4.8)."""
        user = session.user
        if user is None or session.side is None:
            return
        session.user = None
        del user.sessions[session.side]
        if not user.sessions:
            del self._users[user.key]
        if session.side is Side.RECEIVING:
            self._receivers.pop(user.key, None)
            self._abandon(session)

    # From the sender (section 5)

    def _take_sends(self, sender: Session, frames: list[Frame]) -> None:
        """Handle the frames of a sending connection.

        This is one half of the fast path: a SEND to a receiver whose window has room is handled here, in line.
        """
        for head, body in frames:
            if head.verb is not _SEND:
                if head.verb is Verb.REGISTER:
                    self._write(sender, MALFORMED_USERNAME)
                    continue
                self._break_off(sender)
                return
            number = sender.next_send
            sender.next_send = number + 1
            receiver = self._receivers.get(head.key)
            if receiver is None:
                if head.key == b"all":
                    self._send_to_all(sender, number, head, body)
                else:
                    self._answer(sender, number, UNABLE_TO_SEND)
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
        if sender.next_send - sender.next_answer >= self._most_unanswered or (
            sender.queued_bytes and self._full(sender, 1)
        ):
            self._pause(sender)

    def _take_as_can_be(self, sender: Session, frames: list[Frame]) -> list[Frame]:
        """Handle so many frames of a sending connection that not too many are unanswered; returns the others."""
        taken = 0
        while taken < len(frames) and not sender.paused and sender.stage is _SENDING:
            room = self._most_unanswered - sender.next_send + sender.next_answer
            self._take_sends(sender, frames[taken : taken + room])
            taken += room
        return frames[taken:]

    def _wake(self, receiver: Session) -> deque[Pending]:
        """The `pending` of a receiver, which is now looked after by `tick`."""
        self._busy.add(receiver)
        if receiver.pending is None:
            receiver.pending = deque()
        return receiver.pending

    def _send_to_all(self, sender: Session, number: int, head: Head, body: bytes) -> None:
        """Send to every registered user but the sender (rule 5.9)."""
        receivers = [each for each in self._receivers.values() if each.user is not sender.user]
        if not receivers:
            self._answer(sender, number, head.delivered)
            return
        pending: Pending = (sender, head, SETTLED, self._deadline, Broadcast(number, len(receivers)))
        for receiver in receivers:
            waiting = self._wake(receiver)
            if len(waiting) < receiver.window:
                waiting.append(pending)
                self._write(receiver, sender.start, head.length_end, body)
            else:
                self._queue(receiver, pending, body)

    def _queue(self, receiver: Session, pending: Pending, body: bytes) -> None:
        """Let a message wait for its turn at a receiver, or fail if there is no room (rule 5.6)."""
        limits = self._limits
        if (
            receiver.queued >= limits.queue_messages
            or receiver.queued_bytes + len(body) > limits.queue_bytes
            or self._queued_bytes + len(body) > limits.queue_bytes_total
        ):
            self._settle(pending, False)
            return
        if receiver.queue is None:
            receiver.queue = OrderedDict()
        receiver.queue.setdefault(pending[0], deque()).append((pending, body))
        self._count_queued(receiver, pending[0], 1, len(body))

    def _count_queued(self, receiver: Session, sender: Session, messages: int, size: int) -> None:
        receiver.queued += messages
        receiver.queued_bytes += size
        sender.queued_bytes += size
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
                if not pending or head.key != pending[0][0].key:
                    continue
                taken = True
            elif head.verb is Verb.ERROR:
                if not pending:
                    continue
                taken = False
            elif head.verb is Verb.REGISTER:
                self._write(receiver, MALFORMED_USERNAME)
                if not receiver.window:
                    self._pause(receiver)
                continue
            else:
                self._break_off(receiver)
                return
            message = pending.popleft()
            sender, send, number, _, _ = message
            if taken and number == sender.next_answer and sender.held is None:
                sender.next_answer = number + 1
                out = sender.out
                if not out:
                    self.written.append(sender)
                out.append(send.delivered)
            else:
                self._settle(message, taken)
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
            self._write(receiver, sender.start, message[1].length_end, body)

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
                    self._settle(message, False)
        if queue := receiver.queue:
            for sender, waiting in list(queue.items()):
                while waiting and waiting[0][0][3] <= self._now:
                    message, body = waiting.popleft()
                    self._dequeued(receiver, sender, body)
                    self._settle(message, False)
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
            self._settle(message, False)

    # To the sender (section 5)

    def _settle(self, message: Pending, taken: bool) -> None:
        """One receiver has answered a message, or never will: answer its sender if that decides it."""
        sender, send, number, _, broadcast = message
        if broadcast is not None:
            broadcast.waiting -= 1
            broadcast.failed |= not taken
            if broadcast.waiting:
                return
            number = broadcast.number
            taken = not broadcast.failed
        if number != SETTLED:
            self._answer(sender, number, send.delivered if taken else UNABLE_TO_SEND)

    def _answer(self, sender: Session, number: int, answer: bytes) -> None:
        """Answer a SEND, in its turn (rule 5.5)."""
        if sender.next_answer == GONE:
            return
        held = self._leave_fast_path(sender)
        held[number] = answer
        while (due := held.pop(sender.next_answer, None)) is not None:
            sender.next_answer += 1
            self._write(sender, due)
        if sender.paused:
            self._resume(sender)
        if sender.finished and sender.next_answer == sender.next_send:
            self._close(sender)
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

    def _full(self, sender: Session, share: float) -> bool:
        """Whether a sender has used up a share of what it may have on its way (rule 5.8)."""
        limits = self._limits
        return (
            sender.next_send - sender.next_answer >= limits.unanswered * share
            or sender.queued_bytes >= limits.queue_bytes / 4 * share
        )

    def _resume(self, sender: Session) -> None:
        """Read again from a connection that was paused, unless there is a reason not to."""
        if sender.window and (sender.side is Side.RECEIVING or not (self._draining or self._full(sender, 0.5))):
            sender.paused = False
            self.changed.append(sender)

    # Output

    def _write(self, session: Session, *chunks: bytes) -> None:
        if session.closing:
            return
        if not session.out:
            self.written.append(session)
        session.out += chunks

    def _close(self, session: Session) -> None:
        """Close a connection after what was written to it."""
        session.closing = True
        session.stage = Stage.OVER
        session.next_answer = GONE
        self.changed.append(session)


def _unsettled(message: Pending) -> bool:
    """Whether an answer depends on this message's receiver."""
    return message[2] != SETTLED or message[4] is not None
