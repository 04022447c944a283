"""Servers that share a database: what they tell each other, and how each notices what it was not told.

Theory of operation (docs/cluster.md says what it gives). The database is the only truth. After a request has changed
something, its effects go to the users who are connected here, and a *hint* goes to all other servers: the log of this
member has grown to that entry, something has become of that message, the devices of that member have changed. A hint is
never given to a user. It only makes the exchange ask the store, as it does for a device that is slow: so what users are
given was read in a transaction of this server's own, which ends with a commit, and cannot be undone by a failover.

Hints may be lost, come twice, or come late. Each server counts its hints, and sends one each second, so the others
notice at once if one is missing. Besides, the exchange looks at all members who are connected, some at each tick.

A server that cannot tell the database in time that it lives is *cut off*. Others may then take the names of its guests,
so these are let go before. Members lose nothing: whatever the server does for them goes through the database. They are
sent to other servers when the server has been cut off for a while.
"""

import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Final

from twotick.exchange.connection import Connection, MemberDevice
from twotick.exchange.effects import EffectsPublisher
from twotick.exchange.feeds import Feeds
from twotick.exchange.guest_messages import GuestMessages
from twotick.exchange.members import ConnectedMember, ConnectedMembers
from twotick.exchange.output import Output
from twotick.exchange.sent_messages import RESULTS, SentMessages
from twotick.store import (
    Acknowledge,
    CheckLogin,
    Effects,
    FindOutcomes,
    KeepLease,
    KeptLease,
    LookAround,
    MemberLook,
    MessageState,
    OpenDevice,
    OpenedDevice,
    Refusal,
    SentOutcome,
    SettleLost,
    StoreError,
)

LEASE: Final = 10.0
"""Seconds for which a server counts as alive after it has said so."""

_RENEWAL: Final = 2.0
"""Seconds between two times that it says so."""

_SOONER: Final = 0.5
"""Seconds between these times if a server was heard of which the database has not told yet."""

_MARGIN: Final = 2.0
"""Seconds before the end of its lease at which a server counts itself as cut off."""

_PATIENCE: Final = 20.0
"""Seconds after which a server that is cut off sends members away: the database may be changing its primary."""

_SETTLING: Final = 10.0
"""Seconds between looks for what lost servers have left behind."""

_ROUND: Final = 1.0
_TICKS: Final = 4
"""Seconds in which each member is looked at once, and at how many ticks. To look at a thousand takes 1.5 ms of the
processor here, and as much in PostgreSQL."""

_DOUBT: Final = 1.0
"""Seconds for which a device must be seen at another server before its connection here is ended."""

_GONE: Final = 5.0
"""Seconds for which a device must be seen at a server that does not live before it is taken back. A server that lives
renews its lease in this time, as soon as the database answers."""

_AT_ONCE: Final = 1000
"""The members that are looked at in one request, and the messages."""

_MOST_GUESTS: Final = 4 * _AT_ONCE
"""The messages of guests that are looked at in one round."""

_HEAD: Final = struct.Struct(">QQ5I")
_NUMBER_BYTES: Final = 8

_MOST_NUMBERS: Final = 4096
"""The most numbers in one hint, more or less."""

_MOST_SERVERS: Final = 256
"""The most servers whose hints are counted."""

_LONGEST: Final = 1 << 20
"""The most bytes of a hint."""


@dataclass(frozen=True, slots=True)
class ServerIdentity:
    """Which server this is, among those that share a database.

    Attributes:
        number: its number there.
        version: its version, for the operator.
        address: where it is, for the operator.
        is_alone: whether it has the database for itself all the same. It looks at the members as others do: of what
            happened while the connection with the database broke, it knows no more than what another server has done.
    """

    number: int
    version: str
    address: str
    is_alone: bool = False


