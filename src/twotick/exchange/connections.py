"""Which frames a connection may carry, and what the driver reports of it (docs/protocol.md, sections 3, 4, 9 and 10).

Theory of operation. `_table` is the whole grammar: for each stage and verb it has the handler of a frame. Handlers
belong to the other parts of the exchange; which stage a connection is in is decided in stages.py.

A handler takes one frame or a run of frames of its verb (see `Handler`). `take` calls handlers until all frames of a
read are taken or the connection is paused. A handler that cannot understand its frame raises NotUnderstood.
"""

from collections.abc import Callable
from functools import partial

from twotick.exchange.connection import (
    PINGLESS,
    Connection,
    Handler,
    NotUnderstood,
    Stage,
    answers_others,
)
from twotick.exchange.feeds import Feeds
from twotick.exchange.guest_messages import GuestMessages
from twotick.exchange.guest_questions import GuestQuestions
from twotick.exchange.guests import Guests
from twotick.exchange.limits import Limits
from twotick.exchange.members import ConnectedMembers
from twotick.exchange.news import Item, ServerNews, bytes_of
from twotick.exchange.output import Output
from twotick.exchange.presence import PresenceTracker
from twotick.exchange.questions import QUESTIONS, Questions
from twotick.exchange.registration import CUT_OFF, FOR_PEOPLE, MEMBER, Registrar
from twotick.exchange.relay import Relay
from twotick.exchange.room_guests import RoomGuests
from twotick.exchange.routing import Router
from twotick.exchange.stages import MALFORMED, UNAVAILABLE, Stages
from twotick.store import FindMembers, Member, StoreError
from twotick.wire import NO_USER_REGISTERED, PONG, Frame, Head, Side, Verb, error

_ROUNDS = 4
"""How often in `peer_timeout` connections are looked at that may be silent, and how often a client pings."""

_BOTS_ASK = (Verb.HISTORY, Verb.FILE, Verb.PIECE)
"""What bots may ask (rule 21.2)."""

_AT_ONCE = 256
"""The users whom the store looks up in one request."""


