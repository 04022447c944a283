"""The table of commands and their actions."""

from collections.abc import Callable, Coroutine
from typing import TypeAlias

from twotick.ui.app.actions.account import AccountActions
from twotick.ui.app.actions.app import AppActions
from twotick.ui.app.actions.base import ActionScreen
from twotick.ui.app.actions.details import DetailsActions
from twotick.ui.app.actions.files import FileActions
from twotick.ui.app.actions.messages import MessageActions
from twotick.ui.app.actions.navigation import NavigationActions
from twotick.ui.app.actions.people import PeopleActions
from twotick.ui.app.actions.rooms import RoomActions
from twotick.ui.app.actions.search import SearchActions

Result: TypeAlias = "Coroutine[None, None, None] | None"
Action: TypeAlias = "Callable[[str], Result]"
"""Runs a command with its argument. Returns None if it is done, or a coroutine that does the rest."""


class Actions:
    """All actions on a main screen.

    Args:
        screen: the main screen.
        details: the actions on its details pane.

    Attributes:
        messages: actions on messages.
        by_word: the action of each command, by the word of the command.
    """

    def __init__(self, screen: ActionScreen, details: DetailsActions) -> None:
        app, navigation, rooms = AppActions(screen), NavigationActions(screen), RoomActions(screen)
        people, files, account = PeopleActions(screen), FileActions(screen), AccountActions(screen)
        self.messages = MessageActions(screen, rooms)
        self.by_word: dict[str, Action] = {
            # navigation
            "to": navigation.go_to,
            "next": lambda _: navigation.step(1),
            "previous": lambda _: navigation.step(-1),
            "unread": _plain(navigation.unread),
            "first": _plain(navigation.first_unread),
            "close": _plain(navigation.close),
            "top": _plain(navigation.pin),
            "msg": navigation.message,
            "me": navigation.act,
            "newest": _plain(navigation.newest),
            "search": SearchActions(screen, self.messages).search,
            "messages": _plain(navigation.switch_focus),
            # rooms
            "rooms": _plain(rooms.browse),
            "join": rooms.join,
            "new": rooms.create,
            "members": _plain(rooms.members),
            "topic": rooms.set_topic,
            "access": _plain(rooms.set_access),
            "invite": rooms.invite,
            "remove": rooms.remove,
            "appoint": rooms.change_role,
            "leave": _plain(rooms.leave),
            # other users
            "file": files.send,
            "mute": people.mute,
            "block": _plain(people.block),
            "report": people.report,
            "nick": people.set_display_name,
            "about": people.set_status_text,
            "status": people.set_status,
            # the account
            "devices": _plain(account.devices),
            "password": _plain(account.password),
            "email": _plain(account.email),
            # the app
            "details": _plain(details.toggle),
            "list": _plain(navigation.toggle_sidebar),
            "accounts": _plain(app.switch_account),
            "connect": _plain(app.connect),
            "theme": app.set_theme,
            "notify": app.set_notifications,
            "language": app.set_language,
            "formatting": _plain(app.toggle_formatting),
            "commands": _plain(app.show_commands),
            "keys": _plain(app.show_keys),
            "help": _plain(app.show_help),
            "quit": _plain(app.quit),
            # messages
            "reply": _plain(self.messages.reply),
            "react": _plain(self.messages.react),
            "edit": _plain(self.messages.edit),
            "delete": _plain(self.messages.delete),
            "undo": _plain(self.messages.undo),
            "show": _plain(self.messages.show),
            "copy": _plain(self.messages.copy),
            "open": _plain(self.messages.open_link),
            "save": files.save,
            "again": _plain(self.messages.send_again),
            "thread": _plain(self.messages.thread),
            "forward": _plain(self.messages.forward),
            "pin": _plain(self.messages.pin),
            "pins": _plain(self.messages.pins),
            "cancel": _plain(self.messages.cancel),
            "receipts": _plain(self.messages.receipts),
        }


def _plain(action: Callable[[], Result]) -> Action:
    """Return the action for a command that has no argument."""
    return lambda _: action()
