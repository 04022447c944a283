"""The list of all commands. Keys, the command palette, typed `/commands` and the page of keys are made from it."""

from typing import NamedTuple

from textual.binding import Binding

from twotick.ui.app.model.conversations import ConversationKind, LocalConversation
from twotick.ui.app.model.messages import LocalMessage
from twotick.ui.app.session.base import ChatSession
from twotick.ui.app.session.permissions import Permission


class Command(NamedTuple):
    """Something that the user can do.

    Attributes:
        word: the word that is typed after the slash. It also finds the action of the command.
        title: the name of the command.
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


P = Permission

NAVIGATION = (
    Command("to", "Go to ...", "Find a conversation, or start one", "ctrl+k,ctrl+n", "^K", "NAME"),
    Command("next", "Next conversation", "The one below in the list", "alt+down,ctrl+down", "Alt+\u2193"),
    Command("previous", "Previous conversation", "The one above in the list", "alt+up,ctrl+up", "Alt+\u2191"),
    Command("unread", "Next unread conversation", "Mentions come first", "alt+a,f3", "F3"),
    Command("newest", "Newest message", "Go to the end of the conversation", "ctrl+end", "^End"),
    Command("search", "Search", "Search your messages", "ctrl+f", "^F", "WORDS", P.SEARCH),
    Command("messages", "Select a message", "To reply, react, copy and more", "", "Esc"),
)

ROOMS = (
    Command("rooms", "Rooms", "Browse rooms, and join one", "f6,alt+r", "F6", "", P.ROOMS),
    Command("join", "Join a room", "By its name", "alt+j", "Alt+J", "#ROOM", P.ROOMS),
    Command("new", "New room", "Create a room", "f7,alt+n", "F7", "#ROOM", P.ROOMS),
    Command("members", "Members", "List the members of the room", "alt+m", "Alt+M", "", P.MEMBERS),
    Command("topic", "Topic", "Change the topic of the room", "alt+t", "Alt+T", "TEXT", P.SET_TOPIC),
    Command("access", "Access", "Make the room public or private", "alt+w", "Alt+W", "", P.SET_ACCESS),
    Command("invite", "Invite", "Invite a user to the room", "alt+i", "Alt+I", "NAME", P.INVITE),
    Command("remove", "Remove", "Remove a member from the room", "alt+x", "Alt+X", "NAME", P.REMOVE),
    Command("appoint", "Change role", "Make a member a moderator or the owner", "alt+p", "Alt+P", "NAME", P.APPOINT),
    Command("leave", "Leave the room", "Asks for confirmation", "alt+l", "Alt+L", "", P.LEAVE),
)

PEOPLE = (
    Command("file", "Send a file", "From this machine", "ctrl+o", "^O", "PATH", P.SEND_FILE),
    Command("mute", "Mute", "Turn notifications off or on", "alt+u", "Alt+U", "", P.MUTE),
    Command("block", "Block", "Block or unblock this user", "alt+k", "Alt+K", "", P.BLOCK),
    Command("report", "Report", "Report a user or a message to the operator", "alt+o", "Alt+O", "WHY", P.REPORT),
    Command("status", "Status", "Here, away or hidden", "alt+s", "Alt+S", "STATUS", P.PRESENCE),
)

APP = (
    Command("details", "Details", "Of the conversation and the selected message", "ctrl+t,f2", "^T"),
    Command("list", "List of conversations", "Show or hide it", "f4", "F4"),
    Command("connect", "Connect now", "Without waiting for the next attempt", "ctrl+r", "^R"),
    Command("theme", "Colours", "Terminal, dark or light", "f5", "F5", "NAME"),
    Command("commands", "Commands", "List all commands", "ctrl+p", "^P"),
    Command("keys", "Keys", "List all keys", "f1", "?"),
    Command("quit", "Quit", "Asks first if messages would be lost", "ctrl+q", "^Q"),
)

ON_MESSAGES = (
    Command("reply", "Reply", "Reply to the message", "r", "r", "", P.REPLY, with_message=True),
    Command("react", "React", "The same emoji again removes it", "plus", "+", "", P.REACT, with_message=True),
    Command("edit", "Edit", "Edit your message", "e", "e", "", P.EDIT, with_message=True),
    Command("delete", "Delete", "Asks for confirmation", "d,delete", "d", "", P.DELETE, with_message=True),
    Command("show", "Show in full", "A long or hidden message", "v", "v", with_message=True),
    Command("copy", "Copy the message", "To the clipboard", "c,y", "c", with_message=True),
    Command("open", "Open a link", "Shows the address first", "o", "o", with_message=True),
    Command("save", "Save the file", "That is attached to it", "s", "s", "FOLDER", P.SAVE_FILE, with_message=True),
    Command("again", "Send again", "If it was not delivered", "a", "a", "", P.SEND_AGAIN, with_message=True),
    Command("receipts", "Receipts", "Who has received and read it", "i", "i", "", P.RECEIPTS, with_message=True),
)
"""Commands for the selected message."""

COMMANDS = NAVIGATION + ROOMS + PEOPLE + APP


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


def find(word: str) -> Command | None:
    """Return the command with a word; None if there is none."""
    return next((each for each in COMMANDS + ON_MESSAGES if each.word == word.lower()), None)


_ROOM_PERMISSIONS = (P.MEMBERS, P.LEAVE, P.INVITE, P.REMOVE, P.APPOINT, P.SET_TOPIC, P.SET_ACCESS)
_OWNER_PERMISSIONS = (P.APPOINT, P.SET_ACCESS)
_DENIED = {
    P.REPLY: "You cannot reply to this message.",
    P.REACT: "You cannot react to this message.",
    P.EDIT: "You can only edit your own messages to members.",
    P.DELETE: "You can only delete your own messages to members.",
    P.SAVE_FILE: "This message has no file.",
    P.SEND_AGAIN: "Only messages that were not delivered can be sent again.",
    P.RECEIPTS: "Receipts are shown for your own messages only.",
}


def is_for(session: ChatSession, command: Command) -> bool:
    """Return whether a command is available to a user of this kind: member or guest."""
    return session.is_member or command.permission is None or command.permission is P.SEND_AGAIN


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
        return f"{command.title}: not available to guests. Members can: sign up when you start the app."
    if command.with_message and message is None:
        return "No message is selected. Press Esc, then choose one with the arrow keys."
    permission = command.permission
    if permission is None or session.can(permission, conversation, message if command.with_message else None):
        return ""
    if permission is P.REPORT and message is not None and session.can(permission, conversation, message):
        return ""
    return _DENIED.get(permission) or _why_not_here(command, permission, conversation)


def _why_not_here(command: Command, permission: Permission, conversation: LocalConversation | None) -> str:
    """Return why a command is not available in a conversation."""
    if conversation is None:
        return "There is no conversation yet. Press Ctrl+K to start one."
    if conversation.left:
        return f"You are no longer in {conversation.title[:33]}. Join the room again first."
    if permission in _ROOM_PERMISSIONS:
        if conversation.kind is not ConversationKind.ROOM:
            return f"{command.title}: only available in rooms."
        return (
            "Only the owner can do that."
            if permission in _OWNER_PERMISSIONS
            else "Only moderators and the owner can do that."
        )
    if permission is P.REPORT:
        return "To report a message, select a message of another user."
    if permission is P.BLOCK:
        return "To block a user, go to your conversation with that user."
    return f"{command.title}: not available in this conversation."
