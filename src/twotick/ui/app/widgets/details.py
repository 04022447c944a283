"""The pane with the details of the conversation and of the selected message."""

from typing import TypeAlias

from rich.cells import set_cell_size
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from twotick.client import State
from twotick.client.member.results import RecipientState
from twotick.ui.app.layout.wrapping import shortened, wrap_text
from twotick.ui.app.model.conversations import ConversationKind, LocalConversation, UserPresence
from twotick.ui.app.model.messages import LocalMessage
from twotick.ui.app.model.rooms import MemberListing
from twotick.ui.app.session.base import ChatSession
from twotick.ui.app.widgets.people import person_parts, presence_sign
from twotick.ui.formatting import links
from twotick.ui.people import ProfileBook
from twotick.ui.text import for_screen, one_line, size_text

_MAX_SHOWN = 200
"""Members or recipients that are shown."""

_COLUMNS = 30
"""Columns of a line."""

_LABEL = 9
"""Columns for what a value is."""

_MAX_LINES = 4
"""Lines of a value after its first one."""

Part: TypeAlias = "str | Content | tuple[str, str]"

_KINDS = {
    ConversationKind.DIRECT: "one user",
    ConversationKind.EVERYONE: "all connected users",
    ConversationKind.ROOM: "a room",
}
_STATES = {
    State.QUEUED: "waiting to be sent",
    State.ACCEPTED: "\u2713 stored by the server",
    State.DELIVERED: "\u2713\u2713 delivered",
    State.READ: "\u2713\u2713 read",
    State.FAILED: "\u2717 not delivered",
}
_ACCESS = {"public": "public: every member may join", "private": "private: by invitation"}
_RECEIPTS = {
    State.READ: ("\u2713\u2713", "bold $success"),
    State.DELIVERED: ("\u2713\u2713", "dim"),
    State.FAILED: ("\u2717 ", "$error"),
}


def presence_text(presence: UserPresence | None) -> str:
    """Return the presence of a user in words, such as `away since 23 Nov 09:30`; empty if it is unknown."""
    if presence is None:
        return ""
    if presence.since is None or presence.state == "here":
        return one_line(presence.state)
    return f"{one_line(presence.state)} since {presence.since.astimezone():%d %b %H:%M}"


class DetailsPane(VerticalScroll):
    """The pane with the details of the conversation and of the selected message."""

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
        """Create the text."""
        yield self._text

    def update_details(
        self,
        session: ChatSession,
        conversation: LocalConversation | None,
        message: LocalMessage | None,
        members: list[MemberListing] | None,
        receipts: list[RecipientState] | None,
    ) -> None:
        """Show details.

        Args:
            session: the session of the user.
            conversation: the conversation that is shown; None if there is none.
            message: the selected message; None if there is none.
            members: the members of the room; None if they are unknown or the conversation is not a room.
            receipts: the delivery state of the message for each recipient; None if it is unknown.
        """
        parts: list[Part] = []
        if message is not None:
            parts += _about_message(message, session.conversations.profiles, receipts)
        if conversation is not None:
            parts += _about_conversation(conversation, session.conversations.profiles, members)
        waiting = f"{session.waiting} messages" if session.waiting else ""
        parts += [
            ("You\n", "bold"),
            *_pairs([("Name", session.name), ("Server", session.server), ("Waiting", waiting)]),
        ]
        self._text.update(Content.assemble(*parts))


def _pairs(pairs: list[tuple[str, str]]) -> list[Part]:
    """Return values below each other, each after what it is. Those that are empty are left out."""
    found: list[Part] = []
    for name, value in pairs:
        if value:
            first, *more = wrap_text(for_screen(value[:400], keep=""), _COLUMNS - _LABEL)
            if len(more) >= _MAX_LINES:
                more[_MAX_LINES - 1 :] = ["\u2026"]
            found += [(set_cell_size(shortened(name, _LABEL - 1), _LABEL), "dim"), f"{first}\n"]
            found += [f"{' ' * _LABEL}{line}\n" for line in more]
    return found


