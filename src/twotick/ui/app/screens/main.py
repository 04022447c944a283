"""The main screen: conversations, messages, and the composer."""

from collections.abc import Coroutine
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message as TextualMessage
from textual.widgets import OptionList, Static
from textual.widgets._toast import ToastRack

from twotick.client import TwotickError
from twotick.ui.app.actions.base import ActionScreen
from twotick.ui.app.actions.details import DetailsActions
from twotick.ui.app.commands import COMMANDS, ON_MESSAGES, Command, bindings, find, is_for, why_not
from twotick.ui.app.model.conversations import ConversationKind, LocalConversation
from twotick.ui.app.model.messages import LocalMessage
from twotick.ui.app.session.activity import ActivityMonitor
from twotick.ui.app.session.base import ChatSession
from twotick.ui.app.session.permissions import Permission
from twotick.ui.app.typing_ahead import TypingAhead
from twotick.ui.app.widgets.composer import Composer
from twotick.ui.app.widgets.composer_mode import ComposerMode
from twotick.ui.app.widgets.message_list import MessageList
from twotick.ui.app.widgets.status_lines import (
    ResponsiveLine,
    empty_text,
    keys_line,
    mode_line,
    status_line,
    title_line,
)
from twotick.ui.text import for_screen
from twotick.ui.texts import plural, t

if TYPE_CHECKING:
    from twotick.ui.app.actions.table import Actions

_FRAME = 1 / 30
"""Seconds in which changes are collected before they are shown."""

_ACTIVITY_CHECK = 10.0
"""Seconds between two checks whether the user is idle."""

_WIDE = 110
"""Columns of a terminal from which on the details are shown at the start."""

_PAST = 50
"""Sent texts that the user can recall in the composer."""


