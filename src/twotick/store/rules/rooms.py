"""The rules of rooms (docs/protocol.md, section 12): who may do what in a room, and what comes of it.

Both stores keep rooms in their own way, and ask here. Each does the same for a request: finds the room with `known`,
then the other member if there is one, then calls the method of that name, keeps what it changed (`RoomState.touched`,
and the attributes that are not members), and appends the events to the logs of those who are told.
"""

import re
from typing import Final

from twotick.store.port import StoreLimits
from twotick.store.requests.messages import Append, MessageAction
from twotick.store.requests.rooms import RoomInfo, RoomRole
from twotick.wire import is_name, is_room, time_text

TOPIC_BYTES: Final = 250
REACTION_BYTES: Final = 64
NO_ROOM: Final = "there is no such room"
NO_MEMBER: Final = "there is no such member"
NO_MESSAGE: Final = "there is no such message of yours"

SEEN_MOST: Final = 2000
"""Members whose presence one sees, and who see it, at most (rule 15.2)."""

FAREWELL: Final = 3600.0
"""Seconds for which it is known who could see a member that was removed."""

_NOBODY: Final = RoomRole.NONE
_MEMBER: Final = RoomRole.MEMBER
_MODERATOR: Final = RoomRole.MODERATOR
_OWNER: Final = RoomRole.OWNER

_ROLE_NAMES: Final = {RoomRole.MEMBER: b"member", RoomRole.MODERATOR: b"moderator", RoomRole.OWNER: b"owner"}

_SEARCHED: Final = 64 << 10
_MENTIONS: Final = 100
_MENTION = re.compile(r"(?<![^\W_])@([A-Za-z0-9]{1,32})(?![^\W_])")
_EDITED = re.compile(rb"^Edited: [^\n]*\n", re.MULTILINE)


class NotAllowed(Exception):
    """A request about a room is refused, and has changed nothing. The text is a reason for a person to read."""


class Membership:
    """A member of a room.

    Attributes:
        role: what it may do; never NONE.
        since: when it joined, in seconds since 1970.
        seen_from: the place from which on it may read what was sent (rule 12.10).
    """

    __slots__ = ("role", "seen_from", "since")

    def __init__(self, role: RoomRole, since: float, seen_from: int) -> None:
        self.role = role
        self.since = since
        self.seen_from = seen_from


class RoomEvent:
    """Something that has happened, and is told to members (rule 12.8), but not to those whose mailboxes are full.

    Attributes:
        lines: its header lines, but for the Time.
        members: the numbers of those who are told.
        placed: whether it is told in the room, and has a place there; if not, it is told to one member alone.
    """

    __slots__ = ("lines", "members", "placed")

    def __init__(self, lines: bytes, members: list[int], placed: bool = True) -> None:
        self.lines = lines
        self.members = members
        self.placed = placed

    def headers(self, time: float) -> bytes:
        """All its header lines, if it happens at a time, in seconds since 1970."""
        return b"Time: %b\n%b" % (time_text(time), self.lines)


