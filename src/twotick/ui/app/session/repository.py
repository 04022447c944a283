"""The conversations in memory and in the local store, which are updated together."""

import secrets
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from twotick.client.member.events import State
from twotick.ui.app.model.conversations import ConversationKind, LocalConversation
from twotick.ui.app.model.messages import WAITING, ChangeKind, LocalMessage, MessageChange
from twotick.ui.app.model.registry import ConversationRegistry
from twotick.ui.app.storage.store import MAX_CONVERSATIONS, LocalStore

PAGE = 100
"""Messages that are loaded at a time."""

_EVICTED = 100
"""Conversations that are deleted at a time when there are too many."""

_TRIM_INTERVAL = 5_000
"""Messages that are added between two checks whether there are too many."""


class DeliveryUpdate(NamedTuple):
    """What the server says about a message or change that the user sent.

    Attributes:
        state: the delivery state.
        seq: its number in the member's log; 0 if it is unknown.
        place: its place in the room; 0 if it is unknown or not in a room.
        reason: why it failed; empty if it did not.
        time: when the server took it; None if it is unknown.
    """

    state: State
    seq: int = 0
    place: int = 0
    reason: str = ""
    time: datetime | None = None


class ChatRepository:
    """All conversations of the user on this machine, and the messages that wait to be sent.

    A message that the user sends waits in the local store, with its Id, until the server accepts it. A change of an
    earlier message is shown at once, but the local store applies it only when the server has accepted it. Until then
    the change is laid over the stored message; if the server refuses it, the stored message is shown again.

    Args:
        name: the user's name.
        store: the user's data on this machine.

    Attributes:
        conversations: all conversations in memory.
        waiting: messages and changes that the server has not accepted yet, in order.
        on_refusal: called with the reason when the server refused a change.
    """

    def __init__(self, name: str, store: LocalStore) -> None:
        self.name = name
        self.store = store
        self.conversations = ConversationRegistry(name)
        self.conversations.add_in_order(store.conversations())
        self.conversations.find_stored = self._find_stored
        self.waiting = store.waiting()
        store.on_rollback = self._read_again
        self.on_refusal: Callable[[str], None] = lambda _: None
        self._added = 0
        for each in self.waiting:
            if not each.id:  # stored by an older version
                each.id = new_id()
                store.update_attachment(each)
            if each.change is None:
                self._apply_waiting(each)

    def _read_again(self) -> None:
        """Show what is stored, because changes that are shown already could not be stored."""
        known = {each.number: each for each in self.waiting}
        self.waiting = [known.get(each.number) or each for each in self.store.waiting()]
        stored = {each.key: each for each in self.store.conversations()}
        for each in self.conversations:
            if (fields := stored.get(each.key)) is not None:
                each.unread, each.mentions, each.read = fields.unread, fields.mentions, fields.read
                each.counted, each.complete = fields.counted, fields.complete
            if each.messages:
                self.conversations.unload(each, (WAITING + 1, 0))
                self.load(each)

    # Conversations

    def conversation(self, name: str) -> LocalConversation:
        """Return the conversation with a name; create and store it if it does not exist."""
        known = self.conversations.find(name)
        if known is None:
            if len(self.conversations) >= MAX_CONVERSATIONS:
                self._evict_conversations()
            known = self.conversations.open(name)
            self.store.add_conversation(known)
        return known

    def _evict_conversations(self) -> None:
        """Delete the conversations with the oldest activity. The server still has them."""
        waiting = {each.conversation for each in self.waiting}
        idle = [each for each in self.conversations if not each.messages and not each.draft and each.key not in waiting]
        with self.store.transaction():
            for each in idle[-_EVICTED:]:
                self.conversations.forget(each)
                self.store.forget_conversation(each.key)

    def load(self, conversation: LocalConversation) -> None:
        """Load the messages from the local store that come before those in memory."""
        first = conversation.messages[0].place if conversation.messages else None
        older = [self.shared(each) for each in self.store.page(conversation.key, first, PAGE)]
        conversation.loaded = len(older) < PAGE
        self.conversations.load(conversation, older)

    def update(self, conversation: LocalConversation) -> None:
        """Store and show a conversation whose fields have changed."""
        self.store.update_conversation(conversation)
        self.conversations.on_change(conversation)

    def mark_read(self, conversation: LocalConversation, up_to: int) -> None:
        """Mark a conversation as read up to a number in the log."""
        if up_to <= conversation.read:
            return
        conversation.read = up_to
        self.store.set_read(conversation.key, up_to)
        self.recount(conversation)

    def recount(self, conversation: LocalConversation) -> None:
        """Count the unread messages in the local store."""
        conversation.unread, conversation.mentions = self.store.count_unread(conversation.key, conversation.read)
        self.update(conversation)

    def forget_messages(self) -> None:
        """Delete all messages that the server has."""
        self.store.forget_messages()
        self.conversations.forget_messages()

    # Messages

    def shared(self, message: LocalMessage) -> LocalMessage:
        """Return the one object that all parts of the app use for a message of the local store."""
        loaded = self.conversations.loaded_message(message.number)
        if loaded is not None:
            return loaded
        for each in self.waiting:
            if each.number == message.number:
                return each
        self._apply_waiting(message)
        return message

    def _find_stored(self, key: str, sender: str, ident: str, guest: bool | None) -> LocalMessage | None:
        found = self.store.find(key, sender, ident, guest)
        return None if found is None else self.shared(found)

    def add(self, message: LocalMessage) -> None:
        """Add a new message."""
        conversation = self.conversation(message.conversation)
        in_room = conversation.kind is ConversationKind.ROOM
        if not message.outgoing and message.event is None:
            message.mention = self.conversations.mentions(message.text, in_room)
        self.store.add(message)
        self._apply_waiting(message)
        self.conversations.add(message)
        self.store.update_conversation(conversation)
        self._added += 1
        if self._added % _TRIM_INTERVAL == 0:
            for key, place in self.store.trim():
                found = self.conversations.find(key)
                if found is not None:
                    found.complete = False
                    self.conversations.unload(found, place)

    def enqueue(self, message: LocalMessage, *, in_place_of_draft: bool = False) -> None:
        """Add a message or change that the user sends, which waits until the server accepts it.

        Args:
            message: the message. If it cannot be stored, it is not shown either: it would be lost with the app.
            in_place_of_draft: whether to delete the draft of its conversation.
        """
        with self.store.transaction():
            self.store.add(message)
            if in_place_of_draft:
                self.store.set_draft(message.conversation, "")
        self.waiting.append(message)
        if message.change is None:
            self.conversations.add(message)
        else:
            self._show(message.conversation, message.change)

    def settle(self, message: LocalMessage, update: DeliveryUpdate) -> None:
        """Record what the server says about a message or change that the user sent."""
        state, seq, place, reason, time = update
        waited = message in self.waiting
        if waited and state is not State.QUEUED:
            self.waiting.remove(message)
        shown = self._loaded(message)
        message.seq = shown.seq = message.seq or seq
        if time is not None and time != shown.time:
            message.time = shown.time = time
            self.conversations.message_changed(shown)
        position = place or (0 if message.conversation.startswith("#") else seq)
        if message.change is not None:
            if waited:
                self._settle_change(message, message.change, state, position, reason)
            return
        if position and shown.place != (position, 0):
            self.conversations.move(shown, (position, 0))
        elif shown.place[0] == WAITING and state is not State.QUEUED:
            self.conversations.move(shown, (self.store.last_place(shown.conversation), shown.number))
        message.place = shown.place
        self.conversations.advance(shown, state, reason)
        self.store.update_state(shown)

    def _loaded(self, message: LocalMessage) -> LocalMessage:
        """Return the object that is shown for a message.

        It is another one if the conversation was loaded after the message, which had waited, was accepted.
        """
        return self.conversations.loaded_message(message.number) or message

    def withdraw(self, message: LocalMessage) -> None:
        """Remove a message or a change that was not sent yet. A message is shown again without its change."""
        self.waiting.remove(message)
        self.store.remove(message)
        if message.change is not None:
            self._show(message.conversation, message.change)
        else:
            self.conversations.remove(message)

    def progress(self, message: LocalMessage, have: int, of: int) -> None:
        """Record how many recipients of a message in a room have it."""
        message = self._loaded(message)
        message.have, message.of = have, of
        self.store.update_state(message)
        self.conversations.message_changed(message)

    def _settle_change(
        self, message: LocalMessage, change: MessageChange, state: State, place: int, reason: str
    ) -> None:
        key = message.conversation
        with self.store.transaction():
            self.store.remove(message)
            if state is not State.FAILED:
                position = place or self.store.last_place(key)
                self.apply_change(key, change, self.name, position, message.text, message.time)
        if state is State.FAILED:
            self._show(key, change)
            self.on_refusal(reason)

    # Changes of messages

    def apply_change(self, key: str, change: MessageChange, by: str, place: int, text: str, when: datetime) -> None:
        """Apply a change of a message for good, because the server has applied it.

        Args:
            key: the key of the conversation.
            change: the change.
            by: the user who made the change.
            place: the place of the change. Of two changes, the one with the higher place wins.
            text: the new text, or the reaction.
            when: the time of the change.
        """
        match change.kind:
            case ChangeKind.EDIT:
                mention = self.conversations.mentions(text, in_room=key.startswith("#"))
                self.store.edit(change, key, place, text, when, mention=mention)
            case ChangeKind.DELETE:
                self.store.delete(change, key, place, when)
            case ChangeKind.REACT:
                self.store.react(change, key, place, by, text)
        self._show(key, change)

    def _show(self, key: str, change: MessageChange) -> None:
        """Show a message as it is stored, with the waiting changes applied to it."""
        kept = self.store.find_changed(key, change)
        if kept is None:
            return
        shown = self.shared(kept)
        if shown is not kept:
            shown.text, shown.mention, shown.reply_to, shown.file = kept.text, kept.mention, kept.reply_to, kept.file
            shown.edited, shown.deleted, shown.reactions = kept.edited, kept.deleted, kept.reactions
            shown.forwarded_from = kept.forwarded_from
            shown.changing = False
            self._apply_waiting(shown)
        self.conversations.message_changed(shown)

    def _apply_waiting(self, message: LocalMessage) -> None:
        """Apply the waiting changes to a message in memory."""
        about = (message.sender.lower(), message.id)
        for each in self.waiting:
            change = each.change
            if (
                change is None
                or each.conversation != message.conversation
                or about != (change.sender.lower(), change.id)
                or (found := self.store.find_changed(message.conversation, change)) is None
                or found.number != message.number
            ):
                continue
            match change.kind:
                case ChangeKind.EDIT:
                    message.text, message.edited = each.text, each.time
                    message.changing = True
                case ChangeKind.DELETE:
                    message.mark_deleted(each.time)
                    message.changing = True
                case ChangeKind.REACT:
                    _react(message.reactions, self.name, each.text)


def _react(reactions: dict[str, list[str]], name: str, text: str) -> None:
    """Replace the reaction of a user; an empty text removes it."""
    for each in list(reactions):
        reactions[each] = [who for who in reactions[each] if who.lower() != name.lower()]
        if not reactions[each]:
            del reactions[each]
    if text:
        reactions.setdefault(text, []).append(name)


def new_id() -> str:
    """Return a new unique Id (rule 9.5)."""
    return secrets.token_hex(12)
