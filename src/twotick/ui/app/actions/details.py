"""The details at the right: what the server is asked for them, and when."""

import asyncio
import contextlib

from textual import work

from twotick.client import State, TwotickError
from twotick.client.member.results import RecipientState
from twotick.ui.app.actions.base import ActionScreen
from twotick.ui.app.model.conversations import LocalConversation
from twotick.ui.app.model.messages import LocalMessage
from twotick.ui.app.model.rooms import MemberListing
from twotick.ui.app.session.base import ChatSession
from twotick.ui.app.session.permissions import Permission
from twotick.ui.app.widgets.details import DetailsPane

_PAUSE = 0.2
"""Seconds for which a message is selected before it is asked for its receipts: one may only be passing by."""


class DetailsActions(ActionScreen):
    """Shows the details, as long as somebody wants to see them."""

    def __init__(self, session: ChatSession) -> None:
        super().__init__(session)
        self.details = DetailsPane()
        self._members: list[MemberListing] | None = None
        self._members_of: tuple[str, int, int] | None = None
        self._chosen: LocalMessage | None = None
        self._receipts: list[RecipientState] | None = None
        self._receipts_of: tuple[int, State | None, int] | None = None

    def update_details(self) -> None:
        """Show what is known, and ask for what may be different."""
        if not self.has_class("-details"):
            return
        shown, message = self.shown, self._about
        if shown is None or not self.session.can(Permission.MEMBERS, shown):
            self._members, self._members_of = None, None
        elif self._members_of != (room := (shown.key, shown.members, _newest_event(shown))):
            if self._members_of is None or self._members_of[0] != shown.key:
                self._members = None
            self._members_of = room
            self._ask_members(shown)
        if shown is None or message is None or not self.session.can(Permission.RECEIPTS, shown, message):
            self._receipts, self._receipts_of = None, None
        elif self._receipts_of != (about := (message.number, message.state, message.have)):
            self._receipts, self._receipts_of = None, about
            self._ask_receipts(message)
        self._show_details()

    def _show_details(self) -> None:
        members = self._members
        if members is not None:
            presence = self.session.conversations.presence
            members = [each._replace(presence=presence(each.name) or each.presence) for each in members]
        self.details.update_details(self.session, self.shown, self._about, members, self._receipts)

    @work(group="members", exclusive=True)
    async def _ask_members(self, room: LocalConversation) -> None:
        with contextlib.suppress(TwotickError):  # then they are not shown
            self._members = await self.session.members(room)
            self._show_details()

    @work(group="receipts", exclusive=True)
    async def _ask_receipts(self, message: LocalMessage) -> None:
        await asyncio.sleep(_PAUSE)
        with contextlib.suppress(TwotickError):  # likewise
            self._receipts = await self.session.receipts(message)
            self._show_details()

    def action_details(self) -> None:
        """Show or hide the details."""
        self.toggle_class("-details")
        self._members_of = self._receipts_of = None
        self._chosen = self.messages.selected
        if self.has_class("-narrow"):  # there is nothing else to be seen
            self.set_focus(self.details if self.has_class("-details") else self.composer)
        self.update_details()

    @property
    def _about(self) -> LocalMessage | None:
        """The message that is selected; or was, where the details have the whole screen."""
        return self.messages.selected or (self._chosen if self.has_class("-narrow") else None)


def _newest_event(conversation: LocalConversation) -> int:
    """The number of the newest thing that happened in a room, after which its members may be others."""
    return next((each.number for each in reversed(conversation.messages) if each.event is not None), 0)
