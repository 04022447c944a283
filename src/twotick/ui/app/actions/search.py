"""Searching messages (docs/protocol.md, rule 14.5)."""

from twotick.ui.app.actions.base import ActionScreen
from twotick.ui.app.actions.messages import MessageActions
from twotick.ui.app.dialogs.excerpt import ExcerptScreen
from twotick.ui.app.dialogs.search import SearchScreen
from twotick.ui.app.model.conversations import LocalConversation
from twotick.ui.app.session.base import SearchResults
from twotick.ui.searching import SearchText

_EXCERPT = 50
"""Messages that are shown before and after a message that is too old to be loaded in its conversation."""


class SearchActions:
    """Search messages, and go to those that were found."""

    def __init__(self, screen: ActionScreen, messages: MessageActions) -> None:
        self._screen = screen
        self._session = screen.session
        self._messages = messages

    async def search(self, argument: str) -> None:
        """Search, and go to the message that the user chooses."""
        dialog = SearchScreen(self._session, self._screen.shown, self._find, argument)
        hit = await self._screen.show_dialog(dialog)
        if hit is None:
            return
        said = hit.message
        if await self._messages.go_to(hit.conversation, said.sender, said.id, said.is_guest):
            return
        around = await self._screen.ask_server(self._session.around(hit, _EXCERPT))
        if around:
            formatted = self._screen.messages.formatted
            self._screen.app.push_screen(ExcerptScreen(self._session.conversations, hit, around, formatted=formatted))

    async def _find(
        self, asked: SearchText, conversation: LocalConversation | None, before: int | None
    ) -> SearchResults | None:
        return await self._screen.ask_beside(self._session.search(asked, conversation, before))
