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

from twotick.client.errors import TwotickError
from twotick.client.member.events import State
from twotick.client.member.results import RecipientState
from twotick.ui.app.model.conversations import LocalConversation
from twotick.ui.app.model.messages import WAITING, LocalMessage, now
from twotick.ui.app.model.registry import ConversationRegistry
from twotick.ui.app.model.rooms import MemberListing, RoomListing
from twotick.ui.app.session.repository import ChatRepository, new_id
from twotick.ui.app.storage.store import LocalStore

_NOT_FOR_GUESTS = "guests cannot do that"


class Permission(Enum):
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


class SearchHit(NamedTuple):
    """A message that was found.

    Attributes:
        conversation: where it was said; it may be one that is not opened yet.
        message: the message, which is not one of those that are loaded: see `Session.reach`.
    """

    conversation: LocalConversation
    message: LocalMessage


class SearchPage(NamedTuple):
    """What was found.

    Attributes:
        found: the messages, newest first.
        before: what to give to `Session.search` for more; None if there are none.
    """

    found: list[SearchHit]
    before: int | None


class ChatSession(ABC):
    """One user at one server.

    Args:
        name: the user's name.
        server: where, as `HOST:PORT`.
        store: what is kept on this machine.
        max_body: the longest message, in bytes.

    Attributes:
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
        self.connected = False
        self.problem: TwotickError | None = None
        self.ended = False
        self.shown = True
        self.on_connection: Callable[[], None] = lambda: None
        self.on_message: Callable[[LocalMessage], None] = lambda _: None
        self.on_refusal: Callable[[str], None] = lambda _: None
        self._book = ChatRepository(name, store)
        self._book.on_refusal = lambda reason: self.on_refusal(reason)
        self._turn = asyncio.Lock()
        self._unsent: asyncio.Queue[LocalMessage] = asyncio.Queue()

    @property
    def conversations(self) -> ConversationRegistry:
        """What there is to show."""
        return self._book.conversations

    @property
    def store(self) -> LocalStore:
        """What is kept on this machine."""
        return self._book.store

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
        """How many messages, and changes of messages, wait to be sent."""
        return len(self._book.waiting)

    def _tell(self, problem: TwotickError | None) -> None:
        """There is a connection, or none and why."""
        self.connected = problem is None
        self.problem = problem
        self.on_connection()

    # What the screen asks for

    def open(self, name: str) -> LocalConversation:
        """The conversation with a user, in a room, or with `ALL`, with the newest messages loaded."""
        conversation = self._book.conversation(name)
        if not conversation.messages and not conversation.loaded:
            self._book.load(conversation)
        return conversation

    async def load_older(self, conversation: LocalConversation) -> None:
        """Load older messages of a conversation, if there are any."""
        if not conversation.loaded:
            self._book.load(conversation)
        elif not conversation.complete:
            await self._fetch_older(conversation)
            conversation.loaded = False
            self._book.load(conversation)

    @abstractmethod
    async def _fetch_older(self, conversation: LocalConversation) -> None:
        """Get older messages of a conversation into the local store."""

    @abstractmethod
    def can(
        self, deed: Permission, conversation: LocalConversation | None = None, message: LocalMessage | None = None
    ) -> bool:
        """Whether something can be done, as far as it is known here.

        Args:
            deed: what.
            conversation: where; None where it does not matter.
            message: to which message; None where it does not matter. Its conversation is `conversation`.
        """

    def edit(self, message: LocalMessage, text: str) -> None:
        """Put another text in place of that of a message. It shows, and is kept, when this returns."""
        raise TwotickError(_NOT_FOR_GUESTS)

    def delete(self, message: LocalMessage) -> None:
        """Delete a message. It shows when this returns; the text is gone once the server has deleted it."""
        raise TwotickError(_NOT_FOR_GUESTS)

    def react(self, message: LocalMessage, text: str) -> None:
        """React to a message, in place of an earlier reaction; with no text, take it back.

        Args:
            message: to what.
            text: at most 64 bytes of UTF-8, usually an emoji.

        Raises:
            TwotickError: the text is too long.
        """
        raise TwotickError(_NOT_FOR_GUESTS)

    def send_file(
        self, conversation: LocalConversation, path: Path, caption: str = "", reply_to: LocalMessage | None = None
    ) -> LocalMessage:
        """Send a file, which must stay where it is until it is up (`Message.transfer`).

        Raises:
            TwotickError: it cannot be read, or is too large.
        """
        raise TwotickError(_NOT_FOR_GUESTS)

    async def save_file(self, message: LocalMessage, folder: Path) -> Path:
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

    async def search(
        self, query: str, conversation: LocalConversation | None = None, before: int | None = None
    ) -> SearchPage:
        """Look for messages (rule 14.5).

        Args:
            query: words; "words in quotes" stand one after the other; wor* stands for all that begin so.
            conversation: only those there; None for all.
            before: `Hits.before` of the last answer, for more.

        Raises:
            TwotickError: with a reason for people; as for all that follow.
        """
        raise TwotickError(_NOT_FOR_GUESTS)

    async def reach(self, conversation: LocalConversation, sender: str, ident: str) -> LocalMessage | None:
        """Load older messages until that one is among them; None if it is not found among the newest 5,000."""
        raise TwotickError(_NOT_FOR_GUESTS)

    async def around(self, hit: SearchHit, count: int) -> list[LocalMessage]:
        """What was said around something that was found, loaded or not.

        Args:
            hit: it.
            count: messages before it, and after it.

        Returns:
            They and it, in order; those that are not loaded are copies, which no change reaches.
        """
        raise TwotickError(_NOT_FOR_GUESTS)

    async def rooms(self) -> list[RoomListing]:
        """The rooms that the user may know of: public ones, one's own, and those to which one is invited."""
        raise TwotickError(_NOT_FOR_GUESTS)

    async def members(self, conversation: LocalConversation) -> list[MemberListing]:
        """Who is in a room."""
        raise TwotickError(_NOT_FOR_GUESTS)

    async def receipts(self, message: LocalMessage) -> list[RecipientState]:
        """What became of an own message, for each recipient."""
        raise TwotickError(_NOT_FOR_GUESTS)

    async def create_room(self, name: str, access: str = "private", topic: str = "") -> LocalConversation:
        """Make a room, which the user owns. `access` is `public` or `private`; the name begins with `#`."""
        raise TwotickError(_NOT_FOR_GUESTS)

    async def join(self, name: str) -> LocalConversation:
        """Join a room."""
        raise TwotickError(_NOT_FOR_GUESTS)

    async def leave(self, conversation: LocalConversation) -> None:
        """Leave a room."""
        raise TwotickError(_NOT_FOR_GUESTS)

    async def invite(self, conversation: LocalConversation, member: str) -> None:
        """Let somebody join a room, and tell them."""
        raise TwotickError(_NOT_FOR_GUESTS)

    async def remove(self, conversation: LocalConversation, member: str) -> None:
        """Remove somebody from a room."""
        raise TwotickError(_NOT_FOR_GUESTS)

    async def appoint(self, conversation: LocalConversation, member: str, role: str) -> None:
        """Make somebody in a room `member`, `moderator` or `owner`."""
        raise TwotickError(_NOT_FOR_GUESTS)

    async def change(
        self, conversation: LocalConversation, topic: str | None = None, access: str | None = None
    ) -> None:
        """Change what a room is about, or who may join it; None for what stays."""
        raise TwotickError(_NOT_FOR_GUESTS)

    async def set_muted(self, conversation: LocalConversation, muted: bool) -> None:
        """Ring for what comes in a conversation, or do not."""
        raise TwotickError(_NOT_FOR_GUESTS)

    async def set_blocked(self, conversation: LocalConversation, blocked: bool) -> None:
        """Take nothing more from that user, or do again."""
        raise TwotickError(_NOT_FOR_GUESTS)

    async def report(self, conversation: LocalConversation, text: str, message: LocalMessage | None = None) -> None:
        """Tell the operator about a user: the sender of a message, or else the one of the conversation."""
        raise TwotickError(_NOT_FOR_GUESTS)

    # What others see of the user

    @abstractmethod
    def typing(self, conversation: LocalConversation) -> None:
        """The user types: call it with every key; others are told every 3 s (rule 15.3)."""

    @abstractmethod
    def set_presence(self, here: bool) -> None:
        """The user is there, or not at the keys. Told again after each connection."""

    @abstractmethod
    def set_shown(self, shown: bool) -> None:
        """Others may see whether the user is there, or not; kept on the server."""

    def send(self, conversation: LocalConversation, text: str, reply_to: LocalMessage | None = None) -> LocalMessage:
        """Send a message. It is kept when this returns, and the draft is gone.

        Args:
            conversation: where to.
            text: what it says.
            reply_to: the message that it answers; None if it does not.
        """
        message = self._written(conversation.key, text, reply_to)
        with self.store.transaction():
            self._book.wait(message)
            self.store.set_draft(conversation.key, "")
        conversation.draft = ""
        self._unsent.put_nowait(message)
        return message

    def send_again(self, message: LocalMessage) -> LocalMessage:
        """Send what failed once more: text, file and what it answers. Returns the new message."""
        again = self._written(message.conversation, message.text, None)
        again.reply_to, again.file, again.path = message.reply_to, message.file, message.path
        self._book.wait(again)
        self._unsent.put_nowait(again)
        return again

    def _written(self, key: str, text: str, reply_to: LocalMessage | None) -> LocalMessage:
        """A message that waits, with an Id, so that it cannot be sent twice."""
        message = LocalMessage(key, self.name, text, now(), True, (WAITING, 0), new_id(), State.QUEUED)
        if reply_to is not None and reply_to.id:
            message.reply_to = (reply_to.sender, reply_to.id)
        return message

    def save_draft(self, conversation: LocalConversation, draft: str) -> None:
        """Keep what was typed and not sent."""
        conversation.draft = draft
        self.store.set_draft(conversation.key, draft)

    def mark_read(self, conversation: LocalConversation) -> None:
        """All messages of a conversation were seen."""
        newest = self._newest(conversation)
        if newest > conversation.read and (conversation.unread or conversation.mentions):
            self._book.read(conversation, newest)
            self._tell_read(conversation.name, newest)

    def _newest(self, conversation: LocalConversation) -> int:
        """The number of the log up to which somebody who sees the end of a conversation has seen it."""
        return self.store.newest_seq(conversation.key)

    @abstractmethod
    def _tell_read(self, name: str, seq: int) -> None:
        """Tell the server that messages of a user, or in a room, were read."""

    def _settled(self, message: LocalMessage, state: State, seq: int = 0, place: int = 0, reason: str = "") -> None:
        """It is known what became of something that was sent from here; see `Book.settle`."""
        self._book.settle(message, state, seq, place, reason)
        self.on_connection()
