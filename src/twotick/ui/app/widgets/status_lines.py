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
from twotick.ui.texts import later, plural, short_time, t, within

_WIDE = 50
"""Columns from which on longer texts are shown."""

_HINT = later("F1 keys  ^K go to  ^P commands")


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
    elsewhere = (
        "  " + plural("1 unread elsewhere: F3", "{n} unread elsewhere: F3", unread_elsewhere)
        if width >= _WIDE
        else f"  +{unread_elsewhere}: F3"
    )
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
        return t("is typing \u2026")
    if typing:
        return plural("{who} is typing \u2026", "{n} people are typing \u2026", len(typing), who=typing[0])
    members = plural("1 member", "{n} members", shown.members) if shown.members else ""
    state = t("you left the room") if shown.left else members
    muted = t("muted")
    if shown.muted_until:
        muted = t("muted until {time}", time=short_time(datetime.fromtimestamp(shown.muted_until)))
    marks = [name for name, holds in ((muted, shown.muted), (t("blocked"), shown.blocked)) if holds]
    person = profiles.person(shown.name)
    parts = [person.display, person.warning, presence_text(shown.presence), state, *marks]
    parts += [one_line(profiles.of(shown.name).status), one_line(shown.topic)]
    return " \u00b7 ".join(each for each in parts if each)


def mode_line(mode: ComposerMode, profiles: ProfileBook, width: int) -> Content:
    """Return the line that says which message the user replies to or edits, and how to cancel that."""
    message = mode.message
    hint = "  " + t("Esc: cancel")
    if mode.kind == "edit":
        what, about = t("Editing:") + " ", summary(message)
    else:
        what, about = t("Replying to {name}:", name=profiles.person(message.sender)) + " ", summary(message)
    columns = width - cell_len(what) - cell_len(hint)
    return Content.assemble((what, "bold"), shortened(about, columns) if columns > 3 else "", (hint, "dim"))


def status_line(session: ChatSession, away: bool, width: int) -> Content:
    """Return the status of the connection, and the number of waiting messages.

    Args:
        session: the session of the user.
        away: whether others see the user as away.
        width: the available columns.
    """
    waiting = plural("1 waiting to be sent", "{n} waiting to be sent", session.waiting) if session.waiting else ""
    who = f"{session.name}@{session.server}"
    if session.problem is not None:
        again = t("Ctrl+R: connect again") if session.ended else t("trying again")
        parts = ["\u2717 " + t("No connection"), waiting, again, for_screen(t(str(session.problem))[:200], keep="")]
    elif not session.connected:
        parts = [f"\u2026 {who}", waiting]
    elif not session.is_member:
        parts = [f"\u25cf {who}", t("guest"), waiting]
    elif not session.visible:
        parts = [f"\u25cb {who}", t("hidden"), waiting]
    else:
        parts = [f"\u25d0 {who}", t("away"), waiting] if away else [f"\u25cf {who}", waiting]
    text = " \u00b7 ".join(each for each in parts if each)
    hint = t(_HINT)
    if session.problem is None and cell_len(text) + 2 + cell_len(hint) <= width:
        text += " " * (width - cell_len(text) - cell_len(hint)) + hint
    return Content(shortened(text, width))


def keys_line(commands: list[Command], width: int) -> Content:
    """Return the line with the keys for the selected message, as many as fit; the last one is for going back.

    Args:
        commands: the commands that are available.
        width: the available columns.
    """
    back = t("Esc back")
    parts = ["\u2191\u2193 " + t("select"), *(f"{each.shown} {within(t(each.title))}" for each in commands)]
    while len(parts) > 1 and cell_len("  ".join([*parts, back])) > width:
        parts.pop()
    return Content("  ".join([*parts, back]))


def empty_text(session: ChatSession) -> Content:
    """Return the text that is shown while there is no conversation."""
    if session.conversations.listed:
        unread = session.conversations.unread
        return _marked(
            [
                "*{}*".format(plural("1 unread.", "{n} unread.", unread) if unread else t("No conversation is open.")),
                "",
                t("*\u2191 \u2193* and *Enter* open one from the list, *F3* the first with unread messages."),
                t("*Ctrl+K* starts a new one, *F1* lists all keys."),
            ]
        )
    about = [
        "*{}*".format(t("No conversations yet.")),
        "",
        t("*Ctrl+K*, a name and Enter start a conversation."),
    ]
    if session.is_member:
        about.append(t("*F6* lists rooms, *F7* creates one."))
    about += [
        t("Messages to you are shown here."),
        "",
        t("*F1* lists all keys, *Ctrl+P* all commands, *Ctrl+Q* quits."),
    ]
    return _marked(about)


def _marked(lines: list[str]) -> Content:
    """Return lines in which what stands between stars is bold."""
    parts = "".join(f"{line}\n" for line in lines).split("*")
    return Content.assemble(*((part, "bold" if number % 2 else "") for number, part in enumerate(parts)))
