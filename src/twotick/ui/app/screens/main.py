"""The screen that one talks on."""

from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message as TextualMessage
from textual.widgets import OptionList, Static

from twotick.client import TwotickError
from twotick.ui.app.actions.details import DetailsActions
from twotick.ui.app.actions.files import FileActions
from twotick.ui.app.actions.people import PeopleActions
from twotick.ui.app.actions.rooms import RoomActions
from twotick.ui.app.actions.search import SearchActions
from twotick.ui.app.commands import COMMANDS, ON_MESSAGES, Command, bindings, find, for_user, why_not
from twotick.ui.app.dialogs.choose import Choice, ChooseDialog
from twotick.ui.app.dialogs.confirm import ConfirmDialog
from twotick.ui.app.dialogs.keys import KeysPage
from twotick.ui.app.model.conversations import ConversationKind, LocalConversation
from twotick.ui.app.model.messages import LocalMessage
from twotick.ui.app.session.activity import ActivityMonitor
from twotick.ui.app.session.base import ChatSession
from twotick.ui.app.session.permissions import Permission
from twotick.ui.app.widgets.composer import Composer
from twotick.ui.app.widgets.message_list import MessageList
from twotick.ui.app.widgets.sidebar import counts, dot
from twotick.ui.app.widgets.status_lines import (
    ResponsiveLine,
    status_line,
    title_line,
    undertaking_line,
    where_to_begin,
)
from twotick.ui.app.widgets.undertaking import ComposerMode
from twotick.ui.text import placed
from twotick.wire import is_name, is_room

_FRAME = 1 / 30
"""Seconds in which changes are gathered before they are shown."""

_LOOK = 10.0
"""Seconds between looks at whether somebody has gone."""

_PAST = 50
"""Texts that were sent, to which one can go back."""


