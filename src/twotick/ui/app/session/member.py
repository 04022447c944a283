"""A member's session: the log, history, the outbox, and a connection that comes back by itself.

Theory of operation. The app is a device of its own (`laptop/chat`), so that the server gives it every entry of the log
that it does not have, and no other program takes them away. An entry is acknowledged once it is in the local store.
What is older than the device, and what may be missing here for any other reason, comes from history: at each start
the newest messages are asked for, back to the newest that is here, which also brings ticks up to date. What is unread,
and how conversations and rooms are, is asked for with each connection.

What is typed goes, with its Id, into the local store and from there to the outbox. Whatever of it the server has not
answered for goes there again after a new start: with the same Id, the server takes it once (rule 11.7).
"""

import asyncio
import contextlib
import time
from collections.abc import Coroutine, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from twotick.client.member.events import Presence as Whereabouts
from twotick.client.member.messages import FileInfo
from twotick.client.trust.tokens import Credential
from twotick.ui.app.model.conversations import ConversationKind, LocalConversation, UserPresence
from twotick.ui.app.model.messages import Attachment, ChangeKind, LocalMessage, MessageChange, TransferProgress
from twotick.ui.app.session.base import Permission
from twotick.ui.app.session.incoming import EVERYONE, EntryHandler
from twotick.ui.app.session.permissions import may
from twotick.ui.app.session.requests import MemberRequests, for_people
from twotick.ui.app.storage.store import LocalStore
from twotick.ui.tasks import together
from twotick.wire import is_name

if TYPE_CHECKING:
    from twotick.client import MemberClient, MemberReceipt, SendOptions

_DEVICE = "chat"
"""What is added to the device's name."""

_HISTORY_PAGE = 500
"""Messages of the history that are asked for at once."""

_MOST_MISSING = 5000
"""Messages that may be missing here; with more, those that are here are forgotten, and come again as one looks."""

_LOOK_PAUSE = 1.0
"""Seconds between two questions how conversations and rooms are."""

_TYPING_PAUSE = 3.0
"""Seconds between two messages that the user types (rule 15.3)."""

_LONGEST_REACTION = 64
"""Bytes of a reaction (rule 13.1)."""

_LARGEST_FILE = 100 << 20
"""Bytes of a file (rule 16.5)."""


