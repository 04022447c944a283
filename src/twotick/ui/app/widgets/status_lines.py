"""The single lines around the messages: the title, what is done with the text, how the connection is."""

from collections.abc import Callable

from rich.cells import cell_len
from textual import events
from textual.content import Content
from textual.widgets import Static

from twotick.ui.app.layout.messages import one_line, summary
from twotick.ui.app.layout.wrapping import shortened
from twotick.ui.app.model.conversations import ConversationKind, LocalConversation
from twotick.ui.app.session.base import ChatSession
from twotick.ui.app.widgets.details import presence_text
from twotick.ui.app.widgets.sidebar import dot
from twotick.ui.app.widgets.undertaking import ComposerMode
from twotick.ui.text import placed

_WIDE = 50
"""Columns in which there is room for whole sentences."""

_HINT = "? keys  ^K go to  ^P commands"


class ResponsiveLine(Static):
    """A line that is made for the columns there are, and anew when these change."""

    def __init__(self, name: str) -> None:
        super().__init__(id=name, markup=False)
        self._make: Callable[[int], Content] = lambda _: Content()

    def show(self, make: Callable[[int], Content]) -> None:
        """Show a line.

        Args:
            make: gives it for a number of columns.
        """
        self._make = make
        self.update(make(self.size.width))

    def on_resize(self, event: events.Resize) -> None:
        """Make it anew."""
        self.update(self._make(self.size.width))


def title_line(shown: LocalConversation, unread_elsewhere: int, width: int) -> Content:
    """The conversation, who is there and who types, what it is about, and what is unread elsewhere.

    Args:
        shown: the conversation.
        unread_elsewhere: messages.
        width: columns.
    """
    elsewhere = f"  {unread_elsewhere} unread elsewhere: F3" if width >= _WIDE else f"  +{unread_elsewhere}: F3"
    elsewhere = elsewhere if unread_elsewhere else ""
    room = width - cell_len(elsewhere)
    name = shortened(placed(shown.title[:64], keep=""), max(8, room // 2))
    sign, style = dot(shown.presence)
    about = _about(shown)
    left = room - cell_len(name) - 2 * bool(sign.strip()) - 2
    parts: list[str | tuple[str, str]] = [(f"{sign} ", f"not bold {style}")] if sign.strip() else []
    parts += [name, (f"  {shortened(about, left)}" if about and left > 4 else "", "not bold"), (elsewhere, "not bold")]
    return Content.assemble(*parts)


def _about(shown: LocalConversation) -> str:
    typing = [placed(name[:33], keep="") for name in shown.typing]
    if typing and shown.kind is ConversationKind.DIRECT:
        return "is typing \u2026"
    if typing:
        who = typing[0] if len(typing) == 1 else f"{len(typing)} people"
        return f"{who} {'is' if len(typing) == 1 else 'are'} typing \u2026"
    members = f"{shown.members} member{'s' * (shown.members != 1)}" if shown.members else ""
    state = "you are not in it any more" if shown.left else members
    marks = [name for name, holds in (("muted", shown.muted), ("blocked", shown.blocked)) if holds]
    parts = [presence_text(shown.presence), state, *marks, one_line(shown.topic)]
    return " \u00b7 ".join(each for each in parts if each)


def undertaking_line(undertaking: ComposerMode, width: int) -> Content:
    """What is done with the text that is typed, besides sending it, and how to give that up."""
    message = undertaking.message
    hint = "  Esc cancels"
    if undertaking.kind == "edit":
        what, about = "Editing: ", summary(message)
    else:
        what, about = f"Replying to {placed(message.sender[:33], keep='')}: ", summary(message)
    room = width - cell_len(what) - cell_len(hint)
    return Content.assemble((what, "bold"), shortened(about, room) if room > 3 else "", (hint, "dim"))


def status_line(session: ChatSession, away: bool, width: int) -> Content:
    """How the connection is, and what waits.

    Args:
        session: whose.
        away: whether others see the user as away.
        width: columns.
    """
    waiting = f"{session.waiting} waiting to be sent" if session.waiting else ""
    who = f"{session.name}@{session.server}"
    if session.problem is not None:
        again = "Ctrl+R connects again" if session.ended else "trying again"
        parts = ["\u2717 No connection", waiting, again, placed(str(session.problem)[:200], keep="")]
    elif not session.connected:
        parts = [f"\u2026 {who}", waiting]
    elif not session.is_member:
        parts = [f"\u25cf {who}", "guest", waiting]
    elif not session.visible:
        parts = [f"\u25cb {who}", "hidden", waiting]
    else:
        parts = [f"\u25d0 {who}", "away", waiting] if away else [f"\u25cf {who}", waiting]
    text = " \u00b7 ".join(each for each in parts if each)
    if session.problem is None and len(text) + 2 + len(_HINT) <= width:
        text += _HINT.rjust(width - len(text))
    return Content(shortened(text, width))


def where_to_begin(session: ChatSession) -> Content:
    """What somebody reads who has no conversation yet."""
    parts: list[str | tuple[str, str]] = [
        ("Nothing was said yet.\n\n", "bold"),
        ("Ctrl+K", "bold"),
        ", a name and Enter begin a conversation.\n",
    ]
    if session.is_member:
        parts += [
            ("F6", "bold"),
            " shows the rooms there are, ",
            ("F7", "bold"),
            " makes one more.\n",
        ]
    parts += [
        "When somebody writes to you, it shows here.\n\n",
        ("?", "bold"),
        " shows all keys, ",
        ("Ctrl+P", "bold"),
        " all that can be done, ",
        ("Ctrl+Q", "bold"),
        " quits.\n",
    ]
    return Content.assemble(*parts)
