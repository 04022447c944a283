"""Spacing marks, such as the vowel signs of Hindi, take a column in terminals; Rich counts none for them."""

import unicodedata
from functools import cache

from rich import cells

_TAGS = 0xE0000
"""The first of many characters that have no width, behind all scripts."""

_load = cells.load_cell_table  # pyright: ignore[reportPrivateImportUsage] # there is no public way to change a width


def count_spacing_marks() -> None:
    """Let Rich, and so the whole app, count a column for a spacing mark, as `wcwidth` of the C library does."""
    cells.load_cell_table = _table  # pyright: ignore[reportPrivateImportUsage]


@cache
def _table(unicode_version: str = "auto") -> cells.CellTable:
    """Return Rich's table of widths without the spacing marks among the characters that have none."""
    table = _load(unicode_version)
    widths: list[tuple[int, int, int]] = []
    for start, end, width in table.widths:
        if width or start >= _TAGS:
            widths.append((start, end, width))
            continue
        for code in range(start, end + 1):
            if unicodedata.category(chr(code)) == "Mc":
                continue
            if widths and widths[-1][1:] == (code - 1, 0):
                widths[-1] = (widths[-1][0], code, 0)
            else:
                widths.append((code, code, 0))
    return table._replace(widths=widths)
