"""The exchange: who is connected, and where each message goes (docs/protocol.md, sections 4, 9, 10 and 11).

Theory of operation. A driver (the server, a test, a simulation) owns the sockets, the clock and the store. It calls

- `connected` for each new connection, which returns a `Connection`;
- `take` with the frames that came on it, and again with the frames that `take` returned once the connection is not
  `paused` any more; `finish` when no more frames will come; `disconnected` when the connection is gone;
- `clogged` and `flowing` when the connection stops and starts to take output;
- `tick` from time to time: time limits are as fine as these steps.

Whenever it likes, best after it has handled everything that has arrived, it

- writes the `out` of the connections in `written`; closes the connections in `changed` that are `closing`, and stops or
  starts to read from them as `paused` says;
- sends `requests` to the store, and calls their callbacks with the answers, in the order in which these were found;
- authenticates the users in `logins`, and calls `authenticated` or `not_authenticated`;
- changes the passwords in `password_changes`, and calls `password_changed` or `password_kept`;

and removes what it has handled.

The exchange is put together from parts. `Connections` knows which frames a connection may carry and calls the part that
handles each. `Router` hands a SEND to the `Relay`, whose messages never leave the process, or to `StoredMessages`. What
the store says has changed goes through `EffectsPublisher` to the parts that tell users of it: `Feeds`, `SentMessages`
and `GuestMessages`. Imports between the parts go in one direction only (see pyproject.toml).
"""

import math
import time
from collections.abc import Callable

from twotick.exchange.absence import AbsenceWatch
from twotick.exchange.acts import OperatorActs
from twotick.exchange.arrival import ArrivalClock
from twotick.exchange.connection import Connection, MemberDevice
from twotick.exchange.connections import Connections
from twotick.exchange.effects import EffectsPublisher
from twotick.exchange.far_guests import FarGuests
from twotick.exchange.feeds import Feeds
from twotick.exchange.guest_messages import GuestMessages
from twotick.exchange.guest_names import GuestNames
from twotick.exchange.guest_questions import GuestQuestions
from twotick.exchange.guests import Guests
from twotick.exchange.limits import Limits
from twotick.exchange.members import ConnectedMembers
from twotick.exchange.neighbours import Neighbours, ServerIdentity
from twotick.exchange.news import ServerNews
from twotick.exchange.output import Output
from twotick.exchange.presence import PresenceTracker
from twotick.exchange.profiles import ProfileNews
from twotick.exchange.pushes import PushOffer, PushQueue
from twotick.exchange.questions import Questions
from twotick.exchange.rates import SenderRates
from twotick.exchange.registration import Registrar
from twotick.exchange.relay import Relay
from twotick.exchange.room_guests import RoomGuests
from twotick.exchange.routing import Router
from twotick.exchange.sent_messages import SentMessages
from twotick.exchange.stages import Stages
from twotick.exchange.stored import StoredMessages
from twotick.exchange.tally import Tally
from twotick.store import Absence, ContinueRemoval, Effects, Expire, ListAudience, LoginProof, Member
from twotick.wire import Head

_EXPIRY = 1.0
"""Seconds between looks for messages that expire."""

_REMOVAL = 60.0
"""Seconds between looks for a removal of a member that was interrupted."""

_CHECK = 60.0
"""Seconds between looks whether names of guests are members' by now, if servers share the database."""

_NOTICE = 14 * 86400.0
"""Seconds before a device lapses in which its owner is told (rule 10.9)."""


