"""A dialog to choose one of several items."""

from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

from twotick.ui.app.dialogs.box import BOX
from twotick.ui.texts import t

_MAX_SHOWN = 200
"""Items that are shown. The user can type to find the others."""


class Choice(NamedTuple):
    """An item of a `ChooseDialog`.

    Attributes:
        key: the result of the dialog if the user chooses this item.
        shown: the line that is shown, safe for the terminal.
        found_by: the text in which typed text is searched.
    """

    key: str
    shown: Content
    found_by: str


def _no_offer(typed: str) -> Choice | None:
    """Return None: only the given items can be chosen."""


class ChooseDialog(ModalScreen[str | None]):
    """Asks the user to choose an item, which typing finds. The result is its key; None if the user cancels.

    Args:
        title: the title.
        choices: the items.
        hint: the text that is shown in the empty input line; empty for the usual one.
        offer: returns an additional item for the typed text; None for none.
        wrapped: whether items that are too long for a line take more of them, and are not cut.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Back", show=False),
        Binding("up", "move('up')", "Up", show=False),
        Binding("down", "move('down')", "Down", show=False),
    ]
    DEFAULT_CSS = (
        BOX.format("ChooseDialog")
        + """
    ChooseDialog.-wrapped OptionList { text-wrap: wrap; }
    """
    )

    def __init__(
        self,
        title: str,
        choices: Sequence[Choice],
        hint: str = "",
        offer: Callable[[str], Choice | None] = _no_offer,
        *,
        wrapped: bool = False,
    ) -> None:
        super().__init__()
        self._title = title
        self._choices = choices
        self._hint = hint or t("Type to search")
        self._offer = offer
        self.set_class(wrapped, "-wrapped")
        self._matching: list[Choice] = []

    def compose(self) -> ComposeResult:
        """Create the input line and the list."""
        with Vertical() as box:
            box.border_title = Text(self._title)
            yield Input(placeholder=self._hint, max_length=64)
            found = OptionList(markup=False)
            found.can_focus = False
            yield found

    def on_mount(self) -> None:
        """Show all items."""
        self._find("")

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self._find(event.value.strip())

    def _find(self, typed: str) -> None:
        part = typed.removeprefix("@").lower()
        matching = [each for each in self._choices if part in each.found_by.lower()]
        if part:
            matching.sort(
                key=lambda each: not each.found_by.lower().removeprefix("#").startswith(part.removeprefix("#"))
            )
        del matching[_MAX_SHOWN:]
        offered = self._offer(typed.removeprefix("@")) if typed else None
        if offered is not None and not any(each.key.lower() == offered.key.lower() for each in matching):
            matching.append(offered)
        self._matching = matching
        options = [Option(each.shown) for each in matching]
        if not options:
            nothing = t("No matches.") if typed else t("The list is empty.")
            options.append(Option(Content.styled(nothing, "dim"), disabled=True))
        found = self.query_one(OptionList)
        found.set_options(options)
        found.highlighted = 0 if matching else None

    def action_move(self, way: str) -> None:
        """Highlight another item."""
        found = self.query_one(OptionList)
        found.action_cursor_up() if way == "up" else found.action_cursor_down()

    @on(Input.Submitted)
    def _chosen(self) -> None:
        index = self.query_one(OptionList).highlighted
        if index is not None and index < len(self._matching):
            self.dismiss(self._matching[index].key)

    @on(OptionList.OptionSelected)
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._matching[event.option_index].key)
