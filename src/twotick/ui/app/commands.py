"""All that can be done, in one list: keys, the command palette, `/commands` and the page of keys are made from it."""

from typing import NamedTuple

from textual.binding import Binding


class Command(NamedTuple):
    """Something that can be done.

    Attributes:
        word: what is typed after the slash.
        title: what it is called.
        help: what it does.
        action: what Textual is to do, a method `action_...` of the screen.
        keys: the keys for it, with commas between them; empty if the widget that has the focus takes them.
        shown: how the first key is shown.
        argument: what may come after the word; empty if nothing may.
    """

    word: str
    title: str
    help: str
    action: str
    keys: str
    shown: str
    argument: str = ""


COMMANDS = (
    Command("to", "Go to ...", "Find a conversation, or begin one", "go_to", "ctrl+k,ctrl+n", "^K", "NAME"),
    Command("next", "Next conversation", "The one below", "step(1)", "alt+down,ctrl+down", "Alt+\u2193"),
    Command("previous", "Previous conversation", "The one above", "step(-1)", "alt+up,ctrl+up", "Alt+\u2191"),
    Command("unread", "Next unread conversation", "Where something new was said", "unread", "alt+a,f3", "F3"),
    Command("messages", "Select a message", "To copy it, open its links or send it again", "select", "", "Esc"),
    Command("details", "Details", "Of the conversation and the selected message", "details", "ctrl+t,f2", "^T"),
    Command("list", "List of conversations", "Show or hide it", "sidebar", "f4", "F4"),
    Command("connect", "Connect now", "Without waiting any longer", "connect", "ctrl+r", "^R"),
    Command("theme", "Colours", "Those of the terminal, dark or light", "theme", "f5", "F5", "NAME"),
    Command("commands", "Commands", "All that can be done", "commands", "ctrl+p", "^P"),
    Command("keys", "Keys", "All keys", "keys", "f1", "?"),
    Command("quit", "Leave", "What is not sent yet is kept", "leave", "ctrl+q", "^Q"),
)

ON_MESSAGES = (
    Command("copy", "Copy the message", "To the clipboard", "copy", "c,y", "c"),
    Command("open", "Open a link", "Shows the address first", "open_link", "o", "o"),
    Command("again", "Send again", "A message that was not delivered", "again", "r", "r"),
)
"""What can be done with a message that is selected."""


def bindings(commands: tuple[Command, ...], *, priority: bool) -> list[Binding]:
    """The keys of commands.

    Args:
        commands: them.
        priority: whether they go before those of the widget that has the focus.
    """
    return [
        Binding(each.keys, each.action, each.title, key_display=each.shown, show=False, priority=priority)
        for each in commands
        if each.keys
    ]


def find(word: str) -> Command | None:
    """The command with that word."""
    return next((each for each in COMMANDS + ON_MESSAGES if each.word == word.lower()), None)
