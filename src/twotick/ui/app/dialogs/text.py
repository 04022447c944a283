"""A dialog for a line of text."""

from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from twotick.ui.app.dialogs.box import BOX, keys_hint
from twotick.ui.text import for_screen
from twotick.ui.texts import t


class TextDialog(ModalScreen[str | None]):
    """Asks the user for a line of text. The result is the text; None if the user cancels.

    Args:
        title: the title.
        value: the initial text.
        hint: the text that is shown in the empty input line.
        max_length: the maximum length in bytes of UTF-8.
        allow_allow_empty: whether the text may be empty.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Back", show=False)]
    DEFAULT_CSS = BOX.format("TextDialog")

    def __init__(
        self, title: str, value: str = "", hint: str = "", max_length: int = 250, *, allow_empty: bool = False
    ) -> None:
        super().__init__()
        self._title = title
        self._value = value
        self._hint = hint
        self._max_length = max_length
        self._allow_empty = allow_empty

    def compose(self) -> ComposeResult:
        """Create the input line."""
        with Vertical() as box:
            box.border_title = Text(self._title)
            box.border_subtitle = keys_hint(t("Enter: OK   Esc: cancel"), self)
            value = for_screen(self._value, keep="")
            yield Input(value, placeholder=self._hint, max_length=self._max_length, select_on_focus=False)
            yield Static("", classes="problem", markup=False)

    @on(Input.Submitted)
    def _done(self, event: Input.Submitted) -> None:
        text = event.value.strip()
        if len(text.encode("utf-8", "replace")) > self._max_length:
            self.query_one(".problem", Static).update(
                t("The text is longer than {most} bytes. Shorten it.", most=self._max_length)
            )
        elif text or self._allow_empty:
            self.dismiss(text)
