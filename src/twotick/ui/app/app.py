"""The terminal app: it switches between the screens and runs the session."""

import os
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import events, on, work
from textual.app import App, SystemCommand
from textual.screen import Screen
from textual.widget import AwaitMount
from textual.worker import WorkerFailed

from twotick.client import ConnectionLost, NameRefused, NotAuthenticated, TwotickError
from twotick.client.trust import tokens
from twotick.client.trust.tokens import Credential
from twotick.ui.app import alt_keys
from twotick.ui.app.commands import COMMANDS, ON_MESSAGES
from twotick.ui.app.layout.messages import summary
from twotick.ui.app.layout.spacing_marks import count_spacing_marks
from twotick.ui.app.model.messages import LocalMessage
from twotick.ui.app.screens.main import MainScreen
from twotick.ui.app.session.base import ChatSession
from twotick.ui.app.session.member import MemberSession
from twotick.ui.app.session.notifications import NOTIFY, Notify, notify, should_notify
from twotick.ui.app.storage.choices import Choices
from twotick.ui.app.themes import NAMES, THEMES, of_sixteen
from twotick.ui.app.typing_ahead import TypingAhead
from twotick.ui.known_names import data_folder, folder_of, remember_names
from twotick.ui.text import for_screen
from twotick.ui.texts import SYSTEM, t, use_language

if TYPE_CHECKING:  # imports that the first picture does not need are made late
    from twotick.ui.app.screens.sign_in import SignInDetails, SignInScreen


@dataclass(frozen=True, slots=True)
class AppOptions:
    """The options of the app.

    Attributes:
        server: the address of the server, as `HOST:PORT`.
        name: the user's name; empty to ask for it.
        credential: the login of a member; None for a guest.
        max_body: the maximum size of a message in bytes.
        notify: how the user is notified of messages.
        theme: the name of the theme.
        language: the code of the language of the texts; `system` for that of the environment.
        formatting: whether the marks of messages show their effect (docs/formatting.md).
        folder: the folder for the data of all users; None for the platform's default.
        first: the name of the conversation that is shown first; empty to leave that to the app.
        plaintext: whether a guest's connection to another machine may be without TLS.
    """

    server: str
    name: str = ""
    credential: Credential | None = None
    max_body: int = 1 << 20
    notify: Notify = "bell"
    theme: str = "terminal"
    language: str = SYSTEM
    formatting: bool = True
    folder: Path | None = None
    first: str = ""
    plaintext: bool = False


_REMEMBER = 30.0
"""Seconds between two looks whether there are new names to keep for completion."""


class AppFailed(TwotickError):
    """The app has failed because of a fault in it."""


