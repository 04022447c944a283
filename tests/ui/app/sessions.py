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
    """A session on one device of a member, and what it has reported.

    Attributes:
        session: the session.
        came: the messages that it has reported.
        refused: why changes were refused.
    """

    def __init__(self, session: MemberSession) -> None:
        self.session = session
        self.came: list[LocalMessage] = []
        self.refused: list[str] = []
        session.held_for = 0.0
        session.on_message = self.came.append
        session.on_refusal = self.refused.append

    def texts(self, name: str) -> list[str]:
        """Return the texts of the loaded messages of a conversation."""
        return [each.text for each in self.session.open(name).messages]

    def news(self, name: str) -> list[str]:
        """Return the texts of the loaded messages of a conversation, without events."""
        return [each.text for each in self.session.open(name).messages if each.event is None]

    def events(self, name: str) -> list[tuple[str, str]]:
        """Return the events of a conversation: who did what."""
        return [(each.sender, each.event.kind) for each in self.session.open(name).messages if each.event is not None]

    def unread(self, name: str) -> tuple[int, int]:
        """Return how many messages of a conversation are unread, and how many of them are mentions."""
        found = self.session.conversations.find(name)
        return (0, 0) if found is None else (found.unread, found.mentions)

    async def has(self, name: str, *texts: str) -> None:
        """Wait until the messages of a conversation, without events, have these texts."""
        try:
            await until(lambda: self.news(name) == list(texts))
        except TimeoutError:
            raise AssertionError(f"{self.news(name)}, not {list(texts)}") from self.session.problem

    async def message(self, name: str, text: str) -> LocalMessage:
        """Wait for a message with a text, and return the newest one."""
        await until(lambda: text in self.texts(name))
        return next(each for each in reversed(self.session.open(name).messages) if each.text == text)


@contextlib.asynccontextmanager
async def running(session: ChatSession) -> AsyncGenerator[None]:
    """Run a session, which must not end by itself, and close it at the end."""
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
    """Run the session of a member on a device, with data in a folder of that device."""
    who = Credential(at or chat.address, name, on, chat.token(name, on))
    it = Device(MemberSession(who, folder / name / on, 1 << 20))
    async with running(it.session):
        yield it
