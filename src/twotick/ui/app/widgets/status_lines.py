"""The single lines around the messages: the title, the reply or edit in progress, and the status of the connection."""

from collections.abc import Callable
from datetime import datetime

from rich.cells import cell_len
from textual import events
from textual.content import Content
from textual.widgets import Static

from twotick.ui.app.commands import Command
from twotick.ui.app.layout.messages import summary
from twotick.ui.app.layout.wrapping import shortened
from twotick.ui.app.model.conversations import ConversationKind, LocalConversation
from twotick.ui.app.session.base import ChatSession
from twotick.ui.app.widgets.composer_mode import ComposerMode
from twotick.ui.app.widgets.details import presence_text
from twotick.ui.app.widgets.people import colour, presence_sign
from twotick.ui.people import ProfileBook
from twotick.ui.text import for_screen, one_line

_WIDE = 50
"""Columns from which on longer texts are shown."""

_HINT = "F1 keys  ^K go to  ^P commands"


class ResponsiveLine(Static):
    """A line whose content depends on its width."""

    def __init__(self, name: str) -> None:
        super().__init__(id=name, markup=False)
        self._make: Callable[[int], Content] = lambda _: Content()

    def show(self, make: Callable[[int], Content]) -> None:
        """Show a line.

        Args:
            make: returns the line for a number of columns.
        """
        self._make = make
        self.update(make(self.size.width))

    def on_resize(self, event: events.Resize) -> None:
        """Show the line for the new width."""
        self.update(self._make(self.size.width))


def title_line(shown: LocalConversation, profiles: ProfileBook, unread_elsewhere: int, width: int) -> Content:
    """Return the title of a conversation, with presence, typing users, topic, and unread messages elsewhere.

    Args:
        shown: the conversation.
        profiles: what users say of themselves.
        unread_elsewhere: the number of unread messages in other conversations.
        width: the available columns.
    """
    elsewhere = f"  {unread_elsewhere} unread elsewhere: F3" if width >= _WIDE else f"  +{unread_elsewhere}: F3"
    elsewhere = elsewhere if unread_elsewhere else ""
    columns = width - cell_len(elsewhere)
    name = shortened(for_screen(shown.title[:64], keep=""), max(8, columns // 2))
    sign, style = presence_sign(shown.presence)
    about = _subtitle(shown, profiles)
    left = columns - cell_len(name) - 2 * bool(sign.strip()) - 2
    parts: list[str | tuple[str, str]] = [(f"{sign} ", f"not bold {style}")] if sign.strip() else []
    about = f"  {shortened(about, left)}" if about and left > 4 else ""
    gap = " " * max(0, left + 2 - cell_len(about))
    shade = colour(shown.name) if shown.kind is ConversationKind.DIRECT else ""
    parts += [(name, shade), (about, "not bold dim"), gap, (elsewhere, "not bold")]
    return Content.assemble(*parts)


def _subtitle(shown: LocalConversation, profiles: ProfileBook) -> str:
    typing = [str(profiles.person(name)) for name in shown.typing]
    if typing and shown.kind is ConversationKind.DIRECT:
        return "is typing \u2026"
    if typing:
        who = typing[0] if len(typing) == 1 else f"{len(typing)} people"
        return f"{who} {'is' if len(typing) == 1 else 'are'} typing \u2026"
    members = f"{shown.members} member{'s' * (shown.members != 1)}" if shown.members else ""
    state = "you left the room" if shown.left else members
    until = f" until {datetime.fromtimestamp(shown.muted_until):%d %b %H:%M}" if shown.muted_until else ""
    marks = [name for name, holds in ((f"muted{until}", shown.muted), ("blocked", shown.blocked)) if holds]
    person = profiles.person(shown.name)
    parts = [person.display, person.warning, presence_text(shown.presence), state, *marks]
    parts += [one_line(profiles.of(shown.name).status), one_line(shown.topic)]
    return " \u00b7 ".join(each for each in parts if each)


def mode_line(mode: ComposerMode, profiles: ProfileBook, width: int) -> Content:
    """Return the line that says which message the user replies to or edits, and how to cancel that."""
    message = mode.message
    hint = "  Esc: cancel"
    if mode.kind == "edit":
        what, about = "Editing: ", summary(message)
    else:
        what, about = f"Replying to {profiles.person(message.sender)}: ", summary(message)
    columns = width - cell_len(what) - cell_len(hint)
    return Content.assemble((what, "bold"), shortened(about, columns) if columns > 3 else "", (hint, "dim"))


def status_line(session: ChatSession, away: bool, width: int) -> Content:
    """Return the status of the connection, and the number of waiting messages.

    Args:
        session: the session of the user.
        away: whether others see the user as away.
        width: the available columns.
    """
    waiting = f"{session.waiting} waiting to be sent" if session.waiting else ""
    who = f"{session.name}@{session.server}"
    if session.problem is not None:
        again = "Ctrl+R: connect again" if session.ended else "trying again"
        parts = ["\u2717 No connection", waiting, again, for_screen(str(session.problem)[:200], keep="")]
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


def keys_line(commands: list[Command], width: int) -> Content:
    """Return the line with the keys for the selected message, as many as fit; the last one is for going back.

    Args:
        commands: the commands that are available.
        width: the available columns.
    """
    back = "Esc back"
    parts = ["\u2191\u2193 select", *(f"{each.shown} {each.title.lower()}" for each in commands)]
    while len(parts) > 1 and len("  ".join([*parts, back])) > width:
        parts.pop()
    return Content("  ".join([*parts, back]))


def empty_text(session: ChatSession) -> Content:
    """Return the text that is shown while there is no conversation."""
    if session.conversations.listed:
        unread = session.conversations.unread
        return Content.assemble(
            (f"{unread} unread.\n\n" if unread else "No conversation is open.\n\n", "bold"),
            ("\u2191 \u2193", "bold"),
            " and ",
            ("Enter", "bold"),
            " open one from the list, ",
            ("F3", "bold"),
            " the first with unread messages.\n",
            ("Ctrl+K", "bold"),
            " starts a new one, ",
            ("F1", "bold"),
            " lists all keys.\n",
        )
    parts: list[str | tuple[str, str]] = [
        ("No conversations yet.\n\n", "bold"),
        ("Ctrl+K", "bold"),
        ", a name and Enter start a conversation.\n",
    ]
    if session.is_member:
        parts += [
            ("F6", "bold"),
            " lists rooms, ",
            ("F7", "bold"),
            " creates one.\n",
        ]
    parts += [
        "Messages to you are shown here.\n\n",
        ("F1", "bold"),
        " lists all keys, ",
        ("Ctrl+P", "bold"),
        " all commands, ",
        ("Ctrl+Q", "bold"),
        " quits.\n",
    ]
    return Content.assemble(*parts)
