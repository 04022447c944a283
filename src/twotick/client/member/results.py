"""What the server answers to questions: rooms, members, conversations, devices (docs/protocol.md, 10.8, 12, 14, 15)."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Self, TypeVar, cast

from twotick.client.errors import ProtocolError
from twotick.client.member.events import Presence, State

_T = TypeVar("_T")


class Role(StrEnum):
    """What a member is in a room (rule 12.2)."""

    OWNER = "owner"
    MODERATOR = "moderator"
    MEMBER = "member"
    NONE = "none"
    """Not in it."""


@dataclass(frozen=True, slots=True)
class RoomInfo:
    """A room, as the member sees it (rules 12.2 and 12.3).

    Attributes:
        name: its name, with the `#`.
        public: whether every member may join it.
        role: what the member is in it.
        members: how many are in it.
        topic: its topic; empty if it has none.
        invited: whether the member was invited and has not joined; told in the list of rooms only.
    """

    name: str
    public: bool
    role: Role
    members: int
    topic: str = ""
    invited: bool = False

    @classmethod
    def of(cls, item: dict[str, Any]) -> Self:
        """Out of a list of rooms."""
        return cls(
            str(item["name"]),
            item["access"] == "public",
            Role(item["role"]),
            int(item["members"]),
            str(item.get("topic") or ""),
            bool(item["invited"]),
        )


@dataclass(frozen=True, slots=True)
class RoomMember:
    """Who is in a room: the name, the role, and since when."""

    name: str
    role: Role
    since: datetime

    @classmethod
    def of(cls, item: dict[str, Any]) -> Self:
        """Out of a list of members."""
        return cls(str(item["name"]), Role(item["role"]), datetime.fromisoformat(item["since"]))


@dataclass(frozen=True, slots=True)
class RecipientState:
    """What became of a message for one of its recipients (rule 12.7)."""

    name: str
    state: State

    @classmethod
    def of(cls, item: dict[str, Any]) -> Self:
        """Out of a list of recipients."""
        return cls(str(item["name"]), State[str(item["state"]).upper()])


@dataclass(frozen=True, slots=True)
class Conversation:
    """How a conversation stands (rule 14.1).

    Attributes:
        name: the other user, or the room.
        unread: messages that came and were not read.
        mentions: those of them that mention the member (rule 14.2).
        read: the number in the log up to which they were read; 0 for none.
        newest: the number in the log of the newest message.
        muted: whether the member wants no rings.
        blocked: whether the member wants nothing from that user.
        role: in a room, what the member is in it; NONE for users.
    """

    name: str
    unread: int
    mentions: int
    read: int
    newest: int
    muted: bool
    blocked: bool
    role: Role

    @classmethod
    def of(cls, item: dict[str, Any]) -> Self:
        """Out of a list of conversations."""
        unread, mentions, read, newest = (int(item[key]) for key in ("unread", "mentions", "read", "newest"))
        role = Role(item.get("role") or Role.NONE)
        return cls(str(item["name"]), unread, mentions, read, newest, bool(item["muted"]), bool(item["blocked"]), role)


@dataclass(frozen=True, slots=True)
class ConversationSetting:
    """Whether a conversation is muted, and its user blocked (rule 14.3)."""

    muted: bool
    blocked: bool


@dataclass(frozen=True, slots=True)
class Status:
    """Where somebody is, and since when; None if that is not known (rule 15.1)."""

    name: str
    state: Presence
    since: datetime | None

    @classmethod
    def of(cls, item: dict[str, Any]) -> Self:
        """Out of a list of statuses."""
        since = item["since"]
        return cls(str(item["name"]), Presence(item["state"]), None if since is None else datetime.fromisoformat(since))


@dataclass(frozen=True, slots=True)
class StatusList:
    """Where all are whom the member may see, and whether others may see the member (rule 15.1)."""

    shown: bool
    users: list[Status]


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """A device of the member's.

    Attributes:
        device: its name.
        connected: whether it is connected.
        seen: when it was seen last.
    """

    device: str
    connected: bool
    seen: datetime

    @classmethod
    def of(cls, item: dict[str, Any]) -> Self:
        """Out of a list of devices."""
        return cls(str(item["device"]), bool(item["connected"]), datetime.fromisoformat(item["seen"]))


def listed(body: bytes, of: Callable[[dict[str, Any]], _T]) -> list[_T]:
    """A body that is a JSON list of objects.

    Args:
        body: the body.
        of: makes something of an object; what is missing or wrong may raise ValueError, TypeError or KeyError.

    Raises:
        ProtocolError: it makes no sense.
    """
    try:
        found: Any = json.loads(body)
        if not isinstance(found, list):
            raise TypeError("not a list")  # noqa: TRY301 # like any other nonsense
        return [of(cast("dict[str, Any]", each)) for each in cast("list[Any]", found)]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ProtocolError("the server sent a list that makes no sense") from error
