"""Deliveries that are stored (docs/protocol.md, section 11).

Theory of operation. A message to a member, or from one, is a request to the store. When that is answered, the message
is on the disk: its sender is told so, its entries are given to the devices that are connected, and a copy goes to those
of its recipients who are guests, as relay.py does it. What becomes of it is an entry in the sender's log; a guest has
none, so for a guest's message we keep who waits for it.
"""

import re
from collections import OrderedDict, deque
from collections.abc import Callable
from functools import partial

from twotick.exchange.changes import MEMBERS_ONLY, add_change, changes
from twotick.exchange.limits import Limits
from twotick.exchange.members import Members
from twotick.exchange.presence import Presence
from twotick.exchange.questions import Questions
from twotick.exchange.relay import LATE, LEFT, Relay
from twotick.exchange.session import SETTLED, Account, Broadcast, Pending, Session
from twotick.store import (
    Append,
    Appended,
    Expire,
    Known,
    Outcome,
    Refusal,
    Settle,
    State,
    StoreError,
)
from twotick.wire import Head, Verb, accepted, error, frame, time_text

_SECONDS = re.compile(rb"[0-9]{1,10}")
_EXPIRY = 1.0
"""Seconds between looks for messages whose time is over."""

_STORE_LATE = 5.0
"""Seconds after the time limit of a classic guest's message at which it is answered even if the store has not said so,
as when another process has removed the recipient."""

_GUEST_MESSAGES = 1024
"""Messages of one extended connection of a guest whose fate it is told."""


class _Storing:
    """Takes the answer to a request to store a message. One is made for every message, and costs less than a partial.

    Args:
        stored: what goes on with it.
        sender, number, head, body: the SEND.
        account: whose it is; None for a guest.
        guests: those who get it besides members.
    """

    __slots__ = ("account", "body", "guests", "head", "number", "sender", "stored")

    def __init__(
        self,
        stored: "Stored",
        sender: Session,
        number: int,
        head: Head,
        body: bytes,
        account: Account | None,
        guests: list[Session],
    ) -> None:
        self.stored = stored
        self.sender = sender
        self.number = number
        self.head = head
        self.body = body
        self.account = account
        self.guests = guests

    def __call__(self, result: Appended | Known | Refusal | StoreError) -> None:
        """The store has answered."""
        self.stored.is_stored(self, result)


