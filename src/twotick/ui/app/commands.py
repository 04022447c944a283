"""All commands and keys. The command palette, typed `/commands`, the page of keys and the guide are made from them."""

from typing import NamedTuple

from textual.binding import Binding

from twotick.ui.app.model.conversations import ConversationKind, LocalConversation
from twotick.ui.app.model.messages import LocalMessage
from twotick.ui.app.session.base import ChatSession
from twotick.ui.app.session.permissions import Permission
from twotick.ui.texts import later, t, within


class Command(NamedTuple):
    """Something that the user can do.

    Attributes:
        word: the word that is typed after the slash. It also finds the action of the command.
        title: the name of the command, in English, as all texts here; they are translated when they are shown.
        help: a short explanation.
        keys: its keys, separated by commas; empty if the focused widget handles them.
        shown: the text for the first key.
        argument: the name of the argument that may follow the word; empty if there is none.
        permission: the permission that the command needs; None if it needs none.
        with_message: whether the command is for the selected message.
    """

    word: str
    title: str
    help: str
    keys: str
    shown: str
    argument: str = ""
    permission: Permission | None = None
    with_message: bool = False


class Key(NamedTuple):
    """A key of a part of the screen.

    Attributes:
        keys: its names, separated by commas.
        shown: the text for the key.
        help: what it does.
        action: the action of the widget that it runs.
    """

    keys: str
    shown: str
    help: str
    action: str


WRITING = (
    Key("enter", later("Enter"), "Send", "submit"),
    Key("alt+enter,ctrl+j,shift+enter", "Alt+Enter ^J", "New line", "new_line"),
    Key("tab", "Tab", "Complete a @name, #room, /command or :emoji", "complete"),
    Key("up", "\u2191", "Nothing typed: edit your last message. In the first line: what you sent before", "cursor_up"),
    Key("down", "\u2193", "In the last line: what you sent after", "cursor_down"),
    Key("escape", later("Esc"), "Cancel a reply or an edit. Twice: select a message", "back"),
    Key("ctrl+c,super+c", "^C", "Copy the selected text. If none is selected: clear the text", "copy_or_clear"),
    Key("ctrl+z,super+z", "^Z", "Undo the last change of the text", "undo"),
    Key("ctrl+y,super+y", "^Y", "Redo it", "redo"),
    Key("home,ctrl+a", "^A", "Beginning of the line", "cursor_line_start"),
    Key("end,ctrl+e", "^E", "End of the line", "cursor_line_end"),
    Key("alt+b,ctrl+left,alt+left", "Alt+B", "Word left", "cursor_word_left"),
    Key("ctrl+right,alt+f,alt+right", "Alt+F", "Word right", "cursor_word_right"),
    Key("ctrl+u", "^U", "Delete to the beginning of the line", "delete_to_start_of_line"),
    Key("ctrl+w,alt+backspace,ctrl+backspace", "^W", "Delete the word before the cursor", "delete_word_left"),
    Key("alt+d,alt+delete", "Alt+D", "Delete the word after the cursor", "delete_word_right"),
    Key("pageup", "PgUp", "Scroll the messages up", "scroll_messages(-1)"),
    Key("pagedown", "PgDn", "Scroll the messages down", "scroll_messages(1)"),
)
"""Keys of the composer, besides those for moving the cursor that every text field has."""

CHOOSING = (
    Key("up", "\u2191", "Message above", "select(-1)"),
    Key("down", "\u2193", "Message below", "select(1)"),
    Key("home", "Home", "Oldest message that is loaded", "select_first"),
    Key("end", "End", "Newest message", "select_last"),
    Key("pageup", "PgUp", "Page up", "page(-1)"),
    Key("pagedown", "PgDn", "Page down", "page(1)"),
    Key("enter", later("Enter"), "Go to the message it replies to, accept an invitation, or show it in full", "open"),
    Key("escape,tab", later("Esc"), "Back to writing", "leave"),
)
"""Keys of the list of messages while a message is selected. `ON_MESSAGES` has the others."""

