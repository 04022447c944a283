"""Dialogs for a file or a folder."""

import contextlib
from pathlib import Path
from typing import ClassVar, NamedTuple, TypeVar

from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Label, OptionList, Static
from textual.widgets.option_list import Option

from twotick.ui.app.dialogs.box import BOX, keys_hint
from twotick.ui.app.widgets.completion import file_name, files
from twotick.ui.text import for_screen
from twotick.ui.texts import t

_MAX_SHOWN = 200
"""Files of a folder that are shown."""


Answer = TypeVar("Answer")


class FileToSend(NamedTuple):
    """A file and the text that is sent with it."""

    path: Path
    caption: str


class _PathInput(Input):
    """The input line for a path. It handles its keys in the order of typing; bindings with priority would not."""

    async def _on_key(self, event: events.Key) -> None:
        dialog = self.screen
        if event.key in ("tab", "up", "down") and isinstance(dialog, _PathDialog):
            event.stop()
            event.prevent_default()
            if event.key == "tab":
                dialog.complete()
            else:
                dialog.move(-1 if event.key == "up" else 1)
        else:
            await super()._on_key(event)


class _PathDialog(ModalScreen[Answer]):
    """Asks the user for a path, which Tab completes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Back", show=False),
        Binding("up", "app.focus_previous", "Back to the path", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._proposed: list[str] = []

    def _fields(self, value: str = "") -> ComposeResult:
        yield _PathInput(
            value, placeholder=t("Path (~ is your home)"), max_length=4096, id="path", select_on_focus=False
        )
        found = OptionList(markup=False)
        found.can_focus = False
        yield found

    def _possible(self, typed: str) -> list[str]:
        """Return the completions of the path."""
        return files(typed)

    @on(Input.Changed, "#path")
    def _propose(self) -> None:
        typed = self._path.value
        proposed = [each for each in self._possible(typed) if each != typed][:_MAX_SHOWN]
        if proposed == self._proposed:
            return
        self._proposed = proposed
        found = self.query_one(OptionList)
        found.set_options(Option(Content(for_screen(file_name(each), keep=""))) for each in self._proposed)
        found.highlighted = 0 if self._proposed else None

    @property
    def _path(self) -> Input:
        return self.query_one("#path", Input)

    def complete(self) -> None:
        """Complete the path; go to the next field if it is complete."""
        self._propose()  # the event for the latest change may not have arrived yet
        if self._proposed:
            self._take(self.query_one(OptionList).highlighted or 0)
        else:
            self.focus_next(Input)

    def _take(self, index: int) -> None:
        self._path.value = self._proposed[index]
        self._path.cursor_position = len(self._path.value)

    def move(self, steps: int) -> None:
        """Highlight another completion."""
        found = self.query_one(OptionList)
        found.action_cursor_up() if steps < 0 else found.action_cursor_down()

    @on(OptionList.OptionSelected)
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        self._take(event.option_index)
        self._path.focus()

    def _say(self, problem: str) -> None:
        self.query_one(".problem", Static).update(for_screen(problem[:200], keep=""))


class FileDialog(_PathDialog[FileToSend | None]):
    """Asks the user which file to send. The result is None if the user cancels."""

    DEFAULT_CSS = BOX.format("FileDialog")

    def compose(self) -> ComposeResult:
        """Create the fields."""
        with Vertical() as box:
            box.border_title = t("Send a file")
            box.border_subtitle = keys_hint(t("Enter: send   Tab: complete   Esc: cancel"), self)
            yield from self._fields()
            yield Label(t("Text (optional)"))
            yield Input(max_length=1000, id="caption")
            yield Static("", classes="problem", markup=False)

    @on(Input.Submitted)
    def _done(self) -> None:
        typed = self._path.value
        path = expanded(typed)
        try:
            is_file = path.is_file()
        except (OSError, ValueError):  # the name is too long or not valid
            is_file = False
        if not is_file and self._proposed:
            self._take(self.query_one(OptionList).highlighted or 0)
        elif not is_file:
            self._say(t("This file does not exist. Check the path."))
        else:
            self.dismiss(FileToSend(path, self.query_one("#caption", Input).value.strip()))


class FolderDialog(_PathDialog[str | None]):
    """Asks the user for a folder, which may not exist yet. The result is None if the user cancels.

    Args:
        title: the title.
        value: the initial path.
    """

    DEFAULT_CSS = BOX.format("FolderDialog")

    def __init__(self, title: str, value: str) -> None:
        super().__init__()
        self._title = title
        self._value = value

    def compose(self) -> ComposeResult:
        """Create the fields."""
        with Vertical() as box:
            box.border_title = Text(self._title)
            box.border_subtitle = keys_hint(t("Enter: save   Tab: complete   Esc: cancel"), self)
            yield from self._fields(for_screen(self._value, keep=""))
            yield Static("", classes="problem", markup=False)

    def _possible(self, typed: str) -> list[str]:
        return [each for each in files(typed) if each.endswith("/")]

    @on(Input.Submitted)
    def _done(self) -> None:
        if folder := self._path.value.strip():
            self.dismiss(folder)


def expanded(typed: str) -> Path:
    """Return a path in which `~` is replaced by the user's home, if there is one."""
    with contextlib.suppress(RuntimeError):
        return Path(typed).expanduser()
    return Path(typed)
