"""An app that writes the name of each key into a file: `python -m tests.ui.app.key_printer FILE`."""

import sys
from pathlib import Path

from textual import events
from textual.app import App, ComposeResult
from textual.widgets import Static

from twotick.ui.app import alt_keys


class KeyPrinter(App[None]):
    """Shows `ready`, and writes the keys.

    Args:
        file: the file.
    """

    def __init__(self, file: Path) -> None:
        alt_keys.recognise()
        super().__init__()
        self._file = file

    def compose(self) -> ComposeResult:
        yield Static("ready")

    async def on_event(self, event: events.Event) -> None:
        if not isinstance(event, events.Key):
            await super().on_event(event)
            return
        with self._file.open("a") as file:
            file.write(f"{event.key}\n")


if __name__ == "__main__":
    KeyPrinter(Path(sys.argv[1])).run()
