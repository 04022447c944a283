"""The text area in which the user writes messages."""

from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.document._document import EditResult
from textual.document._edit import Edit
from textual.message import Message as TextualMessage
from textual.widgets import OptionList, TextArea
from textual.widgets.option_list import Option

from twotick.ui.app.commands import WRITING
from twotick.ui.app.widgets.completion import Completion, CompletionSources, completions, named_emoji
from twotick.ui.app.widgets.stand_ins import StandIns
from twotick.ui.text import for_screen
from twotick.ui.texts import t

_ACTIONS = {
    key: each.action
    for each in [*TextArea.BINDINGS, *(Binding(each.keys, each.action) for each in WRITING)]
    if isinstance(each, Binding)
    for key in each.key.split(",")
}
"""The action of each key."""


class CompletionList(OptionList, can_focus=False):
    """The list of possible completions."""

    DEFAULT_CSS = """
    CompletionList {
        height: auto;
        max-height: 8;
        border: none;
        border-top: solid $primary;
        padding: 0 1;
        display: none;
        scrollbar-size-vertical: 1;
        & > .option-list--option-highlighted {
            color: $block-cursor-foreground;
            background: $block-cursor-background;
            text-style: $block-cursor-text-style;
        }
    }
    """


class Composer(TextArea):
    """The text area in which the user writes messages and commands.

    What was typed or pasted is kept as it is. Characters that are not safe to show are shown as pictures.

    Args:
        completion_list: the widget that shows the completions.

    Attributes:
        names: names of users that can be completed.
        rooms: names of rooms that can be completed, each with its `#`.
        commands: words of commands that can be completed, each with its title.
        given: the text that `set_text` set last. A different text was typed by the user.
        past: the texts that were sent before, oldest first.
        on_edit: called when a part of the text was changed, before that is shown.
    """

    BINDINGS: ClassVar[list[BindingType]] = []
    DEFAULT_CSS = """
    Composer {
        height: auto;
        max-height: 8;
        border: none;
        padding: 0 1;
        scrollbar-size-vertical: 1;
        &:focus { border: none; }
    }
    """

    class Submitted(TextualMessage):
        """The user wants to send a text."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class PageScrolled(TextualMessage):
        """The user wants to scroll the messages by pages; negative numbers mean up."""

        def __init__(self, pages: int) -> None:
            super().__init__()
            self.pages = pages

    class Cancelled(TextualMessage):
        """The user pressed Esc: to cancel a reply or an edit or, the second time, to go to the messages."""

        def __init__(self, again: bool) -> None:
            super().__init__()
            self.again = again

    class EscapeForgotten(TextualMessage):
        """The user pressed another key after Esc."""

    class EditRequested(TextualMessage):
        """The user wants to edit the last message."""

    class Advised(TextualMessage):
        """The composer has something to tell the user."""

        def __init__(self, advice: str) -> None:
            super().__init__()
            self.advice = advice

    def __init__(self, completion_list: CompletionList) -> None:
        super().__init__(highlight_cursor_line=False, tab_behavior="focus", max_checkpoints=200)
        self.names: list[str] = []
        self.rooms: list[str] = []
        self.given = ""
        self.commands: list[tuple[str, str]] = []
        self.past: list[str] = []
        self.on_edit: Callable[[], None] = lambda: None
        self._escaped = False  # whether the last key was Esc
        self._chosen = False  # whether the user has moved in the list of completions
        self._stand_ins = StandIns()
        self._back = 0  # position in `past`, counted from its end; 0 for the text that is being typed
        self._typed = ""
        self._list = completion_list
        self._completions: list[Completion] = []
        self._completed_for = (0, "")  # the cursor's row and the text before it

    def set_text(self, text: str) -> None:
        """Set the text, and move the cursor to its end."""
        self._back = 0
        self.given = text
        self._replace_all(text)

    def _replace_all(self, text: str) -> None:
        self.load_text(self._stand_ins.hide(text))
        self.move_cursor(self.document.end)

    # The text, as it was typed or pasted

    @property
    def text(self) -> str:
        """The text as it was typed or pasted."""
        return self._stand_ins.reveal(self.document.text)

    @text.setter
    def text(self, value: str) -> None:
        self.set_text(value)

    @property
    def selected_text(self) -> str:
        """The selected text as it was typed or pasted."""
        return self._stand_ins.reveal(super().selected_text)

    def edit(self, edit: Edit) -> EditResult:
        """Insert or replace a part of the text."""
        edit.text = self._stand_ins.hide(edit.text)
        result = super().edit(edit)
        self.on_edit()  # the event for the change can come after the text is on the screen
        return result

    def get_line(self, line_index: int) -> Text:
        """Return a line as it is shown."""
        return Text(self._stand_ins.picture(self.document.get_line(line_index)), end="", no_wrap=True)

    # Keys

    async def _on_key(self, event: events.Key) -> None:
        """Handle a key here: as a binding, it would be handled after the keys that are typed next."""
        if event.key != "escape" and self._escaped:
            self._escaped = False
            self.post_message(self.EscapeForgotten())
        action = _ACTIONS.get(event.key)
        if self._completions and event.key in ("up", "down"):
            self._chosen = True
            self._list.action_cursor_up() if event.key == "up" else self._list.action_cursor_down()
        elif action is not None:
            await self.run_action(action)
        elif event.character is not None and not _controls(event.character):
            self.type(event.character)
        else:
            return
        event.stop()
        event.prevent_default()  # otherwise the text area handles it too

    def type(self, character: str) -> None:
        """Insert a character that was typed. The name of an emoji between colons becomes the emoji."""
        self._replace_via_keyboard(character, *self.selection)
        row, before = self._before_cursor()
        if character == ":" and (found := named_emoji(before)) is not None:
            self.replace(found.text, (row, found.start), (row, len(before)))

    async def _on_paste(self, event: events.Paste) -> None:
        event.text = event.text.replace("\r\n", "\n").replace("\r", "\n")  # the text area inserts it

    def action_submit(self) -> None:
        """Send the text if it is not empty. Complete the word instead if the user chose a completion for it."""
        self._catch_up()
        if self._completions and (self._chosen or self._is_part_of_command()):
            self.action_complete()
        elif self.text.strip():
            self.post_message(self.Submitted(self.text))

    def _is_part_of_command(self) -> bool:
        """Return whether the text is only the beginning of a command."""
        words = [word for word, _ in self.commands]
        return self.text.startswith("/") and len(self.text.split()) == 1 and self.text[1:].strip().lower() not in words

    def action_new_line(self) -> None:
        """Begin a new line."""
        self.type("\n")

    def action_complete(self) -> None:
        """Complete the word before the cursor."""
        self._catch_up()
        if self._completions:
            chosen = self._completions[self._list.highlighted or 0]
            row, column = self.cursor_location
            self.replace(chosen.text, (row, chosen.start), (row, column))

    def action_back(self) -> None:
        """Hide the completions or, if there are none, cancel what is in progress."""
        if self._completions:
            self._show_completions([])
        else:
            again, self._escaped = self._escaped, True
            self.post_message(self.Cancelled(again))

    def forget_escape(self) -> None:
        """Let the next Esc be the first one again."""
        self._escaped = False

    def action_scroll_messages(self, pages: int) -> None:
        """Scroll the messages."""
        self.post_message(self.PageScrolled(pages))

    def action_copy_or_clear(self) -> None:
        """Copy the selected text. If none is selected, clear the text; if there is none, say how to quit."""
        if self.selected_text:
            self.action_copy()
        elif self.text:
            self.clear()
            self.post_message(self.Advised(t("Cleared. Ctrl+Z brings the text back.")))
        else:
            self.post_message(self.Advised(t("Ctrl+Q quits.")))

    def action_cursor_up(self, select: bool = False) -> None:
        """Move the cursor up; in the first line, show what was sent before; if nothing is typed, edit that."""
        if not select and not self.text and self._back == 0:
            self.post_message(self.EditRequested())
        elif not select and self.cursor_at_first_line:
            self.recall()
        else:
            super().action_cursor_up(select)

    def recall(self) -> None:
        """Show the text that was sent before."""
        if self._back < len(self.past):
            if self._back == 0:
                self._typed = self.text
            self._back += 1
            self._replace_all(self.past[-self._back])

    def action_cursor_down(self, select: bool = False) -> None:
        """Move the cursor down; in the last line, show the text that was sent after, or the text that was typed."""
        if not select and self.cursor_at_last_line and self._back:
            self._back -= 1
            self._replace_all(self.past[-self._back] if self._back else self._typed)
        else:
            super().action_cursor_down(select)

    # Completion

    def on_text_area_selection_changed(self) -> None:
        """Update the completions, because the cursor has moved."""
        self._completed_for = row, before = self._before_cursor()
        known = CompletionSources(self.names, self.rooms, self.commands)
        self._show_completions(completions(before, row == 0, known) if self.has_focus else [])

    def _catch_up(self) -> None:
        """Update the completions if the event for the latest change of the text has not arrived yet."""
        if self._before_cursor() != self._completed_for:
            self.on_text_area_selection_changed()

    def _before_cursor(self) -> tuple[int, str]:
        row, column = self.cursor_location
        return row, self.document.get_line(row)[:column]

    def on_text_area_changed(self) -> None:
        """Update the completions, because the text has changed."""
        self.on_text_area_selection_changed()

    def _show_completions(self, found: list[Completion]) -> None:
        if found == self._completions:
            return
        self._completions = found
        self._chosen = False
        self._list.set_options(Option(for_screen(each.shown, keep="")) for each in found)
        self._list.highlighted = 0 if found else None
        self._list.display = bool(found)

    def on_blur(self) -> None:
        """Hide the completions when the composer loses the focus."""
        self._escaped = False
        self._show_completions([])


def _controls(character: str) -> bool:
    """Return whether a key is a control character, and no text."""
    return character < " " or "\x7f" <= character <= "\x9f"
