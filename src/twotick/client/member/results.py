"""The results of requests: rooms, conversations, presence, devices, profiles (docs/protocol.md)."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Self

from twotick.client.member.events import Presence, State
from twotick.client.member.headers import JsonObject

STATES = {state.name.lower(): state for state in State}
"""The states of a message by their words on the wire."""

PRESENCES = {presence.value: presence for presence in Presence}
"""The presences by their words on the wire."""


class Role(StrEnum):
    """The role of a member in a room (rule 12.2), or that of a guest."""

    OWNER = "owner"
    MODERATOR = "moderator"
    MEMBER = "member"
    GUEST = "guest"
    """A guest who is in the room, and no member of it (rule 12.15)."""
    NONE = "none"
    """Not in the room."""
    UNKNOWN = "unknown"
    """A member of the room, with a role that this version of the library does not know (rule 9.11)."""


ROLES = {role.value: role for role in Role}
"""The roles by their words on the wire."""


@dataclass(frozen=True, slots=True)
class RoomInfo:
    """A room, as the member sees it (rules 12.2 and 12.3).

    Attributes:
        name: the room's name, with the `#`.
        public: whether every member may join it.
        role: the member's role in it.
        members: the number of its members.
        topic: its topic; empty if it has none.
        invited: whether the member has an invitation and has not joined. Only set in the results of
            `MemberClient.rooms`.
        all_pin: whether all members may pin messages (rule 13.7). Not set in the results of `MemberClient.rooms`.
        guests: whether guests may join it (rule 12.12).
    """

    name: str
    public: bool
    role: Role
    members: int
    topic: str = ""
    invited: bool = False
    all_pin: bool = False
    guests: bool = False

    @classmethod
    def from_json(cls, item: JsonObject) -> Self:
        """Make one of an object in the server's list of rooms."""
        return cls(
            item.text("name"),
            item.text("access") == "public",
            item.choice("role", ROLES, Role.UNKNOWN),
            item.number("members"),
            item.text("topic", ""),
            item.flag("invited"),
            guests=item.flag("guests"),
        )


@dataclass(frozen=True, slots=True)
class RoomMember:
    """A member of a room (rule 12.3), or a guest who is in it (rule 12.15).

    Attributes:
        name: the user's name.
        role: the user's role in the room.
        since: when the user joined; None for a guest.
    """

    name: str
    role: Role
    since: datetime | None

    @classmethod
    def from_json(cls, item: JsonObject) -> Self:
        """Make one of an object in the server's list of room members."""
        role = item.choice("role", ROLES, Role.UNKNOWN)
        since = item.time("since") if role is Role.GUEST else item.known_time("since")
        return cls(item.text("name"), role, since)


@dataclass(frozen=True, slots=True)
class RecipientState:
    """The state of a message for one of its recipients (rule 12.7).

    Attributes:
        name: the recipient's name.
        state: how far the message has got; ACCEPTED if the server gives a state that this version of the library does
            not know.
    """

    name: str
    state: State

    @classmethod
    def from_json(cls, item: JsonObject) -> Self:
        """Make one of an object in the server's list of receipts."""
        return cls(item.text("name"), item.choice("state", STATES, State.ACCEPTED))


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation with a user or in a room, with the counts of unread messages (rule 14.1).

    Attributes:
        name: the other user, or the room.
        unread: the number of messages that the member received and has not read.
        mentions: how many of the unread messages mention the member (rule 14.2).
        read: the number, in the member's log, of the last message that was read; 0 if none was.
        newest: the number, in the member's log, of the newest message.
        muted: whether the member has turned off notifications for it.
        blocked: whether the member has blocked the user.
        role: the member's role in the room; NONE for a conversation with a user.
        pinned: whether the member wants it at the top.
        closed: whether the member has closed it, and no message has come or was sent since: it is not to be shown.
        muted_until: when notifications are on again; None if they are on, or off until the member changes that.
    """

    name: str
    unread: int
    mentions: int
    read: int
    newest: int
    muted: bool
    blocked: bool
    role: Role
    pinned: bool = False
    closed: bool = False
    muted_until: datetime | None = None

    @classmethod
    def from_json(cls, item: JsonObject) -> Self:
        """Make one of an object in the server's list of conversations."""
        unread, mentions, read, newest = (item.number(key) for key in ("unread", "mentions", "read", "newest"))
        role = item.choice("role", ROLES, Role.UNKNOWN, Role.NONE.value)
        return cls(
            item.text("name"),
            unread,
            mentions,
            read,
            newest,
            item.flag("muted"),
            item.flag("blocked"),
            role,
            item.flag("pinned"),
            item.flag("closed"),
            item.time("muted_until"),
        )


@dataclass(frozen=True, slots=True)
class ConversationSetting:
    """The member's settings for a conversation (rule 14.3).

    Attributes:
        muted: whether notifications are off.
        blocked: whether the user is blocked.
        pinned: whether the member wants it at the top.
        closed: whether the member has closed it.
        muted_until: when notifications are on again; None if they are on, or off until the member changes that.
    """

    muted: bool
    blocked: bool
    pinned: bool = False
    closed: bool = False
    muted_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """The presence of another member (rule 15.1).

    Attributes:
        name: the other member's name.
        state: the presence.
        since: since when; None if the server does not know.
    """

    name: str
    state: Presence
    since: datetime | None

    @classmethod
    def from_json(cls, item: JsonObject) -> Self:
        """Make one of an object in the server's list of statuses."""
        return cls(item.text("name"), item.choice("state", PRESENCES, Presence.UNKNOWN), item.time("since"))


@dataclass(frozen=True, slots=True)
class StatusList:
    """The presence of all members whom this member may see (rule 15.1).

    Attributes:
        shown: whether others may see this member's own presence.
        users: the other members.
    """

    shown: bool
    users: list[Status]


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """A device of the member (rule 10.8).

    Attributes:
        device: the device's name.
        connected: whether it is connected now.
        seen: when it was connected last.
    """

    device: str
    connected: bool
    seen: datetime

    @classmethod
    def from_json(cls, item: JsonObject) -> Self:
        """Make one of an object in the server's list of devices."""
        return cls(item.text("device"), item.flag("connected"), item.known_time("seen"))


@dataclass(frozen=True, slots=True)
class Profile:
    """What a member says of itself (rule 18.1). The texts are as the member wrote them: make them visible to show them.

    Attributes:
        name: the member's name.
        display: the display name; empty if there is none.
        status: the status text; empty if there is none.
        picture: the hash of the picture, for `MemberClient.profile_picture`; empty if there is none.
    """

    name: str
    display: str
    status: str
    picture: str = ""

    @classmethod
    def from_json(cls, item: JsonObject) -> Self:
        """Make one of an object in the server's list of profiles."""
        return cls(item.text("name"), item.text("display", ""), item.text("status", ""), item.text("picture", ""))


@dataclass(frozen=True, slots=True)
class EmailDigest:
    """Where a member is told by e-mail of messages that wait (rule 18.6).

    Attributes:
        address: the address, which the operator has set.
        wanted: whether the member wants that.
    """

    address: str
    wanted: bool


@dataclass(frozen=True, slots=True)
class ProfileList:
    """The member's own profile, and those of all members whom it may see and who have one (rule 18.2).

    Attributes:
        display: the member's own display name; empty if there is none.
        status: the member's own status text; empty if there is none.
        users: the profiles of the others.
        picture: the hash of the member's own picture; empty if there is none.
    """

    display: str
    status: str
    users: list[Profile]
    picture: str = ""