def _about_conversation(
    conversation: LocalConversation, profiles: ProfileBook, members: list[MemberListing] | None
) -> list[Part]:
    profile, other = profiles.of(conversation.name), profiles.mistaken_for(conversation.name)
    settings = [
        name
        for name, holds in (
            ("muted", conversation.muted),
            ("blocked", conversation.blocked),
            ("you left the room", conversation.left),
        )
        if holds
    ]
    found: list[Part] = [("Conversation\n", "bold")]
    found += _pairs(
        [
            ("Name", conversation.title[:64]),
            ("Display", profile.display),
            ("Note", f"looks like {other}, and is not" if other else ""),
            ("Says", profile.status),
            ("With", _KINDS[conversation.kind]),
            ("Status", presence_text(conversation.presence)),
            ("Topic", conversation.topic),
            ("Access", _ACCESS.get(conversation.access, "")),
            ("Role", conversation.role),
            ("Settings", ", ".join(settings)),
            ("Loaded", f"{len(conversation.messages)} messages"),
        ]
    )
    if members is not None:
        found += ["\n", ("Members", "bold"), (f"  {len(members)}\n", "dim")]
        for each in members[:_MAX_SHOWN]:
            role = for_screen(each.role[:9], keep="")
            who = person_parts(profiles.person(each.name), _COLUMNS - 2, role=role)
            found += [presence_sign(each.presence), " ", *who, "\n"]
        if len(members) > _MAX_SHOWN:
            found.append((f"and {len(members) - _MAX_SHOWN} more: Alt+M\n", "dim"))
    return [*found, "\n"]


def _about_message(message: LocalMessage, profiles: ProfileBook, receipts: list[RecipientState] | None) -> list[Part]:
    state = "" if message.state is None else _STATES[message.state]
    if message.state is State.ACCEPTED and message.of:
        state = f"\u2713 delivered to {message.have} of {message.of}"
    file = message.file
    found: list[Part] = [("Message\n", "bold")]
    found += _pairs(
        [
            ("From", str(profiles.person(message.sender))),
            ("Time", f"{message.time.astimezone():%Y-%m-%d %H:%M:%S}"),
            ("Edited", "" if message.edited is None else f"{message.edited.astimezone():%Y-%m-%d %H:%M:%S}"),
            ("Deleted", "" if message.deleted is None else f"{message.deleted.astimezone():%Y-%m-%d %H:%M:%S}"),
            ("Size", "" if message.event else f"{len(message.text.encode('utf-8', 'replace'))} bytes"),
            ("File", "" if file is None else f"{one_line(file.name)}, {size_text(file.size)}"),
            ("State", state),
            ("Reason", message.reason[:200]),
            *(("Link", each[:200]) for each in links(message.text)[:5]),
            *(
                (one_line(text), ", ".join(str(profiles.person(name)) for name in names[:20])[:200])
                for text, names in list(message.reactions.items())[:20]
            ),
        ]
    )
    if receipts:
        found += ["\n", ("Receipts\n", "bold"), receipts_text(receipts[:_MAX_SHOWN], profiles, _COLUMNS)]
        if len(receipts) > _MAX_SHOWN:
            found.append((f"and {len(receipts) - _MAX_SHOWN} more: i\n", "dim"))
    return [*found, "\n"]


def receipts_text(receipts: list[RecipientState], profiles: ProfileBook, columns: int) -> Content:
    """Return the delivery state of a message for each recipient, one per line.

    Args:
        receipts: the states.
        profiles: what users say of themselves.
        columns: the available columns.
    """
    found: list[Part] = []
    for each in receipts:
        state = _WORDS[each.state]
        who = person_parts(profiles.person(each.name), columns - 3 - len(state), column=14)
        found += [_RECEIPTS.get(each.state, ("\u2713 ", "dim")), " ", *who, (f"{state}\n", "dim")]
    return Content.assemble(*found)


_WORDS = {
    State.QUEUED: " waiting",
    State.ACCEPTED: " stored",
    State.DELIVERED: " delivered",
    State.READ: " read",
    State.FAILED: " not delivered",
}