class RoomState:
    """A room, as it is kept. Whoever calls a method that changes it has found it with `known`.

    Attributes:
        name: its name, with the `#`, as its creator wrote it.
        public: whether every member may join it.
        topic: its topic; empty if it has none.
        members: who is in it, by number.
        invited: who may join though it is private, or was asked to.
        last: the place of what was sent to it last; 0 for nothing.
        open_from: the place from which on those who join may read it: from when it became public (rule 12.10). Has no
            meaning while it is private.
        number: the number that whoever keeps the room has given it.
        touched: whose membership or invitation was changed since whoever keeps the room has emptied this set. A room
            that has no members any more is gone.
    """

    __slots__ = ("invited", "last", "members", "name", "number", "open_from", "public", "topic", "touched")

    def __init__(self, name: bytes, public: bool, topic: str, last: int = 0, open_from: int = 1) -> None:
        self.name = name
        self.public = public
        self.topic: str = topic
        self.last = last
        self.open_from = open_from
        self.number = 0
        self.members: dict[int, Membership] = {}
        self.invited: set[int] = set()
        self.touched: set[int] = set()

    @property
    def key(self) -> bytes:
        """The name by which it is found."""
        return self.name.lower()

    def role(self, member: int) -> RoomRole:
        """What somebody is in the room."""
        membership = self.members.get(member)
        return _NOBODY if membership is None else membership.role

    def is_known_to(self, member: int) -> bool:
        """Whether somebody may learn that the room is there (rule 12.1)."""
        return self.public or member in self.members or member in self.invited

    def seen_by(self, member: int) -> RoomInfo:
        """The room as it is shown to somebody (rule 12.2)."""
        return RoomInfo(
            self.name.decode(),
            self.public,
            self.topic,
            len(self.members),
            self.role(member),
            member in self.invited,
        )

    def longest(self) -> list[int]:
        """The members' numbers, those who have been in the room for longest first."""
        return sorted(self.members, key=lambda member: (self.members[member].since, member))

    def join(self, member: int, time: float, rooms: int, limits: StoreLimits) -> list[RoomEvent]:
        """Somebody joins.

        Args:
            member: who.
            time: now, in seconds since 1970.
            rooms: how many rooms that member is in.
            limits: what is kept at most.

        Raises:
            NotAllowed: too many members, or too many rooms.
        """
        if member in self.members:
            return []
        if len(self.members) >= limits.room_members:
            raise NotAllowed(f"the room is full; it has at most {limits.room_members} members")
        _check_rooms(rooms, limits)
        self.members[member] = Membership(_MEMBER, time, self.open_from if self.public else self.last + 1)
        self.invited.discard(member)
        self.touched.add(member)
        return [self.event(b"joined")]

    def leave(self, member: int) -> list[RoomEvent]:
        """Somebody leaves, and is told as well. An owner is followed by another (rule 12.4).

        Raises:
            NotAllowed: the member is not in the room.
        """
        self.check_in(member)
        event = self.event(b"left")
        self._drop(member)
        return [event]

    def remove_from_server(self, member: int) -> list[RoomEvent]:
        """Somebody is no member of anything any more, and is not told."""
        if member in self.members:
            self._drop(member)
            return [self.event(b"left")] if self.members else []
        if member in self.invited:
            self.invited.remove(member)
            self.touched.add(member)
        return []

    def change(self, member: int, public: bool | None, topic: str | None) -> list[RoomEvent]:
        """Somebody changes the topic, or who may join; None for what stays.

        Raises:
            NotAllowed: that is not for this member, or the topic is none.
        """
        self._check_role(member, _MODERATOR if public is None else _OWNER)
        if topic is not None:
            _check_topic(topic)
        lines = b""
        if topic is not None and topic != self.topic:
            self.topic = topic
            lines += b"Topic: %b\n" % topic.encode()
        if public is not None and public != self.public:
            self.public = public
            lines += b"Access: %b\n" % (b"public" if public else b"private")
            if public:
                self.open_from = self.last + 1
        return [self.event(b"changed", lines)] if lines else []

    def invite(
        self, member: int, other: int, other_name: bytes, is_blocked: bool, limits: StoreLimits
    ) -> list[RoomEvent]:
        """Somebody lets another member join.

        Args:
            member: who invites.
            other: who is invited.
            other_name: the name of that member, as it is shown.
            is_blocked: whether `other` has blocked `member`: then it looks as if this had been done, and nothing is.
            limits: what is kept at most.

        Raises:
            NotAllowed: that is not for this member, the other one is in the room, or too many are invited.
        """
        self._check_role(member, _MEMBER if self.public else _MODERATOR)
        if other in self.members:
            raise NotAllowed(f"{other_name.decode()} is in {self.name.decode()} already")
        if other in self.invited or is_blocked:
            return []
        if len(self.invited) >= limits.room_members:
            raise NotAllowed(f"too many are invited; at most {limits.room_members} can be")
        self.invited.add(other)
        self.touched.add(other)
        lines = b"Event: invited\nRoom: %b\nMember: %b\n" % (self.name, other_name)
        return [RoomEvent(lines, [other], placed=False)]

    def remove(self, member: int, other: int, other_name: bytes) -> list[RoomEvent]:
        """Somebody removes another member, or takes an invitation back.

        Who is neither a member nor invited is not reason to refuse it: the inviter would see that it was blocked.

        Raises:
            NotAllowed: that is not for this member.
        """
        self._check_role(member, _MODERATOR)
        if other == member:
            raise NotAllowed("leave the room instead of removing yourself")
        if other in self.invited:
            self.invited.remove(other)
            self.touched.add(other)
        if other not in self.members:
            return []
        if self.role(other) >= self.role(member):
            raise NotAllowed(f"only who has a higher role may remove {other_name.decode()}")
        event = self.event(b"removed", b"Member: %b\n" % other_name)
        self._drop(other)
        return [event]

    def appoint(self, member: int, other: int, other_name: bytes, role: RoomRole) -> list[RoomEvent]:
        """The owner gives another member a role; who makes another one the owner then is a moderator.

        Raises:
            NotAllowed: that is not for this member, or the other one is not another, or not in the room.
        """
        self._check_role(member, _OWNER)
        if other == member:
            raise NotAllowed("an owner gives up that role by appointing another owner")
        if other not in self.members:
            raise NotAllowed(f"{other_name.decode()} is not in {self.name.decode()}")
        if self.members[other].role is role:
            return []
        self._set_role(other, role)
        if role is _OWNER:
            self._set_role(member, _MODERATOR)
        return [self.event(b"appointed", b"Member: %b\nRole: %b\n" % (other_name, _ROLE_NAMES[role]))]

    def others(self, member: int) -> list[int]:
        """Those to whom goes what a member sends, by number.

        Raises:
            NotAllowed: the member is not in the room.
        """
        self.check_in(member)
        return [other for other in sorted(self.members) if other != member]

    def check_in(self, member: int) -> None:
        """See that somebody is in the room.

        Raises:
            NotAllowed: it is not so.
        """
        if member not in self.members:
            raise NotAllowed(f"you are not in {self.name.decode()}")

    def _check_role(self, member: int, least: RoomRole) -> None:
        self.check_in(member)
        if self.role(member) < least:
            raise NotAllowed("only the owner may do that" if least is _OWNER else "only moderators may do that")

    def _set_role(self, member: int, role: RoomRole) -> None:
        self.members[member].role = role
        self.touched.add(member)

    def _drop(self, member: int) -> None:
        role = self.members.pop(member).role
        self.touched.add(member)
        if role is _OWNER and self.members:
            heirs = self.longest()
            moderators = [heir for heir in heirs if self.members[heir].role is _MODERATOR]
            self._set_role((moderators or heirs)[0], _OWNER)

    def event(self, kind: bytes, further: bytes = b"") -> RoomEvent:
        """Something that all who are in the room now are told."""
        return RoomEvent(b"Event: %b\n%b" % (kind, further), sorted(self.members))


