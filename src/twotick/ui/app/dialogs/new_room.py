"""A dialog for a new room."""

from typing import ClassVar, NamedTuple

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Checkbox, Input, Label, Static

from twotick.ui.app.dialogs.box import BOX, keys_hint
from twotick.ui.app.dialogs.tick import TickBox
from twotick.ui.texts import t
from twotick.wire import is_room


class NewRoom(NamedTuple):
    """A room that the user wants to create. Every member may join a public room."""

    name: str
    topic: str
    public: bool


class NewRoomDialog(ModalScreen[NewRoom | None]):
    """Asks the user for the fields of a new room. The result is None if the user cancels.

    Args:
        name: the initial name.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Back", show=False),
        # with priority, so that keys typed right after them go to the next field
        Binding("tab,down", "app.focus_next", "Next", show=False, priority=True),
        Binding("shift+tab,up", "app.focus_previous", "Previous", show=False, priority=True),
    ]
    DEFAULT_CSS = BOX.format("NewRoomDialog")

    def __init__(self, name: str = "") -> None:
        super().__init__()
        self._name = name

    def compose(self) -> ComposeResult:
        """Create the fields."""
        with Vertical() as box:
            box.border_title = t("New room")
            box.border_subtitle = keys_hint(t("Enter: create   Tab: next   Esc: cancel"), self)
            yield Label(t("Name"))
            yield Input(self._name, placeholder="#team", max_length=33, id="name")
            yield Label(t("Topic (optional)"))
            yield Input(max_length=250, id="topic")
            yield TickBox(t("Public: every member can find and join it"), id="public")
            yield Button(t("Create"), variant="primary", compact=True)
            yield Static("", classes="problem", markup=False)

    @on(Input.Submitted)
    @on(Button.Pressed)
    def _make(self) -> None:
        """Close the dialog with the new room if its fields are valid."""
        name = "#" + self.query_one("#name", Input).value.strip().removeprefix("#")
        topic = self.query_one("#topic", Input).value.strip()
        if not is_room(name.encode(errors="replace")):
            problem = t("The name must have 1 to 32 letters, digits, - or _ after the #.")
        elif len(topic.encode("utf-8", "replace")) > 250:
            problem = t("The topic is longer than 250 bytes. Shorten it.")
        else:
            self.dismiss(NewRoom(name, topic, self.query_one("#public", Checkbox).value))
            return
        self.query_one(".problem", Static).update(problem)
