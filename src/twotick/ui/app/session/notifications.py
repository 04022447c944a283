"""Notifications for messages that arrive while the user looks elsewhere."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from typing import Literal, TypeAlias, get_args

from twotick.ui.app.model.conversations import ConversationKind
from twotick.ui.app.model.messages import LocalMessage
from twotick.ui.app.model.registry import ConversationRegistry
from twotick.ui.text import for_screen

Notify: TypeAlias = Literal["bell", "desktop", "off"]
"""How a user is notified."""

NOTIFY: tuple[Notify, ...] = get_args(Notify)

_APPLE_SCRIPT = "on run argv\ndisplay notification (item 2 of argv) with title (item 1 of argv)\nend run"


def should_notify(conversations: ConversationRegistry, message: LocalMessage) -> bool:
    """Return whether the user is notified of a message: a message outside of rooms, a mention or an invitation.

    A device of the user's that stays away counts as well.

    Args:
        conversations: all conversations.
        message: a message from another user.
    """
    conversation = conversations.find(message.conversation)
    if conversation is None or conversation.muted or conversations.is_blocked(message.sender):
        return False
    if message.event is not None:
        return message.event.kind in ("invited", "absent")
    return message.mention or conversation.kind is not ConversationKind.ROOM


def notify(how: Notify, sender: str, text: str, bell: Callable[[], None]) -> None:
    """Notify the user of a message.

    Args:
        how: with the terminal's bell, with a desktop notification (or the bell if there is no desktop), or not at all.
        sender: the sender of the message.
        text: the text of the message.
        bell: rings the terminal's bell.
    """
    command = _desktop(for_screen(sender[:32], keep=""), for_screen(text[:200], keep="")) if how == "desktop" else None
    if command is not None:
        quiet = subprocess.DEVNULL
        subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)  # noqa: S603
    elif how != "off":
        bell()


def _desktop(title: str, text: str) -> list[str] | None:
    """Return the command that shows a desktop notification; None if there is no desktop."""
    if os.environ.get("SSH_CONNECTION"):
        return None
    if sys.platform == "darwin":
        return ["/usr/bin/osascript", "-e", _APPLE_SCRIPT, title, text]
    import html  # imported late: it is slow, and few users need it

    program = shutil.which("notify-send")
    if program is None or not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return None
    return [program, "--app-name=Twotick", "--", title, html.escape(text)]
