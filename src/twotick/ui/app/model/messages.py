"""Messages as the app knows them."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import NamedTuple, TypeAlias

from twotick.client.member.events import State

Place: TypeAlias = tuple[int, int]
"""The position of a message in its conversation.

The first number is the message's number in the member's log or, in a room, its place in the room. The second one is 0,
except for messages that have no such number yet: these are ordered by their number in the local store.
"""

WAITING = 1 << 62
"""The first number of the place of a message that the server has not accepted yet. It sorts after all other places."""


class ChangeKind(Enum):
    """How a message can be changed later (rule 13.1)."""

    EDIT = "edit"
    DELETE = "delete"
    REACT = "react"


class MessageChange(NamedTuple):
    """A change of an earlier message.

    Attributes:
        kind: edit, deletion or reaction.
        sender: the sender of the message that is changed.
        id: the Id of the message that is changed.
        guest: whether a guest has sent that message (rule 12.14); None if that is not known. Then it is a member's, if
            there is one, because a member may have the name of a guest by now.
    """

    kind: ChangeKind
    sender: str
    id: str
    guest: bool | None = None


class RoomNotice(NamedTuple):
    """Something that a member did to a room (rule 12.8), or a device of the user's that stays away (rule 10.9).

    Attributes:
        kind: `created`, `joined`, `left`, `changed`, `removed`, `appointed`, `invited` or `absent`.
        member: the member that was removed, appointed or invited, or the device; otherwise empty.
        role: the role of a member that was appointed.
        topic: the new topic, or the day by which the device must be connected; None for none.
        access: the new access, `public`, `guests` or `private`; empty if it did not change.
        room: the room of an invitation, which the server sends outside of that room.
    """

    kind: str
    member: str = ""
    role: str = ""
    topic: str | None = None
    access: str = ""
    room: str = ""


class Attachment(NamedTuple):
    """A file that belongs to a message (section 16).

    Attributes:
        key: the key of the file on the server; empty until it is uploaded.
        name: the name that the sender chose. It is not safe to use as a path.
        size: the size in bytes.
        hash: the SHA-256 as hexadecimal digits; empty until it is known.
    """

    key: str
    name: str
    size: int
    hash: str


class TransferProgress(NamedTuple):
    """The progress of an upload or a download, in bytes."""

    done: int
    total: int


@dataclass(slots=True, eq=False)
class LocalMessage:
    """A message of a conversation.

    Attributes:
        conversation: the key of its conversation.
        sender: the name of its sender.
        text: the text as it was sent, which may contain control characters; empty once the message is deleted.
        time: when it was sent.
        outgoing: whether the user sent it.
        place: its position in the conversation.
        id: its Id (rule 9.5); empty if it has none.
        state: the delivery state of a message that the user sent; None for received messages and for events.
        reason: why it failed; empty if it did not fail.
        mention: whether it mentions the user.
        number: its number in the local store; 0 if it is not stored.
        seq: its number in the member's log; 0 if that is unknown, for example for room messages from before the user
            joined.
        reply_to: sender and Id of the message that it replies to (see `ConversationRegistry.find_message`); None if it
            is not a reply.
        forwarded_from: the user who wrote it, if it was forwarded, as the server has verified (rule 13.10); otherwise
            empty.
        reactions: the names of the users who reacted, by reaction, in the order of the reactions.
        edited: when it was last edited; None if never.
        deleted: when it was deleted; None if it is not deleted.
        changing: whether an edit or deletion that is shown already still waits to be sent.
        event: the room event that is shown instead of a text; None for messages that a user wrote.
        file: the attached file; None if there is none.
        transfer: the progress of the file's upload or download; None if none is running.
        have: how many recipients in a room have the message; `have` and `of` are both 0 if that is unknown.
        of: how many recipients the message has in a room.
        everyone: whether it was sent to all connected users (rule 5.9) and not to the user alone.
        path: the file on this machine that is sent with the message; None if there is none.
        is_guest: whether a guest wrote it (rule 12.14): then it is not from a member of that name.
        forwards: sender and Id of the message that this one forwards, while this one waits to be sent; otherwise None.
        change: the change of another message that this message carries while it waits to be sent; None for messages
            that are shown.
    """

    conversation: str
    sender: str
    text: str
    time: datetime
    outgoing: bool
    place: Place
    id: str = ""
    state: State | None = None
    reason: str = ""
    mention: bool = False
    number: int = 0
    seq: int = 0
    reply_to: tuple[str, str] | None = None
    forwarded_from: str = ""
    reactions: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    edited: datetime | None = None
    deleted: datetime | None = None
    changing: bool = False
    event: RoomNotice | None = None
    file: Attachment | None = None
    transfer: TransferProgress | None = None
    have: int = 0
    of: int = 0
    everyone: bool = False
    path: Path | None = None
    change: MessageChange | None = None
    forwards: tuple[str, str] | None = None
    is_guest: bool = False

    @property
    def author(self) -> str:
        """The key of its sender: a guest is never the member who has the name now."""
        return author_key(self.sender, self.is_guest)

    @property
    def has_place(self) -> bool:
        """Whether the server has given the place of the message."""
        return self.place[1] == 0

    def mark_deleted(self, when: datetime) -> None:
        """Mark the message as deleted and remove its content."""
        self.text, self.forwarded_from, self.deleted = "", "", when
        self.reply_to = self.file = self.transfer = self.path = None
        self.mention = False
        self.reactions = {}


def author_key(sender: str, guest: bool) -> str:
    """Return the key of a sender, in any case of letters. That of a guest is no name."""
    return f"{sender.lower()} guest" if guest else sender.lower()


def now() -> datetime:
    """Return the current time in UTC, as messages store it."""
    return datetime.now(UTC)
