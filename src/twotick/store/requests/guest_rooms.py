"""Guests in rooms (docs/protocol.md, rules 12.12 to 12.15): they are known to the servers, and not to the store."""

from dataclasses import dataclass
from typing import Final

from twotick.store.port import Refusal, Request
from twotick.store.requests.messages import LogEntry
from twotick.store.requests.rooms import RoomDescription, RoomMemberInfo

GUEST_LINE: Final = b"Guest: yes\n"
"""The header line of what a guest has sent (rule 12.14)."""


@dataclass(frozen=True, slots=True)
class GuestRoom:
    """A room that lets guests in.

    Attributes:
        number: the store's number of the room.
        room: how a guest who is not in it sees it.
        last: the place of the newest message; 0 for none.
    """

    number: int
    room: RoomDescription
    last: int


@dataclass(frozen=True, slots=True)
class FindGuestRoom(Request[GuestRoom | Refusal]):
    """Find the room of a name, in any case, that lets guests in; `network` is the address of the guest who asks."""

    room: str
    network: str


@dataclass(frozen=True, slots=True)
class ListGuestRooms(Request[list[RoomDescription]]):
    """List the rooms that let guests in, by name, at most so many; `network` is the address of the guest who asks."""

    most: int
    network: str


@dataclass(frozen=True, slots=True)
class ListGuestRoomMembers(Request[list[RoomMemberInfo] | Refusal]):
    """List the members of a room that lets guests in, for a guest; `network` is the address of the guest who asks."""

    room: str
    network: str


@dataclass(frozen=True, slots=True)
class RoomPart:
    """What has got a place in a room.

    Attributes:
        entries: the messages and events, oldest first.
        up_to: the place up to which the room was read.
        last: the place of the newest message.
        is_open: whether the room lets guests in. If it does not, there are no entries.
    """

    entries: list[LogEntry]
    up_to: int
    last: int
    is_open: bool


@dataclass(frozen=True, slots=True)
class FetchRoom(Request[RoomPart]):
    """Read what has got a place in a room after `after`, for its guests.

    Attributes:
        number: the store's number of the room.
        after: see above.
        most: the most entries.
        size: the bytes of bodies after which no more are added.
        time: now, in seconds since 1970: what is over (rule 11.10) is left out.
    """

    number: int
    after: int
    most: int
    size: int
    time: float


@dataclass(frozen=True, slots=True)
class FindRoomMembers(Request[list[int]]):
    """Find the numbers of the members of a room, by the number of the room."""

    number: int


@dataclass(frozen=True, slots=True)
class CheckPutOut(Request[RoomDescription | Refusal]):
    """Check that a member may put guests out of a room; `room` is its name in any case."""

    member: int
    room: str