P = Permission

NAVIGATION = (
    Command("to", "Go to ...", "Find a conversation, or start one", "ctrl+k,ctrl+n", "^K", "NAME"),
    Command("next", "Next conversation", "The one below in the list", "alt+down,ctrl+down", "Alt+\u2193"),
    Command("previous", "Previous conversation", "The one above in the list", "alt+up,ctrl+up", "Alt+\u2191"),
    Command("unread", "Next unread conversation", "Mentions come first", "alt+a,f3", "F3"),
    Command("first", "First unread message", "In this conversation", "f8", "F8"),
    Command("newest", "Newest message", "Go to the end of the conversation", "ctrl+end", "^End"),
    Command("search", "Search", "Search your messages", "ctrl+f", "^F", "WORDS", P.SEARCH),
    Command("close", "Close", "The list leaves the conversation out until a message arrives", "", "/close"),
    Command("top", "Keep at the top", "Of the list, or no longer", "", "/top"),
    Command("msg", "Message to ...", "Send a message to a user or a room", "", "/msg", "NAME TEXT"),
    Command("me", "Say what you do", "Such as /me waves", "", "/me", "TEXT"),
    Command("pins", "Pinned messages", "Of the conversation", "", "/pins", "", P.SEARCH),
    Command("messages", "Select a message", "To reply, react, copy and more", "", "Esc Esc"),
)

ROOMS = (
    Command("rooms", "Rooms", "Browse rooms, and join one", "f6,alt+r", "F6", "", P.ROOMS),
    Command("join", "Join a room", "By its name", "alt+j", "Alt+J", "#ROOM", P.ROOMS),
    Command("new", "New room", "Create a room", "f7,alt+n", "F7", "#ROOM", P.ROOMS),
    Command("members", "Members", "List the members of the room", "alt+m", "Alt+M", "", P.MEMBERS),
    Command("topic", "Topic", "Change the topic of the room", "alt+t", "Alt+T", "TEXT", P.SET_TOPIC),
    Command("access", "Access", "Change who may join the room", "alt+w", "Alt+W", "", P.SET_ACCESS),
    Command("invite", "Invite", "Invite a user to the room", "alt+i", "Alt+I", "NAME", P.INVITE),
    Command("remove", "Remove", "Remove a member from the room", "alt+x", "Alt+X", "NAME", P.REMOVE),
    Command("appoint", "Change role", "Make a member a moderator or the owner", "alt+p", "Alt+P", "NAME", P.APPOINT),
    Command("leave", "Leave the room", "Asks for confirmation", "alt+l", "Alt+L", "", P.LEAVE),
)

PEOPLE = (
    Command("file", "Send a file", "From this machine", "ctrl+o", "^O", "PATH", P.SEND_FILE),
    Command("mute", "Mute", "Turn notifications off or on, or off for a time: 2h", "alt+u", "Alt+U", "TIME", P.MUTE),
    Command("block", "Block", "Block or unblock this user", "alt+k", "Alt+K", "", P.BLOCK),
    Command("report", "Report", "Report a user or a message to the operator", "alt+o", "Alt+O", "WHY", P.REPORT),
    Command("nick", "Display name", "Shown beside your name; none removes it", "", "/nick", "NAME", P.PRESENCE),
    Command("about", "Status text", "Shown beside your name; none removes it", "", "/about", "TEXT", P.PRESENCE),
    Command("status", "Status", "Here, away or hidden", "alt+s", "Alt+S", "STATUS", P.PRESENCE),
)

ACCOUNT = (
    Command("devices", "Devices", "List your devices, or log one out", "", "/devices", "", P.ACCOUNT),
    Command("password", "Change the password", "Of your account", "", "/password", "", P.ACCOUNT),
    Command("email", "E-mail", "About messages that wait: get it, or none", "", "/email", "", P.ACCOUNT),
)

