"""The page that lists all keys."""

from rich.table import Table
from rich.text import Text

from twotick.ui.app.commands import key_tables, typed_commands
from twotick.ui.app.dialogs.box import BOX
from twotick.ui.app.dialogs.page import TextPage
from twotick.ui.app.session.base import ChatSession
from twotick.ui.texts import t


class KeysPage(TextPage):
    """Lists the keys.

    Args:
        session: the session of the user, who sees only the keys of available commands.
        commands: whether to list first what can be typed.
    """

    DEFAULT_CSS = BOX.format("KeysPage")

    def __init__(self, session: ChatSession, *, commands: bool = False) -> None:
        table = Table.grid(padding=(0, 1))
        typed = [(t("Commands that you can type"), typed_commands(session))] if commands else []
        for title, rows in typed + key_tables(session):
            table.add_row("", Text(title, "bold underline"))
            for keys, what in rows:
                table.add_row(Text(keys, "bold"), what)
            table.add_row("", "")
        super().__init__(t("Keys"), table)
