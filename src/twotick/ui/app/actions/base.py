"""What the groups of actions work with: the session, what is shown, and ways to ask and to tell."""

import asyncio
import contextlib
from abc import abstractmethod
from collections.abc import Awaitable, Generator
from typing import TypeVar, cast

from textual.app import App
from textual.screen import ModalScreen, Screen

from twotick.client import TwotickError
from twotick.ui.app.model.conversations import LocalConversation
from twotick.ui.app.model.messages import LocalMessage
from twotick.ui.app.session.base import ChatSession
from twotick.ui.app.session.permissions import Permission
from twotick.ui.app.widgets.composer import CompletionList, Composer
from twotick.ui.app.widgets.message_list import MessageList
from twotick.ui.app.widgets.sidebar import Sidebar
from twotick.ui.text import placed

_PATIENCE = 20.0
"""Seconds after which an answer is no longer waited for."""

_RECENT = 100
"""Messages among which the newest that fits is looked for."""

Answer = TypeVar("Answer")


class ActionScreen(Screen[None]):
    """A screen on which something can be done.

    Args:
        session: who does it.

    Attributes:
        session: likewise.
        shown: the conversation whose messages are shown; None if there is none.
        messages: the list of them.
        composer: where one types.
        sidebar: the list of conversations.
    """

    def __init__(self, session: ChatSession) -> None:
        super().__init__()
        self.session = session
        self.shown: LocalConversation | None = None
        self.messages = MessageList(session.conversations)
        self.proposals = CompletionList()
        self.composer = Composer(self.proposals)
        self.sidebar = Sidebar()

    @property
    def app(self) -> App[object]:
        """The app."""
        return cast("App[object]", super().app)  # pyright: ignore[reportUnknownMemberType]

    @abstractmethod
    def open(self, name: str) -> None:
        """Show a conversation."""

    def message_for(self, deed: Permission | None) -> LocalMessage | None:
        """The selected message; if none is, the newest one with which that can be done."""
        if self.messages.selected is not None or self.shown is None:
            return self.messages.selected
        newest = self.shown.messages[: -_RECENT - 1 : -1]
        if deed is None:
            return next((each for each in newest if each.event is None), None)
        return next((each for each in newest if self.session.can(deed, self.shown, each)), None)

    def say(self, text: str, *, problem: bool = False) -> None:
        """Tell something in a corner of the screen, whatever it holds."""
        self.notify(placed(text[:300]), severity="warning" if problem else "information", markup=False)

    @contextlib.contextmanager
    def complaining(self) -> Generator[None]:
        """Say so if something cannot be done; what is typed stays where it is."""
        try:
            yield
        except TwotickError as error:
            self.say(str(error), problem=True)
        except TimeoutError:
            self.say("No answer came: there is no connection.", problem=True)

    async def answer(self, question: Awaitable[Answer]) -> Answer | None:
        """Wait for what the server is asked; None if that was refused, or no answer came, which is told."""
        with self.complaining():
            async with asyncio.timeout(_PATIENCE):
                return await question
        return None

    async def done(self, deed: Awaitable[object]) -> bool:
        """Likewise; gives whether it was done."""
        with self.complaining():
            async with asyncio.timeout(_PATIENCE):
                await deed
            return True
        return False

    async def ask(self, dialog: ModalScreen[Answer]) -> Answer | None:
        """Show a dialog, and wait for what it gives."""
        return await self.app.push_screen_wait(dialog)
