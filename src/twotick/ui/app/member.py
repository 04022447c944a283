"""A member's session: the log, history, the outbox, and a connection that comes back by itself.

Theory of operation. The app is a device of its own (`laptop/chat`), so that the server gives it every entry of the log
that it does not have, and no other program takes them away. An entry is acknowledged once it is in the local store.
What is older than the device, and what may be missing here for any other reason, comes from history: at each start
the newest messages are asked for, back to the newest that is here, which also brings ticks up to date.

A message goes from the local store, where it is kept with what was typed, to the outbox, which gives it its Id.
"""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from twotick.client import (
    Entry,
    MemberClient,
    MemberMessage,
    MemberReceipt,
    NotDelivered,
    ReadEvent,
    ReceiptEvent,
    RequestRefused,
    State,
    TwotickError,
    join,
)
from twotick.client.credentials import Credential
from twotick.ui.app.model import WAITING, Conversation, Kind, Message, now
from twotick.ui.app.session import PAGE, Deed, Session
from twotick.ui.app.store import LocalStore
from twotick.ui.tasks import together

_DEVICE = "chat"
"""What is added to the device's name."""

_OWNER = "owner"
_MODERATORS = ("owner", "moderator")

_HISTORY_PAGE = 500
"""Messages of the history that are asked for at once."""

_MOST_MISSING = 5000
"""Messages that may be missing here; with more, those that are here are forgotten, and come again as one looks."""


