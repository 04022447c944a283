"""What other users wrote, made safe to show: the terminal obeys none of it."""

import re
import unicodedata
from pathlib import Path

from rich.console import Console
from rich.text import Text

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")

_JOINERS = "\u200c\u200d"
"""Format characters that writing and emoji need, and that move nothing."""


def visible(text: str, *, keep: str = "\n\t") -> str:
    """Show control and format characters instead of sending them to the terminal.

    Args:
        text: anything.
        keep: control characters that are left as they are.

    Returns:
        The text with control pictures for ASCII control characters (ESC becomes U+241B), and `<U+202E>` for the rest:
        C1 controls, bidirectional overrides, line separators, private and unassigned characters.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c in keep or c in _JOINERS or _harmless(c) else _shown(c) for c in text)


def _harmless(character: str) -> bool:
    return unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def _shown(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    return f"<U+{code:04X}>"


_UNEVEN = re.compile(
    r"(?<=[\u2600-\u27bf\U0001f000-\U0001faff\ufe0f])\u200d+"  # joins emoji
    r"|[\ufe00-\ufe0f\u20e3\U0001f3fb-\U0001f3ff]"  # another look, a keycap, the colour of a skin
)
"""What changes the width of a character in one terminal and not in another."""

_FILLERS = re.compile(r"[\u115f\u1160\u3164\uffa0\u034f\u17b4\u17b5]")
"""Letters and marks that cannot be seen."""

_MARKS = re.compile(
    r"([\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{3})"
    r"[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+"
)
"""More marks on one letter than any writing needs, with which it would reach into the lines above and below."""

_TAB = " " * 4


def placed(text: str, *, keep: str = "\n") -> str:
    """Text for a place on a screen: besides what `visible` does, all terminals agree on how wide it is.

    Args:
        text: anything.
        keep: see `visible`; tabs are spaces in any case.
    """
    if text.isascii() and text.isprintable():
        return text
    text = visible(text.replace("\t", _TAB), keep=keep)
    if text.isascii():
        return text
    text = _FILLERS.sub(lambda found: _shown(found[0]), _UNEVEN.sub("", text))
    return _MARKS.sub(r"\1", text)


def message_line(sender: str, text: str) -> Text:
    """A message as it is shown: further lines are indented, so that none can look like another message."""
    shown = visible(text.removesuffix("\n"))
    return Text.assemble((visible(sender, keep=""), "bold"), ": ", shown.replace("\n", "\n" + " " * (len(sender) + 2)))


def _everyone(recipient: str) -> str:
    return "everyone" if recipient.upper() == "ALL" else visible(recipient, keep="")


def accepted_line(recipient: str) -> Text:
    """That a message is stored and will arrive."""
    return Text.assemble(("\u2713", "green"), f" stored for {_everyone(recipient)}")


def read_line(recipient: str, seconds: float) -> Text:
    """That a message was read."""
    return Text.assemble(("\u2713\u2713", "green"), f" read by {_everyone(recipient)} ", _elapsed(seconds))


def _elapsed(seconds: float) -> tuple[str, str]:
    return (f"({seconds * 1000:.0f} ms)" if seconds < 1 else f"({seconds:.0f} s)", "dim")


def delivered_line(recipient: str, seconds: float) -> Text:
    """That a message has arrived."""
    return Text.assemble(("\u2713\u2713", "green"), f" delivered to {_everyone(recipient)} ", _elapsed(seconds))


def saved_line(path: Path) -> str:
    """Where a file that came is now."""
    return f"  saved as {visible(str(path), keep='')}"


def progress_line(have: int, of: int) -> str:
    """How many members of a room have a message."""
    return f"  {have} of {of} have it"


def failed_line(recipient: str, reason: str) -> Text:
    """That a message has not arrived, and why."""
    return Text.assemble(("\u2717", "red"), f" not delivered to {visible(recipient, keep='')}: {visible(reason)}")


class _Console(Console):
    """A console that leaves it to its user what to do when nobody reads."""

    def on_broken_pipe(self) -> None:
        """Let the error, which is being handled, go on its way."""
        raise


def console(*, stderr: bool = False) -> Console:
    """A console that writes text as it is: no markup, no guessing of colours, no lines cut to the width.

    It raises OSError if that cannot be written.
    """
    return _Console(stderr=stderr, markup=False, highlight=False, emoji=False, soft_wrap=True)


def size_text(size: int) -> str:
    """A number of bytes, for people."""
    value, unit = float(max(0, size)), 0
    while value >= 1000 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:.0f} {_UNITS[unit]}" if unit == 0 or value >= 10 else f"{value:.1f} {_UNITS[unit]}"
