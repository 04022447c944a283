"""Requests about rooms, and what is told of them (docs/protocol.md, section 12). The rules are in rooms.py."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

from twotick.store.port import Refusal
from twotick.store.requests.messages import Effects, EntryKind, LogEntry, MessageState
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
    RoomInfo,
    RoomMemberInfo,
    RoomRole,
    SetRoomRole,
)
from twotick.store.rules.rooms import NO_MEMBER, Membership, NotAllowed, RoomEvent, RoomState, created, known
from twotick.store.sqlite.logs import Logs, Mailbox

# In Python 3.11 it takes long to find a member of an enumeration.
_RECEIVED_ENTRY: Final = EntryKind.RECEIVED
_ACCEPTED: Final = MessageState.ACCEPTED

_T = TypeVar("_T")


class RoomRepository:
    """Carries out requests about rooms. Each method that takes one carries it out; see there.

    Those methods raise NotAllowed instead of answering with a Refusal.
    """

    def __init__(self, logs: Logs):
        self._logs = logs

    # Finding and keeping

    def find(self, name: bytes) -> RoomState | None:
        """The room with a name, in any case."""
        logs = self._logs
        key = name.lower()
        room = logs.rooms.get(key)
        if room is not None:
            return room
        row = logs.execute(
            "SELECT number, name, public, topic, last, open_from FROM room WHERE folded = ?",
            (key.decode(errors="replace"),),
        ).fetchone()
        if row is None:
            return None
        number, shown, public, topic, last, open_from = row
        room = RoomState(shown.encode(), bool(public), topic, last, open_from)
        room.number = number
        for member, role, since, seen_from in logs.execute(
            "SELECT member, role, since, seen_from FROM room_member WHERE room = ?", (number,)
        ):
            room.members[member] = Membership(RoomRole(role), since, seen_from)
        room.invited.update(
            member for (member,) in logs.execute("SELECT member FROM room_invitation WHERE room = ?", (number,))
        )
        logs.remember(room, len(room.members))
        return room

    def known(self, name: str, member: int) -> RoomState:
        """The room with a name, in any case, if a member may know of it.

        Raises:
            NotAllowed: there is none, or it must look so.
        """
        return known(self.find(name.encode(errors="replace")), member)

    def _keep(self, room: RoomState) -> None:
        """Write down what was changed in a room."""
        logs = self._logs
        for member in room.touched:
            membership = room.members.get(member)
            if membership is None:
                logs.execute("DELETE FROM room_member WHERE room = ? AND member = ?", (room.number, member))
            else:
                logs.execute(
                    "INSERT INTO room_member VALUES (?, ?, ?, ?, ?)"
                    " ON CONFLICT (room, member) DO UPDATE SET role = excluded.role",
                    (room.number, member, int(membership.role), membership.since, membership.seen_from),
                )
            if member in room.invited:
                logs.execute("INSERT OR IGNORE INTO room_invitation VALUES (?, ?)", (room.number, member))
            else:
                logs.execute("DELETE FROM room_invitation WHERE room = ? AND member = ?", (room.number, member))
        logs.remember(room, len(room.touched))
        room.touched.clear()
        logs.execute(
            "UPDATE room SET public = ?, topic = ?, open_from = ? WHERE number = ?",
            (int(room.public), room.topic, room.open_from, room.number),
        )
        if not room.members:  # what was sent to it is still in logs, and shows its name
            logs.execute("UPDATE room SET folded = NULL WHERE number = ?", (room.number,))
            logs.execute("DELETE FROM room_invitation WHERE room = ?", (room.number,))
            del logs.rooms[room.key]

    def _rooms_of(self, member: int) -> int:
        """How many rooms a member is in."""
        (count,) = self._logs.execute("SELECT count(*) FROM room_member WHERE member = ?", (member,)).fetchone()
        return int(count)

    def _member(self, number: int) -> Mailbox:
        box = self._logs.mailbox(number)
        if box is None:
            raise NotAllowed("you are not a member any more")
        return box

    def _other(self, name: str) -> Mailbox:
        row = self._logs.execute("SELECT number FROM member WHERE folded = ?", (name.lower(),)).fetchone()
        box = self._logs.mailbox(row[0]) if row else None
        if box is None:
            raise NotAllowed(NO_MEMBER)
        return box

    # Telling

    def tell(
        self,
        event: RoomEvent,
        actor: str,
        peer: bytes | None,
        time: float,
        outcome: Effects,
        room: RoomState | None = None,
    ) -> None:
        """Tell members what has happened (rule 12.8).

        Args:
            event: what has happened, and to whom it is told.
            actor: the name of who did it.
            peer: whose conversation it belongs to; None for nobody's.
            time: now, in seconds since 1970.
            outcome: takes what they are told.
            room: where it has happened, if it is told there.
        """
        logs = self._logs
        boxes: list[Mailbox] = []
        for member in event.members:
            box = logs.mailbox(member)
            if box is not None and not logs.is_full(box, 0):
                boxes.append(box)
        number, place, shown = None, 0, b""
        if room is not None:
            room.last = place = room.last + 1
            number, shown = room.number, room.name
        elif not boxes:
            return
        headers = event.headers(time)
        message = logs.new_message(
            None,
            actor.encode(),
            b"",
            shown or boxes[0].name.encode(),
            time,
            None,
            False,
            len(boxes),
            0,
            "",
            headers,
            b"",
            number,
            place,
        )
        for box in boxes:
            seq = logs.receive(box, message, peer, 0)
            outcome.entries.append(
                LogEntry(
                    box.number,
                    seq,
                    _RECEIVED_ENTRY,
                    message.number,
                    actor.encode(),
                    id=b"",
                    headers=headers,
                    body=b"",
                    device=b"",
                    up_to=0,
                    reason="",
                    state=_ACCEPTED,
                    time=time,
                    room=shown,
                    place=place,
                )
            )
        if not message.waiting:
            logs.conclude(message, outcome)

    def _changed(self, room: RoomState, box: Mailbox, events: list[RoomEvent], time: float) -> RoomChanged:
        """Write down what somebody has done in a room, and tell it."""
        outcome = Effects()
        self._tell_all(room, box, events, time, outcome)
        return RoomChanged(room.seen_by(box.number), outcome)

    def _tell_all(self, room: RoomState, box: Mailbox, events: list[RoomEvent], time: float, outcome: Effects) -> None:
        for event in events:
            if event.placed:
                self.tell(event, box.name, room.key, time, outcome, room)
            else:
                self.tell(event, box.name, box.folded, time, outcome)
        self._keep(room)

    # Requests

    def create(self, request: CreateRoom) -> RoomChanged:
        """Make a room."""
        logs = self._logs
        box = self._member(request.member)
        if self.find(request.room.encode(errors="replace")) is not None:
            raise NotAllowed(f"there is a room {request.room} already")
        rooms = self._rooms_of(box.number)
        room, events = created(
            request.room, request.public, request.topic, box.number, request.time, rooms, logs.limits
        )
        number = logs.execute(
            "INSERT INTO room (name, folded, public, topic, open_from) VALUES (?, ?, ?, ?, ?)",
            (room.name.decode(), room.key.decode(), int(room.public), room.topic, room.open_from),
        ).lastrowid
        assert number is not None
        room.number = number
        return self._changed(room, box, events, request.time)

    def join(self, request: JoinRoom) -> RoomChanged:
        """Be in a room."""
        box = self._member(request.member)
        room = self.known(request.room, box.number)
        events = room.join(box.number, request.time, self._rooms_of(box.number), self._logs.limits)
        return self._changed(room, box, events, request.time)

    def leave(self, request: LeaveRoom) -> RoomChanged:
        """Be in a room no longer."""
        box = self._member(request.member)
        room = self.known(request.room, box.number)
        return self._changed(room, box, room.leave(box.number), request.time)

    def change(self, request: ChangeRoom) -> RoomChanged:
        """Change the topic, or who may join."""
        box = self._member(request.member)
        room = self.known(request.room, box.number)
        events = room.change(box.number, request.public, request.topic)
        return self._changed(room, box, events, request.time)

    def invite(self, request: InviteToRoom) -> RoomChanged:
        """Let another member join."""
        box = self._member(request.member)
        room = self.known(request.room, box.number)
        other = self._other(request.other)
        events = room.invite(
            box.number, other.number, other.name.encode(), box.folded in other.blocked, self._logs.limits
        )
        return self._changed(room, box, events, request.time)

    def remove(self, request: RemoveFromRoom) -> RoomChanged:
        """Remove another member, or take an invitation back."""
        box = self._member(request.member)
        room = self.known(request.room, box.number)
        other = self._other(request.other)
        events = room.remove(box.number, other.number, other.name.encode())
        return self._changed(room, box, events, request.time)

    def appoint(self, request: SetRoomRole) -> RoomChanged:
        """Give another member a role."""
        box = self._member(request.member)
        room = self.known(request.room, box.number)
        other = self._other(request.other)
        events = room.appoint(box.number, other.number, other.name.encode(), request.role)
        return self._changed(room, box, events, request.time)

    def look(self, request: GetRoom) -> RoomChanged:
        """See what a room is like."""
        return RoomChanged(self.known(request.room, request.member).seen_by(request.member), Effects())

    def members(self, request: ListRoomMembers) -> list[RoomMemberInfo]:
        """See who is in a room."""
        room = self.known(request.room, request.member)
        names = dict(
            self._logs.execute(
                "SELECT m.number, m.name FROM room_member r JOIN member m ON m.number = r.member WHERE r.room = ?",
                (room.number,),
            )
        )
        return [
            RoomMemberInfo(names[member], room.members[member].role, room.members[member].since)
            for member in room.longest()
        ]

    def rooms(self, request: ListRooms) -> list[RoomInfo]:
        """See which rooms there are."""
        rows = self._logs.execute(
            "SELECT name, public, topic, (SELECT count(*) FROM room_member WHERE room = number), role, invited FROM ("
            " SELECT r.number, r.name, r.public, r.topic, r.folded, ifnull(o.role, 0) AS role,"
            " i.member IS NOT NULL AS invited FROM room r"
            " LEFT JOIN room_member o ON o.room = r.number AND o.member = ?1"
            " LEFT JOIN room_invitation i ON i.room = r.number AND i.member = ?1"
            " WHERE r.folded IS NOT NULL AND (r.public OR o.member IS NOT NULL OR i.member IS NOT NULL)"
            " ORDER BY o.member IS NULL AND i.member IS NULL, r.folded LIMIT ?2)"
            " ORDER BY role = 0 AND NOT invited, folded",
            (request.member, request.most),
        )
        return [
            RoomInfo(name, bool(public), topic, members, RoomRole(role), bool(invited))
            for name, public, topic, members, role, invited in rows
        ]

    def remove_member(self, box: Mailbox, time: float, outcome: Effects) -> None:
        """Let a member who is removed leave its rooms (rule 12.4)."""
        for (name,) in self._logs.execute(
            "SELECT r.folded FROM room r WHERE number IN (SELECT room FROM room_member WHERE member = ?1"
            " UNION SELECT room FROM room_invitation WHERE member = ?1) ORDER BY r.folded",
            (box.number,),
        ).fetchall():
            room = self.find(name.encode())
            assert room is not None, "a room that is gone has no members"
            self._tell_all(room, box, room.remove_from_server(box.number), time, outcome)


def refusing(handler: Callable[[Any], _T]) -> Callable[[Any], _T | Refusal]:
    """A handler of requests that answers with a Refusal where the other one raises NotAllowed."""

    def handle(request: Any) -> _T | Refusal:
        try:
            return handler(request)
        except NotAllowed as error:
            return Refusal(str(error))

    return handle
