"""Rooms and their members, as lists of them show them."""

from datetime import datetime
from typing import NamedTuple

from twotick.ui.app.model.conversations import UserPresence

GUEST = "guest"
"""The role of a guest who is in a room."""


class RoomListing(NamedTuple):
    """A room in the list of rooms (rule 12.3).

    Attributes:
        name: the name with its `#`.
        access: `public`, `guests` or `private`.
        role: the user's role: `owner`, `moderator`, `member` or `none`.
        members: the number of members.
        topic: the topic; empty if it has none.
        invited: whether the user was invited and has not joined yet.
    """

    name: str
    access: str
    role: str
    members: int
    topic: str
    invited: bool


class MemberListing(NamedTuple):
    """A member in the list of a room's members, or a guest who is in the room.

    Attributes:
        name: the user's name.
        role: `owner`, `moderator`, `member` or `guest`.
        since: when the user joined; None if the server does not say.
        presence: the member's presence; None if it is unknown.
    """

    name: str
    role: str
    since: datetime | None
    presence: UserPresence | None
