"""The life of a connection: which frames it may carry, and what ends it (docs/protocol.md, sections 3, 4, 9 and 10).

Theory of operation. A connection is always in one `Stage`. `_table` is the whole grammar: for each stage and verb it
has the handler of a frame. Handlers belong to the other parts of the exchange. They cannot change a stage: only this
file does, and these are all the ways:

                        guest registered on both sides
    REGISTERING ---------------------------------------> CLASSIC_SENDING, CLASSIC_RECEIVING or GUEST
        |   ^
        |   | looked up, or not authenticated      authenticated
        +-> WAITING ---------------------------------> MEMBER_SENDING or MEMBER_DEVICE
                                                             |   ^
                                                    question |   | answered
                                                             +-> WAITING

While a connection is WAITING it is paused, and its frames stay with the driver. From any stage a connection may start
closing. It then has no stage any more: whatever still comes is dropped.

A handler takes one frame or a run of frames of its verb (see `Handler`). `take` calls handlers until all frames of a
read are taken or the connection is paused. A handler that cannot understand its frame raises NotUnderstood.
"""

from collections.abc import Callable
from functools import partial

from twotick.exchange.connection import (
    PINGLESS,
    Connection,
    Guest,
    Handler,
    MemberDevice,
    NotUnderstood,
    Stage,
    answers_others,
)
from twotick.exchange.effects import EffectsPublisher
from twotick.exchange.feeds import Feeds
from twotick.exchange.guest_messages import GuestMessages
from twotick.exchange.guests import Guests
from twotick.exchange.limits import Limits
from twotick.exchange.members import ConnectedMembers
from twotick.exchange.numbers import malformed_number
from twotick.exchange.output import Output
from twotick.exchange.presence import PresenceTracker
from twotick.exchange.questions import QUESTIONS, QUESTIONS_OF_SENDERS, Questions
from twotick.exchange.relay import Relay
from twotick.exchange.routing import Router
from twotick.exchange.stored import reason_of
from twotick.store import Acknowledge, FindMember, FindMembers, Member, OpenDevice, OpenedDevice, Refusal, StoreError
from twotick.wire import (
    HEADER_INCOMPLETE,
    MALFORMED_USERNAME,
    NO_USER_REGISTERED,
    PONG,
    SHORT_DIGITS,
    Frame,
    Head,
    Side,
    Verb,
    error,
    forward_start,
    frame,
    is_name,
    read_number,
    registered,
)

_ROUNDS = 4
"""How often in `peer_timeout` connections are looked at that may be silent, and how often a client pings."""

_AT_ONCE = 256
"""The users whom the store looks up in one request."""

_REPLACED = 108
_UNAVAILABLE = 107
"""The number of the error after which a client may connect again and then be let in (rule 9.9)."""

_MALFORMED = 103
_REASONS = {_MALFORMED: b"the frame cannot be understood", 106: b"the body is longer than Max-body allows"}

_OF_A_MEMBER = b"the name is a member's"
"""The Reason of ERROR 100 for a name that a member owns; clients know these words (rule 7.5)."""

_NEVER_HELD: dict[int, bytes] = {}
"""The `held` of all extended connections, whose answers are never held back but do not take the fast path either."""

_GUEST_STAGES = {
    Side.SENDING: Stage.CLASSIC_SENDING,
    Side.RECEIVING: Stage.CLASSIC_RECEIVING,
    Side.DUPLEX: Stage.GUEST,
}


