"""The protocol side of a member's client: it registers connections and distributes what arrives.

Theory of operation. The connection (reconnecting.py) is replaced whenever it is lost. On every new connection the
session repeats what must survive the loss: messages with the same Ids in the same order (sender.py, outbox.py),
requests (pending_requests.py), and what the member has read. Entries and events go through the inbox (inbox.py), which
knows what the program has seen and what may be acknowledged.

New states of messages that this client has sent go to their receipts, if the program has kept them, and are
acknowledged at once, so a program that only sends need not look at events. The Ids tell which messages these are,
because all Ids that one client makes begin alike. The program receives the states of other messages as events.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from twotick.client.address import ServerAddress
from twotick.client.errors import (
    ConnectionLost,
    NotAuthenticated,
    NotDelivered,
    ProtocolError,
    RequestRefused,
    TooManyRequests,
    TwotickError,
)
from twotick.client.member.error_frames import connection_error, delivery_error
from twotick.client.member.events import (
    Decision,
    Entry,
    EntryOwner,
    ProfileEvent,
    ProgressEvent,
    ReadEvent,
    ReceiptEvent,
    RoomGuestEvent,
    State,
    StatusEvent,
    TypingEvent,
)
from twotick.client.member.headers import as_text, number, parse_time, text_of
from twotick.client.member.inbox import Inbox
from twotick.client.member.limits import MemberLimits
from twotick.client.member.messages import MemberMessage
from twotick.client.member.outbox import Outbox
from twotick.client.member.pending_requests import ANSWERS, PendingRequests
from twotick.client.member.presence import PresenceSubscription, parse_status, parse_statuses
from twotick.client.member.profiles import parse_profile, parse_profiles
from twotick.client.member.receipts import MemberReceipt, Outcome
from twotick.client.member.reconnecting import OnConnection, ReconnectingConnection
from twotick.client.member.request import RepeatedRequest, Requests
from twotick.client.member.results import Profile
from twotick.client.member.sender import Sender, end_error
from twotick.client.trust.known_servers import KnownServers
from twotick.wire import Frame, Head, Side, Verb, frame, is_name, is_room, register

_READ_POSITIONS = 1024
"""For how many users and rooms the client remembers what was read, to repeat it on a new connection."""

_STATES = {Verb.ACCEPTED: State.ACCEPTED, Verb.SENT: State.DELIVERED, Verb.READ: State.READ, Verb.ERROR: State.FAILED}

_RENEWAL = b"look"
_PROFILES = b"profiles"
_GUESTS = b"guests"
"""The Ids of the requests that renew the subscriptions of presence, profiles and guests in rooms."""

_REFUSALS = (RequestRefused.code, NotAuthenticated.code, TooManyRequests.code)
"""The errors that may answer a request. Other errors concern the connection."""


@dataclass(frozen=True, slots=True)
class Registration:
    """What a client registers as.

    Attributes:
        name: the member's name.
        side: DUPLEX for a device, SENDING for a client that only sends.
        authorization: the value of `Authorization`.
        device: the device's name; None to let the server choose it.
        sign_up: the value of `Sign-up`; None to sign in.
        window: how many entries the server may send before it waits for the first acknowledgement.
    """

    name: str
    side: Side
    authorization: bytes
    device: bytes | None
    sign_up: bytes | None
    window: int


class ClientSession:
    """The protocol side of a member's client, over all its connections.

    Implements `ConnectionHandler` for the connection, and `EntryOwner` for the entries.

    Args:
        identity: what to register as.
        server: the server's address.
        known: the servers whose certificates are known.
        limits: the limits of the client.
        on_connection: called with None when there is a connection, and with the reason when there is none.

    Attributes:
        name: the member's name.
        device: the device's name; empty until the server has named it.
        window: how many entries the server sends before it waits for the first acknowledgement.
        cursor: the number up to which the device had every entry when it registered last (rule 11.2).
        connection: the connection.
        inbox: the entries and events that have arrived.
        outbox: the messages that are not accepted yet.
        sender: the messages that this client has sent.
        requests: sends requests.
        subscription: the presence subscription.
        profile_subscription: the subscription of profiles.
        room_guests: the subscription of guests in rooms.
    """

    def __init__(
        self,
        identity: Registration,
        server: ServerAddress,
        known: KnownServers,
        limits: MemberLimits,
        on_connection: OnConnection,
    ) -> None:
        self.name = identity.name
        self.device = ""
        self.window = identity.window
        self.cursor = 0
        self.connection = ReconnectingConnection(server, identity.side, known, limits, self, on_connection)
        self.inbox = Inbox(identity.name.encode())
        self.outbox = Outbox(limits.outbox_messages, limits.outbox_bytes)
        self.sender = Sender(self.outbox, limits, self.connection.write, self.connection.watch, self._report)
        self._pending = PendingRequests(self.connection.write)
        self.requests = Requests(self.connection, self._pending, self.check)
        self.subscription = PresenceSubscription()
        self.profile_subscription = RepeatedRequest(Verb.PROFILE)
        self.room_guests = RepeatedRequest(Verb.ROOMS, guests=b"yes")
        self._identity = identity
        self._is_device = identity.side is Side.DUPLEX
        self._read: OrderedDict[bytes, int] = OrderedDict()  # the last number that was read, by user or room
        self._joined = False  # whether there has been a connection
        self._resumed = 0  # the Seq of the last REGISTER

    async def open(self, outbox: Path | None, wait_for_server: bool) -> None:
        """Load the outbox and connect. See `join` for the arguments and errors."""
        if outbox is not None:
            await self.outbox.open(outbox, self.name)
            self.sender.loaded()
        await self.connection.open(wait_for_server)

    async def close(self) -> None:
        """Close the connection and the outbox.

        Raises:
            OutboxError: the outbox on disk cannot be written.
        """
        await self.connection.close(ConnectionLost("the client was closed"))
        await self.outbox.close()

    def check(self, device_only: bool) -> None:
        """Raise an error if the client cannot do something.

        Args:
            device_only: whether only a device can do it, and not a client that only sends.

        Raises:
            RuntimeError: the client only sends.
            TwotickError: the client has ended.
        """
        if device_only and not self._is_device:
            raise RuntimeError("this client only sends: join without send_only")
        if self.connection.error is not None:
            raise self.connection.error

    # ConnectionHandler

    def registration(self) -> bytes:
        """Return the frame that registers a new connection, with what the device has (rules 9.1 and 11.5)."""
        who = self._identity
        self._resumed = self.inbox.resume() if self._joined else 0
        return register(
            who.side,
            self.name.encode(),
            who.window if self._is_device else None,
            authorization=who.authorization,
            device=who.device,
            seq=self._resumed if self._is_device and self._joined else None,
            sign_up=None if self._joined else who.sign_up,
            keep_alive=b"yes",
            times=b"yes",
        )

    def registered(self, head: Head) -> None:
        """Repeat, on a new connection, what must survive the loss of the one before.

        Args:
            head: the head of the server's answer.

        Raises:
            ProtocolError: the answer is malformed.
        """
        if self._is_device and b"seq" not in head.headers:
            raise ProtocolError("the server did not send the number up to which this device has its messages")
        self.window = min(number(head, b"window") or 1, self._identity.window)
        self.device = text_of(head, b"device")
        self.cursor = number(head, b"seq")
        same_log = self.inbox.opened(self.cursor, self._resumed, self.window)
        if not same_log:
            self._read.clear()
        self._joined = True
        for name, seq in self._read.items():
            self.connection.write(frame(Verb.READ, name, seq=seq))
        self._pending.opened()
        if self.subscription.active:
            self._renew(self.subscription.request(_RENEWAL), _RENEWAL, self._statuses)
        if self.profile_subscription.active:
            self._renew(self.profile_subscription.request(_PROFILES), _PROFILES, self._profiles)
        if self.room_guests.active:
            self._renew(self.room_guests.request(_GUESTS), _GUESTS, lambda _: [])
        self.sender.opened(number(head, b"max-body"), same_log)

    def waiting_since(self) -> float:
        """Return since when the server owes an answer, in seconds on the monotonic clock; 0 if it owes none."""
        return min(
            (since for since in (self.sender.waiting_since(), self._pending.waiting_since()) if since), default=0.0
        )

    def lost(self, problem: TwotickError) -> None:
        """Forget what belongs to the connection that is lost.

        Args:
            problem: why it is lost.
        """
        self.inbox.lost()
        self._pending.lost(problem)
        self.sender.lost()
        if not self._is_device:
            self.sender.forget_accepted(
                ConnectionLost(f"{problem}; the message was accepted, but only devices learn its further states")
            )

    def ended(self, error: Exception) -> None:
        """Raise `error` in all calls that wait: there will be no further connection."""
        self.sender.end(end_error(error))
        self._pending.end(error)
        self.inbox.arrived.set()

    def take(self, head: Head, body: bytes) -> None:
        """Handle a frame (sections 10 to 17).

        Args:
            head: the head of the frame.
            body: the body of the frame.

        Raises:
            TwotickError: the frame ends the connection or the client.
        """
        seq = number(head, b"seq")
        match head.verb:
            case Verb.FORWARD if b"history" in head.headers:
                self._pending.take_part(head, body)
            case Verb.FORWARD if seq:
                message = MemberMessage(self, seq, head, body, self.name)
                if message.outgoing:
                    self.sender.remember_position(message.id, 0, seq)
                self._take_entry(message)
            case Verb.READ if seq and b"up-to" in head.headers:
                self._take_entry(ReadEvent(self, seq, head.name, number(head, b"up-to")))
            case Verb.STATUS | Verb.PROFILE | Verb.TYPING if head.name and b"id" not in head.headers:
                self._take_event(self._event(head), head)
            case Verb.ROOM if b"guest" in head.headers and b"id" not in head.headers:
                self._take_event(self._event(head), head)
            case verb if verb in ANSWERS:
                self._pending.take(head, body)
            case Verb.ERROR if head.code in _REFUSALS and not seq and self._pending.expects(head):
                self._pending.take(head, body)
            case Verb.ERROR if head.code == TooManyRequests.code and b"id" in head.headers:
                self.sender.postpone(as_text(head.headers[b"id"]), number(head, b"retry-after"))
            case Verb.SENT if b"have" in head.headers and b"id" in head.headers:
                self._take_progress(head)
            case Verb.ACCEPTED | Verb.SENT | Verb.READ | Verb.ERROR if b"id" in head.headers:
                self._take_outcome(head, seq)
            case _:
                raise connection_error(head)

    def _take_outcome(self, head: Head, seq: int) -> None:
        """Handle a new state of a message: the answer to its SEND, or an entry of the log."""
        ident = as_text(head.headers[b"id"])
        state = _STATES[head.verb]
        error: TwotickError | None = None
        if state is State.FAILED:
            error = delivery_error(head) if head.code == NotDelivered.code else connection_error(head)
        is_entry = seq > 0 and state is not State.ACCEPTED
        self.sender.outcome(
            Outcome(
                ident,
                as_text(head.name),
                state,
                0 if is_entry else seq,
                error,
                number(head, b"place"),
                number(head, b"members"),
                parse_time(text_of(head, b"accepted")),
            )
        )
        if is_entry:
            event = ReceiptEvent(self, seq, head.name, ident, state, str(error or ""))
            if self.sender.is_ours(ident):
                event.decision = Decision.TAKEN
            else:
                self.inbox.drop_event((Verb.SENT, ident))
            self._take_entry(event)

    def _take_progress(self, head: Head) -> None:
        """Handle the number of members of a room that have a message (rule 12.6)."""
        ident = as_text(head.headers[b"id"])
        have, of = number(head, b"have"), number(head, b"of")
        self.sender.progress(ident, have, of)
        if not self.sender.is_ours(ident) and self._is_device:
            self.inbox.notify(ProgressEvent(self, head.name, ident, have, of), (Verb.SENT, ident))

    def _event(self, head: Head) -> Entry:
        """Return the event that a frame tells of another member."""
        match head.verb:
            case Verb.STATUS:
                return StatusEvent(self, head.name, *parse_status(head))
            case Verb.PROFILE:
                return _profile_event(self, parse_profile(head))
            case Verb.ROOM:
                return RoomGuestEvent(self, head.name, text_of(head, b"guest"), text_of(head, b"event"))
            case _:
                return TypingEvent(self, head.name, text_of(head, b"to"))

    def _take_event(self, event: Entry, head: Head) -> None:
        """Handle an event that is not in the log."""
        if not self._is_device:
            raise ProtocolError("the server sent a frame that only a device should receive")
        self.inbox.notify(event, (head.verb, head.name, head.headers.get(b"to", head.headers.get(b"guest"))))

    def _take_entry(self, entry: Entry) -> None:
        """Handle an entry of the log."""
        if not self._is_device:
            raise ProtocolError("the server sent a frame that only a device should receive")
        self.connection.write(self.inbox.arrive(entry))

    def _report(self, receipt: MemberReceipt, error: TwotickError | None) -> None:
        """Tell the program the state of a message that was in the outbox before this client was made."""
        if self._is_device:
            name = receipt.recipient.encode()
            self.inbox.arrive(ReceiptEvent(self, 0, name, receipt.id, receipt.state, str(error or "")))

    # Presence and profiles

    def _renew(self, request: bytes, ident: bytes, events: Callable[[Frame], list[Entry]]) -> None:
        """Repeat a subscription, and let the program receive what has changed.

        Args:
            request: the frame that repeats it.
            ident: its Id.
            events: returns the events for the answer. May raise ProtocolError.
        """

        def renewed(answer: "asyncio.Future[list[Frame]]") -> None:
            if answer.cancelled() or answer.exception() is not None:
                return  # the client has ended, or the server refused, as it will when the program asks
            (reply,) = answer.result()
            try:
                found = events(reply)
            except ProtocolError as error:
                self.connection.lose(error)
                return
            for event in found:
                self.inbox.notify(event, (reply[0].verb, event.name, None))

        self._pending.add(request, ident).add_done_callback(renewed)

    def _statuses(self, reply: Frame) -> list[Entry]:
        users = parse_statuses(reply).users
        return [StatusEvent(self, each.name.encode(), each.state, each.since) for each in users]

    def _profiles(self, reply: Frame) -> list[Entry]:
        found = parse_profiles(reply)
        own = Profile(self.name, found.display, found.status, found.picture)
        return [_profile_event(self, each) for each in (own, *found.users)]

    # EntryOwner

    async def decided(self, entry: Entry) -> None:
        """Acknowledge or refuse what may be, now that the program has decided about an entry.

        Args:
            entry: the entry, with its decision.

        Raises:
            TwotickError: the client has ended.
        """
        if not entry.seq:
            return
        self.check(True)
        self.connection.write(self.inbox.answers())
        await self.connection.drain()

    async def mark_read(self, sender: str, seq: int) -> None:
        """Tell the server what the member has read. See `MemberClient.mark_read`."""
        self.check(True)
        name = sender.encode(errors="replace")
        key = name.lower()
        if not (is_name(name) or is_room(name)) or seq <= self._read.get(key, 0):
            return
        self._read[key] = seq
        self._read.move_to_end(key)
        if len(self._read) > _READ_POSITIONS:
            self._read.popitem(last=False)
        self.connection.write(frame(Verb.READ, name, seq=seq))
        await self.connection.drain()


def _profile_event(owner: EntryOwner, profile: Profile) -> ProfileEvent:
    return ProfileEvent(owner, profile.name.encode(), profile.display, profile.status, picture=profile.picture)
