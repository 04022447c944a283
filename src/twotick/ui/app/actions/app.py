"""Actions on the app as a whole."""

from twotick.ui.app.actions.base import ActionScreen
from twotick.ui.app.dialogs.confirm import ConfirmDialog
from twotick.ui.app.dialogs.keys import KeysPage


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

    def connect(self) -> None:
        """Connect now."""
        self._screen.app.post_message(ActionScreen.ReconnectRequested())

    async def quit(self) -> None:
        """Quit. Ask first if messages would be lost."""
        session = self._screen.session
        await session.send_deletions()
        waiting = session.waiting
        if waiting and not session.is_member:
            what = "1 message is not sent yet" if waiting == 1 else f"{waiting} messages are not sent yet"
            dialog = ConfirmDialog("Quit?", f"{what} and will be lost, because you are a guest.", "Quit")
            if not await self._screen.show_dialog(dialog):
                return
        self._screen.app.exit()
