"""Actions on the app as a whole."""

from textual.content import Content

from twotick.client.trust import tokens
from twotick.ui.app.actions.base import ActionScreen
from twotick.ui.app.dialogs.choose import Choice, ChooseDialog
from twotick.ui.app.dialogs.confirm import ConfirmDialog
from twotick.ui.app.dialogs.keys import KeysPage
from twotick.ui.text import for_screen
from twotick.ui.texts import LANGUAGES, NAMES, SYSTEM, later, plural, t, use_language

_NOTIFICATIONS = {
    "bell": later("Bell: the terminal rings"),
    "desktop": later("Desktop: a notification of the system"),
    "off": later("Off: none"),
}
_CHOSEN = {
    "bell": later("Notifications: bell."),
    "desktop": later("Notifications: desktop."),
    "off": later("Notifications: off."),
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
            self._screen.say(t("The themes are terminal, dark and light."), problem=True)

    async def set_notifications(self, argument: str) -> None:
        """Choose how the user is notified of messages."""
        how = argument.lower()
        if how not in _NOTIFICATIONS:
            choices = [Choice(each, Content(t(text)), t(text)) for each, text in _NOTIFICATIONS.items()]
            how = await self._screen.show_dialog(ChooseDialog(t("Notifications"), choices, wrapped=True)) or ""
        if how:
            self._screen.keep_choice("notify", how)
            self._screen.say(t(_CHOSEN[how]))

    async def set_language(self, argument: str) -> None:
        """Choose the language of the texts."""
        wanted = argument.lower()
        if wanted not in (SYSTEM, *LANGUAGES):
            choices = [Choice(SYSTEM, Content(t("As the system")), f"{SYSTEM} {t('As the system')}")]
            choices += [Choice(each, Content(NAMES[each]), f"{each} {NAMES[each]}") for each in LANGUAGES]
            wanted = await self._screen.show_dialog(ChooseDialog(t("Language"), choices)) or ""
        if wanted:
            use_language(wanted)
            self._screen.keep_choice("language", wanted)
            self._screen.language_changed()

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
            new = Choice(
                "",
                Content(t("Sign in with another account")),
                f"sign in new another {t('Sign in with another account')}",
            )
            chosen = await self._screen.show_dialog(ChooseDialog(t("Accounts"), [*choices, new]))
            if chosen is None or not await self._may_leave(t("Go to another account?")):
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
        if await self._may_leave(t("Quit?")):
            self._screen.app.exit()

    async def _may_leave(self, question: str) -> bool:
        """Send what is held back. Return whether the session may end; ask first if messages would be lost."""
        session = self._screen.session
        await session.send_deletions()
        waiting = session.waiting
        if not waiting or session.is_member:
            return True
        text = plural(
            "1 message is not sent yet and will be lost, because you are a guest.",
            "{n} messages are not sent yet and will be lost, because you are a guest.",
            waiting,
        )
        return bool(
            await self._screen.show_dialog(
                ConfirmDialog(question, text, t("Lose it") if waiting == 1 else t("Lose them"))
            )
        )
