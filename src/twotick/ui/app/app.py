"""The terminal app: which screen there is, and which session."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import quote

import platformdirs
from textual import events, on, work
from textual.app import App, SystemCommand
from textual.screen import Screen

from twotick.client import ConnectionLost, NameRefused, NotAuthenticated, TwotickError
from twotick.client.trust import tokens
from twotick.client.trust.tokens import Credential
from twotick.ui.app.commands import COMMANDS, ON_MESSAGES
from twotick.ui.app.layout.messages import summary
from twotick.ui.app.model.messages import LocalMessage
from twotick.ui.app.screens.main import MainScreen
from twotick.ui.app.session.base import ChatSession
from twotick.ui.app.session.member import MemberSession
from twotick.ui.app.session.notifications import Notify, notify, should_notify
from twotick.ui.app.themes import THEMES

if TYPE_CHECKING:  # what is not needed for the first picture is imported when it is
    from twotick.ui.app.screens.sign_in import SignInDetails, SignInScreen


@dataclass(frozen=True, slots=True)
class AppOptions:
    """How the app is to begin.

    Attributes:
        server: where.
        name: as whom; empty to ask.
        who: the login with that name; None for a guest.
        max_body: the longest message, in bytes.
        notify: how to tell somebody who looks elsewhere that a message came.
        theme: the colours.
        folder: where all is kept; None for the platform's place for data.
    """

    server: str
    name: str = ""
    who: Credential | None = None
    max_body: int = 1 << 20
    notify: Notify = "bell"
    theme: str = "terminal"
    folder: Path | None = None


def folder_of(name: str, server: str, inside: Path | None = None) -> Path:
    """Where all is kept of one user at one server.

    Args:
        name: the user.
        server: the server.
        inside: where that folder is; None for the platform's place for data.
    """
    data = inside or platformdirs.user_data_path("twotick") / "chat"
    return data / f"{name.lower()}@{quote(server, safe='')}"


class TwotickApp(App[None]):
    """Chat on a terminal.

    Attributes:
        failure: why it has ended; None if somebody has left.
    """

    ENABLE_COMMAND_PALETTE = True
    TITLE = "Twotick"
    CSS = """
    ToastRack { align: right top; dock: top; }
    Toast { width: 60; max-width: 100%; }
    OptionList:nocolor > .option-list--option-highlighted { text-style: bold underline; }
    ToggleButton:nocolor:focus > .toggle--label { text-style: bold underline; }
    """
    COMMAND_PALETTE_BINDING: ClassVar[str] = "ctrl+p"

    def __init__(self, options: AppOptions) -> None:
        no_color = "NO_COLOR" in os.environ
        super().__init__(ansi_color=True if no_color else None)
        self._options = options
        self._session: ChatSession | None = None
        self._main: MainScreen | None = None
        self.failure: TwotickError | None = None
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = "terminal" if no_color else options.theme

    @property
    def session(self) -> ChatSession | None:
        """As whom somebody talks; None before that is known."""
        return self._session

    def on_mount(self) -> None:
        """Begin."""
        self.begin()

    def begin(self) -> None:
        """Begin to talk, if it is known as whom."""
        options = self._options
        if options.who is not None:
            self._begin_as_member(options.who)
        elif options.name:
            self._begin_as_guest(options.name, options.server)
        else:
            self._ask_who(options.server)

    async def on_unmount(self) -> None:
        """Let everything go, so that the app can be started again at once."""
        self.workers.cancel_all()
        if self._session is not None:
            await self._session.close()

    def _show(self, screen: Screen[None]) -> None:
        while len(self.screen_stack) > 1:
            self.pop_screen()
        self.push_screen(screen)

    async def action_quit(self) -> None:
        """Leave, unless something would be lost."""
        if self._main is not None:
            self._main.action_quit()
        else:
            self.exit()

    # Sessions

    def _folder(self, name: str, server: str) -> Path:
        return folder_of(name, server, self._options.folder)

    def _begin_as_guest(self, name: str, server: str) -> None:
        from twotick.ui.app.session.guest import GuestSession

        try:
            self._begin(GuestSession(name, server, self._options.max_body, self._folder(name, server)))
        except TwotickError as error:
            self._ask_who(server, name, str(error))

    def _begin_as_member(self, who: Credential) -> None:
        try:
            session = MemberSession(who, self._folder(who.name, who.server), self._options.max_body)
        except TwotickError as error:
            self.failure = error
            self.exit()
            return
        self._begin(session)
        self._talk()

    def _begin(self, session: ChatSession) -> None:
        self._session = session
        session.on_connection = self._connection_changed
        session.on_message = self._arrived
        self.call_after_refresh(self._serve, session)  # what is kept here is shown before

    @work(group="session", exclusive=True)
    async def _serve(self, session: ChatSession) -> None:
        try:
            await session.run()
        except (NotAuthenticated, NameRefused, ConnectionLost) as error:
            await self._ask_again(session, error)
        except TwotickError:
            self._connection_changed()

    async def _ask_again(self, session: ChatSession, error: TwotickError) -> None:
        """Nobody can be that: ask for something else."""
        await session.close()
        self._session = self._main = None
        self._ask_who(session.server, session.name, str(error))

    def _ask_who(self, server: str, name: str = "", problem: str = "") -> None:
        """Ask for somebody to be, somebody else after a problem."""
        from twotick.ui.app.screens.sign_in import SignInDetails, SignInScreen

        if isinstance(self.screen, SignInScreen):
            self.screen.say(problem)
        else:
            self._show(SignInScreen(SignInDetails(server, name), problem))

    def _talk(self) -> None:
        assert self._session is not None
        self._main = MainScreen(self._session)
        self._show(self._main)

    def _connection_changed(self) -> None:
        if self._main is not None:
            self._main.update_status()
        elif self._session is not None and self._session.connected:
            self._talk()

    def _arrived(self, message: LocalMessage) -> None:
        main = self._main
        if main is None or main.arrived(message):
            return
        if should_notify(main.session.conversations, message):
            notify(self._options.notify, message.sender, summary(message), self.bell)

    @on(MainScreen.ReconnectRequested)
    def _connect(self) -> None:
        if self._session is not None:
            self._serve(self._session)

    # Signing in

    def on_sign_in_screen_confirmed(self, event: "SignInScreen.Confirmed") -> None:
        """Somebody has said who to be."""
        self._start(event.start)

    @work(group="start", exclusive=True)
    async def _start(self, start: "SignInDetails") -> None:
        from twotick.ui.shell.login import new_login, this_device

        try:
            if start.password:
                trust, _ = await new_login(
                    start.name, start.server, password=start.password, device=this_device(), sign_up=start.sign_up
                )
                for line in trust:
                    self.notify(line, timeout=20)
            who = tokens.load(start.server, start.name) if start.password else None
        except (TwotickError, ValueError) as error:
            self._ask_who(start.server, start.name, str(error))
            return
        if who is not None:
            self._begin_as_member(who)
        else:
            self._begin_as_guest(start.name, start.server)

    async def on_event(self, event: events.Event) -> None:
        """Note that somebody is here."""
        if self._main is not None and isinstance(event, events.Key | events.Paste | events.MouseDown):
            self._main.acted()
        await super().on_event(event)

    # The command palette

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """All that can be done now."""
        main = self._main
        if main is not None:
            for each in COMMANDS + ON_MESSAGES:
                if each.word != "commands" and not main.why_not(each):
                    what = f"{each.shown} \u00b7 {each.help}"
                    yield SystemCommand(each.title, what, lambda each=each: main.do(each))
