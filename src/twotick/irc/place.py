"""What all IRC sessions of a server share: who is there, and what is known of users."""

from collections.abc import Callable
from typing import Any, Final, Generic, Protocol, TypeVar

from twotick.irc.answers import Steps
from twotick.irc.shared import LeavingReasons, NameWatchers, PastGuest, PastGuests
from twotick.irc.wire import IrcMessage, write_line
from twotick.wire import Frame, Head, HeadCache, Parser, Verb, received, time_text

_MISSED: Final = 60.0
"""Seconds after which a message is shown with its time to a client that is not told times."""

_MOST_MARKS: Final = 256
"""Of how many conversations of a member the times of reading are kept. So no member makes others lose theirs."""

_MOST_MARKED: Final = 4096
"""Of how many members they are kept."""

_ANY_LENGTH: Final = 1 << 33

_MOST_KNOWN: Final = 65536
"""How many names are known to be those of members."""

_MOST_TOLD: Final = 256
"""How many events of rooms a client has been told of before they come."""

_FRESH: Final = 10.0
"""Seconds in which they come."""

_MOST_SOURCES: Final = 4096
"""Of how many users it is kept what their lines come from."""


class SharingSession(Protocol):
    """What a place needs of a session; see `IrcSession`."""

    name: bytes
    account: bytes
    caps: int
    out: list[bytes]
    user: bytes
    realname: bytes
    channels: dict[bytes, bytes] | None
    events_told: dict[tuple[bytes, bytes, bytes], float] | None
    away: bytes | None
    welcome: bool
    claimed: tuple[bytes, bytes] | None
    monitored: dict[bytes, bytes] | None

    def line_of_watched(self, name: bytes, *, is_online: bool) -> bytes:
        """Return the line that says that a user whom the client watches has come, or gone."""
        ...


_Session = TypeVar("_Session", bound=SharingSession)


class IrcCommand(Generic[_Session]):
    """What carries out a command.

    Args:
        handler: does it; it may return steps.
        least: the least number of parameters.
        early: whether it is allowed before the client is welcome.
        passes: whether it need not wait for messages that are under way.
        members: whether only members may use it.
    """

    def __init__(
        self,
        handler: Callable[[_Session, IrcMessage], Steps | None],
        least: int = 0,
        *,
        early: bool = False,
        passes: bool = False,
        members: bool = False,
    ) -> None:
        self.handler = handler
        self.least = least
        self.early = early
        self.passes = passes
        self.members = members


