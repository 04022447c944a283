"""How somebody who looks elsewhere is told that a message came."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from typing import Literal, TypeAlias

from twotick.ui.app.model.conversations import ConversationKind
from twotick.ui.app.model.messages import LocalMessage
from twotick.ui.app.model.registry import ConversationRegistry
from twotick.ui.text import placed

Notify: TypeAlias = Literal["bell", "desktop", "off"]

_APPLE_SCRIPT = "on run argv\ndisplay notification (item 2 of argv) with title (item 1 of argv)\nend run"


def rings(conversations: ConversationRegistry, message: LocalMessage) -> bool:
    """Whether somebody is to be told that a message came: one to them alone, or one that names them.

    Args:
        conversations: all that there are.
        message: one of another user, in one of them.
    """
    conversation = conversations.find(message.conversation)
    if conversation is None or conversation.muted or conversations.is_blocked(message.sender):
        return False
    if message.event is not None:
        return message.event.kind == "invited"
    return message.mention or conversation.kind is not ConversationKind.ROOM


def tell(how: Notify, sender: str, text: str, bell: Callable[[], None]) -> None:
    """Tell it.

    Args:
        how: by the terminal's bell, or on the desktop if there is one; or not at all.
        sender: who wrote.
        text: what.
        bell: rings the terminal's bell.
    """
    command = _desktop(placed(sender[:32], keep=""), placed(text[:200], keep="")) if how == "desktop" else None
    if command is not None:
        quiet = subprocess.DEVNULL
        subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)  # noqa: S603
    elif how != "off":
        bell()


def _desktop(title: str, text: str) -> list[str] | None:
    """The command that shows something on the desktop; None if there is no desktop here."""
    if os.environ.get("SSH_CONNECTION"):
        return None
    if sys.platform == "darwin":
        return ["/usr/bin/osascript", "-e", _APPLE_SCRIPT, title, text]
    import html  # not earlier: it takes a while, and few have a desktop

    program = shutil.which("notify-send")
    if program is None or not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return None
    return [program, "--app-name=Twotick", "--", title, html.escape(text)]
