"""Conversations, their settings, and receipts (docs/protocol.md, rule 12.7 and section 14)."""

from dataclasses import dataclass, field

from twotick.store.port import Refusal, Request
from twotick.store.requests.messages import Effects, MessageState
from twotick.store.requests.rooms import RoomRole


@dataclass(frozen=True, slots=True)
class RecipientOutcome:
    """What became of a message for one recipient.

    Attributes:
        name: the recipient's name as it is shown.
        state: ACCEPTED to FAILED.
    """

    name: str
    state: MessageState


@dataclass(frozen=True, slots=True)
class ListReceipts(Request[list[RecipientOutcome] | Refusal]):
    """List what became of a message that the member has sent, for each recipient by name (rule 12.7).

    Recipients that were removed from the server are left out. A message to one user has that message's state. For
    several recipients, READ is for one who has read past its entry and has not blocked the sender of a message to ALL;
    FAILED for one who does not get it.

    Attributes:
        recipient: the recipient of the message, in any case.
        id: its Id.
    """

    member: int
    recipient: bytes
    id: bytes


@dataclass(frozen=True, slots=True)
class ConversationInfo:
    """A conversation of a member (rule 14.1).

    Attributes:
        name: the other user or the room, as it is shown; a guest's as the newest message has it, or as it was set.
        unread: messages that came and were not read; events and messages that only change others do not count.
        mentions: how many of them mention the member.
        read: the Seq up to which the member has read; 0 for none.
        newest: the Seq of the newest RECEIVED or SENT entry; 0 if there is none.
        muted: whether notifications are off.
        blocked: whether the member has blocked that user.
        role: the member's role in the room; NONE for users.
        pinned: whether the member wants it at the top.
        closed: whether the member has closed it, and no message has come or was sent since.
        muted_until: when notifications are on again, in seconds since 1970; 0 if they are on, or off for ever.
        notify_all: whether all messages of the room are notified, not only mentions.
    """

    name: str
    unread: int
    mentions: int
    read: int
    newest: int
    muted: bool
    blocked: bool
    role: RoomRole
    pinned: bool = False
    closed: bool = False
    muted_until: float = 0.0
    notify_all: bool = False


@dataclass(slots=True)
class UnreadSoFar:
    """The unread messages of a conversation that were counted so far.

    Attributes:
        read: the Seq up to which the member has read.
        counted: the Seq up to which they were counted.
        unread: how many there are.
        mentions: how many of them mention the member.
    """

    read: int
    counted: int
    unread: int = 0
    mentions: int = 0


@dataclass(slots=True)
class ConversationsSoFar:
    """What the transactions before this one have found of a list of conversations.

    Attributes:
        last: the Seq of the newest entry that was looked at.
        last_peer: the last peer that was found in the log; None when all were found.
        newest: the Seq of the newest message of each conversation; 0 if there is none.
        unread: what was counted in each.
    """

    last: int
    last_peer: bytes | None = b""
    newest: dict[bytes, int] = field(default_factory=dict[bytes, int])
    unread: dict[bytes, UnreadSoFar] = field(default_factory=dict[bytes, UnreadSoFar])


@dataclass(frozen=True, slots=True)
class ListConversations(Request[list[ConversationInfo]]):
    """List a member's conversations (rule 14.1), the newest first.

    There is one for each user with whom the member has exchanged messages, for each room that the member is in, and for
    each other user with whom a conversation is set. Messages to ALL are in no conversation.

    Attributes:
        most: how many at most.
        so_far: what was found in earlier transactions of the same request; None for nothing.
        time: now, in seconds since 1970, by which muting ends.
    """

    member: int
    most: int
    so_far: ConversationsSoFar | None = None
    time: float = 0.0


@dataclass(frozen=True, slots=True)
class ConversationSet:
    """A conversation's settings, and the entry that tells the member's devices if they have changed."""

    muted: bool
    blocked: bool
    effects: Effects
    pinned: bool = False
    closed: bool = False
    muted_until: float = 0.0
    notify_all: bool = False


@dataclass(frozen=True, slots=True)
class SetConversation(Request[ConversationSet | Refusal]):
    """Mute, block, pin or close a conversation (rule 14.3); None leaves a value as it is.

    The event is a RECEIVED entry from the member itself, and in no conversation, not even in that with oneself.

    Attributes:
        peer: the user or the room, in any case.
        muted_until: mute it until this time, in seconds since 1970.
        notify_all: notify all messages of the room, or only mentions.
    """

    member: int
    peer: bytes
    muted: bool | None
    blocked: bool | None
    time: float
    pinned: bool | None = None
    closed: bool | None = None
    muted_until: float | None = None
    notify_all: bool | None = None
