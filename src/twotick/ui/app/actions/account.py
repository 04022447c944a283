"""Actions on the own account: devices, the password and e-mail (docs/protocol.md, rules 10.8, 10.10 and 18.6)."""

from textual.content import Content

from twotick.client import DeviceInfo
from twotick.ui.app.actions.base import ActionScreen
from twotick.ui.app.dialogs.choose import Choice, ChooseDialog
from twotick.ui.app.dialogs.confirm import ConfirmDialog
from twotick.ui.app.dialogs.new_password import NewPasswordDialog
from twotick.ui.shell.login import by_device, device_of
from twotick.ui.text import for_screen
from twotick.ui.texts import numeric_date, t


class AccountActions:
    """List and revoke devices; change the password; get e-mail or none."""

    def __init__(self, screen: ActionScreen) -> None:
        self._screen = screen
        self._session = screen.session

    async def devices(self) -> None:
        """Show the devices, and revoke the one that the user chooses."""
        devices = await self._screen.ask_server(self._session.devices())
        if devices is None:
            return
        choices = [Choice(name, self._shown(name, parts), name) for name, parts in by_device(devices).items()]
        chosen = await self._screen.show_dialog(ChooseDialog(t("Devices"), choices, t("Choose one to log it out")))
        if chosen is None:
            return
        name = for_screen(chosen, keep="")
        here = chosen == device_of(self._session.device)
        what = t("It is this device: the app closes.") if here else t("It can no longer read or send as you.")
        if await self._screen.show_dialog(
            ConfirmDialog(t("Log out {name}?", name=name), what, t("Log out"))
        ) and await self._screen.succeeds(self._session.revoke(chosen)):
            self._screen.say(t("{name} is logged out.", name=name))
            if here:
                self._screen.app.exit()

    def _shown(self, name: str, parts: list[DeviceInfo]) -> Content:
        """Return the line for a device."""
        here = name == device_of(self._session.device)
        connected = any(each.connected for each in parts)
        last = max(each.seen for each in parts).astimezone()
        seen = t("last seen {when}", when=f"{numeric_date(last)} {last:%H:%M}")
        state = t("this device") if here else t("connected") if connected else seen
        return Content.assemble(f"{for_screen(name, keep=''):<26} ", (state, "bold" if here else "dim"))

    async def password(self) -> None:
        """Change the password."""
        entered = await self._screen.show_dialog(NewPasswordDialog())
        if entered is None:
            return
        old, new, others = entered
        if await self._screen.succeeds(self._session.change_password(old, new, revoke_others=others)):
            changed = t("The password is changed. Your devices stay logged in.")
            if others:
                changed = t("The password is changed. Your devices on other machines are logged out.")
            self._screen.say(changed)

    async def email(self) -> None:
        """Show where the user is told by e-mail of messages that wait, and begin or end that."""
        found = await self._screen.ask_server(self._session.digest())
        if found is None:
            return
        question, yes = (t("End the e-mail?"), t("End it")) if found.wanted else (t("Get e-mail?"), t("Get it"))
        where = for_screen(found.address, keep="")
        text = t("It tells {address} of messages that wait for you, once a day at most.", address=where)
        if await self._screen.show_dialog(ConfirmDialog(question, text, yes)) and await self._screen.succeeds(
            self._session.digest(not found.wanted)
        ):
            self._screen.say(t("No e-mail comes any more.") if found.wanted else t("E-mail comes when messages wait."))
