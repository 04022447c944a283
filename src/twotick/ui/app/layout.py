"""How messages are laid out in lines: a pure function of the message, the one before it, and the width.

Lines are made of spans, a text and the name of its style; what the styles look like is for the widget to say. Whatever
is to be shown of a message is a part of its lines.
"""

import re
from datetime import datetime, timedelta
from typing import NamedTuple, TypeAlias

from rich.cells import cell_len, set_cell_size

from twotick.client import State
from twotick.ui.app.model import Message
from twotick.ui.text import placed

Line: TypeAlias = "list[Span]"

MOST_LINES = 16
"""Lines of a message that are shown in the conversation; the rest is shown when somebody asks for it."""

_LONGEST = 8_000
"""Characters of a message that are looked at to lay it out."""

_LONGEST_NAME = 32
"""Characters of a name (rule 4.1); whatever a server says, no more are shown."""

_GAP = timedelta(minutes=10)
"""After which a message has the name and time of its sender again."""

_MARGIN = 2
"""Columns at the left, of which the first shows what is selected."""

_GUTTER = 4
"""Columns at the right, for the ticks."""

_TICKS = {
    State.QUEUED: ("\u2026", "waiting"),
    State.ACCEPTED: ("\u2713", "accepted"),
    State.DELIVERED: ("\u2713\u2713", "delivered"),
    State.READ: ("\u2713\u2713", "read"),
    State.FAILED: ("\u2717", "failed"),
}

_LINK = re.compile(r"https?://[!-~\u00a1-\uffff]+")
_AFTER_LINK = ".,:;!?'\")]}>"
_STANDS_OUT = re.compile(rf"(?P<link>{_LINK.pattern})|(?<!\w)@[A-Za-z0-9]+")


class Span(NamedTuple):
    """A piece of a line.

    Attributes:
        text: what it says; safe for the terminal.
        style: the name of its style; empty for none.
    """

    text: str
    style: str = ""


class Around(NamedTuple):
    """What the layout of a message depends on besides the message.

    Attributes:
        before: the message before it; None for the first.
        new: whether it is the first that was not read when the conversation was opened.
    """

    before: Message | None
    new: bool = False


def links(text: str) -> list[str]:
    """The addresses of pages in a text."""
    return [found.rstrip(_AFTER_LINK) for found in _LINK.findall(text)]


def height(message: Message, around: Around, width: int) -> int:
    """How many lines a message takes.

    Args:
        message: the message.
        around: what is around it.
        width: the columns there are.
    """
    text = message.text
    room = _room(width)
    if len(text) <= room and text.isascii() and text.isprintable():
        body = 1
    else:
        body = min(len(_body(text, room)), MOST_LINES + 1)
    return len(_above(message, around, width)) + body + (message.state is State.FAILED) * len(_why(message, room))


def lines(message: Message, around: Around, width: int) -> list[Line]:
    """The lines of a message, each of them no wider than there are columns.

    Args:
        message: see `height`.
        around: see `height`.
        width: see `height`.
    """
    room = _room(width)
    body = _body(message.text, room)
    hidden = len(body) > MOST_LINES
    margin = Span(" " * _MARGIN)
    shown = [[margin, *_styled(line)] for line in body[:MOST_LINES]]
    if message.state is not None:
        tick, style = _TICKS[message.state]
        _put_right(shown[-1], Span(tick, style), width)
    if hidden:
        shown.append([margin, Span("\u2026 Enter shows all of it"[:room], "quiet")])
    if message.state is State.FAILED:
        shown += [[margin, Span(line, "failed")] for line in _why(message, room)]
    return _above(message, around, width) + shown


def _room(width: int) -> int:
    """The columns for what a message says."""
    return max(1, width - _MARGIN - _GUTTER)


def _put_right(line: Line, span: Span, width: int) -> None:
    used = sum(cell_len(each.text) for each in line)
    gap = width - 1 - cell_len(span.text) - used
    if gap > 0:
        line += [Span(" " * gap), span]


def _above(message: Message, around: Around, width: int) -> list[Line]:
    """The lines before what a message says: the day, what is new, the sender."""
    before = around.before
    day = before is None or _local(before).date() != _local(message).date()
    if (
        not day
        and not around.new
        and before is not None
        and before.sender == message.sender
        and message.time - before.time < _GAP
    ):
        return []
    above: list[Line] = [[]] if before is not None else []
    if day:
        above += [_rule(f"{_local(message):%A} {_local(message).day} {_local(message):%B %Y}", "day", width), []]
    if around.new:
        above += [_rule("new", "new", width)]
    name = placed(message.sender[:_LONGEST_NAME], keep="")
    style = "me" if message.outgoing else "sender"
    header = [Span(" " * _MARGIN), Span(name, style), Span(f"  {_local(message):%H:%M}", "quiet")]
    return [*above, _cut(header, width)]


def _cut(line: Line, width: int) -> Line:
    """As much of a line as there is room for."""
    cut: Line = []
    for span in line:
        used = cell_len(span.text)
        if used > width:
            return [*cut, Span(set_cell_size(span.text, width), span.style)]
        cut.append(span)
        width -= used
    return cut


def _rule(text: str, style: str, width: int) -> Line:
    """A line with a text in its middle."""
    text = f" {text} "[: max(0, width - 4)]
    left = (width - len(text)) // 2
    return [Span("\u2500" * left, "rule"), Span(text, style), Span("\u2500" * (width - left - len(text)), "rule")]


def _local(message: Message) -> datetime:
    try:
        return message.time.astimezone()
    except (OverflowError, ValueError, OSError):
        return message.time


def _why(message: Message, room: int) -> list[str]:
    """Why a message failed, in lines."""
    return wrapped(placed(f"not delivered: {message.reason}"[:400], keep=""), room)[:4]


def _body(text: str, room: int) -> list[str]:
    """What a message says, in lines; only as many as may be shown, and one more if there are more."""
    short = placed(text[:_LONGEST].removesuffix("\n"))
    found: list[str] = []
    for line in short.split("\n"):
        found += wrapped(line, room)
        if len(found) > MOST_LINES:
            break
    if len(text) > _LONGEST and len(found) <= MOST_LINES:
        found += [""] * (MOST_LINES + 1 - len(found))
    return found[: MOST_LINES + 1]


def wrapped(text: str, room: int) -> list[str]:
    """A line of text in lines that are no wider than there is room.

    Args:
        text: one line.
        room: columns, at least 1. A character that is wider is shown as `?`.
    """
    if len(text) <= room and text.isascii():
        return [text]
    found: list[str] = []
    line, used = "", 0
    for piece in re.findall(r" +|[^ ]+", text):
        size = cell_len(piece)
        if used + size <= room:
            line, used = line + piece, used + size
        elif piece[0] == " ":
            found.append(line)
            line, used = "", 0
        else:
            if used and size <= room:
                found.append(line.rstrip(" "))
                line, used = piece, size
                continue
            for character in piece:
                wide = cell_len(character)
                if wide > room:
                    character, wide = "?", 1
                if used + wide > room:
                    found.append(line)
                    line, used = "", 0
                line, used = line + character, used + wide
    return [*found, line]


def _styled(line: str) -> Line:
    """A line of a message, with what stands out in it."""
    spans: Line = []
    done = 0
    for found in _STANDS_OUT.finditer(line):
        end = found.start() + len(found[0].rstrip(_AFTER_LINK))
        spans += [Span(line[done : found.start()]), Span(line[found.start() : end], found.lastgroup or "mention")]
        done = end
    return [*spans, Span(line[done:])]