class IrcPlace(Generic[_Session]):
    """What all sessions of a server share.

    Args:
        server: the name of the server, as lines have it.
        version: its version.
        clock: returns the time of day, in seconds since 1970.
        new_prefix: returns how the Ids of a session's messages begin.
        create_rooms: whether JOIN makes a public room if there is none.
        max_body: the longest body, in bytes.
        is_behind: returns whether there is anything to wait for before a PING is answered.
        now: the time of the event loop, in seconds.

    Attributes:
        commands: what clients can ask for.
        handlers: what takes the frames of the exchange.
        started: when the server has started.
        now: the time of the event loop at the last tick.
        heads: reads the frames that the exchange writes, and makes those that it is given.
        recently: a minute before the last tick, as frames have it: what came before was missed by who gets it now.
        sessions: the sessions of each name, in lower case.
        waiting: the sessions that have something to do at a tick.
        behind: the sessions with a command that waits until the server has caught up (`CATCH_UP`).
        is_behind: returns whether the server has anything to catch up with.
        present: all sessions that have not ended.
        registered: how many of them have a name.
        most_registered: how many had one at most.
        reasons, past, watchers: what sessions know of each other.
    """

    def __init__(
        self,
        server: bytes,
        version: bytes,
        *,
        clock: Callable[[], float],
        new_prefix: Callable[[], bytes],
        create_rooms: bool,
        max_body: int,
        is_behind: Callable[[], bool],
        now: float,
    ) -> None:
        self.server = server
        self.version = version
        self.clock = clock
        self.new_prefix = new_prefix
        self.create_rooms = create_rooms
        self.max_body = max_body
        self.commands: dict[bytes, IrcCommand[_Session]] = {}
        self.handlers: dict[Verb, Callable[[_Session, Head, bytes], None]] = {}
        self.started = clock()
        self.sessions: dict[bytes, list[_Session]] = {}
        self.waiting: dict[_Session, float] = {}
        self.behind: dict[_Session, None] = {}
        self.is_behind = is_behind
        self.heads = HeadCache(_ANY_LENGTH)
        self._written = Parser(self.heads)
        self._milliseconds = 0
        self._time = b""
        self._members: dict[bytes, None] = {}
        self._sources: dict[bytes, bytes] = {}
        self._devices: dict[tuple[bytes, bytes], _Session] = {}
        self.reasons = LeavingReasons()
        self.past = PastGuests()
        self.watchers: NameWatchers[_Session] = NameWatchers()
        self.present: set[_Session] = set()
        self.registered = self.most_registered = 0
        self._marks: dict[bytes, dict[bytes, bytes]] = {}
        self.tick(now)

    def time(self) -> bytes:
        """Return the time of day, as frames and tags have it."""
        now = self.clock()
        milliseconds = int(now * 1000)
        if milliseconds != self._milliseconds:
            self._milliseconds = milliseconds
            self._time = time_text(now)
        return self._time

    def source_of(self, name: bytes) -> bytes:
        """Return what the lines of a user come from."""
        source = self._sources.get(name)
        if source is None:
            source = b"%b!%b@%b" % (name, name.lower(), self.server)
            put_last(self._sources, name, source, _MOST_SOURCES)
        return source

    def received(self, sender: bytes) -> Frame:
        """Return the RECEIVED by which a guest confirms that it has a message."""
        text = received(sender)
        return self.heads.heads.get(text) or self.heads.read(text), b""

    def read(self, data: bytes) -> list[Frame]:
        """Return the frames that the exchange has written to a connection, which are always whole."""
        return self._written.feed(data)

    def tick(self, now: float) -> None:
        """Note the time of the event loop."""
        self.now = now
        self.recently = time_text(self.clock() - _MISSED)

    def mark(self, name: bytes, target: bytes, time: bytes = b"") -> bytes:
        """Note up to when a member has read a conversation, unless it is known to have read more.

        Args:
            name: the member.
            target: the conversation.
            time: the time; empty to note nothing.

        Returns:
            Up to when it has; empty if that is not known.
        """
        marks = self._marks.get(name.lower(), {})
        known = marks.get(target.lower(), b"")
        if time > known:
            put_last(marks, target.lower(), time, _MOST_MARKS)
            put_last(self._marks, name.lower(), marks, _MOST_MARKED)
        return max(time, known)

    def note_member(self, name: bytes) -> None:
        """Note that a name is that of a member."""
        put_last(self._members, name.lower(), None, _MOST_KNOWN)

    def is_member(self, key: bytes) -> bool:
        """Return whether a name, in lower case, is known to be that of a member: no guest can have it then."""
        sessions = self.sessions.get(key)
        return key in self._members if sessions is None else bool(sessions[0].account)

    def away_text(self, name: bytes) -> bytes:
        """Return what a user has said who is away on all connections to IRC; empty if there is one who is not."""
        sessions = self.sessions.get(name.lower(), ())
        return sessions[0].away or b"" if sessions and all(each.away for each in sessions) else b""

    def guest(self, name: bytes) -> _Session | None:
        """Return the connection of a guest who is on IRC."""
        sessions = self.sessions.get(name.lower())
        return sessions[0] if sessions and sessions[0].welcome and not sessions[0].account else None

    def tell_watchers(self, name: bytes, caps: int, write: Callable[[_Session], bytes]) -> None:
        """Write a line to the sessions that watch a guest and have these capabilities."""
        for each in self.watchers.get(name):
            if each.caps & caps == caps:
                each.out.append(write(each))
                self.changed(each)

    def changed(self, session: _Session) -> None:
        """Let a session write soon what another one has left for it."""
        self.waiting[session] = 0.0

    def add(self, session: _Session) -> None:
        """Note that a session has a name."""
        if session not in self.present:
            return
        self.sessions.setdefault(session.name.lower(), []).append(session)
        self.registered += 1
        self.most_registered = max(self.most_registered, self.registered)

    def onlookers(self, session: _Session, *events: tuple[bytes, bytes]) -> list[_Session]:
        """Return the others who share rooms with a guest, and are about to be told of something.

        Args:
            session: the guest's session.
            events: what the rooms will tell because of it, which is no news then: events, each with the guest's name.
        """
        found: list[_Session] = []
        for each in self.present if session.channels else ():
            shared = [room for room in each.channels or () if room in (session.channels or {})]
            if shared:
                told = {} if each.events_told is None else each.events_told
                for room in shared:
                    for event, name in events:
                        put_last(told, (event, room, name.lower()), self.now, _MOST_TOLD)
                each.events_told = told
                if each is not session:
                    found.append(each)
        return found

    def is_told(self, session: _Session, event: bytes, room: bytes, guest: bytes) -> bool:
        """Return whether a client was told already that a guest has come to a room or gone: see `onlookers`."""
        told = session.events_told
        when = told.pop((event, room.lower(), guest.lower()), None) if told else None
        return when is not None and self.now - when < _FRESH

    def _part_with(self, session: _Session, reason: bytes) -> None:
        """Tell those in the rooms of a guest who has gone, and those who watch it."""
        self.past.add(PastGuest(session.name, session.user, session.realname, self.now))
        line = write_line(self.source_of(session.name), b"QUIT", reason)
        for each in self.onlookers(session, (b"left", session.name)):
            each.out.append(line)
            self.changed(each)
        self.tell_watchers(session.name, 0, lambda each: each.line_of_watched(session.name, is_online=False))

    def remove(self, session: _Session, reason: bytes = b"Connection closed") -> None:
        """Forget a session that has ended."""
        if session not in self.present:
            return
        self.present.remove(session)
        self.waiting.pop(session, None)
        self.behind.pop(session, None)
        self.give_back(session)
        key = session.name.lower()
        others = self.sessions.get(key)
        for name in session.monitored or ():
            self.watchers.remove(session, name)
        if session.welcome and not session.account:
            self._part_with(session, reason)
        if others is not None and session in others:
            self.registered -= 1
            others.remove(session)
            if not others:
                del self.sessions[key]

    def rename(self, session: _Session, name: bytes) -> None:
        """Note that the session of a guest has another name."""
        if session not in self.present:
            return
        self.past.add(PastGuest(session.name, session.user, session.realname, self.now))
        others = self.sessions[session.name.lower()]
        others.remove(session)
        if not others:
            del self.sessions[session.name.lower()]
        session.name = name
        self.sessions.setdefault(name.lower(), []).append(session)

    def claim(self, session: _Session, name: bytes, device: bytes) -> bytes:
        """Give a session a device of a member that no other session uses: this one, or one with a number."""
        self.give_back(session)
        key, number, free = name.lower(), 1, device
        while (key, free) in self._devices:
            number += 1
            free = b"%b.%d" % (device, number)
        session.claimed = key, free
        self._devices[session.claimed] = session
        return free

    def give_back(self, session: _Session) -> None:
        """Let others use the device of a session."""
        if session.claimed is not None:
            self._devices.pop(session.claimed, None)
            session.claimed = None


def put_last(known: dict[Any, Any], key: Any, value: Any, most: int) -> None:
    """Note a value as the newest one; the oldest one is forgotten if there are too many."""
    known.pop(key, None)
    known[key] = value
    if len(known) > most:
        del known[next(iter(known))]