class MemberSession(MemberRequests):
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
        self._decided = asyncio.Event()  # whether there is one, or will not be one
        self._tasks: set[asyncio.Task[None]] = set()
        self._look = asyncio.Event()  # at how conversations and rooms are
        self._caught_up = False
        self._here = True
        self._wanted_shown: bool | None = None
        self._watching: asyncio.Task[None] | None = None
        self._typed: dict[str, float] = {}  # when others were told last, by conversation, on the monotonic clock
        self._uploads: asyncio.Queue[LocalMessage] = asyncio.Queue()
        self._incoming = EntryHandler(self._book, lambda message: self.on_message(message), self._look.set)

    async def _run(self) -> None:
        from twotick.client import join  # not earlier: what is kept here is to be seen before

        self._decided.clear()
        self._unsent, self._uploads = asyncio.Queue(), asyncio.Queue()
        for message in self._book.waiting:
            self._unsent.put_nowait(message)
        try:
            async with (
                join(
                    self._who.name,
                    self._who.server,
                    token=self._who.token,
                    device=f"{self._who.device}/{_DEVICE}",
                    outbox=self._outbox,
                    wait_for_server=True,
                    on_connection=self._connection,
                ) as me,
                together() as group,
            ):
                self._me = me
                self._decided.set()
                group.create_task(self._keep_up(me))
                self._watch()
                group.create_task(self._send_all(me, group))
                group.create_task(self._upload_all(me, group))
                async for entry in me.entries():
                    self._incoming.take(entry)
        finally:
            self._me = None
            self._decided.set()
            self._incoming.close()
            for task in self._tasks:
                task.cancel()

    def _connection(self, problem: TwotickError | None) -> None:
        if problem is None:
            self._look.set()
        self._tell(problem)

    async def _server(self) -> "MemberClient":
        await self._decided.wait()
        if self._me is None:
            raise self.problem or ConnectionLost("there is no connection")
        return self._me

    def can(
        self, deed: Permission, conversation: LocalConversation | None = None, message: LocalMessage | None = None
    ) -> bool:
        """Members can do what the server lets them."""
        return may(self.name, deed, conversation, message)

    # What is typed

    def edit(self, message: LocalMessage, text: str) -> None:
        """See `Session`."""
        self._change(ChangeKind.EDIT, message, text)

    def delete(self, message: LocalMessage) -> None:
        """See `Session`."""
        self._change(ChangeKind.DELETE, message, "")

    def react(self, message: LocalMessage, text: str) -> None:
        """See `Session`."""
        if len(text.encode("utf-8", "replace")) > _LONGEST_REACTION:
            raise TwotickError(f"a reaction has at most {_LONGEST_REACTION} bytes")
        self._change(ChangeKind.REACT, message, text)

    def _change(self, action: ChangeKind, message: LocalMessage, text: str) -> None:
        change = self._written(message.conversation, text, None)
        change.change = MessageChange(action, message.sender, message.id)
        self._book.wait(change)
        self._unsent.put_nowait(change)

    def send_file(
        self, conversation: LocalConversation, path: Path, caption: str = "", reply_to: LocalMessage | None = None
    ) -> LocalMessage:
        """See `Session`."""
        with for_people():
            path = path.resolve(strict=True)
            size = path.stat().st_size
            if not path.is_file():
                raise TwotickError(f"{path.name} is no file with content")
            if size > _LARGEST_FILE:
                raise TwotickError(f"{path.name} has {size >> 20} MiB, and {_LARGEST_FILE >> 20} are the limit")
        message = self._written(conversation.key, caption, reply_to)
        message.path, message.file = path, Attachment("", path.name, size, "")
        self._book.wait(message)
        self._unsent.put_nowait(message)
        return message

    # Sending

    async def _send_all(self, me: "MemberClient", group: asyncio.TaskGroup) -> None:
        while True:
            message = await self._unsent.get()
            if message.file is not None and not message.file.key:
                self._uploads.put_nowait(message)  # what is typed meanwhile does not wait for it
            else:
                await self._queue(me, group, message)

    async def _upload_all(self, me: "MemberClient", group: asyncio.TaskGroup) -> None:
        while True:
            message = await self._uploads.get()
            try:
                with for_people():
                    await self._upload(me, message)
            except TwotickError as error:
                if isinstance(error, ConnectionLost):
                    raise  # it goes on when the program is started again
                self._settled(message, State.FAILED, reason=str(error))
            else:
                await self._queue(me, group, message)

    async def _upload(self, me: "MemberClient", message: LocalMessage) -> None:
        if message.path is None or message.file is None:
            raise TwotickError("it is not known any more where the file is")
        name = message.file.name
        try:
            file = await me.upload(
                message.path,
                name=name,
                progress=lambda done, total: self._transferred(message, TransferProgress(done, total)),
            )
        finally:
            self._transferred(message, None)
        message.file = Attachment(file.key, file.name, file.size, file.hash)
        self.store.update_attachment(message)

    async def _queue(self, me: "MemberClient", group: asyncio.TaskGroup, message: LocalMessage) -> None:
        typed = self.store.reload(message) or message  # without changes that go out after it
        try:
            with for_people():
                name = self._book.conversation(message.conversation).name
                receipt = await me.queue(name, typed.text, **self._options(typed))
        except OutboxError:
            raise  # it waits here
        except (NotDelivered, RequestRefused) as error:
            self._settled(message, State.FAILED, reason=str(error))
        else:
            group.create_task(self._follow(message, receipt))

    def _options(self, message: LocalMessage) -> "SendOptions":
        """How a message is sent."""
        options: SendOptions = {"id": message.id, "reply_to": message.reply_to}
        if self._book.conversation(message.conversation).kind is ConversationKind.EVERYONE:
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
        """Turn a message's ticks as they come."""
        try:
            await receipt.accepted()
            self._settled(message, receipt.state, receipt.seq, receipt.place)
            if message.change is not None:
                return
            async for have, of in receipt.progress():
                self._book.progress(message, have, of)
            await receipt.delivered()
            self._settled(message, receipt.state, receipt.seq, receipt.place)
            if not message.conversation.startswith("#"):
                await receipt.read()
                self._settled(message, receipt.state, receipt.seq)
        except NotDelivered as error:
            self._settled(message, State.FAILED, receipt.seq, receipt.place, str(error))

    # How things stand

    async def _keep_up(self, me: "MemberClient") -> None:
        """Get what is missing here, and from then on look how things stand when that may have changed."""
        await self._inform(me)
        await self._catch_up(me)
        self._caught_up = True
        self._look.clear()
        while True:
            await self._look.wait()
            self._look.clear()
            await self._inform(me)
            await asyncio.sleep(_LOOK_PAUSE)

    async def _inform(self, me: "MemberClient") -> None:
        """Ask what is unread, and how conversations and rooms are."""
        with contextlib.suppress(RequestRefused, TooManyRequests):  # then what is known stays
            self._incoming.take_standings(await me.conversations(), rank=not self._caught_up)
            self.max_body = me.max_body
            for each in await me.rooms():
                self._note(each)

    async def _catch_up(self, me: "MemberClient") -> None:
        """Get what is missing here out of history, back to the newest that is here."""
        known = self.store.newest_seq()
        before: int | None = None
        missing = 0
        shown: list[LocalConversation] = []
        while True:
            try:
                page = await me.history(before=before, limit=_HISTORY_PAGE)
            except RequestRefused:
                return  # the server does not say; what comes from now on is all there is
            missing += len(page)
            if known and (missing > _MOST_MISSING or self._contradicts(page)):
                shown = [each for each in self.conversations if each.messages]
                self._book.forget_messages()
                await self._inform(me)
                known = 0
            self._incoming.take_all(page)
            if not known or not page or page[0].seq <= known:
                break
            before = page[0].seq
        for conversation in shown:
            self._book.load(conversation)
        for name, seq in self.store.unreported_reads():
            self._tell_read(name, seq)

    def _contradicts(self, page: Iterable[MemberMessage]) -> bool:
        """Whether the log is not the one that is known here: a number stands for another message."""
        for entry in page:
            stored = self.store.find_by_seq(entry.seq)
            if stored is not None and (stored.id, stored.sender.lower()) != (entry.id, entry.sender.lower()):
                return True
        return False

    async def _fetch_older(self, conversation: LocalConversation) -> None:
        if self.connected:
            await super()._fetch_older(conversation)

    def _newest(self, conversation: LocalConversation) -> int:
        newest = super()._newest(conversation)
        return max(newest, conversation.counted) if self._caught_up else newest

    def _tell_read(self, name: str, seq: int) -> None:
        if self._me is not None:
            self._spawn(self._me.mark_read(name, seq))

    # What others see

    def set_presence(self, here: bool) -> None:
        """See `Session`."""
        if here is not self._here:
            self._here = here
            self._watch()

    def set_shown(self, shown: bool) -> None:
        """See `Session`."""
        self.shown = self._wanted_shown = shown
        self._watch()

    def _watch(self) -> None:
        """Say whether the user is there, and see who else is; from then on changes are told."""
        if self._watching is not None:
            self._watching.cancel()
        if self._me is not None:
            self._watching = self._spawn(self._say(self._me))

    async def _say(self, me: "MemberClient") -> None:
        state = Whereabouts.HERE if self._here else Whereabouts.AWAY
        with contextlib.suppress(RequestRefused, TooManyRequests):
            found = await me.status(state, shown=self._wanted_shown)
            self.shown = found.shown
            for each in found.users:
                if is_name(each.name.encode(errors="replace")):
                    self.conversations.set_presence(each.name, UserPresence(each.state.value, each.since))

    def typing(self, conversation: LocalConversation) -> None:
        """See `Session`."""
        key, when = conversation.key, time.monotonic()
        told = self._typed.get(key, when - _TYPING_PAUSE)
        quiet = conversation.kind is ConversationKind.EVERYONE or conversation.left or conversation.blocked
        if self._me is not None and self.connected and not quiet and when - told >= _TYPING_PAUSE:
            self._typed[key] = when
            self._spawn(self._me.typing(conversation.name))

    def _spawn(self, saying: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Tell the server something that nobody waits for."""
        task = asyncio.create_task(saying)
        self._tasks.add(task)
        task.add_done_callback(self._said)
        return task

    def _said(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, TwotickError):
            raise error  # an ended client tells whoever runs it
