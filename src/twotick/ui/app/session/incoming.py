"""The handling of entries that the server sends to a member: from the log, from history, and transient events."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from twotick.client.member.events import (
    Entry,
    ProfileEvent,
    ProgressEvent,
    ReadEvent,
    ReceiptEvent,
    RoomGuestEvent,
    State,
    StatusEvent,
    TypingEvent,
)
from twotick.client.member.messages import Event as ClientEvent
from twotick.client.member.messages import EventKind, FileInfo, MemberMessage, Reference
from twotick.client.member.results import Conversation as ConversationListing
from twotick.client.member.results import Role
from twotick.ui.app.model.conversations import TYPING, ConversationKind, LocalConversation, UserPresence
from twotick.ui.app.model.messages import Attachment, ChangeKind, LocalMessage, MessageChange, RoomNotice, now
from twotick.ui.app.session.repository import ChatRepository, DeliveryUpdate
from twotick.ui.people import UserProfile
from twotick.wire import is_identifier, is_name, is_room

_MAX_LISTED = 1000
"""Conversations that the server lists (rule 14.1)."""

MAX_TOPIC = 250
"""Characters of a topic that are stored."""

_MAX_FILE_NAME = 255
"""Characters of a file name that are stored."""

EVERYONE = "X-To"
"""The header with which this app marks a message to all connected users. Its value is `ALL`."""


class EntryHandler:
    """Handles entries from the server. Entries that are not valid are ignored.

    Args:
        repository: the conversations that are updated.
        on_message: called with each new message that the user may want to be notified of.
        on_room_event: called after an event in a room, which may have changed its members.
    """

    def __init__(
        self, repository: ChatRepository, on_message: Callable[[LocalMessage], None], on_room_event: Callable[[], None]
    ) -> None:
        self._repository = repository
        self._conversations = repository.conversations
        self._on_message = on_message
        self._on_room_event = on_room_event
        self._typing_ends: dict[str, asyncio.TimerHandle] = {}  # by conversation

    def handle(self, entry: Entry) -> None:
        """Handle an entry that is new to this device."""
        match entry:
            case MemberMessage():
                self._handle_message(entry)
            case ReceiptEvent():
                self._handle_receipt(entry)
            case ReadEvent():
                self._handle_read(entry)
            case StatusEvent():
                self._conversations.set_presence(entry.user, UserPresence(entry.state.value, entry.since))
            case ProfileEvent():
                self._conversations.set_profile(entry.user, UserProfile(entry.display, entry.status))
            case TypingEvent():
                self._handle_typing(entry)
            case ProgressEvent():
                self._handle_progress(entry)
            case RoomGuestEvent():
                self.note_visits(entry.room)
            case _:
                pass

    def handle_history(self, entries: list[MemberMessage]) -> None:
        """Handle messages from history."""
        with self._repository.store.transaction():
            for entry in entries:
                self._add_message(entry)

    def message(self, entry: MemberMessage) -> tuple[str, LocalMessage] | None:
        """Convert a message from the server.

        Returns:
            The name of its conversation, and the message; None if it is not valid or not shown as a message.
        """
        name, event = self._where(entry), _event(entry)
        if name is None or (not entry.is_news and event is None):
            return None
        message = LocalMessage(
            name.lower(),
            entry.sender,
            entry.text,
            entry.time or now(),
            entry.outgoing,
            (entry.place or entry.seq, 0),
            entry.id,
            event=event,
            seq=entry.seq,
            edited=entry.edited,
        )
        if entry.outgoing and event is None:
            message.state = entry.state or State.ACCEPTED
        if (to := entry.reply_to) is not None and is_identifier(to.id.encode(errors="replace")):
            message.reply_to = (to.sender, to.id)
        if (origin := entry.forwarded_from) is not None:
            message.forwarded_from = origin.sender
        message.file, message.is_guest = _file(entry.file), entry.is_guest
        message.everyone = not entry.outgoing and "ALL" in (
            entry.recipient.upper(),
            entry.headers.get(EVERYONE.lower()),
        )
        if (deleted := entry.deleted) is not None:
            message.mark_deleted(deleted)
        return name, message

    def _where(self, entry: MemberMessage) -> str | None:
        """Return the name of the conversation that a message belongs to; None if it is not valid."""
        if entry.room:
            return entry.room if is_room(entry.room.encode(errors="replace")) else None
        name = entry.recipient if entry.outgoing and entry.event is None else entry.sender
        return name if is_name(name.encode(errors="replace")) or name.upper() == "ALL" else None

    # Messages

    def _handle_message(self, entry: MemberMessage) -> None:
        event = entry.event
        if event is not None and event.kind is EventKind.SET:
            self._handle_setting(event)
            return
        message = self._add_message(entry)
        if message is None:
            return
        if event is not None and message.conversation.startswith("#"):
            self._handle_room_event(message.conversation, entry.sender, event)
        elif _is_absence(event) or not (
            message.outgoing or message.deleted or self._conversations.is_blocked(message.sender)
        ):
            self._on_message(message)

    def _add_message(self, entry: MemberMessage) -> LocalMessage | None:
        """Store a message from the log or from history, or apply it if it is a change of another message.

        Returns:
            The message if it is new; otherwise None.
        """
        if entry.sender.lower() == self._repository.name.lower() and not (entry.outgoing or entry.is_guest):
            return None  # messages to oneself are stored already
        self._conversations.profiles.know(entry.sender)
        found = self.message(entry) if entry.place or entry.seq else None
        if found is None:
            self._handle_change(entry)
            return None
        name, message = found
        store = self._repository.store
        stored = store.find_sent(message.id) if message.state is not None else None
        stored = stored or store.find_at(message.conversation, message.place[0])
        if stored is None:
            self._repository.conversation(name)
            self._repository.add(message)
            return message
        self._update_message(self._repository.shared(stored), message)
        return None

    def _update_message(self, mine: LocalMessage, theirs: LocalMessage) -> None:
        """Update a stored message that the server has sent again."""
        place = theirs.place[0]
        if theirs.state is not None:
            time = theirs.time if theirs.deleted is None else mine.time
            if (theirs.state, theirs.place, theirs.seq, time) != (mine.state, mine.place, mine.seq, mine.time):
                self._repository.settle(mine, DeliveryUpdate(theirs.state, theirs.seq, place, time=time))
        elif theirs.seq and not mine.seq:
            mine.seq = theirs.seq
            self._repository.store.update_state(mine)
        if mine.changing or mine.deleted is not None or not mine.id:
            return
        last = self._repository.store.last_place(mine.conversation)
        if theirs.deleted is not None:
            change = MessageChange(ChangeKind.DELETE, mine.sender, mine.id, mine.is_guest)
            self._repository.apply_change(mine.conversation, change, mine.sender, last, "", theirs.deleted)
        elif theirs.edited is not None and (mine.edited is None or mine.text != theirs.text):
            change = MessageChange(ChangeKind.EDIT, mine.sender, mine.id, mine.is_guest)
            self._repository.apply_change(mine.conversation, change, mine.sender, last, theirs.text, theirs.edited)

    def _handle_change(self, entry: MemberMessage) -> None:
        """Apply a change of another message, unless the server has refused it."""
        name, change = self._where(entry), _change(entry)
        if name is None or change is None or entry.state is State.FAILED:
            return
        if entry.outgoing:
            mine = next((each for each in self._repository.waiting if each.id == entry.id), None)
            if mine is not None:
                self._repository.settle(mine, DeliveryUpdate(State.ACCEPTED, entry.seq, entry.place))
                return
        place, key, store = entry.place or entry.seq, name.lower(), self._repository.store
        before = store.find_changed(key, change)
        self._repository.apply_change(key, change, entry.sender, place, entry.text, entry.time or now())
        after = store.find_changed(key, change)
        conversation = self._conversations.find(key)
        # The counts that the server has given know of the changes up to then.
        if conversation is None or entry.seq <= conversation.counted:
            return
        if before is not None and after is not None:
            self._conversations.recount(before, after)
            store.update_conversation(conversation)
        elif change.kind is not ChangeKind.REACT and conversation.unread:
            self._on_room_event()  # only the server knows whether the message was unread

    def _handle_receipt(self, event: ReceiptEvent) -> None:
        message = self._repository.store.find_sent(event.id)
        if message is None:
            return  # it is not stored; it will have its state when it is loaded from history
        message = self._repository.shared(message)
        self._repository.settle(message, DeliveryUpdate(event.state, reason=event.reason))
        if event.state is State.READ:
            for before in self._repository.store.unread_by_others(message.conversation, message.place):
                self._repository.settle(self._repository.shared(before), DeliveryUpdate(State.READ))

    def _handle_read(self, event: ReadEvent) -> None:
        conversation = self._conversations.find(event.sender)
        if conversation is not None:
            self._repository.store.set_reported_read(conversation.key, event.up_to)
            self._repository.mark_read(conversation, event.up_to)

    def _handle_progress(self, event: ProgressEvent) -> None:
        message = self._repository.store.find_sent(event.id)
        if message is not None:
            self._repository.progress(self._repository.shared(message), event.have, event.of)

    # Conversations

    def update_conversations(self, listed: list[ConversationListing], reorder: bool) -> None:
        """Update all conversations from the server's list, which begins with the newest (rule 14.1).

        Args:
            listed: the list.
            reorder: whether to sort the conversations by their latest activity too.
        """
        with self._repository.store.transaction():
            for each in reversed(listed):
                name = each.name.encode(errors="replace")
                if is_name(name) or is_room(name):
                    self._update_conversation(self._repository.conversation(each.name), each)
            mine = {each.name.lower() for each in listed if each.role is not Role.NONE}
            for conversation in self._conversations if len(listed) < _MAX_LISTED else ():
                if (
                    conversation.kind is ConversationKind.ROOM
                    and not conversation.left
                    and conversation.key not in mine
                ):
                    mark_left(conversation)
                    self._repository.update(conversation)
        if reorder:
            waiting = {each.conversation for each in self._repository.waiting}
            newest = {
                each.key: max(each.counted, self._repository.store.newest_seq(each.key)) for each in self._conversations
            }
            before = reversed(list(self._conversations))
            self._conversations.add_in_order(sorted(before, key=lambda each: (each.key in waiting, newest[each.key])))

    def _update_conversation(self, conversation: LocalConversation, listing: ConversationListing) -> None:
        store, key = self._repository.store, conversation.key
        apply_settings(conversation, listing)
        if conversation.kind is ConversationKind.ROOM:
            conversation.role, conversation.left = listing.role.value, listing.role is Role.NONE
        store.set_reported_read(key, listing.read)
        if listing.read < conversation.read:  # the server will be told
            conversation.counted = store.newest_seq(key)
            self._repository.recount(conversation)
            return
        conversation.read, conversation.counted = listing.read, listing.newest
        later, mentions = store.count_unread(key, max(listing.read, listing.newest))
        conversation.unread = listing.unread + later
        conversation.mentions = listing.mentions + mentions
        if conversation.kind is ConversationKind.DIRECT:  # the server does not count mentions there
            _, conversation.mentions = store.count_unread(key, listing.read)
        self._repository.update(conversation)

    def _handle_setting(self, event: ClientEvent) -> None:
        conversation = self._conversations.find(event.peer)
        if conversation is not None:
            apply_settings(conversation, event)
            self._repository.update(conversation)

    def _handle_typing(self, event: TypingEvent) -> None:
        conversation = self._conversations.find(event.room or event.sender)
        if conversation is None or event.sender.lower() == self._repository.name.lower():
            return
        self._conversations.set_typing(conversation, event.sender, True)
        if (ends := self._typing_ends.get(conversation.key)) is not None:
            ends.cancel()
        loop = asyncio.get_running_loop()
        self._typing_ends[conversation.key] = loop.call_later(TYPING, self._end_typing, conversation)

    def _end_typing(self, conversation: LocalConversation) -> None:
        del self._typing_ends[conversation.key]
        self._conversations.on_change(conversation)

    def note_visits(self, name: str) -> None:
        """Note that other guests may be in a room now: who shows them asks the server."""
        room = self._conversations.find(name)
        if room is not None:
            room.visits += 1
            self._conversations.on_change(room)

    def close(self) -> None:
        """Cancel the timers of typing users."""
        for ends in self._typing_ends.values():
            ends.cancel()
        self._typing_ends.clear()

    def _handle_room_event(self, key: str, by: str, event: ClientEvent) -> None:
        """Update a room after an event in it. The session then requests the other fields of the room."""
        room = self._conversations.find(key)
        if room is None:
            return
        me = self._repository.name.lower()
        by_me, to_me = by.lower() == me, event.member.lower() == me
        match event.kind:
            case EventKind.CREATED | EventKind.JOINED if by_me:
                room.left = False
                room.role = "owner" if event.kind is EventKind.CREATED else "member"
            case EventKind.LEFT if by_me:
                mark_left(room)
            case EventKind.REMOVED if to_me:
                mark_left(room)
            case EventKind.APPOINTED if event.role is not None and to_me:
                room.role = event.role.value
            case EventKind.CHANGED:
                room.topic = room.topic if event.topic is None else event.topic[:MAX_TOPIC]
                room.access = _new_access(event) or room.access
            case _:
                pass
        self._repository.update(room)
        self._on_room_event()


class _ConversationSettings(Protocol):
    """The settings of a conversation, as an answer, a list or an event has them (rules 14.3 and 14.6)."""

    @property
    def muted(self) -> bool: ...
    @property
    def blocked(self) -> bool: ...
    @property
    def pinned(self) -> bool: ...
    @property
    def closed(self) -> bool: ...
    @property
    def muted_until(self) -> datetime | None: ...


def apply_settings(conversation: LocalConversation, settings: _ConversationSettings) -> None:
    """Take over the settings of a conversation."""
    conversation.muted, conversation.blocked = settings.muted, settings.blocked
    conversation.pinned, conversation.closed = settings.pinned, settings.closed
    conversation.muted_until = 0.0 if settings.muted_until is None else settings.muted_until.timestamp()


def mark_left(room: LocalConversation) -> None:
    """Record that the user is no longer in a room."""
    room.left = True
    room.role = "none"


def access_of(public: bool, guests: bool) -> str:
    """Return who may join a room: `private`, `public`, or `guests` if these may join it, too."""
    return "guests" if guests else "public" if public else "private"


def _new_access(event: ClientEvent) -> str:
    """Return who may join a room since an event; empty if that did not change."""
    if event.public is None and event.guests is None:
        return ""
    return access_of(event.public is not False, bool(event.guests))


def _is_absence(event: ClientEvent | None) -> bool:
    """Return whether an event says that a device of the user's stays away."""
    return event is not None and event.kind is EventKind.ABSENT


