"""Show a text as a QR code in a terminal, for the camera of a phone."""

import shutil
from itertools import zip_longest
from typing import Final

_BORDER: Final = 2
"""The light cells around the code. Two are enough for the cameras of phones, and the code fits small terminals."""

_PROMPT: Final = 1
"""Lines that the shell writes afterwards."""

_LIGHT: Final = 231
_DARK: Final = 16
"""White and black of the 256 colours, which no theme changes: cameras need them whatever the terminal's colours are."""


def print_qr(text: str, shown: str) -> None:
    """Print a text as a QR code, two cells in each character; nothing if the terminal is too small.

    Args:
        text: the text.
        shown: the lines that were printed before it, and that must stay on the screen.
    """
    import segno  # imported only when it is needed

    cells = [list(row) for row in segno.make(text, error="l").matrix_iter(border=_BORDER)]
    columns, lines = shutil.get_terminal_size()
    above = sum(-(-len(line) // columns) for line in shown.splitlines())
    if columns < len(cells[0]) or lines < above + (len(cells) + 1) // 2 + _PROMPT:
        return
    light = [0] * len(cells[0])
    for upper, lower in zip_longest(cells[::2], cells[1::2], fillvalue=light):
        print("".join(map(_character, upper, lower)) + "\x1b[0m")


def _character(upper: int, lower: int) -> str:
    """Return the upper half of a character in one colour, and the lower half in another."""
    return f"\x1b[38;5;{_DARK if upper else _LIGHT};48;5;{_DARK if lower else _LIGHT}m\N{UPPER HALF BLOCK}"
