"""The list of conversations."""

from collections.abc import Callable
from typing import TypeAlias

from rich.cells import cell_len, set_cell_size
from textual import events
from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from twotick.ui.app.layout.wrapping import shortened
from twotick.ui.app.model.conversations import LocalConversation
from twotick.ui.app.widgets.people import presence_sign
from twotick.ui.people import ProfileBook
from twotick.ui.text import for_screen

_WIDTH = 24
"""Columns of the list including its border."""

_Entry: TypeAlias = tuple[str | tuple[str, str], ...]
"""The parts of a line, with or without a style."""


def unread_text(conversation: LocalConversation) -> str:
    """Return the number of unread messages in short, with an `@` if one of them mentions the user."""
    unread = "99+" if conversation.unread > 99 else str(conversation.unread or "")
    return f"@{unread}" if conversation.mentions else unread


class Sidebar(OptionList):
    """The list of conversations. The one with the latest activity comes first."""

    on_character: Callable[[str], None]
    """Called with a character that the user types while the list has the focus."""

    _entries: tuple[tuple[str, _Entry], ...] = ()

    DEFAULT_CSS = f"""
    Sidebar {{
        width: {_WIDTH};
        height: 1fr;
        border: none;
        border-right: solid $border-blurred;
        padding: 0;
        scrollbar-size-vertical: 1;
        &:focus {{ border: none; border-right: solid $primary; background-tint: $foreground 0%; }}
    }}
    """

    def on_key(self, event: events.Key) -> None:
        """Hand over what is typed: the list has no keys that are letters."""
        if event.character is not None and event.character > " " and event.key != "delete":
            event.stop()
            self.on_character(event.character)

    def update_conversations(
        self, conversations: list[LocalConversation], shown: LocalConversation | None, profiles: ProfileBook
    ) -> None:
        """Show conversations.

        Args:
            conversations: the conversations.
            shown: the one whose messages are shown, which is marked.
            profiles: what users say of themselves.
        """
        chosen = self.highlighted_option
        entries = tuple((each.key, _entry(each, each is shown, profiles)) for each in conversations)
        if entries != self._entries:
            self._entries = entries
            self.set_options(Option(Content.assemble(*parts), key) for key, parts in entries)
        wanted = chosen.id if chosen is not None and self.has_focus else shown.key if shown is not None else None
        first = 0 if entries and shown is None else None
        self.highlighted = next((index for index, (key, _) in enumerate(entries) if key == wanted), first)


def _entry(conversation: LocalConversation, shown: bool, profiles: ProfileBook) -> _Entry:
    """Return the line of a conversation: presence, name, typing, draft, and number of unread messages."""
    count = unread_text(conversation)
    signs = ["\u2026"] if conversation.typing else []
    signs += ["\u25b4"] if conversation.pinned else []
    signs += ["\u270e"] if conversation.draft and not shown else []
    right = " ".join([*signs, *([count] if count else [])])
    columns = _WIDTH - 6 - (cell_len(right) + 1 if right else 0)
    name = shortened(for_screen(conversation.title[:64], keep=""), columns)
    person = profiles.person(conversation.name)
    doubt = "? " if person.warning else ""  # there is no room for more; the title says more
    about = shortened(doubt + person.display, columns - cell_len(name) - 1)
    quiet = conversation.muted or conversation.blocked or conversation.left
    style = "dim" if quiet else "bold" if conversation.unread or shown else ""
    return (
        ("\u258c" if shown else " ", "bold"),
        presence_sign(conversation.presence),
        " ",
        (name, style),
        (set_cell_size(f" {about}", columns - cell_len(name)), "dim"),
        (" " + right if right else "", "" if quiet or not count else "bold"),
    )
