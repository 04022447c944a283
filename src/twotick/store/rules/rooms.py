"""The rules of rooms: who may do what in a room, and what its members are told (docs/protocol.md, section 12).

For each request, storage loads the room and calls `known`, then the method of `RoomState` that the request asks for. It
writes down what changed (`RoomState.touched`, and the attributes that are not members), and appends the returned events
to the logs of the members who are told.
"""

from typing import Final

from twotick.store.port import StoreLimits
from twotick.store.requests.rooms import RoomDescription, RoomRole
from twotick.store.rules.errors import NO_ROOM, NotAllowed
from twotick.wire import is_room, time_text

TOPIC_BYTES: Final = 250

ONLY_PUBLIC: Final = "only public rooms let guests in"

STAYS: Final = 16
"""The stays of a member in a room that are told apart; the oldest ones count as one."""

_NONE: Final = RoomRole.NONE
_MEMBER: Final = RoomRole.MEMBER
_MODERATOR: Final = RoomRole.MODERATOR
_OWNER: Final = RoomRole.OWNER

_ROLE_NAMES: Final = {RoomRole.MEMBER: b"member", RoomRole.MODERATOR: b"moderator", RoomRole.OWNER: b"owner"}


class Membership:
    """A member of a room.

    Attributes:
        role: the member's role; never NONE.
        since: when the member joined, in seconds since 1970.
        seen_from: the place of the first message that the member may read (rule 12.10).
        is_bot: whether it is a bot, which never becomes the owner (rule 12.4).
    """

    __slots__ = ("is_bot", "role", "seen_from", "since")

    def __init__(self, role: RoomRole, since: float, seen_from: int, is_bot: bool = False) -> None:
        self.is_bot = is_bot
        self.role = role
        self.since = since
        self.seen_from = seen_from


class RoomEvent:
    """An event that members are told (rule 12.8), except those whose mailboxes are full.

    Attributes:
        lines: its header lines, except the Time.
        members: the numbers of the members who are told.
        is_in_room: whether it is told in the room and has a place there; if not, one member alone is told.
        is_withheld: whether that member is not told, but the event waits as if the member were away (rule 14.4).
    """

    __slots__ = ("is_in_room", "is_withheld", "lines", "members")

    def __init__(self, lines: bytes, members: list[int], is_in_room: bool = True, is_withheld: bool = False) -> None:
        self.lines = lines
        self.members = members
        self.is_in_room = is_in_room
        self.is_withheld = is_withheld

    def headers(self, time: float) -> bytes:
        """Return all header lines of the event if it happens at a time, in seconds since 1970."""
        return b"Time: %b\n%b" % (time_text(time), self.lines)


