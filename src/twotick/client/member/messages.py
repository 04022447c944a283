"""Messages, with their references to others, files and room events (docs/protocol.md, sections 11 to 16)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from twotick.client.member.events import Decision, Entry, EntryOwner
from twotick.client.member.headers import as_text, number, parse_time
from twotick.client.member.results import ROLES, STATES, Role
from twotick.wire import Head

_SIZE_DIGITS = 18
"""The most digits of a file's size that the client accepts."""


class Reference(NamedTuple):
    """A reference to another message of the same conversation (rule 13.1).

    Attributes:
        sender: the user who sent it; empty if the reference does not say.
        id: its Id.
    """

    sender: str
    id: str


@dataclass(frozen=True, slots=True)
class FileInfo:
    """The description of a file that comes with a message (rules 16.1 and 16.3).

    Attributes:
        key: the key by which the server finds it.
        name: the name that its sender gave it. Do not trust it as a path.
        size: its size in bytes.
        hash: its SHA-256 in hexadecimal digits.
    """

    key: str
    name: str
    size: int
    hash: str


class EventKind(StrEnum):
    """The kind of an event (rules 10.9, 12.8 and 14.3)."""

    CREATED = "created"
    JOINED = "joined"
    LEFT = "left"
    CHANGED = "changed"
    REMOVED = "removed"
    APPOINTED = "appointed"
    INVITED = "invited"
    SET = "set"
    """The member changed the settings of a conversation: muted, blocked."""
    ABSENT = "absent"
    """One of the member's devices has not been connected for long, and will lapse."""
    OTHER = ""
    """A kind that this version of the library does not know."""


_KINDS = {kind.value: kind for kind in EventKind}


@dataclass(frozen=True, slots=True)
class Event:
    """An event in a room (rule 12.8), a change of a conversation's settings (rule 14.3), or an absent device (10.9).

    Attributes:
        kind: the kind of event.
        room: the room. For INVITED, the room that the invitation is for. Empty for SET and ABSENT.
        member: the member who was removed, appointed or invited; empty for other kinds.
        role: for APPOINTED, the new role; None for other kinds.
        topic: for CHANGED, the new topic; None if the topic did not change.
        public: for CHANGED, whether the room is public now; None if that did not change.
        peer: for SET, the conversation; empty for other kinds.
        muted: for SET, whether notifications are off now.
        blocked: for SET, whether the user is blocked now.
        device: for ABSENT, the device; empty for other kinds.
        since: for ABSENT, when it was last connected; None for other kinds.
        until: for ABSENT, when it lapses at the earliest; None for other kinds.
        all_pin: for CHANGED, whether all members may pin messages now; None if that did not change.
        pinned: for SET, whether the conversation is to be shown at the top now.
        closed: for SET, whether it is hidden now until the next message.
        muted_until: for SET, when notifications are on again; None if that does not happen by itself.
        guests: for CHANGED, whether guests may join the room now; None if that did not change.
    """

    kind: EventKind
    room: str = ""
    member: str = ""
    role: Role | None = None
    topic: str | None = None
    public: bool | None = None
    peer: str = ""
    muted: bool = False
    blocked: bool = False
    device: str = ""
    since: datetime | None = None
    until: datetime | None = None
    all_pin: bool | None = None
    pinned: bool = False
    closed: bool = False
    muted_until: datetime | None = None
    guests: bool | None = None


