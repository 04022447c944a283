"""The pane with what is known of the conversation, and of the message that is selected."""

from typing import TypeAlias

from rich.cells import cell_len, set_cell_size
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from twotick.client import State
from twotick.client.member.results import RecipientState
from twotick.ui.app.layout.messages import one_line
from twotick.ui.app.layout.wrapping import links, shortened
from twotick.ui.app.model.conversations import ConversationKind, LocalConversation, UserPresence
from twotick.ui.app.model.messages import LocalMessage
from twotick.ui.app.model.rooms import MemberListing
from twotick.ui.app.session.base import ChatSession
from twotick.ui.app.widgets.sidebar import dot
from twotick.ui.text import placed, size_text

_MOST = 200
"""Members, or recipients, that are shown at once."""

_ROOM = 30
"""Columns for a line."""

Part: TypeAlias = "str | Content | tuple[str, str]"

_KINDS = {
    ConversationKind.DIRECT: "one person",
    ConversationKind.EVERYONE: "everybody who is connected",
    ConversationKind.ROOM: "a room",
}
_STATES = {
    State.QUEUED: "waits to be sent",
    State.ACCEPTED: "\u2713 stored by the server",
    State.DELIVERED: "\u2713\u2713 a device has it",
    State.READ: "\u2713\u2713 read",
    State.FAILED: "\u2717 not delivered",
}
_RECEIPTS = {
    State.READ: ("\u2713\u2713", "bold $success"),
    State.DELIVERED: ("\u2713\u2713", "dim"),
    State.FAILED: ("\u2717 ", "$error"),
}


def presence_text(presence: UserPresence | None) -> str:
    """Whether somebody is there, and since when, in words; empty if that is not known."""
    if presence is None:
        return ""
    if presence.since is None or presence.state == "here":
        return one_line(presence.state)
    return f"{one_line(presence.state)} since {presence.since.astimezone():%d %b %H:%M}"


class DetailsPane(VerticalScroll):
    """What is known of the conversation, and of the message that is selected."""

    DEFAULT_CSS = """
    DetailsPane {
        width: 34;
        height: 1fr;
        border-left: solid $border-blurred;
        padding: 0 1;
        display: none;
        scrollbar-size-vertical: 1;
        Static { height: auto; }
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._text = Static(markup=False)

    def compose(self) -> ComposeResult:
        """A text, which scrolls."""
        yield self._text

    def update_details(
        self,
        session: ChatSession,
        conversation: LocalConversation | None,
        message: LocalMessage | None,
        members: list[MemberListing] | None,
        receipts: list[RecipientState] | None,
    ) -> None:
        """Show it.

        Args:
            session: whose.
            conversation: which is shown.
            message: which is selected.
            members: who is in the room; None if that is not known, or it is none.
            receipts: what became of the message for each recipient; None likewise.
        """
        parts: list[Part] = []
        if message is not None:
            parts += _about_message(message, receipts)
        if conversation is not None:
            parts += _about_conversation(conversation, members)
        parts += _pairs([("You", f"{session.name} at {session.server}"), ("Waiting", f"{session.waiting} to be sent")])
        self._text.update(Content.assemble(*parts))


def _pairs(pairs: list[tuple[str, str]]) -> list[Part]:
    found: list[Part] = []
    for name, value in pairs:
        if value:
            found += [(f"{name}\n", "dim"), f"{placed(value[:400], keep='')}\n"]
    return found


def _about_conversation(conversation: LocalConversation, members: list[MemberListing] | None) -> list[Part]:
    settings = [
        name
        for name, holds in (
            ("muted", conversation.muted),
            ("blocked", conversation.blocked),
            ("you are not in it any more", conversation.left),
        )
        if holds
    ]
    found = _pairs(
        [
            ("Conversation", conversation.title[:64]),
            ("With", _KINDS[conversation.kind]),
            ("Status", presence_text(conversation.presence)),
            ("Topic", conversation.topic),
            ("Who may join", {"public": "everybody", "private": "who is invited"}.get(conversation.access, "")),
            ("You are", conversation.role),
            ("Settings", ", ".join(settings)),
            ("Loaded", f"{len(conversation.messages)} messages"),
        ]
    )
    if members is not None:
        found.append((f"Members: {len(members)}\n", "dim"))
        for each in members[:_MOST]:
            name = shortened(placed(each.name[:33], keep=""), _ROOM - 12)
            role = "" if each.role == "member" else f"  {placed(each.role[:10], keep='')}"
            found += [dot(each.presence), f" {name}", (f"{role}\n", "dim")]
        if len(members) > _MOST:
            found.append((f"and {len(members) - _MOST} more: Alt+M\n", "dim"))
    return [*found, "\n"]


def _about_message(message: LocalMessage, receipts: list[RecipientState] | None) -> list[Part]:
    state = "" if message.state is None else _STATES[message.state]
    if message.state is State.ACCEPTED and message.of:
        state = f"\u2713 {message.have} of {message.of} have it"
    file = message.file
    found = _pairs(
        [
            ("Message", f"from {placed(message.sender[:64], keep='')}"),
            ("Time", f"{message.time.astimezone():%Y-%m-%d %H:%M:%S}"),
            ("Edited", "" if message.edited is None else f"{message.edited.astimezone():%Y-%m-%d %H:%M:%S}"),
            ("Deleted", "" if message.deleted is None else f"{message.deleted.astimezone():%Y-%m-%d %H:%M:%S}"),
            ("Size", "" if message.event else f"{len(message.text.encode('utf-8', 'replace'))} bytes"),
            ("File", "" if file is None else f"{one_line(file.name)}, {size_text(file.size)}"),
            ("State", state),
            ("Why", message.reason[:200]),
            *(("Link", each[:200]) for each in links(message.text)[:5]),
            *((one_line(text)[:24], ", ".join(names)[:200]) for text, names in list(message.reactions.items())[:20]),
        ]
    )
    if receipts is not None:
        found += [("Who has it, who has read it\n", "dim"), receipts_text(receipts[:_MOST])]
        if len(receipts) > _MOST:
            found.append((f"and {len(receipts) - _MOST} more: i\n", "dim"))
    return [*found, "\n"]


def receipts_text(receipts: list[RecipientState]) -> Content:
    """What became of a message for each recipient, a line for each."""
    found: list[Part] = []
    for each in receipts:
        name = shortened(placed(each.name[:33], keep=""), _ROOM - 10)
        name = set_cell_size(name, max(cell_len(name), 14))
        found += [_RECEIPTS.get(each.state, ("\u2713 ", "dim")), f" {name}", (f"{_WORDS[each.state]}\n", "dim")]
    return Content.assemble(*found)


_WORDS = {
    State.QUEUED: " waits",
    State.ACCEPTED: " stored",
    State.DELIVERED: " has it",
    State.READ: " has read it",
    State.FAILED: " not delivered",
}
