"""A dialog for a new password."""

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

_SHORTEST = 8
"""Bytes of the shortest password that servers accept (rule 10.3)."""


class NewPassword(NamedTuple):
    """A member's old and new password, and whether all other devices are to be logged out."""

    old: str
    new: str
    revoke_others: bool


class NewPasswordDialog(ModalScreen[NewPassword | None]):
    """Asks the user for the old and the new password. The result is None if the user cancels."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Back", show=False),
        # with priority, so that keys typed right after them go to the next field
        Binding("tab,down", "app.focus_next", "Next", show=False, priority=True),
        Binding("shift+tab,up", "app.focus_previous", "Previous", show=False, priority=True),
    ]
    DEFAULT_CSS = BOX.format("NewPasswordDialog")

    def compose(self) -> ComposeResult:
        """Create the fields."""
        with Vertical() as box:
            box.border_title = t("Change the password")
            box.border_subtitle = keys_hint(t("Enter: change   Tab: next   Esc: cancel"), self)
            for which, label in (
                ("old", t("Old password")),
                ("new", t("New password")),
                ("again", t("Repeat the new password")),
            ):
                yield Label(label)
                yield Input(password=True, max_length=256, id=which)
            yield TickBox(t("Log out on all other machines"), id="others")
            yield Button(t("Change"), variant="primary", compact=True)
            yield Static("", classes="problem", markup=False)

    @on(Input.Submitted)
    @on(Button.Pressed)
    def _done(self) -> None:
        """Close the dialog if its fields are valid."""
        old, new, again = (self.query_one(f"#{which}", Input).value for which in ("old", "new", "again"))
        if not old:
            problem = t("Type the old password as well.")
        elif len(new.encode("utf-8", "replace")) < _SHORTEST:
            problem = t("The new password needs at least {least} characters.", least=_SHORTEST)
        elif new != again:
            problem = t("The two new passwords differ: type the same one twice.")
        else:
            self.dismiss(NewPassword(old, new, self.query_one("#others", Checkbox).value))
            return
        self.query_one(".problem", Static).update(problem)
