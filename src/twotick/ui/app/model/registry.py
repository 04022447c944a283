"""All conversations of one user."""

import itertools
import re
from collections.abc import Callable, Iterable, Iterator

from twotick.client.member.events import State
from twotick.ui.app.model.conversations import ConversationKind, LocalConversation, UserPresence, first_from
from twotick.ui.app.model.messages import LocalMessage, Place, author_key
from twotick.ui.people import ProfileBook, UserProfile

_MAX_PRESENCES = 20_000
"""Users whose presence is remembered."""

_MAX_LOADED = 5_000
"""Messages that stay loaded when a conversation has more than twice as many."""


class ConversationRegistry:
    """All conversations of a user. A session updates it; the screen shows it.

    Args:
        name: the user's name.

    Attributes:
        name: the user's name.
        profiles: what users say of themselves.
        on_change: called with a conversation after anything in it has changed.
        on_profile_change: called after the profile of a user has changed.
        on_message_change: called before that with a loaded message that looks different now.
        find_stored: returns a message that is not loaded, by conversation key, sender (empty for any), Id, and whether
            a guest has sent it (None for either); None if the local store does not have it.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.profiles = ProfileBook(name)
        self.on_profile_change: Callable[[], None] = lambda: None
        self.on_change: Callable[[LocalConversation], None] = lambda _: None
        self.on_message_change: Callable[[LocalMessage], None] = lambda _: None
        self.find_stored: Callable[[str, str, str, bool | None], LocalMessage | None] = _find_nothing
        self._all: dict[str, LocalConversation] = {}
        self._presences: dict[str, UserPresence] = {}  # by name in lower case
        self._messages: dict[int, LocalMessage] = {}  # loaded messages by number in the local store
        self._by_id: dict[tuple[str, str, str], LocalMessage] = {}  # loaded messages by conversation, author and Id
        self._recency = itertools.count(1)
        self._mention_or_all = _mention_pattern(re.escape(name) + "|all")
        self._mention = _mention_pattern(re.escape(name))

    def add_in_order(self, conversations: Iterable[LocalConversation]) -> None:
        """Add conversations, or move them to the top. The last one gets the latest activity."""
        for each in conversations:
            each.recency = next(self._recency)
            self._all[each.key] = each
            if each.kind is ConversationKind.DIRECT:
                self.profiles.know(each.name)

    def __iter__(self) -> Iterator[LocalConversation]:
        """Return the conversations, the one with the latest activity first."""
        return iter(sorted(self._all.values(), key=lambda each: -each.recency))

    @property
    def listed(self) -> list[LocalConversation]:
        """The conversations that are not closed: the pinned ones, then the one with the latest activity first."""
        return sorted((each for each in self if not each.closed), key=lambda each: not each.pinned)

    def __len__(self) -> int:
        return len(self._all)

    def find(self, key: str) -> LocalConversation | None:
        """Return the conversation with a key or name; None if there is none."""
        return self._all.get(key.lower())

    def open(self, name: str) -> LocalConversation:
        """Return the conversation with a user, in a room, or with `ALL`; create it if it does not exist."""
        found = self.find(name)
        if found is None:
            key = name.lower()
            found = LocalConversation(key, name, recency=next(self._recency), presence=self.presence(key))
            self._all[key] = found
            if found.kind is ConversationKind.DIRECT:
                self.profiles.know(name)
            self.on_change(found)
        return found

    def forget(self, conversation: LocalConversation) -> None:
        """Remove a conversation that has no loaded messages."""
        del self._all[conversation.key]

    def mentions(self, text: str, in_room: bool) -> bool:
        """Return whether a text mentions the user: by name (rule 14.2) or, outside of rooms, also with `@all`."""
        return (self._mention if in_room else self._mention_or_all).search(text) is not None

    # Other users

    def presence(self, name: str) -> UserPresence | None:
        """Return the presence of a user; None if it is unknown."""
        return self._presences.get(name.lower())

    def set_presence(self, name: str, presence: UserPresence) -> None:
        """Record the presence of a user."""
        key = name.lower()
        if key in self._presences or len(self._presences) < _MAX_PRESENCES:
            self._presences[key] = presence
        found = self.find(key)
        if found is not None:
            found.presence = presence
            self.on_change(found)

    def set_profile(self, name: str, profile: UserProfile) -> None:
        """Record what a user says of itself."""
        if self.profiles.of(name) != profile:
            self.profiles.set(name, profile)
            self.on_profile_change()

    def set_typing(self, conversation: LocalConversation, name: str, is_typing: bool) -> None:
        """Record that a user is typing, which ends after `TYPING` seconds, or has stopped typing."""
        if conversation.set_typing(name, is_typing):
            self.on_change(conversation)

    def is_blocked(self, name: str) -> bool:
        """Return whether a user is blocked. Messages of blocked users are hidden in rooms (rule 14.4)."""
        found = self.find(name)
        return found is not None and found.blocked

    @property
    def blocked(self) -> frozenset[str]:
        """The names of all blocked users, in lower case."""
        return frozenset(each.key for each in self._all.values() if each.blocked)

    # Messages

    def find_message(
        self, conversation: LocalConversation, sender: str, ident: str, guest: bool | None = None
    ) -> LocalMessage | None:
        """Return a message that is loaded or in the local store; None if it is neither.

        Args:
            conversation: its conversation.
            sender: its sender in any case of letters; empty for any sender.
            ident: its Id.
            guest: whether a guest has sent it; None for a member's message or, if there is none, a guest's.
        """
        loaded = self._by_id.get((conversation.key, author_key(sender, bool(guest)), ident))
        return loaded or self.find_stored(conversation.key, sender, ident, guest)

    def loaded_message(self, number: int) -> LocalMessage | None:
        """Return a loaded message by its number in the local store; None if it is not loaded."""
        return self._messages.get(number)

    def load(self, conversation: LocalConversation, older: list[LocalMessage]) -> None:
        """Add messages before all those that are loaded."""
        conversation.messages[:0] = older
        for each in older:
            self._index(each)
        self.on_change(conversation)

    def add(self, message: LocalMessage) -> None:
        """Add a message that is new in the local store."""
        conversation = self.open(message.conversation)
        if conversation.loaded or (conversation.messages and message.place > conversation.messages[0].place):
            self._index(message)
            self._insert(conversation, message)
            if len(conversation.messages) > 2 * _MAX_LOADED:
                self.unload(conversation, conversation.messages[_MAX_LOADED].place)
        if conversation.is_unread(message) and message.seq > conversation.counted:
            conversation.unread += 1
            conversation.mentions += message.mention
        conversation.recency = next(self._recency)
        if message.event is None:
            conversation.closed = False
        conversation.set_typing(message.sender, False)
        self.on_change(conversation)

    def remove(self, message: LocalMessage) -> None:
        """Remove a message that will not be sent."""
        conversation = self._all[message.conversation]
        if self._messages.pop(message.number, None) is not None:
            self._by_id.pop((message.conversation, message.author, message.id), None)
            conversation.messages.remove(message)
        self.on_change(conversation)

    def unload(self, conversation: LocalConversation, place: Place) -> None:
        """Remove the loaded messages before a place from memory. They can be loaded again."""
        index = first_from(conversation.messages, place)
        for each in conversation.messages[:index]:
            del self._messages[each.number]
            self._by_id.pop((each.conversation, each.author, each.id), None)
        del conversation.messages[:index]
        conversation.loaded = False
        self.on_change(conversation)

    def move(self, message: LocalMessage, place: Place) -> None:
        """Move a message to another place."""
        conversation = self._all[message.conversation]
        if message.number in self._messages and place != message.place:
            conversation.messages.remove(message)
            message.place = place
            self._insert(conversation, message)
        message.place = place

    def advance(self, message: LocalMessage, state: State, reason: str = "") -> bool:
        """Record a later delivery state of a message that the user sent. Ignore a state that is not later.

        Returns:
            Whether this changed anything.
        """
        if message.state is None or message.state >= State.READ or state <= message.state:
            return False
        message.state = state
        message.reason = reason
        self.message_changed(message)
        return True

    def message_changed(self, message: LocalMessage) -> None:
        """Notify the screen that a message looks different now."""
        self.on_message_change(message)
        conversation = self.find(message.conversation)
        if conversation is not None:
            self.on_change(conversation)

    def set_unread(self, conversation: LocalConversation, unread: int, mentions: int) -> None:
        """Set the number of unread messages of a conversation, and how many of them mention the user."""
        conversation.unread, conversation.mentions = unread, mentions
        self.on_change(conversation)

    def recount(self, before: LocalMessage, now: LocalMessage) -> None:
        """Count an unread message as it is now, after it was edited or deleted.

        Args:
            before: the message as it was.
            now: the message as it is.
        """
        conversation = self._all[now.conversation]
        if conversation.is_unread(before):
            unread = conversation.unread - (not conversation.is_unread(now))
            mentions = conversation.mentions + now.mention - before.mention
            self.set_unread(conversation, max(0, unread), max(0, mentions))

    def forget_messages(self) -> None:
        """Remove all messages, after the local store removed them."""
        self._messages.clear()
        self._by_id.clear()
        for each in self._all.values():
            each.messages.clear()
            each.complete = each.loaded = False
            each.unread = each.mentions = each.read = each.counted = 0
            self.on_change(each)

    def _index(self, message: LocalMessage) -> None:
        self._messages[message.number] = message
        if message.id:
            self._by_id[message.conversation, message.author, message.id] = message

    def _insert(self, conversation: LocalConversation, message: LocalMessage) -> None:
        conversation.messages.insert(first_from(conversation.messages, message.place), message)

    # Totals

    @property
    def unread(self) -> int:
        """The number of unread messages in all conversations."""
        return sum(each.unread for each in self._all.values())


def _mention_pattern(names: str) -> re.Pattern[str]:
    """Return a pattern that finds a name after an `@`, with no letter or digit around it (rule 14.2)."""
    return re.compile(rf"(?<![^\W_])@({names})(?![^\W_])", re.IGNORECASE)


def _find_nothing(conversation: str, sender: str, ident: str, guest: bool | None) -> LocalMessage | None:
    """Return None, as long as no local store is connected (`ConversationRegistry.find_stored`)."""
