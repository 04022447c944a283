"""The screen that asks for server, name and password."""

from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.message import Message as TextualMessage
from textual.screen import Screen
from textual.widgets import Button, Checkbox, Input, Label, Static

from twotick.client import parse_server
from twotick.ui.app.dialogs.tick import TickBox
from twotick.ui.shell.login import host_name
from twotick.ui.shell.password import SHORTEST
from twotick.ui.text import for_screen
from twotick.ui.texts import later, t
from twotick.wire import is_name

_WELCOME = later('Chat where "sent" means "received".')


@dataclass(frozen=True, slots=True)
class SignInDetails:
    """What the user entered.

    Attributes:
        server: the address of the server.
        name: the user's name.
        password: the password; empty for a guest.
        sign_up: `yes` or an invitation code to create an account; None to sign in.
        device: the name of this device; None for one that is free.
    """

    server: str
    name: str
    password: str = ""
    sign_up: str | None = None
    device: str | None = None


@dataclass(frozen=True, slots=True)
class _Wrong:
    """What is wrong with the form.

    Attributes:
        problem: it, as a sentence.
        field: the field that the user should change.
    """

    problem: str
    field: str


class SignInScreen(Screen[None]):
    """Asks for server, name and password, to sign in or to sign up.

    Args:
        start: the initial values.
        problem: why the last attempt failed; empty for the first one.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        # With priority, because keys that are typed right after them, or while the network is slow, must go to the next
        # field: a password must not be shown in the field for the name.
        Binding("tab,down", "step(1)", "Next", show=False, priority=True),
        Binding("shift+tab,up", "step(-1)", "Previous", show=False, priority=True),
        Binding("enter", "accept", "Next", show=False, priority=True),
        Binding("space", "tick", "Tick", show=False, priority=True),
        Binding("ctrl+q,escape", "app.quit", "Leave", show=False),
    ]
    DEFAULT_CSS = """
    SignInScreen {
        align: center middle;
        & > VerticalScroll {
            width: 60;
            max-width: 100%;
            height: auto;
            max-height: 100%;
            padding: 0 2;
            scrollbar-size-vertical: 1;
        }
        #name-of-it { text-style: bold; color: $success; }
        Label { text-style: dim; margin-top: 1; }
        Input, Input:focus { border: none; border-bottom: solid $border-blurred; padding: 0; height: 2; }
        Input:focus { border-bottom: solid $primary; background-tint: $foreground 0%; }
        Checkbox, Checkbox:focus { border: none; padding: 0; margin-top: 1; }
        #more, #this { display: none; height: auto; }
        #problem { color: $error; margin-top: 1; height: auto; }
        Button, Button:disabled { margin-top: 1; border: none; height: 1; }
        Button:focus { text-style: bold reverse; }
    }
    """

    class Confirmed(TextualMessage):
        """The user has filled in the form."""

        def __init__(self, start: SignInDetails) -> None:
            super().__init__()
            self.start = start

    def __init__(self, start: SignInDetails, problem: str = "") -> None:
        super().__init__()
        self._start = start
        self._problem = problem

    def compose(self) -> ComposeResult:
        """Create the form."""
        with VerticalScroll():
            yield Static(Text.assemble("Twotick ", ("\u2713\u2713", "")), id="name-of-it")
            yield Static(t(_WELCOME))
            yield Label(t("Server"))
            yield Input(self._start.server, id="server")
            yield Label(t("Your name, or name@server"))
            yield Input(self._start.name, id="name", max_length=300)
            yield Label(t("Password (empty: join as a guest)"))
            yield Input(password=True, id="password", max_length=256)
            yield TickBox(t("I am new here: sign up"), id="new")
            with Vertical(id="more"):
                yield Label(t("Repeat the password"))
                yield Input(password=True, id="repeated", max_length=256)
                yield Label(t("Invitation code, if you have one"))
                yield Input(id="invitation", max_length=64)
            with Vertical(id="this"):
                yield Label(t("Name of this device, if you like"))
                yield Input(id="device", max_length=64, placeholder=host_name())
            yield Static("", id="problem")
            yield Button(t("Connect"), variant="primary", id="begin", compact=True)

    def on_mount(self) -> None:
        """Focus the first field that is to be filled in."""
        self.say(self._problem)
        wanted = "#password" if self._start.name and self._problem else "#name" if self._start.server else "#server"
        self.query_one(wanted).focus()

    def say(self, problem: str, at: str = "") -> None:
        """Show a problem, and let the user change the form.

        Args:
            problem: what is wrong; empty for nothing.
            at: the field that the user should change; empty if that is not known.
        """
        shown = self.query_one("#problem", Static)
        shown.update(Text(for_screen(problem[:300])))
        if problem:
            self.call_after_refresh(shown.scroll_visible, animate=False)  # the form may be longer than the screen
        self.query_one("#begin", Button).disabled = False
        field = self.query_one(f"#{at or 'password'}", Input)
        field.select_all()
        if at:
            field.focus()

    @on(Checkbox.Changed)
    def _new(self) -> None:
        self._show_fields()

    @on(Input.Changed, "#password")
    def _password_changed(self) -> None:
        self._show_fields()

    def _show_fields(self) -> None:
        """Show the fields that are needed now."""
        self.query_one("#more", Vertical).display = self.query_one("#new", Checkbox).value
        self.query_one("#this", Vertical).display = bool(self._value("password"))

    def action_tick(self) -> None:
        """Tick the box, and show the fields that belong to it at once: the next key may be for one of them."""
        self.query_one("#new", Checkbox).toggle()
        self._show_fields()

    @on(Input.Blurred, "#name")
    def _name_entered(self) -> None:
        """Show the server that the name gives, in place of another one."""
        name, at, server = self._value("name").strip().partition("@")
        if at and server:
            self.query_one("#name", Input).value = name
            self.query_one("#server", Input).value = server

    def action_step(self, steps: int) -> None:
        """Go to another field."""
        fields = [each for each in self.focus_chain if each.can_focus and not isinstance(each, VerticalScroll)]
        if self.focused in fields:
            self.set_focus(fields[(fields.index(self.focused) + steps) % len(fields)])

    def action_accept(self) -> None:
        """Go to the next field."""
        self.action_step(1)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Let Enter go to the next field from the fields that are required. In others, it submits the form."""
        focused = None if self.focused is None else self.focused.id
        if action == "accept":
            return focused in ("server", "name")
        if action == "tick":
            return focused == "new"
        return super().check_action(action, parameters)

    @on(Input.Submitted)
    @on(Button.Pressed)
    def _begin(self) -> None:
        start = self._filled_in()
        if isinstance(start, _Wrong):
            self.say(start.problem, start.field)
            return
        self.query_one("#begin", Button).disabled = True
        self.query_one("#problem", Static).update(t("Connecting \u2026"))
        self.post_message(self.Confirmed(start))

    def _value(self, which: str) -> str:
        return self.query_one(f"#{which}", Input).value

    def _filled_in(self) -> "SignInDetails | _Wrong":
        """Return what the user entered, or what is wrong with it."""
        server, name, password = self._value("server").strip(), self._value("name").strip(), self._value("password")
        sign_up, device = self.query_one("#new", Checkbox).value, self._value("device").strip()
        for text in (server, name):  # `alice@chat.example` may stand in either
            if "@" in text:
                name, _, server = text.partition("@")
        try:
            parse_server(server)
        except ValueError as error:
            return _Wrong(str(error), "server")
        if not is_name(name.encode(errors="replace")):
            return _Wrong(
                t("The name must have 1 to 32 letters and digits, and must not be a word of the protocol."), "name"
            )
        if sign_up and len(password.encode()) < SHORTEST:
            return _Wrong(
                t("To create an account, choose a password of at least {least} characters.", least=SHORTEST),
                "password",
            )
        if sign_up and password != self._value("repeated"):
            return _Wrong(t("The two passwords differ: type the same one twice."), "repeated")
        code = (self._value("invitation").strip() or "yes") if sign_up else None
        return SignInDetails(server, name, password, code, device or None)
