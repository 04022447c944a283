"""Who may see whose presence (docs/protocol.md, section 15)."""

# ruff: noqa: S608 - statements are put together from constants of this package, never from input

from typing import Final

from twotick.store.requests.presence import Contact, ListAudience, ListContacts, SetShown
from twotick.store.rules.presence import FAREWELL, SEEN_MOST, first_of
from twotick.store.sqlite.handlers import Handlers
from twotick.store.sqlite.ledger import Ledger
from twotick.store.sqlite.rooms import RoomRepository

_ROOMMATES: Final = (
    "SELECT o.member FROM room_member own CROSS JOIN room_member o ON o.room = own.room"
    " WHERE own.member = ?1 AND o.member <> ?1"
)
_NOT_BLOCKED: Final = (
    "NOT EXISTS (SELECT 1 FROM member m CROSS JOIN conversation c ON c.member = ?1 AND c.peer = CAST(m.folded AS BLOB)"
    " WHERE m.number = {} AND c.blocked = 1)"
)
_WRITTEN_TO: Final = f"SELECT other FROM contact WHERE member = ?1 AND {_NOT_BLOCKED.format('other')}"
_SEEING_ROOMMATES: Final = (
    f"SELECT DISTINCT member FROM ({_ROOMMATES}) AS mate WHERE {_NOT_BLOCKED.format('mate.member')}"
)


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

    def _list_audience(self, request: ListAudience) -> list[int]:
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
                f" AND (number IN (SELECT other FROM contact WHERE member = ?1) OR number IN ({_ROOMMATES}))"
                f" AND {_NOT_BLOCKED.format('o.number')}",
                member,
                peer.decode(errors="replace"),
            )
        return self._first(f"{_WRITTEN_TO} ORDER BY other", f"{_SEEING_ROOMMATES} ORDER BY member", member)

    def keep_audience(self, member: int, time: float) -> None:
        """Remember who can see a member that is about to be removed."""
        for other in self._list_audience(ListAudience(member, b"")):
            self._tables.direct("INSERT INTO farewell VALUES (?, ?, ?)", (member, other, time))

    def prune(self, time: float) -> None:
        """Forget the audiences of members that were removed long before a time, in seconds since 1970."""
        self._tables.direct("DELETE FROM farewell WHERE time < ?", (time - FAREWELL,))

    def _list_contacts(self, request: ListContacts) -> list[Contact]:
        box = self._ledger.mailbox(request.member)
        if box is None:
            return []
        found: list[tuple[str, Contact]] = []
        for number in self.contacts(box.number, request.room.lower()):
            folded, name, shown = self._tables.read(
                "SELECT folded, name, shown = 1 AND NOT EXISTS (SELECT 1 FROM conversation"
                " WHERE member = o.number AND peer = ? AND blocked = 1) FROM member o WHERE number = ?",
                (box.folded, number),
            ).fetchone()
            found.append((folded, Contact(number, name, bool(shown))))
        return [contact for _, contact in sorted(found, key=lambda each: each[0])]

    def is_contact(self, member: int, other: int) -> bool:
        """Tell whether another member is one of `contacts`, or would be if these were not limited."""
        row = self._tables.direct(
            "SELECT 1 FROM contact WHERE member = ?2 AND other = ?1"
            " UNION ALL SELECT 1 FROM room_member own CROSS JOIN room_member o ON o.room = own.room AND o.member = ?2"
            " WHERE own.member = ?1 LIMIT 1",
            (member, other),
        ).fetchone()
        return row is not None

    def contacts(self, member: int, room_name: bytes = b"") -> list[int]:
        """Return the numbers of the members in a room with a member and those who have written to it.

        There are 2,000 at most. Some of them may have blocked the member, or hide their presence.

        Args:
            member: the member.
            room_name: only those in this room, in lower case; empty for all.
        """
        if not room_name:
            return self._first(
                "SELECT member FROM contact WHERE other = ?1 ORDER BY member",
                f"SELECT DISTINCT member FROM ({_ROOMMATES}) AS mate ORDER BY member",
                member,
            )
        room = self._rooms.find(room_name, member)
        if room is None or member not in room.members:
            return []
        return sorted(room.others(member))[:SEEN_MOST]

    def _set_shown(self, request: SetShown) -> bool:
        direct = self._tables.direct
        if request.shown is not None:
            direct("UPDATE member SET shown = ? WHERE number = ?", (int(request.shown), request.member))
        row = direct("SELECT shown FROM member WHERE number = ?", (request.member,)).fetchone()
        return bool(row and row[0])

    def _first(self, preferred: str, others: str, member: int) -> list[int]:
        """Return the members that two queries find for a member, those of the first in front of too many."""
        limit = f" LIMIT {SEEN_MOST}"
        return first_of(self._numbers(preferred + limit, member), self._numbers(others + limit, member))

    def _numbers(self, query: str, *parameters: object) -> list[int]:
        return [number for (number,) in self._tables.direct(query, parameters)]
