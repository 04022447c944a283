"""Questions about rooms: ROOM, ROOMS and RECEIPTS (docs/protocol.md, section 12)."""

from functools import partial

from twotick.exchange.questions.question import LIST_MOST, InvalidQuestion, Question
from twotick.exchange.room_guests import guest_objects
from twotick.store import (
    ChangeRoom,
    CheckPutOut,
    CreateRoom,
    GetRoom,
    InviteToRoom,
    JoinRoom,
    LeaveRoom,
    ListReceipts,
    ListRoomMembers,
    ListRooms,
    MessageState,
    RecipientOutcome,
    Refusal,
    RemoveFromRoom,
    Request,
    RoomChanged,
    RoomDescription,
    RoomMemberInfo,
    RoomRole,
    SetRoomRole,
)
from twotick.wire import time_text

_ROLES = {b"member": RoomRole.MEMBER, b"moderator": RoomRole.MODERATOR, b"owner": RoomRole.OWNER}


def ask_room(question: Question) -> None:
    """Answer ROOM: show a room, or do something with it (rules 12.2 and 12.3)."""
    name = question.head.name.decode("ascii", "replace")
    do = question.head.headers.get(b"do")
    if do == b"members":
        _ask_members(question, name)
        return
    if do == b"remove" and _other(question).encode().lower() in _guests_in(question):
        question.ask(CheckPutOut(question.member, name), partial(_put_out, question))
        return
    question.ask(_room_request(question, name, do), partial(_room, question))
    if do == b"join":
        question.context.presence.join(question.member, question.head.key)


def _room_request(question: Question, name: str, do: bytes | None) -> Request[RoomChanged | Refusal]:
    """Return the request for what a ROOM does, which is the value of its header Do."""
    member, now = question.member, question.now
    match do:
        case None:
            return GetRoom(member, name)
        case b"create":
            return CreateRoom(
                *(member, name, _public(question) or False, question.text(b"topic") or "", now),
                guests=question.yes_or_no(b"guests") or False,
            )
        case b"join":
            return JoinRoom(member, name, now)
        case b"leave":
            return LeaveRoom(member, name, now)
        case b"change":
            pinning = question.choice(b"pinning", b"members", b"moderators")
            all_pin = None if pinning is None else pinning == b"members"
            guests = question.yes_or_no(b"guests")
            return ChangeRoom(member, name, _public(question), question.text(b"topic"), now, all_pin, guests)
        case b"invite":
            return InviteToRoom(member, name, _other(question), now)
        case b"remove":
            return RemoveFromRoom(member, name, _other(question), now)
        case b"appoint":
            question.required(b"role")
            role = _ROLES[question.choice(b"role", *_ROLES) or b"member"]
            return SetRoomRole(member, name, _other(question), role, now)
        case _:
            raise InvalidQuestion("Do is create, join, leave, change, invite, remove, appoint or members")


def ask_rooms(question: Question) -> None:
    """Answer ROOMS: the rooms that the member is in, is invited to or can join (rule 12.3).

    With Guests, the device is told of guests from now on (rule 12.15).
    """
    if question.yes_or_no(b"guests") and question.device.feed is not None:
        question.context.room_guests.watch(question.connection, question.device)
    question.ask(ListRooms(question.member, LIST_MOST), partial(_rooms, question))


def ask_receipts(question: Question) -> None:
    """Answer RECEIPTS: what has become of a message for each recipient (rule 12.7)."""
    request = ListReceipts(question.member, question.head.key, question.required(b"id"))
    question.ask(request, partial(_receipts, question))


def role_name(role: RoomRole) -> str:
    """Return a role as answers have it."""
    return role.name.lower()


def _public(question: Question) -> bool | None:
    access = question.choice(b"access", b"public", b"private")
    return None if access is None else access == b"public"


def _other(question: Question) -> str:
    return question.required(b"member").decode("ascii", "replace")


def _room(question: Question, changed: RoomChanged) -> list[bytes]:
    return [_shown(question, changed.room)]


def _shown(question: Question, room: RoomDescription) -> bytes:
    return question.answer(
        access=b"public" if room.public else b"private",
        role=role_name(room.role).encode(),
        members=room.members,
        topic=room.topic.encode() or None,
        pinning=b"members" if room.all_pin else None,
        guests=b"yes" if room.guests else None,
    )


def _guests_in(question: Question) -> set[bytes]:
    """Return the names in lower case of the guests in a room of this name, which may be another one of that name."""
    return {name.lower() for name in question.context.room_guests.names(question.head.key)}


def _put_out(question: Question, room: RoomDescription) -> list[bytes]:
    """Put a guest out of a room. Only the public room of a name can have guests."""
    if room.public:
        guest = _other(question).encode().lower()
        question.context.room_guests.put_out(question.head.key, guest, question.connection.name)
    return [_shown(question, room)]


def _ask_members(question: Question, name: str) -> None:
    """List the members of a room, and its guests; first it is found out which room of the name is meant."""
    members = ListRoomMembers(question.member, name)
    if question.context.room_guests.names(question.head.key):
        question.ask(
            GetRoom(question.member, name),
            lambda changed: _members_follow(question, members, changed.room.guests),
        )
    else:
        question.ask(members, partial(_members, question, False))


def _members_follow(question: Question, request: ListRoomMembers, with_guests: bool) -> list[bytes]:
    question.go_on(request, partial(_members, question, with_guests))
    return []


def _members(question: Question, with_guests: bool, found: list[RoomMemberInfo]) -> list[bytes]:
    objects: list[dict[str, object]] = [
        {"name": each.name, "role": role_name(each.role), "since": time_text(each.since).decode()} for each in found
    ]
    if with_guests:
        objects += guest_objects(question.context.room_guests, question.head.key)
    return [question.list_of(objects)]


def _rooms(question: Question, found: list[RoomDescription]) -> list[bytes]:
    objects = [
        {
            "name": room.name,
            "access": "public" if room.public else "private",
            "role": role_name(room.role),
            "members": room.members,
            "topic": room.topic,
            "invited": room.invited,
            **({"guests": True} if room.guests else {}),
        }
        for room in found
    ]
    return [question.list_of(objects)]


def _receipts(question: Question, found: list[RecipientOutcome]) -> list[bytes]:
    return [question.list_of([{"name": each.name, "state": MessageState(each.state).name.lower()} for each in found])]
