"""Ask what a new room is to be."""

from typing import ClassVar, NamedTuple

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Checkbox, Input, Label, Static

from twotick.ui.app.dialogs.box import BOX
from twotick.ui.app.dialogs.tick import TickBox
from twotick.wire import is_room


class NewRoom(NamedTuple):
    """A room that is to be made: name, topic, and whether everybody may join it."""

    name: str
    topic: str
    public: bool


class NewRoomDialog(ModalScreen[NewRoom | None]):
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
    DEFAULT_CSS = BOX.format("NewRoomDialog")

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
            yield TickBox("Everybody may find and join it", id="public")
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
