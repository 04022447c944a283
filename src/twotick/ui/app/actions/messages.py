"""Actions on messages (docs/protocol.md, section 13)."""

import contextlib
import webbrowser

from rich.text import Text
from textual.content import Content

from twotick.client import State
from twotick.ui.app.actions.base import ActionScreen
from twotick.ui.app.actions.navigation import conversation_choices
from twotick.ui.app.actions.pictures import PictureActions
from twotick.ui.app.actions.rooms import RoomActions
from twotick.ui.app.dialogs.box import columns_inside
from twotick.ui.app.dialogs.choose import Choice, ChooseDialog
from twotick.ui.app.dialogs.confirm import ConfirmDialog
from twotick.ui.app.dialogs.excerpt import ExcerptScreen
from twotick.ui.app.dialogs.page import TextPage
from twotick.ui.app.layout.messages import event_text, said, summary
from twotick.ui.app.layout.wrapping import shortened
from twotick.ui.app.model.conversations import LocalConversation
from twotick.ui.app.model.messages import LocalMessage
from twotick.ui.app.session.base import HELD, SearchHit
from twotick.ui.app.session.permissions import Permission
from twotick.ui.app.widgets.completion import emoji
from twotick.ui.app.widgets.composer_mode import ComposerMode
from twotick.ui.app.widgets.details import receipts_text
from twotick.ui.formatting import links
from twotick.ui.text import for_screen, user_name
from twotick.ui.texts import plural, t
from twotick.ui.thumbnail import format_of

_MAX_PAGE = 200_000
"""Characters of a message that are shown in full."""

_MAX_LINKS = 5
"""Links of a message that the user can open."""

_USUAL = (
    "\U0001f44d\U0001f44e\U0001f602\U0001f389\U0001f440\u2705"
    "\U0001f64f\U0001f525\U0001f4af\U0001f622\U0001f632\U0001f914"
)
"""The most common reactions, which are listed first."""

_MAX_REACTION = 64
"""Bytes of a reaction (rule 13.1)."""


