"""Keys with Alt, as terminals send them: ESC and the key."""

import string
from typing import NamedTuple

from textual import _ansi_sequences  # pyright: ignore[reportPrivateUsage] # there is no public way to add a sequence


class _AltKey(NamedTuple):
    """A key as Textual's table of sequences has it.

    Attributes:
        value: the name of the key.
    """

    value: str


def recognise() -> None:
    """Let Textual recognise Alt with a letter, a digit or Enter as one key, at once.

    Without this, Textual takes Alt+Enter for Enter, waits 0.1 s after each ESC, and takes a second Alt key within that
    time for text. Textual knows ESC `b` and ESC `f` already, as Ctrl+Left and Ctrl+Right.
    """
    table = _ansi_sequences.ANSI_SEQUENCES_KEYS
    for character in string.ascii_lowercase + string.digits:
        table.setdefault(f"\x1b{character}", (_AltKey(f"alt+{character}"),))  # type: ignore[attr-defined]
    table["\x1b\r"] = table["\x1b\n"] = (_AltKey("alt+enter"),)  # type: ignore[index]