class RoomState:
    """A room. A caller that changes it has found it with `known`.

    Attributes:
        name: its name, with the `#`, as its creator wrote it.
        public: whether every member may join it.
        topic: its topic; empty if it has none.
        members: its members, by number.
        invited: the members who may join it although it is private, or were asked to.
        unaware: members who have blocked those who invited them: they may not join, but to the inviters it looks so.
        last: the place of the newest message; 0 for none.
        open_from: the place of the first message that a new member may read: the first one since the room became public
            (rule 12.10). Without meaning while it is private.
        all_pin: whether all members may pin messages, and not only moderators and the owner.
        guests: whether guests may join it (rule 12.12); only a public room lets them in.
        number: the number that the storage has given it.
        touched: the members whose membership or invitation has changed since the storage last emptied this set. A room
            without members is gone.
    """

    __slots__ = (
        "all_pin",
        "guests",
        "invited",
        "last",
        "members",
        "name",
        "number",
        "open_from",
        "public",
        "topic",
        "touched",
        "unaware",
    )

    def __init__(self, name: bytes, public: bool, topic: str, last: int = 0, open_from: int = 1) -> None:
        self.name = name
        self.public: bool = public
        self.topic: str = topic
        self.last = last
        self.open_from = open_from
        self.all_pin: bool = False
        self.guests: bool = False
        self.number = 0
        self.members: dict[int, Membership] = {}
        self.invited: set[int] = set()
        self.unaware: set[int] = set()
        self.touched: set[int] = set()

    @property
    def key(self) -> bytes:
        """The name in lower case, by which the room is found."""
        return self.name.lower()

    def next_place(self) -> int:
        """Return the place of one more message."""
        self.last += 1
        return self.last

    def role(self, member: int) -> RoomRole:
        """Return the role of a member; NONE for one who is not in the room."""
        membership = self.members.get(member)
        return _NONE if membership is None else membership.role

    def may_pin(self, member: int) -> bool:
        """Tell whether a member may pin messages (rule 13.7)."""
        return self.role(member) >= (_MEMBER if self.all_pin else _MODERATOR)

    def is_known_to(self, member: int) -> bool:
        """Tell whether a member may learn that the room exists (rule 12.1)."""
        return self.public or member in self.members or member in self.invited

    def seen_by(self, member: int) -> RoomDescription:
        """Describe the room as a member sees it (rule 12.2)."""
        return RoomDescription(
            self.name.decode(),
            self.public,
            self.topic,
            len(self.members),
            self.role(member),
            member in self.invited,
            self.all_pin,
            self.guests,
        )

    def by_seniority(self) -> list[int]:
        """Return the members' numbers, those who joined first at the front."""
        return sorted(self.members, key=lambda member: (self.members[member].since, member))

    def join(
        self, member: int, time: float, rooms: int, limits: StoreLimits, *, is_bot: bool = False
    ) -> list[RoomEvent]:
        """Add a member.

        Args:
            member: the member.
            time: now, in seconds since 1970.
            rooms: how many rooms that member is in.
            limits: the most members and rooms.
            is_bot: whether the member is a bot.

        Raises:
            NotAllowed: the room has too many members, or the member too many rooms.
        """
        if member in self.members:
            return []
        if len(self.members) >= limits.room_members:
            raise NotAllowed(f"the room is full; it has at most {limits.room_members} members", "max_room_members")
        _check_rooms(rooms, limits)
        seen_from = self.open_from if self.public else self.last + 1
        self.members[member] = Membership(_MEMBER, time, seen_from, is_bot)
        self._uninvite(member)
        self.touched.add(member)
        return [self.event(b"joined")]

    def leave(self, member: int) -> list[RoomEvent]:
        """Remove a member at its own request, who is told as well. Another member succeeds an owner (rule 12.4).

        Raises:
            NotAllowed: the member is not in the room.
        """
        self.check_in(member)
        event = self.event(b"left")
        self._drop(member)
        return [event]

    def remove_from_server(self, member: int) -> list[RoomEvent]:
        """Remove a member who was removed from the server, and is not told."""
        if member in self.members:
            self._drop(member)
            return [self.event(b"left")] if self.members else []
        self._uninvite(member)
        return []

    def change(
        self,
        member: int,
        public: bool | None,
        topic: str | None,
        all_pin: bool | None = None,
        guests: bool | None = None,
    ) -> list[RoomEvent]:
        """Change the topic, whether the room is public, who may pin, or if guests may join; None changes nothing.

        Raises:
            NotAllowed: the member's role does not allow it, the topic is not valid, or guests would be let into a
                private room.
        """
        self._check_role(member, _MODERATOR if public is None and guests is None else _OWNER)
        will_be_public = self.public if public is None else public
        if guests and not will_be_public:
            raise NotAllowed(ONLY_PUBLIC)
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
        if all_pin is not None and all_pin != self.all_pin:
            self.all_pin = all_pin
            lines += b"Pinning: %b\n" % (b"members" if all_pin else b"moderators")
        lets_in = (self.guests if guests is None else guests) and will_be_public
        if lets_in != self.guests:
            self.guests = lets_in
            lines += b"Guests: %b\n" % (b"yes" if lets_in else b"no")
        return [self.event(b"changed", lines)] if lines else []

    def invite(
        self, member: int, other: int, other_name: bytes, is_blocked: bool, limits: StoreLimits
    ) -> list[RoomEvent]:
        """Let another member join.

        Args:
            member: who invites.
            other: who is invited.
            other_name: the name of that member, as it is shown.
            is_blocked: whether `other` has blocked `member`: then `other` is not told, but to `member` it looks so.
            limits: the most invitations.

        Raises:
            NotAllowed: the member's role does not allow it, the other one is in the room, or there are too many
                invitations.
        """
        self._check_role(member, _MEMBER if self.public else _MODERATOR)
        if other in self.members:
            raise NotAllowed(f"{other_name.decode()} is in {self.name.decode()} already")
        if other in self.invited or (is_blocked and other in self.unaware):
            return []
        if len(self.invited) + len(self.unaware - {other}) >= limits.room_members:
            raise NotAllowed(f"too many are invited; at most {limits.room_members} can be", "max_room_members")
        self.touched.add(other)
        if is_blocked:
            self.unaware.add(other)
        else:
            self.unaware.discard(other)
            self.invited.add(other)
        lines = b"Event: invited\nRoom: %b\nMember: %b\n" % (self.name, other_name)
        return [RoomEvent(lines, [other], is_in_room=False, is_withheld=is_blocked)]

    def remove(self, member: int, other: int, other_name: bytes) -> list[RoomEvent]:
        """Remove another member, or withdraw an invitation.

        A name that is neither a member's nor invited is no error: otherwise an inviter could see that it was blocked.

        Raises:
            NotAllowed: the member's role does not allow it.
        """
        self._check_role(member, _MODERATOR)
        if other == member:
            raise NotAllowed("leave the room instead of removing yourself")
        self._uninvite(other)
        if other not in self.members:
            return []
        if self.role(other) >= self.role(member):
            raise NotAllowed(f"only who has a higher role may remove {other_name.decode()}")
        event = self.event(b"removed", b"Member: %b\n" % other_name)
        self._drop(other)
        return [event]

    def appoint(self, member: int, other: int, other_name: bytes, role: RoomRole) -> list[RoomEvent]:
        """Give another member a role. An owner who appoints another owner becomes a moderator.

        Raises:
            NotAllowed: the member is not the owner, or the other one is the same member, not in the room, or a bot
                that would be the owner.
        """
        self._check_role(member, _OWNER)
        if other == member:
            raise NotAllowed("an owner gives up that role by appointing another owner")
        if other not in self.members:
            raise NotAllowed(f"{other_name.decode()} is not in {self.name.decode()}")
        if role is _OWNER and self.members[other].is_bot:
            raise NotAllowed("a bot cannot be the owner")
        if self.members[other].role is role:
            return []
        self._set_role(other, role)
        if role is _OWNER:
            self._set_role(member, _MODERATOR)
        return [self.event(b"appointed", b"Member: %b\nRole: %b\n" % (other_name, _ROLE_NAMES[role]))]

    def check_lets_guests_in(self) -> None:
        """Check that guests may be in the room (rule 12.12).

        Raises:
            NotAllowed: they may not, or the room is gone.
        """
        if not self.guests or not self.members:
            raise NotAllowed(NO_ROOM)

    def check_may_put_out(self, member: int) -> None:
        """Check that a member may put a guest out (rule 12.15).

        Raises:
            NotAllowed: the member's role does not allow it.
        """
        self._check_role(member, _MODERATOR)

    def others(self, member: int) -> list[int]:
        """Return the numbers of the members who get what a member sends.

        Raises:
            NotAllowed: the member is not in the room.
        """
        self.check_in(member)
        return [other for other in sorted(self.members) if other != member]

    def check_in(self, member: int) -> None:
        """Check that a member is in the room.

        Raises:
            NotAllowed: the member is not.
        """
        if member not in self.members:
            raise NotAllowed(f"you are not in {self.name.decode()}")

    def event(self, kind: bytes, further: bytes = b"") -> RoomEvent:
        """Return an event that all members of the room are told."""
        return RoomEvent(b"Event: %b\n%b" % (kind, further), sorted(self.members))

    def _check_role(self, member: int, least: RoomRole) -> None:
        self.check_in(member)
        if self.role(member) < least:
            raise NotAllowed("only the owner may do that" if least is _OWNER else "only moderators may do that")

    def _set_role(self, member: int, role: RoomRole) -> None:
        self.members[member].role = role
        self.touched.add(member)

    def _uninvite(self, member: int) -> None:
        if member in self.invited or member in self.unaware:
            self.invited.discard(member)
            self.unaware.discard(member)
            self.touched.add(member)

    def _drop(self, member: int) -> None:
        """Remove a member. Another one succeeds an owner, but no bot: bots go with the last person (rule 12.4)."""
        role = self.members.pop(member).role
        self.touched.add(member)
        heirs = [heir for heir in self.by_seniority() if not self.members[heir].is_bot] if role is _OWNER else []
        if heirs:
            moderators = [heir for heir in heirs if self.members[heir].role is _MODERATOR]
            self._set_role((moderators or heirs)[0], _OWNER)
        elif role is _OWNER:
            self.touched.update(self.members)
            self.members.clear()


