"""Actions on other users, and the user's own presence (docs/protocol.md, sections 14, 15 and 17)."""

import re
import time

from textual.content import Content

from twotick.ui.app.actions.base import ActionScreen
from twotick.ui.app.dialogs.choose import Choice, ChooseDialog
from twotick.ui.app.dialogs.confirm import ConfirmDialog
from twotick.ui.app.dialogs.text import TextDialog
from twotick.ui.app.layout.messages import summary
from twotick.ui.app.session.permissions import Permission
from twotick.ui.text import one_line
from twotick.ui.texts import later, t

_STATUSES = {
    "here": later("Here: away after 10 minutes without a key"),
    "away": later("Away: until you change it"),
    "hidden": later("Hidden: no one sees your presence"),
}

_UNITS = {"m": 60, "h": 3600, "d": 86400}

_LONGEST = 365 * 86400
"""Seconds for which a conversation can be muted at most; without a time, it is muted until the user changes it."""

_MAX_REPORT = 4096
"""Bytes of a report."""


class PeopleActions:
    """Mute, block and report; set the own presence."""

    def __init__(self, screen: ActionScreen) -> None:
        self._screen = screen
        self._session = screen.session

    async def mute(self, argument: str) -> None:
        """Turn notifications for the conversation off or on, or off for a time such as `2h`."""
        shown = self._screen.shown
        if shown is None:
            return
        if argument and argument != "off":
            seconds = _seconds(argument)
            if seconds is None:
                self._screen.say(t("Write it like this: /mute 30m, /mute 8h, /mute 7d or /mute off"), problem=True)
            elif await self._screen.succeeds(self._session.mute_until(shown, time.time() + seconds)):
                self._screen.say(t("Notifications for {title} are off for {time}.", title=shown.title, time=argument))
            return
        muted = not shown.muted and not argument
        if await self._screen.succeeds(self._session.set_muted(shown, muted)):
            self._screen.say(
                t("Notifications for {title} are off.", title=shown.title)
                if shown.muted
                else t("Notifications for {title} are on.", title=shown.title)
            )

    async def block(self) -> None:
        """Block the user of the conversation if the user confirms, or unblock."""
        shown = self._screen.shown
        if shown is None:
            return
        name = self._session.conversations.profiles.person(shown.name)
        what = t("You will not receive direct messages from {person}. {name} is not told.", person=name, name=name.name)
        dialog = ConfirmDialog(t("Block {name}?", name=name.name), what, t("Block"))
        if not shown.blocked and not await self._screen.show_dialog(dialog):
            return
        if await self._screen.succeeds(self._session.set_blocked(shown, not shown.blocked)):
            self._screen.say(
                t("{title} is blocked.", title=shown.title)
                if shown.blocked
                else t("{title} is no longer blocked.", title=shown.title)
            )

    async def report(self, argument: str) -> None:
        """Report a user, with the selected message if there is one."""
        shown, message = self._screen.shown, self._screen.messages.selected
        if shown is None:
            return
        if message is not None and not self._session.can(Permission.REPORT, shown, message):
            message = None
        name = self._session.conversations.profiles.person(shown.name if message is None else message.sender)
        dialog = TextDialog(t("Report {name}", name=name), hint=t("What is wrong?"), max_length=_MAX_REPORT)
        text = argument or await self._screen.show_dialog(dialog)
        if not text:
            return
        what = t("The operator of the server receives your report: {text}", text=one_line(text))
        if message is not None:
            what += "\n\n" + t("It includes a copy of this message: {message}", message=summary(message))
        if await self._screen.show_dialog(
            ConfirmDialog(t("Report {name}?", name=name), what, t("Report"), harmless=True)
        ) and await self._screen.succeeds(self._session.report(shown, text, message)):
            self._screen.say(t("Report sent to the operator."))

    async def set_display_name(self, argument: str) -> None:
        """Set the display name, or remove it."""
        if await self._screen.succeeds(self._session.set_profile(display=argument)):
            self._screen.say(
                t("Your display name is: {name}", name=argument) if argument else t("You have no display name now.")
            )

    async def set_status_text(self, argument: str) -> None:
        """Set the status text, or remove it."""
        if await self._screen.succeeds(self._session.set_profile(status=argument)):
            self._screen.say(
                t("Your status text is: {text}", text=argument) if argument else t("You have no status text now.")
            )

    async def set_status(self, argument: str) -> None:
        """Set the own presence."""
        status: str | None = argument.strip().lower()
        if status not in _STATUSES:
            choices = [Choice(each, Content(t(text)), t(text)) for each, text in _STATUSES.items()]
            status = await self._screen.show_dialog(ChooseDialog(t("Status"), choices, wrapped=True))
        if status is not None:
            self._screen.set_status(status)


def _seconds(text: str) -> int | None:
    """Return a time such as `30m`, `8h` or `7d` in seconds; None if it is not one, or is longer than a year."""
    found = re.fullmatch(r"(\d{1,6})\s*([mhd])", text.strip().lower())
    seconds = int(found[1]) * _UNITS[found[2]] if found is not None else 0
    return seconds if 0 < seconds <= _LONGEST else None
