"""The exchange: who is here, and where each message goes (docs/protocol.md, sections 4, 9, 10 and 11).

Theory of operation. A driver (the server, a test, a simulation) owns the connections, the clock and the store. It calls

- `connected` for each new connection, which gives a `Session`;
- `take` with the frames that came on it (and again with those that are returned, when the session is no longer
  `paused`), `finish` when no more will come, `disconnected` when it is gone;
- `clogged` and `flowing` as the connection stops and starts to take output;
- `tick` from time to time, which moves the clock: time limits are as fine as its steps.

Whenever it likes, best when all that has arrived was handled, it

- looks at `written` and writes what those sessions hold in `out`; looks at `changed`, closes those sessions that are
  `closing`, and stops or starts reading as `paused` says;
- carries out `requests` with the store and calls their callbacks, in order, when that is done;
- finds out for each of `logins` who is asking, and calls `authenticated` or `not_authenticated`;

and takes out what it has looked at.

What goes between guests never leaves the process (relay.py). What a member sends or gets is a request to the store
first; when it is stored, the sender is told so and devices are given it (stored.py, members.py).
"""

import re
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from twotick.exchange.changes import MEMBERS_ONLY, changes
from twotick.exchange.limits import Limits
from twotick.exchange.relay import FULL, STOPPING, answers_others
from twotick.exchange.session import SETTLED, Account, Broadcast, Session, Stage, User
from twotick.exchange.stored import Stored, reason_of
from twotick.store import (
    Member,
    OpenDevice,
    Opened,
    Refusal,
    StoreError,
)
from twotick.wire import (
    HEADER_INCOMPLETE,
    MALFORMED_USERNAME,
    NO_USER_REGISTERED,
    Frame,
    Head,
    Side,
    Verb,
    error,
    forward_start,
    is_name,
    is_room,
    registered,
)

# What is looked at for every frame.
_SENDING: Final = Stage.SENDING
_RECEIVING: Final = Stage.RECEIVING
_EXTENDED: Final = Stage.EXTENDED
_SEND: Final = Verb.SEND
_RECEIVED: Final = Verb.RECEIVED
_REGISTER: Final = Verb.REGISTER
_NUMBER = re.compile(rb"[0-9]{1,10}")
_TRAVELS = 2048
"""Bytes of headers that may travel with a message (rule 9.7)."""

_UNAVAILABLE = 107
"""The error after which a client may connect again, and so be let in (rule 9.9)."""

_UNDERSTOOD = {103: b"the frame cannot be understood", 106: b"the body is longer than Max-body allows"}


