"""The list of messages. Only the visible lines are built."""

from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Size
from textual.message import Message as TextualMessage
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from twotick.ui.app.commands import CHOOSING, ON_MESSAGES
from twotick.ui.app.layout.messages import LayoutContext, height, lines
from twotick.ui.app.layout.wrapping import Line, shortened
from twotick.ui.app.model.conversations import ConversationKind, LocalConversation
from twotick.ui.app.model.messages import LocalMessage
from twotick.ui.app.model.registry import ConversationRegistry
from twotick.ui.names import COLOURS
from twotick.ui.texts import t

_ABOVE_NEW = 3
"""Lines that are shown above the first unread message."""

_MAX_BUILT = 512
"""Messages whose lines are cached."""

_NEAR = 20
"""Lines from the top at which older messages are requested."""

_ACTIONS = {key: each.action for each in CHOOSING for key in each.keys.split(",")}
_WORDS = {key: each.word for each in ON_MESSAGES for key in each.keys.split(",") if key}
"""The command of each key."""


class MessageList(ScrollView, can_focus=True):
    """The messages of a conversation.

    Args:
        conversations: all conversations.

    Attributes:
        conversation: the conversation that is shown; None if there is none.
        selected: the selected message; None while the list does not have the focus.
        formatted: whether the marks of messages show their effect (docs/formatting.md).
        on_command: called with the word of a command when the user presses its key.
        on_leave: called when the user goes back to writing, with the character that is no command, or with an empty
            text. Both are called before the next key is handled.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"messages--{name}"
        for name in (
            "quiet", "link", "mention", "day", "rule", "new", "selected", "strong", "emphasis", "code", "bar",
            "waiting", "accepted", "delivered", "read", "failed", "quote", "file", "reaction", "mine",
            *(f"name-{number}" for number in range(COLOURS)),
        )
    }  # fmt: skip
    DEFAULT_CSS = (
        """
    MessageList {
        height: 1fr;
        overflow-x: hidden;
        overflow-y: scroll;
        scrollbar-size-vertical: 1;
        & > .messages--quiet, & > .messages--day { text-style: dim; }
        & > .messages--rule { text-style: dim; }
        & > .messages--quote { text-style: dim; }
        & > .messages--file { text-style: bold; }
        & > .messages--mine { color: $primary; text-style: bold; }
        & > .messages--link { text-style: underline; }
        & > .messages--mention { color: $warning; text-style: bold reverse; }
        & > .messages--new { color: $warning; text-style: bold; }
        & > .messages--selected { color: $primary; text-style: bold; }
        & > .messages--waiting, & > .messages--accepted, & > .messages--delivered { text-style: dim; }
        & > .messages--read { color: $success; text-style: bold; }
        & > .messages--failed { color: $error; }
        & > .messages--strong { text-style: bold; }
        & > .messages--emphasis { text-style: italic; }
        & > .messages--code { color: $secondary; background: $panel; }
        & > .messages--bar { text-style: dim; }
    """
        + "".join(f"& > .messages--name-{each} {{ color: $name-{each}; text-style: bold; }}" for each in range(COLOURS))
        + "}"
    )

    selected: reactive[LocalMessage | None] = reactive(None)
    formatted: reactive[bool] = reactive(True)

    class TopReached(TextualMessage):
        """The oldest loaded message is about to become visible."""

    class EndVisibilityChanged(TextualMessage):
        """The newest message has become visible, or is no longer visible."""

    class Opened(TextualMessage):
        """The user opens a message: the message it replies to, its invitation, or its full text."""

        def __init__(self, message: LocalMessage) -> None:
            super().__init__()
            self.message = message

    class FocusChanged(TextualMessage):
        """The list has got or lost the focus."""

    def __init__(self, conversations: ConversationRegistry) -> None:
        super().__init__()
        self.conversation: LocalConversation | None = None
        self.on_command: Callable[[str], None] = lambda _: None
        self.on_leave: Callable[[str], None] = lambda _: None
        self._conversations = conversations
        self._messages: list[LocalMessage] = []
        self._new: LocalMessage | None = None
        self._changed: set[LocalMessage] = set()  # since they were laid out
        self._blocked: frozenset[str] = frozenset()  # senders whose messages are hidden
        self._heights: list[int] = []  # of each message, in lines
        self._tops: list[int] = [0]  # the first line of each message, and the line after the last message
        self._built: dict[LocalMessage, list[Line]] = {}
        self._width = 0
        self._at_end = True
        self._starting = False  # whether to show the first unread message as soon as there is a width

    # What is shown

    def show(self, conversation: LocalConversation | None, new: LocalMessage | None) -> None:
        """Show the end of a conversation.

        Args:
            conversation: the conversation; None to show nothing.
            new: its first unread message; None if there is none.
        """
        self.conversation = conversation
        self._new = new
        self.selected = None
        self._at_end = True
        self._forget_layout()
        self.update_messages()
        self._starting = new is not None
        self._start()

    def _start(self) -> None:
        """Show the first unread message near the top if the unread messages do not fit, as soon as there is a width."""
        index = self._index_of(self._new) if self._starting and self._width and self._new is not None else -1
        if index >= 0:
            self._starting = False
            self.post_message(self.EndVisibilityChanged())
            if self._tops[-1] - self._tops[index] > self.size.height:
                self._scroll(max(0, self._tops[index] - _ABOVE_NEW))

    @property
    def new(self) -> LocalMessage | None:
        """The message above which the line for unread messages is; None if there is no line."""
        return self._new

    def mark_new(self, message: LocalMessage | None) -> None:
        """Move the line for unread messages above a message, or remove it. `update_messages` will show it."""
        self._changed.update(each for each in (self._new, message) if each is not None)
        self._new = message

    def watch_formatted(self) -> None:
        """Lay out all messages again."""
        self._forget_layout()
        self.update_messages()

    def profiles_changed(self) -> None:
        """Show the display names anew. They change the height of invitations only."""
        self._built.clear()
        self._changed.update(each for each in self._messages if each.event is not None and each.event.kind == "invited")
        self.update_messages()

    def show_formatted(self, formatted: bool) -> None:
        """Show the effect of the marks of messages, or the marks."""
        self.formatted = formatted
        self.lay_out_again()

    def lay_out_again(self) -> None:
        """Lay all messages out anew: what they look like has changed."""
        self._forget_layout()
        self.update_messages()

    def message_changed(self, message: LocalMessage) -> None:
        """Record that a message looks different now. `update_messages` will show it."""
        if self.conversation is not None and message.conversation == self.conversation.key:
            self._changed.add(message)

    def update_messages(self) -> None:
        """Show the changes of the conversation. The visible messages keep their position."""
        anchor, offset = self.top_message()
        self._lay_out()
        if self.selected is not None and self._index_of(self.selected) < 0:
            self.selected = None
        if self._at_end:
            self._scroll(self._tops[-1])
        elif anchor is not None and (index := self._index_of(anchor)) >= 0:
            self._scroll(self._tops[index] + offset)
        self.refresh()

    def top_message(self) -> tuple[LocalMessage | None, int]:
        """Return the first visible message, and how many of its lines are above the visible part."""
        line = self.scroll_offset.y - self._above
        index = self._index_at(max(0, line))
        return (self._messages[index], max(0, line) - self._tops[index]) if self._messages else (None, 0)

    @property
    def at_end(self) -> bool:
        """Whether the newest message is visible."""
        return self._at_end and not self._starting

    @property
    def _above(self) -> int:
        """The number of empty lines above a conversation that does not fill the list."""
        return max(0, self.size.height - self._tops[-1])

    def _index_at(self, line: int) -> int:
        """Return the index of the message that a line belongs to."""
        return max(0, min(bisect_right(self._tops, line) - 1, len(self._messages) - 1))

    def _index_of(self, message: LocalMessage) -> int:
        """Return the index of a message; -1 if it is not in the list."""
        index = self.conversation.index(message) if self.conversation is not None else -1
        if 0 <= index < len(self._messages) and self._messages[index] is message:
            return index
        return self._messages.index(message) if message in self._messages else -1  # the list is not up to date

    def _layout_context(self, index: int) -> LayoutContext:
        message = self._messages[index]
        before = self._messages[index - 1] if index else None
        blocked = message.sender.lower() in self._blocked
        return LayoutContext(
            before,
            message is self._new,
            blocked,
            None,
            self._conversations.name,
            self.formatted,
            self._conversations.profiles.person(message.sender),
        )

    def _forget_layout(self) -> None:
        self._messages, self._heights, self._tops = [], [], [0]
        self._built.clear()
        self._changed.clear()

    def _lay_out(self) -> None:
        """Lay out new and changed messages; others only move. Show nothing while the list has no width."""
        conversation = self.conversation if self._width else None
        in_room = conversation is not None and conversation.kind is ConversationKind.ROOM
        blocked = self._conversations.blocked if in_room else frozenset[str]()
        if blocked != self._blocked:
            self._blocked = blocked
            self._forget_layout()
        before, heights = self._messages, self._heights
        self._messages = conversation.messages.copy() if conversation is not None else []
        same = _common(before, self._messages)
        later = _common(before[same:][::-1], self._messages[same:][::-1])
        end = len(self._messages) - max(0, later - 1)  # the message after the new ones has another predecessor now
        self._heights = heights[:same] + [self._measure(index) for index in range(same, end)]
        self._heights += heights[len(before) - max(0, later - 1) :]
        for index in [self._index_of(each) for each in self._changed]:
            if index >= 0:
                same = min(same, index)
                # With another time, the message after it may begin a day or stand under another name.
                for changed in range(index, min(index + 2, len(self._messages))):
                    self._heights[changed] = self._measure(changed)
        self._tops[same:] = accumulate(self._heights[same:], initial=self._tops[same])
        if self._changed:  # messages that quote them may be visible
            self._built = {each: built for each, built in self._built.items() if each.reply_to is None}
            self._changed.clear()
        self.virtual_size = Size(self._width, max(self._tops[-1], self.size.height))

    def _measure(self, index: int) -> int:
        message = self._messages[index]
        self._built.pop(message, None)
        return height(message, self._layout_context(index), self._width)

    def _lines(self, index: int) -> list[Line]:
        message = self._messages[index]
        if (built := self._built.get(message)) is not None:
            return built
        context = self._layout_context(index)
        if message.reply_to is not None and self.conversation is not None:
            context = context._replace(quoted=self._conversations.find_message(self.conversation, *message.reply_to))
        if len(self._built) >= _MAX_BUILT:
            self._built.clear()
        self._built[message] = built = lines(message, context, self._width)
        return built

    def render_line(self, y: int) -> Strip:
        """Return a visible line."""
        line = y + self.scroll_offset.y - self._above
        width = self.size.width
        base = self.rich_style
        if not self._messages:
            return self._empty_line(y)
        if line < 0 or line >= self._tops[-1]:
            return Strip.blank(width, base)
        index = self._index_at(line)
        message = self._messages[index]
        offset = line - self._tops[index]
        built = self._lines(index)
        spans = built[offset] if offset < len(built) else []
        segments = [Segment(span.text, self._style(span.style, base)) for span in spans]
        if message is self.selected and segments and segments[0].text[:1] == " ":
            first = segments[0]
            mark = Segment("\u258c", self._style("selected", base))
            segments[:1] = [mark, Segment(first.text[1:], first.style)]
        quote = any(span.style == "quote" for span in spans)
        return Strip(segments).adjust_cell_length(width, base).apply_meta({"message": index, "quote": quote})

    def _empty_line(self, y: int) -> Strip:
        """Return a line of a conversation that has no messages: what it is for, in the middle."""
        text = ""
        if self.conversation is not None and self.conversation.complete:
            text = {0: t("No messages yet"), 1: t("Write the first one below.")}.get(y - self.size.height // 2 + 1, "")
        shown = shortened(text, self._width).center(self._width)
        return Strip([Segment(shown, self._style("quiet", self.rich_style))]).adjust_cell_length(
            self.size.width, self.rich_style
        )

    def _style(self, names: str, base: Style) -> Style:
        """Return the style with some names, separated by spaces."""
        return self.get_component_rich_style(*(f"messages--{name}" for name in names.split())) if names else base

    # Moving

    def _scroll(self, line: int) -> None:
        self.scroll_to(y=line, animate=False, immediate=True, force=True)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Notify the screen when the end or the top comes into view."""
        super().watch_scroll_y(old_value, new_value)
        at_end = new_value >= self.max_scroll_y
        if at_end is not self._at_end:
            self._at_end = at_end
            self.post_message(self.EndVisibilityChanged())
        if new_value < _NEAR and new_value < old_value:
            self.post_message(self.TopReached())

    def on_resize(self, event: events.Resize) -> None:
        """Lay out all messages again if the width has changed. The visible messages keep their position."""
        at_end = self._at_end
        width = self.scrollable_content_region.width
        if width != self._width:
            anchor, offset = self.top_message()
            self._width = width
            self._forget_layout()
            self._lay_out()
            if anchor is not None and not at_end and (index := self._index_of(anchor)) >= 0:
                self._scroll(self._tops[index] + offset)
        else:
            self.virtual_size = Size(self._width, max(self._tops[-1], self.size.height))
        if at_end:
            self._scroll(self._tops[-1])
            self._at_end = True
        self._start()
        self.refresh()

    def scroll_to_end(self) -> None:
        """Show the newest message."""
        self._scroll(self._tops[-1])

    def action_page(self, pages: int) -> None:
        """Scroll by pages."""
        self._scroll(self.scroll_offset.y + pages * max(1, self.size.height - 2))
        if self.has_focus and self._messages:
            index = self._index_at(self.scroll_offset.y - self._above + (self.size.height - 1 if pages > 0 else 0))
            self.selected = self._messages[index]

    # Selecting

    async def _on_key(self, event: events.Key) -> None:
        """Handle a key here: as a binding, it would be handled after the keys that are typed next."""
        character = event.character if event.character is not None and event.character >= " " else ""
        focused = self.screen.focused is self  # `has_focus` is set later
        if (action := _ACTIONS.get(event.key)) is not None and focused:
            await self.run_action(action)
        elif (word := _WORDS.get(event.key)) is not None and focused:
            self.on_command(word)
        elif character:
            self.action_leave(character)
        else:
            return
        event.stop()
        event.prevent_default()

    def action_leave(self, character: str = "") -> None:
        """Go back to writing.

        Args:
            character: the character that was typed for that; empty if it was none.
        """
        self.on_leave(character)

    def on_focus(self) -> None:
        """Select the last visible message."""
        if self.selected is None and self._messages:
            bottom = self._index_at(self.scroll_offset.y - self._above + self.size.height - 1)
            self.selected = self._messages[bottom]
        self.post_message(self.FocusChanged())

    def on_blur(self) -> None:
        """Clear the selection."""
        self.selected = None
        self.post_message(self.FocusChanged())

    def watch_selected(self) -> None:
        """Show the selection."""
        self.refresh()

    def action_select(self, steps: int) -> None:
        """Select the message so many steps below; negative numbers mean above."""
        if self._messages:
            index = self._index_of(self.selected) if self.selected is not None else -1
            self._select((index if index >= 0 else len(self._messages)) + steps)

    def action_select_first(self) -> None:
        """Select the oldest loaded message."""
        self._select(0)

    def action_select_last(self) -> None:
        """Select the newest message."""
        self._select(len(self._messages) - 1)

    def go_to(self, message: LocalMessage, *, select: bool = True) -> bool:
        """Scroll to a message.

        Args:
            message: the message.
            select: whether to select it too.

        Returns:
            Whether the message is loaded.
        """
        index = self.conversation.index(message) if self.conversation is not None else -1
        if index < 0:
            return False
        self.update_messages()
        self._scroll(max(0, self._tops[index] - self.size.height // 3))
        if select:
            self._select(index)
        return True

    def _select(self, index: int) -> None:
        if not self._messages:
            return
        index = max(0, min(index, len(self._messages) - 1))
        self.selected = self._messages[index]
        top, bottom = self._tops[index], self._tops[index + 1]
        seen = self.scroll_offset.y
        if bottom > seen + self.size.height:
            self._scroll(bottom - self.size.height)
        elif top < seen:
            self._scroll(top)
        if index == 0:
            self.post_message(self.TopReached())

    def on_click(self, event: events.Click) -> None:
        """Select a message that was clicked; open it after a double click or a click on its quote."""
        index = event.style.meta.get("message")
        if isinstance(index, int) and index < len(self._messages):
            self.selected = self._messages[index]
            if event.chain > 1 or event.style.meta.get("quote"):
                self.post_message(self.Opened(self._messages[index]))

    def action_open(self) -> None:
        """Open the selected message."""
        if self.selected is not None:
            self.post_message(self.Opened(self.selected))


def _common(some: list[LocalMessage], others: list[LocalMessage]) -> int:
    """Return the length of the common beginning of two lists, found by bisection."""
    least, most = 0, min(len(some), len(others))
    while least < most:
        middle = (least + most + 1) // 2
        if some[least:middle] == others[least:middle]:
            least = middle
        else:
            most = middle - 1
    return least
