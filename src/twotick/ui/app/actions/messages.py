"""What can be done with a message (docs/protocol.md, section 13)."""

import contextlib
import webbrowser
from abc import abstractmethod

from rich.text import Text
from textual import work
from textual.content import Content

from twotick.client import State
from twotick.ui.app.actions.base import ActionScreen
from twotick.ui.app.dialogs.choose import Choice, ChooseDialog
from twotick.ui.app.dialogs.confirm import ConfirmDialog
from twotick.ui.app.dialogs.page import TextPage
from twotick.ui.app.layout.messages import event_text, summary
from twotick.ui.app.layout.wrapping import links, shortened
from twotick.ui.app.model.conversations import LocalConversation
from twotick.ui.app.model.messages import LocalMessage
from twotick.ui.app.session.permissions import Permission
from twotick.ui.app.widgets.completion import emoji
from twotick.ui.app.widgets.details import receipts_text
from twotick.ui.app.widgets.message_list import MessageList
from twotick.ui.app.widgets.undertaking import ComposerMode
from twotick.ui.text import placed

_LONGEST_PAGE = 200_000
"""Characters of a message that are shown when all of it is asked for."""

_USUAL = (
    "\U0001f44d\U0001f44e\U0001f602\U0001f389\U0001f440\u2705"
    "\U0001f64f\U0001f525\U0001f4af\U0001f622\U0001f632\U0001f914"
)
"""What most people react with: they come first."""

_LONGEST_REACTION = 64
"""Bytes (rule 13.1)."""


class MessageActions(ActionScreen):
    """Messages: answer, change, react to, copy them, and find them again."""

    @abstractmethod
    def begin(self, undertaking: ComposerMode) -> None:
        """What is typed from now on answers a message, or takes its place."""

    @abstractmethod
    async def accept_invitation(self, name: str) -> None:
        """Join a room to which one was invited, if one still wants to."""

    def action_reply(self) -> None:
        """Answer a message."""
        message = self.message_for(Permission.REPLY)
        if message is not None:
            self.begin(ComposerMode("reply", message))

    def action_edit(self) -> None:
        """Put another text in place of that of a message."""
        message = self.message_for(Permission.EDIT)
        if message is not None:
            self.begin(ComposerMode("edit", message))

    @work
    async def action_delete(self) -> None:
        """Delete a message, if that is meant."""
        message = self.message_for(Permission.DELETE)
        if message is not None and await self.ask(
            ConfirmDialog("Delete this message, for everybody?", shortened(summary(message), 200))
        ):
            with self.complaining():
                self.session.delete(message)

    @work
    async def action_react(self) -> None:
        """React to a message; with what one has reacted already, take it back."""
        message = self.message_for(Permission.REACT)
        if message is None:
            return
        me = self.session.name.lower()
        mine = {text for text, names in message.reactions.items() if any(name.lower() == me for name in names)}
        text = await self.ask(ChooseDialog("React", _emoji(mine), "Type to find an emoji", _own_text))
        if text is not None:
            with self.complaining():
                self.session.react(message, "" if text in mine else text)

    # Looking at it

    def on_message_list_opened(self, event: MessageList.Opened) -> None:
        """Go to what a message leads to; or show all of it."""
        self.follow(event.message)

    @work
    async def follow(self, message: LocalMessage) -> None:
        """Go to what a message answers, or join the room to which it invites; or show all of it."""
        if message.event is not None and message.event.kind == "invited":
            await self.accept_invitation(message.event.room)
        elif message.reply_to is not None and self.shown is not None:
            if not await self.go_to_message(self.shown, *message.reply_to):
                self.say("That message is not here.")
        else:
            self._show(message)

    def action_show(self) -> None:
        """Show all of a message."""
        message = self.message_for(None)
        if message is not None:
            self._show(message)

    def _show(self, message: LocalMessage) -> None:
        sender = placed(message.sender[:33], keep="")
        text = message.text if len(message.text) <= _LONGEST_PAGE else message.text[:_LONGEST_PAGE] + "\u2026"
        if message.event is not None:
            text = event_text(message.event, sender)
        self.app.push_screen(TextPage(sender or "message", Text(placed(text) or summary(message))))

    async def go_to_message(self, conversation: LocalConversation, sender: str, ident: str) -> bool:
        """Show a message among the others; older ones are loaded for it.

        Returns:
            Whether it is not too old for that.
        """
        message = await self.answer(self.session.load_until(conversation, sender, ident))
        if message is None:
            return False
        if self.shown is not conversation:
            self.open(conversation.name)
        self.messages.focus()
        return self.messages.go_to(message)

    @work
    async def action_receipts(self) -> None:
        """Show what became of a message for each recipient."""
        message = self.message_for(Permission.RECEIPTS)
        receipts = None if message is None else await self.answer(self.session.receipts(message))
        if receipts is not None:
            self.app.push_screen(TextPage("Who has it, who has read it", receipts_text(receipts)))

    def action_copy(self) -> None:
        """Copy a message."""
        message = self.message_for(None)
        if message is not None:
            self.app.copy_to_clipboard(message.text)
            self.say("Copied.")

    @work
    async def action_open_link(self) -> None:
        """Open a link of a message, after it was seen."""
        message = self.message_for(None)
        found = links(message.text) if message is not None else []
        if not found:
            self.say("There is no link in that message.")
            return
        for link in found[:5]:
            if await self.ask(ConfirmDialog("Open this page?", placed(ascii(link)[1:-1][:2000], keep=""))):
                with contextlib.suppress(webbrowser.Error):
                    webbrowser.open(link)
                return

    def action_again(self) -> None:
        """Send a message again."""
        message = self.message_for(Permission.SEND_AGAIN)
        if message is not None and message.state is State.FAILED:
            with self.complaining():
                self.session.send_again(message)
            self.composer.focus()
            self.messages.scroll_to_end()


def _emoji(mine: set[str]) -> list[Choice]:
    """What one can react with: what one has reacted with, which is taken back so, what is usual, and all the rest."""
    names: dict[str, list[str]] = {}
    for name, sign in emoji():
        names.setdefault(sign, []).append(name)
    first = [sign for sign in _USUAL if sign not in mine]
    rest = sorted((sign for sign in names if sign not in mine and sign not in _USUAL), key=lambda sign: names[sign][0])
    taken = [
        Choice(text, Content.assemble(placed(text[:12], keep=""), ("  take it back", "dim")), "take it back")
        for text in mine
    ]
    return taken + [Choice(sign, Content(f"{sign}  {names[sign][0]}"), " ".join(names[sign])) for sign in first + rest]


def _own_text(typed: str) -> Choice | None:
    if not 0 < len(typed.encode("utf-8", "replace")) <= _LONGEST_REACTION:
        return None
    return Choice(typed, Content.assemble(("React with ", "dim"), placed(typed, keep="")), typed)
