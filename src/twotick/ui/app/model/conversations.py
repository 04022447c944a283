"""Conversations as the app knows them."""

import time
from bisect import bisect_left
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import NamedTuple

from twotick.ui.app.model.messages import LocalMessage, Place

TYPING = 6.0
"""Seconds for which a user is shown as typing (rule 15.3)."""

_MAX_TYPING = 20
"""Typing users that are remembered for each conversation."""

_EVERYONE = "all"
"""The key of the conversation with all connected users (rule 5.9)."""


class ConversationKind(Enum):
    """The kinds of conversations."""

    DIRECT = "direct"
    """With one user."""
    EVERYONE = "everyone"
    """With all connected users, addressed as `ALL`."""
    ROOM = "room"
    """In a room (section 12)."""


class UserPresence(NamedTuple):
    """The presence of a user (rule 15.2).

    Attributes:
        state: `here`, `away` or `gone`.
        since: when this state began; None if that is unknown.
    """

    state: str
    since: datetime | None


@dataclass(slots=True, eq=False)
class LocalConversation:
    """A conversation and the messages of it that are loaded.

    Attributes:
        key: the unique key: the name in lower case.
        name: the name of the user, `ALL`, or the name of the room with its `#`.
        messages: the loaded messages in order: the newest ones, and older ones as the user scrolls back.
        complete: whether the local store has the oldest message of the conversation.
        loaded: whether the oldest of `messages` is the oldest one in the local store.
        unread: the number of unread messages.
        mentions: the number of unread messages that mention the user.
        read: the number in the log up to which the user has read.
        draft: the text that was typed but not sent.
        recency: a counter: the conversation with the highest value had the latest activity.
        muted: whether notifications are off.
        blocked: whether the other user is blocked.
        topic: the topic of the room; empty if it has none.
        role: the user's role in the room: `owner`, `moderator`, `member` or `none`; empty if it is unknown.
        members: the number of members of the room; 0 if it is unknown.
        access: who may join the room: `public`, `guests` or `private`; empty if it is unknown.
        visits: a counter: it changes when guests may have come to the room or left it.
        left: whether the user is no longer in the room.
        presence: the presence of the other user; None if it is unknown or the conversation is not direct.
        closed: whether the user has closed it: the list leaves it out until a message arrives or the user opens it.
        pinned: whether it stays at the top of the list.
        muted_until: when notifications are turned on again, in seconds since 1970; 0 if the user does that.
        counted: the number in the log up to which the server's count of unread messages goes.
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
    visits: int = 0
    left: bool = False
    presence: UserPresence | None = None
    counted: int = 0
    closed: bool = False
    pinned: bool = False
    muted_until: float = 0.0
    _typing: dict[str, float] = field(default_factory=dict[str, float])  # start of typing by name, monotonic clock

    @property
    def kind(self) -> ConversationKind:
        """The kind of conversation."""
        if self.key == _EVERYONE:
            return ConversationKind.EVERYONE
        return ConversationKind.ROOM if self.key.startswith("#") else ConversationKind.DIRECT

    @property
    def title(self) -> str:
        """The name that is shown to the user."""
        return "everyone" if self.kind is ConversationKind.EVERYONE else self.name

    @property
    def typing(self) -> list[str]:
        """The names of the users who are typing (rule 15.3).

        `ConversationRegistry.on_change` is called when a user begins or stops typing.
        """
        since = time.monotonic() - TYPING
        return [name for name, when in self._typing.items() if when > since]

    def set_typing(self, name: str, is_typing: bool) -> bool:
        """Record whether a user is typing. Call `ConversationRegistry.set_typing` to notify the screen as well.

        Returns:
            Whether this changed anything.
        """
        if not is_typing:
            return self._typing.pop(name, None) is not None
        if len(self._typing) >= _MAX_TYPING:
            self._typing.pop(next(iter(self._typing)))
        self._typing[name] = time.monotonic()
        return True

    @property
    def first_unread(self) -> LocalMessage | None:
        """The first loaded message that is unread; None if there is none."""
        return next((each for each in self.messages if self.is_unread(each)), None)

    def is_unread(self, message: LocalMessage) -> bool:
        """Return whether a message is unread (rules 14.1 and 14.2)."""
        is_news = not message.outgoing and message.event is None and message.deleted is None
        return is_news and message.seq > self.read

    def index(self, message: LocalMessage) -> int:
        """Return the index of a message in `messages`; -1 if it is not loaded."""
        index = first_from(self.messages, message.place)
        found = index < len(self.messages) and self.messages[index] is message
        return index if found else -1


def first_from(messages: list[LocalMessage], place: Place) -> int:
    """Return the index of the first message at or after a place, in a list that is sorted by place."""
    return bisect_left(messages, place, key=_place)


def _place(message: LocalMessage) -> Place:
    return message.place