class TwotickApp(App[None]):
    """The app.

    Args:
        options: the options.

    Attributes:
        failure: why the app has ended; None if the user quit.
    """

    ENABLE_COMMAND_PALETTE = True
    TITLE = "Twotick"
    CSS = """
    ToastRack { layer: default; dock: bottom; align: left bottom; margin: 0; max-height: 50%; scrollbar-size: 0 0; }
    Toast { width: 100%; max-width: 100%; margin: 0; padding: 0 1; background: $panel; }
    Toast.-information { border: none; border-left: outer $success; }
    Toast.-warning { border: none; border-left: outer $warning; }
    OptionList:nocolor > .option-list--option-highlighted { text-style: bold underline; }
    ToggleButton:nocolor:focus > .toggle--label { text-style: bold underline; }
    """
    COMMAND_PALETTE_BINDING: ClassVar[str] = "ctrl+p"

    def __init__(self, options: AppOptions) -> None:
        alt_keys.recognise()
        count_spacing_marks()
        no_color = "NO_COLOR" in os.environ
        super().__init__(ansi_color=True if no_color else None)
        self._options = options
        self._session: ChatSession | None = None
        self._main: MainScreen | None = None
        self._notes: list[str] = []
        self._remembered = 0  # how many conversations there were when their names were kept
        self.failure: TwotickError | None = None
        few = self.console.color_system == "standard"
        for theme in THEMES:
            self.register_theme(of_sixteen(theme) if few else theme)
        self._typing_ahead = TypingAhead(self, super().on_event)
        self._choices = Choices((options.folder or data_folder()) / "choices.json")
        use_language(self._choices.get("language", options.language))
        chosen = self._choices.get("theme", options.theme)
        self.theme = "terminal" if no_color or chosen not in self.available_themes else chosen

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Return the colours that a theme need not have."""
        return NAMES

    @property
    def session(self) -> ChatSession | None:
        """The session of the user; None before the user has signed in."""
        return self._session

    def on_mount(self) -> None:
        """Show the first screen."""
        self.start()
        self.run_worker(self._typing_ahead.run(), group="keys")
        self.set_interval(_REMEMBER, self._remember_names)

    def start(self) -> None:
        """Start a session, or ask for a name if none is known."""
        options = self._options
        if options.credential is not None:
            self._start_member(options.credential)
        elif options.name:
            self._start_guest(options.name, options.server)
        else:
            self._ask_for_name(options.server)

    async def on_unmount(self) -> None:
        """Close the session, so that the app can be started again at once."""
        self.workers.cancel_all()
        self._remember_names()
        if self._session is not None:
            await self._session.close()

    def _remember_names(self) -> None:
        """Keep new names where a shell finds them for completion: the database is locked while the app is open."""
        session = self._session
        if session is not None and session.is_member and len(session.conversations) != self._remembered:
            self._remembered = len(session.conversations)
            folder = self._folder(session.name, session.server)
            remember_names(folder, (each.name for each in session.conversations))

    def _show(self, screen: Screen[None]) -> AwaitMount:
        while len(self.screen_stack) > 1:
            self.pop_screen()
        return self.push_screen(screen)

    async def action_quit(self) -> None:
        """Quit. Ask first if messages would be lost."""
        if self._main is not None:
            self._main.run_command("quit")
        else:
            self.exit()

    def _handle_exception(self, error: Exception) -> None:
        """End with one line instead of a traceback if the error is one that users understand."""
        cause = error.error if isinstance(error, WorkerFailed) else error
        if isinstance(cause, TwotickError):
            self.failure = self.failure or cause
            self.exit()
        elif self.is_headless:
            super()._handle_exception(error)  # a test sees it
        else:
            self.failure = self.failure or self._fault(cause)
            self.exit()

    def _fault(self, error: BaseException) -> AppFailed:
        """Write down an error that is a fault of the app, and return what the user is told."""
        what = t("the app has a fault and has ended: {kind}: {error}", kind=type(error).__name__, error=error)[:300]
        file = (self._options.folder or data_folder()) / "fault.txt"
        try:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            file.write_text("".join(traceback.format_exception(error)), "utf-8", errors="replace")
        except OSError:
            return AppFailed(what)
        return AppFailed(t("{what}. Nothing that waits is lost. Please report it, with {file}", what=what, file=file))

    # Sessions

    def _folder(self, name: str, server: str) -> Path:
        return folder_of(name, server, self._options.folder)

    def _start_guest(self, name: str, server: str) -> None:
        from twotick.ui.app.session.guest import GuestSession

        options = self._options
        try:
            folder = self._folder(name, server)
            session = GuestSession(name, server, options.max_body, folder, plaintext=options.plaintext)
        except (TwotickError, ValueError) as error:
            self._ask_for_name(server, name, t(str(error)))
            return
        session.on_note = self._notes.append
        self._start_session(session)

    def _start_member(self, credential: Credential) -> None:
        try:
            session = MemberSession(
                credential, self._folder(credential.name, credential.server), self._options.max_body
            )
        except TwotickError as error:
            self.failure = error
            self.exit()
            return
        self._start_session(session)
        self._show_main()

    def _start_session(self, session: ChatSession) -> None:
        self._session = session
        session.on_connection = self._connection_changed
        session.on_message = self._arrived
        if (aside := session.set_aside) is not None:
            self.notify(
                for_screen(
                    t(
                        "The copy of your messages on this machine was damaged. It is set aside as {aside}, and the"
                        " messages are fetched from the server again.",
                        aside=aside,
                    )
                ),
                severity="warning",
                timeout=30,
                markup=False,
            )
        self.call_after_refresh(self._run_session, session)  # the stored messages are shown first

    @work(group="session", exclusive=True)
    async def _run_session(self, session: ChatSession) -> None:
        try:
            await session.run()
        except (NotAuthenticated, NameRefused, ConnectionLost) as error:
            await self._ask_for_other_name(session, error)
        except TwotickError as error:
            if self._main is None:
                await self._ask_for_other_name(session, error)
            else:
                self._connection_changed()

    async def _ask_for_other_name(self, session: ChatSession, error: TwotickError) -> None:
        """Ask for another name or password after the server refused this one."""
        await session.close()
        self._session = self._main = None
        problem = t(str(error))
        if session.is_member and isinstance(error, NotAuthenticated):
            problem = t("This device is not logged in: enter your password.")
        self._ask_for_name(session.server, session.name, problem)

    def _ask_for_name(self, server: str, name: str = "", problem: str = "") -> None:
        """Ask for server, name and password."""
        from twotick.ui.app.screens.sign_in import SignInDetails, SignInScreen

        if isinstance(self.screen, SignInScreen):
            self.screen.say(problem)
        else:
            self._show(SignInScreen(SignInDetails(server, name), problem))

    def _show_main(self) -> None:
        assert self._session is not None
        self._main = MainScreen(self._session, self._typing_ahead, self._options.first or None)
        self._main.messages.formatted = self._choices.get("formatting", self._options.formatting)
        self._main.show_panes(
            listed=self._choices.get("list", setting=True), details=self._choices.get("details", setting=False)
        )
        self._say_notes(self._show(self._main))

    @work(group="notes")
    async def _say_notes(self, shown: AwaitMount) -> None:
        """Show what the user should know of the server, once the main screen can show it."""
        await shown
        for line in self._notes:
            self.notify(line, timeout=20, markup=False)
        self._notes.clear()

    def _connection_changed(self) -> None:
        if self._main is not None:
            self._main.update_status()
        elif self._session is not None and self._session.connected:
            self._show_main()

    def _arrived(self, message: LocalMessage) -> None:
        main = self._main
        if main is None or main.arrived(message):
            return
        if should_notify(main.session.conversations, message):
            notify(self._notify, message.sender, summary(message), self.bell)

    @property
    def _settings(self) -> dict[str, str | bool]:
        """What holds without a choice, by the name of the choice."""
        options = self._options
        return {
            "theme": options.theme,
            "language": options.language,
            "formatting": options.formatting,
            "notify": options.notify,
            "list": True,
            "details": False,
        }

    @property
    def _notify(self) -> Notify:
        """How the user is notified."""
        chosen: str = self._choices.get("notify", str(self._options.notify))
        known: dict[str, Notify] = {each: each for each in NOTIFY}
        return known.get(chosen, self._options.notify)

    @on(MainScreen.AccountChosen)
    def _account_chosen(self, event: MainScreen.AccountChosen) -> None:
        self._switch(event.login)

    @work(group="start", exclusive=True)
    async def _switch(self, login: Credential | None) -> None:
        """End the session, and start that of another account, or ask for one."""
        server = self._options.server
        if (session := self._session) is not None:
            server = session.server
            self.workers.cancel_group(self, "session")  # pyright: ignore[reportUnknownMemberType]
            await session.close()
        self._session = self._main = None
        if login is not None:
            self._start_member(login)
        else:
            self._ask_for_name(server)

    @on(MainScreen.Chosen)
    def _keep_choice(self, event: MainScreen.Chosen) -> None:
        try:
            self._choices.choose(event.name, event.value, self._settings[event.name])
        except OSError as error:
            self.notify(t("This is not kept: {reason}.", reason=error.strerror), severity="warning", markup=False)

    @on(MainScreen.ReconnectRequested)
    def _connect(self) -> None:
        if self._session is not None:
            self._run_session(self._session)

    # Signing in

    def on_sign_in_screen_confirmed(self, event: "SignInScreen.Confirmed") -> None:
        """Sign in, or start a guest's session."""
        self._sign_in(event.start)

    @work(group="start", exclusive=True)
    async def _sign_in(self, start: "SignInDetails") -> None:
        from twotick.ui.shell.login import new_login

        try:
            if start.password:
                await new_login(
                    start.name,
                    start.server,
                    password=start.password,
                    device=start.device,
                    sign_up=start.sign_up,
                    tell=self._notes.append,
                )
            credential = tokens.load(start.server, start.name)  # a name that is logged in here is never a guest's
        except (TwotickError, ValueError) as error:
            self._ask_for_name(start.server, start.name, t(str(error)))
            return
        if credential is not None:
            self._start_member(credential)
        else:
            self._start_guest(start.name, start.server)

    async def on_event(self, event: events.Event) -> None:
        """Record the user's activity, and let keys wait for those before them."""
        if self._main is not None and isinstance(event, events.Key | events.Paste | events.MouseDown):
            self._main.acted()
        if isinstance(event, events.Key | events.Paste) and not event.is_forwarded:
            self._typing_ahead.add(event)
        else:
            await super().on_event(event)

    # The command palette

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Return the commands that are available now."""
        main = self._main
        if main is not None:
            for each in COMMANDS + ON_MESSAGES:
                if each.word != "commands" and not main.why_not(each):
                    what = f"{each.shown} \u00b7 {t(each.help)}"
                    yield SystemCommand(t(each.title), what, lambda each=each: main.do(each))
