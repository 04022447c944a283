"""Rooms (docs/protocol.md, section 12)."""

import re

from twotick.client.errors import RequestRefused
from twotick.client.member.headers import (
    as_text,
    encode_flag,
    encode_id,
    encode_peer,
    encode_room,
    encode_user,
    number,
    parse_list,
    text_of,
)
from twotick.client.member.request import Answer, RepeatedRequest, RequestMethods
from twotick.client.member.results import ROLES, RecipientState, Role, RoomInfo, RoomMember
from twotick.wire import Verb

_NO_MEMBER = "there is no such member"
"""The server's Reason if no member has a name."""

_TOPIC = re.compile(r"[^\x00-\x1f\x7f]*")
_LONGEST_TOPIC = 250
"""The longest topic, in bytes of UTF-8 (rule 12.11)."""


class RoomMethods(RequestMethods):
    """The methods of `MemberClient` for rooms.

    While the connection is lost, they wait for the next. Requests that change something are not repeated: if the
    connection is lost before the answer, they raise `ConnectionLost`, and the server may or may not have carried them
    out.
    """

    _room_guests: RepeatedRequest

    async def create_room(self, name: str, *, public: bool = False, topic: str = "", guests: bool = False) -> RoomInfo:
        """Create a room, and become its owner (rule 12.2).

        Args:
            name: its name: `#` and 1 to 32 letters, digits, `-` and `_`.
            public: whether every member can find and join it.
            topic: its topic, one line of at most 250 bytes of UTF-8.
            guests: whether guests may join it (rule 12.12); only a public room can let them in.

        Returns:
            The new room.

        Raises:
            RequestRefused: the server refused the request, for example because the name is taken, or does not know yet
                of guests in rooms. Then the room is there, without guests.
            ConnectionLost: the server may or may not have created the room.
            TwotickError: the client has ended.
            ValueError: `name` cannot be the name of a room, or `topic` is too long.
        """
        headers = {"Access": _encode_access(public), "Topic": _encode_topic(topic) or None}
        headers["Guests"] = encode_flag(guests or None)
        room = await self._change_room(name, b"create", headers)
        return _check_guests(room, guests or None)

    async def join_room(self, name: str) -> RoomInfo:
        """Join a room that is public, or to which the member has an invitation (rule 12.2).

        Args:
            name: the room's name.

        Returns:
            The room.

        Raises:
            RequestRefused: there is no such room that the member may join.
            ConnectionLost: the server may or may not have carried out the request.
            TwotickError: the client has ended.
            ValueError: `name` cannot be the name of a room.
        """
        return await self._change_room(name, b"join", {})

    async def leave_room(self, name: str) -> None:
        """Leave a room. If the owner leaves, another member becomes the owner (rule 12.4).

        Args:
            name: the room's name.

        Raises:
            RequestRefused: the member is not in the room.
            ConnectionLost: the server may or may not have carried out the request.
            TwotickError: the client has ended.
            ValueError: `name` cannot be the name of a room.
        """
        await self._requests.ask(Verb.ROOM, encode_room(name), {"Do": b"leave"}, once=True)

    async def change_room(
        self,
        name: str,
        *,
        topic: str | None = None,
        public: bool | None = None,
        all_pin: bool | None = None,
        guests: bool | None = None,
    ) -> RoomInfo:
        """Change a room's topic or who may pin, as a moderator or the owner; or who may join, as the owner (rule 12.2).

        Args:
            name: the room's name.
            topic: the new topic, empty for none; None to leave it as it is.
            public: whether every member may join; None to leave it as it is.
            all_pin: whether all members may pin messages, and not only moderators and the owner; None to leave it as it
                is.
            guests: whether guests may join a public room (rule 12.12); None to leave it as it is. A room that becomes
                private lets none in, and puts out those who are there.

        Returns:
            The room after the change.

        Raises:
            RequestRefused: the member may not change this, or the server does not know yet of guests in rooms.
            ConnectionLost: the server may or may not have carried out the request.
            TwotickError: the client has ended.
            ValueError: `name` cannot be the name of a room, or `topic` is too long.
        """
        headers = {
            "Topic": None if topic is None else _encode_topic(topic),
            "Access": None if public is None else _encode_access(public),
            "Pinning": None if all_pin is None else b"members" if all_pin else b"moderators",
            "Guests": encode_flag(guests),
        }
        return _check_guests(await self._change_room(name, b"change", headers), guests)

    async def invite(self, room: str, member: str) -> RoomInfo:
        """Invite another member to a room (rule 12.2).

        Args:
            room: the room's name.
            member: the other member's name.

        Returns:
            The room.

        Raises:
            RequestRefused: this member may not invite others, or there is no such member.
            ConnectionLost: the server may or may not have carried out the request.
            TwotickError: the client has ended.
            ValueError: `room` or `member` is not well formed.
        """
        try:
            return await self._change_room(room, b"invite", {"Member": encode_user(member)})
        except RequestRefused as error:
            if str(error) != _NO_MEMBER:
                raise
            raise RequestRefused(f"there is no member called {member}") from error

    async def remove(self, room: str, member: str) -> RoomInfo:
        """Remove a member from a room, or withdraw an invitation, as a moderator or the owner (rule 12.2).

        A guest is put out in the same way; from its address, no guest can then join for an hour (rule 12.15).

        Args:
            room: the room's name.
            member: the name of the other member, or of the guest.

        Returns:
            The room.

        Raises:
            RequestRefused: this member may not remove the other one.
            ConnectionLost: the server may or may not have carried out the request.
            TwotickError: the client has ended.
            ValueError: `room` or `member` is not well formed.
        """
        return await self._change_room(room, b"remove", {"Member": encode_user(member)})

    async def appoint(self, room: str, member: str, role: Role) -> RoomInfo:
        """Give a member of a room another role, as the owner (rule 12.2).

        A room has one owner. Appointing another owner makes this member a moderator.

        Args:
            room: the room's name.
            member: the other member's name.
            role: the new role.

        Returns:
            The room.

        Raises:
            RequestRefused: this member is not the owner, or the other one is not in the room.
            ConnectionLost: the server may or may not have carried out the request.
            TwotickError: the client has ended.
            ValueError: `room` or `member` is not well formed, or `role` is not one that a member can be given.
        """
        if role in (Role.NONE, Role.UNKNOWN, Role.GUEST):
            raise ValueError(
                f"{role.name} is not a role that can be given: use `remove` to remove a member from the room"
            )
        return await self._change_room(room, b"appoint", {"Member": encode_user(member), "Role": role.value.encode()})

    async def room(self, name: str) -> RoomInfo:
        """Return what the member may know about a room (rule 12.2).

        Args:
            name: the room's name.

        Returns:
            The room.

        Raises:
            RequestRefused: there is no such room, or the member may not know of it.
            TwotickError: the client has ended.
            ValueError: `name` cannot be the name of a room.
        """
        return _parse_room(await self._requests.ask(Verb.ROOM, encode_room(name)))

    async def rooms(self, *, guests: bool = False) -> list[RoomInfo]:
        """List the rooms that are public, or that the member is in or invited to (rule 12.3).

        Args:
            guests: whether the client receives a `RoomGuestEvent` from then on, also on later connections, for each
                guest who comes to a room of the member's or goes (rule 12.15). What happens while there is no
                connection is not told: `room_members` has the guests who are in a room.

        Returns:
            The rooms, the member's own first; at most 2,000.

        Raises:
            RequestRefused: the server refused the request.
            TwotickError: the client has ended.
        """
        self._room_guests.active = self._room_guests.active or guests
        answer = await self._requests.ask(Verb.ROOMS, b"", {"Guests": encode_flag(guests or None)})
        return parse_list(answer.body, RoomInfo.from_json)

    async def room_members(self, name: str) -> list[RoomMember]:
        """List the members of a room (rule 12.3), and the guests who are in it now (rule 12.15).

        Args:
            name: the room's name.

        Returns:
            The members, in the order in which they joined, and after them the guests.

        Raises:
            RequestRefused: there is no such room, or the member may not know of it.
            TwotickError: the client has ended.
            ValueError: `name` cannot be the name of a room.
        """
        answer = await self._requests.ask(Verb.ROOM, encode_room(name), {"Do": b"members"})
        return parse_list(answer.body, RoomMember.from_json)

    async def receipts(self, recipient: str, ident: str) -> list[RecipientState]:
        """Return how far one of the member's own messages has got, for each recipient (rule 12.7).

        Args:
            recipient: the user or room that it was sent to.
            ident: the message's Id.

        Returns:
            The state for each recipient.

        Raises:
            RequestRefused: the member has not sent such a message.
            TwotickError: the client has ended.
            ValueError: `recipient` or `ident` is not well formed.
        """
        answer = await self._requests.ask(Verb.RECEIPTS, encode_peer(recipient), ident=encode_id(ident))
        return parse_list(answer.body, RecipientState.from_json)

    async def _change_room(self, name: str, action: bytes, headers: dict[str, bytes | None]) -> RoomInfo:
        answer = await self._requests.ask(Verb.ROOM, encode_room(name), {"Do": action, **headers}, once=True)
        return _parse_room(answer)


