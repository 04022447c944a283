"""The pane with the details of the conversation and of the selected message."""

from datetime import datetime
from typing import TypeAlias

from rich.cells import cell_len, set_cell_size
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from twotick.client import State
from twotick.client.member.results import RecipientState
from twotick.ui.app.layout.messages import writer
from twotick.ui.app.layout.wrapping import shortened, wrap_text
from twotick.ui.app.model.conversations import ConversationKind, LocalConversation, UserPresence
from twotick.ui.app.model.messages import LocalMessage
from twotick.ui.app.model.rooms import GUEST, MemberListing
from twotick.ui.app.session.base import ChatSession
from twotick.ui.app.widgets.people import person_parts, presence_sign, role_name
from twotick.ui.formatting import links
from twotick.ui.people import Person, ProfileBook
from twotick.ui.text import for_screen, one_line, size_text
from twotick.ui.texts import later, numeric_date, plural, short_time, t

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
    ConversationKind.DIRECT: later("one user"),
    ConversationKind.EVERYONE: later("all connected users"),
    ConversationKind.ROOM: later("a room"),
}
_STATES = {
    State.QUEUED: later("waiting to be sent"),
    State.ACCEPTED: later("\u2713 stored by the server"),
    State.DELIVERED: later("\u2713\u2713 delivered"),
    State.READ: later("\u2713\u2713 read"),
    State.FAILED: later("\u2717 not delivered"),
}
_PRESENCE = {"here": later("here"), "away": later("away"), "gone": later("gone")}
_ACCESS = {
    "public": later("public: every member may join"),
    "guests": later("public: members and guests may join"),
    "private": later("private: by invitation"),
}
_RECEIPTS = {
    State.READ: ("\u2713\u2713", "bold $success"),
    State.DELIVERED: ("\u2713\u2713", "dim"),
    State.FAILED: ("\u2717 ", "$error"),
}


def presence_text(presence: UserPresence | None) -> str:
    """Return the presence of a user in words, such as `away since 23 Nov 09:30`; empty if it is unknown."""
    if presence is None:
        return ""
    state = t(_PRESENCE[presence.state]) if presence.state in _PRESENCE else one_line(presence.state)
    if presence.since is None or presence.state == "here":
        return state
    return t("{state} since {time}", state=state, time=short_time(presence.since.astimezone()))


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
        waiting = plural("1 message", "{n} messages", session.waiting) if session.waiting else ""
        parts += [
            (t("You") + "\n", "bold"),
            *_pairs([(t("Name"), session.name), (t("Server"), session.server), (t("Waiting"), waiting)]),
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
            (t("muted"), conversation.muted),
            (t("blocked"), conversation.blocked),
            (t("you left the room"), conversation.left),
        )
        if holds
    ]
    found: list[Part] = [(t("Conversation") + "\n", "bold")]
    found += _pairs(
        [
            (t("Name"), conversation.title[:64]),
            (t("Display"), profile.display),
            (t("Note"), t("looks like {other}, and is not", other=other) if other else ""),
            (t("Says"), profile.status),
            (t("With"), t(_KINDS[conversation.kind])),
            (t("Status"), presence_text(conversation.presence)),
            (t("Topic"), conversation.topic),
            (t("Access"), t(_ACCESS[conversation.access]) if conversation.access in _ACCESS else ""),
            (t("Role"), role_name(conversation.role)),
            (t("Settings"), ", ".join(settings)),
            (t("Loaded"), plural("1 message", "{n} messages", len(conversation.messages))),
        ]
    )
    if members is not None:
        guests = [each for each in members if each.role == GUEST]
        found += _list_of(t("Members"), [each for each in members if each.role != GUEST], profiles)
        if guests:
            found += _list_of(t("Guests"), guests, profiles)
    return [*found, "\n"]


def _list_of(title: str, people: list[MemberListing], profiles: ProfileBook) -> list[Part]:
    """Return the members of a room, or its guests, one per line."""
    found: list[Part] = ["\n", (title, "bold"), (f"  {len(people)}\n", "dim")]
    for each in people[:_MAX_SHOWN]:
        # A member's display name is not that of a guest.
        person = Person(each.name) if each.role == GUEST else profiles.person(each.name)
        found += [presence_sign(each.presence), " ", *person_parts(person, _COLUMNS - 2, role=role_name(each.role))]
        found.append("\n")
    if len(people) > _MAX_SHOWN:
        found.append((t("and {n} more: Alt+M", n=len(people) - _MAX_SHOWN) + "\n", "dim"))
    return found


def _about_message(message: LocalMessage, profiles: ProfileBook, receipts: list[RecipientState] | None) -> list[Part]:
    state = "" if message.state is None else t(_STATES[message.state])
    if message.state is State.ACCEPTED and message.of:
        state = "\u2713 " + t("delivered to {have} of {of}", have=message.have, of=message.of)
    file = message.file
    found: list[Part] = [(t("Message") + "\n", "bold")]
    found += _pairs(
        [
            (t("From"), str(writer(message, profiles))),
            (t("Time"), _moment(message.time)),
            (t("Edited"), "" if message.edited is None else _moment(message.edited)),
            (t("Deleted"), "" if message.deleted is None else _moment(message.deleted)),
            (
                t("Size"),
                "" if message.event else plural("1 byte", "{n} bytes", len(message.text.encode("utf-8", "replace"))),
            ),
            (t("File"), "" if file is None else f"{one_line(file.name)}, {size_text(file.size)}"),
            (t("State"), state),
            (t("Reason"), t(message.reason)[:200]),
            *((t("Link"), each[:200]) for each in links(message.text)[:5]),
            *(
                (one_line(text), ", ".join(str(profiles.person(name)) for name in names[:20])[:200])
                for text, names in list(message.reactions.items())[:20]
            ),
        ]
    )
    if receipts:
        found += ["\n", (t("Receipts") + "\n", "bold"), receipts_text(receipts[:_MAX_SHOWN], profiles, _COLUMNS)]
        if len(receipts) > _MAX_SHOWN:
            found.append((t("and {n} more: i", n=len(receipts) - _MAX_SHOWN) + "\n", "dim"))
    return [*found, "\n"]


def _moment(when: datetime) -> str:
    local = when.astimezone()
    return f"{numeric_date(local)} {local:%H:%M:%S}"


def receipts_text(receipts: list[RecipientState], profiles: ProfileBook, columns: int) -> Content:
    """Return the delivery state of a message for each recipient, one per line.

    Args:
        receipts: the states.
        profiles: what users say of themselves.
        columns: the available columns.
    """
    found: list[Part] = []
    for each in receipts:
        state = " " + t(_WORDS[each.state])
        who = person_parts(profiles.person(each.name), columns - 3 - cell_len(state), column=14)
        found += [_RECEIPTS.get(each.state, ("\u2713 ", "dim")), " ", *who, (f"{state}\n", "dim")]
    return Content.assemble(*found)


_WORDS = {
    State.QUEUED: later("waiting"),
    State.ACCEPTED: later("stored"),
    State.DELIVERED: later("delivered"),
    State.READ: later("read"),
    State.FAILED: later("not delivered"),
}
