"""The screen that one talks on."""

import contextlib
import webbrowser
from collections.abc import Generator
from typing import ClassVar, cast

from rich.text import Text
from textual import on, work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message as Event
from textual.screen import Screen
from textual.widgets import OptionList, Static

from twotick.client import State, TwotickError
from twotick.ui.app.commands import COMMANDS, ON_MESSAGES, Command, bindings, find
from twotick.ui.app.composer import Composer, Proposals
from twotick.ui.app.dialogs import Confirm, GoTo, Keys, Page
from twotick.ui.app.layout import links
from twotick.ui.app.messages import MessageList, first_unread
from twotick.ui.app.model import Conversation, Kind, Message
from twotick.ui.app.session import Session
from twotick.ui.app.sidebar import Details, Sidebar
from twotick.ui.app.store import LocalStoreError
from twotick.ui.text import placed
from twotick.wire import is_name

_FRAME = 1 / 30
"""Seconds in which changes are gathered before they are shown."""

_LONGEST_PAGE = 200_000
"""Characters of a message that are shown when all of it is asked for."""

_PAST = 50
"""Texts that were sent, to which one can go back."""


class Main(Screen[None]):
    """Conversations, messages, and what is typed.

    Args:
        session: what there is to show.
        first: with whom to begin; None for the conversation where something happened last.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(COMMANDS, priority=True),
        *bindings(ON_MESSAGES, priority=False),
        Binding("question_mark", "keys", "Keys", show=False),
        Binding("escape", "select", "Back", show=False),
    ]
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (72, "-normal"), (110, "-wide")]  # noqa: RUF012
    DEFAULT_CSS = """
    Main {
        background: $background;
        #title { height: 1; padding: 0 1; text-style: bold; }
        #middle { width: 1fr; }
        #empty { height: 1fr; padding: 1 2; display: none; }
        &.-empty #empty { display: block; }
        &.-empty MessageList, &.-empty Composer, &.-empty #title { display: none; }
        #below { height: 1; padding: 0 1; text-align: right; color: $primary; text-style: bold; display: none; }
        #status { dock: bottom; height: 1; padding: 0 1; text-style: dim; }
        #status.-away { background: $error; color: $background; text-style: bold; }
        &:ansi #status.-away { background: ansi_default; color: ansi_red; text-style: bold reverse; }
        &.-narrow Sidebar { display: none; }
        &.-no-list Sidebar { display: none; }
        &.-narrow.-list Sidebar { display: block; width: 100%; border-right: none; }
        &.-narrow.-list #middle { display: none; }
        &.-details Details { display: block; }
        &.-details.-normal Sidebar { display: none; }
        &.-details.-narrow #middle { display: none; }
        &.-details.-narrow Details { width: 100%; border-left: none; }
    }
    """

    class Connect(Event):
        """Connect now, whatever was tried before."""

    def __init__(self, session: Session, first: str | None = None) -> None:
        super().__init__()
        self._session = session
        self._conversations = session.conversations
        self._shown: Conversation | None = None
        self._first = first
        self._came_below = 0  # messages that came below what is seen
        self._pending = False
        self._changed_shown = False
        self._loading = False
        self._sidebar = Sidebar()
        self._messages = MessageList()
        self._proposals = Proposals()
        self._composer = Composer(self._proposals)
        self._details = Details(markup=False)
        self._title = Static(id="title", markup=False)
        self._below = Static(id="below", markup=False)
        self._status = Static(id="status", markup=False)
        self._composer.commands = [(each.word, each.title) for each in COMMANDS]

    @property
    def app(self) -> App[object]:
        """The app."""
        return cast("App[object]", super().app)  # pyright: ignore[reportUnknownMemberType]

    def do(self, command: Command) -> None:
        """Do what a command says."""
        self.call_later(self.run_action, command.action)

    def compose(self) -> ComposeResult:
        """From left to right."""
        with Horizontal():
            yield self._sidebar
            with Vertical(id="middle"):
                yield self._title
                yield Static(_where_to_begin(), id="empty", markup=False)
                yield self._messages
                yield self._below
                yield self._proposals
                yield self._composer
            yield self._details
        yield self._status

    def on_mount(self) -> None:
        """Begin with what was said last."""
        self._conversations.changed = self._changed
        if self._first is None:
            self._first = next((each.name for each in self._conversations), None)
        if self._first is None:
            self.add_class("-empty")
            self._sidebar.focus()
        else:
            self._open(self._first)
        self.update_status()
        self.watch(self.app, "app_focus", self._see, init=False)
        self.watch(self._messages, "selected", self._update_details, init=False)

    def on_unmount(self) -> None:
        """Nobody looks any more."""
        self._conversations.changed = lambda _: None

    # What is shown

    def _open(self, name: str) -> None:
        """Show a conversation."""
        conversation = self._session.open(name)
        if conversation is not self._shown:
            self.remove_class("-empty")
            self._shown = None  # what the composer has now is not its draft
            self._composer.past = [each.text for each in conversation.messages[-_PAST:] if each.outgoing]
            self._composer.set_text(conversation.draft)
            self._shown = conversation
            self._composer.placeholder = f"Message to {conversation.title}"
            self._came_below = 0
            self._messages.show(conversation, first_unread(conversation.messages, conversation.read))
            if not conversation.messages:
                self._load_older()
        self.remove_class("-list")
        self._composer.focus()
        self._see()
        self._update()

    def _changed(self, conversation: Conversation) -> None:
        """Something is different: show it soon."""
        self._changed_shown |= conversation is self._shown
        if not self._pending:
            self._pending = True
            self.set_timer(_FRAME, self._update)

    def _update(self) -> None:
        self._pending = False
        if self._changed_shown:
            self._changed_shown = False
            self._messages.update_messages()
            self._see()
        conversations = list(self._conversations)
        if self._shown is None and conversations:
            self._open(conversations[0].name)
            return
        self._composer.names = [each.name for each in conversations if each.kind is Kind.DIRECT]
        self._sidebar.update_conversations(conversations, self._shown)
        self._title.update(self._title_of())
        below = self._below
        below.display = not self._messages.at_end and self._shown is not None
        below.update(f"\u2193 {self._came_below} new" if self._came_below else "\u2193 newer messages")
        self._update_details()
        self.update_status()

    def _title_of(self) -> Text:
        if self._shown is None:
            return Text()
        others = self._conversations.unread - self._shown.unread
        title = Text(placed(self._shown.title[:64], keep=""))
        if others:
            title.append(f"   {others} unread elsewhere: F3", "not bold")
        return title

    def _update_details(self) -> None:
        if self.has_class("-details"):
            self._details.update_details(self._session, self._shown, self._messages.selected)

    def update_status(self) -> None:
        """Say how the connection is, and what waits."""
        session = self._session
        status = self._status
        status.set_class(session.problem is not None, "-away")
        waiting = f"{session.waiting} waiting to be sent" if session.waiting else ""
        who = f"{session.name}@{session.server}"
        if session.problem is not None:
            again = "Ctrl+R connects again" if session.ended else "trying again"
            parts = ["\u2717 No connection", waiting, again, placed(str(session.problem)[:200], keep="")]
        elif not session.connected:
            parts = [f"\u2026 {who}", waiting]
        else:
            parts = [f"\u25cf {who}", waiting]
        text = " \u00b7 ".join(each for each in parts if each)
        hint = "? keys  ^K go to  ^P commands"
        room = self.size.width - 2
        if session.problem is None and len(text) + 2 + len(hint) <= room:
            text += hint.rjust(room - len(text))
        status.update(Text(text, no_wrap=True, overflow="ellipsis"))

    def on_resize(self) -> None:
        """There may be room for more, or for less."""
        self.update_status()

    def _see(self) -> None:
        """What is on the screen, in front of somebody, counts as read."""
        shown = self._shown
        if shown is not None and self._messages.at_end and self.app.app_focus and self.app.screen is self:
            self._came_below = 0
            with self._complaining():
                self._session.mark_read(shown)

    def arrived(self, message: Message) -> bool:
        """A message came.

        Returns:
            Whether somebody sees it.
        """
        shown = self._shown
        if shown is None or message.conversation != shown.key:
            return False
        if not self._messages.at_end:
            self._came_below += 1
        return self.app.app_focus and self._messages.at_end

    def on_screen_resume(self) -> None:
        """Somebody is back."""
        self._see()

    @on(MessageList.Seen)
    def _seen(self) -> None:
        self._see()
        self._changed_shown = False
        self._update()

    @on(MessageList.Near)
    def _near(self) -> None:
        self._load_older()

    @work
    async def _load_older(self) -> None:
        if self._shown is None or self._loading:
            return
        self._loading = True
        try:
            await self._session.load_older(self._shown)
        except TwotickError:
            self.update_status()  # whoever runs the session tells why
        finally:
            self._loading = False

    @on(OptionList.OptionSelected)
    def _conversation_chosen(self, event: OptionList.OptionSelected) -> None:
        if event.option_list is self._sidebar and event.option_id is not None:
            self._open(event.option_id)
        elif event.option_list is self._proposals:
            self._composer.complete()

    # What is typed

    @on(Composer.Changed)
    def _typed(self) -> None:
        if self._shown is not None and self._composer.text != self._shown.draft:
            with self._complaining():
                self._session.save_draft(self._shown, self._composer.text)

    @on(Composer.Submitted)
    def _submitted(self, event: Composer.Submitted) -> None:
        text = event.text.rstrip()
        if text.startswith("/") and not text.startswith("//"):
            self._command(text[1:])
            return
        if text.startswith("//"):
            text = text[1:]
        size = len(text.encode("utf-8", "replace"))
        if size > self._session.max_body:
            self.notify(f"That has {size} bytes, and {self._session.max_body} is the limit.", severity="warning")
        elif self._shown is not None:
            self._send(self._shown, text)

    def _send(self, conversation: Conversation, text: str) -> None:
        with self._complaining():
            self._session.send(conversation, text)
            self._composer.past.append(text)
            self._composer.set_text("")
            self._messages.scroll_to_end()

    @contextlib.contextmanager
    def _complaining(self) -> Generator[None]:
        """Say so if what is kept on this machine cannot be changed; what is typed stays where it is."""
        try:
            yield
        except LocalStoreError as error:
            self.notify(placed(str(error)[:300]), severity="error", markup=False)

    def _command(self, text: str) -> None:
        word, _, argument = text.partition(" ")
        command = find(word)
        if command is None:
            self.notify(f"There is no command /{placed(word[:40], keep='')}. To send it as it is, begin with //.")
            return
        self._composer.set_text("")
        argument = argument.strip()
        if argument and command.word == "to":
            self._go(argument.removeprefix("@"))
        elif argument and command.word == "theme":
            self._use_theme(argument)
        else:
            self.do(command)

    @on(Composer.Asked)
    def action_keys(self) -> None:
        """Show all keys."""
        self.app.push_screen(Keys(), self._type_question_mark)

    def _type_question_mark(self, wanted: bool | None) -> None:
        if wanted and not self.has_class("-empty"):
            self._composer.insert("?")

    @on(Composer.Scrolled)
    def _scrolled(self, event: Composer.Scrolled) -> None:
        self._messages.action_page(event.pages)

    @on(Composer.Left)
    def _left(self) -> None:
        self._messages.focus()

    # What can be done

    def action_go_to(self) -> None:
        """Find a conversation, or begin one."""
        self.app.push_screen(GoTo(self._conversations), self._go)

    def _go(self, name: str | None) -> None:
        if name is None:
            return
        if is_name(name.encode(errors="replace")) or name.upper() == "ALL":
            self._open(name)
        else:
            self.notify(f"Nobody can have the name {placed(name[:40], keep='')}.", severity="warning")

    def action_step(self, steps: int) -> None:
        """Show the conversation above or below."""
        conversations = list(self._conversations)
        if conversations:
            index = conversations.index(self._shown) if self._shown in conversations else -1
            self._open(conversations[(index + steps) % len(conversations)].name)

    def action_unread(self) -> None:
        """Show a conversation where something is unread, the one that names the user first."""
        unread = [each for each in self._conversations if each.unread and each is not self._shown]
        if unread:
            self._open(max(unread, key=lambda each: each.mentions > 0).name)
        else:
            self.notify("Nothing is unread.")

    def action_select(self) -> None:
        """Go to the messages; or back to what is typed."""
        if self._composer.has_focus:
            self._messages.focus()
        else:
            self._back()

    def _back(self) -> None:
        self.remove_class("-list", "-details" if self.has_class("-narrow") else "-list")
        self._composer.focus()

    def action_details(self) -> None:
        """Show or hide the details."""
        self.toggle_class("-details")
        self._update_details()

    def action_sidebar(self) -> None:
        """Show or hide the list of conversations."""
        if self.has_class("-narrow"):
            self.toggle_class("-list")
            if self.has_class("-list"):
                self._sidebar.focus()
            else:
                self._composer.focus()
        else:
            self.toggle_class("-no-list")

    def action_theme(self) -> None:
        """Use the next colours."""
        self._use_theme({"terminal": "dark", "dark": "light"}.get(self.app.theme, "terminal"))

    def _use_theme(self, name: str) -> None:
        if name in self.app.available_themes:
            self.app.theme = name
            self.notify(f"To keep these colours: theme = '{name}' in twotick.toml.")
        else:
            self.notify("There are: terminal, dark, light.", severity="warning")

    def action_commands(self) -> None:
        """Show all that can be done."""
        self.app.action_command_palette()

    def action_connect(self) -> None:
        """Connect now."""
        self.app.post_message(self.Connect())

    @work
    async def action_leave(self) -> None:
        """Leave, unless what waits would be lost."""
        waiting = self._session.waiting
        if waiting and not self._session.keeps:
            what = "1 message was not sent yet" if waiting == 1 else f"{waiting} messages were not sent yet"
            if not await self.app.push_screen_wait(Confirm("Leave?", f"{what}, and a guest's are not kept.")):
                return
        self.app.exit()

    # With a selected message

    @property
    def _selected(self) -> Message | None:
        return self._messages.selected

    def on_message_list_chosen(self, event: MessageList.Chosen) -> None:
        """Show all of a message."""
        message = event.message
        text = message.text if len(message.text) <= _LONGEST_PAGE else message.text[:_LONGEST_PAGE] + "\u2026"
        self.app.push_screen(Page(placed(message.sender[:32], keep=""), Text(placed(text))))

    def action_copy(self) -> None:
        """Copy the selected message."""
        if self._selected is not None:
            self.app.copy_to_clipboard(self._selected.text)
            self.notify("Copied.")

    @work
    async def action_open_link(self) -> None:
        """Open a link of the selected message, after it was seen."""
        found = links(self._selected.text) if self._selected is not None else []
        if not found:
            self.notify("There is no link in that message.")
            return
        for link in found[:5]:
            if await self.app.push_screen_wait(Confirm("Open this page?", placed(ascii(link)[1:-1][:2000], keep=""))):
                with contextlib.suppress(webbrowser.Error):
                    webbrowser.open(link)
                return

    def action_again(self) -> None:
        """Send the selected message again."""
        message = self._selected
        if message is None or message.state is not State.FAILED or self._shown is None:
            self.notify("Only what was not delivered is sent again.")
            return
        self._session.send(self._shown, message.text)
        self._composer.focus()
        self._messages.scroll_to_end()


def _where_to_begin() -> Text:
    return Text.assemble(
        ("Nothing was said yet.\n\n", "bold"),
        ("Ctrl+K", "bold"),
        ", a name and Enter begin a conversation.\n",
        "When somebody writes to you, it shows here.\n\n",
        ("?", "bold"),
        " shows all keys, ",
        ("Ctrl+Q", "bold"),
        " leaves.\n",
    )
