"""Messages, and what goes with them: references to others, files, events (docs/protocol.md, sections 11 to 16)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from twotick.client.member.events import Decision, Entry, Owner, State, as_text, moment, number
from twotick.client.member.results import Role
from twotick.wire import Head

_STATES = {state.name.lower(): state for state in State}
_ROLES = {role.value: role for role in Role}


class Reference(NamedTuple):
    """Another message in the same conversation (rule 13.1).

    Attributes:
        sender: who sent it; empty where the message does not say.
        id: its Id.
    """

    sender: str
    id: str


@dataclass(frozen=True, slots=True)
class FileInfo:
    """A file that is sent with a message (section 16).

    Attributes:
        key: by which the server is asked for it.
        name: what its sender called it; not to be trusted as a path.
        size: in bytes.
        hash: its SHA-256, in hexadecimal digits.
    """

    key: str
    name: str
    size: int
    hash: str


class EventKind(StrEnum):
    """What happened (rules 12.8 and 14.3)."""

    CREATED = "created"
    JOINED = "joined"
    LEFT = "left"
    CHANGED = "changed"
    REMOVED = "removed"
    APPOINTED = "appointed"
    INVITED = "invited"
    SET = "set"
    """The member has muted or blocked a conversation, or no longer does."""
    OTHER = ""
    """Something that this version does not know."""


_KINDS = {kind.value: kind for kind in EventKind}


@dataclass(frozen=True, slots=True)
class Event:
    """What happened in a room, from whoever did it (rule 12.8), or to a conversation (rule 14.3).

    Attributes:
        kind: what.
        room: in which room; for INVITED the room to which one may come; empty for SET.
        member: who was removed, appointed or invited; else empty.
        role: APPOINTED to what; else None.
        topic: the new topic, if that was CHANGED; else None.
        public: whether the room is public now, if that was CHANGED; else None.
        peer: which conversation was SET; else empty.
        muted: how it was SET.
        blocked: likewise.
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


class MemberMessage(Entry):
    """A message: one that came, one from another of the member's own devices, or one out of the history.

    Attributes:
        sender: who sent it.
        recipient: whom it is for: a room's name if it was sent to one; else, for a message that came, the member.
        room: the room's name; empty if it was not sent to one.
        place: its number in the room (rule 12.5); 0 if it was not sent to one.
        outgoing: whether the member has sent it, or for an event, has done it.
        body: the bytes of it.
        id: its Id; empty if it has none, as those of classic guests.
        state: what became of it, for one's own messages out of the history; None otherwise.
        fields: all its headers, by lower-case name.
    """

    __slots__ = ("body", "fields", "id", "outgoing", "place", "recipient", "room", "sender", "state")

    def __init__(self, owner: Owner, seq: int, head: Head, body: bytes, member: str) -> None:
        super().__init__(owner, seq, head.name)
        self.fields: Mapping[str, str] = {
            name.decode("latin-1"): as_text(value) for name, value in head.headers.items()
        }
        self.sender = as_text(head.name)
        self.recipient = self.fields.get("to", member)
        self.room = self.recipient if self.recipient.startswith("#") else ""
        self.place = number(head, b"place")
        by_me = self.sender.lower() == member.lower()
        self.outgoing = by_me and ("to" in self.fields or "event" in self.fields)
        self.body = body
        self.id = self.fields.get("id", "")
        self.state = _STATES.get(self.fields.get("state", ""))

    def __repr__(self) -> str:
        return f"MemberMessage(seq={self.seq}, {self.sender!r} to {self.recipient!r}, body={self.body!r})"

    @property
    def text(self) -> str:
        """The body as text; bytes that are not UTF-8 show as U+FFFD."""
        return as_text(self.body)

    @property
    def content_type(self) -> str:
        """What the body is; text unless the sender says otherwise (rule 9.7)."""
        return self.fields.get("content-type", "text/plain; charset=utf-8")

    @property
    def time(self) -> datetime | None:
        """When it was sent; None if the sender wrote something that is no time."""
        return moment(self.fields.get("time", ""))

    @property
    def headers(self) -> dict[str, str]:
        """The headers of its sender's own, whose names start with `x-` (in lower case)."""
        return {name: value for name, value in self.fields.items() if name.startswith("x-")}

    # What it has to do with other messages (section 13)

    @property
    def reply_to(self) -> Reference | None:
        """The message to which this one is the reply."""
        return self._reference("reply-to", "")

    @property
    def edits(self) -> Reference | None:
        """The message whose place this one takes."""
        return self._reference("edits", self.sender)

    @property
    def deletes(self) -> Reference | None:
        """The message that this one deletes."""
        return self._reference("deletes", self.sender)

    @property
    def reacts_to(self) -> Reference | None:
        """The message to which this one is a reaction; one without text takes it back."""
        return self._reference("reacts-to", self.sender)

    @property
    def is_news(self) -> bool:
        """Whether something is said with it: it does not change another message, and is no event."""
        return not any(name in self.fields for name in ("edits", "deletes", "reacts-to", "event"))

    def _reference(self, header: str, sender: str) -> Reference | None:
        match self.fields.get(header, "").split():
            case [ident]:
                return Reference(sender, ident)
            case [name, ident]:
                return Reference(name, ident)
            case _:
                return None

    @property
    def edited(self) -> datetime | None:
        """When it was edited last; None if it was not. The body is the newest one."""
        return moment(self.fields.get("edited", ""))

    @property
    def deleted(self) -> datetime | None:
        """When it was deleted; None if it was not. Then there is no body."""
        return moment(self.fields.get("deleted", ""))

    @property
    def event(self) -> Event | None:
        """What happened; None if it is a message of somebody's (rule 12.8)."""
        fields = self.fields
        if "event" not in fields:
            return None
        return Event(
            _KINDS.get(fields["event"], EventKind.OTHER),
            fields.get("room", self.room),
            fields.get("member", ""),
            _ROLES.get(fields.get("role", "")),
            fields.get("topic"),
            fields["access"] == "public" if "access" in fields else None,
            fields.get("of", ""),
            fields.get("muted") == "yes",
            fields.get("blocked") == "yes",
        )

    @property
    def file(self) -> FileInfo | None:
        """The file that comes with it, for `MemberClient.download`."""
        fields = self.fields
        size = fields.get("file-size", "")
        if "file" not in fields or not size.isdecimal() or len(size) > 18:
            return None
        return FileInfo(fields["file"], fields.get("file-name", ""), int(size), fields.get("file-hash", ""))

    # What the program says about it

    async def reject(self) -> None:
        """Refuse the message: its sender is told that it was not delivered, unless another device has it (rule 11.4).

        Does nothing if the message is acknowledged or refused already.

        Raises:
            TwotickError: the client has ended.
        """
        await self._decide(Decision.REFUSED)

    async def read(self) -> None:
        """Say that the member has read the messages from this sender, or in this room, up to this one (rule 11.8).

        That acknowledges the message as well. Does nothing for one's own messages, for one that was refused, and for
        one that is not in the member's log. While the connection is away it is told later.

        Raises:
            TwotickError: the client has ended.
        """
        await self.ack()
        if not self.outgoing and self.decision is Decision.TAKEN:
            await self._owner.mark_read(self.room or self.sender, self.seq)
