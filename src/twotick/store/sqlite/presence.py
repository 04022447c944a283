"""Who may see whose presence (docs/protocol.md, section 15)."""

# ruff: noqa: S608 - statements are put together from constants of this package, never from input

from dataclasses import replace
from typing import Final, cast

from twotick.store.requests.messages import Unfinished
from twotick.store.requests.presence import Contact, ListAudience, ListContacts, SeenSoFar, SetShown
from twotick.store.rules.presence import FAREWELL, SEEN_MOST, first_of
from twotick.store.sqlite.handlers import Handlers
from twotick.store.sqlite.ledger import MEMBERS, Ledger
from twotick.store.sqlite.rooms import RoomRepository

_NOT_BLOCKED: Final = (
    "NOT EXISTS (SELECT 1 FROM member m CROSS JOIN conversation c ON c.member = ?1 AND c.peer = CAST(m.folded AS BLOB)"
    " WHERE m.number = {} AND c.blocked = 1)"
)
_WRITTEN_TO: Final = f"SELECT other FROM contact WHERE member = ?1 AND {_NOT_BLOCKED.format('other')}"
_IN_ROOM: Final = (
    "SELECT member FROM room_member o WHERE room = ?2 AND member <> ?1 AND member < ?3"
    " AND EXISTS (SELECT 1 FROM room_member WHERE room = ?2 AND member = ?1)"
)
"""The members of a room below a number, if the member is in that room still."""

_MEMBERS_AT_ONCE: Final = 2048
"""The members of rooms that one step looks at: a member may be in 200 rooms of 2,000 members."""

_ROOM_WORK: Final = 16
"""What a look in one more room counts as, in members."""

_NAMES_AT_ONCE: Final = 256
"""The members whose names one step looks up."""

_NAME_WORK: Final = 2
"""What each of these counts as work (see `Tables.work`)."""

_ALL_NUMBERS: Final = 1 << 62
"""More than the number of any member."""


