"""Rooms and their members (docs/protocol.md, section 12)."""

from dataclasses import dataclass
from enum import IntEnum

from twotick.store.port import Refusal, Request
from twotick.store.requests.messages import Effects


class RoomRole(IntEnum):
    """What a member is in a room (rule 12.2). The numbers are in the database: never change one."""

    NONE = 0
    MEMBER = 1
    MODERATOR = 2
    OWNER = 3


@dataclass(frozen=True, slots=True)
class RoomDescription:
    """A room, as one member sees it (rule 12.2).

    Attributes:
        name: its name, with the `#`, as its creator wrote it.
        public: whether every member may join it.
        topic: its topic; empty if it has none.
        members: how many members it has.
        role: the role of the member who asks.
        invited: whether the member who asks was invited and has not joined.
        all_pin: whether all members may pin messages; not in `ListRooms`.
        guests: whether guests may join it.
    """

    name: str
    public: bool
    topic: str
    members: int
    role: RoomRole
    invited: bool
    all_pin: bool = False
    guests: bool = False


@dataclass(frozen=True, slots=True)
class RoomMemberInfo:
    """A member of a room: the name, the role, and when the member joined, in seconds since 1970."""

    name: str
    role: RoomRole
    since: float


@dataclass(frozen=True, slots=True)
class RoomChanged:
    """A room after a request.

    Attributes:
        room: the room as the member who asked sees it now.
        effects: the entries that tell members of the change (rule 12.8).
    """

    room: RoomDescription
    effects: Effects


class RoomRequest(Request[RoomChanged | Refusal]):
    """A request about one room.

    `member` is who asks, `room` the room's name in any case, `time` now in seconds since 1970. A room that the member
    may not know of is refused like one that does not exist (rule 12.1).
    """

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class CreateRoom(RoomRequest):
    """Create a room that the member owns (rule 12.2)."""

    member: int
    room: str
    public: bool
    topic: str
    time: float
    guests: bool = False


@dataclass(frozen=True, slots=True)
class JoinRoom(RoomRequest):
    """Join a room. For a member who is in it already, nothing changes."""

    member: int
    room: str
    time: float


@dataclass(frozen=True, slots=True)
class LeaveRoom(RoomRequest):
    """Leave a room (rule 12.4)."""

    member: int
    room: str
    time: float


@dataclass(frozen=True, slots=True)
class ChangeRoom(RoomRequest):
    """Change a room's topic, whether it is public, who may pin, or if guests may join; None changes nothing."""

    member: int
    room: str
    public: bool | None
    topic: str | None
    time: float
    all_pin: bool | None = None
    guests: bool | None = None


@dataclass(frozen=True, slots=True)
class InviteToRoom(RoomRequest):
    """Let another member, given by name in any case, join a room, and tell that member."""

    member: int
    room: str
    other: str
    time: float


@dataclass(frozen=True, slots=True)
class RemoveFromRoom(RoomRequest):
    """Remove another member, given by name in any case, from a room, or withdraw that member's invitation."""

    member: int
    room: str
    other: str
    time: float


@dataclass(frozen=True, slots=True)
class SetRoomRole(RoomRequest):
    """Give another member of a room, given by name in any case, a role other than NONE."""

    member: int
    room: str
    other: str
    role: RoomRole
    time: float


@dataclass(frozen=True, slots=True)
class GetRoom(RoomRequest):
    """Describe a room."""

    member: int
    room: str


@dataclass(frozen=True, slots=True)
class ListRooms(Request[list[RoomDescription]]):
    """List the rooms that a member may know of (rule 12.3), by name.

    Attributes:
        most: how many at most; rooms that the member is in, or invited to, come first.
        so_far: what earlier transactions have found, each room with its number; None if there were none.
        counted: of how many of these rooms the members are counted.
    """

    member: int
    most: int
    so_far: tuple[tuple[int, RoomDescription], ...] | None = None
    counted: int = 0


@dataclass(frozen=True, slots=True)
class ListRoomMembers(Request[list[RoomMemberInfo] | Refusal]):
    """List the members of a room (rule 12.3), those who joined first at the top."""

    member: int
    room: str
