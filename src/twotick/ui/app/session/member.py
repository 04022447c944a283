"""The session of a member: the log, history, the outbox, and a connection that is reopened whenever it is lost.

The app is a device of its own (`laptop/chat`), so the server sends it every entry of the log that it does not have, and
no other program receives them instead. An entry is acknowledged when it is in the local store. Messages that are older
than the device, or that are missing for any other reason, come from history: at each start, the session requests the
newest messages, back to the newest one in the local store. This also updates the delivery states. The session requests
the number of unread messages, and the state of conversations and rooms, after each connection.

A message that the user sends goes, with its Id, into the local store and from there to the outbox. After a restart, the
session queues all messages again that the server has not answered. Because of the Id, the server accepts each of them
only once (rule 11.7). If it had accepted a message already, but its answer was lost with the connection, the second
answer gives no place. The session then takes the place from history.
"""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from twotick.client import (
    ConnectionLost,
    MemberMessage,
    NotDelivered,
    OutboxError,
    RequestRefused,
    State,
    TooManyRequests,
    TwotickError,
)
from twotick.client.member.events import Presence as ClientPresence
from twotick.client.member.messages import FileInfo
from twotick.client.trust.tokens import Credential
from twotick.ui.app.model.conversations import ConversationKind, LocalConversation, UserPresence
from twotick.ui.app.model.messages import Attachment, ChangeKind, LocalMessage, MessageChange, TransferProgress
from twotick.ui.app.session.base import HELD
from twotick.ui.app.session.incoming import EVERYONE, EntryHandler
from twotick.ui.app.session.permissions import Permission, is_allowed
from twotick.ui.app.session.repository import DeliveryUpdate
from twotick.ui.app.session.requests import MemberRequests, readable_errors
from twotick.ui.app.storage.salvage import set_aside
from twotick.ui.app.storage.store import LocalStore
from twotick.ui.people import UserProfile
from twotick.ui.tasks import together, until_well_formed
from twotick.ui.texts import t
from twotick.wire import is_name

if TYPE_CHECKING:
    from twotick.client import MemberClient, MemberReceipt, SendOptions

_T = TypeVar("_T")

_DEVICE = "chat"
"""The suffix of the device's name."""

_HISTORY_PAGE = 500
"""Messages of the history that are requested at a time."""

_MAX_MISSING = 5000
"""Missing messages that are fetched at the start. If there are more, the stored ones are deleted, and messages are
loaded again as the user scrolls."""

_REFRESH_PAUSE = 1.0
"""Seconds between two requests for the state of conversations and rooms."""

_TYPING_PAUSE = 3.0
"""Seconds between two reports that the user is typing (rule 15.3)."""

_LAST_WAIT = 3.0
"""Seconds for which the app waits at its end until the server has deleted what the user has deleted."""

_MAX_REACTION = 64
"""Bytes of a reaction (rule 13.1)."""

_MAX_FILE_SIZE = 100 << 20
"""Bytes of a file (rule 16.5)."""


