"""What is shown for a moment over the conversation."""

from collections.abc import Iterable
from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from twotick.ui.app.commands import COMMANDS, ON_MESSAGES
from twotick.ui.app.model import Conversation
from twotick.ui.app.sidebar import counts
from twotick.ui.text import placed
from twotick.wire import is_name

_BOX = """
    {0} {{
        align: center middle;
        background: $background 60%;
        & > Vertical, & > VerticalScroll {{
            width: 64;
            max-width: 100%;
            height: auto;
            max-height: 90%;
            background: $background;
            border: round $primary;
            padding: 0 1;
            scrollbar-size-vertical: 1;
        }}
    }}
"""


class GoTo(ModalScreen[str | None]):
    """Find a conversation, or begin one. Gives its name."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Back", show=False),
        Binding("up", "move('up')", "Up", show=False),
        Binding("down", "move('down')", "Down", show=False),
    ]
    DEFAULT_CSS = (
        _BOX.format("GoTo")
        + """
    GoTo {
        Input { border: none; border-bottom: solid $border-blurred; padding: 0; height: 2; background: $background; }
        Input:focus { border: none; border-bottom: solid $border-blurred; }
        OptionList { border: none; padding: 0; height: auto; max-height: 12; background: $background; }
        OptionList > .option-list--option-highlighted {
            color: $block-cursor-foreground;
            background: $block-cursor-background;
            text-style: $block-cursor-text-style;
        }
    }
    """
    )

    def __init__(self, conversations: Iterable[Conversation]) -> None:
        super().__init__()
        self._conversations = list(conversations)

    def compose(self) -> ComposeResult:
        """A line to type in, and what fits."""
        with Vertical() as box:
            box.border_title = "Go to"
            yield Input(placeholder="A name, or ALL for everyone", max_length=32)
            found = OptionList()
            found.can_focus = False
            yield found

    def on_mount(self) -> None:
        """All fit what is not typed yet."""
        self._find("")

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self._find(event.value.strip().removeprefix("@"))

    def _find(self, typed: str) -> None:
        part = typed.lower()
        fitting = [each for each in self._conversations if part in each.key or part in each.title]
        fitting.sort(key=lambda each: not (each.key.startswith(part) or each.title.startswith(part)))
        options = [
            Option(Text.assemble(placed(each.title[:40], keep=""), (f"  {counts(each)}", "bold")), each.name)
            for each in fitting
        ]
        known = any(part in (each.key, each.title) for each in fitting)
        if not known and (is_name(typed.encode(errors="replace")) or part == "all"):
            options.append(Option(Text.assemble(("Write to ", "dim"), "everyone" if part == "all" else typed), typed))
        found = self.query_one(OptionList)
        found.set_options(options)
        found.highlighted = 0 if options else None

    def action_move(self, way: str) -> None:
        """Choose another one."""
        found = self.query_one(OptionList)
        found.action_cursor_up() if way == "up" else found.action_cursor_down()

    @on(Input.Submitted)
    def _chosen(self) -> None:
        option = self.query_one(OptionList).highlighted_option
        if option is not None:
            self.dismiss(option.id)

    @on(OptionList.OptionSelected)
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option_id)


class Page(ModalScreen[bool]):
    """A text to read.

    Args:
        title: what it is.
        text: it.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,enter,q,f1", "dismiss(False)", "Back", show=False)]
    DEFAULT_CSS = _BOX.format("Page")

    def __init__(self, title: str, text: Text | Table) -> None:
        super().__init__()
        self._title = title
        self._text = text

    def compose(self) -> ComposeResult:
        """The text, which scrolls."""
        with VerticalScroll() as box:
            box.border_title = self._title
            box.border_subtitle = "Esc"
            yield Static(self._text, markup=False)


class Keys(Page):
    """All keys. Gives whether it was closed by a question mark, which is to be typed then."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("question_mark", "dismiss(True)", "Type it", show=False)]
    DEFAULT_CSS = _BOX.format("Keys")

    def __init__(self) -> None:
        rows = [
            ("Enter", "Send; Alt+Enter or Ctrl+J begins another line"),
            ("Tab", "Complete a @name, /command or :emoji"),
            ("\u2191", "In the first line: what was sent before"),
            ("PgUp PgDn", "Scroll the messages"),
            *((each.shown, each.title) for each in COMMANDS),
            ("", ""),
            ("", "With a message selected"),
            ("\u2191 \u2193", "Another one"),
            ("Enter", "Show all of it"),
            *((each.shown, each.title) for each in ON_MESSAGES),
            ("Esc", "Back to what is typed"),
        ]
        table = Table.grid(padding=(0, 1))
        for keys, what in rows:
            table.add_row(Text(keys, "bold"), what)
        super().__init__("Keys", table)


class Confirm(ModalScreen[bool]):
    """A question with yes and no.

    Args:
        question: it.
        text: what it is about.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,n", "dismiss(False)", "No", show=False),
        Binding("enter,y", "dismiss(True)", "Yes", show=False),
    ]
    DEFAULT_CSS = _BOX.format("Confirm")

    def __init__(self, question: str, text: str) -> None:
        super().__init__()
        self._question = question
        self._text = text

    def compose(self) -> ComposeResult:
        """The question."""
        with Vertical() as box:
            box.border_title = self._question
            box.border_subtitle = "Enter: yes   Esc: no"
            yield Static(Text(self._text), markup=False)
