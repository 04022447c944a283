"""All that can be done, in one list: keys, the command palette, `/commands` and the page of keys are made from it."""

from typing import NamedTuple

from textual.binding import Binding

from twotick.ui.app.model.conversations import ConversationKind, LocalConversation
from twotick.ui.app.model.messages import LocalMessage
from twotick.ui.app.session.base import ChatSession
from twotick.ui.app.session.permissions import Permission


class Command(NamedTuple):
    """Something that can be done.

    Attributes:
        word: what is typed after the slash.
        title: what it is called.
        help: what it does.
        action: what Textual is to do, a method `action_...` of the screen; given the argument if there may be one.
        keys: the keys for it, with commas between them; empty if the widget that has the focus takes them.
        shown: how the first key is shown.
        argument: what may come after the word; empty if nothing may.
        deed: what the session must be able to do; None if it can be done always.
        with_message: whether it is done with the selected message.
    """

    word: str
    title: str
    help: str
    action: str
    keys: str
    shown: str
    argument: str = ""
    deed: Permission | None = None
    with_message: bool = False


MOVING = (
    Command("to", "Go to ...", "Find a conversation, or begin one", "go_to", "ctrl+k,ctrl+n", "^K", "NAME"),
    Command("next", "Next conversation", "The one below", "step(1)", "alt+down,ctrl+down", "Alt+\u2193"),
    Command("previous", "Previous conversation", "The one above", "step(-1)", "alt+up,ctrl+up", "Alt+\u2191"),
    Command("unread", "Next unread conversation", "Where something new was said", "unread", "alt+a,f3", "F3"),
    Command("newest", "Newest message", "Back to the end of the conversation", "newest", "ctrl+end", "^End"),
    Command("search", "Search", "In all that was said", "search", "ctrl+f", "^F", "WORDS", Permission.SEARCH),
    Command("messages", "Select a message", "To answer it, copy it, react to it and more", "select", "", "Esc"),
)

ROOMS = (
    Command("rooms", "Rooms", "Browse them, and join one", "rooms", "f6,alt+r", "F6", "", Permission.ROOMS),
    Command("join", "Join a room", "By its name", "join", "alt+j", "Alt+J", "#ROOM", Permission.ROOMS),
    Command("new", "New room", "Make a room", "new_room", "f7,alt+n", "F7", "#ROOM", Permission.ROOMS),
    Command("members", "Members", "Who is in the room", "members", "alt+m", "Alt+M", "", Permission.MEMBERS),
    Command("topic", "Topic", "Say what the room is about", "topic", "alt+t", "Alt+T", "TEXT", Permission.SET_TOPIC),
    Command(
        "access", "Who may join", "Everybody, or who is invited", "access", "alt+w", "Alt+W", "", Permission.SET_ACCESS
    ),
    Command("invite", "Invite", "Let somebody join the room", "invite", "alt+i", "Alt+I", "NAME", Permission.INVITE),
    Command("remove", "Remove", "Somebody from the room", "remove", "alt+x", "Alt+X", "NAME", Permission.REMOVE),
    Command("appoint", "Appoint", "Make a member a moderator", "appoint", "alt+p", "Alt+P", "NAME", Permission.APPOINT),
    Command("leave", "Leave the room", "Asks first", "leave_room", "alt+l", "Alt+L", "", Permission.LEAVE),
)

WITH_OTHERS = (
    Command("file", "Send a file", "Or a photo", "send_file", "ctrl+o", "^O", "PATH", Permission.SEND_FILE),
    Command(
        "mute", "Mute", "Do not ring for this conversation; or do again", "mute", "alt+u", "Alt+U", "", Permission.MUTE
    ),
    Command(
        "block", "Block", "Take nothing from this user; or do again", "block", "alt+b", "Alt+B", "", Permission.BLOCK
    ),
    Command("report", "Report", "Tell the operator", "report", "alt+o", "Alt+O", "WHY", Permission.REPORT),
    Command("status", "Status", "Here, away or hidden", "status", "alt+s", "Alt+S", "STATUS", Permission.PRESENCE),
)

SCREEN = (
    Command("details", "Details", "Of the conversation and the selected message", "details", "ctrl+t,f2", "^T"),
    Command("list", "List of conversations", "Show or hide it", "sidebar", "f4", "F4"),
    Command("connect", "Connect now", "Without waiting any longer", "connect", "ctrl+r", "^R"),
    Command("theme", "Colours", "Those of the terminal, dark or light", "theme", "f5", "F5", "NAME"),
    Command("commands", "Commands", "All that can be done", "commands", "ctrl+p", "^P"),
    Command("keys", "Keys", "All keys", "keys", "f1", "?"),
    Command("quit", "Quit", "What is not sent yet is kept", "quit", "ctrl+q", "^Q"),
)