class MemberSession(MemberRequests):
    """A member at one server.

    Args:
        credential: the login of the member.
        folder: the folder for the user's data.
        max_body: the maximum size of a message in bytes, until the server says what it accepts.

    Attributes:
        held_for: how many seconds a deletion is held back, in which it can be undone.
    """

    is_member = True

    def __init__(self, credential: Credential, folder: Path, max_body: int) -> None:
        super().__init__(credential.name, credential.server, LocalStore(folder / "chat.db"), max_body)
        self._credential = credential
        self._outbox = folder / "outbox.db"
        self._client: MemberClient | None = None
        self._ready = asyncio.Event()  # set when there is a client, and when the session has ended
        self._tasks: set[asyncio.Task[None]] = set()
        self._refresh_needed = asyncio.Event()  # for conversations, rooms and places
        self._resent: set[LocalMessage] = set()  # the server may have accepted them on an earlier connection
        self._unplaced: set[LocalMessage] = set()  # the server accepted them, but did not give their places
        self._caught_up = False
        self._at_keyboard = True
        self._wanted_visible: bool | None = None
        self._presence_task: asyncio.Task[None] | None = None
        self._met: set[str] = set()  # whose presence was requested when they wrote
        self._typing_reported: dict[str, float] = {}  # by conversation, on the monotonic clock
        self._uploads: asyncio.Queue[LocalMessage] = asyncio.Queue()
        self.held_for = HELD
        self._receipts: dict[LocalMessage, MemberReceipt] = {}  # of what is in the outbox
        self._held: dict[LocalMessage, asyncio.TimerHandle] = {}  # deletions that can be undone
        self._one_settled = asyncio.Event()  # set when the server has answered a message or a change
        self._entries = EntryHandler(self._repository, self._message_arrived, self._refresh_needed.set)

    async def _run(self) -> None:
        from twotick.client import join  # imported late: the stored messages are shown first

        self._ready.clear()
        self._unsent, self._uploads = asyncio.Queue(), asyncio.Queue()
        for message in self._repository.waiting:
            if message not in self._held:
                self._unsent.put_nowait(message)
        self._resent, self._unplaced = set(self._repository.waiting), set()
        try:
            async with (
                join(
                    self._credential.name,
                    self._credential.server,
                    token=self._credential.token,
                    device=f"{self._credential.device}/{_DEVICE}",
                    outbox=self._outbox,
                    wait_for_server=True,
                    on_connection=self._connection_changed,
                ) as client,
                together() as group,
            ):
                self._client = client
                self._ready.set()
                group.create_task(self._synchronize(client))
                self._update_presence()
                group.create_task(self._request_profiles(client))
                group.create_task(self._send_all(client, group))
                group.create_task(self._upload_all(client, group))
                async for entry in client.entries():
                    self._entries.handle(entry)
        except OutboxError as error:
            self._set_damaged_outbox_aside(error)
            raise
        finally:
            self._client = None
            self._ready.set()
            self._entries.close()
            for task in self._tasks:
                task.cancel()

    def _message_arrived(self, message: LocalMessage) -> None:
        """Report a message, and request the sender's presence if it is not known: the server tells only of changes."""
        key = message.conversation
        if not key.startswith("#") and key not in self._met and self.conversations.presence(key) is None:
            self._met.add(key)
            self._update_presence()
            if self._client is not None:
                self._spawn(self._request_profile(self._client, message.sender))
        self.on_message(message)

    def _set_damaged_outbox_aside(self, error: OutboxError) -> None:
        """Let the next attempt make a new outbox if it is damaged. All that waits is in the local store too."""
        code = getattr(error.__cause__, "sqlite_errorcode", None)
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            with readable_errors():
                set_aside(self._outbox)

    def _connection_changed(self, problem: TwotickError | None) -> None:
        if problem is None:
            self._refresh_needed.set()
        else:
            self._resent.update(self._repository.waiting)
        self._set_connection(problem)

    def open(self, name: str) -> LocalConversation:
        """See `ChatSession`."""
        known = self.conversations.find(name)
        if known is not None and known.closed and self._client is not None:
            self._spawn(self._open_again(self._client, known.name))
        return super().open(name)

    async def _open_again(self, client: "MemberClient", name: str) -> None:
        with contextlib.suppress(RequestRefused, TooManyRequests):
            await client.set_conversation(name, closed=False)

    async def _server(self) -> "MemberClient":
        await self._ready.wait()
        if self._client is None:
            raise self.problem or ConnectionLost(t("there is no connection; Ctrl+R connects again"))
        return self._client

    def can(
        self, permission: Permission, conversation: LocalConversation | None = None, message: LocalMessage | None = None
    ) -> bool:
        """Return whether the member has a permission. See `ChatSession`."""
        return is_allowed(self.name, permission, conversation, message)

    # What the user sends

    def edit(self, message: LocalMessage, text: str) -> None:
        """See `ChatSession`."""
        self._change(ChangeKind.EDIT, message, text)

    def delete(self, message: LocalMessage) -> None:
        """See `ChatSession`."""
        change = self._compose_change(ChangeKind.DELETE, message, "")
        self._repository.enqueue(change)
        self._held[change] = asyncio.get_running_loop().call_later(self.held_for, self._send_held, change)

    def _send_held(self, change: LocalMessage) -> None:
        """Send a deletion that was held back."""
        self._held.pop(change).cancel()
        self._unsent.put_nowait(change)

    def _is_on_its_way(self, message: LocalMessage) -> bool:
        receipt = self._receipts.get(message)
        return receipt is not None and (self._client is None or not self._client.withdraw(receipt))

    @property
    def can_undo(self) -> bool:
        """See `ChatSession`."""
        return bool(self._held)

    def undo_deletion(self) -> bool:
        """See `ChatSession`."""
        if not self._held:
            return False
        change, timer = self._held.popitem()
        timer.cancel()
        self._repository.withdraw(change)
        self.on_connection()
        return True

    async def send_deletions(self) -> None:
        """See `ChatSession`."""
        held = list(self._held)
        for change in held:
            self._send_held(change)
        if held and self.connected:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LAST_WAIT):
                    await self._settled_all(held)

    async def _settled_all(self, changes: list[LocalMessage]) -> None:
        """Wait until the server has answered all these changes."""
        while any(each in self._repository.waiting for each in changes):
            self._one_settled = asyncio.Event()
            await self._one_settled.wait()

    def _settle(self, message: LocalMessage, update: DeliveryUpdate) -> None:
        super()._settle(message, update)
        self._one_settled.set()

    def react(self, message: LocalMessage, text: str) -> None:
        """See `ChatSession`."""
        if len(text.encode("utf-8", "replace")) > _MAX_REACTION:
            raise TwotickError(t("a reaction can have at most {most} bytes; choose a shorter one", most=_MAX_REACTION))
        self._change(ChangeKind.REACT, message, text)

    def _change(self, action: ChangeKind, message: LocalMessage, text: str) -> None:
        change = self._compose_change(action, message, text)
        self._repository.enqueue(change)
        self._unsent.put_nowait(change)

    def _compose_change(self, action: ChangeKind, message: LocalMessage, text: str) -> LocalMessage:
        change = self._compose(message.conversation, text, None)
        change.change = MessageChange(action, message.sender, message.id, False if message.outgoing else None)
        return change

    def send_file(
        self, conversation: LocalConversation, path: Path, caption: str = "", reply_to: LocalMessage | None = None
    ) -> LocalMessage:
        """See `ChatSession`."""
        with readable_errors():
            path = path.resolve(strict=True)
            size = path.stat().st_size
            if not path.is_file():
                raise TwotickError(t("{name} is not a regular file; choose another one", name=path.name))
            if size > _MAX_FILE_SIZE:
                raise TwotickError(
                    t(
                        "{name} is too large: {size} MiB of at most {most} MiB",
                        name=path.name,
                        size=size >> 20,
                        most=_MAX_FILE_SIZE >> 20,
                    )
                )
        message = self._compose(conversation.key, caption, reply_to)
        message.path, message.file = path, Attachment("", path.name, size, "")
        self._repository.enqueue(message)
        self._unsent.put_nowait(message)
        return message

    async def forward(self, message: LocalMessage, conversation: LocalConversation) -> str:
        """See `ChatSession`."""
        if not self.connected:
            self._forward_later(message, conversation)
            return ""
        client = await self._server()
        try:
            with readable_errors():
                receipt = await client.send(conversation.name, "", forwards=(message.sender, message.id))
        except NotDelivered as error:
            return str(error)
        # Only history has the text and the file as they were sent on: the file has another key (rule 13.11).
        await self._find_in_history(client, {receipt.id})
        sent = self.store.find_sent(receipt.id)
        if sent is not None:
            self._spawn(self._follow(self._repository.shared(sent), receipt))
        return ""

    def _forward_later(self, message: LocalMessage, conversation: LocalConversation) -> None:
        """Queue a message to forward until there is a connection, as other messages are queued."""
        copy = self._compose(conversation.key, message.text, None)
        copy.forwards, copy.file = (message.sender, message.id), message.file
        copy.forwarded_from = message.forwarded_from or message.sender
        self._repository.enqueue(copy)
        self._unsent.put_nowait(copy)

    async def _take_forwarded_file(self, message: LocalMessage) -> None:
        """Take the file of a forwarded message from history: as it was sent on, it has another key (rule 13.11)."""
        client, kept = self._client, self._repository.shared(message).file
        if client is None or kept is None or message.forwards is None:
            return
        name = self._repository.conversation(message.conversation).name
        with contextlib.suppress(RequestRefused, TooManyRequests):  # the file of the original can be saved
            for entry in await self._patiently(partial(client.history, name, limit=_HISTORY_PAGE)):
                if entry.outgoing and entry.id == message.id and entry.file is not None:
                    kept = kept._replace(key=entry.file.key)
        message = self._repository.shared(message)  # the conversation may have been opened meanwhile
        message.file = kept
        message.forwards = None
        self.store.update_attachment(message)

    # Sending

    async def _send_all(self, client: "MemberClient", group: asyncio.TaskGroup) -> None:
        while True:
            message = await self._unsent.get()
            if message not in self._repository.waiting:
                continue  # it was cancelled
            if message.file is not None and not message.file.key:
                self._uploads.put_nowait(message)  # later messages do not wait for the upload
            else:
                await self._queue(client, group, message)

    async def _upload_all(self, client: "MemberClient", group: asyncio.TaskGroup) -> None:
        while True:
            message = await self._uploads.get()
            try:
                with readable_errors():
                    await self._upload(client, message)
            except TwotickError as error:
                if isinstance(error, ConnectionLost):
                    raise  # the upload is repeated at the next start
                self._settle(message, DeliveryUpdate(State.FAILED, reason=str(error)))
            else:
                if message in self._repository.waiting:  # it was not cancelled
                    await self._queue(client, group, message)

    async def _upload(self, client: "MemberClient", message: LocalMessage) -> None:
        if message.path is None or message.file is None:
            raise TwotickError(t("the path of the file is unknown; send the file again"))
        name = message.file.name
        try:
            file = await client.upload(
                message.path,
                name=name,
                progress=lambda done, total: self._set_progress(message, TransferProgress(done, total)),
            )
        finally:
            self._set_progress(message, None)
        message.file = Attachment(file.key, file.name, file.size, file.hash)
        self.store.update_attachment(message)

    async def _queue(self, client: "MemberClient", group: asyncio.TaskGroup, message: LocalMessage) -> None:
        stored = self.store.reload(message) or message  # without waiting changes, which are sent after it
        try:
            with readable_errors():
                name = self._repository.conversation(message.conversation).name
                text = stored.text if stored.forwards is None else ""
                receipt = await client.queue(name, text, **self._options(stored))
                self._receipts[message] = receipt
        except OutboxError:
            raise  # the message stays in the local store
        except (NotDelivered, RequestRefused) as error:
            self._settle(message, DeliveryUpdate(State.FAILED, reason=str(error)))
        else:
            group.create_task(self._follow(message, receipt))

    def _options(self, message: LocalMessage) -> "SendOptions":
        """Return the options with which a message is sent."""
        if message.forwards is not None:
            return {"id": message.id, "forwards": message.forwards}
        options: SendOptions = {"id": message.id, "reply_to": message.reply_to}
        if self._repository.conversation(message.conversation).kind is ConversationKind.EVERYONE:
            options["headers"] = {EVERYONE: "ALL"}
        if message.file is not None:
            options["file"] = FileInfo(*message.file)
        if (change := message.change) is not None:
            mine = change.sender.lower() == self.name.lower()
            about = ("" if mine else change.sender, change.id)
            match change.kind:
                case ChangeKind.EDIT:
                    options["edits"] = change.id
                case ChangeKind.DELETE:
                    options["deletes"] = about
                case ChangeKind.REACT:
                    options["reacts_to"] = about
        return options

    async def _follow(self, message: LocalMessage, receipt: "MemberReceipt") -> None:
        """Record the delivery states of a message as they arrive."""
        try:
            await receipt.accepted()
            if message.change is not None and message in self._resent and not (receipt.seq or receipt.place):
                self._unplaced.add(message)  # of two edits, the one with the higher place counts
                self._refresh_needed.set()
                return
            self._settle(message, DeliveryUpdate(receipt.state, receipt.seq, receipt.place, time=receipt.time))
            if message.change is not None:
                return
            await self._take_forwarded_file(message)
            if message in self._resent and not message.has_place:
                self._unplaced.add(message)
                self._refresh_needed.set()
            async for have, of in receipt.progress():
                self._repository.progress(message, have, of)
            await receipt.delivered()
            self._settle(message, DeliveryUpdate(receipt.state, receipt.seq, receipt.place))
            if not message.conversation.startswith("#"):
                await receipt.read()
                self._settle(message, DeliveryUpdate(receipt.state, receipt.seq))
        except NotDelivered as error:
            self._settle(message, DeliveryUpdate(State.FAILED, receipt.seq, receipt.place, str(error)))
        finally:
            self._receipts.pop(message, None)
            self._resent.discard(message)

    # Synchronizing with the server

    async def _synchronize(self, client: "MemberClient") -> None:
        """Fetch what is missing, and then refresh conversations, rooms and places whenever this is needed."""
        await self._refresh(client)
        await self._catch_up(client)
        self._caught_up = True
        self._refresh_needed.clear()
        await self._find_places(client)
        while True:
            await self._refresh_needed.wait()
            self._refresh_needed.clear()
            await self._refresh(client)
            await self._find_places(client)
            await asyncio.sleep(_REFRESH_PAUSE)

    async def _patiently(self, ask: Callable[[], Awaitable[_T]]) -> _T:
        """Repeat a request until its answer is not malformed (rule 9.11), and let the user know."""
        return await until_well_formed(ask, lambda problem: self.on_refusal(f"{problem}; the app asks again"))

    async def _refresh(self, client: "MemberClient") -> None:
        """Request the state of conversations and rooms, and the number of unread messages."""
        with contextlib.suppress(RequestRefused, TooManyRequests):  # the known state stays
            listed = await self._patiently(client.conversations)
            self._entries.update_conversations(listed, reorder=not self._caught_up)
            self.max_body = client.max_body
            for each in await self._patiently(partial(client.rooms, guests=True)):
                self._update_room(each)
                if each.guests:
                    self._entries.note_visits(each.name)

    async def _catch_up(self, client: "MemberClient") -> None:
        """Fetch missing messages from history, back to the newest one in the local store."""
        known = self.store.newest_seq()
        before: int | None = None
        missing = 0
        shown: list[LocalConversation] = []
        while True:
            try:
                page = await self._patiently(partial(client.history, before=before, limit=_HISTORY_PAGE))
            except RequestRefused:
                return  # the server has no history; only new messages will be shown
            missing += len(page)
            if known and (missing > _MAX_MISSING or self._contradicts(page)):
                shown = [each for each in self.conversations if each.messages]
                self._repository.forget_messages()
                await self._refresh(client)
                known = 0
            self._entries.handle_history(page)
            if not known or not page or page[0].seq <= known:
                break
            before = page[0].seq
        for conversation in shown:
            self._repository.load(conversation)
        for name, seq in self.store.unreported_reads():
            self._report_read(name, seq)

    async def _find_places(self, client: "MemberClient") -> None:
        """Take the places of messages and changes from history that the server accepted without giving their places."""
        unplaced = list(self._unplaced)
        self._unplaced.clear()
        await self._find_in_history(client, {each.id for each in unplaced if not each.has_place})
        for each in unplaced:
            if each.change is not None and each in self._repository.waiting:  # it is too far back
                self._settle(each, DeliveryUpdate(State.ACCEPTED))
        if unplaced:
            self.on_connection()  # fewer may be waiting

    async def _find_in_history(self, client: "MemberClient", wanted: set[str]) -> None:
        """Handle the messages and changes of the user with these Ids, as far as history has them."""
        before: int | None = None
        for _ in range(_MAX_MISSING // _HISTORY_PAGE):
            if not wanted:
                return
            try:
                page = await self._patiently(partial(client.history, before=before, limit=_HISTORY_PAGE))
            except (RequestRefused, TooManyRequests):
                return  # the messages stay where they are until the next start
            # Received messages are left out: they come from the log, which also notifies the user of them.
            found = [each for each in page if each.outgoing and each.id in wanted]
            self._entries.handle_history(found)
            wanted.difference_update(each.id for each in found)
            if not page:
                return
            before = page[0].seq

    def _contradicts(self, page: Iterable[MemberMessage]) -> bool:
        """Return whether the server's log was replaced, so that a number means another message than in the store."""
        for entry in page:
            stored = self.store.find_by_seq(entry.seq)
            if stored is not None and (stored.id, stored.sender.lower()) != (entry.id, entry.sender.lower()):
                return True
        return False

    async def _fetch_older(self, conversation: LocalConversation) -> None:
        if self.connected:
            await super()._fetch_older(conversation)

    def _newest_seq(self, conversation: LocalConversation) -> int:
        newest = super()._newest_seq(conversation)
        return max(newest, conversation.counted) if self._caught_up else newest

    def _report_read(self, name: str, seq: int) -> None:
        if self._client is not None:
            self._spawn(self._client.mark_read(name, seq))

    # Presence

    def set_presence(self, here: bool) -> None:
        """See `ChatSession`."""
        if here is not self._at_keyboard:
            self._at_keyboard = here
            self._update_presence()

    def set_visible(self, visible: bool) -> None:
        """See `ChatSession`."""
        self.visible = self._wanted_visible = visible
        self._update_presence()

    def _update_presence(self) -> None:
        """Report the user's presence, and request that of others. The server reports changes from then on."""
        if self._presence_task is not None:
            self._presence_task.cancel()
        if self._client is not None:
            self._presence_task = self._spawn(self._report_presence(self._client))

    async def _report_presence(self, client: "MemberClient") -> None:
        state = ClientPresence.HERE if self._at_keyboard else ClientPresence.AWAY
        with contextlib.suppress(RequestRefused, TooManyRequests):
            found = await self._patiently(partial(client.status, state, shown=self._wanted_visible))
            self.visible = found.shown
            for each in found.users:
                if is_name(each.name.encode(errors="replace")):
                    self.conversations.set_presence(each.name, UserPresence(each.state.value, each.since))

    async def _request_profiles(self, client: "MemberClient") -> None:
        """Request the profiles of others. The server reports changes from then on. An old server has no profiles."""
        with contextlib.suppress(RequestRefused, TooManyRequests):
            found = await self._patiently(client.profiles)
            self.conversations.set_profile(self.name, UserProfile(found.display, found.status))
            for each in found.users:
                self.conversations.set_profile(each.name, UserProfile(each.display, each.status))

    async def _request_profile(self, client: "MemberClient", name: str) -> None:
        with contextlib.suppress(RequestRefused, TooManyRequests):
            found = await self._patiently(partial(client.profile, name))
            self.conversations.set_profile(name, UserProfile(found.display, found.status))

    def typing(self, conversation: LocalConversation) -> None:
        """See `ChatSession`."""
        key, when = conversation.key, time.monotonic()
        told = self._typing_reported.get(key, when - _TYPING_PAUSE)
        quiet = conversation.kind is ConversationKind.EVERYONE or conversation.left or conversation.blocked
        if self._client is not None and self.connected and not quiet and when - told >= _TYPING_PAUSE:
            self._typing_reported[key] = when
            self._spawn(self._client.typing(conversation.name))

    def _spawn(self, request: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a request in the background. No other task waits for its result."""
        task = asyncio.create_task(request)
        self._tasks.add(task)
        task.add_done_callback(self._background_done)
        return task

    def _background_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, TwotickError):
            raise error  # a TwotickError ends `run` as well
