"""Requests to the server on behalf of a member, for example to search or to change a room."""

import contextlib
from abc import abstractmethod
from collections.abc import Generator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

from twotick.client.errors import RequestRefused, TwotickError
from twotick.client.member.messages import FileInfo, MemberMessage
from twotick.client.member.results import DeviceInfo, EmailDigest, RecipientState, Role, RoomInfo
from twotick.client.trust import tokens
from twotick.client.trust.tokens import Credential
from twotick.ui.app.model.conversations import LocalConversation, UserPresence
from twotick.ui.app.model.messages import LocalMessage, Place, TransferProgress
from twotick.ui.app.model.rooms import MemberListing, RoomListing
from twotick.ui.app.session.base import MAX_LOADED, ChatSession, SearchHit, SearchResults
from twotick.ui.app.session.incoming import MAX_TOPIC, EntryHandler, access_of, apply_settings, mark_left
from twotick.ui.app.session.repository import PAGE
from twotick.ui.people import UserProfile
from twotick.ui.searching import SearchText, find
from twotick.ui.texts import t
from twotick.wire import is_name, is_room

if TYPE_CHECKING:
    from twotick.client import MemberClient

_MAX_HISTORY = 1000
"""Messages of the history that are requested at a time."""

_SEARCH_PAGE = 20
"""Search results that are requested at a time."""


class _SettingChanges(TypedDict, total=False):
    """Settings of a conversation that are to be changed."""

    muted: bool
    blocked: bool
    pinned: bool
    closed: bool
    muted_until: datetime


