"""Rooms, as a member's client asks about them (docs/protocol.md, section 12)."""

import re

from twotick.client.errors import ProtocolError
from twotick.client.member.events import as_text, number
from twotick.client.member.request import Answer, Asker, identifier, peer_name, room_name, user_name
from twotick.client.member.results import RecipientState, Role, RoomInfo, RoomMember, listed
from twotick.wire import Verb

_TOPIC = re.compile(r"[^\x00-\x1f\x7f]*")
_LONGEST_TOPIC = 250
"""Bytes of UTF-8 (rule 12.11)."""


class RoomMethods(Asker):
    """What a client can do about rooms.

    All of it waits for the connection while that is away. What changes something is not asked twice: if the connection
    is lost before the answer, it raises ConnectionLost, and nobody knows whether it was done.
    """

    async def create_room(self, name: str, *, public: bool = False, topic: str = "") -> RoomInfo:
        """Make a room, and own it (rule 12.2).

        Args:
            name: its name: `#` and 1 to 32 letters, digits, `-` and `_`.
            public: whether every member finds it and may join.
            topic: what it is about, at most 250 bytes of UTF-8.

        Raises:
            RequestRefused: the server does not make it, as when the name is taken.
            ConnectionLost: nobody knows whether it was made.
            TwotickError: the client has ended.
            ValueError: no room can be called that, or have that topic.
        """
        return await self._change(name, b"create", {"Access": _access(public), "Topic": _topic(topic) or None})

    async def join_room(self, name: str) -> RoomInfo:
        """Be in a room from now on: a public one, or one to which the member was invited.

        Raises:
            RequestRefused: there is no such room, as far as the member may know.
            ConnectionLost: nobody knows whether it was done.
            TwotickError: the client has ended.
            ValueError: no room can be called that.
        """
        return await self._change(name, b"join", {})

    async def leave_room(self, name: str) -> None:
        """Be in a room no longer. Who owned it is followed by another member (rule 12.4).

        Raises:
            RequestRefused: the member is not in it.
            ConnectionLost: nobody knows whether it was done.
            TwotickError: the client has ended.
            ValueError: no room can be called that.
        """
        await self._ask(Verb.ROOM, room_name(name), {"Do": b"leave"}, once=True)

    async def change_room(self, name: str, *, topic: str | None = None, public: bool | None = None) -> RoomInfo:
        """Change what a room is about, as a moderator or the owner, or who may join it, as the owner.

        Args:
            name: the room.
            topic: the new topic, empty for none; None to leave it as it is.
            public: whether every member may join; None to leave it as it is.

        Raises:
            RequestRefused: the member may not do that.
            ConnectionLost: nobody knows whether it was done.
            TwotickError: the client has ended.
            ValueError: no room can be called that, or have that topic.
        """
        access = None if public is None else _access(public)
        return await self._change(
            name, b"change", {"Topic": None if topic is None else _topic(topic), "Access": access}
        )

    async def invite(self, room: str, member: str) -> RoomInfo:
        """Let another member join a room, and tell that member.

        Raises:
            RequestRefused: one may not do that, or there is no such member.
            ConnectionLost: nobody knows whether it was done.
            TwotickError: the client has ended.
            ValueError: nothing can be called that.
        """
        return await self._change(room, b"invite", {"Member": user_name(member)})

    async def remove(self, room: str, member: str) -> RoomInfo:
        """Remove a member from a room, as a moderator or the owner; or take an invitation back.

        Raises:
            RequestRefused: one may not do that.
            ConnectionLost: nobody knows whether it was done.
            TwotickError: the client has ended.
            ValueError: nothing can be called that.
        """
        return await self._change(room, b"remove", {"Member": user_name(member)})

    async def appoint(self, room: str, member: str, role: Role) -> RoomInfo:
        """Give a member of a room another role, as the owner, who is a moderator after appointing an owner.

        Raises:
            RequestRefused: one may not do that.
            ConnectionLost: nobody knows whether it was done.
            TwotickError: the client has ended.
            ValueError: nothing can be called that, or the role is NONE.
        """
        if role is Role.NONE:
            raise ValueError("to have no role in a room is to be removed from it")
        return await self._change(room, b"appoint", {"Member": user_name(member), "Role": role.value.encode()})

    async def room(self, name: str) -> RoomInfo:
        """Ask what a room is like.

        Raises:
            RequestRefused: there is no such room, as far as the member may know.
            TwotickError: the client has ended.
            ValueError: no room can be called that.
        """
        return _room(await self._ask(Verb.ROOM, room_name(name)))

    async def rooms(self) -> list[RoomInfo]:
        """List the rooms that are public, or that the member is in or invited to (rule 12.3).

        Raises:
            RequestRefused: the server does not say.
            TwotickError: the client has ended.
        """
        return listed((await self._ask(Verb.ROOMS)).body, RoomInfo.of)

    async def room_members(self, name: str) -> list[RoomMember]:
        """List who is in a room, whoever has been there for longest first.

        Raises:
            RequestRefused: there is no such room, as far as the member may know.
            TwotickError: the client has ended.
            ValueError: no room can be called that.
        """
        return listed((await self._ask(Verb.ROOM, room_name(name), {"Do": b"members"})).body, RoomMember.of)

    async def receipts(self, recipient: str, ident: str) -> list[RecipientState]:
        """Ask what became of a message that the member has sent, for each who was sent it (rule 12.7).

        Args:
            recipient: the room or user that it was sent to.
            ident: its Id.

        Raises:
            RequestRefused: there is no such message.
            TwotickError: the client has ended.
            ValueError: nothing can be called that.
        """
        answer = await self._ask(Verb.RECEIPTS, peer_name(recipient), ident=identifier(ident))
        return listed(answer.body, RecipientState.of)

    async def _change(self, name: str, what: bytes, headers: dict[str, bytes | None]) -> RoomInfo:
        return _room(await self._ask(Verb.ROOM, room_name(name), {"Do": what, **headers}, once=True))


def _access(public: bool) -> bytes:
    return b"public" if public else b"private"


def _topic(topic: str) -> bytes:
    written = topic.encode(errors="replace")
    if len(written) > _LONGEST_TOPIC or not _TOPIC.fullmatch(topic):
        raise ValueError(f"a topic is one line and has at most {_LONGEST_TOPIC} bytes")
    return written


def _room(answer: Answer) -> RoomInfo:
    head = answer.head
    try:
        role = Role(as_text(head.headers.get(b"role", b"")))
    except ValueError as error:
        raise ProtocolError("the server says of a room what makes no sense") from error
    topic = as_text(head.headers.get(b"topic", b""))
    public = head.headers.get(b"access") == b"public"
    return RoomInfo(as_text(head.name), public, role, number(head, b"members"), topic)