class Stored(Relay):
    """What is on its way by the store.

    Args:
        limits: what is kept at most, and for how long.
        now: the time, in seconds on any clock that does not go back.
        clock: the time of day, in seconds since 1970.
        new_token: makes a token, and the hash of it that the store keeps.
    """

    def __init__(
        self,
        limits: Limits,
        now: float,
        clock: Callable[[], float],
        new_token: Callable[[], tuple[bytes, bytes]] | None,
    ) -> None:
        super().__init__(limits, now)
        self._clock = clock
        self._presence = Presence(self._output, clock)
        self._members = Members(self._output, clock, self._presence, self._on_outcome)
        self._questions = Questions(
            self._output, clock, self._members, self._presence, self._on_outcome, new_token, limits.max_body
        )
        # The messages of guests to members that are not settled, by the store's numbers; and those of each guest.
        self._stored: dict[int, tuple[Session, int, Head]] = {}
        self._stored_of: dict[Session, OrderedDict[int, None]] = {}
        # Until when those of classic guests are answered, whatever the store says, soonest first.
        self._stored_due: deque[tuple[float, int]] = deque()
        self._next_expiry = now
        self._arrived = 0.0  # when the messages came that are handled now; asked for once for many of them
        self._time_written = -1
        self._time_text = b""

    def _tick_stored(self, now: float) -> None:
        """Drop what has expired, and answer whoever has waited too long."""
        self._members.tick()
        self._presence.tick()
        if self._members and now >= self._next_expiry:
            self._next_expiry = now + _EXPIRY
            self._output.ask(Expire(self._clock()), self._changed)
        while self._stored_due and self._stored_due[0][0] <= now:
            self._settle_guest(self._stored_due.popleft()[1], State.FAILED, LATE)

    def _forget_stored(self, session: Session) -> None:
        """Nobody waits any more for what a guest has sent on a connection."""
        for message in self._stored_of.pop(session, ()):
            del self._stored[message]

    def _time_line(self) -> bytes:
        milliseconds = int(self._arrived * 1000)
        if milliseconds != self._time_written:
            self._time_written = milliseconds
            self._time_text = b"Time: %b\n" % time_text(self._arrived)
        return self._time_text

    def _store(
        self,
        sender: Session,
        number: int,
        head: Head,
        body: bytes,
        members: tuple[int, ...],
        guests: list[Session],
    ) -> None:
        """Store a message to members, to guests from a member, to both, or to a room."""
        account = sender.account
        if not sender.extended:
            self._arrived = self._clock()
        now = self._arrived
        expires = None
        if not sender.extended or head.key == b"all":
            expires = now + self._limits.answer_timeout
        elif (
            not head.is_plain and (seconds := head.headers.get(b"expires")) is not None and _SECONDS.fullmatch(seconds)
        ):
            expires = now + int(seconds)
        request = Append(
            sender=account.member if account else None,
            sender_name=sender.name,
            device=account.device if account else b"",
            id=head.id if sender.extended else b"",
            recipient=head.name,
            members=members,
            live=bool(guests),
            headers=head.travels if sender.extended else self._time_line(),
            body=body,
            time=now,
            expires=expires,
        )
        if account is not None and not head.is_plain and changes(head):
            refused = MEMBERS_ONLY if guests or head.key == b"all" else add_change(request, head)
            if refused is not None:
                self._reply(sender, number, head, refused)
                return
        sender.unsent_bytes += len(body)
        self._output.ask(request, _Storing(self, sender, number, head, body, account, guests))

    def is_stored(self, asked: "_Storing", result: Appended | Known | Refusal | StoreError) -> None:
        """The store has answered."""
        sender, number, head, body = asked.sender, asked.number, asked.head, asked.body
        account, guests = asked.account, asked.guests
        sender.unsent_bytes -= len(body)
        if not isinstance(result, Appended):  # which is the case that is to be fast
            if isinstance(result, Known):
                self._answer_again(sender, number, head, result)
            else:
                self._reply(sender, number, head, reason_of(result))
            return
        if account is None:
            self._wait_for_store(sender, number, head, result.message)
        else:
            self._members.watch(account, result.message)
            if result.is_first:
                self._presence.begin(account.member, head.key)
        if sender.extended:
            if head.key != b"all" and not guests:
                receives = account is not None and account.feed is not None
                seq = result.outcome.entries[0].seq if receives else None
                identifier = head.id
                if result.place:
                    self._output.write(sender, _accepted_in_room(head.name, identifier, seq, result))
                else:
                    self._output.write(sender, accepted(head.name, identifier, seq))
            self._answered(sender)
        self._on_outcome(result.outcome)
        if guests:
            broadcast = Broadcast(len(guests), partial(self._settle_stored, result.message))
            message: Pending = (sender, head, SETTLED, self._deadline, broadcast)
            for guest in guests:
                if guest.user is None:
                    self._settle(message, LEFT)
                else:
                    self._forward_or_queue(guest, message, body)

    def _settle_stored(self, message: int, failure: str | None) -> None:
        request = Settle(message, failure is None, failure or "", self._clock())
        self._output.ask(request, self._changed)

    def _answer_again(self, sender: Session, number: int, head: Head, known: Known) -> None:
        """Answer a SEND whose Id was used before with what is known of that message (rule 11.7)."""
        if not known.same:
            self._reply(sender, number, head, "this Id was used for another message")
        elif known.state is State.FAILED:
            self._reply(sender, number, head, known.reason)
        else:
            identifier = head.id
            verbs = (Verb.ACCEPTED, Verb.SENT, Verb.READ)[: known.state]
            self._output.write(sender, *(frame(verb, head.name, id=identifier) for verb in verbs))
            if sender.account is not None:
                self._members.watch(sender.account, known.message)
            self._answered(sender)

    def _changed(self, result: Outcome | StoreError) -> None:
        """Something was stored for which nobody waits; if it was not, the same is tried or told again later."""
        if isinstance(result, Outcome):
            self._on_outcome(result)

    def _on_outcome(self, outcome: Outcome) -> None:
        """Give what was appended to logs to those whom it concerns."""
        if outcome.progress is not None:
            self._members.note_progress(outcome.progress)
        self._members.distribute(outcome)
        for message, state, reason in outcome.guests:
            self._settle_guest(message, state, reason)

    def _wait_for_store(self, sender: Session, number: int, head: Head, message: int) -> None:
        """The fate of a guest's message is to be told to the guest."""
        if sender.closing:
            return
        self._stored[message] = (sender, number, head)
        own = self._stored_of.setdefault(sender, OrderedDict())
        own[message] = None
        if not sender.extended:
            self._stored_due.append((self._deadline + _STORE_LATE, message))
        elif len(own) > _GUEST_MESSAGES:
            del self._stored[own.popitem(last=False)[0]]

    def _settle_guest(self, message: int, state: State, reason: str) -> None:
        """Tell a guest what became of a message, if that is not told yet."""
        if message not in self._stored:
            return
        sender, number, head = self._stored[message]
        if state is not State.DELIVERED or not sender.extended:
            del self._stored[message]
            del self._stored_of[sender][message]
        if not sender.extended:
            self._reply(sender, number, head, reason if state is State.FAILED else None)
        elif state is State.FAILED:
            self._output.write(sender, error(102, id=head.id, reason=reason.encode()))
        else:
            verb = Verb.READ if state is State.READ else Verb.SENT
            self._output.write(sender, frame(verb, head.name, id=head.id))


def _accepted_in_room(room: bytes, identifier: bytes, seq: int | None, stored: Appended) -> bytes:
    """The answer that a message to a room is stored (rule 12.5)."""
    return frame(Verb.ACCEPTED, room, id=identifier, seq=seq, place=stored.place, members=stored.members)


def reason_of(result: Refusal | StoreError) -> str:
    """Why a request was not carried out, for people."""
    return result.reason if isinstance(result, Refusal) else str(result)
