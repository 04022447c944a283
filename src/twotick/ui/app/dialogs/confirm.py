"""A dialog for a question with yes or no."""

from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from twotick.ui.app.dialogs.box import BOX, keys_hint
from twotick.ui.texts import t


class ConfirmDialog(ModalScreen[bool]):
    """Asks a question. The result is whether the user chose yes. No letter answers it.

    Args:
        question: the question.
        text: the explanation.
        yes: the button that means yes.
        harmless: whether Enter means yes at first. Otherwise it means no, until the user chooses the other button.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(False)", "No", show=False),
        # with priority, so that an Enter right after them is for the next button
        Binding("left,up,shift+tab", "app.focus_previous", "Previous", show=False, priority=True),
        Binding("right,down,tab", "app.focus_next", "Next", show=False, priority=True),
    ]
    DEFAULT_CSS = (
        BOX.format("ConfirmDialog")
        + """
    ConfirmDialog Horizontal { height: auto; align-horizontal: right; }
    ConfirmDialog Button { margin-left: 1; }
    """
    )

    def __init__(self, question: str, text: str, yes: str, *, harmless: bool = False) -> None:
        super().__init__()
        self._question = question
        self._text = text
        self._yes = yes
        self._harmless = harmless

    def compose(self) -> ComposeResult:
        """Create the text and the buttons."""
        with Vertical() as box:
            box.border_title = Text(self._question)
            box.border_subtitle = keys_hint(t("\u2190 \u2192: choose   Enter: do it   Esc: cancel"), self)
            yield Static(Text(self._text), markup=False)
            with Horizontal():
                yield Button(t("Cancel"), id="no", compact=True)
                yield Button(Text(self._yes), id="yes", compact=True)

    def on_mount(self) -> None:
        """Choose a button."""
        self.query_one("#yes" if self._harmless else "#no", Button).focus()

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")