class MemberMessage(Entry):
    """A message: a new one, one sent from another of the member's devices, or one from the history.

    Attributes:
        sender: the user who sent it.
        recipient: the room, if it was sent to one; the member, for other messages that the member received.
        room: the room; empty if it was not sent to a room.
        place: its number in the room (rule 12.5); 0 if it was not sent to a room.
        outgoing: whether the member sent it. For an event: whether the member caused it.
        body: its content.
        id: its Id; empty if it has none, as with messages from classic guests.
        state: how far it has got, for the member's own messages from the history; None for others.
        fields: all its headers, by name in lower case.
    """

    __slots__ = ("body", "fields", "id", "outgoing", "place", "recipient", "room", "sender", "state")

    def __init__(self, owner: EntryOwner, seq: int, head: Head, body: bytes, member: str) -> None:
        super().__init__(owner, seq, head.name)
        self.fields: Mapping[str, str] = {
            name.decode("latin-1"): as_text(value) for name, value in head.headers.items()
        }
        self.sender = as_text(head.name)
        self.recipient = self.fields.get("to", member)
        self.room = self.recipient if self.recipient.startswith("#") else ""
        self.place = number(head, b"place")
        by_me = self.sender.lower() == member.lower() and not self.is_guest
        self.outgoing = by_me and ("to" in self.fields or "event" in self.fields)
        self.body = body
        self.id = self.fields.get("id", "")
        self.state = STATES.get(self.fields.get("state", ""))

    def __repr__(self) -> str:
        return f"MemberMessage(seq={self.seq}, {self.sender!r} to {self.recipient!r}, body={self.body!r})"

    @property
    def is_guest(self) -> bool:
        """Whether a guest sent it (rule 12.14). It is not from a member of that name, also if there is one by now."""
        return self.fields.get("guest") == "yes"

    @property
    def text(self) -> str:
        """The body as text. Bytes that are not UTF-8 appear as U+FFFD."""
        return as_text(self.body)

    @property
    def content_type(self) -> str:
        """The type of the body; `text/plain` in UTF-8 unless the sender gave another (rule 9.7)."""
        return self.fields.get("content-type", "text/plain; charset=utf-8")

    @property
    def time(self) -> datetime | None:
        """When the server took it, in UTC (rule 9.7); None if that is not known, or cannot be shown.

        It is not known of a message from before servers said so, if its sender gave a value that is not a time.
        """
        return parse_time(self.fields.get("accepted") or self.fields.get("time", ""))

    @property
    def headers(self) -> dict[str, str]:
        """The headers that the sender's program added, whose names start with `x-`; names are in lower case."""
        return {name: value for name, value in self.fields.items() if name.startswith("x-")}

    # References to other messages (section 13)

    @property
    def reply_to(self) -> Reference | None:
        """The message that this one replies to; None if it is not a reply."""
        return self._reference("reply-to", "")

    @property
    def thread(self) -> Reference | None:
        """The message with which its thread begins, for an answer in a thread (rule 13.5); None for other messages."""
        return self._reference("thread", "")

    @property
    def edits(self) -> Reference | None:
        """The message that this one replaces; None if it is not an edit."""
        return self._reference("edits", self.sender)

    @property
    def deletes(self) -> Reference | None:
        """The message that this one deletes; None if it is not a deletion."""
        return self._reference("deletes", self.sender)

    @property
    def reacts_to(self) -> Reference | None:
        """The message that this one is a reaction to; None if it is not a reaction.

        A reaction with an empty body takes an earlier one back.
        """
        return self._reference("reacts-to", self.sender)

    @property
    def forwarded_from(self) -> Reference | None:
        """The message that this one was sent on from; the server has verified it (rule 13.10). None for others."""
        return self._reference("forwarded-from", "")

    @property
    def pins(self) -> Reference | None:
        """The message that this one pins in the conversation; None if it pins none (rule 13.7)."""
        return self._reference("pins", self.sender)

    @property
    def unpins(self) -> Reference | None:
        """The message that this one unpins; None if it unpins none (rule 13.7)."""
        return self._reference("unpins", self.sender)

    @property
    def pinned(self) -> datetime | None:
        """When it was pinned, for a message from `MemberClient.pins`; None for others. `pinned_by` says by whom."""
        return parse_time(self.fields.get("pinned", ""))

    @property
    def pinned_by(self) -> str:
        """The user who pinned it, for a message from `MemberClient.pins`; empty for others."""
        return self.fields.get("pinned-by", "")

    @property
    def is_news(self) -> bool:
        """Whether this is a message of its own: not an edit, deletion, reaction, pin or event."""
        return not any(name in self.fields for name in ("edits", "deletes", "reacts-to", "pins", "unpins", "event"))

    def _reference(self, header: str, sender: str) -> Reference | None:
        """Return the reference in a header; `sender` is the sender of the other message if the header has none."""
        match self.fields.get(header, "").split():
            case [ident]:
                return Reference(sender, ident)
            case [name, ident]:
                return Reference(name, ident)
            case _:
                return None

    @property
    def edited(self) -> datetime | None:
        """When it was edited last; None if it was not. The body is the newest version (rule 13.2)."""
        return parse_time(self.fields.get("edited", ""))

    @property
    def deleted(self) -> datetime | None:
        """When it was deleted; None if it was not. A deleted message has an empty body (rule 13.3)."""
        return parse_time(self.fields.get("deleted", ""))

    @property
    def event(self) -> Event | None:
        """The event that it reports; None if a user wrote it (rule 12.8)."""
        fields = self.fields
        if "event" not in fields:
            return None
        return Event(
            _KINDS.get(fields["event"], EventKind.OTHER),
            fields.get("room", self.room),
            fields.get("member", ""),
            ROLES.get(fields["role"], Role.UNKNOWN) if "role" in fields else None,
            fields.get("topic"),
            fields["access"] == "public" if "access" in fields else None,
            fields.get("of", ""),
            fields.get("muted") == "yes",
            fields.get("blocked") == "yes",
            fields.get("device", ""),
            parse_time(fields.get("since", "")),
            parse_time(fields.get("until", "")),
            fields["pinning"] == "members" if "pinning" in fields else None,
            fields.get("pinned") == "yes",
            fields.get("closed") == "yes",
            parse_time(fields.get("muted-until", "")),
            fields["guests"] == "yes" if "guests" in fields else None,
        )

    @property
    def file(self) -> FileInfo | None:
        """The file that comes with it, for `MemberClient.download`; None if there is none."""
        fields = self.fields
        size = fields.get("file-size", "")
        if "file" not in fields or not (size.isascii() and size.isdigit()) or len(size) > _SIZE_DIGITS:
            return None
        return FileInfo(fields["file"], fields.get("file-name", ""), int(size), fields.get("file-hash", ""))

    # Decisions of the program

    async def reject(self) -> None:
        """Refuse the message: its sender is told that it was not delivered, unless another device has it (rule 11.4).

        Does nothing if the message is acknowledged or refused already.

        Raises:
            TwotickError: the client has ended.
        """
        await self._decide(Decision.REFUSED)

    async def read(self) -> None:
        """Acknowledge the message, and mark the conversation as read up to it (rules 11.8 and 12.9).

        The server learns of it once the connection is back if it is lost. The member's own messages, messages that were
        refused and messages that are not in the member's log cannot be marked as read: for these, nothing is sent.

        Raises:
            TwotickError: the client has ended.
        """
        await self.ack()
        if not self.outgoing and self.decision is Decision.TAKEN:
            await self._owner.mark_read(self.room or self.sender, self.seq)
