"""The registration of connections (docs/protocol.md, sections 4, 9 and 10)."""

from collections.abc import Callable
from functools import partial
from typing import Final

from twotick.exchange.connection import Connection, Guest, MemberDevice, Stage, answers_others
from twotick.exchange.effects import EffectsPublisher
from twotick.exchange.feeds import Feeds
from twotick.exchange.guest_names import GuestNames
from twotick.exchange.guests import Guests
from twotick.exchange.limits import Limits
from twotick.exchange.members import ConnectedMembers
from twotick.exchange.news import ServerNews
from twotick.exchange.numbers import malformed_number
from twotick.exchange.output import Output
from twotick.exchange.relay import Relay
from twotick.exchange.stages import MALFORMED, UNAVAILABLE, Stages
from twotick.exchange.stored import reason_of
from twotick.exchange.tally import OTHER
from twotick.store import (
    Acknowledge,
    CheckLogin,
    LoginProof,
    Member,
    OpenDevice,
    OpenedDevice,
    Refusal,
    StoreError,
)
from twotick.wire import (
    MALFORMED_USERNAME,
    NO_USER_REGISTERED,
    SHORT_DIGITS,
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

_REPLACED: Final = 108

_RESULTS: Final = {104: "refused", 105: "too_early", UNAVAILABLE: "unavailable"}
"""How logins are counted that were answered with these errors."""

FOR_PEOPLE: Final = b"a bot can only send, and read where it may"
"""Why a bot is refused what it asks (rule 21.2)."""

MEMBER: Final = "member"
"""News for other servers: a name is a member's."""

CUT_OFF: Final = "this server has lost its database: connect to another one, or try again soon"

_OF_A_MEMBER: Final = b"the name is a member's"

_NEVER_HELD: dict[int, bytes] = {}
"""The `held` of all extended connections, whose answers are never held back but do not take the fast path either."""

_GUEST_STAGES: Final = {
    Side.SENDING: Stage.CLASSIC_SENDING,
    Side.RECEIVING: Stage.CLASSIC_RECEIVING,
    Side.DUPLEX: Stage.GUEST,
}


class Registrar:
    """Registers connections for guests and members.

    Args:
        limits: the limits of the exchange.
        clock: returns the time of day, in seconds since 1970.
        output: takes what is written and the requests.
        guests: the guests who are registered.
        names: finds out whether guests may have names.
        members: the members who are connected.
        relay: reads from connections, or not.
        feeds: sends devices what they do not have.
        effects: takes what a device's registration has changed.
        stages: changes the stages of connections.
        news: tells other servers who is a member.

    Attributes:
        logins: the connections whose user has to be authenticated, each with its REGISTER.
        password_changes: the connections on which members change their passwords, each with its device and PASSWORD.
        is_cut_off: whether the server cannot reach the database that it shares, and registers no users.
    """

    def __init__(
        self,
        limits: Limits,
        clock: Callable[[], float],
        output: Output,
        *,
        guests: Guests,
        names: GuestNames,
        members: ConnectedMembers,
        relay: Relay,
        feeds: Feeds,
        effects: EffectsPublisher,
        stages: Stages,
        news: ServerNews,
    ) -> None:
        self._limits = limits
        self._clock = clock
        self._output = output
        self._guests = guests
        self._names = names
        self._news = news
        self._members = members
        self._relay = relay
        self._feeds = feeds
        self._effects = effects
        self._stages = stages
        self.logins: list[tuple[Connection, Head]] = []
        self.password_changes: list[tuple[Connection, MemberDevice, Head]] = []
        self.is_cut_off = False

    # Guests (section 4)

    def take_early(self, connection: Connection, _head: Head, _body: bytes) -> None:
        """Take a frame that comes before the connection's user is registered (rule 4.5)."""
        self._stages.refuse(connection, NO_USER_REGISTERED)

    def take_register_again(self, connection: Connection, _head: Head, _body: bytes) -> None:
        """Take a REGISTER on a connection that is registered (rule 4.7)."""
        self._output.write(connection, MALFORMED_USERNAME)
        if not connection.window:
            self._relay.pause(connection)

    def take_register(self, connection: Connection, head: Head, _body: bytes) -> None:
        """Take a REGISTER (rules 4.3 to 4.6, and 9.1)."""
        connection.reasons = head.headers.get(b"reasons") == b"yes"
        connection.times = head.headers.get(b"times") == b"yes"
        if head.side is None:
            self._stages.refuse(connection, NO_USER_REGISTERED)
        elif connection.guest is not None or not is_name(head.name):
            self._refuse_name(connection, head, b"it is not a valid name", b"name")
        elif malformed := _malformed_number(head):
            self._stages.break_off(connection, MALFORMED, None if _is_classic(head) else malformed)
        elif self.is_cut_off:
            side = Side.DUPLEX if b"authorization" in head.headers else head.side
            self._owner_found(connection, head, side, StoreError(CUT_OFF))
        elif b"authorization" in head.headers:
            self._log_in(connection, head, head.side)
        elif head.key in self._members.by_name:
            self._refuse_name(connection, head, _OF_A_MEMBER, b"member")
        elif not self._limits.guests:
            self._refuse_name(connection, head, b"this server is for members only", b"guests")
        elif self._members.exist:
            self._stages.wait(connection)
            self._names.find_owner(connection, head.name, partial(self._owner_found, connection, head, head.side))
        else:
            self._register_guest(connection, head, head.side)

    def _owner_found(
        self, connection: Connection, head: Head, side: Side, owner: Member | bool | StoreError | None
    ) -> None:
        """Register a guest if no member owns the name that it asks for (rule 10.1)."""
        if isinstance(owner, StoreError) and side is Side.DUPLEX:
            self.not_authenticated(connection, UNAVAILABLE, f"the server cannot look it up now: {owner}")
            return
        self._stages.go_on(connection, Stage.REGISTERING)
        if connection.closing:
            return
        if owner is None:
            self._register_guest(connection, head, side)
        elif isinstance(owner, StoreError):
            self._refuse_name(connection, head, b"the server cannot look it up now")
        elif isinstance(owner, bool):
            self._refuse_name(connection, head, b"another user has it", b"in-use")
        else:
            self._refuse_name(connection, head, _OF_A_MEMBER, b"member")

    def _window(self, head: Head) -> int | None:
        """Return the window that a REGISTER is granted (section 6); None if it asks for none."""
        window = head.headers.get(b"window")
        if window is None or head.side is Side.SENDING:
            return None
        return min(int(window), self._limits.window)

    def _register_guest(self, connection: Connection, head: Head, side: Side) -> None:
        guest = self._guests.claim(head.key, connection, side)
        if guest is None:
            self._refuse_name(connection, head, b"another user has it", b"in-use")
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
        self._stages.enter(connection, _GUEST_STAGES[side])
        self._guests.open(guest, connection)
        if side is Side.DUPLEX:
            self._extend(connection)
        if self._relay.draining and not answers_others(connection):
            self._relay.pause(connection)

    def _extend(self, connection: Connection) -> None:
        connection.extended = True
        connection.held = _NEVER_HELD

    def _refuse_name(self, connection: Connection, head: Head, reason: bytes, kind: bytes | None = None) -> None:
        """Say that a name is not available, and why if the client asks for it (rules 7.5 and 9.12)."""
        answer = error(100, reason=reason, kind=None if _is_classic(head) else kind)
        self._stages.refuse(connection, answer if connection.reasons else MALFORMED_USERNAME)

    def _keep_alive(self, connection: Connection, head: Head) -> int | None:
        """Return the seconds of silence that a REGISTER is granted; None if its client does not ping."""
        if head.headers.get(b"keep-alive") != b"yes":
            return None
        connection.silent = 0
        return max(1, int(self._limits.peer_timeout))

    # Members (section 10)

    def _log_in(self, connection: Connection, head: Head, side: Side) -> None:
        if side is Side.RECEIVING:
            self._stages.refuse(connection, MALFORMED_USERNAME)
            return
        self._stages.wait(connection)
        self.logins.append((connection, head))

    def authenticated(
        self, connection: Connection, head: Head, member: Member, name: str, credential: LoginProof | None
    ) -> None:
        """Register a connection for a member; the arguments are those of `Exchange.authenticated`.

        The store checks the login once more: meanwhile the device may have been revoked (rule 10.8).
        """
        if connection.closing:
            return
        self._stages.turn_out(member.name.lower().encode())
        self._news.tell(MEMBER, member.name.lower())
        device = MemberDevice(member.number, name.encode(), member.is_bot)
        resume = int(head.seq or b"0")
        if head.side is Side.DUPLEX:
            request = OpenDevice(member.number, name, resume, self._clock(), credential)
            self._output.ask(request, partial(self._opened, connection, head, member, device))
        elif credential is not None:
            device.proof = credential
            checked = partial(self._checked, connection, head, member, device)
            self._output.ask(CheckLogin(member.number, credential), checked)

    def admit(
        self, connection: Connection, head: Head, member: Member, name: str, credential: LoginProof | None
    ) -> None:
        """Register a device that is a part of the server; the arguments are those of `Exchange.admit`."""
        self._stages.wait(connection)
        self.authenticated(connection, head, member, name, credential)

    def _checked(
        self,
        connection: Connection,
        head: Head,
        member: Member,
        device: MemberDevice,
        result: Refusal | StoreError | None,
    ) -> None:
        if result is not None:
            self._not_opened(connection, result)
        elif not connection.closing:
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
            self._effects.ask(Acknowledge(device.member, device.name, result.unnoted, self._clock(), result.session))
        if not isinstance(result, OpenedDevice):
            self._not_opened(connection, result)
        elif connection.closing:
            self._effects.publish(result.effects)  # the device's cursor has moved all the same
            self._members.opened_in_vain(device, result.session)
        elif self._members.has_newer(connection, device):
            self._effects.publish(result.effects)
            self._members.opened_in_vain(device, result.session)
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
        self._relay.tally.note_login("accepted")
        self._output.write(connection, answer)
        self._extend(connection)
        self._members.join(connection, device, opened)
        if opened is not None and device.feed is not None:
            self._effects.publish(opened.effects)
            self._feeds.pump(device.feed)
        self._stages.go_on(connection, Stage.MEMBER_SENDING if opened is None else Stage.MEMBER_DEVICE)

    def not_authenticated(
        self, connection: Connection, code: int, reason: str, retry_after: int | None = None, kind: str = ""
    ) -> None:
        """Refuse to register a connection for a member; the arguments are those of `Exchange.not_authenticated`."""
        if connection.closing:
            return
        told = kind.encode() if kind and connection.reasons else None
        self._stages.refuse(connection, error(code, reason=reason.encode(), kind=told, retry_after=retry_after))
        self._relay.tally.note_login(_RESULTS.get(code, OTHER))
        if code == UNAVAILABLE:
            self._output.close(connection)
        self._stages.go_on(connection, Stage.REGISTERING)

    def _not_opened(self, connection: Connection, result: Refusal | StoreError) -> None:
        """Refuse a login that the store does not allow, or could not check."""
        if isinstance(result, Refusal):
            self.not_authenticated(connection, 104, result.reason, kind=result.kind)
        else:
            self.not_authenticated(connection, UNAVAILABLE, reason_of(result))

    # Passwords (rule 10.10)

    def take_password(self, connection: Connection, head: Head, _body: bytes) -> None:
        """Take a PASSWORD; the connection waits until the driver has checked it."""
        if connection.device is not None and connection.device.is_bot:
            answer = error(102, id=head.headers.get(b"id"), reason=FOR_PEOPLE)
            self._output.write(connection, answer)
        elif connection.device is not None:
            self._stages.wait(connection)
            self.password_changes.append((connection, connection.device, head))

    def password_changed(
        self, connection: Connection, device: MemberDevice, head: Head, *, others_revoked: bool
    ) -> None:
        """Answer a PASSWORD; the arguments are those of `Exchange.password_changed`."""
        self._output.write(connection, frame(Verb.PASSWORD, id=head.headers.get(b"id")))
        if others_revoked:
            self._members.end_other_machines(device)
        self._stages.go_on(connection, _stage_of_member(connection))

    def password_kept(
        self, connection: Connection, head: Head, code: int, reason: str, retry_after: int | None
    ) -> None:
        """Refuse a PASSWORD; the arguments are those of `Exchange.password_kept`."""
        answer = error(code, id=head.headers.get(b"id"), reason=reason.encode(), retry_after=retry_after)
        self._output.write(connection, answer)
        self._stages.go_on(connection, _stage_of_member(connection))


def _name(connection: Connection, name: bytes, side: Side, window: int | None) -> None:
    """Note for whom and on which side a connection is registered, and with which window."""
    connection.side = side
    connection.name = name
    key = name.lower()
    connection.key = name if key == name else key  # one object for both takes less memory
    connection.start = forward_start(name)
    connection.window = connection.granted = window or 1


def _stage_of_member(connection: Connection) -> Stage:
    """Return the stage of a member's connection that waits for nothing."""
    return Stage.MEMBER_DEVICE if connection.side is Side.DUPLEX else Stage.MEMBER_SENDING


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
