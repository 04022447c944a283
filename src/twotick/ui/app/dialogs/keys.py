"""The page of keys."""

from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual.binding import Binding, BindingType

from twotick.ui.app.commands import COMMANDS, ON_MESSAGES, for_user
from twotick.ui.app.dialogs.box import BOX
from twotick.ui.app.dialogs.page import TextPage
from twotick.ui.app.session.base import ChatSession


class KeysPage(TextPage):
    """All keys. Gives whether it was closed by a question mark, which is to be typed then.

    Args:
        session: whose: there are only the keys of what such a user can do.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("question_mark", "dismiss(True)", "Type it", show=False)]
    DEFAULT_CSS = BOX.format("KeysPage")

    def __init__(self, session: ChatSession) -> None:
        rows = [
            ("Enter", "Send; Alt+Enter or Ctrl+J begins another line"),
            ("Tab", "Complete a @name, #room, /command or :emoji"),
            ("\u2191", "In the first line: what was sent before"),
            ("PgUp PgDn", "Scroll the messages"),
            *((each.shown, each.title) for each in COMMANDS if for_user(session, each)),
            ("", ""),
            ("", "With a message selected"),
            ("\u2191 \u2193", "Another one"),
            ("Enter", "What it answers; or all of it"),
            *((each.shown, each.title) for each in ON_MESSAGES if for_user(session, each)),
            ("Esc", "Back to what is typed"),
        ]
        table = Table.grid(padding=(0, 1))
        for keys, what in rows:
            table.add_row(Text(keys, "bold"), what)
        super().__init__("Keys", table)
