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


_MAX_NAME = 33
"""Characters of a name that are shown (rules 4.1 and 12.1), also if a server sends a longer one."""

_MAX_ONE_LINE = 300
"""Characters that are shown of a text in one line, such as a quote, a topic or a file name."""


def user_name(name: str) -> str:
    """Return the name of a user or a room, safe for the terminal."""
    return for_screen(name[:_MAX_NAME], keep="")


def one_line(text: str) -> str:
    """Return the beginning of a text in one line, safe for the terminal."""
    return for_screen(" ".join(text[:_MAX_ONE_LINE].split()), keep="")


_ACTION = "/me "


def action_in(text: str) -> str:
    """Return what the sender of a message does, `waves` for `/me waves`; empty for other texts (docs/formatting.md)."""
    return text.removeprefix(_ACTION).strip(" ") if text.startswith(_ACTION) and not text[4:].isspace() else ""


def as_said(sender: str, text: str) -> str:
    """Return the text of a message as it is shown: `/me waves` from bob is `* bob waves`."""
    action = action_in(text)
    return f"* {user_name(sender)} {action}" if action else text


_STYLES = {
    "strong": "bold",
    "emphasis": "italic",
    "code": "cyan",
    "link": "underline",
    "mention": "bold",
    "mark": "dim",
}
"""The styles of pieces of a message."""


def message_line(
    sender: str, text: str, *, before: str = "", beside: str = "", after: str = "", formatted: bool = True
) -> Text:
    """Return a message for the terminal. Further lines are indented, so that none can look like another message.

    No character of the text is left out: marks are shown beside their effect. Only `/me waves` from bob is shown as
    `* bob waves`; no other message has a star before the name (docs/formatting.md).

    Args:
        sender: the name of the sender, which gets its colour.
        text: the text.
        before: text before the sender, such as a time.
        beside: text beside the sender: the display name.
        after: text after the sender, such as the recipient.
        formatted: whether the effect of marks is shown.
    """
    action = action_in(text)
    star, colon = ("* ", " ") if action else ("", ": ")
    beside, shown_after = visible(beside, keep=""), visible(after, keep="")
    line = Text.assemble((visible(before, keep=""), "bold"), star)
    line.append(visible(sender, keep=""), f"name.{colour_of(sender)}").append(beside)
    line.append("" if action else shown_after, "bold").append(colon)
    indent = " " * min(len(before) + len(sender) + len(beside) + len(after) + 2, _LONGEST_INDENT)
    for number, part in enumerate(format_text(visible((action or text).removesuffix("\n")), formatted=formatted)):
        if number:
            line.append(f"\n{indent}")
        for piece in part.pieces:
            line.append(piece.text, " ".join(_STYLES[style] for style in piece.style.split()))
    return line.append(f" ({shown_after.strip()})", "dim") if action and shown_after.strip() else line


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