def _encode_access(public: bool) -> bytes:
    return b"public" if public else b"private"


def _encode_topic(topic: str) -> bytes:
    encoded = topic.encode(errors="replace")
    if len(encoded) > _LONGEST_TOPIC or not _TOPIC.fullmatch(topic):
        raise ValueError(f"a topic is one line of at most {_LONGEST_TOPIC} bytes: shorten it, or leave out line breaks")
    return encoded


def _parse_room(answer: Answer) -> RoomInfo:
    head = answer.head
    role = ROLES.get(text_of(head, b"role"), Role.UNKNOWN)
    public = head.headers.get(b"access") == b"public"
    all_pin = head.headers.get(b"pinning") == b"members"
    guests = head.headers.get(b"guests") == b"yes"
    members, topic = number(head, b"members"), text_of(head, b"topic")
    return RoomInfo(as_text(head.name), public, role, members, topic, all_pin=all_pin, guests=guests)


def _check_guests(room: RoomInfo, wanted: bool | None) -> RoomInfo:
    """Return a room that lets guests in if that was wanted. A server of an older version ignores the wish (rule 9.11).

    Raises:
        RequestRefused: the room does not let guests in.
    """
    if wanted and not room.guests:
        raise RequestRefused(f"the server is too old to let guests into rooms; {room.name} is there without them")
    return room
