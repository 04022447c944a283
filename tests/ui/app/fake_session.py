"""The app with a fake session, which records requests and shows what a test puts into it."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

from tests.ui.app.users import AppUser
from twotick.client import State, TwotickError
from twotick.client.member.results import RecipientState
from twotick.ui.app.app import AppOptions, TwotickApp
from twotick.ui.app.model.conversations import LocalConversation
from twotick.ui.app.model.messages import LocalMessage
from twotick.ui.app.model.registry import ConversationRegistry
from twotick.ui.app.model.rooms import MemberListing, RoomListing
from twotick.ui.app.session.base import ChatSession, SearchHit, SearchResults
from twotick.ui.app.session.permissions import Permission
from twotick.ui.searching import SearchText

ALL = frozenset(Permission)


class FakeSession(ChatSession):
    """A session without a server.

    Attributes:
        asked: the requests with their arguments.
        able: the permissions.
        refusal: the reason with which all requests are refused; empty to accept them.
    """

    is_member = True

    def __init__(self, name: str = "alice", able: frozenset[Permission] = ALL) -> None:
        self.name = name
        self.server = "chat.lan"
        self.max_body = 1 << 20
        self.connected = True
        self.problem: TwotickError | None = None
        self.ended = False
        self.visible = True
        self.on_connection = lambda: None
        self.on_message = lambda _: None
        self.on_refusal = lambda _: None
        self.all = ConversationRegistry(name)
        self.asked: list[tuple[Any, ...]] = []
        self.able = able
        self.refusal = ""
        self.found: list[SearchResults] = []
        self.its_past: list[LocalMessage] = []
        self.its_rooms: list[RoomListing] = []
        self.its_members: list[MemberListing] = []
        self.its_receipts: list[RecipientState] = []
        self.its_place = ""
        self.its_unforwardable = ""
        self.going_on: asyncio.Event | None = None

    @property
    def conversations(self) -> ConversationRegistry:
        return self.all

    @property
    def place(self) -> str | None:
        return self.its_place or next((each.key for each in self.all), None)

    def set_place(self, conversation: LocalConversation | None) -> None:
        pass

    async def set_closed(self, conversation: LocalConversation, closed: bool) -> None:
        conversation.closed = closed
        self.all.on_change(conversation)

    async def set_pinned(self, conversation: LocalConversation, pinned: bool) -> None:
        conversation.pinned = pinned
        self.all.on_change(conversation)

    async def thread(self, message: LocalMessage) -> list[LocalMessage]:
        self._note("thread", message.id)
        return self.its_past

    async def pinned_messages(self, conversation: LocalConversation) -> list[LocalMessage]:
        self._note("pins", conversation.name)
        return self.its_past

    async def toggle_pin(self, message: LocalMessage) -> bool:
        self._note("pin", message.id)
        return True

    async def forward(self, message: LocalMessage, conversation: LocalConversation) -> str:
        self._note("forward", message.id, conversation.name)
        return self.its_unforwardable

    async def set_profile(self, *, display: str | None = None, status: str | None = None) -> None:
        self._note("profile", display, status)

    async def mute_until(self, conversation: LocalConversation, until: float) -> None:
        self._note("mute until", conversation.name, until)

    @property
    def can_undo(self) -> bool:
        return True

    def cancel(self, message: LocalMessage) -> bool:
        self._note("cancel", message.id)
        return True

    def _is_on_its_way(self, message: LocalMessage) -> bool:
        return False

    def undo_deletion(self) -> bool:
        self._note("undo")
        return True

    @property
    def set_aside(self) -> None:
        return None

    @property
    def waiting(self) -> int:
        return 0

    async def run(self) -> None:
        await asyncio.Event().wait()

    async def close(self) -> None:
        pass

    async def _run(self) -> None:
        pass

    async def _fetch_older(self, conversation: LocalConversation) -> None:
        pass

    async def load_older(self, conversation: LocalConversation) -> None:
        pass

    def can(
        self, permission: Permission, conversation: LocalConversation | None = None, message: LocalMessage | None = None
    ) -> bool:
        if permission not in self.able:
            return False
        if permission is Permission.SEND_AGAIN:
            return message is not None and message.state is State.FAILED
        if permission is Permission.CANCEL:
            return message is not None and message.state is State.QUEUED
        if permission in (Permission.EDIT, Permission.DELETE, Permission.RECEIPTS):
            return message is not None and message.outgoing
        if permission is Permission.SAVE_FILE:
            return message is not None and message.file is not None
        return message is None or message.deleted is None

    def _note(self, *what: Any) -> None:
        self.asked.append(what)
        if self.refusal:
            raise TwotickError(self.refusal)

    def open(self, name: str) -> LocalConversation:
        return self.all.open(name)

    def mark_read(self, conversation: LocalConversation) -> None:
        if conversation.unread:
            self.all.set_unread(conversation, 0, 0)

    def save_draft(self, conversation: LocalConversation, draft: str) -> None:
        conversation.draft = draft

    def send(self, conversation: LocalConversation, text: str, reply_to: LocalMessage | None = None) -> LocalMessage:
        conversation.draft = ""
        self._note("send", conversation.name, text, *([reply_to.id] if reply_to else []))
        return conversation.messages[-1]

    def edit(self, message: LocalMessage, text: str) -> None:
        self._note("edit", message.id, text)

    def delete(self, message: LocalMessage) -> None:
        self._note("delete", message.id)

    def react(self, message: LocalMessage, text: str) -> None:
        self._note("react", message.id, text)

    def send_again(self, message: LocalMessage) -> LocalMessage:
        self._note("again", message.id)
        return message

    def send_file(
        self, conversation: LocalConversation, path: Path, caption: str = "", reply_to: LocalMessage | None = None
    ) -> LocalMessage:
        self._note("file", conversation.name, path, caption, *([reply_to.id] if reply_to else []))
        return conversation.messages[-1]

    async def save_file(self, message: LocalMessage, folder: Path) -> Path:
        self._note("save", message.id, folder)
        assert message.file is not None
        return folder / message.file.name

    async def search(
        self, asked: SearchText, conversation: LocalConversation | None = None, before: int | None = None
    ) -> SearchResults:
        self._note("search", asked.query, conversation.name if conversation else None, before)
        return self.found.pop(0)

    async def load_until(
        self, conversation: LocalConversation, sender: str, ident: str, guest: bool | None = None
    ) -> LocalMessage | None:
        self._note("reach", conversation.name, sender, ident)
        return self.all.find_message(conversation, sender, ident, guest)

    async def around(self, hit: SearchHit, count: int) -> list[LocalMessage]:
        said = self.its_past or hit.conversation.messages
        index = next((index for index, each in enumerate(said) if each.id == hit.message.id), -1)
        return said[max(0, index - count) : index + count + 1] if index >= 0 else [hit.message]

    async def rooms(self) -> list[RoomListing]:
        self._note("rooms")
        return self.its_rooms

    async def members(self, conversation: LocalConversation) -> list[MemberListing]:
        self._note("members", conversation.name)
        return self.its_members

    async def receipts(self, message: LocalMessage) -> list[RecipientState]:
        self._note("receipts", message.id)
        return self.its_receipts

    async def create_room(self, name: str, access: str = "private", topic: str = "") -> LocalConversation:
        self._note("create", name, access, topic)
        return self.all.open(name)

    async def join(self, name: str) -> LocalConversation:
        self._note("join", name)
        return self.all.open(name)

    async def leave(self, conversation: LocalConversation) -> None:
        self._note("leave", conversation.name)

    async def invite(self, conversation: LocalConversation, member: str) -> None:
        self._note("invite", conversation.name, member)

    async def remove(self, conversation: LocalConversation, member: str) -> None:
        self._note("remove", conversation.name, member)

    async def appoint(self, conversation: LocalConversation, member: str, role: str) -> None:
        self._note("appoint", conversation.name, member, role)

    async def change(
        self, conversation: LocalConversation, topic: str | None = None, access: str | None = None
    ) -> None:
        self._note("change", conversation.name, topic, access)

    async def set_muted(self, conversation: LocalConversation, muted: bool) -> None:
        self._note("mute", conversation.name, muted)
        conversation.muted = muted
        self.all.on_change(conversation)

    async def set_blocked(self, conversation: LocalConversation, blocked: bool) -> None:
        self._note("block", conversation.name, blocked)
        conversation.blocked = blocked
        self.all.on_change(conversation)

    async def report(self, conversation: LocalConversation, text: str, message: LocalMessage | None = None) -> None:
        self._note("report", conversation.name, text, message.id if message else "")

    def typing(self, conversation: LocalConversation) -> None:
        self.asked.append(("typing", conversation.name))

    def set_presence(self, here: bool) -> None:
        self.asked.append(("here", here))

    def set_visible(self, visible: bool) -> None:
        self.asked.append(("shown", visible))
        self.visible = visible

    def _report_read(self, name: str, seq: int) -> None:
        pass


class FakeSessionApp(TwotickApp):
    """The app with a given session."""

    def __init__(self, session: ChatSession, options: AppOptions) -> None:
        super().__init__(options)
        self._given = session

    def start(self) -> None:
        self._start_session(self._given)
        self._show_main()


@contextlib.asynccontextmanager
async def showing(
    session: ChatSession, width: int = 80, height: int = 24, theme: str = "terminal", **options: Any
) -> AsyncGenerator[AppUser]:
    """Run the app with a given session."""
    app = FakeSessionApp(session, AppOptions("chat.lan", theme=theme, **options))
    async with app.run_test(size=(width, height), notifications=True) as pilot:
        yield AppUser(app, pilot)