ON_MESSAGES = (
    Command("reply", "Reply", "So that it shows to what", "reply", "r", "r", "", Permission.REPLY, True),
    Command(
        "react",
        "React",
        "With an emoji; the same again takes it back",
        "react",
        "plus",
        "+",
        "",
        Permission.REACT,
        True,
    ),
    Command("edit", "Edit", "A message of yours", "edit", "e", "e", "", Permission.EDIT, True),
    Command("delete", "Delete", "Asks first", "delete", "d,delete", "d", "", Permission.DELETE, True),
    Command("show", "Show all of it", "A long or hidden message", "show", "v", "v", with_message=True),
    Command("copy", "Copy the message", "To the clipboard", "copy", "c,y", "c", with_message=True),
    Command("open", "Open a link", "Shows the address first", "open_link", "o", "o", with_message=True),
    Command("save", "Save the file", "That came with it", "save_file", "s", "s", "FOLDER", Permission.SAVE_FILE, True),
    Command("again", "Send again", "What was not delivered", "again", "a", "a", "", Permission.SEND_AGAIN, True),
    Command("receipts", "Receipts", "Who has it, who has read it", "receipts", "i", "i", "", Permission.RECEIPTS, True),
)
"""What can be done with a message that is selected."""

COMMANDS = MOVING + ROOMS + WITH_OTHERS + SCREEN


def bindings(commands: tuple[Command, ...], *, priority: bool) -> list[Binding]:
    """The keys of commands.

    Args:
        commands: them.
        priority: whether they go before those of the widget that has the focus.
    """
    return [
        Binding(each.keys, f"do({each.word!r})", each.title, key_display=each.shown, show=False, priority=priority)
        for each in commands
        if each.keys
    ]


def find(word: str) -> Command | None:
    """The command with that word."""
    return next((each for each in COMMANDS + ON_MESSAGES if each.word == word.lower()), None)


_IN_ROOMS = (
    Permission.MEMBERS,
    Permission.LEAVE,
    Permission.INVITE,
    Permission.REMOVE,
    Permission.APPOINT,
    Permission.SET_TOPIC,
    Permission.SET_ACCESS,
)
_OF_THE_OWNER = (Permission.APPOINT, Permission.SET_ACCESS)
_ABOUT_A_MESSAGE = {
    Permission.REPLY: "That message cannot be answered.",
    Permission.REACT: "Nobody can react to that message.",
    Permission.EDIT: "Only your own messages, to members, can be edited.",
    Permission.DELETE: "Only your own messages, to members, can be deleted.",
    Permission.SAVE_FILE: "There is no file with that message.",
    Permission.SEND_AGAIN: "Only what was not delivered is sent again.",
    Permission.RECEIPTS: "There are receipts of your own messages only.",
}


def for_user(session: ChatSession, command: Command) -> bool:
    """Whether somebody like the user can ever do that."""
    return session.is_member or command.deed is None or command.deed is Permission.SEND_AGAIN


def why_not(
    session: ChatSession, command: Command, conversation: LocalConversation | None, message: LocalMessage | None
) -> str:
    """Why something cannot be done now, in one line; empty if it can.

    Args:
        session: whose.
        command: what.
        conversation: which is shown.
        message: with which message.
    """
    deed = command.deed
    if not for_user(session, command):
        return f"{command.title}: guests cannot do that. Members can: sign up at the start."
    if command.with_message and message is None:
        return "There is no message for that. Esc and the arrow keys select one."
    if deed is None or session.can(deed, conversation, message if command.with_message else None):
        return ""
    if deed is Permission.REPORT and message is not None and session.can(deed, conversation, message):
        return ""
    if deed in _ABOUT_A_MESSAGE:
        return _ABOUT_A_MESSAGE[deed]
    if conversation is None:
        return "There is no conversation yet: Ctrl+K begins one."
    if conversation.left:
        return f"You are not in {conversation.title[:33]} any more."
    if deed in _IN_ROOMS:
        if conversation.kind is not ConversationKind.ROOM:
            return f"{command.title}: this conversation is no room."
        return "Only the owner can do that." if deed in _OF_THE_OWNER else "Only moderators and the owner can do that."
    if deed is Permission.REPORT:
        return "Select a message of somebody else, to report it."
    if deed is Permission.BLOCK:
        return "Only somebody else can be blocked, in the conversation with them."
    return f"{command.title}: that cannot be done here."
