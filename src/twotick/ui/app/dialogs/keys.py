"""The page that lists all keys."""

from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual.binding import Binding, BindingType

from twotick.ui.app.commands import COMMANDS, ON_MESSAGES, is_for
from twotick.ui.app.dialogs.box import BOX
from twotick.ui.app.dialogs.page import TextPage
from twotick.ui.app.session.base import ChatSession


class KeysPage(TextPage):
    """Lists the keys. The result is whether the user closed it with a question mark, which is typed then.

    Args:
        session: the session of the user, who sees only the keys of available commands.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("question_mark", "dismiss(True)", "Type it", show=False)]
    DEFAULT_CSS = BOX.format("KeysPage")

    def __init__(self, session: ChatSession) -> None:
        rows = [
            ("Enter", "Send (Alt+Enter or Ctrl+J: new line)"),
            ("Tab", "Complete a @name, #room, /command or :emoji"),
            ("\u2191", "In the first line: the message you sent before"),
            ("PgUp PgDn", "Scroll the messages"),
            *((each.shown, each.title) for each in COMMANDS if is_for(session, each)),
            ("", ""),
            ("", "With a message selected"),
            ("\u2191 \u2193", "Another message"),
            ("Enter", "The message it replies to, or the full text"),
            *((each.shown, each.title) for each in ON_MESSAGES if is_for(session, each)),
            ("Esc", "Back to writing"),
        ]
        table = Table.grid(padding=(0, 1))
        for keys, what in rows:
            table.add_row(Text(keys, "bold"), what)
        super().__init__("Keys", table)
