"""Choose one of many."""

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

_MOST = 200
"""Choices that are shown at once; to see others, one types what they have."""


class Choice(NamedTuple):
    """Something to choose.

    Attributes:
        key: what choosing it gives.
        shown: how it is shown; safe for the terminal, in one line.
        found_by: what one may type to find it.
    """

    key: str
    shown: Content
    found_by: str


def _nothing_else(typed: str) -> Choice | None:
    """Nothing can be chosen but what is there."""


class ChooseDialog(ModalScreen[str | None]):
    """Choose one of many, by typing a part of it. Gives the key of the choice, or None.

    Args:
        title: what for.
        choices: what there is.
        hint: what may be typed.
        offer: what can be chosen besides when something is typed that is none of them.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Back", show=False),
        Binding("up", "move('up')", "Up", show=False),
        Binding("down", "move('down')", "Down", show=False),
    ]
    DEFAULT_CSS = BOX.format("ChooseDialog")

    def __init__(
        self,
        title: str,
        choices: Sequence[Choice],
        hint: str = "Type to find it",
        offer: Callable[[str], Choice | None] = _nothing_else,
    ) -> None:
        super().__init__()
        self._title = title
        self._choices = choices
        self._hint = hint
        self._offer = offer
        self._fitting: list[Choice] = []

    def compose(self) -> ComposeResult:
        """A line to type in, and what fits."""
        with Vertical() as box:
            box.border_title = Text(self._title)
            yield Input(placeholder=self._hint, max_length=64)
            found = OptionList(markup=False)
            found.can_focus = False
            yield found

    def on_mount(self) -> None:
        """All fit what is not typed yet."""
        self._find("")

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self._find(event.value.strip())

    def _find(self, typed: str) -> None:
        part = typed.removeprefix("@").lower()
        fitting = [each for each in self._choices if part in each.found_by.lower()]
        if part:
            fitting.sort(
                key=lambda each: not each.found_by.lower().removeprefix("#").startswith(part.removeprefix("#"))
            )
        del fitting[_MOST:]
        offered = self._offer(typed.removeprefix("@")) if typed else None
        if offered is not None and not any(each.key.lower() == offered.key.lower() for each in fitting):
            fitting.append(offered)
        self._fitting = fitting
        options = [Option(each.shown) for each in fitting]
        if not options:
            nothing = "Nothing fits." if typed else "There is nothing to choose."
            options.append(Option(Content.styled(nothing, "dim"), disabled=True))
        found = self.query_one(OptionList)
        found.set_options(options)
        found.highlighted = 0 if fitting else None

    def action_move(self, way: str) -> None:
        """Choose another one."""
        found = self.query_one(OptionList)
        found.action_cursor_up() if way == "up" else found.action_cursor_down()

    @on(Input.Submitted)
    def _chosen(self) -> None:
        index = self.query_one(OptionList).highlighted
        if index is not None and index < len(self._fitting):
            self.dismiss(self._fitting[index].key)

    @on(OptionList.OptionSelected)
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._fitting[event.option_index].key)
