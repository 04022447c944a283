"""What a store is asked about rooms, conversations and presence, and its answers (docs/protocol.md, 12, 14, 15)."""

from dataclasses import dataclass
from enum import IntEnum

from twotick.store.records import Entry, Outcome


class Role(IntEnum):
    """What a member is in a room (rule 12.2). The numbers are in the database: never change one."""

    NONE = 0
    MEMBER = 1
    MODERATOR = 2
    OWNER = 3


@dataclass(frozen=True, slots=True)
class Room:
    """A room, as one member sees it (rule 12.2).

    Attributes:
        name: its name, with the `#`, as its creator wrote it.
        public: whether every member may join it.
        topic: its topic; empty if it has none.
        members: how many members it has.
        role: what the member who asks is in it.
        invited: whether the member who asks was invited, and has not joined.
    """

    name: str
    public: bool
    topic: str
    members: int
    role: Role
    invited: bool


@dataclass(frozen=True, slots=True)
class RoomMember:
    """A member of a room: the name, the role, and when the member joined, in seconds since 1970."""

    name: str
    role: Role
    since: float


@dataclass(frozen=True, slots=True)
class RoomChanged:
    """A room was changed, or looked at.

    Attributes:
        room: how it is now, for the member who asked.
        outcome: the entries that were appended to logs for it (rule 12.8).
    """

    room: Room
    outcome: Outcome


# Each of these is answered by RoomChanged or Refusal; `member` is who asks, `room` the room's name in any case. A room
# that the member may not know of is refused as one that is not there.


@dataclass(frozen=True, slots=True)
class CreateRoom:
    """Make a room, owned by the member (rule 12.2)."""

    member: int
    room: str
    public: bool
    topic: str
    time: float


@dataclass(frozen=True, slots=True)
class JoinRoom:
    """Be in a room from now on. Who is in it already is answered as if the member had joined, and nothing happens."""

    member: int
    room: str
    time: float


@dataclass(frozen=True, slots=True)
class LeaveRoom:
    """Be in a room no longer (rule 12.4)."""

    member: int
    room: str
    time: float


@dataclass(frozen=True, slots=True)
class ChangeRoom:
    """Change the topic, or who may join; None for what stays as it is."""

    member: int
    room: str
    public: bool | None
    topic: str | None
    time: float


@dataclass(frozen=True, slots=True)
class InviteToRoom:
    """Let another member, given by name in any case, join a room, and tell that member."""

    member: int
    room: str
    other: str
    time: float


@dataclass(frozen=True, slots=True)
class RemoveFromRoom:
    """Remove another member, given by name in any case, from a room, and take an invitation back."""

    member: int
    room: str
    other: str
    time: float


@dataclass(frozen=True, slots=True)
class Appoint:
    """Give another member of a room, given by name in any case, a role; `role` is not NONE."""

    member: int
    room: str
    other: str
    role: Role
    time: float


@dataclass(frozen=True, slots=True)
class LookAtRoom:
    """What a room is like. Changes nothing."""

    member: int
    room: str


@dataclass(frozen=True, slots=True)
class Rooms:
    """The rooms that a member may know of (rule 12.3), by name. Answered by a list of Room.

    Attributes:
        most: how many at most; those that the member is in, or invited to, go before others.
    """

    member: int
    most: int