class MainScreen(ActionScreen):
    """The conversations of a user.

    Args:
        session: the session of the user.
        typing_ahead: holds what is typed while the server is asked.
        first: the name of the conversation that is shown first; None for the one that was shown last.

    Attributes:
        activity: whether the user is at the keyboard.
    """

    class Chosen(TextualMessage):
        """The user has chosen a setting, which lasts."""

        def __init__(self, name: str, value: str | bool) -> None:
            super().__init__()
            self.name = name
            self.value = value

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(COMMANDS, priority=True),
        Binding("escape", "write", "Back", show=False),
    ]
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (72, "-normal"), (_WIDE, "-wide")]  # noqa: RUF012
    DEFAULT_CSS = """
    MainScreen {
        background: $background;
        #title {
            height: 1; padding: 0 1; background: $panel 50%; text-style: bold;
            text-wrap: nowrap; text-overflow: ellipsis;
        }
        #middle { width: 1fr; }
        #empty { height: 1fr; padding: 1 2; content-align: center middle; display: none; }
        &.-empty #empty { display: block; }
        &.-empty MessageList, &.-empty #writing, &.-empty #title, &.-empty #below { display: none; }
        #below { height: 1; padding: 0 1; text-align: right; color: $primary; text-style: bold; display: none; }
        #writing { height: auto; border-top: solid $border-blurred; }
        #writing:focus-within { border-top: solid $primary; }
        #mode { height: 1; padding: 0 1; display: none; text-wrap: nowrap; text-overflow: ellipsis; }
        #status { dock: bottom; height: 1; padding: 0 1; background: $panel 50%; color: $foreground 60%; }
        &:ansi #status { color: ansi_default; text-style: dim; }
        #status.-away { background: $error; color: $background; text-style: bold; }
        &:ansi #status.-away { background: ansi_default; color: ansi_red; text-style: bold reverse; }
        &.-choosing #writing { text-style: dim; }
        &.-choosing Composer { text-style: dim; }
        &.-choosing #status { text-style: bold; }
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

    def __init__(self, session: ChatSession, typing_ahead: TypingAhead, first: str | None = None) -> None:
        super().__init__(session, typing_ahead)
        self._conversations = session.conversations
        self._first = first
        self._new_below = 0  # new messages below the visible ones
        self._update_scheduled = False
        self._shown_changed = False
        self._loading: set[str] = set()  # the keys of conversations whose older messages are requested
        self._chosen = False  # whether the user has chosen to look at the conversation that is shown
        self._draft_problem = ""  # why the draft could not be stored last
        self.activity = ActivityMonitor(session.set_presence)
        self._details = DetailsActions(self)
        self._title = ResponsiveLine("title")
        self._below = Static(id="below", markup=False)
        self._mode_line = ResponsiveLine("mode")
        self._status = ResponsiveLine("status")
        self._name_commands()

    def _name_commands(self) -> None:
        able = [each for each in COMMANDS + ON_MESSAGES if is_for(self.session, each)]
        self.composer.commands = [(each.word, t(each.title)) for each in able]

    def language_changed(self) -> None:
        """Show all texts in the language that is in use now."""
        self._name_commands()
        self.messages.lay_out_again()
        self._update()

    def show_panes(self, *, listed: bool, details: bool) -> None:
        """Show or hide the list of conversations and the details, as the user had chosen before."""
        self.set_class(not listed, "-no-list")
        self.set_class(details and self.app.size.width >= _WIDE, "-details")

    @cached_property
    def _actions(self) -> "Actions":
        from twotick.ui.app.actions.table import Actions  # imported late: the first picture does not need the dialogs

        return Actions(self, self._details)

    def compose(self) -> ComposeResult:
        """Create the widgets, from left to right."""
        with Horizontal():
            yield self.sidebar
            with Vertical(id="middle"):
                yield self._title
                yield Static(empty_text(self.session), id="empty", markup=False)
                yield self.messages
                yield self._below
                yield self.completion_list
                with Vertical(id="writing"):
                    yield self._mode_line
                    yield self.composer
            yield self._details.pane
        yield self._status

    def on_mount(self) -> None:
        """Show the first conversation, and follow changes from now on."""
        self.move_child(self.query_one(ToastRack), after=self._status)  # what is said is shown over the status line
        self._conversations.on_change = self._changed
        self._conversations.on_message_change = self.messages.message_changed
        self.composer.on_edit = self._keep_draft
        self.messages.on_command = self.run_command
        self.messages.on_leave = self.sidebar.on_character = self._leave_messages
        self._conversations.on_profile_change = self._profiles_changed
        self.session.on_refusal = lambda reason: self.say(t(reason), problem=True)
        if self._first is not None:
            self.open(self._first)
        elif (place := self._conversations.find(self.session.place or "")) is not None and not place.closed:
            self._show(place.name, chosen=False)
        else:
            self.show_list()
        self.update_status()
        self.watch(self.app, "app_focus", self._focus_changed, init=False)
        self.watch(self.messages, "selected", self._selected, init=False)
        self.set_interval(_ACTIVITY_CHECK, self._look)

    def on_unmount(self) -> None:
        """Stop following changes."""
        self._conversations.on_change = lambda _: None
        self._conversations.on_message_change = lambda _: None
        self._conversations.on_profile_change = lambda: None
        self.session.on_refusal = lambda _: None

    def _look(self) -> None:
        """Look whether the user is idle, and whether conversations are muted no longer."""
        self.activity.look()
        with self.showing_errors():
            self.session.unmute_due()

    def _selected(self) -> None:
        self._details.update()
        self.update_status()

    def keep_choice(self, name: str, value: str | bool) -> None:
        """Keep a choice of the user. The app does that, because it holds for all accounts."""
        self.post_message(self.Chosen(name, value))

    # Showing conversations

    def show_list(self) -> None:
        """Show the list of conversations, and no conversation."""
        self.end_mode()
        self.shown = None
        self.messages.show(None, None)
        self.composer.set_text("")
        self.add_class("-empty")
        self.remove_class("-no-list")
        with self.showing_errors():
            self.session.set_place(None)
        self.set_focus(self.sidebar)
        self._update()

    def open(self, name: str) -> None:
        """Show the conversation with a user or in a room, because the user has chosen it."""
        self._show(name, chosen=True)

    def _show(self, name: str, *, chosen: bool) -> None:
        """Show a conversation.

        Args:
            name: its name.
            chosen: whether the user has chosen to look at it. Otherwise it is not marked as read, until the user does
                something in it.
        """
        conversation = self.session.open(name)
        if conversation is not self.shown:
            self.end_mode()
            self.remove_class("-empty")
            self.shown = None  # the text in the composer is not the draft of the new conversation
            own = [each for each in conversation.messages[-_PAST:] if each.outgoing and not each.forwarded_from]
            self.composer.past = [each.text for each in own if each.text]
            self.composer.set_text(conversation.draft)
            self.shown = conversation
            self._new_below = 0
            self._chosen = False
            self.messages.show(conversation, conversation.first_unread)
            with self.showing_errors():
                self.session.set_place(conversation)
            if not conversation.messages:
                self._load_older()
        self.remove_class("-list")
        self.set_focus(self.composer)
        if chosen:
            self._choose()
        self._update()

    def _choose(self) -> None:
        """Record that the user looks at the conversation that is shown."""
        self._chosen = True
        self._mark_read()

    def _changed(self, conversation: LocalConversation) -> None:
        """Schedule an update, because a conversation has changed."""
        self._shown_changed |= conversation is self.shown
        self._schedule_update()

    def _schedule_update(self) -> None:
        if not self._update_scheduled:
            self._update_scheduled = True
            self.set_timer(_FRAME, self._update)

    def _profiles_changed(self) -> None:
        self.messages.profiles_changed()
        self._schedule_update()

    def _update(self) -> None:
        """Show the current state of all conversations."""
        self._update_scheduled = False
        if self._shown_changed:
            self._shown_changed = False
            self._mark_read()
            new, shown = self.messages.new, self.shown
            if shown is not None and shown.unread and (new is None or not shown.is_unread(new)):
                self.messages.mark_new(shown.first_unread)
            self.messages.update_messages()
            self._mark_read()  # the end may be visible now
        conversations = self._conversations.listed
        if self.shown is None:
            self.query_one("#empty", Static).update(empty_text(self.session))
            self.set_class(bool(conversations), "-list")
            if self.focused is None and conversations:
                self.call_after_refresh(self.set_focus, self.sidebar)  # on a narrow terminal it was hidden until now
        self._update_composer(conversations)
        self.sidebar.update_conversations(conversations, self.shown, self._conversations.profiles)
        if (shown := self.shown) is not None:
            others = self._conversations.unread - shown.unread
            self._title.show(lambda width: title_line(shown, self._conversations.profiles, others, width))
        below = self._below
        below.display = not self.messages.at_end and self.shown is not None
        below.update(
            "\u2193 " + plural("1 new: Ctrl+End", "{n} new: Ctrl+End", self._new_below)
            if self._new_below
            else "\u2193 " + t("newer messages: Ctrl+End")
        )
        self._details.update()
        self.update_status()

    def _update_composer(self, conversations: list[LocalConversation]) -> None:
        """Update the names that can be completed, and the text that the empty composer shows."""
        shown = self.shown
        self.composer.names = [each.name for each in conversations if each.kind is ConversationKind.DIRECT]
        self.composer.rooms = [each.name for each in conversations if each.kind is ConversationKind.ROOM]
        if shown is None:
            return
        if shown.kind is ConversationKind.ROOM:
            self.composer.names += {each.sender for each in shown.messages[-_PAST:] if not each.outgoing}
        writable = self.session.can(Permission.SEND, shown)
        name = for_screen(shown.title[:33], keep="")
        self.composer.placeholder = Content(
            t("Message to {name}", name=name) if writable else t("You are no longer in {name}", name=name)
        )

    def update_status(self) -> None:
        """Show the status of the connection or, while a message is selected, the keys for it."""
        if self.waiting:
            self._status.set_class(True, "-away")
            self._status.show(lambda _: Content(t("Waiting for the server \u2026   Esc: cancel")))
            return
        if self.messages.has_focus:
            able = [each for each in ON_MESSAGES if not self.why_not(each)]
            able.sort(key=lambda each: each.word != "save")  # what only this message has must not be what does not fit
            self._status.set_class(False, "-away")
            self._status.show(lambda width: keys_line(able, width))
            return
        self._status.set_class(self.session.problem is not None, "-away")
        away = not self.activity.here
        self._status.show(lambda width: status_line(self.session, away, width))

    def set_status(self, status: str) -> None:
        """Set the user's presence to `here`, `away` or `hidden`."""
        self.session.set_visible(status != "hidden")
        self.activity.be_away(status == "away")
        self.update_status()

    # Reading

    def _focus_changed(self, focus: bool) -> None:
        self.activity.focus(focus)
        self._mark_read()
        self.update_status()

    def acted(self) -> None:
        """Record that the user pressed a key or used the mouse."""
        was_here = self.activity.here
        self.activity.acted()
        if not was_here:
            self.update_status()

    def _mark_read(self) -> None:
        """Mark the conversation as read if its end is visible and the terminal has the focus."""
        shown = self.shown
        if (
            shown is not None
            and self._chosen
            and self.messages.at_end
            and self.app.app_focus
            and self.app.screen is self
        ):
            self._new_below = 0
            with self.showing_errors():
                self.session.mark_read(shown)

    def arrived(self, message: LocalMessage) -> bool:
        """Record that a message has arrived.

        Returns:
            Whether the user sees it.
        """
        shown = self.shown
        if shown is None or message.conversation != shown.key:
            return False
        if not self.messages.at_end:
            self._new_below += 1
        return self._chosen and self.app.app_focus and self.messages.at_end

    def on_screen_resume(self) -> None:
        """Mark the conversation as read when a dialog was closed."""
        self._mark_read()

    @on(MessageList.EndVisibilityChanged)
    def _end_visibility_changed(self) -> None:
        self._mark_read()
        self._shown_changed = False
        self._update()

    @on(MessageList.TopReached)
    def _top_reached(self) -> None:
        self._load_older()

    @work
    async def _load_older(self) -> None:
        shown = self.shown
        if shown is None or shown.key in self._loading:
            return
        self._loading.add(shown.key)
        try:
            await self.session.load_older(shown)
        except TwotickError:
            self.update_status()  # the status line shows the reason
        finally:
            self._loading.discard(shown.key)

    @on(MessageList.Opened)
    def _message_opened(self, event: MessageList.Opened) -> None:
        self.run_worker(self._actions.messages.open(event.message))

    @on(OptionList.OptionSelected)
    def _option_selected(self, event: OptionList.OptionSelected) -> None:
        if event.option_list is self.sidebar and event.option_id is not None:
            self.open(event.option_id)
        elif event.option_list is self.completion_list:
            self.composer.action_complete()

    # Writing

    @property
    def _editing(self) -> bool:
        """Whether the composer has the text of a message that was sent."""
        return self.mode is not None and self.mode.kind == "edit"

    def start_mode(self, mode: ComposerMode) -> None:
        """Start a reply or an edit."""
        self.end_mode()
        self.mode = mode
        if mode.kind == "edit":
            self.composer.commands = []
            self.composer.set_text(mode.message.text)
        self._mode_line.display = True
        self._mode_line.show(lambda width: mode_line(mode, self._conversations.profiles, width))
        self.write()

    def end_mode(self) -> None:
        """End the reply or edit in progress."""
        ended, self.mode = self.mode, None
        if ended is not None and ended.kind == "edit" and self.shown is not None:
            self._name_commands()
            self.composer.set_text(self.shown.draft)
        self._mode_line.display = False

    @on(Composer.Changed)
    def _typed(self) -> None:
        shown, text = self.shown, self.composer.text
        if shown is None:
            return
        if text != self.composer.given:
            self._choose()
        self._keep_draft()
        if text and text != self.composer.given and not text.startswith("/"):
            self.session.typing(shown)

    def _keep_draft(self) -> None:
        """Store what is in the composer, so that what is shown there is kept if the app is killed."""
        shown, text = self.shown, self.composer.text
        if shown is not None and not self._editing and text != shown.draft:
            self._save_draft(shown, text)

    def _save_draft(self, conversation: LocalConversation, text: str) -> None:
        """Store what is being typed. If that fails, say so once, and not for each key."""
        problem = ""
        try:
            self.session.save_draft(conversation, text)
        except TwotickError as error:
            problem = t(str(error))
        if problem and problem != self._draft_problem:
            self.say(problem, problem=True)
        self._draft_problem = problem

    @on(Composer.Submitted)
    def _submitted(self, event: Composer.Submitted) -> None:
        text = event.text.rstrip("\n")
        if self._editing:
            self.send(text)  # whatever it begins with: it replaces a text that is shown as it is
            return
        if text.startswith("/") and not text.startswith("//"):
            self._submit_command(text[1:])
            return
        self.send(text[1:] if text.startswith("//") else text)

    def send(self, text: str) -> None:
        """Send a text to the conversation that is shown, or edit the message that is being edited."""
        size = len(text.encode("utf-8", "replace"))
        if size > self.session.max_body:
            self.say(
                t(
                    "The message has {size} bytes; the limit is {most}. Shorten it.",
                    size=size,
                    most=self.session.max_body,
                ),
                problem=True,
            )
        elif self.shown is not None:
            self._send(self.shown, text)

    def _send(self, conversation: LocalConversation, text: str) -> None:
        if not self.session.can(Permission.SEND, conversation):
            self.say(
                t("Not sent: you are no longer in {title}. Join the room again first.", title=conversation.title),
                problem=True,
            )
            return
        with self.showing_errors():
            mode = self.mode
            if mode is not None and mode.kind == "edit":
                self.session.edit(mode.message, text)
            else:
                self.session.send(conversation, text, mode.message if mode is not None else None)
                self.composer.past.append(text)
                if conversation.members == 1:
                    self.say(t("There is no one else in this room who could get it. Alt+I invites a user."))
                self.composer.set_text("")
                self.messages.mark_new(None)
                self.messages.update_messages()
                self.messages.scroll_to_end()
            self.end_mode()

    def _submit_command(self, text: str) -> None:
        word, _, argument = text.partition(" ")
        command = find(word)
        if command is None:
            self.say(t("There is no command /{word}. To send this as a message, begin it with //.", word=word[:40]))
            return
        self.composer.set_text("")
        if self.shown is not None:
            with self.showing_errors():
                self.session.save_draft(self.shown, "")
        self.do(command, argument.strip())

    @on(Composer.PageScrolled)
    def _page_scrolled(self, event: Composer.PageScrolled) -> None:
        self.messages.action_page(event.pages)
        self._choose()

    @on(Composer.Cancelled)
    def _cancelled(self, event: Composer.Cancelled) -> None:
        """Cancel a reply or an edit. If there is none, select a message when Esc was pressed twice."""
        if self.mode is not None:
            self.end_mode()
            self.composer.forget_escape()
        elif event.again:
            self.messages.focus()
        else:
            self._status.show(lambda _: Content(t("Esc again: select a message")))

    @on(Composer.EscapeForgotten)
    def _escape_forgotten(self) -> None:
        self.update_status()

    @on(Composer.Advised)
    def _advised(self, event: Composer.Advised) -> None:
        self.say(event.advice)

    @on(Composer.EditRequested)
    def _edit_requested(self) -> None:
        """Edit the last message. If there is none that can be edited, show what was sent before."""
        if self.mode is None and self.session.is_member and self.message_for(Permission.EDIT) is not None:
            self.run_command("edit")
        else:
            self.composer.recall()

    @on(MessageList.FocusChanged)
    def _choosing_changed(self) -> None:
        """Show whether letters are commands now."""
        self.set_class(self.messages.has_focus, "-choosing")
        if self.messages.has_focus:
            self._choose()
        self.update_status()

    def _leave_messages(self, character: str) -> None:
        """Go back to writing. A character that is no command goes to the composer."""
        if self.shown is not None:
            self.write()
            if character:
                self.composer.type(character)
        elif character == "/":
            self.run_command("commands")

    def write(self) -> None:
        """Move the focus to the composer at once, so that the next keys go there."""
        self.remove_class("-list", "-details" if self.has_class("-narrow") else "-list")
        self.set_focus(self.composer)

    def action_write(self) -> None:
        """Go back to writing."""
        self.write()

    # Commands

    def why_not(self, command: Command) -> str:
        """Return why a command is not available now; empty if it is."""
        message = self.message_for(command.permission) if command.with_message else self.messages.selected
        return why_not(self.session, command, self.shown, message)

    def do(self, command: Command, argument: str = "") -> None:
        """Run a command after the events that are already in the queue, or say why it is not available."""
        self.call_later(self.run_command, command.word, argument)

    def run_command(self, word: str, argument: str = "") -> None:
        """Run the command with a word, or say why it is not available."""
        command = find(word)
        if command is None:
            return
        reason = self.why_not(command)
        if reason:
            self.say(reason)
            return
        rest: Coroutine[None, None, None] | None = self._actions.by_word[command.word](argument)
        if rest is not None:
            self.run_worker(rest)

    def action_do(self, word: str) -> None:
        """Run the command of a key at once, because the next keys may be for its dialog."""
        self.run_command(word)
