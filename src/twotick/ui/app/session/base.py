"""The session of one user at one server, which connects the conversations on this machine to the server.

There are two kinds. A member's session uses the outbox, the log and the history of the member, and reconnects by
itself. A guest's session has only its connection, and opens a new one when it is lost.
"""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, NamedTuple

from twotick.client.errors import OutboxError, TwotickError
from twotick.client.member.events import State
from twotick.client.member.results import DeviceInfo, EmailDigest, RecipientState
from twotick.ui.app.model.conversations import LocalConversation
from twotick.ui.app.model.messages import WAITING, LocalMessage, now
from twotick.ui.app.model.registry import ConversationRegistry
from twotick.ui.app.model.rooms import MemberListing, RoomListing
from twotick.ui.app.session.permissions import Permission
from twotick.ui.app.session.repository import ChatRepository, DeliveryUpdate, new_id
from twotick.ui.app.storage.database import DamagedStoreError, LocalStoreError
from twotick.ui.app.storage.store import LocalStore
from twotick.ui.searching import SearchText
from twotick.ui.texts import later

_STORING_AGAIN = 10.0

MAX_LOADED = 5_000
"""Messages of a conversation that are loaded to find one."""

HELD = 10.0
"""Seconds for which a deletion is held back, so that it can be undone."""

_NOT_FOR_GUESTS = later("guests cannot do that; sign up to become a member")


class SearchHit(NamedTuple):
    """A message that a search found.

    Attributes:
        conversation: the conversation of the message, which may not be open yet.
        message: a copy of the message. See `ChatSession.load_until` to get the message itself.
    """

    conversation: LocalConversation
    message: LocalMessage


class SearchResults(NamedTuple):
    """A page of search results.

    Attributes:
        found: the messages, newest first.
        before: the argument for `ChatSession.search` to get the next page; None if this is the last one.
    """

    found: list[SearchHit]
    before: int | None


