"""Lines of text on a screen: made of spans, folded to the columns there are, cut where there are no more."""

import re
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

from rich.cells import cell_len, set_cell_size

_LINK = re.compile(r"https?://[!-~\u00a1-\uffff]+")
_AFTER_LINK = ".,:;!?'\")]}>"
_STANDS_OUT = re.compile(rf"(?P<link>{_LINK.pattern})|(?<!\w)(?P<mention>@[A-Za-z0-9]+)")


class Span(NamedTuple):
    """A piece of a line.

    Attributes:
        text: what it says; safe for the terminal.
        style: the name of its style; empty for none.
    """

    text: str
    style: str = ""


Line: TypeAlias = list[Span]


class WrappedLine(NamedTuple):
    """One of the lines into which a line of text is folded.

    Attributes:
        start: where in the text it begins.
        text: what it says.
    """

    start: int
    text: str


def links(text: str) -> list[str]:
    """The addresses of pages in a text."""
    return [found.rstrip(_AFTER_LINK) for found in _LINK.findall(text)]


def folded(text: str, room: int) -> list[WrappedLine]:
    """A line of text in lines that are no wider than there is room; only spaces at a fold are left out.

    Args:
        text: one line.
        room: columns, at least 1. A character that is wider is shown as `?`.
    """
    if len(text) <= room and text.isascii():
        return [WrappedLine(0, text)]
    found: list[WrappedLine] = []
    line, used, start = "", 0, 0
    for match in re.finditer(r" +|[^ ]+", text):
        piece, size = match[0], cell_len(match[0])
        if used + size <= room:
            line, used = line + piece, used + size
        elif piece[0] == " ":
            found.append(WrappedLine(start, line))
            line, used, start = "", 0, match.end()
        elif used and size <= room:
            found.append(WrappedLine(start, line.rstrip(" ")))
            line, used, start = piece, size, match.start()
        else:
            for at, character in enumerate(piece, match.start()):
                wide = cell_len(character)
                if wide > room:
                    character, wide = "?", 1
                if used + wide > room:
                    found.append(WrappedLine(start, line))
                    line, used, start = "", 0, at
                line, used = line + character, used + wide
    return [*found, WrappedLine(start, line)]


def wrapped(text: str, room: int) -> list[str]:
    """Likewise, without where they begin."""
    return [fold.text for fold in folded(text, room)]


def styled(text: str, room: int) -> Iterator[Line]:
    """A line of text, folded, with the links and names in it standing out, wherever they are folded.

    Args:
        text: see `folded`.
        room: see `folded`.
    """
    standing_out = [
        (found.start(), found.start() + len(found[0].rstrip(_AFTER_LINK)), found.lastgroup or "")
        for found in _STANDS_OUT.finditer(text)
    ]
    for fold in folded(text, room):
        spans: Line = []
        done = 0
        for start, end, style in standing_out:
            start, end = max(start - fold.start, 0), min(end - fold.start, len(fold.text))
            if start < end:
                spans += [Span(fold.text[done:start]), Span(fold.text[start:end], style)]
                done = end
        yield [*(span for span in spans if span.text), Span(fold.text[done:])]


def cut(line: Line, width: int) -> Line:
    """As much of a line as there is room for."""
    kept: Line = []
    for span in line:
        used = cell_len(span.text)
        if used > width:
            return [*kept, Span(set_cell_size(span.text, width), span.style)]
        kept.append(span)
        width -= used
    return kept


def shortened(text: str, width: int) -> str:
    """A text of one line, with an ellipsis if it is wider than there is room."""
    return text if cell_len(text) <= width else set_cell_size(text, max(0, width - 1)) + "\u2026"[: max(0, width)]


def rule(text: str, style: str, width: int) -> Line:
    """A line with a text in its middle."""
    text = f" {text} "[: max(0, width - 4)]
    left = (width - len(text)) // 2
    return [Span("\u2500" * left, "rule"), Span(text, style), Span("\u2500" * (width - left - len(text)), "rule")]


def put_right(line: Line, spans: list[Span], width: int) -> None:
    """Put spans at the right end of a line, if there is room."""
    gap = width - 1 - sum(cell_len(each.text) for each in [*line, *spans])
    if gap > 0:
        line += [Span(" " * gap), *spans]
