"""Completion with Tab in the line client: commands, and the names of users and rooms."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from twotick.wire import is_name, is_room

if TYPE_CHECKING:
    from prompt_toolkit.completion import Completer

_MAX_NAMES = 5000
"""Names that are remembered."""

_TAKES_NAME = ("/to", "/msg")
"""Commands whose first word is a name without a sign."""


class KnownWords:
    """The words that can be completed.

    Attributes:
        commands: the commands, each with its slash.
    """

    def __init__(self) -> None:
        self.commands: tuple[str, ...] = ()
        self._names: dict[str, str] = {}  # by name in lower case

    def know(self, *names: str) -> None:
        """Remember users and rooms."""
        for name in names:
            encoded = name.encode(errors="replace")
            if len(self._names) < _MAX_NAMES and (is_name(encoded) or is_room(encoded)):
                self._names.setdefault(name.lower(), name)

    def fitting(self, line: str) -> list[tuple[str, int]]:
        """Return what the last word of a line can be completed to, each with the number of its characters so far.

        Args:
            line: the line up to the cursor.
        """
        *before, word = line.split(" ")
        if not before and word.startswith("/"):
            return [(f"{each} ", len(word)) for each in self.commands if each.startswith(word.lower())]
        sign = "@" if word.startswith("@") else ""
        if not (sign or word.startswith("#") or (len(before) == 1 and before[0].lower() in _TAKES_NAME)):
            return []
        typed = word.removeprefix("@").lower()
        names = sorted(name for key, name in self._names.items() if key.startswith(typed))
        return [(f"{sign}{name} ", len(word)) for name in names if not (sign and name.startswith("#"))]


def completer(known: KnownWords) -> "Completer":
    """Return a completer for the prompt."""
    from prompt_toolkit.completion import CompleteEvent, Completer, Completion
    from prompt_toolkit.document import Document

    class _WordCompleter(Completer):
        def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
            for text, typed in known.fitting(document.text_before_cursor):
                yield Completion(text, start_position=-typed)

    return _WordCompleter()