def created(
    name: str, public: bool, topic: str, member: int, time: float, rooms: int, limits: StoreLimits
) -> tuple[RoomState, list[RoomEvent]]:
    """A new room, which nobody else has the name of.

    Args:
        name: its name.
        public: whether every member may join it.
        topic: its topic.
        member: who makes it, and owns it.
        time: now, in seconds since 1970.
        rooms: how many rooms that member is in.
        limits: what is kept at most.

    Raises:
        NotAllowed: the name or the topic is none, or the member is in too many rooms.
    """
    if not is_room(name.encode(errors="replace")):
        raise NotAllowed("the name of a room is # and 1 to 32 of the characters A-Z a-z 0-9 - _")
    _check_topic(topic)
    _check_rooms(rooms, limits)
    room = RoomState(name.encode(), public, topic)
    room.members[member] = Membership(_OWNER, time, 1)
    room.touched.add(member)
    return room, [room.event(b"created")]


def known(room: RoomState | None, member: int) -> RoomState:
    """The room that was found by its name, if somebody may know of it.

    Raises:
        NotAllowed: there is none, or it must look so (rule 12.1).
    """
    if room is None or not room.is_known_to(member):
        raise NotAllowed(NO_ROOM)
    return room


def _check_rooms(rooms: int, limits: StoreLimits) -> None:
    if rooms >= limits.rooms:
        raise NotAllowed(f"you are in too many rooms; a member is in at most {limits.rooms}")


