"""The interface of the main screen for actions."""

import asyncio
import contextlib
from abc import abstractmethod
from collections.abc import Awaitable, Generator
from typing import TypeVar, cast

from textual.app import App
from textual.message import Message as TextualMessage
from textual.screen import ModalScreen, Screen
from textual.worker import get_current_worker  # pyright: ignore[reportUnknownVariableType]

from twotick.client import TwotickError
from twotick.client.trust.tokens import Credential
from twotick.ui.app.model.conversations import LocalConversation
from twotick.ui.app.model.messages import LocalMessage
from twotick.ui.app.session.base import ChatSession
from twotick.ui.app.session.permissions import Permission
from twotick.ui.app.typing_ahead import TypingAhead
from twotick.ui.app.widgets.composer import CompletionList, Composer
from twotick.ui.app.widgets.composer_mode import ComposerMode
from twotick.ui.app.widgets.message_list import MessageList
from twotick.ui.app.widgets.sidebar import Sidebar
from twotick.ui.text import for_screen
from twotick.ui.texts import t

_TIMEOUT = 20.0
"""Seconds after which an action stops waiting for an answer of the server."""

_SOON = 0.3
"""Seconds after which the user is told that an answer of the server is waited for."""

_RECENT = 100
"""Messages among which an action looks for one that it is allowed for."""

Answer = TypeVar("Answer")


class ActionScreen(Screen[None]):
    """What actions need of the main screen.

    Args:
        session: the session of the user.
        typing_ahead: holds what is typed while the server is asked.

    Attributes:
        session: the session of the user.
        typing_ahead: holds what is typed while the server is asked.
        waiting: whether an answer of the server takes so long that the user should know.
        shown: the conversation that is shown; None if there is none.
        mode: the reply or edit in progress; None if there is none.
        messages: the list of messages.
        composer: the text area for messages.
        completion_list: the list of completions.
        sidebar: the list of conversations.
    """

    class ReconnectRequested(TextualMessage):
        """The user wants to connect now."""

    class AccountChosen(TextualMessage):
        """The user goes to another account.

        Args:
            login: the login of the account; None to sign in.
        """

        def __init__(self, login: Credential | None) -> None:
            super().__init__()
            self.login = login

    def __init__(self, session: ChatSession, typing_ahead: TypingAhead) -> None:
        super().__init__()
        self.session = session
        self.typing_ahead = typing_ahead
        self.waiting = False
        self.shown: LocalConversation | None = None
        self.mode: ComposerMode | None = None
        self.messages = MessageList(session.conversations)
        self.completion_list = CompletionList()
        self.composer = Composer(self.completion_list)
        self.sidebar = Sidebar()

    @property
    def app(self) -> App[object]:
        """The app."""
        return cast("App[object]", super().app)  # pyright: ignore[reportUnknownMemberType]

    @abstractmethod
    def open(self, name: str) -> None:
        """Show the conversation with a user or in a room."""

    @abstractmethod
    def send(self, text: str) -> None:
        """Send a text to the conversation that is shown."""

    @abstractmethod
    def keep_choice(self, name: str, value: str | bool) -> None:
        """Keep a choice of the user, so that it lasts, or say that it will not."""

    @abstractmethod
    def language_changed(self) -> None:
        """Show all texts in the language that is in use now."""

    @abstractmethod
    def show_list(self) -> None:
        """Show the list of conversations, and no conversation."""

    @abstractmethod
    def run_command(self, word: str, argument: str = "") -> None:
        """Run the command with a word, or say why it is not available."""

    @abstractmethod
    def start_mode(self, mode: ComposerMode) -> None:
        """Start a reply or an edit."""

    @abstractmethod
    def end_mode(self) -> None:
        """End the reply or edit in progress."""

    @abstractmethod
    def write(self) -> None:
        """Move the focus to the composer at once."""

    @abstractmethod
    def update_status(self) -> None:
        """Show the status of the connection."""

    @abstractmethod
    def set_status(self, status: str) -> None:
        """Set the user's presence to `here`, `away` or `hidden`."""

    def message_for(self, permission: Permission | None) -> LocalMessage | None:
        """Return the selected message or, if none is selected, the newest one that the permission allows."""
        if self.messages.selected is not None or self.shown is None:
            return self.messages.selected
        newest = self.shown.messages[: -_RECENT - 1 : -1]
        if permission is None:
            return next((each for each in newest if each.event is None), None)
        return next((each for each in newest if self.session.can(permission, self.shown, each)), None)

    def say(self, text: str, *, problem: bool = False) -> None:
        """Show a text, which need not be safe for the terminal, in a corner of the screen."""
        self.notify(for_screen(text[:300]), severity="warning" if problem else "information", markup=False)

    @contextlib.contextmanager
    def showing_errors(self) -> Generator[None]:
        """Show an error of the block to the user instead of raising it."""
        try:
            yield
        except TwotickError as error:
            self.say(t(str(error)), problem=True)
        except TimeoutError:
            self.say(t("The server did not answer: there is no connection. Try again later."), problem=True)

    async def ask_server(self, request: Awaitable[Answer]) -> Answer | None:
        """Return the answer to a request. Show the error and return None if it fails or takes too long.

        What the user types meanwhile is for what the answer shows. If there is no answer, it is dropped. Esc cancels
        the worker that asks.
        """
        keys, answer = self.typing_ahead, None
        keys.hold(get_current_worker().cancel)
        slow = self.set_timer(_SOON, self._is_slow)
        try:
            answer = await self.ask_beside(request)
            return answer
        finally:
            slow.stop()
            self.waiting = False
            self.update_status()
            keys.release(shown=answer is not None)

    def _is_slow(self) -> None:
        self.waiting = True
        self.update_status()

    async def ask_beside(self, request: Awaitable[Answer]) -> Answer | None:
        """Do as `ask_server`, for an answer that shows nothing that the user could be typing for."""
        with self.showing_errors():
            async with asyncio.timeout(_TIMEOUT):
                return await request
        return None

    async def succeeds(self, request: Awaitable[object]) -> bool:
        """Wait for a request and return whether it succeeded. Show the error if it did not."""
        with self.showing_errors():
            async with asyncio.timeout(_TIMEOUT):
                await request
            return True
        return False

    async def show_dialog(self, dialog: ModalScreen[Answer]) -> Answer | None:
        """Show a dialog and return its result."""
        return await self.app.push_screen_wait(dialog)
