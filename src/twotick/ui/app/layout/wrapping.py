"""Lines of text on a screen: made of spans, wrapped or cut to the available columns."""

import re
from collections.abc import Iterator
from itertools import accumulate
from typing import NamedTuple, TypeAlias

from rich.cells import cell_len, set_cell_size


class Span(NamedTuple):
    """A piece of a line with one style.

    Attributes:
        text: the text, which is safe for the terminal.
        style: the name of the style; empty for the default style.
    """

    text: str
    style: str = ""


Line: TypeAlias = list[Span]


class WrappedLine(NamedTuple):
    """One of the lines into which a longer line was wrapped.

    Attributes:
        start: the index of its first character in the longer line.
        text: the text.
    """

    start: int
    text: str


def wrap(text: str, columns: int) -> list[WrappedLine]:
    """Wrap a line of text. Only spaces at the end of a wrapped line are dropped.

    Args:
        text: one line.
        columns: the available columns, at least 1. A character that is wider than this is replaced by `?`.
    """
    if len(text) <= columns and text.isascii():
        return [WrappedLine(0, text)]
    found: list[WrappedLine] = []
    line, used, start = "", 0, 0
    for match in re.finditer(r" +|[^ ]+", text):
        piece, size = match[0], cell_len(match[0])
        if used + size <= columns:
            line, used = line + piece, used + size
        elif piece[0] == " ":
            found.append(WrappedLine(start, line))
            line, used, start = "", 0, match.end()
        elif used and size <= columns:
            found.append(WrappedLine(start, line.rstrip(" ")))
            line, used, start = piece, size, match.start()
        else:
            for at, character in enumerate(piece, match.start()):
                wide = cell_len(character)
                if wide > columns:
                    character, wide = "?", 1
                if used + wide > columns:
                    found.append(WrappedLine(start, line))
                    line, used, start = "", 0, at
                line, used = line + character, used + wide
    return [*found, WrappedLine(start, line)]


def wrap_text(text: str, columns: int) -> list[str]:
    """Return the texts of the wrapped lines of a line of text. See `wrap` for the arguments."""
    return [line.text for line in wrap(text, columns)]


def wrap_pieces(pieces: list[Span], columns: int) -> Iterator[Line]:
    """Wrap a line of spans, which keep their styles. See `wrap` for the arguments.

    Args:
        pieces: one line.
        columns: the available columns.
    """
    text = "".join(piece.text for piece in pieces)
    ends = list(accumulate(len(piece.text) for piece in pieces))
    for line in wrap(text, columns):
        end = line.start + len(line.text)
        spans: Line = []
        for piece, after in zip(pieces, ends, strict=True):
            start = max(line.start, after - len(piece.text))
            if start < min(after, end):
                shown = line.text[start - line.start : after - line.start]
                spans.append(Span(shown, piece.style))
        yield spans


def cut(line: Line, width: int) -> Line:
    """Return a line cut to a number of columns."""
    kept: Line = []
    for span in line:
        used = cell_len(span.text)
        if used > width:
            return [*kept, Span(set_cell_size(span.text, width), span.style)]
        kept.append(span)
        width -= used
    return kept


def shortened(text: str, width: int) -> str:
    """Return a text of one line, cut with an ellipsis if it is wider than `width` columns."""
    return text if cell_len(text) <= width else set_cell_size(text, max(0, width - 1)) + "\u2026"[: max(0, width)]


def rule(text: str, style: str, width: int) -> Line:
    """Return a horizontal rule with a text in its middle."""
    text = f" {text} "[: max(0, width - 4)]
    left = (width - len(text)) // 2
    return [Span("\u2500" * left, "rule"), Span(text, style), Span("\u2500" * (width - left - len(text)), "rule")]


def put_right(line: Line, spans: list[Span], width: int) -> None:
    """Put spans at the right end of a line if they fit."""
    gap = width - 1 - sum(cell_len(each.text) for each in [*line, *spans])
    if gap > 0:
        line += [Span(" " * gap), *spans]
