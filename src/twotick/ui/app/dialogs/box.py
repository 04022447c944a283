"""The style that dialogs share."""

_WIDTH = 64
"""Columns of a dialog with its border."""


def columns_inside(width: int) -> int:
    """Return the columns of a line in a dialog, beside its scroll bar, on a screen with some columns."""
    return max(1, min(_WIDTH, width) - 5)


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
        Checkbox {{ border: none; padding: 0; height: 1; width: 100%; background: $background; }}
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
