"""What guests in rooms are given (docs/protocol.md, rules 12.12 to 12.15)."""

from typing import Final

from twotick.store.requests.guest_rooms import (
    CheckPutOut,
    FetchRoom,
    FindGuestRoom,
    FindRoomMembers,
    GuestRoom,
    ListGuestRoomMembers,
    ListGuestRooms,
    RoomPart,
)
from twotick.store.requests.messages import Append, Duplicate, EntryKind, LogEntry, MessageState
from twotick.store.requests.rooms import RoomDescription, RoomMemberInfo, RoomRole
from twotick.store.rules.guests import is_repeated
from twotick.store.sqlite.handlers import Handlers, refusing
from twotick.store.sqlite.ledger import Ledger
from twotick.store.sqlite.rooms import RoomRepository

_COMPARED: Final = 64
"""The messages with an Id with which a new message of a guest is compared (rule 12.14)."""

_GUEST: Final = 0
"""In place of a member's number: no member has it."""


class GuestRoomRepository:
    """Carries out requests about rooms for guests.

    Args:
        ledger: the logs.
        rooms: the rooms.
    """

    def __init__(self, ledger: Ledger, rooms: RoomRepository):
        self._tables = ledger.tables
        self._rooms = rooms

    def handlers(self) -> Handlers:
        """Return the requests that are carried out here."""
        return {
            FindGuestRoom: refusing(self._find),
            ListGuestRooms: self._list,
            ListGuestRoomMembers: refusing(self._list_members),
            FetchRoom: self._fetch,
            FindRoomMembers: self._find_members,
            CheckPutOut: refusing(self._check_put_out),
        }

    def duplicate(self, request: Append) -> Duplicate | None:
        """Return what a guest of the same name has sent to the room with the same Id; None for nothing (rule 12.14)."""
        rows = self._tables.read(
            "SELECT m.number, m.sender_name, m.place, c.headers, c.body FROM message m"
            " CROSS JOIN content c ON c.message = m.number WHERE m.sender IS NULL AND m.room = ? AND m.id = ?"
            " AND m.id <> x'' ORDER BY m.number DESC LIMIT ?",
            (request.into, request.id, _COMPARED),
        ).fetchall()
        for number, name, place, headers, body in rows:
            same = is_repeated(request, bytes(name), bytes(headers), bytes(body))
            if same is not None:
                return Duplicate(number, same, MessageState.ACCEPTED, "", place=place, headers=bytes(headers))
        return None

    def _find(self, request: FindGuestRoom) -> GuestRoom:
        room = self._rooms.letting_guests_in(request.room.encode(errors="replace"))
        return GuestRoom(room.number, room.seen_by(_GUEST), room.last)

    def _list(self, request: ListGuestRooms) -> list[RoomDescription]:
        rows = self._tables.direct(
            "SELECT name, topic, (SELECT count(*) FROM room_member o WHERE o.room = r.number) FROM room r"
            " WHERE guests = 1 AND folded IS NOT NULL ORDER BY folded LIMIT ?",
            (request.most,),
        ).fetchall()
        return [
            RoomDescription(name, True, topic, members, RoomRole.NONE, invited=False, guests=True)
            for name, topic, members in rows
        ]

    def _list_members(self, request: ListGuestRoomMembers) -> list[RoomMemberInfo]:
        return self._rooms.members_of(self._rooms.letting_guests_in(request.room.encode(errors="replace")))

    def _fetch(self, request: FetchRoom) -> RoomPart:
        row = self._tables.read(
            "SELECT name, last, guests = 1 AND folded IS NOT NULL FROM room WHERE number = ?", (request.number,)
        ).fetchone()
        if row is None or not row[2]:
            return RoomPart([], 0, 0, is_open=False)
        shown, last = row[0].encode(), row[1]
        entries: list[LogEntry] = []
        size, up_to = 0, last
        for number, name, ident, time, place, headers, body in self._tables.read(
            "SELECT m.number, m.sender_name, m.id, m.time, m.place, c.headers, c.body"
            " FROM message m INDEXED BY message_place CROSS JOIN content c ON c.message = m.number"
            " WHERE m.room = ? AND m.place > ? AND (m.expires IS NULL OR m.expires > ?) ORDER BY m.place LIMIT ?",
            (request.number, request.after, request.time, request.most),
        ).fetchall():
            if size >= request.size:
                break
            size += len(body)
            up_to = place
            entries.append(
                LogEntry(
                    *(0, 0, EntryKind.RECEIVED, number, bytes(name)),
                    id=bytes(ident),
                    headers=bytes(headers),
                    body=bytes(body),
                    time=time,
                    room=shown,
                    place=place,
                )
            )
        return RoomPart(entries, up_to if len(entries) == request.most or size >= request.size else last, last, True)

    def _find_members(self, request: FindRoomMembers) -> list[int]:
        rows = self._tables.direct("SELECT member FROM room_member WHERE room = ? ORDER BY member", (request.number,))
        return [member for (member,) in rows]

    def _check_put_out(self, request: CheckPutOut) -> RoomDescription:
        room = self._rooms.known(request.room, request.member)
        room.check_may_put_out(request.member)
        return room.seen_by(request.member)
