"""The conversations of one user, as far as this program knows them.

Nothing here knows the screen, the disk or the network. A session (session.py) feeds it, the screen shows it.
"""

import itertools
import re
from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import TypeAlias

from twotick.client import State

Place: TypeAlias = tuple[int, int]
"""Where a message stands: its number in the member's log, and where that does not tell, in the local store."""

WAITING = 1 << 62
"""In place of the number in the log, of messages that have none yet: they stand after all others."""

_EVERYONE = "all"
"""The key of the conversation with everybody who is connected (rule 5.9)."""


class Kind(Enum):
    """What a conversation is."""

    DIRECT = "direct"
    """With one user."""
    EVERYONE = "everyone"
    """To `ALL`."""


@dataclass(slots=True, eq=False)
class Message:
    """A message of a conversation.

    Attributes:
        conversation: the key of its conversation.
        sender: who sent it.
        text: what it says, as it was sent: nothing in it may go to the terminal as it is.
        time: when it was sent.
        outgoing: whether the user has sent it.
        place: where it stands in the conversation.
        id: its Id (rule 9.5); empty if it has none, or none yet.
        state: what became of it; None for one that came.
        reason: if it failed, why.
        mention: whether it names the user.
        number: its number in the local store; 0 if it is not there.
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


@dataclass(slots=True, eq=False)
class Conversation:
    """A conversation.

    Attributes:
        key: what it is found by.
        name: what it is called: a user's name, or `ALL`.
        messages: those that are loaded, in order: the newest, and older ones as somebody looks at them.
        complete: whether the local store has the oldest message that there is.
        loaded: whether the oldest of `messages` is the oldest in the local store.
        unread: messages that came and were not read.
        mentions: those of them that name the user.
        read: up to which number of the log they were read.
        draft: what was typed and not sent.
        recency: the higher, the later something happened here.
    """

    key: str
    name: str
    messages: list[Message] = field(default_factory=list[Message])
    complete: bool = False
    loaded: bool = False
    unread: int = 0
    mentions: int = 0
    read: int = 0
    draft: str = ""
    recency: int = 0

    @property
    def kind(self) -> Kind:
        """What it is."""
        return Kind.EVERYONE if self.key == _EVERYONE else Kind.DIRECT

    @property
    def title(self) -> str:
        """What people are shown as its name."""
        return "everyone" if self.kind is Kind.EVERYONE else self.name

    def index(self, message: Message) -> int:
        """Where a message stands among those that are loaded; -1 if it is not."""
        index = bisect_left(self.messages, message.place, key=_place)
        found = index < len(self.messages) and self.messages[index] is message
        return index if found else -1


def _place(message: Message) -> Place:
    return message.place


class Conversations:
    """All conversations of a user.

    Args:
        name: the user's name.

    Attributes:
        changed: called with a conversation after something in it has changed.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.changed: Callable[[Conversation], None] = _nobody_cares
        self._all: dict[str, Conversation] = {}
        self._messages: dict[int, Message] = {}  # that are loaded, by number in the local store
        self._recent = itertools.count(1)
        self._mention = re.compile(rf"(?<!\w)@({re.escape(name)}|all)(?!\w)", re.IGNORECASE)

    def known(self, conversations: Iterable[Conversation]) -> None:
        """Take in conversations, of which the one where something happened last comes last."""
        for each in conversations:
            each.recency = next(self._recent)
            self._all[each.key] = each

    def __iter__(self) -> "itertools.chain[Conversation]":
        """The conversations, the one where something happened last first."""
        return itertools.chain(sorted(self._all.values(), key=lambda each: -each.recency))

    def __len__(self) -> int:
        return len(self._all)

    def find(self, key: str) -> Conversation | None:
        """The conversation with that key, if there is one."""
        return self._all.get(key.lower())

    def open(self, name: str) -> Conversation:
        """The conversation with a user, or `ALL`, which is made if it is not there."""
        found = self.find(name)
        if found is None:
            found = self._all[name.lower()] = Conversation(name.lower(), name, recency=next(self._recent))
            self.changed(found)
        return found

    def mentions(self, text: str) -> bool:
        """Whether a text names the user."""
        return self._mention.search(text) is not None

    # Messages

    def loaded(self, number: int) -> Message | None:
        """A message that is loaded, by its number in the local store."""
        return self._messages.get(number)

    def load(self, conversation: Conversation, older: list[Message]) -> None:
        """Load messages that stand before all that are loaded."""
        conversation.messages[:0] = older
        self._messages.update((each.number, each) for each in older)
        self.changed(conversation)

    def add(self, message: Message) -> None:
        """A message is new in the local store."""
        conversation = self.open(message.conversation)
        if conversation.loaded or (conversation.messages and message.place > conversation.messages[0].place):
            self._messages[message.number] = message
            self._insert(conversation, message)
        if not message.outgoing and message.place[0] > conversation.read:
            conversation.unread += 1
            conversation.mentions += message.mention
        conversation.recency = next(self._recent)
        self.changed(conversation)

    def move(self, message: Message, place: Place) -> None:
        """A message stands elsewhere than it did."""
        conversation = self._all[message.conversation]
        if message.number in self._messages and place != message.place:
            conversation.messages.remove(message)
            message.place = place
            self._insert(conversation, message)
        message.place = place

    def advance(self, message: Message, state: State, reason: str = "") -> bool:
        """More is known of one of the user's own messages; what was known already changes nothing.

        Returns:
            Whether anything is different now.
        """
        if message.state is None or message.state >= State.READ or state <= message.state:
            return False
        message.state = state
        message.reason = reason
        self.changed(self._all[message.conversation])
        return True

    def count(self, conversation: Conversation, unread: int, mentions: int) -> None:
        """So many messages of a conversation are unread."""
        conversation.unread, conversation.mentions = unread, mentions
        self.changed(conversation)

    def forget_messages(self) -> None:
        """The local store has forgotten all messages."""
        self._messages.clear()
        for each in self._all.values():
            each.messages.clear()
            each.complete = each.loaded = False
            each.unread = each.mentions = each.read = 0
            self.changed(each)

    def _insert(self, conversation: Conversation, message: Message) -> None:
        conversation.messages.insert(bisect_left(conversation.messages, message.place, key=_place), message)

    # Of all together

    @property
    def unread(self) -> int:
        """Messages that were not read, in all."""
        return sum(each.unread for each in self._all.values())


def _nobody_cares(conversation: Conversation) -> None:
    """In place of `Conversations.changed`."""


def now() -> datetime:
    """The time, as messages have it."""
    return datetime.now(UTC)
