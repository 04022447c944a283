"""What comes for a member, from the log, out of history and in passing, into the book."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

from twotick.client.member.events import Entry, ProgressEvent, ReadEvent, ReceiptEvent, State, StatusEvent, TypingEvent
from twotick.client.member.messages import Event as ClientEvent
from twotick.client.member.messages import EventKind, FileInfo, MemberMessage, Reference
from twotick.client.member.results import Conversation as Standing
from twotick.client.member.results import Role
from twotick.ui.app.model.conversations import TYPING, ConversationKind, LocalConversation, UserPresence
from twotick.ui.app.model.messages import Attachment, ChangeKind, LocalMessage, MessageChange, RoomEvent, now
from twotick.ui.app.session.repository import ChatRepository
from twotick.wire import is_identifier, is_name, is_room

_MOST_TOLD = 1000
"""Conversations of which the server tells how they stand (rule 14.1)."""

LONGEST_TOPIC = 250
"""Characters of a topic that are kept."""

_LONGEST_FILE_NAME = 255
"""Characters of a file's name that are kept."""

EVERYONE = "X-To"
"""The header, with the value `ALL`, by which this app tells others that a message went to everybody."""


class EntryHandler:
    """Takes what comes. Whatever makes no sense is left out.

    Args:
        book: where it goes.
        on_message: called with each message that somebody may want to know of.
        on_room: called when something has happened in a room, whose members may be others now.
    """

    def __init__(
        self, book: ChatRepository, on_message: Callable[[LocalMessage], None], on_room: Callable[[], None]
    ) -> None:
        self._book = book
        self._conversations = book.conversations
        self._on_message = on_message
        self._on_room = on_room
        self._typing_ends: dict[str, asyncio.TimerHandle] = {}  # by conversation

    def take(self, entry: Entry) -> None:
        """Take what has happened just now, or while this device was away."""
        match entry:
            case MemberMessage():
                self._take_new(entry)
            case ReceiptEvent():
                self._take_receipt(entry)
            case ReadEvent():
                self._take_read(entry)
            case StatusEvent():
                self._conversations.set_presence(entry.user, UserPresence(entry.state.value, entry.since))
            case TypingEvent():
                self._take_typing(entry)
            case ProgressEvent():
                self._take_progress(entry)
            case _:
                pass

    def take_all(self, entries: list[MemberMessage]) -> None:
        """Take messages out of history."""
        with self._book.store.transaction():
            for entry in entries:
                self._take_message(entry)

    def message(self, entry: MemberMessage) -> tuple[str, LocalMessage] | None:
        """What a message of the server's is here.

        Returns:
            The name of its conversation, and the message; None for what is none, and what makes no sense.
        """
        name, event = self._where(entry), _event(entry)
        if name is None or (not entry.is_news and event is None):
            return None
        message = LocalMessage(
            name.lower(),
            entry.sender,
            entry.text,
            _utc(entry.time) or now(),
            entry.outgoing,
            (entry.place or entry.seq, 0),
            entry.id,
            event=event,
            seq=entry.seq,
            edited=_utc(entry.edited),
        )
        if entry.outgoing and event is None:
            message.state = entry.state or State.ACCEPTED
        if (to := entry.reply_to) is not None and is_identifier(to.id.encode(errors="replace")):
            message.reply_to = (to.sender, to.id)
        message.file = _file(entry.file)
        message.everyone = not entry.outgoing and "ALL" in (
            entry.recipient.upper(),
            entry.headers.get(EVERYONE.lower()),
        )
        if (deleted := _utc(entry.deleted)) is not None:
            message.mark_deleted(deleted)
        return name, message

    def _where(self, entry: MemberMessage) -> str | None:
        """The name of the conversation to which a message belongs; None if it makes no sense."""
        if entry.room:
            return entry.room if is_room(entry.room.encode(errors="replace")) else None
        name = entry.recipient if entry.outgoing and entry.event is None else entry.sender
        return name if is_name(name.encode(errors="replace")) or name.upper() == "ALL" else None

    # Messages

    def _take_new(self, entry: MemberMessage) -> None:
        event = entry.event
        if event is not None and event.kind is EventKind.SET:
            self._take_setting(event)
            return
        message = self._take_message(entry)
        if message is None:
            return
        if event is not None and message.conversation.startswith("#"):
            self._take_room_event(message.conversation, entry.sender, event)
        elif not (message.outgoing or message.deleted or self._conversations.is_blocked(message.sender)):
            self._on_message(message)

    def _take_message(self, entry: MemberMessage) -> LocalMessage | None:
        """Keep a message, from the log or out of history; or do what it does to others.

        Returns:
            The message if it is new.
        """
        if entry.sender.lower() == self._book.name.lower() and not entry.outgoing:
            return None  # what one sends to oneself is there already
        found = self.message(entry) if entry.place or entry.seq else None
        if found is None:
            self._take_change(entry)
            return None
        name, message = found
        store = self._book.store
        stored = store.find_sent(message.id) if message.state is not None else None
        stored = stored or store.find_at(message.conversation, message.place[0])
        if stored is None:
            self._book.conversation(name)
            self._book.add(message)
            return message
        self._take_again(self._book.live(stored), message)
        return None

    def _take_again(self, mine: LocalMessage, theirs: LocalMessage) -> None:
        """A message that is here comes again: more may be known of it."""
        place = theirs.place[0]
        if theirs.state is not None:
            if theirs.state is not mine.state or mine.place != theirs.place or mine.seq != theirs.seq:
                self._book.settle(mine, theirs.state, theirs.seq, place, "")
        elif theirs.seq and not mine.seq:
            mine.seq = theirs.seq
            self._book.store.update_state(mine)
        if mine.changing or mine.deleted is not None or not mine.id:
            return
        last = self._book.store.last_place(mine.conversation)
        if theirs.deleted is not None:
            change = MessageChange(ChangeKind.DELETE, mine.sender, mine.id)
            self._book.carry_out(mine.conversation, change, mine.sender, last, "", theirs.deleted)
        elif theirs.edited is not None and (mine.edited is None or mine.text != theirs.text):
            change = MessageChange(ChangeKind.EDIT, mine.sender, mine.id)
            self._book.carry_out(mine.conversation, change, mine.sender, last, theirs.text, theirs.edited)

    def _take_change(self, entry: MemberMessage) -> None:
        """Do to another message what this one says, unless it was refused."""
        name, change = self._where(entry), _change(entry)
        if name is None or change is None or entry.state is State.FAILED:
            return
        if entry.outgoing:
            mine = next((each for each in self._book.waiting if each.id == entry.id), None)
            if mine is not None:
                self._book.settle(mine, State.ACCEPTED, entry.seq, entry.place)
                return
        place = entry.place or entry.seq
        self._book.carry_out(name.lower(), change, entry.sender, place, entry.text, _utc(entry.time) or now())

    def _take_receipt(self, event: ReceiptEvent) -> None:
        message = self._book.store.find_sent(event.id)
        if message is None:
            return  # it is not here, and comes with its state if somebody looks for it
        message = self._book.live(message)
        self._book.settle(message, event.state, reason=event.reason)
        if event.state is State.READ:
            for before in self._book.store.unread_by_others(message.conversation, message.place):
                self._book.settle(self._book.live(before), State.READ)

    def _take_read(self, event: ReadEvent) -> None:
        conversation = self._conversations.find(event.sender)
        if conversation is not None:
            self._book.store.set_reported_read(conversation.key, event.up_to)
            self._book.read(conversation, event.up_to)

    def _take_progress(self, event: ProgressEvent) -> None:
        message = self._book.store.find_sent(event.id)
        if message is not None:
            self._book.progress(self._book.live(message), event.have, event.of)

    # Conversations

    def take_standings(self, standings: list[Standing], rank: bool) -> None:
        """Take how the conversations stand at the server, the newest first (rule 14.1).

        Args:
            standings: how they stand.
            rank: whether to put the conversations in that order too.
        """
        with self._book.store.transaction():
            for each in reversed(standings):
                name = each.name.encode(errors="replace")
                if is_name(name) or is_room(name):
                    self._take_standing(self._book.conversation(each.name), each)
            mine = {each.name.lower() for each in standings if each.role is not Role.NONE}
            for conversation in self._conversations if len(standings) < _MOST_TOLD else ():
                if (
                    conversation.kind is ConversationKind.ROOM
                    and not conversation.left
                    and conversation.key not in mine
                ):
                    left(conversation)
                    self._book.changed(conversation)
        if rank:
            waiting = {each.conversation for each in self._book.waiting}
            newest = {
                each.key: max(each.counted, self._book.store.newest_seq(each.key)) for each in self._conversations
            }
            before = reversed(list(self._conversations))
            self._conversations.add_in_order(sorted(before, key=lambda each: (each.key in waiting, newest[each.key])))

    def _take_standing(self, conversation: LocalConversation, standing: Standing) -> None:
        store, key = self._book.store, conversation.key
        conversation.muted, conversation.blocked = standing.muted, standing.blocked
        if conversation.kind is ConversationKind.ROOM:
            conversation.role, conversation.left = standing.role.value, standing.role is Role.NONE
        store.set_reported_read(key, standing.read)
        if standing.read < conversation.read:  # which the server is going to be told
            conversation.counted = store.newest_seq(key)
            self._book.recount(conversation)
            return
        conversation.read, conversation.counted = standing.read, standing.newest
        later, mentions = store.count_unread(key, max(standing.read, standing.newest))
        conversation.unread = standing.unread + later
        conversation.mentions = standing.mentions + mentions
        if conversation.kind is ConversationKind.DIRECT:  # where the server counts none
            _, conversation.mentions = store.count_unread(key, standing.read)
        self._book.changed(conversation)

    def _take_setting(self, event: ClientEvent) -> None:
        conversation = self._conversations.find(event.peer)
        if conversation is not None:
            conversation.muted, conversation.blocked = event.muted, event.blocked
            self._book.changed(conversation)

    def _take_typing(self, event: TypingEvent) -> None:
        conversation = self._conversations.find(event.room or event.sender)
        if conversation is None or event.sender.lower() == self._book.name.lower():
            return
        self._conversations.set_typing(conversation, event.sender, True)
        if (ends := self._typing_ends.get(conversation.key)) is not None:
            ends.cancel()
        loop = asyncio.get_running_loop()
        self._typing_ends[conversation.key] = loop.call_later(TYPING, self._typing_ended, conversation)

    def _typing_ended(self, conversation: LocalConversation) -> None:
        del self._typing_ends[conversation.key]
        self._conversations.on_change(conversation)

    def close(self) -> None:
        """Nobody types any more."""
        for ends in self._typing_ends.values():
            ends.cancel()
        self._typing_ends.clear()

    def _take_room_event(self, key: str, by: str, event: ClientEvent) -> None:
        """What happened in a room may concern the user; how the room is now is asked for."""
        room = self._conversations.find(key)
        if room is None:
            return
        me = self._book.name.lower()
        by_me, to_me = by.lower() == me, event.member.lower() == me
        match event.kind:
            case EventKind.CREATED | EventKind.JOINED if by_me:
                room.left = False
                room.role = "owner" if event.kind is EventKind.CREATED else "member"
            case EventKind.LEFT if by_me:
                left(room)
            case EventKind.REMOVED if to_me:
                left(room)
            case EventKind.APPOINTED if event.role is not None and to_me:
                room.role = event.role.value
            case EventKind.CHANGED:
                room.topic = room.topic if event.topic is None else event.topic[:LONGEST_TOPIC]
                room.access = room.access if event.public is None else access_of(event.public)
            case _:
                pass
        self._book.changed(room)
        self._on_room()