def _event(entry: MemberMessage) -> RoomNotice | None:
    """Return the room event of a message; None if it has none that is shown."""
    event = entry.event
    if event is None or event.kind in (EventKind.SET, EventKind.OTHER):
        return None
    return RoomNotice(
        event.kind.value,
        (event.member or event.device)[:64],
        "" if event.role is None else event.role.value,
        f"{event.until:%Y-%m-%d}" if event.until is not None else event.topic and event.topic[:MAX_TOPIC],
        _new_access(event),
        event.room[:64] if event.kind is EventKind.INVITED else "",
    )


def _file(file: FileInfo | None) -> Attachment | None:
    return None if file is None else Attachment(file.key, file.name[:_MAX_FILE_NAME], file.size, file.hash)


def _change(entry: MemberMessage) -> MessageChange | None:
    """Return the change of another message that a message carries; None if it carries none.

    Users change their own messages; only moderators of rooms also delete those of others. Who changes a message of
    their own is a member.
    """
    found: tuple[ChangeKind, Reference] | None = None
    if (edits := entry.edits) is not None:
        found = ChangeKind.EDIT, Reference(entry.sender, edits.id)
    elif (deletes := entry.deletes) is not None:
        found = ChangeKind.DELETE, deletes if entry.room else Reference(entry.sender, deletes.id)
    elif (reacts := entry.reacts_to) is not None:
        found = ChangeKind.REACT, reacts
    if found is None or not is_identifier(found[1].id.encode(errors="replace")):
        return None
    action, (sender, ident) = found
    return MessageChange(action, sender, ident, False if sender.lower() == entry.sender.lower() else None)
