"""What is shown for a moment over the conversation."""

from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple

from rich.table import Table
from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Checkbox, Input, Label, OptionList, Static
from textual.widgets.option_list import Option

from twotick.ui.app.commands import COMMANDS, ON_MESSAGES, for_user
from twotick.ui.app.session import Session
from twotick.ui.text import placed
from twotick.wire import is_room

BOX = """
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
        Input {{
            border: none; border-bottom: solid $border-blurred; padding: 0; height: 2; background: $background;
            &:focus {{ border: none; border-bottom: solid $primary; }}
        }}
        Checkbox {{ border: none; padding: 0; height: 1; width: 100%; background: $background; }}
        Checkbox:focus {{ border: none; }}
        Checkbox > .toggle--button {{ background: $background; color: $foreground; }}
        OptionList {{
            border: none; padding: 0; height: auto; max-height: 12; background: $background;
            text-wrap: nowrap; text-overflow: ellipsis; scrollbar-size-vertical: 1;
        }}
        OptionList > .option-list--option-highlighted {{
            color: $block-cursor-foreground;
            background: $block-cursor-background;
            text-style: $block-cursor-text-style;
        }}
        Button {{ margin-top: 1; }}
        Button:nocolor:focus, Button:ansi:focus {{ text-style: bold reverse; }}
        .problem {{ color: $error; height: auto; }}
    }}
    """
"""How they look; to be formatted with the name of the class."""

_MOST = 200
"""Choices that are shown at once; to see others, one types what they have."""


class Tick(Checkbox):
    """A box whose tick can be told without colours, and that turns before the next key goes elsewhere."""

    async def _on_key(self, event: events.Key) -> None:
        if event.key in ("space", "enter"):
            event.stop()
            event.prevent_default()
            self.toggle()

    @property
    def _button(self) -> Content:
        return Content.from_text("[x]" if self.value else "[ ]", markup=False)


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


class Choose(ModalScreen[str | None]):
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
    DEFAULT_CSS = BOX.format("Choose")

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


class Ask(ModalScreen[str | None]):
    """Ask for a line of text. Gives it, or None.

    Args:
        title: what for.
        value: what is filled in.
        hint: what it says while nothing is.
        longest: bytes of UTF-8.
        empty: whether nothing is an answer.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Back", show=False)]
    DEFAULT_CSS = BOX.format("Ask")

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


class NewRoom(NamedTuple):
    """A room that is to be made: name, topic, and whether everybody may join it."""

    name: str
    topic: str
    public: bool


class MakeRoom(ModalScreen[NewRoom | None]):
    """Ask what a new room is to be.

    Args:
        name: what is filled in as its name.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Back", show=False),
        # with priority: what is typed right after them is for the next field
        Binding("tab,down", "app.focus_next", "Next", show=False, priority=True),
        Binding("shift+tab,up", "app.focus_previous", "Previous", show=False, priority=True),
    ]
    DEFAULT_CSS = BOX.format("MakeRoom")

    def __init__(self, name: str = "") -> None:
        super().__init__()
        self._name = name

    def compose(self) -> ComposeResult:
        """Name, topic and who may join."""
        with Vertical() as box:
            box.border_title = "New room"
            box.border_subtitle = "Enter: make it   Tab: next   Esc: back"
            yield Label("Name")
            yield Input(self._name, placeholder="#team", max_length=33, id="name")
            yield Label("What it is about; may be left empty")
            yield Input(max_length=250, id="topic")
            yield Tick("Everybody may find and join it", id="public")
            yield Button("Make it", variant="primary", compact=True)
            yield Static("", classes="problem", markup=False)

    @on(Input.Submitted)
    @on(Button.Pressed)
    def _make(self) -> None:
        """Make it, if that is a name."""
        name = "#" + self.query_one("#name", Input).value.strip().removeprefix("#")
        topic = self.query_one("#topic", Input).value.strip()
        if not is_room(name.encode(errors="replace")):
            problem = "A room's name has 1 to 32 letters, digits, - and _ after the #."
        elif len(topic.encode("utf-8", "replace")) > 250:
            problem = "The topic is longer than 250 bytes."
        else:
            self.dismiss(NewRoom(name, topic, self.query_one("#public", Checkbox).value))
            return
        self.query_one(".problem", Static).update(problem)


class Page(ModalScreen[bool]):
    """A text to read.

    Args:
        title: what it is.
        text: it.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,enter,q,f1", "dismiss(False)", "Back", show=False)]
    DEFAULT_CSS = BOX.format("Page")

    def __init__(self, title: str, text: Content | Text | Table) -> None:
        super().__init__()
        self._title = title
        self._text = text

    def compose(self) -> ComposeResult:
        """The text, which scrolls."""
        with VerticalScroll() as box:
            box.border_title = Text(self._title)
            box.border_subtitle = "Esc"
            yield Static(self._text, markup=False)


class Keys(Page):
    """All keys. Gives whether it was closed by a question mark, which is to be typed then.

    Args:
        session: whose: there are only the keys of what such a user can do.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("question_mark", "dismiss(True)", "Type it", show=False)]
    DEFAULT_CSS = BOX.format("Keys")

    def __init__(self, session: Session) -> None:
        rows = [
            ("Enter", "Send; Alt+Enter or Ctrl+J begins another line"),
            ("Tab", "Complete a @name, #room, /command or :emoji"),
            ("\u2191", "In the first line: what was sent before"),
            ("PgUp PgDn", "Scroll the messages"),
            *((each.shown, each.title) for each in COMMANDS if for_user(session, each)),
            ("", ""),
            ("", "With a message selected"),
            ("\u2191 \u2193", "Another one"),
            ("Enter", "What it answers; or all of it"),
            *((each.shown, each.title) for each in ON_MESSAGES if for_user(session, each)),
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
    DEFAULT_CSS = BOX.format("Confirm")

    def __init__(self, question: str, text: str) -> None:
        super().__init__()
        self._question = question
        self._text = text

    def compose(self) -> ComposeResult:
        """The question."""
        with Vertical() as box:
            box.border_title = Text(self._question)
            box.border_subtitle = "Enter: yes   Esc: no"
            yield Static(Text(self._text), markup=False)
