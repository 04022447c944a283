"""The client for members: what a program can do as a member's device."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from types import TracebackType
from typing import Self, Unpack

from twotick.client.errors import ConnectionLost, NotDelivered
from twotick.client.member.conversations import ConversationMethods
from twotick.client.member.devices import DeviceMethods
from twotick.client.member.events import Entry
from twotick.client.member.files import FileMethods
from twotick.client.member.headers import encode_id
from twotick.client.member.messages import MemberMessage
from twotick.client.member.outbox import LONGEST_HOLD
from twotick.client.member.presence import PresenceMethods
from twotick.client.member.profiles import ProfileMethods
from twotick.client.member.receipts import MemberReceipt
from twotick.client.member.rooms import RoomMethods
from twotick.client.member.send_headers import SendOptions, header_lines
from twotick.client.member.session import ClientSession
from twotick.client.trust.known_servers import Trust
from twotick.wire import is_name, is_room

_LONGEST_REACTION = 64
"""The longest reaction, in bytes of UTF-8 (rule 13.1)."""

_LONGEST_EXPIRY = 1e10
"""The time after which a message expires is shorter, in seconds (rule 11.10)."""


class MemberClient(RoomMethods, ConversationMethods, PresenceMethods, ProfileMethods, FileMethods, DeviceMethods):
    """A member's device, connected to a server. Use `join` to make one.

    Iterate over it to receive messages: each is acknowledged when the program takes the next one. If the connection is
    lost, the client reconnects by itself.

    Attributes:
        name: the member's name.
    """

    def __init__(self, session: ClientSession) -> None:
        super().__init__()
        self.name = session.name
        self._session = session
        self._requests = session.requests
        self._subscription = session.subscription
        self._profile_subscription = session.profile_subscription
        self._room_guests = session.room_guests
        self._entry_owner = session
        self._closed = False

    @property
    def device(self) -> str:
        """The device's name; empty until the server has named it."""
        return self._session.device

    @property
    def window(self) -> int:
        """How many entries the server sends before it waits for the first acknowledgement."""
        return self._session.window

    @property
    def cursor(self) -> int:
        """The number, in the log, up to which the device had every entry when it connected last (rule 11.2)."""
        return self._session.cursor

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return self._session.connection.connected

    @property
    def trust(self) -> Trust | None:
        """Why the server is trusted; None if the connection is not encrypted, or there has been none yet."""
        return self._session.connection.trust

    @property
    def max_body(self) -> int:
        """The largest body that the server accepts, in bytes."""
        return self._session.sender.max_body

    # Sending

    async def send(self, recipient: str, body: str | bytes, **options: Unpack[SendOptions]) -> MemberReceipt:
        """Send a message, and wait until the server has it on disk. For a guest: until it is delivered (rule 11.6).

        While the connection is lost, the message waits in the outbox. The call can be cancelled safely: a message that
        was not sent yet is taken out of the outbox; one that was sent is delivered once, or not at all.

        Args:
            recipient: a user's name, a room's name, or `ALL` for every user who is connected.
            body: the message. Text is sent as UTF-8.
            **options: further properties of the message; see `SendOptions`.

        Returns:
            The receipt, which follows the message.

        Raises:
            NotDelivered: the recipient does not have the message, and will not get it.
            OutboxError: the outbox on disk cannot be written; the message is not sent.
            TwotickError: the client has ended. A message in an outbox on disk is sent when the outbox is opened again.
            ValueError: an option is not well formed.
        """
        receipt = await self.queue(recipient, body, **options)
        try:
            return await receipt.accepted()
        except asyncio.CancelledError:
            self._session.sender.withdraw(receipt)
            raise

    async def queue(self, recipient: str, body: str | bytes, **options: Unpack[SendOptions]) -> MemberReceipt:
        """Put a message into the outbox, and return without waiting for the server.

        Args:
            recipient: a user's name, a room's name, or `ALL` for every user who is connected.
            body: the message. Text is sent as UTF-8.
            **options: further properties of the message; see `SendOptions`.

        Returns:
            The receipt, which follows the message. If the outbox is on disk, the message is stored there.

        Raises:
            NotDelivered: the message cannot be delivered: the recipient's name is not well formed, or the message is
                too large.
            OutboxError: the outbox on disk cannot be written; the message is not sent.
            TwotickError: the client has ended.
            ValueError: an option is not well formed.
        """
        self._session.check(device_only=False)
        name = recipient.encode(errors="replace")
        if not is_name(name) and not is_room(name) and name.upper() != b"ALL":
            raise NotDelivered(f"{recipient!r} is not a valid name")
        expires, ident = options.get("expires"), options.get("id")
        if expires is not None and not 0 < expires < _LONGEST_EXPIRY:
            raise ValueError(
                f"a message cannot expire after {expires} s: give a number between 0 and {_LONGEST_EXPIRY:g}"
            )
        if ident is not None:
            encode_id(ident)
        delay = options.get("delay")
        if delay is not None and not 0 <= delay <= LONGEST_HOLD:
            raise ValueError(f"a message cannot be held back for {delay} s: give a number up to {LONGEST_HOLD:g}")
        lines = header_lines(options)
        content = body.encode() if isinstance(body, str) else body
        return await self._session.sender.queue(recipient, content, lines, expires=expires, ident=ident, delay=delay)

    def withdraw(self, receipt: MemberReceipt) -> bool:
        """Take a message out of the outbox, unless it may have been sent already.

        Args:
            receipt: the receipt that `queue` returned.

        Returns:
            Whether the message will not be sent. If so, callers that wait for the receipt get a `NotDelivered`.
        """
        return self._session.sender.withdraw(receipt)

    async def edit(self, recipient: str, ident: str, text: str) -> MemberReceipt:
        """Replace the text of one of the member's own messages, and wait as `send` does (rule 13.1).

        Args:
            recipient: the user or room that the message was sent to.
            ident: the message's Id.
            text: the new text.

        Returns:
            The receipt of the edit.

        Raises:
            NotDelivered: there is no such message, or it is not the member's own.
            TwotickError: see `send`.
        """
        return await self.send(recipient, text, edits=ident)

    async def delete(
        self, recipient: str, ident: str, sender: str | None = None, *, delay: float | None = None
    ) -> MemberReceipt:
        """Delete a message, and wait as `send` does. The server removes its text and its file (rule 13.3).

        Args:
            recipient: the user or room that the message was sent to.
            ident: the message's Id.
            sender: the user who sent it; None for the member. Moderators and the owner of a room can delete the
                messages of others.
            delay: the number of seconds for which the deletion is held back and can be undone; see `SendOptions`. None
                for none.

        Returns:
            The receipt of the deletion.

        Raises:
            NotDelivered: there is no such message, or the member may not delete it.
            TwotickError: see `send`.
        """
        return await self.send(recipient, "", deletes=(sender or "", ident), delay=delay)

    async def react(self, recipient: str, ident: str, text: str, sender: str | None = None) -> MemberReceipt:
        """React to a message, and wait as `send` does (rule 13.1).

        Args:
            recipient: the user or room of the conversation.
            ident: the Id of the message.
            text: the reaction, at most 64 bytes of UTF-8, such as an emoji. Empty to take the reaction back.
            sender: the user who sent the message; None for the member.

        Returns:
            The receipt of the reaction.

        Raises:
            NotDelivered: the recipient does not have the reaction, and will not get it.
            TwotickError: see `send`.
            ValueError: `text` is too long.
        """
        size = len(text.encode(errors="replace"))
        if size > _LONGEST_REACTION:
            raise ValueError(f"the reaction has {size} bytes, and {_LONGEST_REACTION} is the limit")
        return await self.send(recipient, text, reacts_to=(sender or "", ident))

    async def forward(self, message: MemberMessage, recipient: str) -> MemberReceipt:
        """Send a message on to another user or room, and wait as `send` does (rule 13.10).

        The server takes the text and the file from the message, and tells the recipient who wrote it.

        Args:
            message: the message.
            recipient: a member or a room.

        Returns:
            The receipt of the message that sends it on.

        Raises:
            NotDelivered: the member may not read the message any more, it is deleted, its file is gone, or the
                recipient is a guest.
            TwotickError: see `send`.
            ValueError: the message has no Id.
        """
        return await self.send(recipient, "", forwards=(message.sender, message.id))

    async def pin(self, recipient: str, ident: str, sender: str | None = None) -> MemberReceipt:
        """Pin a message in its conversation, for all who are in it, and wait as `send` does (rule 13.7).

        Args:
            recipient: the user or room of the conversation.
            ident: the Id of the message.
            sender: the user who sent the message; None for the member.

        Returns:
            The receipt of the message that pins it.

        Raises:
            NotDelivered: there is no such message, the member may not pin it, or too many are pinned.
            TwotickError: see `send`.
        """
        return await self.send(recipient, "", pins=(sender or "", ident))

    async def unpin(self, recipient: str, ident: str, sender: str | None = None) -> MemberReceipt:
        """Unpin a message, for all who are in the conversation; arguments, result and errors are those of `pin`."""
        return await self.send(recipient, "", unpins=(sender or "", ident))

    @property
    def outbox(self) -> list[MemberReceipt]:
        """The receipts of the messages that the server has not accepted yet, in the order in which they were sent."""
        return [message.receipt for message in self._session.outbox.messages.values()]

    # Receiving

    async def next_entry(self) -> Entry:
        """Wait for the next of what `entries` yields, and do not acknowledge it.

        So a program can work on several messages at once. It calls `ack` for each entry; the call can be cancelled.

        Raises:
            TwotickError: the client has ended.
        """
        inbox = self._session.inbox
        while True:
            self._session.check(device_only=True)
            if (entry := inbox.take()) is not None:
                return entry
            inbox.arrived.clear()
            await inbox.arrived.wait()

    async def receive(self) -> MemberMessage:
        """Wait for the next message.

        Everything else that comes before it is acknowledged and skipped: edits, deletions and reactions (rule 13.1),
        what happens in rooms (rule 12.8), and the states of messages. Use `entries` to receive these as well.

        Returns:
            The message. Call its `ack`, `reject` or `read`: later messages are acknowledged only after that, and the
            server sends at most `window` entries without an acknowledgement.

        Raises:
            TwotickError: the client has ended.
        """
        while True:
            entry = await self.next_entry()
            if isinstance(entry, MemberMessage) and entry.is_news:
                return entry
            await entry.ack()

    async def entries(self) -> AsyncGenerator[Entry, None]:
        """Yield everything that comes, and acknowledge each entry when the next one is taken.

        These are messages, messages from the member's other devices (`MemberMessage.outgoing`), edits, deletions and
        reactions, what happens in rooms (`MemberMessage.event`), the states of messages that this client has not sent
        (`ReceiptEvent`, `ProgressEvent`), and what the member has read on other devices (`ReadEvent`). After a call of
        `status`, they are also the presence of others (`StatusEvent`) and who is typing (`TypingEvent`); after one of
        `profiles` or `set_profile`, changed profiles (`ProfileEvent`); and after
        `rooms(guests=True)`, guests who come to rooms or go (`RoomGuestEvent`).

        The iteration ends when the client is closed.

        Raises:
            TwotickError: the client has ended for another reason than `close`.
        """
        while True:
            try:
                entry = await self.next_entry()
            except ConnectionLost:
                if self._closed:
                    return
                raise
            yield entry
            if not self._closed:
                await entry.ack()

    async def __aiter__(self) -> AsyncGenerator[MemberMessage, None]:
        """Yield messages as they come, and acknowledge each when the next one is taken.

        Everything that `receive` skips is skipped here as well. The iteration ends when the client is closed.
        """
        async with contextlib.aclosing(self.entries()) as entries:
            async for entry in entries:
                if isinstance(entry, MemberMessage) and entry.is_news:
                    yield entry

    async def mark_read(self, sender: str, seq: int) -> None:
        """Mark a conversation as read up to a message (rules 11.8 and 12.9).

        Does the same as `MemberMessage.read`, for programs that have kept the number of the message, but does not
        acknowledge the message. Does nothing if the conversation is marked up to there already. If the connection is
        lost, the server learns of it on the next one.

        Args:
            sender: the user or room of the conversation.
            seq: the number, in the member's log, of the last message that was read.

        Raises:
            TwotickError: the client has ended.
        """
        await self._session.mark_read(sender, seq)

    # Leaving

    async def close(self) -> None:
        """Disconnect and close the outbox.

        Messages that wait in an outbox on disk are sent when the outbox is opened again. Others are not sent.

        Raises:
            OutboxError: the outbox on disk cannot be written.
        """
        self._closed = True
        closing = asyncio.ensure_future(self._session.close())
        try:
            await asyncio.shield(closing)
        except asyncio.CancelledError:
            await asyncio.gather(closing, return_exceptions=True)  # or the file of the outbox would stay in use
            raise

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
