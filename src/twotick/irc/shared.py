"""What the sessions of a server know of each other, and the exchange does not."""

from collections import deque
from typing import Final, Generic, NamedTuple, TypeVar

_Session = TypeVar("_Session")

_MOST_REASONS: Final = 64
"""How many reasons are kept for which users leave rooms."""

_FRESH: Final = 60.0
"""Seconds for which they are kept."""

_MOST_PAST: Final = 256
"""How many guests are remembered who have gone."""

_PAST: Final = 600.0
"""Seconds for which they are."""


class NameWatchers(Generic[_Session]):
    """Which sessions watch which names (IRCv3, "Monitor"). Of members the exchange tells them; of guests others do."""

    def __init__(self) -> None:
        self._watching: dict[bytes, dict[_Session, None]] = {}

    def add(self, session: _Session, name: bytes) -> None:
        """Let a session watch a name."""
        self._watching.setdefault(name.lower(), {})[session] = None

    def remove(self, session: _Session, name: bytes) -> None:
        """Let a session watch a name no more."""
        watching = self._watching.get(name.lower(), {})
        watching.pop(session, None)
        if not watching:
            self._watching.pop(name.lower(), None)

    def get(self, name: bytes) -> list[_Session]:
        """Return the sessions that watch a name."""
        return [*self._watching.get(name.lower(), ())]


class PastGuest(NamedTuple):
    """A guest who was on IRC, and is not any more, or has another name.

    Attributes:
        name: the name.
        user: what the guest has said as the user name.
        realname: what the guest wanted to be called.
        left: when that ended, by the clock of the event loop.
    """

    name: bytes
    user: bytes
    realname: bytes
    left: float


class PastGuests:
    """The guests who were on IRC in the last minutes, and whom anyone could find (WHOWAS)."""

    def __init__(self) -> None:
        self._guests: deque[PastGuest] = deque(maxlen=_MOST_PAST)

    def add(self, guest: PastGuest) -> None:
        """Note that a guest has gone."""
        self._guests.appendleft(guest)

    def get(self, now: float, name: bytes) -> list[PastGuest]:
        """Return those who had a name, the last one first."""
        return [each for each in self._guests if each.name.lower() == name.lower() and now - each.left < _PAST]


class LeavingReasons:
    """Why users have just left rooms, as clients on IRC have said: the events of rooms do not say it."""

    def __init__(self) -> None:
        self._reasons: dict[tuple[bytes, bytes], tuple[float, bytes]] = {}

    def note(self, now: float, room: bytes, name: bytes, reason: bytes) -> None:
        """Note why a user leaves a room; empty for no reason."""
        key = room.lower(), name.lower()
        self._reasons.pop(key, None)
        if reason:
            self._reasons[key] = now, reason
            if len(self._reasons) > _MOST_REASONS:
                del self._reasons[next(iter(self._reasons))]

    def get(self, now: float, room: bytes, name: bytes) -> bytes:
        """Return why a user has just left a room; empty if that is not known."""
        when, reason = self._reasons.get((room.lower(), name.lower()), (now, b""))
        return reason if now - when < _FRESH else b""