@dataclass(frozen=True, slots=True)
class RoomMembers:
    """Who is in a room (rule 12.3), longest first. Answered by a list of RoomMember, or Refusal."""

    member: int
    room: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a message for one recipient: the name as it is shown, and a state (ACCEPTED to FAILED)."""

    name: str
    state: int


@dataclass(frozen=True, slots=True)
class Receipts:
    """What became of a message that the member has sent, for each recipient (rule 12.7).

    Answered by a list of Receipt, by name; or Refusal. Who is no member any more is left out. For a message to one user
    the state is that of the message. To several, READ is for a recipient whose mark of reading (`MarkRead`) is past its
    entry, who has not blocked the sender if it was to ALL; FAILED for one who does not get it.

    Attributes:
        recipient: whom it was sent to, in any case.
        id: its Id.
    """

    member: int
    recipient: bytes
    id: bytes


# Conversations (section 14)


@dataclass(frozen=True, slots=True)
class Conversation:
    """How a conversation stands (rule 14.1).

    Attributes:
        name: the other user, or the room, as it is shown; a guest's as the newest message has it, or as it was set.
        unread: messages that came and were not read, without those that only change others, and events.
        mentions: those of them that mention the member.
        read: the entry up to which was read; 0 for none.
        newest: the number of the newest RECEIVED or SENT entry; 0 if there is none.
        muted: whether the member wants no rings.
        blocked: whether the member wants nothing from that user.
        role: what the member is in the room; NONE for users.
    """

    name: str
    unread: int
    mentions: int
    read: int
    newest: int
    muted: bool
    blocked: bool
    role: Role


@dataclass(frozen=True, slots=True)
class Conversations:
    """The conversations of a member (rule 14.1), the newest first. Answered by a list of Conversation.

    There is one for each user with whom there are messages in the log, whoever sent them; for each room that the member
    is in; and for each user who is muted or blocked. What was sent to ALL is in that of nobody.
    """

    member: int
    most: int


@dataclass(frozen=True, slots=True)
class SetConversation:
    """Mute or block (rule 14.3); None for what stays as it is. Answered by ConversationSet, or Refusal.

    The event is a RECEIVED entry from the member itself, and in no conversation: not even in that with oneself.

    Attributes:
        peer: the user or the room, in any case.
    """

    member: int
    peer: bytes
    muted: bool | None
    blocked: bool | None
    time: float


@dataclass(frozen=True, slots=True)
class ConversationSet:
    """How a conversation is set now, and the entry that tells the member's devices, if anything has changed."""

    muted: bool
    blocked: bool
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Search:
    """Look for messages that the member may read (rule 14.5). Answered by Found; or Refusal: no words, or too many.

    Attributes:
        query: words, words in quotes, and words that end in `*`.
        peer: only those with this user or in this room, in any case; empty for all.
        before: the number from the last answer; 0 for the newest.
        most: how many at most.
        size: bytes of bodies after which there are no more.
    """

    member: int
    query: str
    peer: bytes
    before: int
    most: int
    size: int


@dataclass(frozen=True, slots=True)
class Found:
    """What was found, newest first.

    Attributes:
        entries: RECEIVED and SENT; `seq` is 0 for one in a room that is not in the member's log.
        before: what to give to `Search` to go on, also if there are fewer entries than were asked for: it looks at some
            1,000 messages at most. 0 if there is no more.
    """

    entries: list[Entry]
    before: int


@dataclass(frozen=True, slots=True)
class Index:
    """Make a few hundred more messages findable; and remove the words of messages that were removed, a few at a time.

    Answered by whether there is more to do: then ask again.
    """


# Presence (section 15)


@dataclass(frozen=True, slots=True)
class Audience:
    """Who may see whether a member is here, and that the member types (rules 15.2 and 15.3).

    Answered by a list of members' numbers, in order; an empty one if the member does not wish to be seen. Those are the
    members to whom a message of the member alone was ever accepted, and those in a room with the member, without those
    whom the member has blocked; 2,000 at most, the former first. A member who is removed and comes back is another.

    Attributes:
        peer: only this user, or those in this room, in any case; empty for all: those in a room with the member, and
            those to whom it has written, which is who `Contacts` says so of.
        is_gone: whether it is to be told that the member is gone. Then those who could see a member that was removed
            are known for a while; else nobody sees it any more.
    """

    member: int
    peer: bytes
    is_gone: bool = False


@dataclass(frozen=True, slots=True)
class Contact:
    """Somebody whose presence a member may see.

    Attributes:
        member: the store's number.
        name: the name as it is shown.
        shown: whether to show it; if not, the member is gone.
        seen: when a device of this member was last heard of; 0 if none ever was, or if it is not shown.
    """

    member: int
    name: str
    shown: bool
    seen: float


@dataclass(frozen=True, slots=True)
class Contacts:
    """Those in a room with a member, and those who have written to it, by name. Answered by a list of Contact.

    There are 2,000 at most; those who have written to it first. Who has blocked the member is not shown.

    Attributes:
        room: only those in this room, in any case, if the member is in it; empty for all.
    """

    member: int
    room: bytes = b""


@dataclass(frozen=True, slots=True)
class SetShown:
    """Whether others may see that the member is here (rule 15.1); None to ask. Answered by whether they may."""

    member: int
    shown: bool | None
