"""What a member's session asks the server for those who look at the screen."""

import contextlib
from abc import abstractmethod
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

from twotick.client.errors import RequestRefused, TwotickError
from twotick.client.member.messages import FileInfo
from twotick.client.member.results import RecipientState, Role, RoomInfo
from twotick.ui.app.model.conversations import LocalConversation
from twotick.ui.app.model.messages import LocalMessage, Place, TransferProgress
from twotick.ui.app.model.rooms import MemberListing, RoomListing
from twotick.ui.app.session.base import ChatSession, SearchHit, SearchPage
from twotick.ui.app.session.incoming import LONGEST_TOPIC, EntryHandler, access_of, left
from twotick.ui.app.session.repository import PAGE
from twotick.wire import is_name, is_room

if TYPE_CHECKING:
    from twotick.client import MemberClient

_REACH = 5_000
"""Messages that are loaded to get to a certain one."""

_WIDEST = 1000
"""Messages of the history that are asked for at once."""

_HITS = 20
"""Messages that are found at once."""


class MemberRequests(ChatSession):
    """A session that can ask the server. While the connection is away, what is asked waits."""

    _incoming: EntryHandler

    @abstractmethod
    async def _server(self) -> "MemberClient":
        """Who asks.

        Raises:
            TwotickError: nobody, since nobody tries to connect any more.
        """

    # What was said

    async def search(
        self, query: str, conversation: LocalConversation | None = None, before: int | None = None
    ) -> SearchPage:
        """See `Session`."""
        peer = None if conversation is None else conversation.name
        with for_people():
            found = await (await self._server()).search(query, peer=peer, limit=_HITS, before=before)
        hits: list[SearchHit] = []
        for each in found.messages:
            if (message := self._incoming.message(each)) is not None:
                name, hit = message
                where = self.conversations.find(name) or LocalConversation(name.lower(), name)
                hits.append(SearchHit(where, hit))
        return SearchPage(hits, found.before)

    async def reach(self, conversation: LocalConversation, sender: str, ident: str) -> LocalMessage | None:
        """See `Session`."""
        while True:
            found = self.conversations.find_message(conversation, sender, ident)
            if found is not None and conversation.index(found) >= 0:
                return found
            if len(conversation.messages) >= _REACH or (conversation.loaded and conversation.complete):
                return None
            loaded, complete = len(conversation.messages), conversation.complete
            await self.load_older(conversation)
            if (loaded, complete) == (len(conversation.messages), conversation.complete):
                return None

    async def around(self, hit: SearchHit, count: int) -> list[LocalMessage]:
        """See `Session`."""
        key, place = hit.conversation.key, hit.message.place
        oldest = self.store.first_place(key)
        if oldest is not None and oldest <= place[0]:  # from there on all is here
            near = self.store.around(key, place, count)
            return [self._book.live(each) for each in near]
        with for_people():
            return _near(await self._history_around(hit, count), place, count)

    async def _history_around(self, hit: SearchHit, count: int) -> list[LocalMessage]:
        """Messages before and after one, which is among them. How far away those are in the log is found by trying."""
        server, place = await self._server(), hit.message.place
        newest = max(self.store.newest_seq(), self.store.last_place(hit.conversation.key))
        found = [hit.message]
        step = count + 1
        while True:
            entries = await server.history(
                hit.conversation.name, before=place[0] + step, limit=min(_WIDEST, count + 2 * step)
            )
            messages = [told[1] for each in entries if (told := self._incoming.message(each)) is not None]
            if not any(each.place == place for each in messages):
                return found  # too many have been said since
            found = messages
            if sum(each.place > place for each in found) >= count or place[0] + step > newest:
                return found
            step *= 2

    async def _fetch_older(self, conversation: LocalConversation) -> None:
        oldest = self.store.first_place(conversation.key)
        try:
            page = await (await self._server()).history(conversation.name, before=oldest, limit=PAGE)
        except RequestRefused:
            page = []  # as of a room that the user has left
        self._incoming.take_all(page)
        if len(page) < PAGE:
            conversation.complete = True
            self.store.set_complete(conversation.key)

    async def receipts(self, message: LocalMessage) -> list[RecipientState]:
        """See `Session`."""
        with for_people():
            return await (await self._server()).receipts(self._book.conversation(message.conversation).name, message.id)

    async def save_file(self, message: LocalMessage, folder: Path) -> Path:
        """See `Session`."""
        from twotick.ui.shell.saving import save  # not earlier: it brings what draws on a terminal without the app

        if message.file is None:
            raise TwotickError("there is no file with that message")
        file = FileInfo(*message.file)
        try:
            with for_people():
                return await save(
                    await self._server(),
                    file,
                    folder,
                    lambda done, total: self._transferred(message, TransferProgress(done, total)),
                )
        finally:
            self._transferred(message, None)

    def _transferred(self, message: LocalMessage, transfer: TransferProgress | None) -> None:
        message.transfer = transfer
        self.conversations.message_changed(message)

    # Rooms

    async def rooms(self) -> list[RoomListing]:
        """See `Session`."""
        with for_people():
            found = [each for each in await (await self._server()).rooms() if _is_room(each)]
        for each in found:
            self._note(each)
        return [
            RoomListing(
                each.name,
                access_of(each.public),
                each.role.value,
                each.members,
                each.topic[:LONGEST_TOPIC],
                each.invited,
            )
            for each in found
        ]

    async def members(self, conversation: LocalConversation) -> list[MemberListing]:
        """See `Session`."""
        with for_people():
            listed = await (await self._server()).room_members(conversation.name)
        found = [each for each in listed if is_name(each.name.encode(errors="replace"))]
        return [
            MemberListing(each.name, each.role.value, each.since, self.conversations.presence(each.name))
            for each in found
        ]

    async def create_room(self, name: str, access: str = "private", topic: str = "") -> LocalConversation:
        """See `Session`."""
        with for_people():
            return self._entered(await (await self._server()).create_room(name, public=access == "public", topic=topic))

    async def join(self, name: str) -> LocalConversation:
        """See `Session`."""
        with for_people():
            return self._entered(await (await self._server()).join_room(name))

    async def leave(self, conversation: LocalConversation) -> None:
        """See `Session`."""
        with for_people():
            await (await self._server()).leave_room(conversation.name)
        left(conversation)
        self._book.changed(conversation)

    async def invite(self, conversation: LocalConversation, member: str) -> None:
        """See `Session`."""
        with for_people():
            self._note(await (await self._server()).invite(conversation.name, member))

    async def remove(self, conversation: LocalConversation, member: str) -> None:
        """See `Session`."""
        with for_people():
            self._note(await (await self._server()).remove(conversation.name, member))

    async def appoint(self, conversation: LocalConversation, member: str, role: str) -> None:
        """See `Session`."""
        with for_people():
            self._note(await (await self._server()).appoint(conversation.name, member, Role(role)))

    async def change(
        self, conversation: LocalConversation, topic: str | None = None, access: str | None = None
    ) -> None:
        """See `Session`."""
        public = None if access is None else access == "public"
        with for_people():
            self._note(await (await self._server()).change_room(conversation.name, topic=topic, public=public))

    def _entered(self, info: RoomInfo) -> LocalConversation:
        """The user is in a room now."""
        conversation = self._book.conversation(info.name)
        conversation.complete = False
        self._note(info)
        return self.open(conversation.name)

    def _note(self, info: RoomInfo) -> None:
        """How a room is now. One of which nothing is here is noted only if the user is in it."""
        if not _is_room(info):
            return
        room = self.conversations.find(info.name)
        if info.role is not Role.NONE:
            room = self._book.conversation(info.name)
            room.left = False
        if room is not None:
            room.topic, room.access, room.members = info.topic[:LONGEST_TOPIC], access_of(info.public), info.members
            room.role = info.role.value
            self._book.changed(room)

    # Conversations

    async def set_muted(self, conversation: LocalConversation, muted: bool) -> None:
        """See `Session`."""
        await self._set(conversation, muted=muted)

    async def set_blocked(self, conversation: LocalConversation, blocked: bool) -> None:
        """See `Session`."""
        await self._set(conversation, blocked=blocked)

    async def _set(
        self, conversation: LocalConversation, muted: bool | None = None, blocked: bool | None = None
    ) -> None:
        with for_people():
            now = await (await self._server()).set_conversation(conversation.name, muted=muted, blocked=blocked)
        conversation.muted, conversation.blocked = now.muted, now.blocked
        self._book.changed(conversation)

    async def report(self, conversation: LocalConversation, text: str, message: LocalMessage | None = None) -> None:
        """See `Session`."""
        name = conversation.name if message is None else message.sender
        about = None if message is None or not message.id else message.id
        with for_people():
            await (await self._server()).report(name, text, about)


def _near(messages: list[LocalMessage], place: Place, count: int) -> list[LocalMessage]:
    """Those that are no further from a place than so many others."""
    index = next((index for index, each in enumerate(messages) if each.place == place), 0)
    return messages[max(0, index - count) : index + count + 1]


def _is_room(info: RoomInfo) -> bool:
    """Whether what the server says is a room can be one."""
    return is_room(info.name.encode(errors="replace"))


@contextlib.contextmanager
def for_people() -> Generator[None]:
    """Say what is wrong with what somebody has typed, or with the disk, like what the server refuses."""
    try:
        yield
    except ValueError as error:
        raise TwotickError(str(error)) from error
    except OSError as error:
        raise TwotickError(f"{error.filename}: {error.strerror}" if error.filename else str(error)) from error