class _Hint:
    """What is told at once.

    Attributes:
        growths: the last entries of logs, by member.
        results: messages of members of which something has become, each with its sender.
        guests: the same of guests.
        progress: messages to rooms that more members have, each with its sender.
        devices: members whose devices have changed.
    """

    __slots__ = ("devices", "growths", "guests", "progress", "results")

    def __init__(self) -> None:
        self.growths: dict[int, int] = {}
        self.results: dict[int, int] = {}
        self.guests: dict[int, None] = {}
        self.progress: dict[int, int] = {}
        self.devices: dict[int, None] = {}

    def __len__(self) -> int:
        pairs = len(self.growths) + len(self.results) + len(self.progress)
        return 2 * pairs + len(self.guests) + len(self.devices)

    def packed(self, server: int, count: int) -> bytes:
        """Return it as bytes, with the number of the server, and how many hints it has sent."""
        counts = len(self.growths), len(self.results), len(self.guests), len(self.progress), len(self.devices)
        numbers = [
            *_flat(self.growths),
            *_flat(self.results),
            *self.guests,
            *_flat(self.progress),
            *self.devices,
        ]
        return _HEAD.pack(server, count, *counts) + struct.pack(f">{len(numbers)}q", *numbers)


def _flat(pairs: dict[int, int]) -> Iterable[int]:
    for key, value in pairs.items():
        yield key
        yield value


def _unpacked(data: bytes) -> tuple[int, int, _Hint] | None:
    """Return the server, the count and the hint that bytes say; None if they say nothing."""
    if not _HEAD.size <= len(data) <= _LONGEST:
        return None
    server, count, *counts = _HEAD.unpack_from(data)
    growths, results, guests, progress, devices = counts
    total = 2 * (growths + results + progress) + guests + devices
    if len(data) != _HEAD.size + total * _NUMBER_BYTES:
        return None
    found = struct.unpack_from(f">{total}q", data, _HEAD.size)
    if min(found, default=0) < 0:
        return None
    numbers = iter(found)
    hint = _Hint()
    for pairs, length in ((hint.growths, growths), (hint.results, results)):
        pairs.update(zip(*[islice(numbers, 2 * length)] * 2, strict=True))
    hint.guests.update(dict.fromkeys(islice(numbers, guests)))
    hint.progress.update(zip(*[islice(numbers, 2 * progress)] * 2, strict=True))
    hint.devices.update(dict.fromkeys(islice(numbers, devices)))
    return server, count, hint