APP = (
    Command("details", "Details", "Of the conversation and the selected message", "ctrl+t,f2", "^T"),
    Command("list", "List of conversations", "Show or hide it", "f4", "F4"),
    Command("accounts", "Accounts", "Go to another account, or sign in with one", "f9", "F9"),
    Command("connect", "Connect now", "Without waiting for the next attempt", "ctrl+r", "^R"),
    Command("theme", "Colours", "Terminal, dark or light", "f5", "F5", "NAME"),
    Command("notify", "Notifications", "By bell, on the desktop, or off", "", "/notify", "HOW"),
    Command("language", "Language", "Of the texts and dates", "", "/language", "CODE"),
    Command("formatting", "Formatting", "Show the effect of marks such as *bold*, or the marks", "", "/formatting"),
    Command("commands", "Commands", "List all commands", "ctrl+p", "^P"),
    Command("keys", "Keys", "List all keys", "f1", "F1"),
    Command("help", "Help", "List all keys and commands", "", "/help"),
    Command("quit", "Quit", "Asks first if messages would be lost", "ctrl+q", "^Q"),
)

ON_MESSAGES = (
    Command("again", "Send again", "If it was not delivered", "a", "a", "", P.SEND_AGAIN, with_message=True),
    Command("cancel", "Cancel", "Do not send a message that waits", "x", "x", "", P.CANCEL, with_message=True),
    Command("reply", "Reply", "Reply to the message", "r", "r", "", P.REPLY, with_message=True),
    Command("react", "React", "The same emoji again removes it", "plus", "+", "", P.REACT, with_message=True),
    Command("edit", "Edit", "Edit your message", "e", "e", "", P.EDIT, with_message=True),
    Command(
        "delete",
        "Delete",
        "For everyone; asks first, and can be undone for 10 s",
        "d,delete",
        "d",
        "",
        P.DELETE,
        with_message=True,
    ),
    Command("undo", "Undo a deletion", "Within 10 s", "u", "u"),
    Command("thread", "Thread", "The message and all answers to it", "t", "t", "", P.REPLY, with_message=True),
    Command("forward", "Forward", "To another conversation", "f", "f", with_message=True),
    Command("pin", "Pin", "For all in the conversation; again unpins it", "p", "p", "", P.PIN, with_message=True),
    Command("show", "Show in full", "A long or hidden message", "v", "v", with_message=True),
    Command("copy", "Copy the message", "To the clipboard", "c,y", "c", with_message=True),
    Command("open", "Open a link", "Shows the address first", "o", "o", with_message=True),
    Command("save", "Save the file", "That is attached to it", "s", "s", "FOLDER", P.SAVE_FILE, with_message=True),
    Command("receipts", "Receipts", "Who has received and read it", "i", "i", "", P.RECEIPTS, with_message=True),
)
"""Commands for the selected message."""

COMMANDS = NAVIGATION + ROOMS + PEOPLE + ACCOUNT + APP


def bindings(commands: tuple[Command, ...], *, priority: bool) -> list[Binding]:
    """Return the key bindings of commands.

    Args:
        commands: the commands.
        priority: whether the bindings go before those of the focused widget.
    """
    return [
        Binding(each.keys, f"do({each.word!r})", each.title, key_display=each.shown, show=False, priority=priority)
        for each in commands
        if each.keys
    ]