class MainScreen(RoomActions, PeopleActions, FileActions, SearchActions, DetailsActions):
    """Conversations, messages, and what is typed.

    Args:
        session: what there is to show.
        first: with whom to begin; None for the conversation where something happened last.

    Attributes:
        attendance: whether somebody is here.
        undertaking: what is done with the text that is typed, besides sending it; None for nothing.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(COMMANDS, priority=True),
        *bindings(ON_MESSAGES, priority=False),
        Binding("question_mark", "keys", "Keys", show=False),
        Binding("escape", "select", "Back", show=False),
    ]
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (72, "-normal"), (110, "-wide")]  # noqa: RUF012
    DEFAULT_CSS = """
    MainScreen {
        background: $background;
        #title { height: 1; padding: 0 1; text-style: bold; text-wrap: nowrap; text-overflow: ellipsis; }
        #middle { width: 1fr; }
        #empty { height: 1fr; padding: 1 2; display: none; }
        &.-empty #empty { display: block; }
        &.-empty MessageList, &.-empty #writing, &.-empty #title { display: none; }
        #below { height: 1; padding: 0 1; text-align: right; color: $primary; text-style: bold; display: none; }
        #writing { height: auto; border-top: solid $border-blurred; }
        #writing:focus-within { border-top: solid $primary; }
        #undertaking { height: 1; padding: 0 1; display: none; text-wrap: nowrap; text-overflow: ellipsis; }
        #status { dock: bottom; height: 1; padding: 0 1; text-style: dim; }
        #status.-away { background: $error; color: $background; text-style: bold; }
        &:ansi #status.-away { background: ansi_default; color: ansi_red; text-style: bold reverse; }
        &.-narrow Sidebar { display: none; }
        &.-no-list Sidebar { display: none; }
        &.-narrow.-list Sidebar { display: block; width: 100%; border-right: none; }
        &.-narrow.-list #middle { display: none; }
        &.-details DetailsPane { display: block; }
        &.-details.-normal Sidebar { display: none; }
        &.-details.-narrow #middle { display: none; }
        &.-details.-narrow DetailsPane { width: 100%; border-left: none; }
    }
    """

    class ReconnectRequested(TextualMessage):
        """Connect now, whatever was tried before."""

    def __init__(self, session: ChatSession, first: str | None = None) -> None:
        super().__init__(session)
        self._conversations = session.conversations
        self._first = first
        self._came_below = 0  # messages that came below what is seen
        self._pending = False
        self._changed_shown = False
        self._loading = False
        self.undertaking: ComposerMode | None = None
        self.attendance = ActivityMonitor(session.set_presence)
        self._title = ResponsiveLine("title")
        self._below = Static(id="below", markup=False)
        self._doing = ResponsiveLine("undertaking")
        self._status = ResponsiveLine("status")
        self.composer.commands = [(each.word, each.title) for each in COMMANDS + ON_MESSAGES if for_user(session, each)]

    def compose(self) -> ComposeResult:
        """From left to right."""
        with Horizontal():
            yield self.sidebar
            with Vertical(id="middle"):
                yield self._title
                yield Static(where_to_begin(self.session), id="empty", markup=False)
                yield self.messages
                yield self._below
                yield self.proposals
                with Vertical(id="writing"):
                    yield self._doing
                    yield self.composer
            yield self.details
        yield self._status

    def on_mount(self) -> None:
        """Begin with what was said last."""
        self._conversations.on_change = self._changed
        self._conversations.on_message_change = self.messages.alter
        self.session.on_refusal = lambda reason: self.say(reason, problem=True)
        if self._first is None:
            self._first = next((each.name for each in self._conversations), None)
        if self._first is None:
            self.add_class("-empty")
            self.sidebar.focus()
        else:
            self.open(self._first)
        self.update_status()
        self.watch(self.app, "app_focus", self._focus_changed, init=False)
        self.watch(self.messages, "selected", self.update_details, init=False)
        self.set_interval(_LOOK, self.attendance.look)

    def on_unmount(self) -> None:
        """Nobody looks any more."""
        self._conversations.on_change = lambda _: None
        self._conversations.on_message_change = lambda _: None
        self.session.on_refusal = lambda _: None

    # What is shown

    def open(self, name: str) -> None:
        """Show a conversation."""
        conversation = self.session.open(name)
        if conversation is not self.shown:
            self.end_undertaking()
            self.remove_class("-empty")
            self.shown = None  # what the composer has now is not its draft
            self.composer.past = [each.text for each in conversation.messages[-_PAST:] if each.outgoing and each.text]
            self.composer.set_text(conversation.draft)
            self.shown = conversation
            self._came_below = 0
            self.messages.show(conversation, conversation.first_unread)
            if not conversation.messages:
                self._load_older()
        self.remove_class("-list")
        self.composer.focus()
        self._see()
        self._update()

    def _changed(self, conversation: LocalConversation) -> None:
        """Something is different: show it soon."""
        self._changed_shown |= conversation is self.shown
        if not self._pending:
            self._pending = True
            self.set_timer(_FRAME, self._update)

    def _update(self) -> None:
        self._pending = False
        if self._changed_shown:
            self._changed_shown = False
            self.messages.update_messages()
            self._see()
        conversations = list(self._conversations)
        if self.shown is None and conversations:
            self.open(conversations[0].name)
            return
        self._know(conversations)
        self.sidebar.update_conversations(conversations, self.shown)
        if (shown := self.shown) is not None:
            others = self._conversations.unread - shown.unread
            self._title.show(lambda width: title_line(shown, others, width))
        below = self._below
        below.display = not self.messages.at_end and self.shown is not None
        below.update(f"\u2193 {self._came_below} new" if self._came_below else "\u2193 newer messages: Ctrl+End")
        self.update_details()
        self.update_status()

    def _know(self, conversations: list[LocalConversation]) -> None:
        """What can be completed, and what the composer says while it is empty."""
        shown = self.shown
        self.composer.names = [each.name for each in conversations if each.kind is ConversationKind.DIRECT]
        self.composer.rooms = [each.name for each in conversations if each.kind is ConversationKind.ROOM]
        if shown is None:
            return
        if shown.kind is ConversationKind.ROOM:
            self.composer.names += {each.sender for each in shown.messages[-_PAST:] if not each.outgoing}
        writable = self.session.can(Permission.SEND, shown)
        name = placed(shown.title[:33], keep="")
        self.composer.placeholder = Content(f"Message to {name}" if writable else f"You are not in {name} any more")

    def update_status(self) -> None:
        """Say how the connection is, and what waits."""
        self._status.set_class(self.session.problem is not None, "-away")
        away = not self.attendance.here
        self._status.show(lambda width: status_line(self.session, away, width))

    def _focus_changed(self, focus: bool) -> None:
        self.attendance.focus(focus)
        self._see()
        self.update_status()

    def acted(self) -> None:
        """A key was pressed, or the mouse used."""
        if not self.attendance.here:
            self.attendance.acted()
            self.update_status()
        else:
            self.attendance.acted()

    def set_status(self, status: str) -> None:
        """Be here, away or hidden from now on."""
        self.session.set_visible(status != "hidden")
        self.attendance.be_away(status == "away")
        self.update_status()

    def _see(self) -> None:
        """What is on the screen, in front of somebody, counts as read."""
        shown = self.shown
        if shown is not None and self.messages.at_end and self.app.app_focus and self.app.screen is self:
            self._came_below = 0
            with self.complaining():
                self.session.mark_read(shown)

    def arrived(self, message: LocalMessage) -> bool:
        """A message came.

        Returns:
            Whether somebody sees it.
        """
        shown = self.shown
        if shown is None or message.conversation != shown.key:
            return False
        if not self.messages.at_end:
            self._came_below += 1
        return self.app.app_focus and self.messages.at_end

    def on_screen_resume(self) -> None:
        """Somebody is back."""
        self._see()

    @on(MessageList.EndVisibilityChanged)
    def _seen(self) -> None:
        self._see()
        self._changed_shown = False
        self._update()

    @on(MessageList.TopReached)
    def _near(self) -> None:
        self._load_older()

    @work
    async def _load_older(self) -> None:
        if self.shown is None or self._loading:
            return
        self._loading = True
        try:
            await self.session.load_older(self.shown)
        except TwotickError:
            self.update_status()  # whoever runs the session tells why
        finally:
            self._loading = False

    @on(OptionList.OptionSelected)
    def _conversation_chosen(self, event: OptionList.OptionSelected) -> None:
        if event.option_list is self.sidebar and event.option_id is not None:
            self.open(event.option_id)
        elif event.option_list is self.proposals:
            self.composer.complete()

    # What is typed

    def begin(self, undertaking: ComposerMode) -> None:
        """What is typed from now on answers a message, or takes its place."""
        self.end_undertaking()
        self.undertaking = undertaking
        if undertaking.kind == "edit":
            self.composer.set_text(undertaking.message.text)
        self._doing.display = True
        self._doing.show(lambda width: undertaking_line(undertaking, width))
        self.composer.focus()

    def end_undertaking(self) -> None:
        """What is typed from now on is a message of its own."""
        ended, self.undertaking = self.undertaking, None
        if ended is not None and ended.kind == "edit" and self.shown is not None:
            self.composer.set_text(self.shown.draft)
        self._doing.display = False

    @on(Composer.Changed)
    def _typed(self) -> None:
        shown, text = self.shown, self.composer.text
        if shown is None:
            return
        editing = self.undertaking is not None and self.undertaking.kind == "edit"
        if not editing and text != shown.draft:
            with self.complaining():
                self.session.save_draft(shown, text)
        if text and text != self.composer.given and not text.startswith("/"):
            self.session.typing(shown)

    @on(Composer.Submitted)
    def _submitted(self, event: Composer.Submitted) -> None:
        text = event.text.rstrip()
        if text.startswith("/") and not text.startswith("//"):
            self._command(text[1:])
            return
        if text.startswith("//"):
            text = text[1:]
        size = len(text.encode("utf-8", "replace"))
        if size > self.session.max_body:
            self.say(f"That has {size} bytes, and {self.session.max_body} is the limit.", problem=True)
        elif self.shown is not None:
            self._send(self.shown, text)

    def _send(self, conversation: LocalConversation, text: str) -> None:
        if not self.session.can(Permission.SEND, conversation):
            self.say(f"You are not in {conversation.title} any more.", problem=True)
            return
        with self.complaining():
            undertaking = self.undertaking
            if undertaking is not None and undertaking.kind == "edit":
                self.session.edit(undertaking.message, text)
            else:
                self.session.send(conversation, text, undertaking.message if undertaking is not None else None)
                self.composer.past.append(text)
                self.composer.set_text("")
                self.messages.scroll_to_end()
            self.end_undertaking()

    def _command(self, text: str) -> None:
        word, _, argument = text.partition(" ")
        command = find(word)
        if command is None:
            self.say(f"There is no command /{word[:40]}. To send it as it is, begin with //.")
            return
        self.composer.set_text("")
        if self.shown is not None:
            with self.complaining():
                self.session.save_draft(self.shown, "")
        self.do(command, argument.strip())

    @on(Composer.HelpRequested)
    def action_keys(self) -> None:
        """Show all keys."""
        self.app.push_screen(KeysPage(self.session), self._type_question_mark)

    def _type_question_mark(self, wanted: bool | None) -> None:
        if wanted and not self.has_class("-empty"):
            self.composer.insert("?")

    @on(Composer.PageScrolled)
    def _scrolled(self, event: Composer.PageScrolled) -> None:
        self.messages.action_page(event.pages)

    @on(Composer.LeaveRequested)
    def _left(self) -> None:
        self.messages.focus()

    @on(Composer.Cancelled)
    def _escaped(self) -> None:
        if self.undertaking is not None:
            self.end_undertaking()
        else:
            self.messages.focus()

    # What can be done

    def why_not(self, command: Command) -> str:
        """Why something cannot be done now; empty if it can."""
        message = self.message_for(command.deed) if command.with_message else self.messages.selected
        return why_not(self.session, command, self.shown, message)

    def do(self, command: Command, argument: str = "") -> None:
        """Do what a command says, or say why that cannot be done."""
        why = self.why_not(command)
        if why:
            self.say(why)
        elif command.argument:
            self.call_later(self.run_action, f"{command.action}({argument!r})")
        else:
            self.call_later(self.run_action, command.action)

    async def action_do(self, word: str) -> None:
        """Do what the command with that word says, at once: what is typed next may be for a dialog."""
        command = find(word)
        why = "" if command is None else self.why_not(command)
        if why:
            self.say(why)
        elif command is not None:
            await self.run_action(f"{command.action}('')" if command.argument else command.action)

    @work
    async def action_go_to(self, argument: str = "") -> None:
        """Find a conversation, or begin one."""
        name = argument.removeprefix("@")
        if not name:
            choices = [_choice(each) for each in self._conversations]
            name = await self.ask(ChooseDialog("Go to", choices, "A name, a #room, or ALL for everyone", _another))
        if not name:
            return
        if is_name(name.encode(errors="replace")) or name.upper() == "ALL" or self._conversations.find(name):
            self.open(name)
        elif is_room(name.encode(errors="replace")) and for_user(self.session, _JOIN):
            self.do(_JOIN, name)
        else:
            self.say(f"Nobody can have the name {name[:40]}.", problem=True)

    def action_step(self, steps: int) -> None:
        """Show the conversation above or below."""
        conversations = list(self._conversations)
        if conversations:
            index = conversations.index(self.shown) if self.shown in conversations else -1
            self.open(conversations[(index + steps) % len(conversations)].name)

    def action_newest(self) -> None:
        """Show the newest message."""
        self.messages.scroll_to_end()

    def action_unread(self) -> None:
        """Show a conversation where something is unread, the one that names the user first."""
        unread = [each for each in self._conversations if each.unread and each is not self.shown]
        if unread:
            self.open(max(unread, key=lambda each: (each.mentions > 0, not each.muted)).name)
        else:
            self.say("Nothing is unread.")

    def action_select(self) -> None:
        """Go to the messages; or back to what is typed."""
        if self.composer.has_focus:
            self.messages.focus()
        else:
            self._back()

    def _back(self) -> None:
        self.remove_class("-list", "-details" if self.has_class("-narrow") else "-list")
        self.composer.focus()

    def action_sidebar(self) -> None:
        """Show or hide the list of conversations."""
        if self.has_class("-narrow"):
            self.toggle_class("-list")
            if self.has_class("-list"):
                self.sidebar.focus()
            else:
                self.composer.focus()
        else:
            self.toggle_class("-no-list")

    def action_theme(self, argument: str = "") -> None:
        """Use these colours, or the next ones."""
        name = argument or {"terminal": "dark", "dark": "light"}.get(self.app.theme, "terminal")
        if name in self.app.available_themes:
            self.app.theme = name
            self.say(f"To keep these colours: theme = '{name}' in twotick.toml.")
        else:
            self.say("There are: terminal, dark, light.", problem=True)

    def action_commands(self) -> None:
        """Show all that can be done."""
        self.app.action_command_palette()

    def action_connect(self) -> None:
        """Connect now."""
        self.app.post_message(self.ReconnectRequested())

    @work
    async def action_quit(self) -> None:
        """Leave, unless what waits would be lost."""
        waiting = self.session.waiting
        if waiting and not self.session.is_member:
            what = "1 message was not sent yet" if waiting == 1 else f"{waiting} messages were not sent yet"
            if not await self.ask(ConfirmDialog("Leave?", f"{what}, and a guest's are not kept.")):
                return
        self.app.exit()


_JOIN = next(each for each in COMMANDS if each.word == "join")


def _choice(conversation: LocalConversation) -> Choice:
    title = placed(conversation.title[:40], keep="")
    shown = Content.assemble(dot(conversation.presence), " ", title, (f"  {counts(conversation)}", "bold"))
    return Choice(conversation.name, shown, f"{conversation.title} {conversation.key}")


def _another(typed: str) -> Choice | None:
    """What can be gone to besides the conversations that there are."""
    if is_room(typed.encode(errors="replace")):
        return Choice(typed, Content.assemble(("Join ", "dim"), typed), typed)
    if typed.lower() == "all":
        return Choice("ALL", Content.assemble(("Write to ", "dim"), "everyone"), typed)
    if is_name(typed.encode(errors="replace")):
        return Choice(typed, Content.assemble(("Write to ", "dim"), typed), typed)
    return None
