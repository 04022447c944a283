"""Actions on the app as a whole."""

from textual.content import Content

from twotick.client.trust import tokens
from twotick.ui.app.actions.base import ActionScreen
from twotick.ui.app.dialogs.choose import Choice, ChooseDialog
from twotick.ui.app.dialogs.confirm import ConfirmDialog
from twotick.ui.app.dialogs.keys import KeysPage
from twotick.ui.text import for_screen

_NOTIFICATIONS = {
    "bell": "Bell: the terminal rings",
    "desktop": "Desktop: a notification of the system",
    "off": "Off: none",
}


class AppActions:
    """Change colours, list commands and keys, connect, quit."""

    def __init__(self, screen: ActionScreen) -> None:
        self._screen = screen

    def set_theme(self, argument: str) -> None:
        """Use the theme with a name or, without one, the next theme."""
        app = self._screen.app
        name = argument or {"terminal": "dark", "dark": "light"}.get(app.theme, "terminal")
        if name in app.available_themes:
            app.theme = name
            self._screen.keep_choice("theme", name)
        else:
            self._screen.say("The themes are terminal, dark and light.", problem=True)

    async def set_notifications(self, argument: str) -> None:
        """Choose how the user is notified of messages."""
        how = argument.lower()
        if how not in _NOTIFICATIONS:
            choices = [Choice(each, Content(text), text) for each, text in _NOTIFICATIONS.items()]
            how = await self._screen.show_dialog(ChooseDialog("Notifications", choices)) or ""
        if how:
            self._screen.keep_choice("notify", how)
            self._screen.say(f"Notifications: {_NOTIFICATIONS[how].partition(':')[0].lower()}.")

    def toggle_formatting(self) -> None:
        """Show the effect of marks such as `*bold*`, or the marks."""
        messages = self._screen.messages
        messages.show_formatted(not messages.formatted)
        self._screen.keep_choice("formatting", messages.formatted)

    def show_commands(self) -> None:
        """Open the command palette."""
        self._screen.app.action_command_palette()

    def show_keys(self) -> None:
        """Show the page of keys."""
        self._screen.app.push_screen(KeysPage(self._screen.session))

    def show_help(self) -> None:
        """Show all keys, and all commands that can be typed."""
        self._screen.app.push_screen(KeysPage(self._screen.session, commands=True))

    async def switch_account(self) -> None:
        """Go to another account of the user, on this or another server, or sign in with one."""
        session = self._screen.session
        with self._screen.showing_errors():
            here = (session.name.lower(), session.server) if session.is_member else None
            others = [each for each in reversed(tokens.logins()) if (each.name.lower(), each.server) != here]
            shown = [for_screen(f"{each.name}@{each.server}"[:100], keep="") for each in others]
            choices = [Choice(str(index), Content(text), text) for index, text in enumerate(shown)]
            new = Choice("", Content("Sign in with another account"), "sign in new another")
            chosen = await self._screen.show_dialog(ChooseDialog("Accounts", [*choices, new]))
            if chosen is None or not await self._may_leave("Go to another account?"):
                return
            login = None
            if chosen:
                login = tokens.load(others[int(chosen)].server, others[int(chosen)].name)
            self._screen.app.post_message(ActionScreen.AccountChosen(login))

    def connect(self) -> None:
        """Connect now."""
        self._screen.app.post_message(ActionScreen.ReconnectRequested())

    async def quit(self) -> None:
        """Quit. Ask first if messages would be lost."""
        if await self._may_leave("Quit?"):
            self._screen.app.exit()

    async def _may_leave(self, question: str) -> bool:
        """Send what is held back. Return whether the session may end; ask first if messages would be lost."""
        session = self._screen.session
        await session.send_deletions()
        waiting = session.waiting
        if not waiting or session.is_member:
            return True
        what = "1 message is not sent yet" if waiting == 1 else f"{waiting} messages are not sent yet"
        text = f"{what} and will be lost, because you are a guest."
        return bool(
            await self._screen.show_dialog(ConfirmDialog(question, text, "Lose it" if waiting == 1 else "Lose them"))
        )
