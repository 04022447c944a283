"""What can be done about others, and what they see of one: mute, block, report, status (protocol, 14, 15 and 17)."""

from abc import abstractmethod

from textual import work
from textual.content import Content

from twotick.ui.app.actions.base import ActionScreen
from twotick.ui.app.dialogs.ask import TextDialog
from twotick.ui.app.dialogs.choose import Choice, ChooseDialog
from twotick.ui.app.dialogs.confirm import ConfirmDialog
from twotick.ui.app.layout.messages import one_line, summary
from twotick.ui.app.session.permissions import Permission
from twotick.ui.text import placed

_STATUSES = {
    "here": "Here, or away after 10 minutes without a key",
    "away": "Away, until you choose something else",
    "hidden": "Hidden: nobody sees whether you are here",
}


class PeopleActions(ActionScreen):
    """Others, and what they see."""

    @abstractmethod
    def set_status(self, status: str) -> None:
        """Be here, away or hidden from now on."""

    @work
    async def action_mute(self) -> None:
        """Do not ring for the conversation; or do again."""
        shown = self.shown
        if shown is not None and await self.done(self.session.set_muted(shown, not shown.muted)):
            self.say(f"{shown.title} is muted." if shown.muted else f"{shown.title} rings again.")

    @work
    async def action_block(self) -> None:
        """Take nothing more from the user of the conversation; or do again."""
        shown = self.shown
        if shown is None:
            return
        name = placed(shown.title[:33], keep="")
        if not shown.blocked and not await self.ask(
            ConfirmDialog("Block?", f"Nothing that {name} writes to you arrives any more. {name} is not told.")
        ):
            return
        if await self.done(self.session.set_blocked(shown, not shown.blocked)):
            self.say(f"{shown.title} is blocked." if shown.blocked else f"{shown.title} is not blocked any more.")

    @work
    async def action_report(self, argument: str = "") -> None:
        """Tell the operator about a user, and about the selected message."""
        shown, message = self.shown, self.messages.selected
        if shown is None:
            return
        if message is not None and not self.session.can(Permission.REPORT, shown, message):
            message = None
        name = shown.title if message is None else message.sender
        text = argument or await self.ask(
            TextDialog(f"Report {one_line(name)[:33]}", hint="What is wrong?", longest=4096)
        )
        if not text:
            return
        what = f"The operator of the server is told: {one_line(text)}"
        if message is not None:
            what += f"\n\nand gets a copy of this message: {summary(message)}"
        if await self.ask(ConfirmDialog(f"Report {one_line(name)[:33]}?", what)) and await self.done(
            self.session.report(shown, text, message)
        ):
            self.say("The operator is told.")

    @work
    async def action_status(self, argument: str = "") -> None:
        """Choose what others see."""
        status: str | None = argument.strip().lower()
        if status not in _STATUSES:
            choices = [Choice(each, Content(text), text) for each, text in _STATUSES.items()]
            status = await self.ask(ChooseDialog("Status", choices))
        if status is not None:
            self.set_status(status)