class Exchange:
    """All users of one server, and the messages between them.

    Args:
        limits: its limits.
        now: the time, in seconds on any clock that does not go back.
        clock: returns the time by which messages age, in seconds since 1970.
        new_token: makes a token, and the hash of it that the store keeps; None if the server has no members.
        time_of_day: returns what the system's clock says, which recipients are told; None if `clock` says it.
        settling: the seconds from now on in which nothing expires that was there before.
        device_age: the seconds after which a device that stays away lapses.
        push: what the server offers that pushes notifications; None if it does not.
        identity: which server this is among those that share the database; None if there is only one.

    Attributes:
        take: handles the frames that came on a connection; see `Connections.take`. It is called for every read, so it
            is no method here that only passes them on.
        written, changed, requests, stored: see `Output`.
        logins: the connections whose user has to be authenticated, each with its REGISTER.
        password_changes: the connections on which members change their passwords, each with its device and PASSWORD.
        pushes: the members for whom the driver looks for notifications.
        tally: what was done so far.
        neighbours: what servers tell each other that share a database.
        news: what they tell each other besides, which is not stored.
        far_guests: the messages to and from guests of other servers.
    """

    def __init__(
        self,
        limits: Limits,
        now: float,
        clock: Callable[[], float] = time.time,
        new_token: Callable[[], tuple[bytes, bytes]] | None = None,
        *,
        time_of_day: Callable[[], float] | None = None,
        settling: float = 0.0,
        device_age: float = math.inf,
        push: PushOffer | None = None,
        identity: ServerIdentity | None = None,
    ) -> None:
        output = Output()
        effects = EffectsPublisher(output)
        arrival = ArrivalClock(clock, time_of_day or clock)
        guests = Guests()
        self.tally = Tally(clock)
        relay = Relay(limits, now, output, self.tally)
        self.news = news = ServerNews(None if identity is None else identity.number, now)
        presence = PresenceTracker(output, clock, news)
        profiles = ProfileNews(output, news)
        room_guests = RoomGuests(output, guests, clock, news, now)
        members = ConnectedMembers(
            output,
            clock,
            effects,
            (presence, profiles, room_guests),
            exist=new_token is not None,
            feed_bytes=limits.feed_bytes_total,
        )
        sent_messages = SentMessages(output, members)
        guest_messages = GuestMessages(output, relay)
        feeds = Feeds(output, clock, members=members, effects=effects, sent_messages=sent_messages)
        self.pushes = pushes = PushQueue(
            output, members, push, is_shared=identity is not None and not identity.is_alone
        )
        effects.listeners += [
            sent_messages.note_effects,
            feeds.note_effects,
            guest_messages.note_effects,
            self.tally.note_effects,
            room_guests.note_effects,
        ]
        effects.listeners += [pushes.note_effects] if push is not None else []
        self.neighbours = neighbours = Neighbours(
            output,
            effects,
            members=members,
            feeds=feeds,
            sent_messages=sent_messages,
            guest_messages=guest_messages,
            identity=identity,
            clock=clock,
            now=now,
        )
        effects.listeners += [neighbours.note_effects] if neighbours.tells else []
        members.notes_ends = identity is not None
        self.far_guests = far_guests = FarGuests(self.news.number, limits, relay, guests)
        stored = StoredMessages(
            limits,
            now,
            output,
            arrival,
            relay=relay,
            effects=effects,
            presence=presence,
            sent_messages=sent_messages,
            guest_messages=guest_messages,
            far_guests=far_guests,
        )
        router = Router(
            output,
            arrival,
            guests=guests,
            members=members,
            relay=relay,
            stored=stored,
            far_guests=far_guests,
            neighbours=neighbours,
            room_guests=room_guests,
        )
        self._uploads = SenderRates(limits.uploaded_bytes_member, limits.uploaded_bytes_address, now)
        self._asked = SenderRates(limits.requests_member, limits.requests_address, now)
        questions = Questions(
            output,
            clock,
            members=members,
            presence=presence,
            profiles=profiles,
            effects=effects,
            new_token=new_token,
            most_bytes=limits.max_body,
            uploads=self._uploads,
            asked=self._asked,
            tally=self.tally,
            pushes=pushes,
            room_guests=room_guests,
        )
        self._names = names = GuestNames(output, guests, far_guests, is_shared=identity is not None)
        stages = Stages(limits, output, guests=guests, members=members, relay=relay)
        registration = Registrar(
            limits,
            clock,
            output,
            guests=guests,
            names=names,
            members=members,
            relay=relay,
            feeds=feeds,
            effects=effects,
            stages=stages,
            news=news,
        )
        connections = Connections(
            limits,
            output,
            now=now,
            guests=guests,
            members=members,
            relay=relay,
            router=router,
            feeds=feeds,
            presence=presence,
            questions=questions,
            registration=registration,
            stages=stages,
            guest_messages=guest_messages,
            guest_questions=GuestQuestions(
                output, stages, room_guests, asked=self._asked, tally=self.tally, most_bytes=limits.max_body
            ),
            room_guests=room_guests,
            news=news,
        )
        self._absences = AbsenceWatch(
            effects,
            members,
            clock,
            absence=Absence(device_age, min(_NOTICE, device_age / 2)),
            first=now + settling,
            neighbours=neighbours,
        )
        self._acts = OperatorActs(output, members, profiles)
        self._limits = limits
        self._clock = clock
        self._guests = guests
        self._relay = relay
        self._stored = stored
        self._presence = presence
        self._profiles = profiles
        self._members = members
        self._sent_messages = sent_messages
        self._guest_messages = guest_messages
        self._room_guests = room_guests
        self._feeds = feeds
        self._effects = effects
        self._connections = connections
        self._registration = registration
        self._next_expiry = now
        self._next_removal = now
        self._next_check = now
        self._began = clock()
        self._settled = now + settling
        self.take = connections.take
        self.written = output.written
        self.changed = output.changed
        self.requests = output.requests
        self.stored = output.stored
        self.logins = registration.logins
        self.password_changes = registration.password_changes

    def accepted(self) -> int:
        """Return the number of a connection that was accepted now, for `connected`: a TLS handshake can take long."""
        return self._connections.accepted()

    def connected(self, address: str, port: object, number: int = 0, *, framed: bool = False) -> Connection:
        """Add a connection.

        Args:
            address: the address of the other end; both connections of a guest come from one address (rule 4.9).
            port: the driver's object for the connection, kept in `Connection.port`.
            number: its number; 0 if it was accepted now. It tells which of two connections is the older (rule 10.7).
            framed: whether the driver takes frames as heads and bodies (`Connection.framed`).
        """
        return self._connections.connected(address, port, number, framed=framed)

    def finish(self, connection: Connection) -> None:
        """Handle that no more frames will come, while answers can still be written: the peer closed its half.

        A sender is closed when all its SENDs are answered, but its name is free at once. Every other connection is
        closed now (rule 4.12).
        """
        self._connections.finish(connection)

    def disconnected(self, connection: Connection) -> None:
        """Handle that a connection is gone: answer all who wait for it (rule 4.8). It may be reported repeatedly."""
        self._connections.disconnected(connection)

    def clogged(self, connection: Connection) -> None:
        """Handle that a connection takes no output for now: what comes for it waits in its queue."""
        self._connections.clogged(connection)

    def flowing(self, connection: Connection) -> None:
        """Handle that a connection takes output again."""
        self._connections.flowing(connection)

    def tick(self, now: float) -> None:
        """Set the time, in seconds, and do what is due by then.

        Senders are answered 102 for what has waited too long (rule 5.7), messages expire (rule 11.10), and users are
        told what the parts announce at ticks.
        """
        self.neighbours.tick(now)
        self.news.tick(now, self.neighbours.servers)
        if self.news.heard_unknown:
            self.neighbours.renew_soon()
        if self.neighbours.is_cut_off is not self._registration.is_cut_off or self.neighbours.must_send_members_away:
            self._follow_lease()
        self._relay.tick(now)
        self.far_guests.tick()
        self._names.tick()
        self._room_guests.tick(now)
        self._acts.tick()
        self._stored.tick(now)
        self._uploads.tick(now)
        self._asked.tick(now)
        self._feeds.tick()
        self._sent_messages.tick()
        self._presence.tick()
        self._profiles.tick()
        self._connections.tick(now)
        self._effects.tick(now)
        if self._connections.must_check_members:
            self._connections.check_members()
        if self._members.exist and now >= self._next_expiry:
            self._next_expiry = now + _EXPIRY
            # Right after the start nothing expires that was there before: the clock may still be set right.
            self._effects.ask(Expire(self._clock(), self._began if now < self._settled else 0.0))
        if self._members.exist and self.neighbours.leads and now >= self._next_removal:
            self._next_removal = now + _REMOVAL
            self._effects.ask(ContinueRemoval(self._clock()))
        if self.news.is_shared and now >= self._next_check:
            self._next_check = now + _CHECK
            self._connections.check_members()
        self._guest_messages.tick(now)
        self._absences.tick(now)
        self.pushes.tick(now)

    @property
    def has_news(self) -> bool:
        """Whether something has changed of members of which `tick` tells others."""
        return self._presence.has_news or self._profiles.has_news

    def catch_up(self, done: Callable[[], None]) -> None:
        """Tell of members at once what `tick` would tell; call `done` when that, and what the store did, is written."""
        self._presence.announce()
        self._profiles.tick()

        def caught_up(_: object) -> None:
            self._presence.tell()
            self._profiles.tell()
            done()

        self.requests.append((ListAudience(0, b""), caught_up))  # about no one: answered after what was asked before

    def _follow_lease(self) -> None:
        if self.neighbours.is_cut_off:
            self._names.cut_off()
            self._connections.cut_off(members=self.neighbours.must_send_members_away)
        self._registration.is_cut_off = self.neighbours.is_cut_off

    def members_changed(self) -> None:
        """Handle that another process has changed the store, for example the operator (rules 10.1 and 10.11)."""
        self._next_removal = 0.0
        self._acts.look()
        self._room_guests.look()
        self._connections.check_members()

    def publish(self, effects: Effects) -> None:
        """Tell users what a part of a request has changed that takes the store several transactions."""
        self._effects.publish(effects)

    def authenticated(
        self, connection: Connection, head: Head, member: Member, device: str, credential: LoginProof
    ) -> None:
        """Register a connection for a member whose login is right.

        Args:
            connection: the connection.
            head: its REGISTER.
            member: the member.
            device: the name of the member's device.
            credential: what the login was checked with.
        """
        self._registration.authenticated(connection, head, member, device, credential)

    def admit(
        self, connection: Connection, head: Head, member: Member, device: str, credential: LoginProof | None = None
    ) -> None:
        """Register a connection that is a part of the server.

        Args:
            connection: the connection.
            head: a REGISTER for a duplex connection; with a credential, also for one that only sends.
            member: the member.
            device: the name of the member's device.
            credential: what the login was checked with before, which is checked again; None if it needs no login.
        """
        self._registration.admit(connection, head, member, device, credential)

    def not_authenticated(
        self, connection: Connection, code: int, reason: str, retry_after: int | None = None, kind: str = ""
    ) -> None:
        """Refuse a login (rules 10.2 to 10.4). The connection is closed if the login could not be checked.

        Args:
            connection: the connection.
            code: the number of the error.
            reason: why, for a user to read.
            retry_after: the seconds after which the user may try again.
            kind: why, as a word for programs (rule 9.13); empty if there is none.
        """
        self._registration.not_authenticated(connection, code, reason, retry_after, kind)

    def password_changed(
        self, connection: Connection, device: MemberDevice, head: Head, *, others_revoked: bool
    ) -> None:
        """Tell a device that its owner's password is changed (rule 10.10).

        Args:
            connection: the connection.
            device: the device.
            head: its PASSWORD.
            others_revoked: whether the devices on other machines were revoked: they are disconnected.
        """
        self._registration.password_changed(connection, device, head, others_revoked=others_revoked)

    def password_kept(
        self, connection: Connection, head: Head, code: int, reason: str, retry_after: int | None = None
    ) -> None:
        """Tell a device that its owner's password is not changed (rule 10.10).

        Args:
            connection: the connection.
            head: its PASSWORD.
            code: the number of the error.
            reason: why, for a user to read.
            retry_after: the seconds after which the user may try again.
        """
        self._registration.password_kept(connection, head, code, reason, retry_after)

    def dismiss(self, parts: int, spread: float) -> None:
        """Send one part of the members' connections away, because the server is about to stop (rule 9.13).

        Args:
            parts: into how many equal parts those that are left are divided.
            spread: over how many seconds they are to come back.
        """
        self._connections.dismiss(parts, spread)

    @property
    def members_connected(self) -> int:
        """How many connections members have."""
        return self._connections.members_connected

    def drain(self) -> None:
        """Take no more SENDs, because the server is about to stop (rule 4.10)."""
        self._members.notes_ends = False  # the end of the lease says it of all devices
        self._connections.drain()
        self._effects.ask_again()

    def use_limits(self, limits: Limits) -> None:
        """Use other limits from now on: those that need no room of their own (docs/operations.md, "Reload")."""
        own = self._limits
        own.answer_timeout = limits.answer_timeout
        own.window = limits.window
        own.queue_messages = limits.queue_messages
        own.guests = limits.guests
        own.refusals = limits.refusals
        own.sent_bytes_member = limits.sent_bytes_member
        own.sent_bytes_address = limits.sent_bytes_address
        self._stored.use_limits()
        self._uploads.set(limits.uploaded_bytes_member, limits.uploaded_bytes_address)
        self._asked.set(limits.requests_member, limits.requests_address)

    @property
    def queued_bytes(self) -> int:
        """The bytes of the bodies that wait for a receiver or for the store."""
        return self._relay.queued_bytes.used

    @property
    def idle(self) -> bool:
        """Whether no message waits for an answer, and no request for the store."""
        return self._relay.idle and not self.requests

    def close(self, spread: float = 0.0) -> None:
        """Answer 102 for everything that waits, and close the connections of all users (rule 4.10).

        Args:
            spread: over how many seconds the extended ones are to come back (rule 9.13).
        """
        self._connections.close_all(spread)
