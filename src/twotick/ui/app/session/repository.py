"""The local store and the conversations, which are kept in step: what one has, the other has too."""

import secrets
from collections.abc import Callable
from datetime import datetime

from twotick.client.member.events import State
from twotick.ui.app.model.conversations import ConversationKind, LocalConversation
from twotick.ui.app.model.messages import WAITING, ChangeKind, LocalMessage, MessageChange
from twotick.ui.app.model.registry import ConversationRegistry
from twotick.ui.app.storage.store import MAX_CONVERSATIONS, LocalStore

PAGE = 100
"""Messages that are loaded at once."""

_MADE_ROOM = 100
"""Conversations that are forgotten at once when there are too many."""

_THIN_OUT = 5_000
"""Messages that are added before it is looked whether there are too many."""


class ChatRepository:
    """What was said, as far as this machine knows, and what waits to be sent.

    What was typed waits in the local store, with its Id, until the server has it. A change of an earlier message shows
    as soon as it was typed, but is carried out in the local store only when the server has taken it: until then it lies
    over what is there, and if it is refused, what is there shows again.

    Args:
        name: the user's name.
        store: what is kept on this machine.

    Attributes:
        conversations: what there is to show.
        waiting: what is not accepted yet, changes as well, in order.
        on_refusal: called with the reason when a change was refused.
    """

    def __init__(self, name: str, store: LocalStore) -> None:
        self.name = name
        self.store = store
        self.conversations = ConversationRegistry(name)
        self.conversations.add_in_order(store.conversations())
        self.conversations.find_stored = self._stored
        self.waiting = store.waiting()
        self.on_refusal: Callable[[str], None] = lambda _: None
        self._added = 0
        for each in self.waiting:
            if not each.id:  # as an older version has kept it
                each.id = new_id()
                store.update_attachment(each)
            if each.change is None:
                self._lay_over(each)

    # Conversations

    def conversation(self, name: str) -> LocalConversation:
        """The conversation with that name, which is kept from now on."""
        known = self.conversations.find(name)
        if known is None:
            if len(self.conversations) >= MAX_CONVERSATIONS:
                self._make_room()
            known = self.conversations.open(name)
            self.store.add_conversation(known)
        return known

    def _make_room(self) -> None:
        """Forget some conversations where nothing has happened for longest, which the server has still."""
        waiting = {each.conversation for each in self.waiting}
        idle = [each for each in self.conversations if not each.messages and not each.draft and each.key not in waiting]
        with self.store.transaction():
            for each in idle[-_MADE_ROOM:]:
                self.conversations.forget(each)
                self.store.forget_conversation(each.key)

    def load(self, conversation: LocalConversation) -> None:
        """Load the messages of the local store before those that are loaded."""
        first = conversation.messages[0].place if conversation.messages else None
        older = [self.live(each) for each in self.store.page(conversation.key, first, PAGE)]
        conversation.loaded = len(older) < PAGE
        self.conversations.load(conversation, older)

    def changed(self, conversation: LocalConversation) -> None:
        """A conversation is different: keep that, and show it."""
        self.store.update_conversation(conversation)
        self.conversations.on_change(conversation)

    def read(self, conversation: LocalConversation, up_to: int) -> None:
        """A conversation was read up to that number of the log."""
        if up_to <= conversation.read:
            return
        conversation.read = up_to
        self.store.set_read(conversation.key, up_to)
        self.recount(conversation)

    def recount(self, conversation: LocalConversation) -> None:
        """Count what is unread, out of what is here."""
        conversation.unread, conversation.mentions = self.store.count_unread(conversation.key, conversation.read)
        self.changed(conversation)

    def forget_messages(self) -> None:
        """Forget what the server has."""
        self.store.forget_messages()
        self.conversations.forget_messages()

    # Messages

    def live(self, message: LocalMessage) -> LocalMessage:
        """The object that stands for a message of the local store everywhere."""
        loaded = self.conversations.loaded_message(message.number)
        if loaded is not None:
            return loaded
        for each in self.waiting:
            if each.number == message.number:
                return each
        self._lay_over(message)
        return message

    def _stored(self, key: str, sender: str, ident: str) -> LocalMessage | None:
        found = self.store.find(key, sender, ident)
        return None if found is None else self.live(found)

    def add(self, message: LocalMessage) -> None:
        """A message is new."""
        conversation = self.conversation(message.conversation)
        in_room = conversation.kind is ConversationKind.ROOM
        if not message.outgoing and message.event is None:
            message.mention = self.conversations.mentions(message.text, in_room)
        self.store.add(message)
        self._lay_over(message)
        self.conversations.add(message)
        if not message.outgoing:
            self.store.update_conversation(conversation)
        self._added += 1
        if self._added % _THIN_OUT == 0:
            for key, place in self.store.trim():
                found = self.conversations.find(key)
                if found is not None:
                    found.complete = False
                    self.conversations.unload(found, place)

    def wait(self, message: LocalMessage) -> None:
        """Something was typed, which waits until the server has it."""
        self.store.add(message)
        self.waiting.append(message)
        if message.change is None:
            self.conversations.add(message)
        else:
            self._show(message.conversation, message.change)

    def settle(self, message: LocalMessage, state: State, seq: int = 0, place: int = 0, reason: str = "") -> None:
        """It is known what became of something that the user has sent.

        Args:
            message: it.
            state: what became of it.
            seq: its number in the log; 0 if that is not known.
            place: its number in the room; 0 likewise.
            reason: if it failed, why.
        """
        waited = message in self.waiting
        if waited and state is not State.QUEUED:
            self.waiting.remove(message)
        message.seq = message.seq or seq
        stands = place or (0 if message.conversation.startswith("#") else seq)
        if message.change is not None:
            if waited:
                self._settle_change(message, message.change, state, stands, reason)
            return
        if stands and message.place != (stands, 0):
            self.conversations.move(message, (stands, 0))
        elif message.place[0] == WAITING and state is not State.QUEUED:
            self.conversations.move(message, (self.store.last_place(message.conversation), message.number))
        self.conversations.advance(message, state, reason)
        self.store.update_state(message)

    def progress(self, message: LocalMessage, have: int, of: int) -> None:
        """So many recipients of a message to a room have it."""
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
                stands = place or self.store.last_place(key)
                self.carry_out(key, change, self.name, stands, message.text, message.time)
        if state is State.FAILED:
            self._show(key, change)
            self.on_refusal(reason)

    # Changes of messages

    def carry_out(self, key: str, change: MessageChange, by: str, place: int, text: str, when: datetime) -> None:
        """Change a message for good, as the server has.

        Args:
            key: the conversation.
            change: what is done to which message.
            by: who does it.
            place: where the change stands: of two, the later counts.
            text: the new text, or the reaction.
            when: when it was done.
        """
        match change.kind:
            case ChangeKind.EDIT:
                self.store.edit(change, key, place, text, when)
            case ChangeKind.DELETE:
                self.store.delete(change, key, place, when)
            case ChangeKind.REACT:
                self.store.react(change, key, place, by, text)
        self._show(key, change)

    def _show(self, key: str, change: MessageChange) -> None:
        """Show a message as it is in the local store, with what waits laid over it."""
        kept = self.store.find(key, change.sender, change.id)
        if kept is None:
            return
        shown = self.live(kept)
        if shown is not kept:
            shown.text, shown.mention, shown.reply_to, shown.file = kept.text, kept.mention, kept.reply_to, kept.file
            shown.edited, shown.deleted, shown.reactions = kept.edited, kept.deleted, kept.reactions
            shown.changing = False
            self._lay_over(shown)
        self.conversations.message_changed(shown)

    def _lay_over(self, message: LocalMessage) -> None:
        """Change a message as it will be when what waits was sent."""
        about = (message.sender.lower(), message.id)
        for each in self.waiting:
            change = each.change
            if (
                change is None
                or each.conversation != message.conversation
                or about != (change.sender.lower(), change.id)
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
    """Somebody has another reaction, or with no text none, to a message."""
    for each in list(reactions):
        reactions[each] = [who for who in reactions[each] if who.lower() != name.lower()]
        if not reactions[each]:
            del reactions[each]
    if text:
        reactions.setdefault(text, []).append(name)


def new_id() -> str:
    """An Id that no other message has (rule 9.5)."""
    return secrets.token_hex(12)
