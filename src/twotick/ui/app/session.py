"""One user at one server: what comes goes into the local store and the conversations, what is typed goes out.

Knows nothing of the screen. Two kinds: a member's session works with the outbox, the log and history, and comes back by
itself; a guest's has nothing but the connection, and makes a new one when that is lost.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import ClassVar, NamedTuple

from twotick.client import TwotickError
from twotick.client.entries import State
from twotick.ui.app.model import WAITING, Conversation, Conversations, Message, RecipientState, Room, RoomMember, now
from twotick.ui.app.store import LocalStore

_NOT_FOR_GUESTS = "guests cannot do that"

PAGE = 100
"""Messages that are loaded at once."""


class Deed(Enum):
    """What can be done, sometimes: see `Session.can`."""

    SEND = "send"
    """Send a message to a conversation."""
    REPLY = "reply"
    """Answer a message, so that it shows which."""
    EDIT = "edit"
    """Edit a message."""
    DELETE = "delete"
    """Delete a message."""
    REACT = "react"
    """React to a message."""
    SEND_AGAIN = "send again"
    """Send a message that failed once more."""
    SEND_FILE = "send file"
    """Send files to a conversation."""
    SAVE_FILE = "save file"
    """Save the file of a message."""
    RECEIPTS = "receipts"
    """Ask what became of a message for each recipient."""
    SEARCH = "search"
    """Search, in a conversation or everywhere."""
    ROOMS = "rooms"
    """List, create and join rooms."""
    MEMBERS = "members"
    """Ask who is in a room."""
    LEAVE = "leave"
    """Leave a room."""
    INVITE = "invite"
    """Invite somebody to a room."""
    REMOVE = "remove"
    """Remove somebody from a room."""
    APPOINT = "appoint"
    """Give somebody in a room a role."""
    SET_TOPIC = "set topic"
    """Change what a room is about."""
    SET_ACCESS = "set access"
    """Change who may join a room."""
    MUTE = "mute"
    """Mute a conversation."""
    BLOCK = "block"
    """Block the user of a conversation."""
    REPORT = "report"
    """Report the user of a conversation, or the sender of a message."""
    PRESENCE = "presence"
    """Say whether one is there, and see who is."""


class Hit(NamedTuple):
    """A message that was found.

    Attributes:
        conversation: where it was said; it may be one that is not opened yet.
        message: the message, which is not one of those that are loaded: see `Session.reach`.
    """

    conversation: Conversation
    message: Message


class Hits(NamedTuple):
    """What was found.

    Attributes:
        found: the messages, newest first.
        before: what to give to `Session.search` for more; None if there are none.
    """

    found: list[Hit]
    before: int | None


class Session(ABC):
    """One user at one server.

    Args:
        name: the user's name.
        server: where, as `HOST:PORT`.
        store: what is kept on this machine.
        max_body: the longest message, in bytes.

    Attributes:
        conversations: what there is to show.
        connected: whether there is a connection.
        problem: why there is none; None before the first attempt has ended.
        ended: whether nobody tries to connect any more.
        keeps: whether what waits is kept when the program ends.
        on_connection: called when `connected` or `problem` has changed.
        on_message: called with each message that comes, once it is in the conversations.
        on_refusal: called with a reason for people when an edit, a deletion or a reaction was not taken, and shows no
            more.
        shown: whether others may see that the user is there (rule 15.1).
    """

    keeps: ClassVar[bool]

    def __init__(self, name: str, server: str, store: LocalStore, max_body: int) -> None:
        self.name = name
        self.server = server
        self.max_body = max_body
        self.store = store
        self.conversations = Conversations(name)
        self.conversations.known(store.conversations())
        self.connected = False
        self.problem: TwotickError | None = None
        self.ended = False
        self.on_connection: Callable[[], None] = lambda: None
        self.on_message: Callable[[Message], None] = lambda _: None
        self.on_refusal: Callable[[str], None] = lambda _: None
        self.shown = True
        self._turn = asyncio.Lock()
        self._unsent: asyncio.Queue[Message] = asyncio.Queue()
        self._waiting = store.waiting()

    async def run(self) -> None:
        """Be there until cancelled.

        Raises:
            TwotickError: it would not help to try again.
        """
        async with self._turn:  # what was cancelled ends first
            self.ended = False
            self.problem = None
            try:
                await self._run()
            except TwotickError as error:
                self.ended = True
                self._tell(error)
                raise

    @abstractmethod
    async def _run(self) -> None:
        """See `run`."""

    async def close(self) -> None:
        """Let everything go, once `run` has ended."""
        async with self._turn:
            self.store.close()

    @property
    def waiting(self) -> int:
        """How many messages wait to be sent."""
        return len(self._waiting)

    def _tell(self, problem: TwotickError | None) -> None:
        """There is a connection, or none and why."""
        self.connected = problem is None
        self.problem = problem
        self.on_connection()

    # What the screen asks for

    def open(self, name: str) -> Conversation:
        """The conversation with a user, with the newest messages loaded."""
        conversation = self.conversations.open(name)
        self.store.add_conversation(conversation)
        if not conversation.messages and not conversation.loaded:
            self._load_stored(conversation)
        return conversation

    def _live(self, message: Message) -> Message:
        """The object that stands for a message of the local store everywhere."""
        waiting = (each for each in self._waiting if each.number == message.number)
        return self.conversations.loaded(message.number) or next(waiting, message)

    def _load_stored(self, conversation: Conversation) -> None:
        first = conversation.messages[0].place if conversation.messages else None
        older = [self._live(each) for each in self.store.page(conversation.key, first, PAGE)]
        conversation.loaded = len(older) < PAGE
        self.conversations.load(conversation, older)

    async def load_older(self, conversation: Conversation) -> None:
        """Load older messages of a conversation, if there are any."""
        if not conversation.loaded:
            self._load_stored(conversation)
        elif not conversation.complete:
            await self._fetch_older(conversation)
            conversation.loaded = False
            self._load_stored(conversation)

    @abstractmethod
    async def _fetch_older(self, conversation: Conversation) -> None:
        """Get older messages of a conversation into the local store."""

    @abstractmethod
    def can(self, deed: Deed, conversation: Conversation | None = None, message: Message | None = None) -> bool:
        """Whether something can be done, as far as it is known here.

        Args:
            deed: what.
            conversation: where; None where it does not matter.
            message: to which message; None where it does not matter. Its conversation is `conversation`.
        """

    def edit(self, message: Message, text: str) -> None:
        """Put another text in place of that of a message. It shows, and is kept, when this returns."""
        raise TwotickError(_NOT_FOR_GUESTS)

    def delete(self, message: Message) -> None:
        """Delete a message. It shows when this returns; the text is gone once the server has deleted it."""
        raise TwotickError(_NOT_FOR_GUESTS)

    def react(self, message: Message, text: str) -> None:
        """React to a message, in place of an earlier reaction; with no text, take it back.

        Args:
            message: to what.
            text: at most 64 bytes of UTF-8, usually an emoji.

        Raises:
            TwotickError: the text is too long.
        """
        raise TwotickError(_NOT_FOR_GUESTS)

    def send_again(self, message: Message) -> Message:
        """Send what failed once more: text, file and what it answers. Returns the new message."""
        raise TwotickError(_NOT_FOR_GUESTS)

    def send_file(
        self, conversation: Conversation, path: Path, caption: str = "", reply_to: Message | None = None
    ) -> Message:
        """Send a file, which must stay where it is until it is up (`Message.transfer`).

        Raises:
            TwotickError: it cannot be read, or is too large.
        """
        raise TwotickError(_NOT_FOR_GUESTS)

    async def save_file(self, message: Message, folder: Path) -> Path:
        """Save the file of a message (`Message.transfer` tells how far it is). Nothing is ever overwritten.

        Args:
            message: the message.
            folder: where, which is made if it is not there.

        Returns:
            Where it is now.

        Raises:
            TwotickError: it is gone, or cannot be saved; the reason is for people. To cancel leaves nothing behind.
        """
        raise TwotickError(_NOT_FOR_GUESTS)

    # What the server is asked. Each waits for the connection to come back, if it is away: cancel to wait no longer.

    async def search(self, query: str, conversation: Conversation | None = None, before: int | None = None) -> Hits:
        """Look for messages (rule 14.5).

        Args:
            query: words; "words in quotes" stand one after the other; wor* stands for all that begin so.
            conversation: only those there; None for all.
            before: `Hits.before` of the last answer, for more.

        Raises:
            TwotickError: with a reason for people; as for all that follow.
        """
        raise TwotickError(_NOT_FOR_GUESTS)

    async def reach(self, conversation: Conversation, sender: str, ident: str) -> Message | None:
        """Load older messages until that one is among them; None if it is not found among the newest 5,000."""
        raise TwotickError(_NOT_FOR_GUESTS)

    async def rooms(self) -> list[Room]:
        """The rooms that the user may know of: public ones, one's own, and those to which one is invited."""
        raise TwotickError(_NOT_FOR_GUESTS)

    async def members(self, conversation: Conversation) -> list[RoomMember]:
        """Who is in a room."""
        raise TwotickError(_NOT_FOR_GUESTS)

    async def receipts(self, message: Message) -> list[RecipientState]:
        """What became of an own message, for each recipient."""
        raise TwotickError(_NOT_FOR_GUESTS)

    async def create_room(self, name: str, access: str = "private", topic: str = "") -> Conversation:
        """Make a room, which the user owns. `access` is `public` or `private`; the name begins with `#`."""
        raise TwotickError(_NOT_FOR_GUESTS)

    async def join(self, name: str) -> Conversation:
        """Join a room."""
        raise TwotickError(_NOT_FOR_GUESTS)

    async def leave(self, conversation: Conversation) -> None:
        """Leave a room."""
        raise TwotickError(_NOT_FOR_GUESTS)

    async def invite(self, conversation: Conversation, member: str) -> None:
        """Let somebody join a room, and tell them."""
        raise TwotickError(_NOT_FOR_GUESTS)

    async def remove(self, conversation: Conversation, member: str) -> None:
        """Remove somebody from a room."""
        raise TwotickError(_NOT_FOR_GUESTS)

    async def appoint(self, conversation: Conversation, member: str, role: str) -> None:
        """Make somebody in a room `member`, `moderator` or `owner`."""
        raise TwotickError(_NOT_FOR_GUESTS)

    async def change(self, conversation: Conversation, topic: str | None = None, access: str | None = None) -> None:
        """Change what a room is about, or who may join it; None for what stays."""
        raise TwotickError(_NOT_FOR_GUESTS)

    async def set_muted(self, conversation: Conversation, muted: bool) -> None:
        """Ring for what comes in a conversation, or do not."""
        raise TwotickError(_NOT_FOR_GUESTS)

    async def set_blocked(self, conversation: Conversation, blocked: bool) -> None:
        """Take nothing more from that user, or do again."""
        raise TwotickError(_NOT_FOR_GUESTS)

    async def report(self, conversation: Conversation, text: str, message: Message | None = None) -> None:
        """Tell the operator about a user: the sender of a message, or else the one of the conversation."""
        raise TwotickError(_NOT_FOR_GUESTS)

    # What others see of the user

    @abstractmethod
    def typing(self, conversation: Conversation) -> None:
        """The user types: call it with every key; others are told every 3 s (rule 15.3)."""

    @abstractmethod
    def set_presence(self, here: bool) -> None:
        """The user is there, or not at the keys. Told again after each connection."""

    @abstractmethod
    def set_shown(self, shown: bool) -> None:
        """Others may see whether the user is there, or not; kept on the server."""

    def send(self, conversation: Conversation, text: str, reply_to: Message | None = None) -> Message:
        """Send a message. It is kept when this returns, and the draft is gone.

        Args:
            conversation: where to.
            text: what it says.
            reply_to: the message that it answers; None if it does not.
        """
        message = Message(conversation.key, self.name, text, now(), True, (WAITING, 0), state=State.QUEUED)
        self.store.add(message)
        conversation.draft = ""
        self._waiting.append(message)
        self.conversations.add(message)
        self._unsent.put_nowait(message)
        return message

    def save_draft(self, conversation: Conversation, draft: str) -> None:
        """Keep what was typed and not sent."""
        conversation.draft = draft
        self.store.set_draft(conversation.key, draft)

    def mark_read(self, conversation: Conversation) -> None:
        """All messages of a conversation were seen."""
        newest = self.store.newest(conversation.key)
        if conversation.unread and newest > conversation.read:
            conversation.read = newest
            self.store.set_read(conversation.key, newest)
            self.conversations.count(conversation, 0, 0)
            self._tell_read(conversation.name, newest)

    @abstractmethod
    def _tell_read(self, name: str, seq: int) -> None:
        """Tell the server that messages of a user were read."""

    # What comes

    def _came(self, message: Message) -> None:
        """A message is new."""
        message.mention = not message.outgoing and self.conversations.mentions(message.text)
        conversation = self.conversations.open(message.conversation)
        self.store.add_conversation(conversation)
        self.store.add(message)
        self.conversations.add(message)

    def _settled(self, message: Message, state: State, seq: int, reason: str = "") -> None:
        """It is known what became of a message that was sent from here.

        Args:
            message: the message.
            state: what became of it.
            seq: its number in the log; 0 if it has none.
            reason: if it failed, why.
        """
        if message in self._waiting:
            self._waiting.remove(message)
        if message.place[0] == WAITING:
            self.conversations.move(message, (seq, 0) if seq else (self.store.newest(), message.number))
        self.conversations.advance(message, state, reason)
        self.store.change(message)
        self.on_connection()
