"""The text area in which the user writes messages."""

from textual import events
from textual.message import Message as TextualMessage
from textual.widgets import OptionList, TextArea
from textual.widgets.option_list import Option

from twotick.ui.app.widgets.completion import Completion, CompletionSources, completions
from twotick.ui.text import for_screen, visible


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

    Args:
        completion_list: the widget that shows the completions.

    Attributes:
        names: names of users that can be completed.
        rooms: names of rooms that can be completed, each with its `#`.
        commands: words of commands that can be completed, each with its title.
        given: the text that `set_text` set last. A different text was typed by the user.
        past: the texts that were sent before, oldest first.
    """

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

    class HelpRequested(TextualMessage):
        """The user typed a question mark into an empty composer, to see the keys."""

    class PageScrolled(TextualMessage):
        """The user wants to scroll the messages by pages; negative numbers mean up."""

        def __init__(self, pages: int) -> None:
            super().__init__()
            self.pages = pages

    class LeaveRequested(TextualMessage):
        """The user wants to go to the messages."""

    class Cancelled(TextualMessage):
        """The user wants to cancel a reply or an edit or, if there is none, to go to the messages."""

    def __init__(self, completion_list: CompletionList) -> None:
        super().__init__(highlight_cursor_line=False, tab_behavior="focus", max_checkpoints=200)
        self.names: list[str] = []
        self.rooms: list[str] = []
        self.given = ""
        self.commands: list[tuple[str, str]] = []
        self.past: list[str] = []
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
        self.load_text(text)
        self.move_cursor(self.document.end)

    # Keys

    async def _on_key(self, event: events.Key) -> None:
        if self._take_key(event):
            event.stop()
            event.prevent_default()  # otherwise the text area handles it too

    def _take_key(self, event: events.Key) -> bool:
        """Handle a key. A binding with priority would be handled before the keys that were typed earlier."""
        match event.key:
            case "enter":
                self._submit()
            case "alt+enter" | "shift+enter" | "ctrl+j":
                self.insert("\n")
            case "tab":
                self.complete()
            case "up" | "down" if self._completions:
                self._list.action_cursor_up() if event.key == "up" else self._list.action_cursor_down()
            case "escape" if self._completions:
                self._show_completions([])
            case "escape":
                self.post_message(self.Cancelled())
            case "pageup" | "pagedown":
                self.post_message(self.PageScrolled(-1 if event.key == "pageup" else 1))
            case _ if event.character == "?" and not self.text:
                self.post_message(self.HelpRequested())
            case _:
                return False
        return True

    async def _on_paste(self, event: events.Paste) -> None:
        event.text = visible(event.text.replace("\r\n", "\n").replace("\r", "\n"))  # the text area inserts it

    def _submit(self) -> None:
        """Complete the word if there are completions; otherwise send the text if it is not empty."""
        self._catch_up()
        if self._completions and not self._is_whole():
            self.complete()
        elif self.text.strip():
            self.post_message(self.Submitted(self.text))

    def _is_whole(self) -> bool:
        """Return whether the word before the cursor is complete already."""
        row, column = self.cursor_location
        before = self.document.get_line(row)[:column].lower()
        return any(before[each.start :] == each.text.strip().lower() for each in self._completions)

    def complete(self) -> None:
        """Complete the word before the cursor; go to the messages if there is no completion."""
        self._catch_up()
        if not self._completions:
            self.post_message(self.LeaveRequested())
            return
        chosen = self._completions[self._list.highlighted or 0]
        row, column = self.cursor_location
        self.replace(chosen.text, (row, chosen.start), (row, column))

    def action_cursor_up(self, select: bool = False) -> None:
        """Move the cursor up; in the first line, show the text that was sent before."""
        if not select and self.cursor_at_first_line and self._back < len(self.past):
            if self._back == 0:
                self._typed = self.text
            self._back += 1
            self._replace_all(self.past[-self._back])
        else:
            super().action_cursor_up(select)

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
        self._list.set_options(Option(for_screen(each.shown, keep="")) for each in found)
        self._list.highlighted = 0 if found else None
        self._list.display = bool(found)

    def on_blur(self) -> None:
        """Hide the completions when the composer loses the focus."""
        self._show_completions([])
