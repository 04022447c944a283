"""The members who are connected (docs/protocol.md, sections 10 and 11)."""

from collections import OrderedDict
from collections.abc import Callable

from twotick.exchange.connection import Connection, DeviceFeed, MemberDevice
from twotick.exchange.effects import EffectsPublisher
from twotick.exchange.output import Output
from twotick.exchange.presence import PresenceTracker
from twotick.exchange.profiles import ProfileNews
from twotick.exchange.room_guests import RoomGuests
from twotick.exchange.shares import Shares
from twotick.store import Acknowledge, CloseDevice, OpenedDevice, StoreError
from twotick.wire import error


class ConnectedMember:
    """A member with at least one connection.

    Args:
        number: the store's number of the member.

    Attributes:
        number: see above.
        last: the number of the last entry of the member's log, as far as the exchange knows.
        version: the version of the member's devices, as far as the exchange knows (`LookAround`).
        feeds: the feeds of the member's connected devices, at most one for each device.
        senders: the connections that only send.
        missed: whether another server has added an entry to the log, so that the results of messages may be missing.
    """

    __slots__ = ("feeds", "last", "missed", "number", "senders", "version")

    def __init__(self, number: int) -> None:
        self.number = number
        self.last = 0
        self.missed = False
        self.version = 0
        # These are lists because most members have one connection, and an empty set takes 200 bytes.
        self.feeds: list[DeviceFeed] = []
        self.senders: list[Connection] = []

    def feed(self, device: bytes) -> DeviceFeed | None:
        """Return the feed of the device with this name."""
        for feed in self.feeds:
            if feed.connection.device is not None and feed.connection.device.name == device:
                return feed
        return None