class Exchange(Stored):
    """All users of one server and what is on its way between them.

    Args:
        limits: what is kept at most, and for how long.
        now: the time, in seconds on any clock that does not go back.
        clock: the time of day, in seconds since 1970.
        new_token: makes a token, and the hash of it that the store keeps.

    Attributes:
        written, changed, requests: see `Output`.
        logins: connections whose user has to be authenticated, each with its REGISTER.
    """

    def __init__(
        self,
        limits: Limits,
        now: float,
        clock: Callable[[], float] = time.time,
        new_token: Callable[[], tuple[bytes, bytes]] | None = None,
    ) -> None:
        super().__init__(limits, now, clock, new_token)
        self._users: dict[bytes, User] = {}
        self.logins: list[tuple[Session, Head]] = []

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
            if session.next_send - session.next_answer + len(frames) >= self._most_unanswered:
                return self._take_as_can_be(session, frames)
            self._take_sends(session, frames)
        elif stage is _RECEIVING:
            self._take_answers(session, frames)
        elif stage is _EXTENDED:
            return self._take_extended(session, frames)
        elif stage is Stage.WAITING:
            return frames
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
        sends = session.side is not Side.RECEIVING and not session.closing
        self._release(session)
        if sends and session.next_answer != session.next_send:
            session.finished = True
            self._leave_fast_path(session)
        else:
            self._output.close(session)

    def disconnected(self, session: Session) -> None:
        """The connection is gone: whoever waits on it is answered (rule 4.8). Harmless if it was reported before."""
        session.out.clear()
        self._release(session)
        self._output.close(session)
        self._forget_stored(session)

    def clogged(self, session: Session) -> None:
        """The connection takes no more output for now: what comes for it waits in its queue."""
        session.window = 0
        if session.side is not Side.RECEIVING:
            self._pause(session)

    def flowing(self, session: Session) -> None:
        """The connection takes output again."""
        session.window = session.granted
        if session.paused:
            self._resume(session)
        self._forward_queued(session)
        if session.account is not None and session.account.feed is not None:
            self._members.pump(session.account.feed)

    def tick(self, now: float) -> None:
        """The time is `now`, in seconds: answer 102 to whoever has waited too long (rule 5.7)."""
        self._tick(now)
        self._tick_stored(now)

    def know(self, members: list[Member]) -> None:
        """These, and no others, are the members; a guest who has the name of one has it no longer (rule 10.1)."""
        self._members.know(members)
        for key in [key for key in self._users if self._members.find(key) is not None]:
            self._turn_out(key)

    def _turn_out(self, key: bytes) -> None:
        """A guest's name has become a member's: nothing that is for the member may reach the guest."""
        user = self._users.get(key)
        for session in dict.fromkeys(user.sessions.values() if user else ()):
            if session.extended:
                self._output.write(session, error(108, reason=b"the name is a member's now"))
            self._release(session)
            self._output.close(session)

    def drain(self) -> None:
        """Take no more SENDs: the server is about to stop (rule 4.10)."""
        self._draining = True
        for session in self._sessions():
            if not answers_others(session):
                self._pause(session)

    @property
    def idle(self) -> bool:
        """Whether no message waits for an answer, and nothing is to be asked of the store."""
        return self._nothing_waits and not self.requests

    def close(self) -> None:
        """Answer 102 to all that waits, and close the connections of all users (rule 4.10)."""
        sessions = sorted(self._sessions(), key=lambda session: session.side is not Side.RECEIVING)
        for session in sessions:  # receivers first: that answers the senders
            if session.extended:
                self._output.write(session, error(107, reason=b"the server stops"))
            self._release(session)
            self._output.close(session)

    def _sessions(self) -> list[Session]:
        """The connections of all users, each once."""
        guests = {session: None for user in self._users.values() for session in user.sessions.values()}
        return [*guests, *self._members.sessions()]

    # Registration (section 4)

    def _take_registration(self, session: Session, head: Head) -> None:
        """Handle a frame that comes before the session's user is registered."""
        if head.verb is Verb.MALFORMED:
            self._break_off(session, head)
        elif head.verb is not Verb.REGISTER or head.side is None:
            self._refuse(session, NO_USER_REGISTERED)
        elif session.user is not None or not is_name(head.name):
            self._refuse(session, MALFORMED_USERNAME)
        elif (window := self._window(head)) == 0:
            self._break_off(session, head)
        elif b"authorization" in head.headers:
            self._log_in(session, head, head.side)
        elif self._members.find(head.key) is not None or not self._limits.guests:
            self._refuse(session, MALFORMED_USERNAME)
        else:
            self._register(session, head, head.side, window)

    def _window(self, head: Head) -> int | None:
        """The window that a REGISTER is granted (section 6): None if it asks for none, 0 if it makes no sense."""
        window = head.headers.get(b"window")
        if window is None or head.side is Side.SENDING:
            return None
        return min(int(window), self._limits.window) if _NUMBER.fullmatch(window) else 0

    def _register(self, session: Session, head: Head, side: Side, window: int | None) -> None:
        """Give a guest the name and side that it asks for, if they can be had (rules 4.2 and 4.9)."""
        user = self._users.get(head.key)
        if user is None:
            user = self._users[head.key] = User(head.key, session.address)
        elif user.address != session.address or user.sessions.keys() & side.ways:
            self._refuse(session, MALFORMED_USERNAME)
            return
        for way in side.ways:
            user.sessions[way] = session
        session.user = user
        self._name(session, head.name, side, window)
        if side is Side.DUPLEX:
            answer = registered(side, head.name, session.granted, max_body=self._limits.max_body)
        else:
            answer = registered(side, head.name, window)
        self._output.write(session, answer)
        if user.complete or len(user.sessions) == len(Side.DUPLEX.ways):
            user.complete = True
            for each in user.sessions.values():
                self._admit(user, each)

    def _name(self, session: Session, name: bytes, side: Side, window: int | None) -> None:
        session.side = side
        session.name = name
        session.key = name.lower()
        session.start = forward_start(name)
        session.window = session.granted = window or 1

    def _admit(self, user: User, session: Session) -> None:
        """The session's user is registered on both sides: its connection is open for messages."""
        if session.side is Side.SENDING:
            session.stage = Stage.SENDING
        elif session.side is Side.RECEIVING:
            session.stage = Stage.RECEIVING
            self._receivers[user.key] = session
        else:
            self._extend(session)
            self._extended[user.key] = session
        if self._draining and not answers_others(session):
            self._pause(session)

    def _extend(self, session: Session) -> None:
        session.extended = True
        session.stage = Stage.EXTENDED
        self._leave_fast_path(session)

    def _refuse(self, session: Session, error: bytes) -> None:
        self._output.write(session, error)
        session.refusals += 1
        if session.refusals >= self._limits.refusals:
            self._release(session)
            self._output.close(session)

    def _break_off(self, session: Session, head: Head) -> None:
        """A frame cannot be understood: 103, or 106 if it is too large; and the name is free (2.8, 7.4, 9.9)."""
        code = head.code if head.verb is Verb.MALFORMED else 103
        answer = error(code, reason=_UNDERSTOOD[code]) if session.extended else HEADER_INCOMPLETE
        self._output.write(session, answer)
        others = [] if session.user is None else list(session.user.sessions.values())
        for each in {session: None, **dict.fromkeys(others)}:
            self._release(each)
            self._output.close(each)

    def _release(self, session: Session) -> None:
        """Take the session's side away from its user, and answer what waits on it (rule 4.8)."""
        self._members.leave(session)
        user = session.user
        if user is None or session.side is None:
            return
        session.user = None
        for way in session.side.ways:
            del user.sessions[way]
        if not user.sessions:
            del self._users[user.key]
        if session.side is not Side.SENDING:
            self._receivers.pop(user.key, None)
            self._extended.pop(user.key, None)
            self._abandon(session)

    # Members' registration (section 10)

    def _log_in(self, session: Session, head: Head, side: Side) -> None:
        if side is Side.RECEIVING:
            self._refuse(session, MALFORMED_USERNAME)
            return
        self._wait(session)
        self.logins.append((session, head))

    def authenticated(self, session: Session, head: Head, member: Member, device: str) -> None:
        """It is known who is asking.

        Args:
            session: the connection.
            head: its REGISTER.
            member: who it is.
            device: on which device.
        """
        if session.closing:
            return
        self._members.add(member)
        self._turn_out(member.name.lower().encode())
        account = Account(member.number, device.encode())
        resume = int(seq) if _NUMBER.fullmatch(seq := head.headers.get(b"seq", b"")) else 0
        if head.side is Side.DUPLEX:
            request = OpenDevice(member.number, device, resume, self._clock())
            self._output.ask(request, partial(self._opened, session, head, member, account))
        else:
            self._opened(session, head, member, account, None)

    def _opened(
        self,
        session: Session,
        head: Head,
        member: Member,
        account: Account,
        result: Opened | Refusal | StoreError | None,
    ) -> None:
        if session.closing or head.side is None:
            return
        if isinstance(result, Refusal | StoreError):
            self.not_authenticated(session, 104 if isinstance(result, Refusal) else 107, reason_of(result))
            return
        self._name(session, member.name.encode(), head.side, self._window(head))
        self._output.write(
            session,
            registered(
                head.side,
                head.name,
                device=account.device,
                window=session.granted if result else None,
                seq=result.cursor if result else None,
                max_body=self._limits.max_body,
            ),
        )
        self._extend(session)
        self._members.join(session, account, result)
        self._go_on(session, Stage.EXTENDED)

    def not_authenticated(self, session: Session, code: int, reason: str, retry_after: int | None = None) -> None:
        """It is not known who is asking (rules 10.2 to 10.4), or cannot be found out now, which closes the connection.

        Args:
            session: the connection.
            code: the number of the error.
            reason: why, for a person.
            retry_after: seconds to wait, if that is the matter.
        """
        if session.closing:
            return
        self._refuse(session, error(code, reason=reason.encode(), retry_after=retry_after))
        if code == _UNAVAILABLE:
            self._output.close(session)
        self._go_on(session, Stage.REGISTERING)

    def _wait(self, session: Session) -> None:
        """Look at no frames of a connection until `_go_on`."""
        session.stage = Stage.WAITING
        self._pause(session)

    def _go_on(self, session: Session, stage: Stage) -> None:
        """Look at the frames of a connection again."""
        if not session.closing:
            session.stage = stage
            self._resume(session)

    # Extended connections (sections 9 and 11)

    def _take_extended(self, session: Session, frames: list[Frame]) -> list[Frame]:
        """Handle the frames of an extended connection, and return those that must wait."""
        taken = 0
        arrived = False
        while taken < len(frames):
            head, body = frames[taken]
            taken += 1
            account = session.account
            if head.verb is _SEND:
                if not arrived:
                    self._arrived = self._clock()
                    arrived = True
                self._take_identified(session, head, body)
            elif account is None or head.verb is _REGISTER:
                first = taken - 1
                while head.verb is _RECEIVED and taken < len(frames) and frames[taken][0].verb is _RECEIVED:
                    taken += 1
                self._take_answers(session, frames[first:taken])
            else:
                self._take_from_member(session, account, head, body)
            if account is not None and self._full(session) and not answers_others(session):
                self._pause(session)
            if session.paused or session.stage is not _EXTENDED:
                break
        self._members.acknowledge(session)
        return frames[taken:]

    def _take_from_member(self, session: Session, account: Account, head: Head, body: bytes) -> None:
        members = self._members
        if head.verb is _RECEIVED and account.feed is not None:
            members.take_received(account, head)
        elif self._questions.are(account, head):
            self._wait(session)
            answered = partial(self._go_on, session, Stage.EXTENDED)
            self._questions.take(session, account, head, body, answered)
        elif account.feed is None:
            self._break_off(session, head)
        elif head.verb is Verb.ERROR:
            members.take_refusal(account, head)
        elif head.verb is Verb.READ and head.name:
            members.take_read(account, head)
        elif head.verb is Verb.TYPING and head.name:
            self._presence.take_typing(session, account, head)
        else:
            self._break_off(session, head)

    def _take_identified(self, sender: Session, head: Head, body: bytes) -> None:
        """Handle a SEND that carries an Id (rule 9.5)."""
        if not head.id:
            self._break_off(sender, head)
            return
        refused = None
        if answers_others(sender) and self._draining:
            refused = STOPPING
        elif answers_others(sender) and self._full(sender):
            refused = FULL
        elif len(head.travels) > _TRAVELS:
            refused = "the headers are too long"
        elif sender.account is None and not head.is_plain and changes(head):
            refused = MEMBERS_ONLY
        number = sender.next_send
        sender.next_send = number + 1
        if refused is not None:
            self._reply(sender, number, head, refused)
            return
        if head.is_plain:
            head.travels = self._time_line()
        elif b"time" not in head.headers:
            head.travels += self._time_line()
        receiver = self._receivers.get(head.key)
        if receiver is None:
            self._send_elsewhere(sender, number, head, body)
        elif sender.account is not None:
            self._store(sender, number, head, body, (), [receiver])
        else:
            self._forward_or_queue(receiver, (sender, head, number, self._deadline, None), body)

    def _send_elsewhere(self, sender: Session, number: int, head: Head, body: bytes) -> None:
        """Handle a SEND to anybody but a guest with a classic connection."""
        member = self._members.find(head.key)
        guest = self._extended.get(head.key)
        if head.key == b"all":
            self._send_to_all(sender, number, head, body)
        elif member is not None and (sender.extended or self._members.listens(member.number)):
            self._store(sender, number, head, body, (member.number,), [])
        elif guest is not None and sender.account is not None:
            self._store(sender, number, head, body, (), [guest])
        elif guest is not None:
            self._forward_or_queue(guest, (sender, head, number, self._deadline, None), body)
        elif head.name.startswith(b"#"):
            self._send_to_room(sender, number, head, body)
        else:
            self._reply(sender, number, head, f"{head.name.decode('ascii', 'replace')} is not connected")

    def _send_to_room(self, sender: Session, number: int, head: Head, body: bytes) -> None:
        """Send to the other members of a room, of whom the store knows (rule 12.5)."""
        if sender.account is None:
            self._reply(sender, number, head, "rooms are for members")
        elif not is_room(head.name):
            self._reply(sender, number, head, "there is no such room")
        else:
            self._store(sender, number, head, body, (), [])

    def _send_to_all(self, sender: Session, number: int, head: Head, body: bytes) -> None:
        """Send to every registered user but the sender (rules 5.9 and 11.12)."""
        guests = [
            each
            for each in (*self._receivers.values(), *self._extended.values())
            if each.user is not sender.user or sender.user is None
        ]
        own = sender.account.member if sender.account else None
        members = tuple(member for member in self._members.listening() if member != own)
        if not guests and not members:
            self._reply(sender, number, head, None)
        elif members or sender.account is not None:
            self._store(sender, number, head, body, members, guests)
        else:
            broadcast = Broadcast(len(guests), partial(self._reply, sender, number, head))
            for guest in guests:
                self._forward_or_queue(guest, (sender, head, SETTLED, self._deadline, broadcast), body)
