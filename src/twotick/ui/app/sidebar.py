"""The list of conversations, and the panel with details."""

from rich.cells import cell_len, set_cell_size
from rich.text import Text
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from twotick.client import State
from twotick.ui.app.layout import links
from twotick.ui.app.model import Conversation, Kind, Message
from twotick.ui.app.session import Session
from twotick.ui.text import placed

_WIDTH = 22
"""Columns of the list, with its border."""


def counts(conversation: Conversation) -> str:
    """How many messages are unread, in short; with an `@` if one of them names the user."""
    unread = "99+" if conversation.unread > 99 else str(conversation.unread or "")
    return f"@{unread}" if conversation.mentions else unread


class Sidebar(OptionList):
    """The conversations, the one where something happened last first."""

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

    def update_conversations(self, conversations: list[Conversation], shown: Conversation | None) -> None:
        """Show these, one of which is the one whose messages are shown."""
        chosen = self.highlighted_option
        options = [Option(_entry(each, each is shown), each.key) for each in conversations]
        self.set_options(options)
        key = chosen.id if chosen is not None and self.has_focus else shown.key if shown is not None else None
        self.highlighted = next((index for index, each in enumerate(conversations) if each.key == key), None)


def _entry(conversation: Conversation, shown: bool) -> Text:
    room = _WIDTH - 3
    count = counts(conversation)
    draft = "" if shown or not conversation.draft else "\u270e"
    right = " ".join(each for each in (draft, count) if each)
    name = placed(conversation.title[:64], keep="")
    left = room - 1 - (cell_len(right) + 1 if right else 0)
    if cell_len(name) > left:
        name = set_cell_size(name, left - 1) + "\u2026"
    style = "bold" if conversation.unread or shown else ""
    return Text.assemble(
        ("\u258c" if shown else " ", "bold"),
        (set_cell_size(name, left), style),
        (" " + right if right else "", "bold" if count else ""),
        no_wrap=True,
    )


class Details(Static):
    """What is known of the conversation, and of the message that is selected."""

    DEFAULT_CSS = """
    Details {
        width: 34;
        height: 1fr;
        border-left: solid $border-blurred;
        padding: 0 1;
        display: none;
        overflow-y: auto;
    }
    """

    def update_details(self, session: Session, conversation: Conversation | None, message: Message | None) -> None:
        """Show it."""
        lines: list[tuple[str, str]] = [("", "")]
        if conversation is not None:
            direct = conversation.kind is Kind.DIRECT
            lines += [
                ("Conversation", placed(conversation.title, keep="")),
                ("With", "one person" if direct else "everybody who is connected"),
                ("Loaded", f"{len(conversation.messages)} messages"),
            ]
        lines += [("You", f"{session.name} at {session.server}"), ("Waiting", f"{session.waiting} to be sent")]
        if message is not None:
            lines += [
                ("", ""),
                ("Message", f"from {placed(message.sender[:64], keep='')}"),
                ("Time", f"{message.time.astimezone():%Y-%m-%d %H:%M:%S}"),
                ("Size", f"{len(message.text.encode('utf-8', 'replace'))} bytes"),
            ]
            if message.state is not None:
                lines.append(("State", _STATES[message.state]))
            if message.reason:
                lines.append(("Why", placed(message.reason[:200], keep="")))
            lines += [("Link", placed(each[:200], keep="")) for each in links(message.text)[:5]]
        text = Text()
        for name, value in lines:
            text.append(f"{name}\n" if name else "\n", "dim")
            if name:
                text.append(f"{value}\n")
        self.update(text)


_STATES = {
    State.QUEUED: "waits to be sent",
    State.ACCEPTED: "\u2713 stored by the server",
    State.DELIVERED: "\u2713\u2713 a device has it",
    State.READ: "\u2713\u2713 read",
    State.FAILED: "\u2717 not delivered",
}
