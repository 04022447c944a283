"""Messages that are stored: all those to or from members (docs/protocol.md, section 11).

Theory of operation. A SEND becomes an `Append` for the store. When the store answers, the message is on the disk. Its
sender is told so, the entries that it made go to the connected devices (feeds.py), and the guests among its recipients
get it from the relay. What becomes of it later is an entry in the sender's log, or, if the sender is a guest, is told
by guest_messages.py.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from twotick.exchange.arrival import ArrivalClock, accepted_in
from twotick.exchange.changes import complete
from twotick.exchange.connection import SETTLED, Broadcast, Connection, MemberDevice, Pending
from twotick.exchange.effects import EffectsPublisher
from twotick.exchange.far_guests import FarGuests, not_connected
from twotick.exchange.guest_messages import GuestMessages
from twotick.exchange.limits import Limits
from twotick.exchange.output import Output
from twotick.exchange.presence import PresenceTracker
from twotick.exchange.rates import SenderRates
from twotick.exchange.relay import BUSY, LEFT, Relay, time_to_live
from twotick.exchange.sent_messages import SentMessages
from twotick.store import Append, Appended, Duplicate, MessageState, Refusal, Settle, StoreError
from twotick.wire import Head, Verb, accepted, frame

_MESSAGE_BYTES: Final = 256
"""What a message takes besides its body."""

_TURN_BYTES: Final = 8192
"""What a message counts in a turn of its address, besides its own bytes: as many can be read while it is stored."""

_ENTRY_BYTES: Final = 128
"""What a message to a room takes for each member."""


class _PendingAppend:
    """Takes the answer to an `Append`. The exchange makes one for every message; it costs less than a partial.

    Args:
        stored: handles the answer.
        sender, number, head, body: the SEND.
        device: the member's device that sent it; None for a guest.
        guests: the guests among its recipients.
        far: the subjects of those at other servers.
        unknown: what is done if no member has the name; None to answer that.
    """

    __slots__ = ("body", "device", "far", "guests", "head", "number", "sender", "stored", "unknown")

    def __init__(
        self,
        stored: "StoredMessages",
        sender: Connection,
        number: int,
        head: Head,
        body: bytes,
        device: MemberDevice | None,
        guests: list[Connection],
        *,
        far: Sequence[str],
        unknown: Callable[[], None] | None,
    ) -> None:
        self.stored = stored
        self.sender = sender
        self.number = number
        self.head = head
        self.body = body
        self.device = device
        self.guests = guests
        self.far = far
        self.unknown = unknown

    def __call__(self, result: Appended | Duplicate | Refusal | StoreError) -> None:
        """Take the answer."""
        self.stored.is_stored(self, result)


class StoredMessages:
    """The messages that are on their way to the store.

    Args:
        limits: the limits of the exchange.
        now: the time, in seconds on any clock that does not go back.
        output: takes what is written and the requests.
        arrival: when messages arrive.
        relay: answers senders and delivers to guests.
        effects: takes what a message has changed.
        presence: learns who may see whom.
        sent_messages: the messages whose senders only send.
        guest_messages: the messages whose senders are guests.
        far_guests: delivers to guests of other servers.
    """

    def __init__(
        self,
        limits: Limits,
        now: float,
        output: Output,
        arrival: ArrivalClock,
        *,
        relay: Relay,
        effects: EffectsPublisher,
        presence: PresenceTracker,
        sent_messages: SentMessages,
        guest_messages: GuestMessages,
        far_guests: FarGuests,
    ) -> None:
        self._limits = limits
        self._rates = SenderRates(limits.sent_bytes_member, limits.sent_bytes_address, now)
        self._output = output
        self._arrival = arrival
        self._relay = relay
        self._effects = effects
        self._presence = presence
        self._sent_messages = sent_messages
        self._guest_messages = guest_messages
        self._far_guests = far_guests

    def store(
        self,
        sender: Connection,
        number: int,
        head: Head,
        body: bytes,
        *,
        members: tuple[int, ...] = (),
        guests: list[Connection] | None = None,
        far: Sequence[str] = (),
        unknown: Callable[[], None] | None = None,
        into: int = 0,
    ) -> None:
        """Store a message to members, to guests, or to the room or member that its head names.

        Args:
            sender: the connection that sent it.
            number: the number of the SEND on it.
            head: the SEND.
            body: its body.
            members: the members who get it, by the store's numbers; empty if the store finds them.
            guests: the guests who get it.
            far: the subjects of those at other servers who get it.
            unknown: what is done if no member has the name; None to answer that.
            into: for a guest's message to a room, the store's number of the room that the guest is in.
        """
        guests = guests or []
        device = sender.device
        if not sender.extended:
            self._arrival.read()
        now = self._arrival.arrived
        request = Append(
            sender=device.member if device else None,
            sender_name=sender.name,
            device=device.name if device else b"",
            network="" if device else sender.network,
            id=head.id if sender.extended else b"",
            recipient=head.name,
            members=members,
            live=bool(guests or far),
            headers=head.travels if sender.extended else self._arrival.line(),
            body=body,
            time=now,
            expires=self._expiry(sender, head, now),
            into=into,
        )
        if device is not None and not head.is_plain:
            refused = complete(request, head, is_kept=not (guests or far or head.key == b"all"))
            if refused is not None:
                self._relay.reply(sender, number, head, refused)
                return
        if seconds := self._rates.wait(sender):
            self._relay.postpone(sender, number, head, seconds)
            return
        if not self._relay.queued_bytes.take(sender.network, len(body)):
            self._relay.reply(sender, number, head, BUSY)
            return
        self._rates.use(sender, len(body) + _MESSAGE_BYTES)
        sender.unsent_bytes += len(body)
        stored = self._output.stored
        stored[sender.network] = stored.get(sender.network, 0) + _TURN_BYTES
        pending = _PendingAppend(self, sender, number, head, body, device, guests, far=far, unknown=unknown)
        self._output.ask(request, pending)

    def use_limits(self) -> None:
        """Handle that the limits have changed."""
        self._rates.set(self._limits.sent_bytes_member, self._limits.sent_bytes_address)

    def tick(self, now: float) -> None:
        """Set the time, in seconds."""
        self._rates.tick(now)

    def _expiry(self, sender: Connection, head: Head, now: float) -> float | None:
        """Return when the store drops a message that no recipient has; None for never (rules 5.7, 11.10 and 11.12)."""
        seconds: float | None = time_to_live(sender, head)
        if not sender.extended or head.key == b"all":
            most = self._limits.answer_timeout
            seconds = most if seconds is None else min(seconds, most)
        return None if seconds is None else now + seconds

    def is_stored(self, asked: _PendingAppend, result: Appended | Duplicate | Refusal | StoreError) -> None:
        """Take the store's answer to a message."""
        sender, number, head = asked.sender, asked.number, asked.head
        device, guests = asked.device, asked.guests
        sender.unsent_bytes -= len(asked.body)
        self._relay.queued_bytes.give_back(sender.network, len(asked.body))
        if not isinstance(result, Appended):  # nearly every answer is an Appended, so that is asked for first
            if isinstance(result, Duplicate):
                self._answer_again(sender, number, head, result)
            elif asked.unknown is not None and reason_of(result) == not_connected(head.name):
                asked.unknown()
            else:
                self._relay.reply(sender, number, head, reason_of(result))
            return
        self._relay.tally.accepted += 1
        if result.members:
            self._rates.use(sender, result.members * _ENTRY_BYTES)
        if device is not None and not asked.body and result.effects.entries:
            # A message that is sent on gets its body in the store.
            self._rates.use(sender, len(result.effects.entries[0].body))
        if device is None and not result.place:  # of its message to a room, a guest is told no more (rule 12.14)
            self._guest_messages.add(sender, number, head, result.message)
        elif device is not None:
            self._sent_messages.watch(device, result.message)
            if result.is_first:
                self._presence.begin(device.member, head.key)
        if sender.extended:
            if head.key != b"all" and not guests and not asked.far:
                self._accept(sender, head, device, result)
            self._relay.count_answer(sender)
        self._effects.publish(result.effects)
        if guests or asked.far:
            self._deliver_to_guests(asked, guests, result.message)

    def _accept(self, sender: Connection, head: Head, device: MemberDevice | None, stored: Appended) -> None:
        """Write ACCEPTED (rules 11.6, 11.14 and 12.5). A device that receives is told the number of its entry."""
        seq = stored.effects.entries[0].seq if device is not None and device.feed is not None else None
        time = accepted_in(head.travels) if sender.times else b""
        if stored.place:
            place, members = stored.place, stored.members
            answer = frame(Verb.ACCEPTED, head.name, None, time, id=head.id, seq=seq, place=place, members=members)
        elif sender.framed:
            self._output.give_answer(sender, b"ACCEPTED", head.name, head.id, seq)
            return
        else:
            answer = accepted(head.name, head.id, seq, time)
        self._output.write(sender, answer)

    def _deliver_to_guests(self, asked: _PendingAppend, guests: list[Connection], number: int) -> None:
        broadcast = Broadcast(len(guests) + len(asked.far), partial(self._settle, number))
        message: Pending = (
            asked.sender,
            asked.head,
            SETTLED,
            self._relay.deadline_of(asked.sender, asked.head),
            broadcast,
        )
        for guest in guests:
            if guest.guest is None:
                self._relay.settle(message, LEFT)
            else:
                self._relay.deliver(guest, message, asked.body)
        for subject in asked.far:
            self._far_guests.deliver(subject, message, asked.body)

    def _settle(self, message: int, failure: str | None) -> None:
        """Tell the store what became of a message at the guests."""
        self._effects.ask(Settle(message, failure is None, failure or "", self._arrival.now()))

    def _answer_again(self, sender: Connection, number: int, head: Head, known: Duplicate) -> None:
        """Answer a SEND whose Id was used before with what is known of that message (rule 11.7)."""
        if not known.same:
            self._relay.reply(sender, number, head, "this Id was used for another message")
        elif known.state is MessageState.FAILED:
            self._relay.reply(sender, number, head, known.reason)
        else:
            seq = known.seq if sender.device is not None and sender.device.feed is not None else 0
            time = accepted_in(known.headers) if sender.times else b""
            place = known.place or None
            answer = frame(Verb.ACCEPTED, head.name, None, time, id=head.id, seq=seq or None, place=place)
            verbs = (Verb.SENT, Verb.READ)[: known.state - 1]
            self._output.write(sender, answer, *(frame(verb, head.name, id=head.id) for verb in verbs))
            if sender.device is not None:
                self._sent_messages.watch(sender.device, known.message)
            self._relay.count_answer(sender)


def reason_of(result: Refusal | StoreError) -> str:
    """Return why the store did not do what it was asked, in words for users."""
    return result.reason if isinstance(result, Refusal) else str(result)