class ChatSession(ABC):
    """One user at one server.

    Args:
        name: the user's name.
        server: the address of the server, as `HOST:PORT`.
        store: the user's data on this machine.
        max_body: the maximum size of a message in bytes.

    Attributes:
        connected: whether there is a connection.
        problem: why there is no connection; None before the first attempt has ended.
        ended: whether the session has stopped trying to connect.
        is_member: whether the user is a member. Waiting messages of a guest are lost when the app ends.
        on_connection: called when `connected`, `problem` or the number of waiting messages has changed.
        on_message: called with each message that arrives, after it was added to the conversations.
        on_refusal: called with the reason when the server refused an edit, a deletion or a reaction. The conversation
            no longer shows the change then.
        visible: whether other users may see the user's presence (rule 15.1).
        storing_again: how many seconds the session waits when nothing can be stored on this machine.
    """

    is_member: ClassVar[bool]

    def __init__(self, name: str, server: str, store: LocalStore, max_body: int) -> None:
        self.name = name
        self.server = server
        self.max_body = max_body
        self.connected = False
        self.problem: TwotickError | None = None
        self.ended = False
        self.visible = True
        self.storing_again = _STORING_AGAIN
        self.on_connection: Callable[[], None] = lambda: None
        self.on_message: Callable[[LocalMessage], None] = lambda _: None
        self.on_refusal: Callable[[str], None] = lambda _: None
        self._repository = ChatRepository(name, store)
        self._repository.on_refusal = lambda reason: self.on_refusal(reason)
        self._running = asyncio.Lock()
        self._unsent: asyncio.Queue[LocalMessage] = asyncio.Queue()

    @property
    def conversations(self) -> ConversationRegistry:
        """All conversations of the user."""
        return self._repository.conversations

    @property
    def store(self) -> LocalStore:
        """The user's data on this machine."""
        return self._repository.store

    @property
    def set_aside(self) -> Path | None:
        """Where a damaged database of this user is now; None if it was not damaged."""
        return self.store.set_aside

    async def run(self) -> None:
        """Connect, and stay connected until cancelled.

        Raises:
            TwotickError: the session cannot connect, and trying again would not help.
        """
        async with self._running:  # a run that was cancelled ends first
            self.ended = False
            self.problem = None
            try:
                while True:
                    await self._run_while_storing()
            except TwotickError as error:
                self.ended = True
                self._set_connection(error)
                raise

    async def _run_while_storing(self) -> None:
        """Connect, and stay connected until nothing can be stored here, such as on a full disk. Wait then."""
        task = asyncio.current_task()
        assert task is not None
        try:
            await self._run()
        except (LocalStoreError, OutboxError) as error:
            if task.cancelling() or isinstance(error, DamagedStoreError):
                raise
            self._set_connection(error)
            await asyncio.sleep(self.storing_again)

    @abstractmethod
    async def _run(self) -> None:
        """Connect, and stay connected. See `run`."""

    async def close(self) -> None:
        """Wait for `run` to end, and close the local store."""
        async with self._running:
            self.store.close()

    @property
    def waiting(self) -> int:
        """The number of messages and changes that wait to be sent."""
        return len(self._repository.waiting)

    def _set_connection(self, problem: TwotickError | None) -> None:
        """Record that there is a connection (None) or why there is none."""
        self.connected = problem is None
        self.problem = problem
        self.on_connection()

    # Conversations

    def open(self, name: str) -> LocalConversation:
        """Return the conversation with a user, in a room, or with `ALL`, with its newest messages loaded."""
        conversation = self._repository.conversation(name)
        if conversation.closed:
            conversation.closed = False
            self._repository.update(conversation)
        if not conversation.messages and not conversation.loaded:
            self._repository.load(conversation)
        return conversation

    @property
    def place(self) -> str | None:
        """The key of the conversation that the app showed last; None for the list."""
        return self.store.place

    def set_place(self, conversation: LocalConversation | None) -> None:
        """Record which conversation the app shows; None for the list."""
        self.store.set_place(None if conversation is None else conversation.key)

    async def set_closed(self, conversation: LocalConversation, closed: bool) -> None:
        """Close a conversation: the list leaves it out until a message arrives or the user opens it."""
        conversation.closed = closed
        self._repository.update(conversation)

    async def set_pinned(self, conversation: LocalConversation, pinned: bool) -> None:
        """Keep a conversation at the top of the list, or no longer."""
        conversation.pinned = pinned
        self._repository.update(conversation)

    async def mute_until(self, conversation: LocalConversation, until: float) -> None:
        """Turn notifications for a conversation off until a time, in seconds since 1970."""
        raise TwotickError(_NOT_FOR_GUESTS)

    def unmute_due(self) -> None:
        """Show notifications as on for conversations whose time is over, as the server does too (rule 14.6)."""
        for each in self.conversations:
            if each.muted and 0 < each.muted_until <= time.time():
                each.muted, each.muted_until = False, 0.0
                self._repository.update(each)

    async def set_profile(self, *, display: str | None = None, status: str | None = None) -> None:
        """Change the user's display name or status text; None leaves it as it is, empty removes it (rule 18.1)."""
        raise TwotickError(_NOT_FOR_GUESTS)

    async def load_older(self, conversation: LocalConversation) -> None:
        """Load older messages of a conversation from the local store or the server, if there are any."""
        if not conversation.loaded:
            self._repository.load(conversation)
        elif not conversation.complete:
            await self._fetch_older(conversation)
            conversation.loaded = False
            self._repository.load(conversation)

    async def load_first_unread(self, conversation: LocalConversation) -> LocalMessage | None:
        """Load older messages until the first unread one is among them, as far as `MAX_LOADED` messages reach.

        Returns:
            The first unread message; None if there is none.
        """
        while len(conversation.messages) < MAX_LOADED and not (conversation.loaded and conversation.complete):
            oldest = next((each.seq for each in conversation.messages if each.seq), None)
            if not conversation.unread or (oldest is not None and oldest <= conversation.read):
                break
            before = len(conversation.messages), conversation.loaded, conversation.complete
            await self.load_older(conversation)
            if before == (len(conversation.messages), conversation.loaded, conversation.complete):
                break
        return conversation.first_unread

    @abstractmethod
    async def _fetch_older(self, conversation: LocalConversation) -> None:
        """Fetch older messages of a conversation from the server into the local store."""

    @abstractmethod
    def can(
        self, permission: Permission, conversation: LocalConversation | None = None, message: LocalMessage | None = None
    ) -> bool:
        """Return whether the user has a permission, as far as the app knows.

        Args:
            permission: the permission.
            conversation: the conversation it is for; None if it does not depend on one.
            message: the message in that conversation it is for; None if it does not depend on one.
        """

    def edit(self, message: LocalMessage, text: str) -> None:
        """Replace the text of a message. The new text is shown and stored when this returns."""
        raise TwotickError(_NOT_FOR_GUESTS)

    def delete(self, message: LocalMessage) -> None:
        """Delete a message. This is shown at once, and sent after `HELD` seconds, in which it can be undone.

        The text is erased when the server has deleted the message.
        """
        raise TwotickError(_NOT_FOR_GUESTS)

    def undo_deletion(self) -> bool:
        """Undo the last deletion that is held back. Return whether there was one."""
        return False

    @property
    def can_undo(self) -> bool:
        """Whether a deletion is held back."""
        return False

    def cancel(self, message: LocalMessage) -> bool:
        """Do not send a message that waits. Return whether that succeeded; otherwise, it is on its way already."""
        if message not in self._repository.waiting or self._is_on_its_way(message):
            return False
        self._repository.withdraw(message)
        self.on_connection()
        return True

    @abstractmethod
    def _is_on_its_way(self, message: LocalMessage) -> bool:
        """Return whether it is too late to cancel a waiting message; if it is not, make sure that it is not sent."""

    async def send_deletions(self) -> None:
        """Send all deletions that are held back, because the app ends. Wait a few seconds for the server's answer."""
        return

    def react(self, message: LocalMessage, text: str) -> None:
        """React to a message. This replaces an earlier reaction of the user.

        Args:
            message: the message.
            text: the reaction, usually an emoji, at most 64 bytes of UTF-8; empty to remove the reaction.

        Raises:
            TwotickError: the text is too long.
        """
        raise TwotickError(_NOT_FOR_GUESTS)

    def send_file(
        self, conversation: LocalConversation, path: Path, caption: str = "", reply_to: LocalMessage | None = None
    ) -> LocalMessage:
        """Send a file, which must not be moved until it is uploaded (`LocalMessage.transfer`).

        Args:
            conversation: the recipient.
            path: the file.
            caption: the text of the message.
            reply_to: the message that it replies to; None if it is not a reply.

        Returns:
            The message with the file.

        Raises:
            TwotickError: the file cannot be read or is too large.
        """
        raise TwotickError(_NOT_FOR_GUESTS)

    async def save_file(self, message: LocalMessage, folder: Path) -> Path:
        """Save the file of a message under a new name in a folder. `LocalMessage.transfer` has the progress.

        Args:
            message: the message.
            folder: the folder, which is created if it does not exist.

        Returns:
            The path of the saved file.

        Raises:
            TwotickError: the file is no longer on the server or cannot be saved. Nothing is left behind then, nor if
                the call is cancelled.
        """
        raise TwotickError(_NOT_FOR_GUESTS)

    # Requests to the server. While there is no connection, each of them waits for it; cancel it to stop waiting.
    # All of them raise TwotickError with a reason that can be shown to the user.

    async def search(
        self, asked: SearchText, conversation: LocalConversation | None = None, before: int | None = None
    ) -> SearchResults:
        """Search messages (rule 14.5).

        Args:
            asked: words and filters.
            conversation: the conversation to search in, unless a filter names another; None for all.
            before: `SearchResults.before` of the previous page; None for the first page.
        """
        raise TwotickError(_NOT_FOR_GUESTS)

    async def load_until(
        self, conversation: LocalConversation, sender: str, ident: str, guest: bool | None = None
    ) -> LocalMessage | None:
        """Load older messages until one is among them, and return it; None if it is not among the newest 5,000.

        Args:
            conversation: its conversation.
            sender: its sender.
            ident: its Id.
            guest: whether a guest has sent it; None for a member's message or, if there is none, a guest's.
        """
        raise TwotickError(_NOT_FOR_GUESTS)

    async def around(self, hit: SearchHit, count: int) -> list[LocalMessage]:
        """Return a message that was found, with messages before and after it.

        Args:
            hit: the message that was found.
            count: the number of messages before it, and of messages after it.

        Returns:
            The messages in order. Those that are not loaded are copies, which are not updated.
        """
        raise TwotickError(_NOT_FOR_GUESTS)

    async def thread(self, message: LocalMessage) -> list[LocalMessage]:
        """Return the thread of a message, oldest first: the message that begins it, and all answers (rule 13.6).

        Those that are not loaded are copies, which are not updated.
        """
        raise TwotickError(_NOT_FOR_GUESTS)

    async def pinned_messages(self, conversation: LocalConversation) -> list[LocalMessage]:
        """Return the pinned messages of a conversation, those pinned last first (rule 13.9)."""
        raise TwotickError(_NOT_FOR_GUESTS)

    async def toggle_pin(self, message: LocalMessage) -> bool:
        """Pin a message for all in its conversation, or unpin it (rule 13.7). Return whether it is pinned now."""
        raise TwotickError(_NOT_FOR_GUESTS)

    async def forward(self, message: LocalMessage, conversation: LocalConversation) -> str:
        """Send a message, with its file, on to another conversation (rule 13.10).

        Without a connection it waits, as other messages do, and may fail later.

        Returns:
            Why the server refuses to send it on; empty if it was sent or waits.
        """
        raise TwotickError(_NOT_FOR_GUESTS)

    async def rooms(self) -> list[RoomListing]:
        """Return all public rooms, the user's rooms, and the rooms that the user is invited to."""
        raise TwotickError(_NOT_FOR_GUESTS)

    async def members(self, conversation: LocalConversation) -> list[MemberListing]:
        """Return the members of a room."""
        raise TwotickError(_NOT_FOR_GUESTS)

    async def receipts(self, message: LocalMessage) -> list[RecipientState]:
        """Return the delivery state of a message that the user sent, for each recipient."""
        raise TwotickError(_NOT_FOR_GUESTS)

    async def create_room(self, name: str, access: str = "private", topic: str = "") -> LocalConversation:
        """Create a room, which the user owns, and return its conversation.

        Args:
            name: the name with its `#`.
            access: `public`, `guests` or `private`.
            topic: the topic; empty for none.
        """
        raise TwotickError(_NOT_FOR_GUESTS)

    async def join(self, name: str) -> LocalConversation:
        """Join a room and return its conversation."""
        raise TwotickError(_NOT_FOR_GUESTS)

    async def leave(self, conversation: LocalConversation) -> None:
        """Leave a room."""
        raise TwotickError(_NOT_FOR_GUESTS)

    async def invite(self, conversation: LocalConversation, member: str) -> None:
        """Invite a user to a room."""
        raise TwotickError(_NOT_FOR_GUESTS)

    async def remove(self, conversation: LocalConversation, member: str) -> None:
        """Remove a member from a room."""
        raise TwotickError(_NOT_FOR_GUESTS)

    async def appoint(self, conversation: LocalConversation, member: str, role: str) -> None:
        """Change the role of a member of a room to `member`, `moderator` or `owner`."""
        raise TwotickError(_NOT_FOR_GUESTS)

    async def change(
        self, conversation: LocalConversation, topic: str | None = None, access: str | None = None
    ) -> None:
        """Change the topic of a room, or its access (`public`, `guests` or `private`); None leaves it unchanged."""
        raise TwotickError(_NOT_FOR_GUESTS)

    async def set_muted(self, conversation: LocalConversation, muted: bool) -> None:
        """Turn notifications for a conversation off or on."""
        raise TwotickError(_NOT_FOR_GUESTS)

    async def set_blocked(self, conversation: LocalConversation, blocked: bool) -> None:
        """Block or unblock the user of a conversation."""
        raise TwotickError(_NOT_FOR_GUESTS)

    async def report(self, conversation: LocalConversation, text: str, message: LocalMessage | None = None) -> None:
        """Report a user to the operator: the sender of a message or, without one, the user of the conversation."""
        raise TwotickError(_NOT_FOR_GUESTS)

    # The account

    @property
    def device(self) -> str:
        """The name of this device of a member; empty for a guest."""
        return ""

    async def devices(self) -> list[DeviceInfo]:
        """Return the member's devices."""
        raise TwotickError(_NOT_FOR_GUESTS)

    async def revoke(self, device: str) -> None:
        """Log a device of the member out, and the devices below it. This one is forgotten on this machine too."""
        raise TwotickError(_NOT_FOR_GUESTS)

    async def change_password(self, old: str, new: str, *, revoke_others: bool) -> None:
        """Change the member's password, and log the devices on all other machines out if `revoke_others` is true."""
        raise TwotickError(_NOT_FOR_GUESTS)

    async def digest(self, wanted: bool | None = None) -> EmailDigest:
        """Return where the member is told by e-mail of messages that wait, and whether; `wanted` changes that."""
        raise TwotickError(_NOT_FOR_GUESTS)

    # Presence

    @abstractmethod
    def typing(self, conversation: LocalConversation) -> None:
        """Tell others that the user is typing. Call this for every key; others are told every 3 s (rule 15.3)."""

    @abstractmethod
    def set_presence(self, here: bool) -> None:
        """Tell others whether the user is at the keyboard. This is repeated after each reconnection."""

    @abstractmethod
    def set_visible(self, visible: bool) -> None:
        """Set whether other users may see the user's presence. The server stores this."""

    # Sending

    def send(self, conversation: LocalConversation, text: str, reply_to: LocalMessage | None = None) -> LocalMessage:
        """Send a message. It is stored and the draft is deleted when this returns; if it raises, nothing has changed.

        Args:
            conversation: the recipient.
            text: the text.
            reply_to: the message that it replies to; None if it is not a reply.

        Returns:
            The message.

        Raises:
            LocalStoreError: the message cannot be stored, and is not sent.
        """
        message = self._compose(conversation.key, text, reply_to)
        self._repository.enqueue(message, in_place_of_draft=True)
        conversation.draft = ""
        self._unsent.put_nowait(message)
        return message

    def send_again(self, message: LocalMessage) -> LocalMessage:
        """Send a message again that was not delivered, with its file and its quote, and return the new message."""
        again = self._compose(message.conversation, message.text, None)
        again.reply_to, again.file, again.path = message.reply_to, message.file, message.path
        self._repository.enqueue(again)
        self._unsent.put_nowait(again)
        return again

    def _compose(self, key: str, text: str, reply_to: LocalMessage | None) -> LocalMessage:
        """Return a waiting message with an Id, so that the server accepts it only once (rule 11.7)."""
        message = LocalMessage(key, self.name, text, now(), True, (WAITING, 0), new_id(), State.QUEUED)
        if reply_to is not None and reply_to.id:
            message.reply_to = (reply_to.sender, reply_to.id)
        return message

    def save_draft(self, conversation: LocalConversation, draft: str) -> None:
        """Store the draft of a conversation."""
        conversation.draft = draft
        self.store.set_draft(conversation.key, draft)

    def mark_read(self, conversation: LocalConversation) -> None:
        """Mark all messages of a conversation as read."""
        newest = self._newest_seq(conversation)
        if newest > conversation.read and (conversation.unread or conversation.mentions):
            self._repository.mark_read(conversation, newest)
            self._report_read(conversation.name, newest)

    def _newest_seq(self, conversation: LocalConversation) -> int:
        """Return the number in the log of the newest message of a conversation."""
        return self.store.newest_seq(conversation.key)

    @abstractmethod
    def _report_read(self, name: str, seq: int) -> None:
        """Tell the server that messages of a user or in a room were read, up to a number in the log."""

    def _settle(self, message: LocalMessage, update: DeliveryUpdate) -> None:
        """Record what is known now about a message or change that was sent from here."""
        self._repository.settle(message, update)
        self.on_connection()
