"""Guests in rooms: who is in which, and what they are given (docs/protocol.md, rules 12.12 to 12.15).

Theory of operation. The store knows rooms and what was sent to them, and this part knows the guests who are in them.
For each guest and room it notes the place up to which the guest has all. When something gets a place in a room, the
store is asked for what follows the least of these places, and each guest is given what it has not had. So a guest gets
only what was committed, in order and once; a guest that does not read is given the rest later, and nothing is kept for
it meanwhile. The answer also says if the room lets guests in no more.

Guests of other servers that share the database are known from news. A server lets the others know of each of its
guests, and, if there is something new in a room, those that have guests there. Nothing depends on the news but how soon
it is noticed: each server also looks at the rooms of its guests once a second.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

from twotick.exchange.connection import Connection, MemberDevice
from twotick.exchange.entries import entry_frame
from twotick.exchange.guests import Guests
from twotick.exchange.news import Item, ServerNews, bytes_of, number_of, text_of
from twotick.exchange.output import Output
from twotick.store import Effects, FetchRoom, FindRoomMembers, GuestRoom, RoomPart, StoreError
from twotick.wire import Verb, frame, is_name

MOST_ROOMS: Final = 20
"""The most rooms that a guest is in."""

MOST_GUESTS: Final = 200
"""The most guests of this server in a room."""

_PUT_OUT: Final = 3600.0
"""Seconds for which no guest of an address can come back to a room that one was put out of."""

_MOST_PUT_OUT: Final = 4096
"""The most addresses and rooms for which that is remembered."""

_AT_ONCE: Final = 64
_BYTES_AT_ONCE: Final = 256 << 10
"""The most entries that the store is asked for at once, and the bytes of bodies after which there are no more."""

_ROUND: Final = 1.0
"""Seconds between two looks at all rooms, if servers share the database."""

CLOSED: Final = b"the room does not let guests in any more"

_GUEST: Final = "room guest"
_GROWN: Final = "room grown"
_OUT: Final = "room guest out"
_BEGIN: Final = "room guests begin"
_END: Final = "room guests end"
"""The kinds of news: a guest is in a room or not; there is something new in a room; a guest is put out; and between the
last two, a server says all guests that it has."""


class _Visitor:
    """A guest who is in rooms.

    Attributes:
        connection: its connection.
        places: the place up to which it has all, for each room, by the number of the room.
    """

    __slots__ = ("connection", "places")

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.places: dict[int, int] = {}


class _Room:
    """A room with guests of this server.

    Attributes:
        number: the store's number.
        name: its name as it is shown.
        visitors: the guests, by name in lower case.
        fetching: whether the store is asked for what is new.
        grown: whether there is more since then.
    """

    __slots__ = ("fetching", "grown", "name", "number", "visitors")

    def __init__(self, number: int, name: bytes) -> None:
        self.number = number
        self.name = name
        self.visitors: dict[bytes, _Visitor] = {}
        self.fetching = False
        self.grown = False


class RoomGuests:
    """The guests who are in rooms.

    Args:
        output: takes what is written and the requests.
        guests: the guests who are registered.
        clock: returns the time of day, in seconds since 1970.
        news: tells other servers.
        now: the time, in seconds on any clock that does not go back.
    """

    def __init__(
        self, output: Output, guests: Guests, clock: Callable[[], float], news: ServerNews, now: float
    ) -> None:
        self._output = output
        self._clock = clock
        self._news = news
        self._now = self._next_round = now
        self._rooms: dict[int, _Room] = {}
        self._visitors: dict[bytes, _Visitor] = {}
        self._watchers: dict[int, list[Connection]] = {}
        self._put_out: OrderedDict[tuple[int, str], float] = OrderedDict()
        self._must_look = False
        # The guests of other servers: the names of rooms as they are shown, by server, number of the room, and guest.
        self._far: dict[int, dict[tuple[int, bytes], tuple[bytes, bytes]]] = {}
        self._far_counts: dict[int, int] = {}  # how many there are in each room
        self._unsaid: dict[int, set[tuple[int, bytes]]] = {}
        guests.listeners.append(self._guest_changed)
        news.handlers[_GUEST] = self._take_guest
        news.handlers[_GROWN] = self._take_grown
        news.handlers[_OUT] = self._take_out
        news.handlers[_BEGIN] = self._take_begin
        news.handlers[_END] = self._take_end
        news.say_all.append(self._say_all)
        news.on_missed.append(self.look)
        news.on_gone.append(self._lose)

    def look(self) -> None:
        """Look at all rooms at the next tick, since something may have changed there."""
        self._must_look = True

    def tick(self, now: float) -> None:
        """Set the time, in seconds, and look at the rooms if it is due."""
        self._now = now
        if self._must_look or (self._news.is_shared and now >= self._next_round):
            self._must_look = False
            self._next_round = now + _ROUND
            for room in list(self._rooms.values()):
                self._fetch(room)

    def note_effects(self, effects: Effects) -> None:
        """Give guests what a request has added to rooms."""
        for number in effects.rooms:
            room = self._rooms.get(number)
            if room is not None:
                self._fetch(room)
            if number in self._far_counts:
                self._news.tell(_GROWN, number)

    # In and out

    def place_in(self, connection: Connection, key: bytes) -> int:
        """Return the store's number of the room with a name, in lower case, that a guest is in; 0 if it is in none."""
        visitor = self._visitors.get(connection.key)
        if visitor is not None and visitor.connection is connection:
            for number in visitor.places:
                if self._rooms[number].name.lower() == key:
                    return number
        return 0

    def enter(self, connection: Connection, found: GuestRoom) -> str | None:
        """Let a guest into a room. Return why it may not come in; None if it is in."""
        name = found.room.name.encode()
        earlier = self.place_in(connection, name.lower())
        if earlier == found.number:
            return None
        if earlier:
            self._end(self._rooms[earlier], connection.key, b"removed", CLOSED)
        until = self._put_out.get((found.number, connection.network), 0.0)
        visitor = self._visitors.get(connection.key)
        room = self._rooms.get(found.number)
        if until > self._now:
            return f"a guest from your address was put out of {found.room.name}: try again in {until - self._now:.0f} s"
        if visitor is not None and len(visitor.places) >= MOST_ROOMS:
            return f"you are in too many rooms; a guest is in at most {MOST_ROOMS}"
        if room is not None and len(room.visitors) >= MOST_GUESTS:
            return f"the room is full; it has at most {MOST_GUESTS} guests"
        visitor = visitor or _Visitor(connection)
        room = room or _Room(found.number, name)
        self._tell(room.number, name, connection.name, b"joined", b"", b"")
        self._visitors[connection.key] = visitor
        self._rooms[room.number] = room
        visitor.places[room.number] = found.last
        room.visitors[connection.key] = visitor
        self._news.tell(_GUEST, room.number, text_of(name), text_of(connection.name), True)
        return None

    def leave(self, connection: Connection, number: int) -> None:
        """Let a guest leave a room, by its number."""
        self._end(self._rooms[number], connection.key, b"left")

    def put_out(self, key: bytes, guest: bytes, by: bytes) -> None:
        """Put a guest out of a room, wherever it is connected.

        Args:
            key: the name of the room, which lets guests in, in lower case.
            guest: the name of the guest, in lower case.
            by: the name of the member who does it.
        """
        for room in list(self._rooms.values()):
            if room.name.lower() == key and guest in room.visitors:
                self._put_out_here(room, guest, by)
        for server, far in self._far.items():
            for number, name in list(far):
                if name == guest and far[number, name][0].lower() == key:
                    self._news.tell(_OUT, server, number, text_of(guest), text_of(by))

    def _put_out_here(self, room: _Room, guest: bytes, by: bytes) -> None:
        network = room.visitors[guest].connection.network
        self._put_out.pop((room.number, network), None)
        self._put_out[room.number, network] = self._now + _PUT_OUT
        if len(self._put_out) > _MOST_PUT_OUT:
            self._put_out.popitem(last=False)
        self._end(room, guest, b"removed", b"%b has put you out" % by, by)

    def _end(self, room: _Room, key: bytes, event: bytes, reason: bytes = b"", by: bytes = b"") -> None:
        """Take a guest out of a room, and tell those who are concerned; a guest that is put out is told as well."""
        visitor = room.visitors.pop(key)
        connection = visitor.connection
        del visitor.places[room.number]
        if not visitor.places:
            del self._visitors[key]
        if not room.visitors:
            del self._rooms[room.number]
        self._news.tell(_GUEST, room.number, text_of(room.name), text_of(connection.name), False)
        self._tell(room.number, room.name, connection.name, event, reason, by)
        if event == b"removed":
            self._output.write(connection, _event(room.name, connection.name, event, reason, by))

    def _guest_changed(self, key: bytes, is_there: bool) -> None:
        """Take a guest out of all rooms who is not there any more."""
        visitor = self._visitors.get(key)
        if visitor is not None and not is_there:
            for number in list(visitor.places):
                self._end(self._rooms[number], key, b"left")

    # Who is there

    def names(self, key: bytes) -> list[bytes]:
        """Return the names of the guests in the room with a name, in lower case, that lets guests in."""
        found = {
            guest: visitor.connection.name
            for room in self._rooms.values()
            if room.name.lower() == key
            for guest, visitor in room.visitors.items()
        }
        for far in self._far.values():
            found |= {guest: shown for (_, guest), (room, shown) in far.items() if room.lower() == key}
        return [found[guest] for guest in sorted(found)]

    def watch(self, connection: Connection, device: MemberDevice) -> None:
        """Tell a member's device of guests from now on."""
        watching = self._watchers.setdefault(device.member, [])
        if connection not in watching:
            watching.append(connection)

    def forget(self, connection: Connection, device: MemberDevice) -> None:
        """Tell a member's device no more, which is gone."""
        watching = self._watchers.get(device.member, [])
        if connection in watching:
            watching.remove(connection)
            if not watching:
                del self._watchers[device.member]

    def _tell(self, number: int, room: bytes, guest: bytes, event: bytes, reason: bytes, by: bytes) -> None:
        """Tell those in a room that a guest came or went: other guests, and members' devices that have asked."""
        news = _event(room, guest, event, reason, by)
        here = self._rooms.get(number)
        if here is not None:
            for key, visitor in here.visitors.items():
                if key != guest.lower() and visitor.connection.window:
                    self._output.write(visitor.connection, news)
        if self._watchers:
            self._output.ask(FindRoomMembers(number), partial(self._tell_members, news))

    def _tell_members(self, news: bytes, members: list[int] | StoreError) -> None:
        if isinstance(members, StoreError):
            return  # it is not stored, and a device asks who is there
        for member in members:
            for connection in self._watchers.get(member, ()):
                if connection.window:
                    self._output.write(connection, news)

    # What they are given

    def flowing(self, connection: Connection) -> None:
        """Give a guest the rest of what it was not given while it did not read."""
        visitor = self._visitors.get(connection.key)
        if visitor is not None and visitor.connection is connection:
            for number in visitor.places:
                self._fetch(self._rooms[number])

    def _fetch(self, room: _Room) -> None:
        """Ask the store for what some guest in a room does not have."""
        if room.fetching:
            room.grown = True
            return
        places = [each.places[room.number] for each in room.visitors.values() if each.connection.window]
        if places:
            room.fetching = True
            room.grown = False
            request = FetchRoom(room.number, min(places), _AT_ONCE, _BYTES_AT_ONCE, self._clock())
            self._output.ask(request, partial(self._fetched, room, request.after))

    def _fetched(self, room: _Room, after: int, part: RoomPart | StoreError) -> None:
        room.fetching = False
        if isinstance(part, StoreError):
            self._must_look = True
            return
        if not part.is_open:
            for key in list(room.visitors):
                self._end(room, key, b"removed", CLOSED)
            return
        frames = [(entry, entry_frame(entry, b"", numbered=False)) for entry in part.entries]
        is_behind = room.grown
        for key, visitor in room.visitors.items():
            place = visitor.places[room.number]
            if not visitor.connection.window:
                continue
            if place < after:  # it did not read when the store was asked
                is_behind = True
                continue
            new = [
                each for entry, each in frames if entry.place > place and not _is_own(key, entry.peer, entry.headers)
            ]
            self._output.write(visitor.connection, *new)
            visitor.places[room.number] = place = max(place, part.up_to)
            is_behind = is_behind or place < part.last
        if is_behind:
            self._fetch(room)

    # Other servers

    def _say_all(self) -> Iterable[Item]:
        guests: list[Item] = [
            [_GUEST, room.number, text_of(room.name), text_of(visitor.connection.name), True]
            for room in self._rooms.values()
            for visitor in room.visitors.values()
        ]
        return [[_BEGIN], *guests, [_END]]

    def _take_guest(self, server: int, said: Item) -> None:
        number, room, guest, is_there = number_of(said[0]), bytes_of(said[1]), bytes_of(said[2]), bool(said[3])
        if not is_name(guest):
            raise ValueError
        key = number, guest.lower()
        if is_there and server in self._unsaid:
            self._unsaid[server].discard(key)
        if is_there is (key in self._far.get(server, ())):
            return
        if not is_there:
            self._drop(server, {key})
            return
        self._far.setdefault(server, {})[key] = room, guest
        self._far_counts[number] = self._far_counts.get(number, 0) + 1
        self._news.tell(_GROWN, number)  # the other server may have missed what was new before
        self._tell(number, room, guest, b"joined", b"", b"")

    def _take_grown(self, _: int, said: Item) -> None:
        room = self._rooms.get(number_of(said[0]))
        if room is not None:
            self._fetch(room)

    def _take_out(self, _: int, said: Item) -> None:
        server, number, guest, by = number_of(said[0]), number_of(said[1]), bytes_of(said[2]), bytes_of(said[3])
        room = self._rooms.get(number)
        if server == self._news.number and room is not None and guest in room.visitors and is_name(by):
            self._put_out_here(room, guest, by)

    def _take_begin(self, server: int, _: Item) -> None:
        self._unsaid[server] = set(self._far.get(server, ()))

    def _take_end(self, server: int, _: Item) -> None:
        self._drop(server, self._unsaid.pop(server, set()))

    def _lose(self, server: int) -> None:
        self._unsaid.pop(server, None)
        self._drop(server, set(self._far.get(server, ())))

    def _drop(self, server: int, keys: set[tuple[int, bytes]]) -> None:
        far = self._far.get(server, {})
        for key in sorted(keys.intersection(far)):
            room, guest = far.pop(key)
            self._far_counts[key[0]] -= 1
            if not self._far_counts[key[0]]:
                del self._far_counts[key[0]]
            self._tell(key[0], room, guest, b"left", b"", b"")
        if not far:
            self._far.pop(server, None)


def guest_objects(room_guests: RoomGuests, key: bytes) -> list[dict[str, object]]:
    """Return the guests in a room, by its name in lower case, as a list of its members shows them (rule 12.15)."""
    return [{"name": name.decode(), "role": "guest", "since": None} for name in room_guests.names(key)]


def _event(room: bytes, guest: bytes, event: bytes, reason: bytes, by: bytes) -> bytes:
    return frame(Verb.ROOM, room, None, b"", guest=guest, event=event, by=by or None, reason=reason or None)


def _is_own(key: bytes, sender: bytes, headers: bytes) -> bool:
    """Tell whether a guest has sent a message; no member can have its name while it is connected."""
    return sender.lower() == key and b"Guest: yes\n" in headers
