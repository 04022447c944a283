"""Where one types."""

from textual import events
from textual.message import Message as TextualMessage
from textual.widgets import OptionList, TextArea
from textual.widgets.option_list import Option

from twotick.ui.app.widgets.completion import Completion, CompletionSources, proposals
from twotick.ui.text import placed, visible


class CompletionList(OptionList, can_focus=False):
    """What the word that is being typed may be completed to."""

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
    """A text of one or several lines.

    Attributes:
        names: names that may be completed.
        rooms: likewise of rooms, each with its `#`.
        given: the text that was put here last; what is different was typed.
        commands: words of commands that may be completed, each with its title.
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
        """A text is to be sent."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class HelpRequested(TextualMessage):
        """A question mark was typed where nothing else is: the keys are asked for."""

    class PageScrolled(TextualMessage):
        """The messages are to be scrolled by pages."""

        def __init__(self, pages: int) -> None:
            super().__init__()
            self.pages = pages

    class LeaveRequested(TextualMessage):
        """The messages are to get the focus."""

    class Cancelled(TextualMessage):
        """What is being done with the text is to be given up; or else the messages are to get the focus."""

    def __init__(self, proposed: CompletionList) -> None:
        super().__init__(highlight_cursor_line=False, tab_behavior="focus", max_checkpoints=200)
        self.names: list[str] = []
        self.rooms: list[str] = []
        self.given = ""
        self.commands: list[tuple[str, str]] = []
        self.past: list[str] = []
        self._back = 0  # how many texts before the one that is typed is shown
        self._typed = ""
        self._proposed = proposed
        self._proposals: list[Completion] = []
        self._proposed_for = (0, "")

    def set_text(self, text: str) -> None:
        """Have this text, with the cursor at its end."""
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
            event.prevent_default()  # else the text area takes it

    def _take_key(self, event: events.Key) -> bool:
        """Do what a key is for here; not by a binding with priority, which would overtake what was typed before it."""
        match event.key:
            case "enter":
                self._submit()
            case "alt+enter" | "shift+enter" | "ctrl+j":
                self.insert("\n")
            case "tab":
                self.complete()
            case "up" | "down" if self._proposals:
                self._proposed.action_cursor_up() if event.key == "up" else self._proposed.action_cursor_down()
            case "escape" if self._proposals:
                self._propose([])
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
        event.text = visible(event.text.replace("\r\n", "\n").replace("\r", "\n"))  # the text area takes it from here

    def _submit(self) -> None:
        """Take the proposal; or send the text, if there is one."""
        self._catch_up()
        if self._proposals and not self._is_whole():
            self.complete()
        elif self.text.strip():
            self.post_message(self.Submitted(self.text))

    def _is_whole(self) -> bool:
        """Whether what is proposed is what was typed."""
        row, column = self.cursor_location
        before = self.document.get_line(row)[:column].lower()
        return any(before[each.start :] == each.text.strip().lower() for each in self._proposals)

    def complete(self) -> None:
        """Complete the word before the cursor; or leave."""
        self._catch_up()
        if not self._proposals:
            self.post_message(self.LeaveRequested())
            return
        chosen = self._proposals[self._proposed.highlighted or 0]
        row, column = self.cursor_location
        self.replace(chosen.text, (row, chosen.start), (row, column))

    def action_cursor_up(self, select: bool = False) -> None:
        """Go up; from the first line to what was sent before."""
        if not select and self.cursor_at_first_line and self._back < len(self.past):
            if self._back == 0:
                self._typed = self.text
            self._back += 1
            self._replace_all(self.past[-self._back])
        else:
            super().action_cursor_up(select)

    def action_cursor_down(self, select: bool = False) -> None:
        """Go down; from the last line to what was sent after, and to what was typed."""
        if not select and self.cursor_at_last_line and self._back:
            self._back -= 1
            self._replace_all(self.past[-self._back] if self._back else self._typed)
        else:
            super().action_cursor_down(select)

    # Completion

    def on_text_area_selection_changed(self) -> None:
        """Another word may be meant."""
        self._proposed_for = row, before = self._before_cursor()
        known = CompletionSources(self.names, self.rooms, self.commands)
        self._propose(proposals(before, row == 0, known) if self.has_focus else [])

    def _catch_up(self) -> None:
        """Propose for what is there now: a quick typist's key comes before the news of the change that it follows."""
        if self._before_cursor() != self._proposed_for:
            self.on_text_area_selection_changed()

    def _before_cursor(self) -> tuple[int, str]:
        row, column = self.cursor_location
        return row, self.document.get_line(row)[:column]

    def on_text_area_changed(self) -> None:
        """Likewise."""
        self.on_text_area_selection_changed()

    def _propose(self, found: list[Completion]) -> None:
        if found == self._proposals:
            return
        self._proposals = found
        self._proposed.set_options(Option(placed(proposal.shown, keep="")) for proposal in found)
        self._proposed.highlighted = 0 if found else None
        self._proposed.display = bool(found)

    def on_blur(self) -> None:
        """Nothing is proposed to somebody who is elsewhere."""
        self._propose([])
