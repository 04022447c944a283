"""The details pane, and when it requests its data from the server."""

import asyncio
import contextlib

from twotick.client import State, TwotickError
from twotick.client.member.results import RecipientState
from twotick.ui.app.actions.base import ActionScreen
from twotick.ui.app.model.conversations import LocalConversation
from twotick.ui.app.model.messages import LocalMessage
from twotick.ui.app.model.rooms import GUEST, MemberListing
from twotick.ui.app.session.permissions import Permission
from twotick.ui.app.widgets.details import DetailsPane

_DELAY = 0.2
"""Seconds for which a message is selected before its receipts are requested: the user may only be passing by."""

_PAUSE = 1.0
"""Seconds between two requests for the members of a room in which guests come and go."""


class DetailsActions:
    """Shows or hides the details, and keeps them up to date while they are shown.

    Attributes:
        pane: the widget.
    """

    def __init__(self, screen: ActionScreen) -> None:
        self.pane = DetailsPane()
        self._screen = screen
        self._session = screen.session
        self._members: list[MemberListing] | None = None
        self._members_of: tuple[str, int, int, int] | None = None
        self._asking_for: str | None = None  # the key of the room whose members are being requested
        self._selected: LocalMessage | None = None  # when the details were opened
        self._receipts: list[RecipientState] | None = None
        self._receipts_of: tuple[int, State | None, int] | None = None

    def update(self) -> None:
        """Show the details, and request what may have changed."""
        if not self._screen.has_class("-details"):
            return
        self._update_members(self._screen.shown)
        self._update_receipts(self._screen.shown, self._message)
        self._show()

    def _update_members(self, shown: LocalConversation | None) -> None:
        if shown is None or not self._session.can(Permission.MEMBERS, shown):
            self._members, self._members_of = None, None
        elif self._members_of != (room := (shown.key, shown.members, _newest_event(shown), shown.visits)):
            if self._members_of is None or self._members_of[0] != shown.key:
                self._members = None
            self._members_of = room
            if self._asking_for != shown.key:
                self._asking_for = shown.key
                self._screen.run_worker(self._request_members(shown), group="members", exclusive=True)

    def _update_receipts(self, shown: LocalConversation | None, message: LocalMessage | None) -> None:
        if shown is None or message is None or not self._session.can(Permission.RECEIPTS, shown, message):
            self._receipts, self._receipts_of = None, None
        elif self._receipts_of != (state := (message.number, message.state, message.have)):
            self._receipts, self._receipts_of = None, state
            self._screen.run_worker(self._request_receipts(message), group="receipts", exclusive=True)

    def _show(self) -> None:
        members = self._members
        if members is not None:
            presence = self._session.conversations.presence
            members = [
                each if each.role == GUEST else each._replace(presence=presence(each.name) or each.presence)
                for each in members
            ]
        self.pane.update_details(self._session, self._screen.shown, self._message, members, self._receipts)

    async def _request_members(self, room: LocalConversation) -> None:
        """Request the members and guests until there is nothing new, however often guests come and go meanwhile."""
        try:
            while (wanted := self._members_of) is not None and wanted[0] == room.key:
                self._members = await self._session.members(room)
                self._show()
                if wanted == self._members_of:
                    break
                await asyncio.sleep(_PAUSE)
        except TwotickError:
            pass  # the members are not shown then
        finally:
            if self._asking_for == room.key:
                self._asking_for = None

    async def _request_receipts(self, message: LocalMessage) -> None:
        await asyncio.sleep(_DELAY)
        with contextlib.suppress(TwotickError):  # the receipts are not shown then
            self._receipts = await self._session.receipts(message)
            self._show()

    def toggle(self) -> None:
        """Show or hide the details."""
        screen = self._screen
        screen.toggle_class("-details")
        if not screen.has_class("-narrow"):  # there they cover the messages
            screen.keep_choice("details", screen.has_class("-details"))
        self._members_of = self._receipts_of = None
        self._selected = screen.messages.selected
        if screen.has_class("-narrow"):  # the details cover the messages
            screen.set_focus(self.pane if screen.has_class("-details") else screen.composer)
        self.update()

    @property
    def _message(self) -> LocalMessage | None:
        """The selected message or, if the details cover the messages, the one that was selected before."""
        return self._screen.messages.selected or (self._selected if self._screen.has_class("-narrow") else None)


def _newest_event(conversation: LocalConversation) -> int:
    """Return the number of the newest room event, which may have changed the members."""
    return next((each.number for each in reversed(conversation.messages) if each.event is not None), 0)