def _check_topic(topic: str) -> None:
    if len(topic.encode(errors="replace")) > TOPIC_BYTES:
        raise NotAllowed(f"a topic has at most {TOPIC_BYTES} bytes")
    for letter in topic:
        code = ord(letter)
        if code < 0x20 or 0x7F <= code < 0xA0 or 0xD800 <= code < 0xE000:
            raise NotAllowed("a topic has no control characters")


def check_setting(peer: bytes, blocked: bool | None, settings: int, limits: StoreLimits) -> None:
    """See that a conversation may be set (rule 14.3).

    Args:
        peer: the user; or the room, which the member is in.
        blocked: whether the member wants to block it; None if that is not said.
        settings: how many other conversations of the member are muted or blocked.
        limits: what is kept at most.

    Raises:
        NotAllowed: it is no user or room, a room is to be blocked, or too many are set.
    """
    if is_room(peer):
        if blocked:
            raise NotAllowed("rooms can be muted, but not blocked")
    elif not is_name(peer):
        raise NotAllowed("there is no such conversation")
    if settings >= limits.settings:
        raise NotAllowed(f"too many conversations are muted or blocked; at most {limits.settings} can be")


# Messages


def mentioned(body: bytes) -> set[bytes]:
    """The names that a message mentions (rule 14.2), in lower case.

    At most 100, and of the first 64 KiB: a message cannot make the server work for long.
    """
    found: set[bytes] = set()
    if b"@" in body:
        for match in _MENTION.finditer(body[:_SEARCHED].decode(errors="replace")):
            found.add(match[1].lower().encode())
            if len(found) == _MENTIONS:
                break
    return found


def check_action(request: Append) -> None:
    """See that what a message does to another can be done at all (section 13), whatever that other message is.

    Raises:
        NotAllowed: it cannot.
    """
    if request.action is MessageAction.REACT:
        if len(request.body) > REACTION_BYTES:
            raise NotAllowed(f"a reaction has at most {REACTION_BYTES} bytes")
    elif request.action is not MessageAction.NONE:
        if request.sender is None or request.live or request.recipient.lower() == b"all":
            raise NotAllowed("only messages between members can be changed")
        if request.action is MessageAction.DELETE and request.body:
            raise NotAllowed("what deletes a message has no body")
        of_another = request.about_name not in (b"", request.sender_name.lower())
        if of_another and (request.action is MessageAction.EDIT or request.recipient[:1] != b"#"):
            raise NotAllowed(NO_MESSAGE)


def edited_headers(headers: bytes, time: float) -> bytes:
    """A message's header lines after it was edited (rule 13.2)."""
    return b"%bEdited: %b\n" % (_EDITED.sub(b"", headers), time_text(time))


def deleted_headers(time: float, edits: bytes = b"") -> bytes:
    """A message's header lines after it was deleted (rule 13.3).

    Args:
        time: when, in seconds since 1970.
        edits: the Id of the message that it edited, which then was deleted with it; empty if it is a message itself.
            That it was an edit has to be told, or it would look like another message that was deleted.
    """
    return b"%bDeleted: %b\n" % (b"Edits: %b\n" % edits if edits else b"", time_text(time))
