"""Sessions of members, without a screen."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path

from tests.client.members import Chat, until
from twotick.client.trust.tokens import Credential
from twotick.ui.app.model.messages import LocalMessage
from twotick.ui.app.session.base import ChatSession
from twotick.ui.app.session.member import MemberSession


class Device:
    """A session on one device of a member's, and what it has told.

    Attributes:
        session: the session.
        came: the messages that it has told of.
        refused: why changes were refused.
    """

    def __init__(self, session: MemberSession) -> None:
        self.session = session
        self.came: list[LocalMessage] = []
        self.refused: list[str] = []
        session.on_message = self.came.append
        session.on_refusal = self.refused.append

    def texts(self, name: str) -> list[str]:
        """What the messages of a conversation say that are loaded."""
        return [each.text for each in self.session.open(name).messages]

    def news(self, name: str) -> list[str]:
        """The same without events."""
        return [each.text for each in self.session.open(name).messages if each.event is None]

    def events(self, name: str) -> list[tuple[str, str]]:
        """What has happened in a conversation, and by whom."""
        return [(each.sender, each.event.kind) for each in self.session.open(name).messages if each.event is not None]

    def unread(self, name: str) -> tuple[int, int]:
        """How many messages of a conversation are unread, and how many of them name the member."""
        found = self.session.conversations.find(name)
        return (0, 0) if found is None else (found.unread, found.mentions)

    async def has(self, name: str, *texts: str) -> None:
        """Wait until the messages of a conversation, without events, say this."""
        try:
            await until(lambda: self.news(name) == list(texts))
        except TimeoutError:
            raise AssertionError(f"{self.news(name)}, not {list(texts)}") from self.session.problem

    async def message(self, name: str, text: str) -> LocalMessage:
        """Wait for the newest message that says this."""
        await until(lambda: text in self.texts(name))
        return next(each for each in reversed(self.session.open(name).messages) if each.text == text)


@contextlib.asynccontextmanager
async def running(session: ChatSession) -> AsyncGenerator[None]:
    """Let a session run, which must not end by itself, and close it."""
    task = asyncio.create_task(session.run())
    try:
        yield
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.wait([task])
        await session.close()


@contextlib.asynccontextmanager
async def device(
    chat: Chat, folder: Path, name: str, on: str = "laptop", at: str | None = None
) -> AsyncGenerator[Device]:
    """A member's session on a device, whose things are kept in a folder of that."""
    who = Credential(at or chat.address, name, on, chat.token(name, on))
    it = Device(MemberSession(who, folder / name / on, 1 << 20))
    async with running(it.session):
        yield it