def created(
    name: str,
    public: bool,
    topic: str,
    member: int,
    time: float,
    rooms: int,
    limits: StoreLimits,
    *,
    guests: bool = False,
) -> tuple[RoomState, list[RoomEvent]]:
    """Return a new room, and the event that tells of it. No other room has the name.

    Args:
        name: its name.
        public: whether every member may join it.
        topic: its topic.
        member: its creator and owner.
        time: now, in seconds since 1970.
        rooms: how many rooms that member is in.
        limits: the most of them.
        guests: whether guests may join it.

    Raises:
        NotAllowed: the name or the topic is not valid, guests would be let into a private room, or the member is in too
            many rooms.
    """
    if not is_room(name.encode(errors="replace")):
        raise NotAllowed("the name of a room is # and 1 to 32 of the characters A-Z a-z 0-9 - _")
    _check_topic(topic)
    if guests and not public:
        raise NotAllowed(ONLY_PUBLIC)
    _check_rooms(rooms, limits)
    room = RoomState(name.encode(), public, topic)
    room.guests = guests
    room.members[member] = Membership(_OWNER, time, 1)
    room.touched.add(member)
    return room, [room.event(b"created")]


def known(room: RoomState | None, member: int) -> RoomState:
    """Return the room that was found by its name, if a member may know of it.

    Raises:
        NotAllowed: there is none, or it must look so (rule 12.1).
    """
    if room is None or not room.is_known_to(member):
        raise NotAllowed(NO_ROOM)
    return room


def joined_stays(stays: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the stays of a member in a room, without those that overlap, and the last few alone where they are many.

    Args:
        stays: the places of the first and the last message of each.
    """
    joined: list[tuple[int, int]] = []
    for first, last in sorted(stays):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = joined[-1][0], max(last, joined[-1][1])
        else:
            joined.append((first, last))
    many = joined[:-STAYS]
    return [(many[0][0], joined[-STAYS][1]), *joined[-STAYS + 1 :]] if many else joined


def _check_rooms(rooms: int, limits: StoreLimits) -> None:
    if rooms >= limits.rooms:
        raise NotAllowed(f"you are in too many rooms; a member is in at most {limits.rooms}", "max_rooms")


def _check_topic(topic: str) -> None:
    if len(topic.encode(errors="replace")) > TOPIC_BYTES:
        raise NotAllowed(f"a topic has at most {TOPIC_BYTES} bytes")
    for letter in topic:
        code = ord(letter)
        if code < 0x20 or 0x7F <= code < 0xA0 or 0xD800 <= code < 0xE000:
            raise NotAllowed("a topic has no control characters")
