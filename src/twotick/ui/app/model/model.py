"""The conversations of one user, as far as this program knows them.

Nothing here knows the screen, the disk or the network. A session (session.py) feeds it, the screen shows it.
"""

import itertools
import re
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import NamedTuple, TypeAlias

from twotick.client.member.events import State
from twotick.client.member.results import RecipientState as RecipientState  # a part of what is shown

Place: TypeAlias = tuple[int, int]
"""Where a message stands: its number in the member's log, or in its room; and where that does not tell, in the local
store."""

WAITING = 1 << 62
"""In place of the number in the log, of messages that have none yet: they stand after all others."""

TYPING = 6.0
"""Seconds for which somebody is shown to type (rule 15.3)."""

_MOST_TYPING = 20
"""Users of whom it is remembered that they type in a conversation."""

_MOST_PRESENCES = 20_000
"""Users of whom it is remembered whether they are there."""

_MOST_LOADED = 5_000
"""Messages of a conversation that stay loaded when there are too many."""

_EVERYONE = "all"
"""The key of the conversation with everybody who is connected (rule 5.9)."""


class ConversationKind(Enum):
    """What a conversation is."""

    DIRECT = "direct"
    """With one user."""
    EVERYONE = "everyone"
    """To `ALL`."""
    ROOM = "room"
    """In a room (section 12)."""


class UserPresence(NamedTuple):
    """Whether somebody is there (rule 15.2).

    Attributes:
        state: `here`, `away` or `gone`.
        since: from when on; None if that is not known.
    """

    state: str
    since: datetime | None


class ChangeKind(Enum):
    """What may be done to a message later (rule 13.1)."""

    EDIT = "edit"
    DELETE = "delete"
    REACT = "react"


class MessageChange(NamedTuple):
    """What is done to which message.

    Attributes:
        action: what.
        sender: who has sent that message.
        id: its Id.
    """

    action: ChangeKind
    sender: str
    id: str


class RoomEvent(NamedTuple):
    """Something that happened in a room, told by whoever did it (rule 12.8).

    Attributes:
        kind: `created`, `joined`, `left`, `changed`, `removed`, `appointed` or `invited`.
        member: to whom, where it was done to somebody.
        role: as what that member was appointed.
        topic: the new topic; None if that was not changed.
        access: who may join now: `public` or `private`; empty if that was not changed.
        room: to which room somebody was invited, which is told outside of it.
    """

    kind: str
    member: str = ""
    role: str = ""
    topic: str | None = None
    access: str = ""
    room: str = ""


class Attachment(NamedTuple):
    """A file that goes with a message (section 16).

    Attributes:
        key: what the server knows it by; empty as long as it is not there.
        name: what it is called; chosen by its sender, so no path.
        size: in bytes.
        hash: its SHA-256, in hexadecimal digits; empty as long as it is not known.
    """

    key: str
    name: str
    size: int
    hash: str


class TransferProgress(NamedTuple):
    """How much of a file is up, or down: bytes, of so many."""

    done: int
    total: int


class RoomListing(NamedTuple):
    """A room as it is in a list of rooms (rule 12.3).

    Attributes:
        name: with the `#`.
        access: `public` or `private`.
        role: what the user is in it: `owner`, `moderator`, `member` or `none`.
        members: how many it has.
        topic: empty if it has none.
        invited: whether the user was invited, and has not joined.
    """

    name: str
    access: str
    role: str
    members: int
    topic: str
    invited: bool


class MemberListing(NamedTuple):
    """Somebody in a room.

    Attributes:
        name: who.
        role: `owner`, `moderator` or `member`.
        since: since when; None if the server does not say.
        presence: whether the member is there; None if that is not known.
    """

    name: str
    role: str
    since: datetime | None
    presence: UserPresence | None


