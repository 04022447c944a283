"""A dialog that shows a text."""

from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from twotick.ui.app.dialogs.box import BOX
from twotick.ui.texts import t


class TextPage(ModalScreen[bool]):
    """Shows a text, which can be scrolled.

    Args:
        title: the title.
        text: the text.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,enter,q,f1", "dismiss(False)", "Back", show=False)]
    DEFAULT_CSS = BOX.format("TextPage")

    def __init__(self, title: str, text: Content | Text | Table) -> None:
        super().__init__()
        self._title = title
        self._text = text

    def compose(self) -> ComposeResult:
        """Create the text."""
        with VerticalScroll() as box:
            box.border_title = Text(self._title)
            box.border_subtitle = t("Esc: close")
            yield Static(self._text, markup=False)