def key_tables(session: ChatSession | None = None) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return all keys, grouped: the title of each group, and its keys with what they do.

    Args:
        session: the session of a user, to leave out commands that are not for this user; None for all commands.
    """
    able = [each for each in COMMANDS + ON_MESSAGES if each.keys and (session is None or is_for(session, each))]
    return [
        (t("Writing"), _shown(WRITING)),
        (t("Anywhere"), [(t(each.shown), _about(each)) for each in able if each in COMMANDS]),
        (
            t("With a message selected"),
            _shown(CHOOSING) + [(t(each.shown), _about(each)) for each in able if each in ON_MESSAGES],
        ),
    ]


def _shown(keys: tuple[Key, ...]) -> list[tuple[str, str]]:
    return [(t(each.shown), t(each.help)) for each in keys]


def _about(command: Command) -> str:
    return f"{t(command.title)}: {within(t(command.help))}"


def typed_commands(session: ChatSession) -> list[tuple[str, str]]:
    """Return what a user can type after a slash, with what it does."""
    able = [each for each in COMMANDS + ON_MESSAGES if is_for(session, each)]
    return [(f"/{each.word} {t(each.argument) if each.argument else ''}".rstrip(), _about(each)) for each in able]


def find(word: str) -> Command | None:
    """Return the command with a word; None if there is none."""
    return next((each for each in COMMANDS + ON_MESSAGES if each.word == word.lower()), None)


_ROOM_PERMISSIONS = (P.MEMBERS, P.LEAVE, P.INVITE, P.REMOVE, P.APPOINT, P.SET_TOPIC, P.SET_ACCESS)
_OWNER_PERMISSIONS = (P.APPOINT, P.SET_ACCESS)
_DENIED = {
    P.REPLY: later("You cannot reply to this message."),
    P.REACT: later("You cannot react to this message."),
    P.EDIT: later("You can only edit your own messages to members."),
    P.DELETE: later("You can only delete your own messages to members."),
    P.SAVE_FILE: later("This message has no file."),
    P.SEND_AGAIN: later("Only messages that were not delivered can be sent again."),
    P.PIN: later("You cannot pin this message."),
    P.CANCEL: later("Only messages that wait to be sent can be cancelled."),
    P.RECEIPTS: later("Receipts are shown for your own messages only."),
}


def is_for(session: ChatSession, command: Command) -> bool:
    """Return whether a command is available to a user of this kind: member or guest."""
    return session.is_member or command.permission is None or command.permission in (P.SEND_AGAIN, P.CANCEL)


def why_not(
    session: ChatSession, command: Command, conversation: LocalConversation | None, message: LocalMessage | None
) -> str:
    """Return why a command is not available now, in one line; empty if it is.

    Args:
        session: the session of the user.
        command: the command.
        conversation: the conversation that is shown; None if there is none.
        message: the message that the command is for; None if there is none.
    """
    if not is_for(session, command):
        return t(
            "{command}: not available to guests. Members can: sign up when you start the app.",
            command=t(command.title),
        )
    if command.with_message and message is None:
        return t("No message is selected. Press Esc twice, then choose one with the arrow keys.")
    if command.word == "undo" and not session.can_undo:
        return t("There is no deletion to undo, or it is too late.")
    permission = command.permission
    if permission is None or session.can(permission, conversation, message if command.with_message else None):
        return ""
    if permission is P.REPORT and message is not None and session.can(permission, conversation, message):
        return ""
    return t(_DENIED[permission]) if permission in _DENIED else _why_not_here(command, permission, conversation)


def _why_not_here(command: Command, permission: Permission, conversation: LocalConversation | None) -> str:
    """Return why a command is not available in a conversation."""
    if conversation is None:
        return t("There is no conversation yet. Press Ctrl+K to start one.")
    if conversation.left:
        return t("You are no longer in {room}. Join the room again first.", room=conversation.title[:33])
    if permission in _ROOM_PERMISSIONS:
        if conversation.kind is not ConversationKind.ROOM:
            return t("{command}: only available in rooms.", command=t(command.title))
        return (
            t("Only the owner can do that.")
            if permission in _OWNER_PERMISSIONS
            else t("Only moderators and the owner can do that.")
        )
    if permission is P.REPORT:
        return t("To report a message, select a message of another user.")
    if permission is P.BLOCK:
        return t("To block a user, go to your conversation with that user.")
    return t("{command}: not available in this conversation.", command=t(command.title))
