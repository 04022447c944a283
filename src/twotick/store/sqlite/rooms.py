"""Rooms, and the events that tell of them (docs/protocol.md, section 12). The rules are in rules/rooms.py."""

# ruff: noqa: S608 - statements are put together from constants of this module, never from input

from dataclasses import replace
from typing import Final

from twotick.store.requests.messages import Effects, Unfinished
from twotick.store.requests.rooms import (
    ChangeRoom,
    CreateRoom,
    GetRoom,
    InviteToRoom,
    JoinRoom,
    LeaveRoom,
    ListRoomMembers,
    ListRooms,
    RemoveFromRoom,
    RoomChanged,
    RoomDescription,
    RoomMemberInfo,
    RoomRole,
    SetRoomRole,
)
from twotick.store.rules import delivery
from twotick.store.rules.delivery import UNREAD_NONE, Mailbox
from twotick.store.rules.errors import NO_MEMBER, NO_ROOM, NOT_A_MEMBER, NotAllowed
from twotick.store.rules.rooms import Membership, RoomEvent, RoomState, created, joined_stays, known
from twotick.store.sqlite.handlers import Handlers, refusing
from twotick.store.sqlite.ledger import COUNT_WORK, Ledger, NewMessage

_KEEP_MEMBER: Final = (
    "INSERT INTO room_member VALUES (?, ?, ?, ?, ?) ON CONFLICT (room, member) DO UPDATE SET role = excluded.role"
)
_KEEP_INVITATION: Final = (
    "INSERT INTO room_invitation VALUES (?, ?, ?) ON CONFLICT (room, member) DO UPDATE SET hidden = excluded.hidden"
)

_COUNTED_AT_ONCE: Final = 50_000
"""The members of rooms that a list of rooms counts in one transaction, in some milliseconds."""

_MEANINGS: Final = (
    "SELECT r.number FROM room_member o CROSS JOIN room r ON r.number = o.room"
    " WHERE o.member = :member AND r.folded = :name",
    "SELECT r.number FROM room_invitation i CROSS JOIN room r ON r.number = i.room"
    " WHERE i.member = :member AND i.hidden = 0 AND r.folded = :name",
    "SELECT number FROM room WHERE folded = :name AND public = 1",
)
"""How the number of the room is found that a name means to a member, in the order of the meanings."""

_OWN_NAMES: Final = (
    "SELECT folded FROM room WHERE folded IS NOT NULL AND number IN (SELECT room FROM room_member WHERE member = ?1"
    " UNION SELECT room FROM room_invitation WHERE member = ?1 AND hidden = 0)"
)
"""The names of the rooms that a member is in or invited to."""