def left(room: LocalConversation) -> None:
    """The user is not in a room any more."""
    room.left = True
    room.role = "none"


def access_of(public: bool) -> str:
    """Who may join a room, in a word."""
    return "public" if public else "private"


def _event(entry: MemberMessage) -> RoomEvent | None:
    """What happened, if it is to be shown."""
    event = entry.event
    if event is None or event.kind in (EventKind.SET, EventKind.OTHER):
        return None
    return RoomEvent(
        event.kind.value,
        event.member[:64],
        "" if event.role is None else event.role.value,
        None if event.topic is None else event.topic[:LONGEST_TOPIC],
        "" if event.public is None else access_of(event.public),
        event.room[:64] if event.kind is EventKind.INVITED else "",
    )


def _file(file: FileInfo | None) -> Attachment | None:
    return None if file is None else Attachment(file.key, file.name[:_LONGEST_FILE_NAME], file.size, file.hash)


def _change(entry: MemberMessage) -> MessageChange | None:
    """What a message does to another one. Only moderators of rooms change those of others, and only delete them."""
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
    return MessageChange(action, sender, ident)


def _utc(time: datetime | None) -> datetime | None:
    """A time, if it can be; senders write what they like."""
    try:
        return None if time is None else time.astimezone(UTC)
    except (OverflowError, ValueError):
        return None
