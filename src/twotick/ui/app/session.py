"""One user at one server: what comes goes into the local store and the conversations, what is typed goes out.

Knows nothing of the screen. Two kinds: a member's session works with the outbox, the log and history, and comes back by
itself; a guest's has nothing but the connection, and makes a new one when that is lost.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

from twotick.client import TwotickError
from twotick.client.entries import State
from twotick.ui.app.model import WAITING, Conversation, Conversations, Message, now
from twotick.ui.app.store import LocalStore

PAGE = 100
"""Messages that are loaded at once."""


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

    def send(self, conversation: Conversation, text: str) -> Message:
        """Send a message. It is kept when this returns, and the draft is gone."""
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