class ConnectedMembers:
    """All members who are connected.

    Args:
        output: takes what is written.
        clock: returns the time of day, in seconds since 1970.
        effects: takes what devices acknowledge.
        watched: they are told when a device goes.
        exist: whether the server has members, so that there is a store to ask about the others.
        feed_bytes: the most bytes of entries in all feeds.

    Attributes:
        exist: see above.
        feed_bytes: the bytes of entries in feeds, which addresses share (rule 8.1).
        by_number: the members who are connected, by the store's numbers.
        by_name: the same, by name in lower case.
        joined: the members whose devices have connected or were revoked, for other servers to be told.
        notes_ends: whether the store is told which devices are not connected any more.
    """

    def __init__(
        self,
        output: Output,
        clock: Callable[[], float],
        effects: EffectsPublisher,
        watched: tuple[PresenceTracker, ProfileNews, RoomGuests],
        *,
        exist: bool,
        feed_bytes: int,
    ) -> None:
        self._output = output
        self._clock = clock
        self._effects = effects
        self._watched = watched
        self.exist = exist
        self.feed_bytes = Shares(feed_bytes)
        self.by_number: dict[int, ConnectedMember] = {}
        self.by_name: dict[bytes, ConnectedMember] = {}
        self.joined: dict[int, None] = {}
        self.notes_ends = True

    def listening(self) -> list[int]:
        """Return the members with a device that is connected."""
        return [number for number, member in self.by_number.items() if member.feeds]

    def connections(self) -> list[Connection]:
        """Return all connections of members."""
        return [
            connection
            for member in self.by_number.values()
            for connection in (*member.senders, *(feed.connection for feed in member.feeds))
        ]

    def has_newer(self, connection: Connection, device: MemberDevice) -> bool:
        """Tell whether a device has a connection that was accepted after another one (rule 10.7).

        The login on the other one has come late. Its client has given it up, or another program has taken over.
        """
        member = self.by_number.get(device.member)
        feed = None if member is None else member.feed(device.name)
        return feed is not None and feed.connection.number > connection.number

    def join(self, connection: Connection, device: MemberDevice, opened: OpenedDevice | None) -> None:
        """Add a connection of a member, and close an older one of the same device (rule 11.2).

        Args:
            connection: the connection.
            device: the member's device.
            opened: the device's cursor and the end of the log; None for a connection that only sends.
        """
        member = self.by_number.get(device.member)
        if member is not None and opened is not None and (older := member.feed(device.name)):
            self.end(older.connection, b"the device has connected again")
            member = self.by_number.get(device.member)  # it is gone if that was its only connection
        if member is None:
            member = ConnectedMember(device.member)
            self.by_number[member.number] = self.by_name[connection.key] = member
        connection.device = device
        if opened is None:
            member.senders.append(connection)
            device.sent = OrderedDict()
        else:
            member.last = max(member.last, opened.last)
            device.session = opened.session
            if opened.session == member.version + 1 or not member.feeds:
                member.version = opened.session  # else another server has changed something before, which is looked at
            if opened.session:
                self.joined[member.number] = None
            device.feed = DeviceFeed(connection, opened.cursor)
            member.feeds.append(device.feed)

    def opened_in_vain(self, device: MemberDevice, session: int) -> None:
        """Handle that a device was opened for a connection that is gone: its client has given it up.

        Another connection of the device on this server goes on under that number. If there is none here, the store is
        told, and another server that has one takes the device back.
        """
        member = self.by_number.get(device.member)
        feed = None if member is None else member.feed(device.name)
        if feed is not None and feed.connection.device is not None:
            feed.connection.device.session = session
        elif session and self.notes_ends:
            self._output.ask(CloseDevice(device.member, device.name.decode(), session), _ignore)

    def leave(self, connection: Connection) -> None:
        """Remove a connection of a member that is gone, or is about to be."""
        device = connection.device
        if device is None:
            return
        self.send_acknowledgement(device)
        connection.device = None
        member = self.by_number[device.member]
        if device.feed is None:
            member.senders.remove(connection)
        else:
            member.feeds.remove(device.feed)
            if device.session and self.notes_ends:
                self._output.ask(CloseDevice(device.member, device.name.decode(), device.session), _ignore)
            self.feed_bytes.give_back(connection.network, device.feed.size)
            device.feed.clear()
            presence, profiles, room_guests = self._watched
            presence.leave(connection, device)
            profiles.leave(connection, device)
            room_guests.forget(connection, device)
        if not member.feeds and not member.senders:
            del self.by_number[member.number]
            if self.by_name.get(connection.key) is member:  # not if the member was removed and added again
                del self.by_name[connection.key]

    def end(self, connection: Connection, reason: bytes, code: int = 108) -> None:
        """Close a connection of a member, with an ERROR that says why (rule 9.9)."""
        self._output.write(connection, error(code, reason=reason))
        self.leave(connection)
        self._output.close(connection)

    def send_acknowledgement(self, device: MemberDevice) -> None:
        """Tell the store up to which entry a device has acknowledged, if it does not know that (rule 11.3)."""
        feed = device.feed
        if feed is not None and feed.acknowledged:
            request = Acknowledge(device.member, device.name, feed.acknowledged, self._clock(), device.session)
            self._effects.ask(request)
            feed.acknowledged = 0
            feed.urgent = False

    def end_all_of(self, number: int, reason: bytes) -> None:
        """Close all connections of a member, with an ERROR that says why."""
        member = self.by_number.get(number)
        if member is not None:
            for connection in [*member.senders, *(feed.connection for feed in member.feeds)]:
                self.end(connection, reason)

    # Devices (rule 10.8)

    def devices(self, member: int) -> frozenset[bytes]:
        """Return the names of a member's connected devices."""
        connected = self.by_number.get(member)
        feeds = connected.feeds if connected is not None else []
        return frozenset(feed.connection.device.name for feed in feeds if feed.connection.device is not None)

    def sign_out(self, member: int, name: bytes, reason: bytes) -> None:
        """Close the connections of a member's device, and of those below it; of all devices if the name is empty.

        Args:
            member: the store's number of the member.
            name: the name of the device.
            reason: why, for the devices.
        """
        connected = self.by_number.get(member)
        if connected is None:
            return
        for connection in [*connected.senders, *(feed.connection for feed in connected.feeds)]:
            device = connection.device
            if device and (not name or (device.name + b"/").startswith(name + b"/")):
                self.end(connection, reason)

    def end_devices(self, member: int, name: bytes) -> None:
        """Close the connections of a device that was revoked, and of those below it."""
        self.joined[member] = None
        for connection in self.connections():
            device = connection.device
            if device and device.member == member and (device.name + b"/").startswith(name + b"/"):
                self.end(connection, b"the device was revoked")

    def end_other_machines(self, device: MemberDevice) -> None:
        """Close the connections of a member's devices on other machines, which were revoked (rule 10.10)."""
        self.joined[device.member] = None
        machine = device.name.partition(b"/")[0]
        for connection in self.connections():
            other = connection.device
            if other and other.member == device.member and other.name.partition(b"/")[0] != machine:
                self.end(connection, b"the password was changed, and the device was revoked")


def _ignore(_: StoreError | None) -> None:
    """Take an answer that says nothing: that the device is gone is noted when its server is, or when it comes back."""