class MemberSession(Session):
    """A member at one server.

    Args:
        who: the member, and where.
        folder: where all is kept.
        max_body: the longest message until the server says what it takes, in bytes.
    """

    keeps = True

    def __init__(self, who: Credential, folder: Path, max_body: int) -> None:
        super().__init__(who.name, who.server, LocalStore(folder / "chat.db"), max_body)
        self._who = who
        self._outbox = folder / "outbox.db"
        self._me: MemberClient | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def _run(self) -> None:
        self._unsent = asyncio.Queue()  # what it had waits still
        async with (
            join(
                self._who.name,
                self._who.server,
                token=self._who.token,
                device=f"{self._who.device}/{_DEVICE}",
                outbox=self._outbox,
                wait_for_server=True,
                on_connection=self._tell,
            ) as me,
            together() as group,
        ):
            self._me = me
            self._adopt(me, group)
            group.create_task(self._synchronise(me))
            group.create_task(self._send_all(me, group))
            async for entry in me.entries():
                self._take(entry)

    def can(self, deed: Deed, conversation: Conversation | None = None, message: Message | None = None) -> bool:
        """Members can do what the server lets them (rules 12.2, 13.1 and 16.3)."""
        if deed in (Deed.SEARCH, Deed.ROOMS, Deed.PRESENCE):
            return True
        if conversation is None:
            return False
        if message is not None:
            return self._can_with(deed, conversation, message)
        kind = conversation.kind
        if kind is Kind.EVERYONE:
            return deed is Deed.SEND
        if deed in (Deed.SEND, Deed.SEND_FILE, Deed.MUTE):
            return not conversation.left
        if kind is Kind.DIRECT:
            return deed in (Deed.BLOCK, Deed.REPORT) and conversation.key != self.name.lower()
        if conversation.left:
            return False
        match deed:
            case Deed.INVITE:
                return conversation.access == "public" or conversation.role in _MODERATORS
            case Deed.REMOVE | Deed.SET_TOPIC:
                return conversation.role in _MODERATORS
            case Deed.APPOINT | Deed.SET_ACCESS:
                return conversation.role == _OWNER
            case _:
                return deed in (Deed.LEAVE, Deed.MEMBERS)

    def _can_with(self, deed: Deed, conversation: Conversation, message: Message) -> bool:
        if message.event is not None or message.deleted is not None:
            return False
        if message.state is State.FAILED:
            return deed is Deed.SEND_AGAIN and self.can(Deed.SEND, conversation)
        kind = conversation.kind
        match deed:
            case Deed.REPLY:
                return bool(message.id) and self.can(Deed.SEND, conversation)
            case Deed.REACT | Deed.EDIT | Deed.DELETE:
                if not message.id or kind is Kind.EVERYONE or message.everyone or conversation.left:
                    return False
                moderated = deed is Deed.DELETE and kind is Kind.ROOM and conversation.role in _MODERATORS
                return deed is Deed.REACT or message.outgoing or moderated
            case Deed.SAVE_FILE:
                return message.file is not None and bool(message.file.key)
            case Deed.RECEIPTS:
                return message.outgoing and bool(message.id) and message.state is not State.QUEUED
            case Deed.REPORT:
                return message.sender.lower() != self.name.lower()
            case _:
                return False

    # What others see

    def typing(self, conversation: Conversation) -> None:
        """See `Session`."""

    def set_presence(self, here: bool) -> None:
        """See `Session`."""

    def set_shown(self, shown: bool) -> None:
        """See `Session`."""

    # Sending

    def _adopt(self, me: MemberClient, group: asyncio.TaskGroup) -> None:
        """Go on with what was typed before this process was started.

        What has no Id yet was to go to the outbox next, in order. The outbox may have it if the process ended then.
        """
        receipts = {receipt.id: receipt for receipt in me.outbox}
        known = {message.id for message in self._waiting}
        strange = [receipt for receipt in me.outbox if receipt.id not in known]
        for message in list(self._waiting):
            name = message.conversation
            receipt = receipts.get(message.id)
            if not message.id:
                receipt = next((each for each in strange if each.recipient.lower() == name), None)
                if receipt is None:
                    self._unsent.put_nowait(message)
                    continue
                strange.remove(receipt)
                message.id = receipt.id
                self.store.change(message)
            if receipt is not None:
                group.create_task(self._follow(message, receipt))

    async def _send_all(self, me: MemberClient, group: asyncio.TaskGroup) -> None:
        while True:
            message = await self._unsent.get()
            try:
                receipt = await me.queue(self.conversations.open(message.conversation).name, message.text)
            except NotDelivered as error:
                self._settled(message, State.FAILED, 0, str(error))
                continue
            message.id = receipt.id
            self.store.change(message)
            group.create_task(self._follow(message, receipt))

    async def _follow(self, message: Message, receipt: MemberReceipt) -> None:
        """Turn a message's ticks as they come."""
        try:
            for reached in (receipt.accepted, receipt.delivered, receipt.read):
                await reached()
                self._settled(message, receipt.state, receipt.seq)
        except NotDelivered as error:
            self._settled(message, State.FAILED, receipt.seq, str(error))

    # What comes

    def _take(self, entry: Entry) -> None:
        match entry:
            case MemberMessage():
                message = self._take_message(entry)
                if message is not None and not message.outgoing:
                    self.on_message(message)
            case ReceiptEvent():
                self._take_receipt(entry)
            case ReadEvent():
                self._take_read(entry)
            case _:
                pass

    def _take_message(self, entry: MemberMessage) -> Message | None:
        """Keep a message, from the log or out of history.

        Returns:
            The message if it is new.
        """
        me = self.name.lower()
        if entry.sender.lower() == me and not entry.outgoing:
            return None  # what one sends to oneself is there already
        peer = (entry.recipient if entry.outgoing else entry.sender).lower()
        state = (entry.state or State.ACCEPTED) if entry.outgoing else None
        message = Message(peer, entry.sender, entry.text, _time(entry), entry.outgoing, (entry.seq, 0), entry.id, state)
        stored = self.store.same(message)
        if stored is None:
            self.conversations.open(entry.recipient if entry.outgoing else entry.sender)
            self._came(message)
            return message
        stored = self._live(stored)
        if stored.place != message.place or (state is not None and state is not stored.state):
            if state is None:
                self.conversations.move(stored, message.place)
                self.store.change(stored)
            else:
                self._settled(stored, state, entry.seq)
        return None

    def _take_receipt(self, event: ReceiptEvent) -> None:
        message = self.store.sent(event.id)
        if message is None:
            return  # it is not here, and comes with its state if somebody looks for it
        message = self._live(message)
        self._settled(message, event.state, 0, event.reason)
        if event.state is State.READ:
            for before in self.store.delivered_before(message.conversation, message.place):
                self._settled(self._live(before), State.READ, 0)

    def _take_read(self, event: ReadEvent) -> None:
        conversation = self.conversations.find(event.sender)
        if conversation is None:
            return
        self.store.set_told(conversation.key, event.up_to)
        if event.up_to > conversation.read:
            conversation.read = event.up_to
            self.conversations.count(conversation, *self.store.unread(conversation.key))

    # History

    async def _synchronise(self, me: MemberClient) -> None:
        """Get what is missing here."""
        known = self.store.newest()
        cursor: int | None = None
        before: int | None = None
        missing = 0
        shown: list[Conversation] = []
        while True:
            try:
                page = await me.history(before=before, limit=_HISTORY_PAGE)
            except RequestRefused:
                return  # the server does not say; what comes from now on is all there is
            if cursor is None:
                cursor = me.cursor
            missing += len(page)
            if known and (self._contradicts(page) or missing > _MOST_MISSING):
                shown = [each for each in self.conversations if each.messages]
                self.store.forget_messages()
                self.conversations.forget_messages()
                known, cursor = 0, me.cursor
            for entry in page:
                self._take_message(entry)
            if not known or not page or page[0].seq <= known:
                break
            before = page[0].seq
        for conversation in shown:
            self._load_stored(conversation)
        if not known:
            # Nobody can know what was read before: what a device of this member's had counts as read.
            for conversation in self.conversations:
                self.store.set_told(conversation.key, cursor)
                conversation.read = max(conversation.read, cursor)
                self.conversations.count(conversation, *self.store.unread(conversation.key))
        self._settle_lost(me)
        for name, seq in self.store.untold():
            self._tell_read(name, seq)

    def _contradicts(self, page: Iterable[MemberMessage]) -> bool:
        """Whether the log is not the one that is known here: a number stands for another message."""
        for entry in page:
            stored = self.store.in_log(entry.seq)
            if stored is not None and (stored.id, stored.sender.lower()) != (entry.id, entry.sender.lower()):
                return True
        return False

    def _settle_lost(self, me: MemberClient) -> None:
        """Find messages that have left the outbox in a process that could not note what became of them."""
        left = {receipt.id for receipt in me.outbox}
        for message in list(self._waiting):
            if message.id and message.id not in left and message.place[0] == WAITING:
                self._settled(message, State.FAILED, 0, "it was sent, but is not in the log of the server")

    async def _fetch_older(self, conversation: Conversation) -> None:
        if self._me is None or not self.connected:
            return
        oldest = self.store.oldest(conversation.key)
        try:
            page = await self._me.history(conversation.name, before=oldest, limit=PAGE)
        except RequestRefused:
            return
        for entry in page:
            self._take_message(entry)
        if len(page) < PAGE:
            conversation.complete = True
            self.store.set_complete(conversation.key)

    def _tell_read(self, name: str, seq: int) -> None:
        if self._me is not None:
            task = asyncio.create_task(self._me.mark_read(name, seq))
            self._tasks.add(task)
            task.add_done_callback(self._told)

    def _told(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, TwotickError):
            raise error  # an ended client tells whoever runs it


def _time(entry: MemberMessage) -> datetime:
    """When a message was sent, if its sender wrote a time that can be."""
    try:
        return (entry.time or now()).astimezone(UTC)
    except (OverflowError, ValueError):
        return now()
