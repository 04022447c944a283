"""What is asked about rooms: ROOM, ROOMS and RECEIPTS (docs/protocol.md, section 12)."""

from functools import partial

from twotick.exchange.questions.question import LIST_MOST, Asked, InvalidQuestion, Question
from twotick.store import (
    ChangeRoom,
    CreateRoom,
    GetRoom,
    InviteToRoom,
    JoinRoom,
    LeaveRoom,
    ListReceipts,
    ListRoomMembers,
    ListRooms,
    MessageState,
    RecipientState,
    RemoveFromRoom,
    RoomChanged,
    RoomInfo,
    RoomMemberInfo,
    RoomRole,
    SetRoomRole,
)
from twotick.wire import time_text

_ROLES = {b"member": RoomRole.MEMBER, b"moderator": RoomRole.MODERATOR, b"owner": RoomRole.OWNER}


def ask_room(question: Question) -> Asked:
    """ROOM: look at a room, or do something with it (rules 12.2 and 12.3)."""
    name = question.head.name.decode("ascii", "replace")
    member, now = question.member, question.now
    answer = partial(_room, question)
    match question.head.headers.get(b"do"):
        case None:
            return GetRoom(member, name), answer
        case b"create":
            return CreateRoom(member, name, _public(question) or False, question.text(b"topic") or "", now), answer
        case b"join":
            return JoinRoom(member, name, now), answer
        case b"leave":
            return LeaveRoom(member, name, now), answer
        case b"change":
            return ChangeRoom(member, name, _public(question), question.text(b"topic"), now), answer
        case b"invite":
            return InviteToRoom(member, name, _other(question), now), answer
        case b"remove":
            return RemoveFromRoom(member, name, _other(question), now), answer
        case b"appoint":
            question.required(b"role")
            role = _ROLES[question.choice(b"role", *_ROLES) or b"member"]
            return SetRoomRole(member, name, _other(question), role, now), answer
        case b"members":
            return ListRoomMembers(member, name), partial(_members, question)
        case _:
            raise InvalidQuestion("Do is create, join, leave, change, invite, remove, appoint or members")


def ask_rooms(question: Question) -> Asked:
    """ROOMS (rule 12.3)."""
    return ListRooms(question.member, LIST_MOST), partial(_rooms, question)


def ask_receipts(question: Question) -> Asked:
    """RECEIPTS (rule 12.7)."""
    return ListReceipts(question.member, question.head.key, question.required(b"id")), partial(_receipts, question)


def role_name(role: RoomRole) -> str:
    """A role as it is written in answers."""
    return role.name.lower()


def _public(question: Question) -> bool | None:
    access = question.choice(b"access", b"public", b"private")
    return None if access is None else access == b"public"


def _other(question: Question) -> str:
    return question.required(b"member").decode("ascii", "replace")


def _room(question: Question, changed: RoomChanged) -> list[bytes]:
    room = changed.room
    answer = question.answer(
        access=b"public" if room.public else b"private",
        role=role_name(room.role).encode(),
        members=room.members,
        topic=room.topic.encode() or None,
    )
    return [answer]


def _members(question: Question, found: list[RoomMemberInfo]) -> list[bytes]:
    objects = [
        {"name": each.name, "role": role_name(each.role), "since": time_text(each.since).decode()} for each in found
    ]
    return [question.list_of(objects)]


def _rooms(question: Question, found: list[RoomInfo]) -> list[bytes]:
    objects = [
        {
            "name": room.name,
            "access": "public" if room.public else "private",
            "role": role_name(room.role),
            "members": room.members,
            "topic": room.topic,
            "invited": room.invited,
        }
        for room in found
    ]
    return [question.list_of(objects)]


def _receipts(question: Question, found: list[RecipientState]) -> list[bytes]:
    return [question.list_of([{"name": each.name, "state": MessageState(each.state).name.lower()} for each in found])]