class MemberRequests(ChatSession):
    """The part of a member's session that sends requests. While there is no connection, requests wait for it."""

    _entries: EntryHandler
    _credential: Credential

    @abstractmethod
    async def _server(self) -> "MemberClient":
        """Return the connected client; wait for the connection if there is none.

        Raises:
            TwotickError: the session has stopped trying to connect.
        """

    # Messages

    async def search(
        self, asked: SearchText, conversation: LocalConversation | None = None, before: int | None = None
    ) -> SearchResults:
        """See `ChatSession`."""
        if asked.peer is None and conversation is not None:
            asked = replace(asked, peer=conversation.name)
        with readable_errors():
            found = await find(await self._server(), asked, limit=_SEARCH_PAGE, before=before)
        hits: list[SearchHit] = []
        for each in found.messages:
            if (message := self._entries.message(each)) is not None:
                name, hit = message
                where = self.conversations.find(name) or LocalConversation(name.lower(), name)
                hits.append(SearchHit(where, hit))
        return SearchResults(hits, found.before)

    async def load_until(
        self, conversation: LocalConversation, sender: str, ident: str, guest: bool | None = None
    ) -> LocalMessage | None:
        """See `ChatSession`."""
        while True:
            found = self.conversations.find_message(conversation, sender, ident, guest)
            if found is not None and conversation.index(found) >= 0:
                return found
            if len(conversation.messages) >= MAX_LOADED or (conversation.loaded and conversation.complete):
                return None
            loaded, complete = len(conversation.messages), conversation.complete
            await self.load_older(conversation)
            if (loaded, complete) == (len(conversation.messages), conversation.complete):
                return None

    async def around(self, hit: SearchHit, count: int) -> list[LocalMessage]:
        """See `ChatSession`."""
        key, place = hit.conversation.key, hit.message.place
        oldest = self.store.first_place(key)
        if oldest is not None and oldest <= place[0]:  # the local store has everything from there on
            near = self.store.around(key, place, count)
            return [self._repository.shared(each) for each in near]
        with readable_errors():
            return _near(await self._history_around(hit, count), place, count)

    async def _history_around(self, hit: SearchHit, count: int) -> list[LocalMessage]:
        """Return messages around one, from the server's history.

        The distance between messages of a conversation in the log is unknown, so the requested range grows until it
        has enough messages.
        """
        server, place = await self._server(), hit.message.place
        newest = max(self.store.newest_seq(), self.store.last_place(hit.conversation.key))
        found = [hit.message]
        step = count + 1
        while True:
            entries = await server.history(
                hit.conversation.name, before=place[0] + step, limit=min(_MAX_HISTORY, count + 2 * step)
            )
            messages = [told[1] for each in entries if (told := self._entries.message(each)) is not None]
            if not any(each.place == place for each in messages):
                return found  # the range reached its maximum
            found = messages
            if sum(each.place > place for each in found) >= count or place[0] + step > newest:
                return found
            step *= 2

    async def thread(self, message: LocalMessage) -> list[LocalMessage]:
        """See `ChatSession`."""
        conversation = self._repository.conversation(message.conversation)
        with readable_errors():
            entries = await (await self._server()).history(
                conversation.name, limit=_MAX_HISTORY, thread=(message.sender, message.id)
            )
        return self._shown(conversation, entries)

    async def pinned_messages(self, conversation: LocalConversation) -> list[LocalMessage]:
        """See `ChatSession`."""
        with readable_errors():
            return self._shown(conversation, await (await self._server()).pins(conversation.name))

    async def toggle_pin(self, message: LocalMessage) -> bool:
        """See `ChatSession`."""
        conversation = self._repository.conversation(message.conversation)
        pinned = any(each.place == message.place for each in await self.pinned_messages(conversation))
        server = await self._server()
        sender = None if message.outgoing else message.sender
        with readable_errors():
            if pinned:
                await server.unpin(conversation.name, message.id, sender)
            else:
                await server.pin(conversation.name, message.id, sender)
        return not pinned

    def _shown(self, conversation: LocalConversation, entries: list[MemberMessage]) -> list[LocalMessage]:
        """Return messages from the server, or the same messages as they are loaded."""
        copies = [told[1] for each in entries if (told := self._entries.message(each)) is not None]
        find = self.conversations.find_message
        return [find(conversation, each.sender, each.id, each.is_guest) or each for each in copies]

    async def _fetch_older(self, conversation: LocalConversation) -> None:
        oldest = self.store.first_place(conversation.key)
        try:
            page = await (await self._server()).history(conversation.name, before=oldest, limit=PAGE)
        except RequestRefused:
            page = []  # for example, the user has left the room
        self._entries.handle_history(page)
        if len(page) < PAGE:
            conversation.complete = True
            self.store.set_complete(conversation.key)

    async def receipts(self, message: LocalMessage) -> list[RecipientState]:
        """See `ChatSession`."""
        with readable_errors():
            return await (await self._server()).receipts(
                self._repository.conversation(message.conversation).name, message.id
            )

    async def save_file(self, message: LocalMessage, folder: Path) -> Path:
        """See `ChatSession`."""
        from twotick.ui.shell.saving import save  # imported late: it imports Rich's progress display

        if message.file is None:
            raise TwotickError(t("this message has no file"))
        file = FileInfo(*message.file)
        try:
            with readable_errors():
                return await save(
                    await self._server(),
                    file,
                    folder,
                    lambda done, total: self._set_progress(message, TransferProgress(done, total)),
                )
        finally:
            self._set_progress(message, None)

    def _set_progress(self, message: LocalMessage, transfer: TransferProgress | None) -> None:
        message.transfer = transfer
        self.conversations.message_changed(message)

    # Rooms

    async def rooms(self) -> list[RoomListing]:
        """See `ChatSession`."""
        with readable_errors():
            found = [each for each in await (await self._server()).rooms() if _is_room(each)]
        for each in found:
            self._update_room(each)
        return [
            RoomListing(
                each.name,
                access_of(each.public, each.guests),
                each.role.value,
                each.members,
                each.topic[:MAX_TOPIC],
                each.invited,
            )
            for each in found
        ]

    async def members(self, conversation: LocalConversation) -> list[MemberListing]:
        """See `ChatSession`."""
        with readable_errors():
            listed = await (await self._server()).room_members(conversation.name)
        found = [each for each in listed if is_name(each.name.encode(errors="replace"))]
        here = UserPresence("here", None)  # a guest who is in a room is connected
        return [
            MemberListing(
                each.name,
                each.role.value,
                each.since,
                here if each.role is Role.GUEST else self.conversations.presence(each.name),
            )
            for each in found
        ]

    async def create_room(self, name: str, access: str = "private", topic: str = "") -> LocalConversation:
        """See `ChatSession`."""
        with readable_errors():
            server, public = await self._server(), access != "private"
            return self._entered(await server.create_room(name, public=public, topic=topic, guests=access == "guests"))

    async def join(self, name: str) -> LocalConversation:
        """See `ChatSession`."""
        with readable_errors():
            return self._entered(await (await self._server()).join_room(name))

    async def leave(self, conversation: LocalConversation) -> None:
        """See `ChatSession`."""
        with readable_errors():
            await (await self._server()).leave_room(conversation.name)
        mark_left(conversation)
        self._repository.update(conversation)

    async def invite(self, conversation: LocalConversation, member: str) -> None:
        """See `ChatSession`."""
        with readable_errors():
            self._update_room(await (await self._server()).invite(conversation.name, member))

    async def remove(self, conversation: LocalConversation, member: str) -> None:
        """See `ChatSession`."""
        with readable_errors():
            self._update_room(await (await self._server()).remove(conversation.name, member))

    async def appoint(self, conversation: LocalConversation, member: str, role: str) -> None:
        """See `ChatSession`."""
        with readable_errors():
            self._update_room(await (await self._server()).appoint(conversation.name, member, Role(role)))

    async def change(
        self, conversation: LocalConversation, topic: str | None = None, access: str | None = None
    ) -> None:
        """See `ChatSession`."""
        public = None if access is None else access != "private"
        # An old server does not know of guests, and a private room never lets them in.
        guests = True if access == "guests" else False if conversation.access == "guests" and public else None
        with readable_errors():
            server = await self._server()
            self._update_room(await server.change_room(conversation.name, topic=topic, public=public, guests=guests))

    def _entered(self, info: RoomInfo) -> LocalConversation:
        """Open the conversation of a room that the user has joined."""
        conversation = self._repository.conversation(info.name)
        conversation.complete = False
        self._update_room(info)
        return self.open(conversation.name)

    def _update_room(self, info: RoomInfo) -> None:
        """Update a room. Ignore rooms without a conversation that the user is not a member of."""
        if not _is_room(info):
            return
        room = self.conversations.find(info.name)
        if info.role is not Role.NONE:
            room = self._repository.conversation(info.name)
            room.left = False
        if room is not None:
            room.topic, room.access, room.members = (
                info.topic[:MAX_TOPIC],
                access_of(info.public, info.guests),
                info.members,
            )
            room.role = info.role.value
            self._repository.update(room)

    # Conversations

    async def set_muted(self, conversation: LocalConversation, muted: bool) -> None:
        """See `ChatSession`."""
        await self._configure(conversation, muted=muted)

    async def mute_until(self, conversation: LocalConversation, until: float) -> None:
        """See `ChatSession`."""
        await self._configure(conversation, muted_until=datetime.fromtimestamp(until, UTC))

    async def set_closed(self, conversation: LocalConversation, closed: bool) -> None:
        """See `ChatSession`."""
        await super().set_closed(conversation, closed)  # shown at once
        await self._configure(conversation, closed=closed)

    async def set_pinned(self, conversation: LocalConversation, pinned: bool) -> None:
        """See `ChatSession`."""
        await super().set_pinned(conversation, pinned)
        await self._configure(conversation, pinned=pinned)

    async def set_profile(self, *, display: str | None = None, status: str | None = None) -> None:
        """See `ChatSession`."""
        with readable_errors():
            found = await (await self._server()).set_profile(display=display, status=status)
        self.conversations.set_profile(self.name, UserProfile(found.display, found.status))

    async def set_blocked(self, conversation: LocalConversation, blocked: bool) -> None:
        """See `ChatSession`."""
        await self._configure(conversation, blocked=blocked)

    async def _configure(self, conversation: LocalConversation, **changed: Unpack[_SettingChanges]) -> None:
        with readable_errors():
            settings = await (await self._server()).set_conversation(conversation.name, **changed)
        apply_settings(conversation, settings)
        self._repository.update(conversation)

    async def report(self, conversation: LocalConversation, text: str, message: LocalMessage | None = None) -> None:
        """See `ChatSession`."""
        name = conversation.name if message is None else message.sender
        about = None if message is None or not message.id else message.id
        with readable_errors():
            await (await self._server()).report(name, text, about)

    # The account

    @property
    def device(self) -> str:
        """See `ChatSession`."""
        return self._credential.device

    async def devices(self) -> list[DeviceInfo]:
        """See `ChatSession`."""
        return await (await self._server()).devices()

    async def revoke(self, device: str) -> None:
        """See `ChatSession`."""
        with readable_errors():
            await (await self._server()).revoke(device)
        if self.device == device or self.device.startswith(f"{device}/"):
            tokens.forget(self._credential.server, self._credential.name)

    async def change_password(self, old: str, new: str, *, revoke_others: bool) -> None:
        """See `ChatSession`."""
        with readable_errors():
            await (await self._server()).change_password(old, new, revoke_others=revoke_others)

    async def digest(self, wanted: bool | None = None) -> EmailDigest:
        """See `ChatSession`."""
        with readable_errors():
            return await (await self._server()).digest(wanted)


def _near(messages: list[LocalMessage], place: Place, count: int) -> list[LocalMessage]:
    """Return the message at a place with up to `count` messages before and after it."""
    index = next((index for index, each in enumerate(messages) if each.place == place), 0)
    return messages[max(0, index - count) : index + count + 1]


def _is_room(info: RoomInfo) -> bool:
    """Return whether the name of a room from the server is valid."""
    return is_room(info.name.encode(errors="replace"))


@contextlib.contextmanager
def readable_errors() -> Generator[None]:
    """Raise TwotickError, with a reason that can be shown to the user, instead of ValueError and OSError."""
    try:
        yield
    except ValueError as error:
        raise TwotickError(str(error)) from error
    except OSError as error:
        raise TwotickError(f"{error.filename}: {error.strerror}" if error.filename else str(error)) from error