class MessageActions:
    """Reply to messages, change them, react to them, copy and show them."""

    def __init__(self, screen: ActionScreen, rooms: RoomActions) -> None:
        self._screen = screen
        self._session = screen.session
        self._rooms = rooms
        self._pictures = PictureActions(screen)

    def reply(self) -> None:
        """Start a reply to a message."""
        message = self._screen.message_for(Permission.REPLY)
        if message is not None:
            self._screen.start_mode(ComposerMode("reply", message))

    def edit(self) -> None:
        """Start an edit of a message."""
        message = self._screen.message_for(Permission.EDIT)
        if message is not None:
            self._screen.start_mode(ComposerMode("edit", message))

    async def delete(self) -> None:
        """Delete a message if the user confirms."""
        message = self._screen.message_for(Permission.DELETE)
        if message is not None and await self._screen.show_dialog(
            ConfirmDialog(t("Delete this message for everyone?"), shortened(summary(message), 200), t("Delete"))
        ):
            with self._screen.showing_errors():
                self._session.delete(message)
                self._screen.say(t("Deleted. Within {seconds} s, u or /undo brings it back.", seconds=f"{HELD:.0f}"))

    def undo(self) -> None:
        """Take back the last deletion, if it is not too late."""
        with self._screen.showing_errors():
            restored = self._session.undo_deletion()
            self._screen.say(t("The message is back.") if restored else t("There is no deletion to undo any more."))

    async def react(self) -> None:
        """React to a message, or remove a reaction."""
        message = self._screen.message_for(Permission.REACT)
        if message is None:
            return
        me = self._session.name.lower()
        mine = {text for text, names in message.reactions.items() if any(name.lower() == me for name in names)}
        text = await self._screen.show_dialog(
            ChooseDialog(t("React"), _reactions(mine), t("Type to find an emoji"), _other_reaction)
        )
        if text is not None:
            with self._screen.showing_errors():
                self._session.react(message, "" if text in mine else text)

    async def open(self, message: LocalMessage) -> None:
        """Join the room of an invitation, or go to the message that a message replies to, or show it in full."""
        shown = self._screen.shown
        if message.event is not None and message.event.kind == "invited":
            await self._rooms.accept_invitation(message.event.room)
        elif message.reply_to is not None and shown is not None:
            if not await self.go_to(shown, *message.reply_to):
                self._screen.say(t("This message is not available: it is too old, or it was sent before you joined."))
        else:
            self._show(message)

    def show(self) -> None:
        """Show a message in full, or the picture that is attached to it."""
        message = self._screen.message_for(None)
        if message is not None:
            self._show(message)

    def _show(self, message: LocalMessage) -> None:
        file = message.file
        if file is not None and file.key and format_of(file.name):
            self._screen.run_worker(self._pictures.show(message, file))
            return
        sender = user_name(message.sender)
        text = message.text if len(message.text) <= _MAX_PAGE else message.text[:_MAX_PAGE] + "\u2026"
        if message.event is not None:
            text = event_text(message.event, sender)
        title = str(self._session.conversations.profiles.person(message.sender)) or t("Message")
        self._screen.app.push_screen(TextPage(title, Text(for_screen(text) or summary(message))))

    async def go_to(self, conversation: LocalConversation, sender: str, ident: str, guest: bool | None = None) -> bool:
        """Show a message in its conversation, and load older messages if needed. See `ChatSession.load_until`.

        Returns:
            Whether the message was found.
        """
        message = await self._screen.ask_server(self._session.load_until(conversation, sender, ident, guest))
        if message is None:
            return False
        if self._screen.shown is not conversation:
            self._screen.open(conversation.name)
        self._screen.messages.focus()
        return self._screen.messages.go_to(message)

    async def thread(self) -> None:
        """Show the thread of a message."""
        shown, message = self._screen.shown, self._screen.message_for(Permission.REPLY)
        if shown is None or message is None:
            return
        found = await self._screen.ask_server(self._session.thread(message))
        if found:
            where = for_screen(shown.title[:33], keep="")
            heading = plural(
                "Thread in {where}: 1 answer", "Thread in {where}: {n} answers", len(found) - 1, where=where
            )
            hit, formatted = SearchHit(shown, message), self._screen.messages.formatted
            excerpt = ExcerptScreen(self._session.conversations, hit, found, formatted=formatted, heading=heading)
            self._screen.app.push_screen(excerpt)
        elif found is not None:
            self._screen.say(t("This message is in no thread."))

    async def forward(self) -> None:
        """Send a message on to another conversation, or quote it there if the server does not send it on."""
        shown, message = self._screen.shown, self._screen.message_for(None)
        if shown is None or message is None or not (message.text or message.file):
            self._screen.say(t("Select a message with a text or a file to forward it."), problem=True)
            return
        choices = conversation_choices(self._screen, self._session.conversations)
        name = await self._screen.show_dialog(ChooseDialog(t("Forward to"), choices))
        if name is None:
            return
        problem: str | None = t("it is not a stored message of a member")
        if self._session.can(Permission.FORWARD, shown, message):
            problem = await self._screen.ask_server(self._session.forward(message, self._session.open(name)))
        if problem is None:
            return
        self._screen.open(name)
        if not problem:
            online = self._session.connected
            self._screen.say(t("Forwarded.") if online else t("It waits to be sent until there is a connection."))
        elif message.text:
            self._screen.say(t("Only quoted: {problem}. Press Enter to send the quote.", problem=problem))
            self._quote(message)
        else:
            self._screen.say(
                t("Not forwarded: {problem}. Save the file, and send it yourself.", problem=problem), problem=True
            )

    def _quote(self, message: LocalMessage) -> None:
        """Quote a message in the composer, where the user can add something before sending it."""
        self._stop_editing()
        composer = self._screen.composer
        quoted = "\n".join(f"> {line}" for line in f"{message.sender}: {said(message)}".splitlines())
        composer.text = f"{composer.text}\n{quoted}\n".lstrip("\n")

    def _stop_editing(self) -> None:
        """End an edit in progress, so that what is put into the composer does not become part of it."""
        mode = self._screen.mode
        if mode is not None and mode.kind == "edit":
            self._screen.end_mode()

    async def pin(self) -> None:
        """Pin a message for all in the conversation, or unpin it."""
        message = self._screen.message_for(Permission.PIN)
        if message is None:
            return
        pinned = await self._screen.ask_beside(self._session.toggle_pin(message))
        if pinned is not None:
            self._screen.say(
                t("Pinned for all here. /pins lists what is pinned.") if pinned else t("No longer pinned.")
            )

    async def pins(self) -> None:
        """List the pinned messages of the conversation, and go to the one that the user chooses."""
        shown = self._screen.shown
        found = None if shown is None else await self._screen.ask_server(self._session.pinned_messages(shown))
        if shown is None or found is None:
            return
        if not found:
            self._screen.say(t("No message is pinned here. p pins the selected one."))
            return
        profiles = self._session.conversations.profiles
        lines = [f"{profiles.person(each.sender)}: {summary(each)}" for each in found]
        choices = [Choice(str(index), Content(line), line) for index, line in enumerate(lines)]
        chosen = await self._screen.show_dialog(ChooseDialog(t("Pinned messages"), choices))
        if chosen is not None:
            message = found[int(chosen)]
            if not await self.go_to(shown, message.sender, message.id, message.is_guest):
                self._show(message)

    async def receipts(self) -> None:
        """Show the delivery state of a message for each recipient."""
        message = self._screen.message_for(Permission.RECEIPTS)
        receipts = None if message is None else await self._screen.ask_server(self._session.receipts(message))
        if receipts is not None:
            columns = columns_inside(self._screen.size.width)
            text = receipts_text(receipts, self._session.conversations.profiles, columns)
            self._screen.app.push_screen(TextPage(t("Receipts"), text))

    def copy(self) -> None:
        """Copy the text of a message."""
        message = self._screen.message_for(None)
        if message is not None:
            self._screen.app.copy_to_clipboard(message.text)
            self._screen.say(t("Message copied."))

    async def open_link(self) -> None:
        """Open a link of a message after the user has seen the address."""
        message = self._screen.message_for(None)
        found = links(message.text) if message is not None else []
        if not found:
            self._screen.say(t("This message has no links."))
            return
        for link in found[:_MAX_LINKS]:
            question = ConfirmDialog(
                t("Open this page?"), for_screen(ascii(link)[1:-1][:2000], keep=""), t("Open"), harmless=True
            )
            if await self._screen.show_dialog(question):
                with contextlib.suppress(webbrowser.Error):
                    webbrowser.open(link)
                return

    def send_again(self) -> None:
        """Send a message again that was not delivered."""
        message = self._screen.message_for(Permission.SEND_AGAIN)
        if message is not None and message.state is State.FAILED:
            with self._screen.showing_errors():
                self._session.send_again(message)
            self._screen.composer.focus()
            self._screen.messages.scroll_to_end()

    def cancel(self) -> None:
        """Do not send a message that waits. Its text goes back into the composer if nothing is typed there."""
        message = self._screen.message_for(Permission.CANCEL)
        if message is None:
            return
        with self._screen.showing_errors():
            if not self._session.cancel(message):
                self._screen.say(t("Too late: the message is on its way."), problem=True)
                return
            self._screen.say(t("The message is not sent."))
            self._stop_editing()
            if not self._screen.composer.text:
                self._screen.composer.text = message.text
            self._screen.write()


def _reactions(mine: set[str]) -> list[Choice]:
    """Return the possible reactions: first the user's own, to remove them, then the usual ones, then the rest."""
    names: dict[str, list[str]] = {}
    for name, sign in emoji():
        names.setdefault(sign, []).append(name)
    first = [sign for sign in _USUAL if sign not in mine]
    rest = sorted((sign for sign in names if sign not in mine and sign not in _USUAL), key=lambda sign: names[sign][0])
    own = [
        Choice(text, Content.assemble(for_screen(text[:12], keep=""), ("  " + t("remove"), "dim")), t("remove"))
        for text in mine
    ]
    return own + [Choice(sign, Content(f"{sign}  {names[sign][0]}"), " ".join(names[sign])) for sign in first + rest]


def _other_reaction(typed: str) -> Choice | None:
    """Return the typed text as a reaction; None if it is too long or empty."""
    if not 0 < len(typed.encode("utf-8", "replace")) <= _MAX_REACTION:
        return None
    return Choice(typed, Content.assemble((t("React with") + " ", "dim"), for_screen(typed, keep="")), typed)
