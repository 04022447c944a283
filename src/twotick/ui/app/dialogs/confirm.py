"""A dialog for a question with yes or no."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from twotick.ui.app.dialogs.box import BOX


class ConfirmDialog(ModalScreen[bool]):
    """Asks a question. The result is whether the user answered yes.

    Args:
        question: the question.
        text: the explanation.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,n", "dismiss(False)", "No", show=False),
        Binding("enter,y", "dismiss(True)", "Yes", show=False),
    ]
    DEFAULT_CSS = BOX.format("ConfirmDialog")

    def __init__(self, question: str, text: str) -> None:
        super().__init__()
        self._question = question
        self._text = text

    def compose(self) -> ComposeResult:
        """Create the text."""
        with Vertical() as box:
            box.border_title = Text(self._question)
            box.border_subtitle = "Enter: yes   Esc: no"
            yield Static(Text(self._text), markup=False)
