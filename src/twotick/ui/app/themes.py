"""The themes of the app."""

from dataclasses import replace

from textual.theme import Theme

from twotick.ui.names import OF_SIXTEEN, ON_ANY, ON_DARK, ON_LIGHT

_ANSI = {
    "block-cursor-foreground": "ansi_black",
    "block-cursor-background": "ansi_cyan",
    "block-cursor-text-style": "none",
    "block-cursor-blurred-foreground": "ansi_default",
    "block-cursor-blurred-background": "ansi_default",
    "block-cursor-blurred-text-style": "bold",
    "block-hover-background": "ansi_default",
    "border": "ansi_cyan",
    "border-blurred": "ansi_bright_black",
    "input-cursor-background": "ansi_default",
    "input-cursor-foreground": "ansi_default",
    "input-cursor-text-style": "reverse",
    "input-selection-background": "ansi_cyan",
    "input-selection-foreground": "ansi_black",
    "scrollbar": "ansi_bright_black",
    "scrollbar-hover": "ansi_cyan",
    "scrollbar-active": "ansi_cyan",
    "scrollbar-background": "ansi_default",
    "scrollbar-background-hover": "ansi_default",
    "scrollbar-background-active": "ansi_default",
    "scrollbar-corner-color": "ansi_default",
}


def _names(colours: tuple[str, ...]) -> dict[str, str]:
    return {f"name-{number}": colour for number, colour in enumerate(colours)}


NAMES = _names(ON_ANY)
"""The colours of names in themes that have none of their own."""


def of_sixteen(theme: Theme) -> Theme:
    """Return a theme for a terminal that has sixteen colours."""
    names = _names(tuple(f"ansi_{colour}" for colour in OF_SIXTEEN))
    return replace(theme, variables={**theme.variables, **names})


def _scrollbar(bar: str, background: str) -> dict[str, str]:
    return {
        "scrollbar": bar,
        "scrollbar-background": background,
        "scrollbar-background-hover": background,
        "scrollbar-background-active": background,
    }


THEMES = (
    Theme(  # the sixteen colours of the terminal, which suit its light or dark background
        name="terminal",
        ansi=True,
        primary="ansi_cyan",
        secondary="ansi_magenta",
        warning="ansi_yellow",
        error="ansi_red",
        success="ansi_green",
        accent="ansi_magenta",
        foreground="ansi_default",
        background="ansi_default",
        surface="ansi_default",
        panel="ansi_default",
        boost="ansi_default",
        variables={"ansi-background": "ansi_default", "ansi-foreground": "ansi_default", **_ANSI, **NAMES},
    ),
    Theme(
        name="dark",
        primary="#6ea8fe",
        secondary="#c4a7e7",
        warning="#e5c07b",
        error="#ef7a85",
        success="#7fc8a9",
        accent="#c4a7e7",
        foreground="#d8dbe2",
        background="#16181d",
        surface="#16181d",
        panel="#2a2e37",
        boost="#1e2128",
        variables={
            "border-blurred": "#343943",
            "border": "#6ea8fe",
            **_scrollbar("#2a2e37", "#16181d"),
            **_names(ON_DARK),
        },
    ),
    Theme(
        name="light",
        dark=False,
        primary="#2f6fde",
        secondary="#7c4bc0",
        warning="#9a6700",
        error="#c62f3b",
        success="#1a7f5a",
        accent="#7c4bc0",
        foreground="#2b2d33",
        background="#fcfcfa",
        surface="#fcfcfa",
        panel="#dcdcd6",
        boost="#f1f1ed",
        variables={
            "border-blurred": "#d0d0ca",
            "border": "#2f6fde",
            **_scrollbar("#dcdcd6", "#fcfcfa"),
            **_names(ON_LIGHT),
        },
    ),
)
