"""Requests about rooms, in memory (docs/protocol.md, section 12)."""

from twotick.store.memory_logs import Logs
from twotick.store.memory_mailboxes import Mailbox, RoomLog
from twotick.store.memory_messages import Messages
from twotick.store.records import Outcome, Refusal
from twotick.store.room_records import (
    Appoint,
    ChangeRoom,
    CreateRoom,
    InviteToRoom,
    JoinRoom,
    LeaveRoom,
    LookAtRoom,
    RemoveFromRoom,
    Room,
    RoomChanged,
    RoomMember,
    RoomMembers,
    Rooms,
)
from twotick.store.rooms import NO_MEMBER, NO_ROOM, Event, NotAllowed, created, known

_Change = CreateRoom | JoinRoom | LeaveRoom | ChangeRoom | InviteToRoom | RemoveFromRoom | Appoint


class RoomKeeper:
    """Carries out requests about rooms. Each method carries out the request that it takes; see there."""

    def __init__(self, logs: Logs, messages: Messages) -> None:
        self._logs = logs
        self._messages = messages

    def change(self, request: _Change) -> RoomChanged | Refusal:
        """Make a room, or do something in it that is told to its members."""
        try:
            own = self._member(request.member)
            if isinstance(request, CreateRoom):
                room, events = self._create(request, own)
            else:
                room = self._known(request.room, own.number)
                events = self._do(request, own, room)
        except NotAllowed as refusal:
            return Refusal(str(refusal))
        outcome = Outcome()
        self._tell(room, events, own.member.name, request.time, outcome)
        return RoomChanged(room.state.seen_by(own.number), outcome)

    def look_at(self, request: LookAtRoom) -> RoomChanged | Refusal:
        """Show a room."""
        try:
            room = self._known(request.room, request.member)
        except NotAllowed as refusal:
            return Refusal(str(refusal))
        return RoomChanged(room.state.seen_by(request.member), Outcome())

    def rooms(self, request: Rooms) -> list[Room]:
        """List the rooms that a member may know of."""
        member = request.member
        known = [room.state for room in self._logs.rooms.values() if room.state.is_known_to(member)]
        known.sort(key=lambda room: (member not in room.members and member not in room.invited, room.key))
        return [room.seen_by(member) for room in known[: request.most]]

    def members(self, request: RoomMembers) -> list[RoomMember] | Refusal:
        """List the members of a room."""
        try:
            state = self._known(request.room, request.member).state
        except NotAllowed as refusal:
            return Refusal(str(refusal))
        listed: list[RoomMember] = []
        for member in state.longest():
            membership = state.members[member]
            listed.append(RoomMember(self._logs.mailboxes[member].member.name, membership.role, membership.since))
        return listed

    def remove_from_server(self, box: Mailbox, time: float, outcome: Outcome) -> None:
        """A member leaves its rooms and loses its invitations, since it is removed."""
        for _, room in sorted(self._logs.rooms.items()):
            events = room.state.remove_from_server(box.number)
            self._tell(room, events, box.member.name, time, outcome)

    def _member(self, number: int) -> Mailbox:
        """The member who asks."""
        box = self._logs.mailboxes.get(number)
        if box is None:
            raise NotAllowed("you are not a member any more")
        return box

    def _known(self, name: str, member: int) -> RoomLog:
        """The room with a name, if it is there for a member."""
        room = self._logs.rooms.get(name.encode(errors="replace").lower())
        if room is None:
            raise NotAllowed(NO_ROOM)
        known(room.state, member)
        return room

    def _create(self, request: CreateRoom, own: Mailbox) -> tuple[RoomLog, list[Event]]:
        logs = self._logs
        if request.room.encode(errors="replace").lower() in logs.rooms:
            raise NotAllowed(f"there is a room {request.room} already")
        state, events = created(
            request.room, request.public, request.topic, own.number, request.time, len(own.rooms), logs.limits
        )
        room = logs.rooms[state.key] = RoomLog(state)
        return room, events

    def _do(
        self,
        request: JoinRoom | LeaveRoom | ChangeRoom | InviteToRoom | RemoveFromRoom | Appoint,
        own: Mailbox,
        room: RoomLog,
    ) -> list[Event]:
        """Do something in a room that is there. Returns what is told."""
        state, limits = room.state, self._logs.limits
        if isinstance(request, JoinRoom):
            return state.join(own.number, request.time, len(own.rooms), limits)
        if isinstance(request, LeaveRoom):
            return state.leave(own.number)
        if isinstance(request, ChangeRoom):
            return state.change(own.number, request.public, request.topic)
        other = self._logs.names.get(request.other.lower())
        if other is None:
            raise NotAllowed(NO_MEMBER)
        name = other.member.name.encode()
        if isinstance(request, InviteToRoom):
            is_blocked = own.member.name.lower().encode() in other.blocked
            return state.invite(own.number, other.number, name, is_blocked, limits)
        if isinstance(request, RemoveFromRoom):
            return state.remove(own.number, other.number, name)
        return state.appoint(own.number, other.number, name, request.role)

    def _tell(self, room: RoomLog, events: list[Event], name: str, time: float, outcome: Outcome) -> None:
        """Keep what has changed in a room, and tell it."""
        state, logs = room.state, self._logs
        for member in state.touched:
            box = logs.mailboxes[member]
            if member in state.members:
                box.rooms[state.key] = room
            else:
                box.rooms.pop(state.key, None)
        state.touched.clear()
        for event in events:
            if event.placed:
                self._messages.tell(event, name.encode(), state.name, room, time, outcome)
            else:
                to = logs.mailboxes[event.members[0]].member.name.encode()
                self._messages.tell(event, name.encode(), to, None, time, outcome)
        if not state.members:
            self._drop(room)

    def _drop(self, room: RoomLog) -> None:
        """A room without members is gone. What was sent to it stays in the logs that have it."""
        del self._logs.rooms[room.state.key]
        for message in room.messages:
            if message is not None and message.special is not None:
                message.special.room = None
                self._logs.remove_if_unused(message)
