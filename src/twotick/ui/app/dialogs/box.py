"""The style that dialogs share, and what fits into them."""

from typing import Any, cast

from rich.cells import cell_len
from textual.app import App
from textual.screen import Screen

_WIDTH = 64
"""Columns of a dialog with its border."""


_BORDER = 6
"""Columns of the border beside a text on it."""


def columns_inside(width: int) -> int:
    """Return the columns of a line in a dialog, beside its scroll bar, on a screen with some columns."""
    return max(1, min(_WIDTH, width) - 5)


def keys_hint(text: str, dialog: Screen[Any], *, whole: bool = False) -> str:
    """Return a line that says what keys do, so that it fits on the border of a dialog, or the screen.

    Args:
        text: the keys with what they do, three spaces between them. Those in the middle are left out first.
        dialog: the dialog that shows them.
        whole: whether the dialog has the whole screen, and no border.
    """
    width = cast("App[object]", dialog.app).size.width  # pyright: ignore[reportUnknownMemberType]
    columns = width - 2 if whole else min(_WIDTH, width) - _BORDER
    parts = text.split("   ")
    gap = "   "
    while len(gap) > 1 and cell_len(gap.join(parts)) > columns:
        gap = gap[1:]
    while len(parts) > 2 and cell_len(gap.join(parts)) > columns:
        del parts[-2]
    return gap.join(parts)


BOX = """
    {0} {{
        align: center middle;
        background: $background 60%;
        & > Vertical, & > VerticalScroll {{
            width: 64;
            max-width: 100%;
            height: auto;
            max-height: 90%;
            background: $background;
            border: round $primary;
            padding: 0 1;
            scrollbar-size-vertical: 1;
        }}
        Input {{
            border: none; border-bottom: solid $border-blurred; padding: 0; height: 2; background: $background;
            &:focus {{ border: none; border-bottom: solid $primary; }}
        }}
        Checkbox {{ border: none; padding: 0; height: auto; text-wrap: wrap; width: 100%; background: $background; }}
        Checkbox:focus {{ border: none; }}
        Checkbox > .toggle--button {{ background: $background; color: $foreground; }}
        OptionList {{
            border: none; padding: 0; height: auto; max-height: 12; background: $background;
            text-wrap: nowrap; text-overflow: ellipsis; scrollbar-size-vertical: 1;
        }}
        OptionList > .option-list--option-highlighted {{
            color: $block-cursor-foreground;
            background: $block-cursor-background;
            text-style: $block-cursor-text-style;
        }}
        Button {{ margin-top: 1; }}
        Button:nocolor:focus, Button:ansi:focus {{ text-style: bold reverse; }}
        .problem {{ color: $error; height: auto; }}
    }}
    """
"""The CSS of a dialog, to be formatted with the name of its class."""