class Connections:
    """Takes the frames of all connections, and what the driver reports of them.

    Args:
        limits: the limits of the exchange.
        output: takes what is written and the requests.
        now: the time, in seconds on any clock that does not go back.
        guests: the guests who are registered.
        members: the members who are connected.
        relay: takes the answers of guests.
        router: takes SENDs.
        feeds: takes the answers of members' devices.
        presence: takes TYPING.
        questions: takes the questions of members' devices.
        registration: takes what registers connections.
        stages: changes the stages of connections, and closes them.
        guest_messages: the messages that guests wait for.
        guest_questions: takes the questions of guests.
        room_guests: the guests who are in rooms.
        news: tells what other servers know.

    Attributes:
        must_check_members: whether `check_members` has failed, and must be called again.
    """

    def __init__(
        self,
        limits: Limits,
        output: Output,
        *,
        now: float,
        guests: Guests,
        members: ConnectedMembers,
        relay: Relay,
        router: Router,
        feeds: Feeds,
        presence: PresenceTracker,
        questions: Questions,
        registration: Registrar,
        stages: Stages,
        guest_messages: GuestMessages,
        guest_questions: GuestQuestions,
        room_guests: RoomGuests,
        news: ServerNews,
    ) -> None:
        self._output = output
        self._guests = guests
        self._members = members
        self._accepted = 0
        self._relay = relay
        self._router = router
        self._feeds = feeds
        self._presence = presence
        self._questions = questions
        self._registration = registration
        self._stages = stages
        self._guest_messages = guest_messages
        self._guest_questions = guest_questions
        self._room_guests = room_guests
        self._round = limits.peer_timeout / _ROUNDS
        self._next_round = now + self._round
        stages.handlers = self._table()
        news.handlers[MEMBER] = self._take_member
        news.on_missed.append(self.check_members)
        self.must_check_members = False

    def _table(self) -> dict[Stage, dict[Verb, Handler]]:
        """Return the handler of each verb in each stage."""
        anything_else = dict.fromkeys(Verb, _each(self._take_malformed))
        register_again = _each(self._registration.take_register_again)
        ask = _each(self._ask)
        ping = _each(self._take_ping)
        return {
            Stage.REGISTERING: {
                **dict.fromkeys(Verb, _each(self._registration.take_early)),
                Verb.REGISTER: _each(self._registration.take_register),
                Verb.PING: ping,
                Verb.MALFORMED: _each(self._take_malformed),
            },
            Stage.WAITING: dict.fromkeys(Verb, _keep),
            Stage.CLASSIC_SENDING: {
                **anything_else,
                Verb.SEND: self._router.take_classic,
                Verb.REGISTER: register_again,
                Verb.PING: ping,
            },
            Stage.CLASSIC_RECEIVING: {
                **anything_else,
                Verb.RECEIVED: self._relay.take_received,
                Verb.ERROR: _each(self._relay.take_refusal),
                Verb.REGISTER: register_again,
                Verb.PING: ping,
            },
            Stage.GUEST: {
                **anything_else,
                Verb.SEND: self._router.take_identified,
                Verb.RECEIVED: self._relay.take_received,
                Verb.ERROR: _each(self._relay.take_refusal),
                Verb.ROOM: _each(self._guest_questions.take_room),
                Verb.ROOMS: _each(self._guest_questions.take_rooms),
                Verb.REGISTER: register_again,
                Verb.PING: ping,
            },
            Stage.MEMBER_SENDING: {
                **anything_else,
                Verb.SEND: self._router.take_identified,
                Verb.PASSWORD: _each(self._registration.take_password),
                Verb.REGISTER: register_again,
                Verb.PING: ping,
                **dict.fromkeys(QUESTIONS, ask),
            },
            Stage.MEMBER_DEVICE: {
                **anything_else,
                Verb.SEND: self._router.take_identified,
                Verb.RECEIVED: self._feeds.take_received,
                Verb.ERROR: _each(self._feeds.take_refusal),
                Verb.READ: _each(self._feeds.take_read),
                Verb.TYPING: _each(self._presence.take_typing),
                Verb.PASSWORD: _each(self._registration.take_password),
                Verb.REGISTER: register_again,
                Verb.PING: ping,
                **dict.fromkeys(QUESTIONS, ask),
            },
        }

    # What the driver reports

    def accepted(self) -> int:
        """Return the number of a connection that the driver has accepted now."""
        self._accepted += 1
        return self._accepted

    def connected(self, address: str, port: object, number: int, *, framed: bool) -> Connection:
        """Return a new connection; the arguments are those of `Exchange.connected`."""
        number = number or self.accepted()
        handlers = self._stages.handlers[Stage.REGISTERING]
        return Connection(number, address, port, Stage.REGISTERING, handlers, framed=framed)

    def take(self, connection: Connection, frames: list[Frame]) -> list[Frame]:
        """Handle the frames that came on a connection, in this order.

        Returns:
            The frames that were not handled because the connection is paused; give them again when it is not any more.
        """
        if connection.closing or not frames:
            return []
        if connection.paused:
            return frames  # they were read before the driver could stop reading
        try:
            taken = connection.handlers[frames[0][0].verb](connection, frames, 0)
            if taken < len(frames):
                taken = self._take_others(connection, frames, taken)
        except NotUnderstood as error:
            self._stages.break_off(connection, MALFORMED, str(error) or None)
            return []
        if connection.device is not None:
            self._feeds.acknowledge(connection.device)
        return [] if taken == len(frames) else frames[taken:]

    def _take_others(self, connection: Connection, frames: list[Frame], taken: int) -> int:
        """Take the frames of a read that follow its first run; return the index of the first that must wait."""
        while taken < len(frames) and not (connection.paused or connection.closing):
            taken = connection.handlers[frames[taken][0].verb](connection, frames, taken)
        return len(frames) if connection.closing else taken

    def finish(self, connection: Connection) -> None:
        """Handle that the peer has closed its half of a connection (rule 4.12)."""
        sends = connection.side is not Side.RECEIVING and not connection.closing
        self._stages.release(connection)
        if sends and connection.next_answer != connection.next_send:
            connection.finished = True
            self._relay.leave_fast_path(connection)
        else:
            self._output.close(connection)

    def disconnected(self, connection: Connection) -> None:
        """Handle that a connection is gone: answer all who wait for it (rule 4.8)."""
        self._stages.close(connection)
        self._guest_messages.forget(connection)
        self._questions.forget(connection)
        connection.out.clear()  # last: the answers to what a user has sent to itself come here

    def clogged(self, connection: Connection) -> None:
        """Handle that a connection takes no output: let what comes for it wait in its queue."""
        connection.window = 0
        if connection.side is not Side.RECEIVING:
            self._relay.pause(connection)

    def flowing(self, connection: Connection) -> None:
        """Handle that a connection takes output again."""
        connection.window = connection.granted
        if connection.paused:
            self._relay.resume(connection)
        self._relay.forward_queued(connection)
        self._questions.flowing(connection)
        self._room_guests.flowing(connection)
        if connection.device is not None and connection.device.feed is not None:
            self._feeds.pump(connection.device.feed)

    def tick(self, now: float) -> None:
        """Close the connections whose clients have promised to ping, and have not done so in time (rule 9.10)."""
        if now < self._next_round:
            return
        self._next_round = now + self._round
        for connection in self._all():
            if connection.silent == PINGLESS:
                continue
            # The pings of a connection that is not read arrive later.
            connection.silent = 0 if connection.paused else connection.silent + 1
            if connection.silent >= _ROUNDS:
                self.disconnected(connection)

    def cut_off(self, *, members: bool) -> None:
        """Send guests away, and perhaps members as well, because the server has lost its database (rule 4.10)."""
        self._registration.is_cut_off = True
        connections = [*self._guests.all_connections(), *(self._members.connections() if members else ())]
        for connection in connections:
            if connection.extended:
                self._output.write(connection, error(UNAVAILABLE, reason=CUT_OFF.encode()))
            self._stages.close(connection)

    def drain(self) -> None:
        """Take no more SENDs (rule 4.10)."""
        self._relay.draining = True
        for connection in self._all():
            if not answers_others(connection):
                self._relay.pause(connection)

    @property
    def members_connected(self) -> int:
        """How many connections members have."""
        return len(self._members.connections())

    def dismiss(self, parts: int, spread: float) -> None:
        """Send one of so many parts of the members' connections away (rule 9.13)."""
        connections = self._members.connections()
        self._close([*connections[: -(-len(connections) // parts)]], spread)

    def close_all(self, spread: float) -> None:
        """Answer 102 for everything that waits, and close the connections of all users (rule 4.10)."""
        connections = sorted(self._all(), key=lambda connection: connection.side is not Side.RECEIVING)
        self._close(connections, spread)  # the receiving ones first, which answers the senders

    def _close(self, connections: list[Connection], spread: float) -> None:
        """Close connections, and let the extended ones know when to come back (rule 9.13).

        Args:
            connections: the connections.
            spread: over how many seconds they are to come back, evenly.
        """
        for number, connection in enumerate(connections):
            if connection.extended:
                after = int(spread * number / len(connections)) or None
                self._output.write(connection, error(UNAVAILABLE, reason=b"the server stops", retry_after=after))
            self._stages.close(connection)

    def check_members(self) -> None:
        """Find out who was added as a member or removed, since another process has changed the store (rule 10.1)."""
        names = tuple(name.decode("ascii") for name in self._guests.names())
        numbers = tuple(self._members.by_number)
        self.must_check_members = False
        for start in range(0, max(len(names), len(numbers)), _AT_ONCE):
            some = numbers[start : start + _AT_ONCE]
            self._output.ask(FindMembers(names[start : start + _AT_ONCE], some), partial(self._members_found, some))

    def _take_member(self, _: int, said: Item) -> None:
        """Take that a name is a member's, as another server says: the store knows it (rule 10.1)."""
        (name,) = said
        if self._guests.connections(bytes_of(name)):
            self._output.ask(FindMembers((name,)), partial(self._members_found, ()))

    def _members_found(self, numbers: tuple[int, ...], found: list[Member] | StoreError) -> None:
        if isinstance(found, StoreError):
            self.must_check_members = True
            return
        for number in set(numbers).difference(member.number for member in found):
            self._members.end_all_of(number, b"the member was removed")
        for member in found:
            self._stages.turn_out(member.name.lower().encode())

    def _all(self) -> list[Connection]:
        """Return the connections of all users, each once."""
        return [*self._guests.all_connections(), *self._members.connections()]

    # The end

    def _take_malformed(self, connection: Connection, head: Head, _body: bytes) -> None:
        """Take a frame that the stage does not allow, or that the parser could not read."""
        self._stages.break_off(connection, head.code if head.verb is Verb.MALFORMED else MALFORMED)

    # Keep-alive (rule 9.10)

    def _take_ping(self, connection: Connection, _head: Head, _body: bytes) -> None:
        """Answer a PING, if the client has said that it pings."""
        if connection.silent != PINGLESS:
            connection.silent = 0
            self._output.write(connection, PONG)
            if not connection.window:
                self._relay.pause(connection)
        elif connection.stage is Stage.REGISTERING:
            self._stages.refuse(connection, NO_USER_REGISTERED)
        else:
            raise NotUnderstood

    # Questions

    def _ask(self, connection: Connection, head: Head, body: bytes) -> None:
        """Take a question; the connection waits until it is answered (rule 12.2)."""
        if connection.device is None:
            return
        if connection.device.is_bot and head.verb not in _BOTS_ASK:
            self._output.write(connection, error(102, id=head.headers.get(b"id"), reason=FOR_PEOPLE))
            return
        stage = connection.stage
        self._stages.wait(connection)
        self._questions.ask(connection, connection.device, head, body, partial(self._stages.go_on, connection, stage))


def _each(take: Callable[[Connection, Head, bytes], None]) -> Handler:
    """Return a handler that takes one frame."""

    def handle(connection: Connection, frames: list[Frame], start: int) -> int:
        head, body = frames[start]
        take(connection, head, body)
        return start + 1

    return handle


def _keep(_connection: Connection, _frames: list[Frame], start: int) -> int:
    """Take no frame: the connection is paused, so its frames stay with the driver."""
    return start
