"""Text from other users, made safe to show: the terminal does not obey anything in it."""

import re
from pathlib import Path

from rich.console import Console
from rich.text import Text
from rich.theme import Theme

from twotick.client.visible import code_point, visible
from twotick.ui.formatting import format_text
from twotick.ui.names import OF_SIXTEEN, ON_ANY, colour_of

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")

_UNEVEN = re.compile(
    r"(?<=[\u2600-\u27bf\U0001f000-\U0001faff\ufe0f])\u200d+"  # joiners between emoji
    r"|[\ufe00-\ufe0f\u20e3\U0001f3fb-\U0001f3ff]"  # variation selectors, keycaps, skin tones
)
"""Characters that change the width of another character in some terminals only."""

_FILLERS = re.compile(r"[\u115f\u1160\u3164\uffa0\u034f\u17b4\u17b5]")
"""Invisible letters and marks."""

_MARKS = re.compile(
    r"([\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{3})"
    r"[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+"
)
"""More combining marks on one letter than any script needs. They would reach into the lines above and below."""

_TAB = " " * 4

_LONGEST_INDENT = 100
"""The most columns by which the further lines of a message are indented."""


def for_screen(text: str, *, keep: str = "\n") -> str:
    """Return a text made safe like by `visible`, with a width on which all terminals agree.

    Args:
        text: any text.
        keep: control characters that stay as they are; tabs always become spaces.
    """
    if text.isascii() and text.isprintable():
        return text
    text = visible(text.replace("\t", _TAB), keep=keep)
    if text.isascii():
        return text
    text = _FILLERS.sub(lambda found: code_point(found[0]), _UNEVEN.sub("", text))
    return _MARKS.sub(r"\1", text)


_STYLES = {
    "strong": "bold",
    "emphasis": "italic",
    "code": "cyan",
    "link": "underline",
    "mention": "bold",
    "mark": "dim",
}


def message_line(sender: str, text: str, *, before: str = "", after: str = "") -> Text:
    """Return a message for the terminal. Further lines are indented, so that none can look like another message.

    No character of the text is left out: marks are shown beside their effect (docs/formatting.md).

    Args:
        sender: the name of the sender, which gets its colour.
        text: the text.
        before: text before the sender, such as a time.
        after: text after the sender, such as the recipient.
    """
    indent = " " * min(len(before) + len(sender) + len(after) + 2, _LONGEST_INDENT)
    name = (visible(sender, keep=""), f"name.{colour_of(sender)}")
    line = Text.assemble((visible(before, keep=""), "bold"), name, (visible(after, keep=""), "bold"), ": ")
    for number, part in enumerate(format_text(visible(text.removesuffix("\n")))):
        if number:
            line.append(f"\n{indent}")
        for piece in part.pieces:
            line.append(piece.text, " ".join(_STYLES[style] for style in piece.style.split()))
    return line


def _everyone(recipient: str) -> str:
    return "everyone" if recipient.upper() == "ALL" else visible(recipient, keep="")


def accepted_line(recipient: str) -> Text:
    """Return the line that says that a message is stored and will be delivered."""
    return Text.assemble(("\u2713", "green"), f" stored for {_everyone(recipient)}")


def read_line(recipient: str, seconds: float) -> Text:
    """Return the line that says that a message was read, after some seconds."""
    return Text.assemble(("\u2713\u2713", "green"), f" read by {_everyone(recipient)} ", _elapsed(seconds))


def _elapsed(seconds: float) -> tuple[str, str]:
    return (f"({seconds * 1000:.0f} ms)" if seconds < 1 else f"({seconds:.0f} s)", "dim")


def delivered_line(recipient: str, seconds: float) -> Text:
    """Return the line that says that a message was delivered, after some seconds."""
    return Text.assemble(("\u2713\u2713", "green"), f" delivered to {_everyone(recipient)} ", _elapsed(seconds))


def saved_line(path: Path) -> str:
    """Return the line that says where a received file was saved."""
    return f"  saved as {visible(str(path), keep='')}"


def progress_line(have: int, of: int) -> str:
    """Return the line that says how many members of a room have a message."""
    return f"  {have} of {of} have it"


def failed_line(recipient: str, reason: str) -> Text:
    """Return the line that says that a message was not delivered, and why."""
    return Text.assemble(
        ("\u2717", "red"), f" not delivered to {visible(recipient, keep='')}: {visible(reason, keep='')}"
    )


class _Console(Console):
    """A console that lets its caller handle a broken pipe."""

    def on_broken_pipe(self) -> None:
        """Raise the error that is being handled."""
        raise


def console(*, stderr: bool = False) -> Console:
    """Return a console that writes text unchanged: without markup, highlighting or cutting of lines.

    Writing to it raises OSError if the output is closed.
    """
    made = _Console(stderr=stderr, markup=False, highlight=False, emoji=False, soft_wrap=True)
    colours = OF_SIXTEEN if made.color_system == "standard" else ON_ANY
    made.push_theme(Theme({f"name.{number}": f"bold {colour}" for number, colour in enumerate(colours)}))
    return made


def size_text(size: int) -> str:
    """Return a number of bytes in words, such as `1.5 MiB`."""
    value, unit = float(max(0, size)), 0
    while value >= 1000 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:.0f} {_UNITS[unit]}" if unit == 0 or value >= 10 else f"{value:.1f} {_UNITS[unit]}"