class Connections:
    """Takes the frames of all connections, and registers and closes them.

    Args:
        limits: the limits of the exchange.
        clock: returns the time of day, in seconds since 1970.
        output: takes what is written and the requests.
        now: the time, in seconds on any clock that does not go back.
        guests: the guests who are registered.
        members: the members who are connected.
        relay: takes the answers of guests.
        router: takes SENDs.
        feeds: takes the answers of members' devices.
        presence: takes TYPING.
        questions: takes the questions of members' devices.
        effects: takes what a device's registration has changed.
        guest_messages: the messages that guests wait for.

    Attributes:
        logins: the connections whose user has to be authenticated, each with its REGISTER.
        password_changes: the connections on which members change their passwords, each with its device and PASSWORD.
        must_check_members: whether `check_members` has failed, and must be called again.
    """

    def __init__(
        self,
        limits: Limits,
        clock: Callable[[], float],
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
        effects: EffectsPublisher,
        guest_messages: GuestMessages,
    ) -> None:
        self._limits = limits
        self._clock = clock
        self._output = output
        self._guests = guests
        self._members = members
        self._accepted = 0
        self._relay = relay
        self._router = router
        self._feeds = feeds
        self._presence = presence
        self._questions = questions
        self._effects = effects
        self._guest_messages = guest_messages
        self._round = limits.peer_timeout / _ROUNDS
        self._next_round = now + self._round
        self._handlers = self._table()
        self.logins: list[tuple[Connection, Head]] = []
        self.password_changes: list[tuple[Connection, MemberDevice, Head]] = []
        self.must_check_members = False

    def _table(self) -> dict[Stage, dict[Verb, Handler]]:
        """Return the handler of each verb in each stage."""
        anything_else = dict.fromkeys(Verb, _each(self._take_malformed))
        register_again = _each(self._take_register_again)
        ask = _each(self._ask)
        ping = _each(self._take_ping)
        return {
            Stage.REGISTERING: {
                **dict.fromkeys(Verb, _each(self._take_early)),
                Verb.REGISTER: _each(self._take_register),
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
                Verb.REGISTER: register_again,
                Verb.PING: ping,
            },
            Stage.MEMBER_SENDING: {
                **anything_else,
                Verb.SEND: self._router.take_identified,
                Verb.REGISTER: register_again,
                Verb.PING: ping,
                **dict.fromkeys(QUESTIONS_OF_SENDERS, ask),
            },
            Stage.MEMBER_DEVICE: {
                **anything_else,
                Verb.SEND: self._router.take_identified,
                Verb.RECEIVED: self._feeds.take_received,
                Verb.ERROR: _each(self._feeds.take_refusal),
                Verb.READ: _each(self._feeds.take_read),
                Verb.TYPING: _each(self._presence.take_typing),
                Verb.PASSWORD: _each(self._take_password),
                Verb.REGISTER: register_again,
                Verb.PING: ping,
                **dict.fromkeys(QUESTIONS, ask),
            },
        }

    # Stages

    def _enter(self, connection: Connection, stage: Stage) -> None:
        connection.stage = stage
        connection.handlers = self._handlers[stage]

    def _wait(self, connection: Connection) -> None:
        """Take no frames from a connection until `_go_on`."""
        self._enter(connection, Stage.WAITING)
        self._relay.pause(connection)

    def _go_on(self, connection: Connection, stage: Stage) -> None:
        """Take frames from a connection again, in this stage."""
        if not connection.closing:
            self._enter(connection, stage)
            self._relay.resume(connection)

    # What the driver reports

    def connected(self, address: str, port: object) -> Connection:
        """Return a new connection; the arguments are those of `Exchange.connected`."""
        self._accepted += 1
        return Connection(self._accepted, address, port, Stage.REGISTERING, self._handlers[Stage.REGISTERING])

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
            self._break_off(connection, _MALFORMED, str(error) or None)
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
        self._release(connection)
        if sends and connection.next_answer != connection.next_send:
            connection.finished = True
            self._relay.leave_fast_path(connection)
        else:
            self._output.close(connection)

    def disconnected(self, connection: Connection) -> None:
        """Handle that a connection is gone: answer all who wait for it (rule 4.8)."""
        self._close(connection)
        self._guest_messages.forget(connection)
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

    def drain(self) -> None:
        """Take no more SENDs (rule 4.10)."""
        self._relay.draining = True
        for connection in self._all():
            if not answers_others(connection):
                self._relay.pause(connection)

    def close_all(self) -> None:
        """Answer 102 for everything that waits, and close the connections of all users (rule 4.10)."""
        connections = sorted(self._all(), key=lambda connection: connection.side is not Side.RECEIVING)
        for connection in connections:  # the receiving ones first, which answers the senders
            if connection.extended:
                self._output.write(connection, error(_UNAVAILABLE, reason=b"the server stops"))
            self._close(connection)

    def check_members(self) -> None:
        """Find out who was added as a member or removed, since another process has changed the store (rule 10.1)."""
        names = tuple(name.decode("ascii") for name in self._guests.names())
        numbers = tuple(self._members.by_number)
        self.must_check_members = False
        for start in range(0, max(len(names), len(numbers)), _AT_ONCE):
            some = numbers[start : start + _AT_ONCE]
            self._output.ask(FindMembers(names[start : start + _AT_ONCE], some), partial(self._members_found, some))

    def _members_found(self, numbers: tuple[int, ...], found: list[Member] | StoreError) -> None:
        if isinstance(found, StoreError):
            self.must_check_members = True
            return
        for number in set(numbers).difference(member.number for member in found):
            self._members.end_all_of(number, b"the member was removed")
        for member in found:
            self._turn_out(member.name.lower().encode())

    def _turn_out(self, key: bytes) -> None:
        """Close the connections of a guest whose name has become a member's (rule 10.1)."""
        for connection in self._guests.connections(key):
            if connection.extended:
                self._output.write(connection, error(108, reason=b"the name is a member's now"))
            self._close(connection)

    def _all(self) -> list[Connection]:
        """Return the connections of all users, each once."""
        return [*self._guests.all_connections(), *self._members.connections()]

    # The end

    def _take_malformed(self, connection: Connection, head: Head, _body: bytes) -> None:
        """Take a frame that the stage does not allow, or that the parser could not read."""
        self._break_off(connection, head.code if head.verb is Verb.MALFORMED else _MALFORMED)

    def _break_off(self, connection: Connection, code: int, reason: str | None = None) -> None:
        """Close a user's connections because a frame cannot be understood or is too large (rules 2.8, 7.4 and 9.9).

        Args:
            connection: the connection that the frame came on.
            code: the number of the error.
            reason: why, for a user to read; None for the usual words. A classic connection is not told.
        """
        if connection.extended or reason is not None:
            answer = error(code, reason=_REASONS[code] if reason is None else reason.encode())
        else:
            answer = HEADER_INCOMPLETE
        self._output.write(connection, answer)
        others = [] if connection.guest is None else self._guests.connections(connection.guest.key)
        for each in dict.fromkeys([connection, *others]):
            self._close(each)

    def _close(self, connection: Connection) -> None:
        self._release(connection)
        self._output.close(connection)

    def _release(self, connection: Connection) -> None:
        """Take a connection away from its user, and answer what waits for it (rule 4.8)."""
        self._members.leave(connection)
        if connection.guest is None:
            return
        self._guests.release(connection)
        if connection.side is not Side.SENDING:
            self._relay.abandon(connection)

    # Keep-alive (rule 9.10)

    def _take_ping(self, connection: Connection, _head: Head, _body: bytes) -> None:
        """Answer a PING, if the client has said that it pings."""
        if connection.silent != PINGLESS:
            connection.silent = 0
            self._output.write(connection, PONG)
            if not connection.window:
                self._relay.pause(connection)
        elif connection.stage is Stage.REGISTERING:
            self._refuse(connection, NO_USER_REGISTERED)
        else:
            raise NotUnderstood

    def _keep_alive(self, connection: Connection, head: Head) -> int | None:
        """Return the seconds of silence that a REGISTER is granted; None if its client does not ping."""
        if head.headers.get(b"keep-alive") != b"yes":
            return None
        connection.silent = 0
        return max(1, int(self._limits.peer_timeout))

    # Registration (section 4)

    def _take_early(self, connection: Connection, _head: Head, _body: bytes) -> None:
        """Take a frame that comes before the connection's user is registered (rule 4.5)."""
        self._refuse(connection, NO_USER_REGISTERED)

    def _take_register_again(self, connection: Connection, _head: Head, _body: bytes) -> None:
        """Take a REGISTER on a connection that is registered (rule 4.7)."""
        self._output.write(connection, MALFORMED_USERNAME)
        if not connection.window:
            self._relay.pause(connection)

    def _take_register(self, connection: Connection, head: Head, _body: bytes) -> None:
        connection.reasons = head.headers.get(b"reasons") == b"yes"
        if head.side is None:
            self._refuse(connection, NO_USER_REGISTERED)
        elif connection.guest is not None or not is_name(head.name):
            self._refuse_name(connection, b"it is not a valid name")
        elif malformed := _malformed_number(head):
            self._break_off(connection, _MALFORMED, None if _is_classic(head) else malformed)
        elif b"authorization" in head.headers:
            self._log_in(connection, head, head.side)
        elif head.key in self._members.by_name:
            self._refuse_name(connection, _OF_A_MEMBER)
        elif not self._limits.guests:
            self._refuse_name(connection, b"this server is for members only")
        elif self._members.exist:
            self._wait(connection)
            request = FindMember(head.name.decode("ascii"), connection.network)
            self._output.ask(request, partial(self._owner_found, connection, head, head.side))
        else:
            self._register_guest(connection, head, head.side)

    def _owner_found(self, connection: Connection, head: Head, side: Side, owner: Member | StoreError | None) -> None:
        """Register a guest if no member owns the name that it asks for (rule 10.1)."""
        if isinstance(owner, StoreError) and side is Side.DUPLEX:
            self.not_authenticated(connection, _UNAVAILABLE, f"the server cannot look it up now: {owner}")
            return
        self._go_on(connection, Stage.REGISTERING)
        if connection.closing:
            return
        if owner is None:
            self._register_guest(connection, head, side)
        elif isinstance(owner, StoreError):
            self._refuse_name(connection, b"the server cannot look it up now")
        else:
            self._refuse_name(connection, _OF_A_MEMBER)

    def _window(self, head: Head) -> int | None:
        """Return the window that a REGISTER is granted (section 6); None if it asks for none."""
        window = head.headers.get(b"window")
        if window is None or head.side is Side.SENDING:
            return None
        return min(int(window), self._limits.window)

    def _register_guest(self, connection: Connection, head: Head, side: Side) -> None:
        guest = self._guests.claim(head.key, connection, side)
        if guest is None:
            self._refuse_name(connection, b"another user has it")
            return
        window = self._window(head)
        keep_alive = self._keep_alive(connection, head)
        _name(connection, head.name, side, window)
        if side is Side.DUPLEX:
            answer = registered(
                side, head.name, connection.granted, max_body=self._limits.max_body, keep_alive=keep_alive
            )
        else:
            answer = registered(side, head.name, window, keep_alive=keep_alive)
        self._output.write(connection, answer)
        if guest.complete:
            for each in self._guests.connections(guest.key):
                self._admit(guest, each, each.side or side)

    def _admit(self, guest: Guest, connection: Connection, side: Side) -> None:
        """Let a connection of a guest who is registered on both sides carry messages."""
        self._enter(connection, _GUEST_STAGES[side])
        self._guests.open(guest, connection)
        if side is Side.DUPLEX:
            self._extend(connection)
        if self._relay.draining and not answers_others(connection):
            self._relay.pause(connection)

    def _extend(self, connection: Connection) -> None:
        connection.extended = True
        connection.held = _NEVER_HELD

    def _refuse_name(self, connection: Connection, reason: bytes) -> None:
        """Say that a name is not available, and why if the client asks for it (rule 7.5)."""
        self._refuse(connection, error(100, reason=reason) if connection.reasons else MALFORMED_USERNAME)

    def _refuse(self, connection: Connection, answer: bytes) -> None:
        """Answer with an error, and close the connection if it was one too many (rule 4.11)."""
        self._output.write(connection, answer)
        connection.refusals += 1
        if connection.refusals >= self._limits.refusals:
            self._close(connection)

    # Registration of members (section 10)

    def _log_in(self, connection: Connection, head: Head, side: Side) -> None:
        if side is Side.RECEIVING:
            self._refuse(connection, MALFORMED_USERNAME)
            return
        self._wait(connection)
        self.logins.append((connection, head))

    def authenticated(self, connection: Connection, head: Head, member: Member, name: str) -> None:
        """Register a connection for a member; the arguments are those of `Exchange.authenticated`."""
        if connection.closing:
            return
        self._turn_out(member.name.lower().encode())
        device = MemberDevice(member.number, name.encode())
        resume = int(head.seq or b"0")
        if head.side is Side.DUPLEX:
            request = OpenDevice(member.number, name, resume, self._clock())
            self._output.ask(request, partial(self._opened, connection, head, member, device))
        else:
            self._register_member(connection, head, member, device, None)

    def _opened(
        self,
        connection: Connection,
        head: Head,
        member: Member,
        device: MemberDevice,
        result: OpenedDevice | Refusal | StoreError,
    ) -> None:
        if isinstance(result, OpenedDevice) and result.unnoted:
            self._effects.ask(Acknowledge(device.member, device.name, result.unnoted, self._clock()))
        if not isinstance(result, OpenedDevice):
            self.not_authenticated(connection, 104 if isinstance(result, Refusal) else 107, reason_of(result))
        elif connection.closing:
            self._effects.publish(result.effects)  # the device's cursor has moved all the same
        elif self._members.has_newer(connection, device):
            self._effects.publish(result.effects)
            self._output.write(connection, error(_REPLACED, reason=b"the device has connected again"))
            self._output.close(connection)
        else:
            self._register_member(connection, head, member, device, result)

    def _register_member(
        self, connection: Connection, head: Head, member: Member, device: MemberDevice, opened: OpenedDevice | None
    ) -> None:
        if head.side is None:
            return
        _name(connection, member.name.encode(), head.side, self._window(head))
        answer = registered(
            head.side,
            head.name,
            device=device.name,
            window=connection.granted if opened else None,
            seq=opened.cursor if opened else None,
            max_body=self._limits.max_body,
            keep_alive=self._keep_alive(connection, head),
        )
        self._output.write(connection, answer)
        self._extend(connection)
        self._members.join(connection, device, opened)
        if opened is not None and device.feed is not None:
            self._effects.publish(opened.effects)
            self._feeds.pump(device.feed)
        self._go_on(connection, Stage.MEMBER_SENDING if opened is None else Stage.MEMBER_DEVICE)

    def not_authenticated(self, connection: Connection, code: int, reason: str, retry_after: int | None = None) -> None:
        """Refuse to register a connection for a member; the arguments are those of `Exchange.not_authenticated`."""
        if connection.closing:
            return
        self._refuse(connection, error(code, reason=reason.encode(), retry_after=retry_after))
        if code == _UNAVAILABLE:
            self._output.close(connection)
        self._go_on(connection, Stage.REGISTERING)

    # Passwords (rule 10.10)

    def _take_password(self, connection: Connection, head: Head, _body: bytes) -> None:
        """Take a PASSWORD; the connection waits until the driver has checked it."""
        if connection.device is not None:
            self._wait(connection)
            self.password_changes.append((connection, connection.device, head))

    def password_changed(
        self, connection: Connection, device: MemberDevice, head: Head, *, others_revoked: bool
    ) -> None:
        """Answer a PASSWORD; the arguments are those of `Exchange.password_changed`."""
        self._output.write(connection, frame(Verb.PASSWORD, id=head.headers.get(b"id")))
        if others_revoked:
            self._members.end_other_machines(device)
        self._go_on(connection, Stage.MEMBER_DEVICE)

    def password_kept(
        self, connection: Connection, head: Head, code: int, reason: str, retry_after: int | None
    ) -> None:
        """Refuse a PASSWORD; the arguments are those of `Exchange.password_kept`."""
        answer = error(code, id=head.headers.get(b"id"), reason=reason.encode(), retry_after=retry_after)
        self._output.write(connection, answer)
        self._go_on(connection, Stage.MEMBER_DEVICE)

    # Questions

    def _ask(self, connection: Connection, head: Head, body: bytes) -> None:
        """Take a question; the connection waits until it is answered (rule 12.2)."""
        if connection.device is None:
            return
        stage = connection.stage
        self._wait(connection)
        self._questions.ask(connection, connection.device, head, body, partial(self._go_on, connection, stage))


def _name(connection: Connection, name: bytes, side: Side, window: int | None) -> None:
    """Note for whom and on which side a connection is registered, and with which window."""
    connection.side = side
    connection.name = name
    key = name.lower()
    connection.key = name if key == name else key  # one object for both takes less memory
    connection.start = forward_start(name)
    connection.window = connection.granted = window or 1


def _is_classic(head: Head) -> bool:
    """Return whether a REGISTER asks for a classic connection (rule 9.1)."""
    return head.side is not Side.DUPLEX and b"authorization" not in head.headers


def _malformed_number(head: Head) -> str | None:
    """Return which number of a REGISTER is malformed and why (rule 2.9); None if none is."""
    headers = head.headers
    if head.side is not Side.SENDING and not read_number(headers.get(b"window", b"1"), SHORT_DIGITS):
        return malformed_number(b"window", SHORT_DIGITS, least=1)
    if not _is_classic(head) and read_number(headers.get(b"seq", b"0")) is None:
        return malformed_number(b"seq")
    return None


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