@dataclass(slots=True, eq=False)
class LocalMessage:
    """A message of a conversation.

    Attributes:
        conversation: the key of its conversation.
        sender: who sent it.
        text: what it says, as it was sent: nothing in it may go to the terminal as it is. Empty once it is deleted.
        time: when it was sent.
        outgoing: whether the user has sent it.
        place: where it stands in the conversation.
        id: its Id (rule 9.5); empty if it has none.
        state: what became of it; None for one that came, and for events.
        reason: if it failed, why.
        mention: whether it names the user.
        number: its number in the local store; 0 if it is not there.
        seq: its number in the member's log; 0 if that is not known, as of what was said in a room before one was there.
        reply_to: sender and Id of the message that it answers: see `Conversations.find_message`; None if it does not.
        reactions: who has reacted with what: names by text, in the order in which they did.
        edited: when it was edited last; None if it was not.
        deleted: when it was deleted; None if it was not.
        changing: whether an edit or the deletion that shows already waits to be sent.
        event: what happened, in place of a text; None for what somebody wrote.
        file: the file that goes with it; None if there is none.
        transfer: how much of the file is up or down; None if it is not on its way now.
        have: how many recipients in a room have it; together with `of`, both 0 if that is not known.
        of: how many it goes to.
        everyone: whether it went to all who are connected (rule 5.9), and not to the user alone.
        path: the file on this machine that is to be sent with it; None if there is none.
        change: what it does to another message, as long as it waits; None for all that are shown.
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
    reactions: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    edited: datetime | None = None
    deleted: datetime | None = None
    changing: bool = False
    event: RoomEvent | None = None
    file: Attachment | None = None
    transfer: TransferProgress | None = None
    have: int = 0
    of: int = 0
    everyone: bool = False
    path: Path | None = None
    change: MessageChange | None = None

    def forget(self, when: datetime) -> None:
        """It is deleted: nothing of what it said is left."""
        self.text, self.deleted = "", when
        self.reply_to = self.file = self.transfer = self.path = None
        self.mention = False
        self.reactions = {}


@dataclass(slots=True, eq=False)
class LocalConversation:
    """A conversation.

    Attributes:
        key: what it is found by.
        name: what it is called: a user's name, `ALL`, or a room's name with its `#`.
        messages: those that are loaded, in order: the newest, and older ones as somebody looks at them.
        complete: whether the local store has the oldest message that there is.
        loaded: whether the oldest of `messages` is the oldest in the local store.
        unread: messages that came and were not read.
        mentions: those of them that name the user.
        read: up to which number of the log they were read.
        draft: what was typed and not sent.
        recency: the higher, the later something happened here.
        muted: whether the user wants no rings for it.
        blocked: whether the user wants nothing from that other user.
        topic: what the room is about; empty if it does not say.
        role: what the user is in the room: `owner`, `moderator`, `member` or `none`; empty if that is not known.
        members: how many are in the room; 0 if that is not known.
        access: who may join the room: `public` or `private`; empty if that is not known.
        left: whether the user is not in that room any more.
        presence: whether the other user is there; None if that is not known, and for all but direct ones.
        counted: up to which number of the log the server has counted what is unread.
    """

    key: str
    name: str
    messages: list[LocalMessage] = field(default_factory=list[LocalMessage])
    complete: bool = False
    loaded: bool = False
    unread: int = 0
    mentions: int = 0
    read: int = 0
    draft: str = ""
    recency: int = 0
    muted: bool = False
    blocked: bool = False
    topic: str = ""
    role: str = ""
    members: int = 0
    access: str = ""
    left: bool = False
    presence: UserPresence | None = None
    counted: int = 0
    _typing: dict[str, float] = field(default_factory=dict[str, float])  # since when, on the monotonic clock

    @property
    def kind(self) -> ConversationKind:
        """What it is."""
        if self.key == _EVERYONE:
            return ConversationKind.EVERYONE
        return ConversationKind.ROOM if self.key.startswith("#") else ConversationKind.DIRECT

    @property
    def title(self) -> str:
        """What people are shown as its name."""
        return "everyone" if self.kind is ConversationKind.EVERYONE else self.name

    @property
    def typing(self) -> list[str]:
        """Who is typing (rule 15.3). `Conversations.changed` is called when somebody begins and when that is over."""
        since = time.monotonic() - TYPING
        return [name for name, when in self._typing.items() if when > since]

    def set_typing(self, name: str, types: bool) -> bool:
        """Somebody types, or does not. See `Conversations.set_typing`.

        Returns:
            Whether that was not known.
        """
        if not types:
            return self._typing.pop(name, None) is not None
        if len(self._typing) >= _MOST_TYPING:
            self._typing.pop(next(iter(self._typing)))
        self._typing[name] = time.monotonic()
        return True

    @property
    def first_unread(self) -> LocalMessage | None:
        """The first message that is loaded and was not read."""
        return next((each for each in self.messages if self.is_unread(each)), None)

    def is_unread(self, message: LocalMessage) -> bool:
        """Whether a message counts as unread, also when it was deleted since, as the server counts (rule 14.1)."""
        return not message.outgoing and message.event is None and message.seq > self.read

    def index(self, message: LocalMessage) -> int:
        """Where a message stands among those that are loaded; -1 if it is not."""
        index = bisect_left(self.messages, message.place, key=_place)
        found = index < len(self.messages) and self.messages[index] is message
        return index if found else -1


def _place(message: LocalMessage) -> Place:
    return message.place


class ConversationRegistry:
    """All conversations of a user.

    Args:
        name: the user's name.

    Attributes:
        changed: called with a conversation after something in it has changed.
        altered: called before that with a message that is loaded and looks different now.
        stored: gives a message that is not loaded, by conversation, sender (empty for anybody) and Id.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.changed: Callable[[LocalConversation], None] = lambda _: None
        self.altered: Callable[[LocalMessage], None] = lambda _: None
        self.stored: Callable[[str, str, str], LocalMessage | None] = _nothing_stored
        self._all: dict[str, LocalConversation] = {}
        self._presences: dict[str, UserPresence] = {}  # by name in lower case
        self._messages: dict[int, LocalMessage] = {}  # that are loaded, by number in the local store
        self._by_id: dict[tuple[str, str, str], LocalMessage] = {}  # that are loaded, by conversation, sender and Id
        self._recent = itertools.count(1)
        self._everybody = _naming(re.escape(name) + "|all")
        self._me = _naming(re.escape(name))

    def known(self, conversations: Iterable[LocalConversation]) -> None:
        """Take in conversations, of which the one where something happened last comes last."""
        for each in conversations:
            each.recency = next(self._recent)
            self._all[each.key] = each

    def __iter__(self) -> "itertools.chain[LocalConversation]":
        """The conversations, the one where something happened last first."""
        return itertools.chain(sorted(self._all.values(), key=lambda each: -each.recency))

    def __len__(self) -> int:
        return len(self._all)

    def find(self, key: str) -> LocalConversation | None:
        """The conversation with that key, if there is one."""
        return self._all.get(key.lower())

    def open(self, name: str) -> LocalConversation:
        """The conversation with a user, in a room, or with `ALL`, which is made if it is not there."""
        found = self.find(name)
        if found is None:
            key = name.lower()
            found = self._all[key] = LocalConversation(
                key, name, recency=next(self._recent), presence=self.presence(key)
            )
            self.changed(found)
        return found

    def forget(self, conversation: LocalConversation) -> None:
        """Have a conversation no longer, of which nothing is loaded."""
        del self._all[conversation.key]

    def mentions(self, text: str, in_room: bool) -> bool:
        """Whether a text names the user: in a room by name (rule 14.2), elsewhere also as one of all."""
        return (self._me if in_room else self._everybody).search(text) is not None

    # Other users

    def presence(self, name: str) -> UserPresence | None:
        """Whether a user is there; None if that is not known."""
        return self._presences.get(name.lower())

    def set_presence(self, name: str, presence: UserPresence) -> None:
        """A user is there, or not."""
        key = name.lower()
        if key in self._presences or len(self._presences) < _MOST_PRESENCES:
            self._presences[key] = presence
        found = self.find(key)
        if found is not None:
            found.presence = presence
            self.changed(found)

    def set_typing(self, conversation: LocalConversation, name: str, types: bool) -> None:
        """A user types, for as long as `TYPING`, or does not type any more."""
        if conversation.set_typing(name, types):
            self.changed(conversation)

    def is_blocked(self, name: str) -> bool:
        """Whether the user wants nothing from that user, whose messages in rooms are hidden (rule 14.4)."""
        found = self.find(name)
        return found is not None and found.blocked

    @property
    def blocked(self) -> frozenset[str]:
        """Those of whom `is_blocked` holds, in lower case."""
        return frozenset(each.key for each in self._all.values() if each.blocked)

    # Messages

    def find_message(self, conversation: LocalConversation, sender: str, ident: str) -> LocalMessage | None:
        """The message with that sender and Id, loaded or in the local store.

        Args:
            conversation: where it was said.
            sender: who sent it, in any case; empty if that is not known.
            ident: its Id.

        Returns:
            The message; None if it is not here.
        """
        loaded = self._by_id.get((conversation.key, sender.lower(), ident))
        return loaded or self.stored(conversation.key, sender, ident)

    def loaded(self, number: int) -> LocalMessage | None:
        """A message that is loaded, by its number in the local store."""
        return self._messages.get(number)

    def load(self, conversation: LocalConversation, older: list[LocalMessage]) -> None:
        """Load messages that stand before all that are loaded."""
        conversation.messages[:0] = older
        for each in older:
            self._hold(each)
        self.changed(conversation)

    def add(self, message: LocalMessage) -> None:
        """A message is new in the local store."""
        conversation = self.open(message.conversation)
        if conversation.loaded or (conversation.messages and message.place > conversation.messages[0].place):
            self._hold(message)
            self._insert(conversation, message)
            if len(conversation.messages) > 2 * _MOST_LOADED:
                self.unload(conversation, conversation.messages[_MOST_LOADED].place)
        if conversation.is_unread(message) and message.seq > conversation.counted:
            conversation.unread += 1
            conversation.mentions += message.mention
        conversation.recency = next(self._recent)
        conversation.set_typing(message.sender, False)
        self.changed(conversation)

    def unload(self, conversation: LocalConversation, place: Place) -> None:
        """Let go of the loaded messages before a place; they can be loaded again."""
        index = bisect_left(conversation.messages, place, key=_place)
        for each in conversation.messages[:index]:
            del self._messages[each.number]
            self._by_id.pop((each.conversation, each.sender.lower(), each.id), None)
        del conversation.messages[:index]
        conversation.loaded = False
        self.changed(conversation)

    def move(self, message: LocalMessage, place: Place) -> None:
        """A message stands elsewhere than it did."""
        conversation = self._all[message.conversation]
        if message.number in self._messages and place != message.place:
            conversation.messages.remove(message)
            message.place = place
            self._insert(conversation, message)
        message.place = place

    def advance(self, message: LocalMessage, state: State, reason: str = "") -> bool:
        """More is known of one of the user's own messages; what was known already changes nothing.

        Returns:
            Whether anything is different now.
        """
        if message.state is None or message.state >= State.READ or state <= message.state:
            return False
        message.state = state
        message.reason = reason
        self.alter(message)
        return True

    def alter(self, message: LocalMessage) -> None:
        """Something in a message has changed."""
        self.altered(message)
        conversation = self.find(message.conversation)
        if conversation is not None:
            self.changed(conversation)

    def count(self, conversation: LocalConversation, unread: int, mentions: int) -> None:
        """So many messages of a conversation are unread."""
        conversation.unread, conversation.mentions = unread, mentions
        self.changed(conversation)

    def forget_messages(self) -> None:
        """The local store has forgotten all messages."""
        self._messages.clear()
        self._by_id.clear()
        for each in self._all.values():
            each.messages.clear()
            each.complete = each.loaded = False
            each.unread = each.mentions = each.read = each.counted = 0
            self.changed(each)

    def _hold(self, message: LocalMessage) -> None:
        self._messages[message.number] = message
        if message.id:
            self._by_id[message.conversation, message.sender.lower(), message.id] = message

    def _insert(self, conversation: LocalConversation, message: LocalMessage) -> None:
        conversation.messages.insert(bisect_left(conversation.messages, message.place, key=_place), message)

    # Of all together

    @property
    def unread(self) -> int:
        """Messages that were not read, in all."""
        return sum(each.unread for each in self._all.values())


def _naming(names: str) -> re.Pattern[str]:
    """What finds names after an `@`, with no letter or digit around (rule 14.2)."""
    return re.compile(rf"(?<![^\W_])@({names})(?![^\W_])", re.IGNORECASE)


def _nothing_stored(conversation: str, sender: str, ident: str) -> LocalMessage | None:
    """In place of `Conversations.stored`."""


def now() -> datetime:
    """The time, as messages have it."""
    return datetime.now(UTC)