class PresenceRepository:
    """Carries out requests about presence.

    Args:
        ledger: the logs.
        rooms: the rooms, whose members see each other.
    """

    def __init__(self, ledger: Ledger, rooms: RoomRepository):
        self._ledger = ledger
        self._tables = ledger.tables
        self._rooms = rooms

    def handlers(self) -> Handlers:
        """Return the requests that are carried out here."""
        return {ListAudience: self._list_audience, ListContacts: self._list_contacts, SetShown: self._set_shown}

    def _list_audience(self, request: ListAudience) -> list[int] | Unfinished:
        so_far = request.so_far
        if so_far is None:
            found = self._small_audience(request)
            if found is not None:
                return found
            so_far = self._begin(f"{_WRITTEN_TO} ORDER BY other", request.member)
        so_far = self._look_in_rooms(request.member, so_far, f"{_IN_ROOM} AND {_NOT_BLOCKED.format('o.member')}")
        if so_far.rooms:
            return Unfinished(replace(request, so_far=so_far))
        return first_of(so_far.preferred, so_far.found)

    def _small_audience(self, request: ListAudience) -> list[int] | None:
        """Return the audience if one query finds it; None if the member's rooms must be looked through."""
        member = request.member
        peer = request.peer.lower()
        if not request.is_for_profile and not self._set_shown(SetShown(member, None)):
            if not request.is_gone:
                return []
            return self._numbers("SELECT other FROM farewell WHERE member = ? ORDER BY other", member)
        if peer[:1] == b"#":
            room = self._rooms.find(peer, member)
            if room is None or member not in room.members:
                return []
            return self._numbers(
                "SELECT member FROM room_member o WHERE room = ?2 AND member <> ?1"
                f" AND {_NOT_BLOCKED.format('o.member')} ORDER BY member",
                member,
                room.number,
            )
        if peer:
            return self._numbers(
                "SELECT number FROM member o WHERE folded = ?2 AND number <> ?1"
                " AND (EXISTS (SELECT 1 FROM contact WHERE member = ?1 AND other = o.number)"
                " OR EXISTS (SELECT 1 FROM room_member own CROSS JOIN room_member mate"
                " ON mate.room = own.room AND mate.member = o.number WHERE own.member = ?1))"
                f" AND {_NOT_BLOCKED.format('o.number')}",
                member,
                peer.decode(errors="replace"),
            )
        return None

    def keep_audience(self, member: int, time: float, so_far: SeenSoFar | None) -> SeenSoFar | None:
        """Remember who can see a member that is about to be removed, once all of them are found.

        Returns:
            Who was found so far, for the next transaction; None if they are remembered.
        """
        audience = self._list_audience(ListAudience(member, b"", so_far=so_far))
        if isinstance(audience, Unfinished):
            return cast("ListAudience", audience.rest).so_far
        for other in audience:
            self._tables.direct("INSERT INTO farewell VALUES (?, ?, ?)", (member, other, time))
        return None

    def prune(self, time: float) -> None:
        """Forget the audiences of members that were removed long before a time, in seconds since 1970."""
        self._tables.direct("DELETE FROM farewell WHERE time < ?", (time - FAREWELL,))

    def _list_contacts(self, request: ListContacts) -> list[Contact] | Unfinished:
        box = self._ledger.mailbox(request.member)
        if box is None:
            return []
        so_far = self.look_for_contacts(box.number, request.so_far, request.room.lower())
        if so_far.rooms:
            return Unfinished(replace(request, so_far=so_far))
        numbers = first_of(so_far.preferred, so_far.found)
        listed = request.listed
        listed += tuple(self._contact(each, box.folded) for each in numbers[len(listed) : len(listed) + _NAMES_AT_ONCE])
        if len(listed) < len(numbers):
            return Unfinished(replace(request, so_far=so_far, listed=listed))
        return sorted((each for each in listed if each.name), key=lambda each: each.name.lower())

    def _contact(self, number: int, folded: bytes) -> Contact:
        """Return a member as the member with a name sees it; without a name if there is none any more."""
        self._tables.work += _NAME_WORK
        row = self._tables.direct(
            "SELECT name, shown = 1 AND NOT EXISTS (SELECT 1 FROM conversation"
            f" WHERE member = o.number AND peer = ? AND blocked = 1) FROM member o WHERE number = ? AND {MEMBERS}",
            (folded, number),
        ).fetchone()
        return Contact(number, "", shown=False) if row is None else Contact(number, row[0], bool(row[1]))

    def is_contact(self, member: int, other: int) -> bool:
        """Tell whether another member is one of `contacts`, or would be if these were not limited."""
        row = self._tables.direct(
            "SELECT 1 FROM contact WHERE member = ?2 AND other = ?1"
            " UNION ALL SELECT 1 FROM room_member own CROSS JOIN room_member o ON o.room = own.room AND o.member = ?2"
            " WHERE own.member = ?1 LIMIT 1",
            (member, other),
        ).fetchone()
        return row is not None

    def look_for_contacts(self, member: int, so_far: SeenSoFar | None, room_name: bytes = b"") -> SeenSoFar:
        """Look for the members in a room with a member and those who have written to it, in a few rooms at a time.

        `first_of` returns 2,000 of them at most. Some of them may have blocked the member, or hide their presence.

        Args:
            member: the member.
            so_far: what was found before; None for nothing.
            room_name: only those in this room, in lower case; empty for all.
        """
        if so_far is None and room_name:
            room = self._rooms.find(room_name, member)
            others = [] if room is None or member not in room.members else sorted(room.others(member))
            return SeenSoFar((), tuple(others[:SEEN_MOST]))
        if so_far is None:
            so_far = self._begin("SELECT member FROM contact WHERE other = ?1 ORDER BY member", member)
        return self._look_in_rooms(member, so_far, _IN_ROOM)

    def _begin(self, preferred: str, member: int) -> SeenSoFar:
        """Begin with those whom a query finds outside rooms; if these are enough, there is nothing else to look in."""
        found = self._numbers(f"{preferred} LIMIT {SEEN_MOST}", member)
        rooms = self._numbers("SELECT room FROM room_member WHERE member = ? ORDER BY room", member)
        return SeenSoFar(tuple(rooms) if len(found) < SEEN_MOST else (), tuple(found))

    def _look_in_rooms(self, member: int, so_far: SeenSoFar, query: str) -> SeenSoFar:
        """Look in some rooms, and keep the members with the lowest numbers."""
        rooms, found = so_far.rooms, list(so_far.found)
        left = _MEMBERS_AT_ONCE
        while rooms and left > 0:
            below = found[-1] if len(found) == SEEN_MOST else _ALL_NUMBERS
            new = self._numbers(f"{query} ORDER BY member LIMIT {SEEN_MOST}", member, rooms[0], below)
            found = sorted({*found, *new})[:SEEN_MOST]
            rooms = rooms[1:]
            looked = len(new) + _ROOM_WORK
            self._tables.work += looked >> 2
            left -= looked
        return SeenSoFar(rooms, so_far.preferred, tuple(found))

    def _set_shown(self, request: SetShown) -> bool:
        direct = self._tables.direct
        if request.shown is not None:
            direct("UPDATE member SET shown = ? WHERE number = ?", (int(request.shown), request.member))
        row = direct("SELECT shown FROM member WHERE number = ?", (request.member,)).fetchone()
        return bool(row and row[0])

    def _numbers(self, query: str, *parameters: object) -> list[int]:
        return [number for (number,) in self._tables.direct(query, parameters)]
