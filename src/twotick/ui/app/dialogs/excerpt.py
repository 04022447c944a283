"""The screen that shows an old message among those around it."""

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from twotick.ui.app.model.conversations import LocalConversation
from twotick.ui.app.model.messages import LocalMessage
from twotick.ui.app.model.registry import ConversationRegistry
from twotick.ui.app.session.base import SearchHit
from twotick.ui.app.widgets.message_list import MessageList
from twotick.ui.text import for_screen
from twotick.ui.texts import short_date, t


class ExcerptScreen(ModalScreen[None]):
    """Shows a message that is too old to be loaded in its conversation, with the messages around it.

    Args:
        conversations: all conversations.
        hit: the message.
        messages: the message and those before and after it.
        formatted: whether the marks of messages show their effect.
        heading: the heading; empty for the conversation and the day.
    """

    DEFAULT_CSS = """
    ExcerptScreen {
        background: $background;
        & > Vertical { height: 1fr; background: $background; }
        #heading { height: 1; padding: 0 1; text-style: bold; }
        #below { height: 1; padding: 0 1; text-style: dim; }
    }
    """

    def __init__(
        self,
        conversations: ConversationRegistry,
        hit: SearchHit,
        messages: list[LocalMessage],
        *,
        formatted: bool,
        heading: str = "",
    ) -> None:
        super().__init__()
        self._heading = heading
        self._hit = hit
        self._said = LocalConversation(hit.conversation.key, hit.conversation.name, messages)
        self._list = MessageList(conversations)
        self._list.formatted = formatted

    def compose(self) -> ComposeResult:
        """Create the messages."""
        day = short_date(self._hit.message.time.astimezone())
        heading = self._heading or f"{for_screen(self._said.title[:33], keep='')}, {day}"
        with Vertical():
            yield Static(heading, id="heading", markup=False)
            yield self._list
            yield Static(t("Esc: back to the newest messages"), id="below", markup=False)

    def on_mount(self) -> None:
        """Go to the message that was found."""
        self._list.show(self._said, None)
        self._list.focus()
        self._list.on_leave = self._leave
        self.call_after_refresh(self._show_found)

    def _leave(self, character: str) -> None:
        """Close the screen. Letters have no meaning here."""
        if not character:
            self.dismiss()

    def _show_found(self) -> None:
        found = next((each for each in self._said.messages if each.place == self._hit.message.place), None)
        if found is not None:
            self._list.go_to(found)