class RoomRepository:
    """Carries out requests about rooms.

    Args:
        ledger: the logs, to which events are appended.
    """

    def __init__(self, ledger: Ledger):
        self._ledger = ledger
        self._tables = ledger.tables
        self._cache = ledger.tables.cache

    def handlers(self) -> Handlers:
        """Return the requests that are carried out here."""
        return {
            CreateRoom: refusing(self._create),
            JoinRoom: refusing(self._join),
            LeaveRoom: refusing(self._leave),
            ChangeRoom: refusing(self._change),
            InviteToRoom: refusing(self._invite),
            RemoveFromRoom: refusing(self._remove),
            SetRoomRole: refusing(self._set_role),
            GetRoom: refusing(self._get),
            ListRoomMembers: refusing(self._list_members),
            ListRooms: self._list,
        }

    # Loading and writing

    def find(self, name: bytes, member: int) -> RoomState | None:
        """Return the room that a name means to a member, in any case; None if the member knows of none.

        Several rooms may have one name, of which only one is public (rule 12.1). To a member the name means the room
        that the member is in, else the one that the member is invited to, else the public one.
        """
        key = name.lower()
        number = self._cache.room_names.get(key, {}).get(member) or self._number(key, member)
        if number is None:
            return None
        self._cache.note_room_name(key, member, number)
        return self._load(number)

    def numbered(self, number: int) -> RoomState:
        """Return the room with a number, which may be gone: then it has no members.

        Raises:
            NotAllowed: it is gone, and so is all that was sent to it.
        """
        if (
            number not in self._cache.rooms
            and self._tables.direct("SELECT 1 FROM room WHERE number = ?", (number,)).fetchone() is None
        ):
            raise NotAllowed(NO_ROOM)
        return self._load(number)

    def letting_guests_in(self, name: bytes) -> RoomState:
        """Return the room of this name, in any case, that lets guests in (rule 12.12).

        Raises:
            NotAllowed: there is none.
        """
        row = self._tables.direct(
            "SELECT number FROM room WHERE folded = ? AND public = 1", (name.lower().decode(errors="replace"),)
        ).fetchone()
        if row is None:
            raise NotAllowed(NO_ROOM)
        room = self._load(row[0])
        room.check_lets_guests_in()
        return room

    def _number(self, key: bytes, member: int) -> int | None:
        folded = key.decode(errors="replace")
        for query in _MEANINGS:
            row = self._tables.direct(query, {"name": folded, "member": member}).fetchone()
            if row is not None:
                return int(row[0])
        return None

    def _load(self, number: int) -> RoomState:
        room = self._cache.rooms.get(number)
        if room is not None:
            return room
        # Nothing of a room that is not in the cache waits: the cache is forgotten only when nothing waits.
        direct = self._tables.direct
        shown, public, topic, last, open_from, all_pin, guests = direct(
            "SELECT name, public, topic, last, open_from, all_pin, guests FROM room"
            f" WHERE number = ?{self._tables.row_lock}",
            (number,),
        ).fetchone()
        room = RoomState(shown.encode(), bool(public), topic, last, open_from)
        room.all_pin = bool(all_pin)
        room.guests = bool(guests)
        room.number = number
        for member, role, since, seen_from, is_bot in direct(
            "SELECT o.member, o.role, o.since, o.seen_from, m.bot FROM room_member o"
            " CROSS JOIN member m ON m.number = o.member WHERE o.room = ?",
            (number,),
        ):
            room.members[member] = Membership(RoomRole(role), since, seen_from, bool(is_bot))
        for member, is_hidden in direct("SELECT member, hidden FROM room_invitation WHERE room = ?", (number,)):
            (room.unaware if is_hidden else room.invited).add(member)
        self._cache.add_room(room, len(room.members))
        return room

    def known(self, name: str, member: int) -> RoomState:
        """Return the room with a name, in any case, if a member may know of it.

        Raises:
            NotAllowed: there is none, or it must look so.
        """
        return known(self.find(name.encode(errors="replace"), member), member)

    def _keep(self, room: RoomState) -> None:
        """Write what was changed in a room."""
        direct = self._tables.direct
        for member in room.touched:
            membership = room.members.get(member)
            if membership is None:
                self._note_stay(room, member)
                direct("DELETE FROM room_member WHERE room = ? AND member = ?", (room.number, member))
            else:
                row = room.number, member, int(membership.role), membership.since, membership.seen_from
                direct(_KEEP_MEMBER, row)
            if member in room.invited or member in room.unaware:
                invitation = room.number, member, int(member in room.unaware)
                direct(_KEEP_INVITATION, invitation)
            else:
                direct("DELETE FROM room_invitation WHERE room = ? AND member = ?", (room.number, member))
        self._cache.add_room(room, len(room.touched))
        self._cache.room_names.pop(room.key, None)
        room.touched.clear()
        direct(
            "UPDATE room SET public = ?, topic = ?, open_from = ?, all_pin = ?, guests = ? WHERE number = ?",
            (int(room.public), room.topic, room.open_from, int(room.all_pin), int(room.guests), room.number),
        )
        if not room.members:  # its messages are still in logs, and show its name
            direct("UPDATE room SET folded = NULL WHERE number = ?", (room.number,))
            direct("DELETE FROM room_invitation WHERE room = ?", (room.number,))
            del self._cache.rooms[room.number]

    def _note_stay(self, room: RoomState, member: int) -> None:
        """Note when a member was in a room that it leaves: what was sent meanwhile stays in its log."""
        direct = self._tables.direct
        row = direct(
            "SELECT seen_from FROM room_member WHERE room = ? AND member = ?", (room.number, member)
        ).fetchone()
        if row is None:
            return
        first, last = row[0], room.last
        stays = direct(
            "SELECT first, last FROM room_stay WHERE member = ? AND room = ? ORDER BY first", (member, room.number)
        ).fetchall()
        direct("DELETE FROM room_stay WHERE member = ? AND room = ?", (member, room.number))
        for stay in joined_stays([*stays, (first, last)]):
            direct("INSERT INTO room_stay VALUES (?, ?, ?, ?)", (member, room.number, *stay))

    def _is_other_public(self, room: RoomState) -> bool:
        """Tell whether another room of the same name is public."""
        row = self._tables.direct(
            "SELECT 1 FROM room WHERE folded = ? AND public = 1 AND number <> ?", (room.key.decode(), room.number)
        ).fetchone()
        return row is not None

    def _is_in_another(self, room: RoomState, member: int) -> bool:
        """Tell whether a member is in another room of the same name, or invited to one, of which others do not know."""
        found = self.find(room.key, member)
        return found is not None and found is not room and (member in found.members or member in found.invited)

    def _rooms_of(self, member: int) -> int:
        """Return how many rooms a member is in."""
        (count,) = self._tables.direct("SELECT count(*) FROM room_member WHERE member = ?", (member,)).fetchone()
        return int(count)

    def _member(self, number: int) -> Mailbox:
        box = self._ledger.mailbox(number)
        if box is None:
            raise NotAllowed(NOT_A_MEMBER)
        return box

    def _other(self, name: str) -> Mailbox:
        box = self._ledger.mailbox_named(name.encode(errors="replace"))
        if box is None:
            raise NotAllowed(NO_MEMBER)
        return box

    # Events

    def tell(
        self,
        event: RoomEvent,
        actor: Mailbox,
        time: float,
        effects: Effects,
        *,
        peer: bytes | None,
        room: RoomState | None = None,
    ) -> None:
        """Append an event to the logs of the members who are told (rule 12.8).

        Args:
            event: the event.
            actor: the member who caused it.
            time: now, in seconds since 1970.
            effects: takes the entries.
            peer: the conversation that the event belongs to; None for none.
            room: the room in which it is told; None if one member alone is told.
        """
        ledger = self._ledger
        most_work = self._tables.work + COUNT_WORK
        key = b"" if room is None else room.key
        boxes = [
            box for member in event.members if (box := self._box_for(member, event, actor, most_work, key)) is not None
        ]
        if room is None and not boxes:
            return
        new = NewMessage(
            sender=None,
            sender_name=actor.name.encode(),
            recipient=boxes[0].name.encode() if room is None else room.name,
            headers=event.headers(time),
            body=b"",
            time=time,
            total=len(boxes),
            waiting=len(boxes),
            payer=actor.number,
        )
        if room is not None:
            new.room, new.room_name, new.place = room.number, room.name, room.next_place()
        message = ledger.add(new)
        if event.is_withheld:
            ledger.note_absent(boxes[0], message, actor.number, waits=True)
        else:
            effects.entries += [ledger.receive(box, message, new, peer, UNREAD_NONE) for box in boxes]
        if not message.waiting:
            ledger.conclude(message, effects)

    def _box_for(
        self, member: int, event: RoomEvent, actor: Mailbox, most_work: int, room_key: bytes
    ) -> Mailbox | None:
        """Return the mailbox of a member who is told an event; None if it takes no more of the member who acted.

        Args:
            member: the member.
            event: the event.
            actor: the member who acted.
            most_work: the work (see `Tables.work`) from which on no more is counted by senders; in a mailbox that was
                not counted, the share of the member who acted does not matter.
            room_key: the room in which it is told, in lower case; empty for none.
        """
        ledger, limits = self._ledger, self._ledger.limits
        box = ledger.mailbox(member)
        if box is None or not delivery.takes(box, room_key):
            return None
        if box is actor:
            return None if delivery.is_full(box, 0, limits) else box
        if event.is_withheld:
            ledger.count_shares(box)
        while self._tables.work < most_work and delivery.may_exceed_share(box, actor.folded, 0, limits):
            ledger.count_some(box)
        return None if delivery.why_full(box, actor.number, 0, limits, is_blocked=event.is_withheld) else box

    def _changed(self, room: RoomState, box: Mailbox, events: list[RoomEvent], time: float) -> RoomChanged:
        """Write what a member has done in a room, and tell of it."""
        effects = Effects()
        self._tell_all(room, box, events, time, effects)
        return RoomChanged(room.seen_by(box.number), effects)

    def _tell_all(self, room: RoomState, box: Mailbox, events: list[RoomEvent], time: float, effects: Effects) -> None:
        for event in events:
            if event.is_in_room:
                effects.rooms += (room.number,)
                self.tell(event, box, time, effects, peer=room.key, room=room)
            else:
                self.tell(event, box, time, effects, peer=box.folded)
        self._keep(room)

    # Requests

    def _create(self, request: CreateRoom) -> RoomChanged:
        box = self._member(request.member)
        if self.find(request.room.encode(errors="replace"), box.number) is not None:
            raise NotAllowed(f"there is a room {request.room} already")
        rooms, limits = self._rooms_of(box.number), self._ledger.limits
        room, events = created(
            *(request.room, request.public, request.topic, box.number, request.time, rooms, limits),
            guests=request.guests,
        )
        (room.number,) = self._tables.direct(
            "INSERT INTO room (name, folded, public, topic, open_from) VALUES (?, ?, ?, ?, ?) RETURNING number",
            (room.name.decode(), room.key.decode(), int(room.public), room.topic, room.open_from),
        ).fetchone()
        return self._changed(room, box, events, request.time)

    def _join(self, request: JoinRoom) -> RoomChanged:
        box = self._member(request.member)
        room = self.known(request.room, box.number)
        events = room.join(box.number, request.time, self._rooms_of(box.number), self._ledger.limits)
        return self._changed(room, box, events, request.time)

    def _leave(self, request: LeaveRoom) -> RoomChanged:
        box = self._member(request.member)
        room = self.known(request.room, box.number)
        return self._changed(room, box, room.leave(box.number), request.time)

    def _change(self, request: ChangeRoom) -> RoomChanged:
        box = self._member(request.member)
        room = self.known(request.room, box.number)
        if request.public and room.role(box.number) is RoomRole.OWNER and self._is_other_public(room):
            raise NotAllowed(f"there is a public room {room.name.decode()} already")
        events = room.change(box.number, request.public, request.topic, request.all_pin, request.guests)
        return self._changed(room, box, events, request.time)

    def _invite(self, request: InviteToRoom) -> RoomChanged:
        box = self._member(request.member)
        room = self.known(request.room, box.number)
        other = self._other(request.other)
        is_kept_from = box.folded in other.blocked or self._is_in_another(room, other.number)
        events = room.invite(box.number, other.number, other.name.encode(), is_kept_from, self._ledger.limits)
        return self._changed(room, box, events, request.time)

    def _remove(self, request: RemoveFromRoom) -> RoomChanged:
        box = self._member(request.member)
        room = self.known(request.room, box.number)
        other = self._other(request.other)
        events = room.remove(box.number, other.number, other.name.encode())
        return self._changed(room, box, events, request.time)

    def _set_role(self, request: SetRoomRole) -> RoomChanged:
        box = self._member(request.member)
        room = self.known(request.room, box.number)
        other = self._other(request.other)
        events = room.appoint(box.number, other.number, other.name.encode(), request.role)
        return self._changed(room, box, events, request.time)

    def _get(self, request: GetRoom) -> RoomChanged:
        return RoomChanged(self.known(request.room, request.member).seen_by(request.member), Effects())

    def _list_members(self, request: ListRoomMembers) -> list[RoomMemberInfo]:
        return self.members_of(self.known(request.room, request.member))

    def members_of(self, room: RoomState) -> list[RoomMemberInfo]:
        """Return the members of a room, those who joined first at the front."""
        names = dict(
            self._tables.direct(
                "SELECT m.number, m.name FROM room_member r JOIN member m ON m.number = r.member WHERE r.room = ?",
                (room.number,),
            )
        )
        return [
            RoomMemberInfo(names[member], room.members[member].role, room.members[member].since)
            for member in room.by_seniority()
        ]

    def _list(self, request: ListRooms) -> list[RoomDescription] | Unfinished:
        found = list(self._visible(request) if request.so_far is None else request.so_far)
        left = _COUNTED_AT_ONCE
        for index in range(request.counted, len(found)):
            if left <= 0:
                return Unfinished(replace(request, so_far=tuple(found), counted=index))
            number, room = found[index]
            (members,) = self._tables.direct("SELECT count(*) FROM room_member WHERE room = ?", (number,)).fetchone()
            found[index] = number, replace(room, members=members)
            left -= members
        return [room for _, room in found]

    def _visible(self, request: ListRooms) -> list[tuple[int, RoomDescription]]:
        """Return the rooms that a member may know of, each with its number and without the count of its members."""
        rows = self._tables.direct(
            "SELECT number, name, public, topic, role, invited, guests FROM ("
            " SELECT r.number, r.name, r.public, r.topic, r.folded, r.guests, ifnull(o.role, 0) AS role,"
            " i.member IS NOT NULL AS invited FROM room r"
            " LEFT JOIN room_member o ON o.room = r.number AND o.member = ?1"
            " LEFT JOIN room_invitation i ON i.room = r.number AND i.member = ?1 AND i.hidden = 0"
            " WHERE r.folded IS NOT NULL AND (o.member IS NOT NULL OR i.member IS NOT NULL"
            f" OR r.public = 1 AND r.folded NOT IN ({_OWN_NAMES}))"
            " ORDER BY o.member IS NULL AND i.member IS NULL, r.folded LIMIT ?2) AS visible"
            " ORDER BY role = 0 AND NOT invited, folded",
            (request.member, request.most),
        )
        return [
            (number, RoomDescription(name, bool(public), topic, 0, RoomRole(role), bool(invited), guests=bool(guests)))
            for number, name, public, topic, role, invited, guests in rows
        ]

    # Bots

    def let_in(self, name: str, box: Mailbox, time: float) -> str:
        """Let a bot into a room, and return the name of the room as it is shown.

        Raises:
            NotAllowed: there is no such room, several private ones have the name, or a limit is reached (rule 12.11).
        """
        room = self.find(name.encode(errors="replace"), box.number)
        if room is None:
            rows = self._tables.direct("SELECT number FROM room WHERE folded = ? LIMIT 2", (name,)).fetchall()
            if not rows:
                raise NotAllowed(f"{NO_ROOM} as {name}")
            if len(rows) > 1:
                raise NotAllowed(f"several private rooms are called {name}")
            room = self._load(rows[0][0])
        rooms, limits = self._rooms_of(box.number), self._ledger.limits
        self._changed(room, box, room.join(box.number, time, rooms, limits, is_bot=True), time)
        return room.name.decode()

    def let_out(self, name: str, box: Mailbox, time: float) -> None:
        """Let a bot out of a room, if it is in it."""
        room = self.find(name.encode(errors="replace"), box.number)
        if room is not None and box.number in room.members:
            self._changed(room, box, room.leave(box.number), time)

    def leave_one(self, box: Mailbox, time: float, effects: Effects) -> bool:
        """Let a member who is removed from the server leave a room (rule 12.4). Return whether there was one."""
        row = self._tables.direct(
            "SELECT number FROM room WHERE number IN (SELECT room FROM room_member WHERE member = ?1"
            " UNION SELECT room FROM room_invitation WHERE member = ?1) ORDER BY folded, number LIMIT 1",
            (box.number,),
        ).fetchone()
        if row is not None:
            room = self._load(row[0])
            self._tell_all(room, box, room.remove_from_server(box.number), time, effects)
        return row is not None