class Neighbours:
    """Tells other servers what this one has done, and takes what they have done.

    Args:
        output: takes the requests.
        effects: takes what has become of messages of lost servers.
        members: the members who are connected.
        feeds: gives them entries that other servers have added.
        sent_messages: the messages of connections that only send.
        guest_messages: the messages of guests.
        identity: which server this is; None if it shares its database with none.
        clock: returns the time of day, in seconds since 1970.
        now: the time, in seconds on any clock that does not go back. The lease begins at this time.

    Attributes:
        identity: see above.
        tells: whether there may be others to tell what this server has done.
        is_cut_off: whether the server has not been able to say that it lives.
        leads: whether it does the work that one server does for all; a server alone does.
        servers: the numbers of the servers that live.
        unheard: those of them that this server has not heard for as long as a lease lasts.
        ignored: how many hints could not be understood.
        missed: how often hints of another server were missing.
    """

    def __init__(
        self,
        output: Output,
        effects: EffectsPublisher,
        *,
        members: ConnectedMembers,
        feeds: Feeds,
        sent_messages: SentMessages,
        guest_messages: GuestMessages,
        identity: ServerIdentity | None,
        clock: Callable[[], float],
        now: float,
    ) -> None:
        self._clock = clock
        self.identity = identity
        self.tells = identity is not None and not identity.is_alone
        self.is_cut_off = False
        self.leads = identity is None or identity.is_alone
        self.servers: tuple[int, ...] = ()
        self.unheard: tuple[int, ...] = ()
        self.ignored = 0
        self.missed = 0
        self._output = output
        self._effects = effects
        self._members = members
        self._feeds = feeds
        self._sent_messages = sent_messages
        self._guest_messages = guest_messages
        self._hint = _Hint()
        self._full: list[_Hint] = []
        self._count = 0
        self._counts: dict[int, int] = {}
        self._heard: dict[int, float] = {}  # when each living server was heard last, or when it was new
        self._now = now
        self._until = now + LEASE
        self._renewing = False
        self._next_renewal = now
        self._asked = now
        self._next_settling = now
        self._next_round = now
        self._must_look = False
        self._left: list[int] = []  # those who are still to be looked at in this round
        self._share = 0  # how many of them at one tick
        self._looks = 0  # requests that are under way
        self._progress: dict[int, None] = {}

    # What this server has done

    def note_effects(self, effects: Effects) -> None:
        """Let other servers be told what a request has changed."""
        hint = self._hint
        for entry in effects.entries:
            hint.growths[entry.member] = entry.seq
            if entry.kind in RESULTS:
                hint.results[entry.message] = entry.member
        for message, _, _ in effects.guests:
            hint.guests[message] = None
        for progress in effects.progress or ():
            hint.progress[progress.message] = progress.member
        if len(hint) >= _MOST_NUMBERS:
            self._full.append(hint)
            self._hint = _Hint()

    def devices_changed(self, member: int) -> None:
        """Let other servers be told that devices of a member have connected, or were revoked."""
        if self.tells:
            self._hint.devices[member] = None

    def take(self) -> list[bytes]:
        """Return the hints to send."""
        if self.identity is None:
            return []
        for member in self._members.joined:
            self.devices_changed(member)
        self._members.joined.clear()
        if len(self._hint):
            self._full.append(self._hint)
            self._hint = _Hint()
        if not self._full:
            return []
        hints = [self._packed(hint, self.identity) for hint in self._full]
        self._full.clear()
        return hints

    def _packed(self, hint: _Hint, identity: ServerIdentity) -> bytes:
        self._count += 1
        return hint.packed(identity.number, self._count)

    # What others have done

    def take_hint(self, data: bytes) -> None:
        """Take a hint of another server. Nothing in it is believed: it only says what to look at."""
        unpacked = _unpacked(data)
        if unpacked is None:
            self.ignored += 1
            return
        server, count, hint = unpacked
        if self.identity is None or server == self.identity.number:
            return
        if server in self._heard:
            self._heard[server] = self._now
        known = self._counts.pop(server, None)
        self._counts[server] = count
        if len(self._counts) > _MOST_SERVERS:
            del self._counts[next(iter(self._counts))]
        if known is None or count != known + 1:
            self.missed += known is not None
            self._must_look = True
        self._follow(hint)

    def _follow(self, hint: _Hint) -> None:
        by_number = self._members.by_number
        for number, last in hint.growths.items():
            if (member := by_number.get(number)) is not None:
                self._grow(member, last)
        messages = [message for message, sender in hint.results.items() if self._waits(sender, message)]
        messages += [message for message in hint.guests if self._guest_messages.waits_for(message)]
        self._find_outcomes(messages)
        self._progress.update(
            dict.fromkeys(message for message, sender in hint.progress.items() if sender in by_number)
        )
        self._look_at([number for number in hint.devices if number in by_number])

    def _grow(self, member: ConnectedMember, last: int) -> None:
        """Let a member's devices be given what was added to its log. If that is nothing, asking for it does no harm."""
        if last > member.last:
            member.last = last
            for feed in list(member.feeds):
                self._feeds.pump(feed)

    def _waits(self, sender: int, message: int) -> bool:
        member = self._members.by_number.get(sender)
        return member is not None and self._sent_messages.waits_for(member, message)

    def lost_hints(self) -> None:
        """Handle that hints may have been lost."""
        self._must_look = True

    # The lease

    def tick(self, now: float) -> None:
        """Set the time, in seconds: say that this server lives, and look at what others have done."""
        if self.identity is None:
            self._members.joined.clear()  # there is no other server to be told
            return
        self._now = now
        if not self.identity.is_alone:
            self._keep_lease(self.identity)
        if now >= self._next_round:
            self._next_round = now + _ROUND
            self._begin_round()
        self._look()
        self._find_outcomes([*self._progress])
        self._progress.clear()

    def _keep_lease(self, identity: ServerIdentity) -> None:
        now = self._now
        if now >= self._next_renewal and not self._renewing:
            self._renewing = True
            self._asked = now
            self._next_renewal = now + _RENEWAL
            request = KeepLease(LEASE, identity.version, identity.address)
            self._output.ask(request, partial(self._kept, now))
        if now >= self._until - _MARGIN:
            self.is_cut_off = True
            self.leads = False
        if self.leads and now >= self._next_settling:
            self._next_settling = now + _SETTLING
            self._effects.ask(SettleLost())

    def renew_soon(self) -> None:
        """Find out soon which servers live."""
        self._next_renewal = min(self._next_renewal, self._asked + _SOONER)

    @property
    def must_send_members_away(self) -> bool:
        """Whether the server has been cut off for so long that members should go to other servers."""
        return self.is_cut_off and self._now >= self._until + _PATIENCE

    def _kept(self, asked: float, result: KeptLease | StoreError) -> None:
        self._renewing = False
        if isinstance(result, StoreError):
            return
        self._until = asked + LEASE  # the database has counted from a later moment
        self.is_cut_off = self._now >= self._until - _MARGIN
        self.leads = result.leads and not self.is_cut_off
        if set(self.servers).difference(result.servers):
            self._next_settling = 0.0
            self._must_look = True  # it may have been killed before it told what it had done
        self.servers = result.servers
        own = 0 if self.identity is None else self.identity.number
        now = self._now
        self._heard = {server: self._heard.get(server, now) for server in result.servers if server != own}
        self.unheard = tuple([server for server, heard in self._heard.items() if now - heard > LEASE])

    # Looking

    def _begin_round(self) -> None:
        """Look at all members once more, unless the last round is still under way, and at what guests wait for."""
        if self.tells:
            self._full.append(self._hint)  # also if it says nothing: others notice if one is missing
            self._hint = _Hint()
        if not self._left:
            self._left = [*self._members.by_number]
            self._share = -(-len(self._left) // _TICKS)
        waiting = self._guest_messages.waiting()
        self._find_outcomes(list(islice(waiting, _MOST_GUESTS)))

    def _look(self) -> None:
        """Look at the next members of a round; at all of them at once if hints were lost."""
        if self._must_look:
            self._must_look = False
            self._left = []
            self._miss_all()
            self._look_at([*self._members.by_number])
        elif self._left and not self._looks:
            some, self._left = self._left[: self._share], self._left[self._share :]
            self._look_at(some)

    def _look_at(self, numbers: Sequence[int]) -> None:
        by_number = self._members.by_number
        found = [by_number[number] for number in numbers if number in by_number]
        self._find_missed(found)
        known = [(member.number, member.last, member.version) for member in found]
        for start in range(0, len(known), _AT_ONCE):
            self._looks += 1
            request = LookAround(tuple(known[start : start + _AT_ONCE]))
            self._output.ask(request, self._looked)

    def _looked(self, found: list[MemberLook] | StoreError) -> None:
        self._looks -= 1
        if isinstance(found, StoreError):
            return  # the next round finds it
        for look in found:
            member = self._members.by_number.get(look.number)
            if member is None:
                continue
            if look.removed:
                self._members.end_all_of(look.number, b"the member was removed")
                continue
            member.missed = member.missed or look.last > member.last
            self._grow(member, look.last)
            self._find_missed((member,))
            if look.sessions is None or look.version <= member.version:
                continue
            if self._check_devices(member, look.sessions):
                member.version = look.version

    def _check_devices(self, member: ConnectedMember, sessions: dict[bytes, tuple[int, float]]) -> bool:
        """End the connections of devices that have connected to other servers, or were revoked (rules 10.7, 10.8).

        Another server may have opened a device for a connection that its client had given up, since the database kept
        it waiting. It notes that as soon as it sees the end of that connection, unless it was killed. So a later
        connection counts when it is seen again after a second, and the server that has it has said that it lives. That
        server may also be one that could not say so in time, and still has the connection. So a device is taken back
        only when it had time to say so since.

        Args:
            member: the member.
            sessions: see `MemberLook`.

        Returns:
            Whether nothing is to be seen again.
        """
        is_clear = True
        for feed in list(member.feeds):
            connection = feed.connection
            device = connection.device
            if device is None or not device.session:
                continue
            session, alive_until = sessions.get(device.name, (0, 0.0))
            if not session:
                self._members.end(connection, b"the device was revoked")
            elif session > device.session:
                is_clear = False
                if device.doubted != session or (device.doubted_until and not alive_until):
                    device.doubted, device.doubted_at, device.doubted_until = session, self._now, alive_until
                elif self._now >= device.doubted_at + _DOUBT:
                    self._decide(connection, device, alive_until)
        for connection in list(member.senders):
            device = connection.device
            if device is not None and device.proof is not None:
                self._output.ask(CheckLogin(device.member, device.proof), partial(self._checked, connection))
        return is_clear

    def _decide(self, connection: Connection, device: MemberDevice, alive_until: float) -> None:
        """Decide where a device is that another server has opened later, a second after this was noticed."""
        if alive_until > device.doubted_until:
            self._members.end(connection, b"the device has connected again")
        elif not alive_until and self._now >= device.doubted_at + _GONE:
            device.doubted = 0  # if the database does not answer, it is tried again
            self._take_back(connection, device)

    def _take_back(self, connection: Connection, device: MemberDevice) -> None:
        """Open a device once more that another server has opened for a connection that its client had given up."""
        request = OpenDevice(device.member, device.name.decode(), 0, self._clock())
        self._output.ask(request, partial(self._taken_back, connection, device))

    def _taken_back(
        self, connection: Connection, device: MemberDevice, result: OpenedDevice | Refusal | StoreError
    ) -> None:
        if not isinstance(result, OpenedDevice):
            return  # the next round tries again, or finds that the device was revoked
        feed = device.feed
        if connection.device is not device or feed is None:
            self._members.opened_in_vain(device, result.session)
            return
        device.session = result.session
        self._members.joined[device.member] = None
        seq = feed.unanswered[0] - 1 if feed.unanswered else feed.covered
        # What the device has acknowledged meanwhile did not count.
        self._effects.ask(Acknowledge(device.member, device.name, seq, self._clock(), device.session))

    def _checked(self, connection: Connection, result: Refusal | StoreError | None) -> None:
        if isinstance(result, Refusal) and connection.device is not None:
            self._members.end(connection, b"the device was revoked")

    def _find_missed(self, members: Iterable[ConnectedMember]) -> None:
        """Find the results that are missing, of members to whose logs other servers have added something."""
        messages: list[int] = []
        for member in members:
            if member.missed:
                member.missed = False
                messages += self._sent_messages.waiting(member)
        self._find_outcomes(messages)

    def _miss_all(self) -> None:
        """Note that the result of any message may be missing."""
        for member in self._members.by_number.values():
            member.missed = True

    def _find_outcomes(self, messages: Sequence[int]) -> None:
        for start in range(0, len(messages), _AT_ONCE):
            some = tuple(messages[start : start + _AT_ONCE])
            self._output.ask(FindOutcomes(some), partial(self._outcomes_found, some))

    def _outcomes_found(self, asked: tuple[int, ...], found: list[SentOutcome] | StoreError) -> None:
        if isinstance(found, StoreError):
            self._miss_all()
            return
        for outcome in found:
            if outcome.member is not None:
                self._sent_messages.note_outcome(outcome)
            elif outcome.state is not MessageState.ACCEPTED:
                self._guest_messages.settle(outcome.message, outcome.state, outcome.reason)
        there = {outcome.message for outcome in found}
        for message in asked:
            if message not in there:  # a guest's message that no member has is not kept
                self._guest_messages.settle(message, MessageState.FAILED, "the recipient has not taken it")
