"""Ask for a line of text."""

from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from twotick.ui.app.dialogs.box import BOX
from twotick.ui.text import placed


class TextDialog(ModalScreen[str | None]):
    """Ask for a line of text. Gives it, or None.

    Args:
        title: what for.
        value: what is filled in.
        hint: what it says while nothing is.
        longest: bytes of UTF-8.
        empty: whether nothing is an answer.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Back", show=False)]
    DEFAULT_CSS = BOX.format("TextDialog")

    def __init__(self, title: str, value: str = "", hint: str = "", longest: int = 250, *, empty: bool = False) -> None:
        super().__init__()
        self._title = title
        self._value = value
        self._hint = hint
        self._longest = longest
        self._empty = empty

    def compose(self) -> ComposeResult:
        """A line to type in."""
        with Vertical() as box:
            box.border_title = Text(self._title)
            box.border_subtitle = "Enter: done   Esc: back"
            value = placed(self._value, keep="")
            yield Input(value, placeholder=self._hint, max_length=self._longest, select_on_focus=False)
            yield Static("", classes="problem", markup=False)

    @on(Input.Submitted)
    def _done(self, event: Input.Submitted) -> None:
        text = event.value.strip()
        if len(text.encode("utf-8", "replace")) > self._longest:
            self.query_one(".problem", Static).update(f"That is longer than {self._longest} bytes.")
        elif text or self._empty:
            self.dismiss(text)
