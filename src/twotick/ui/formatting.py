"""The formatting of messages: a small part of Markdown (docs/formatting.md).

It changes how a text is shown, never the text: all that it finds are pieces of the text, in order and without a gap. So
no character is lost, and what is not formatting stays as it was typed.
"""

import re
from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

_OPENING = "([{\"'\u00ab\u2018\u201c\u201e"
_CLOSING = ".,:;!?)]}\"'\u00bb\u2019\u201c\u201d\u2026"
_AFTER_LINK = ".,:;!?'\")]}>"

_LINK = r"https?://[!-~\u00a1-\uffff]+"
_MENTION = r"(?<!\w)@[A-Za-z0-9]+"
_BEFORE = rf"(?<![^\s{re.escape(_OPENING)}])"
_AFTER = rf"(?=[{re.escape(_CLOSING)}]*(?:\s|$))"
_FIRST = r"[^\s.,:;!?*_`/\\|~^+=)\]}>-]"

_IN_MARKS = re.compile(rf"(?P<link>{_LINK})|(?P<mention>{_MENTION})")
_IN_LINE = re.compile(
    rf"{_IN_MARKS.pattern}"
    r"|(?<!`)(?P<code>```[^`]+```|`[^`]+`)(?!`)"
    rf"|{_BEFORE}\*(?P<strong>{_FIRST}[^*]*)(?<!\s)\*{_AFTER}"
    rf"|{_BEFORE}_(?P<emphasis>{_FIRST}[^_]*)(?<!\s)_{_AFTER}"
)
"""What stands out in a line. Each alternative reads to the next mark of its kind at most, so the time is linear."""

_FENCE = re.compile(r"```[A-Za-z0-9+#._-]{0,20} *")
_QUOTE = "> "


class LineKind(Enum):
    """What a line of a message is."""

    TEXT = "text"
    QUOTE = "quote"
    CODE = "code"
    FENCE = "fence"
    """The first or the last line of a block of code."""


class Piece(NamedTuple):
    """A piece of a line.

    Attributes:
        text: the piece as it was typed.
        style: how it looks: some of `strong`, `emphasis`, `code`, `link` and `mention`, separated by spaces; or `mark`
            for the signs that make something look so, which a screen need not show; or empty.
    """

    text: str
    style: str = ""


class FormattedLine(NamedTuple):
    """A line of a message. The texts of its pieces together are the line as it was typed."""

    kind: LineKind
    pieces: list[Piece]


def format_text(text: str, *, formatted: bool = True) -> list[FormattedLine]:
    """Return the lines of a text in pieces.

    Args:
        text: the text of a message, whatever it contains.
        formatted: whether marks mean something; otherwise only links and mentions stand out.
    """
    lines = text.split("\n")
    if not formatted:
        return [FormattedLine(LineKind.TEXT, list(_standing_out(line, ""))) for line in lines]
    found: list[FormattedLine] = []
    blocks = _blocks(lines)
    start, end = next(blocks)
    for number, line in enumerate(lines):
        if number > end:
            start, end = next(blocks)
        if start < number < end:
            found.append(FormattedLine(LineKind.CODE, [Piece(line, "code")]))
        elif number in (start, end):
            found.append(FormattedLine(LineKind.FENCE, [Piece(line, "mark")]))
        elif line.startswith(_QUOTE) and line.strip() != ">":
            pieces = [Piece(_QUOTE, "mark"), *_in_line(line.removeprefix(_QUOTE))]
            found.append(FormattedLine(LineKind.QUOTE, pieces))
        else:
            found.append(FormattedLine(LineKind.TEXT, list(_in_line(line))))
    return found


def _blocks(lines: list[str]) -> Iterator[tuple[int, int]]:
    """Find the blocks of code: the numbers of their first and last lines. The last block is behind the text."""
    opened: int | None = None
    closing = max((number for number, line in enumerate(lines) if line.rstrip(" ") == "```"), default=-1)
    for number, line in enumerate(lines[: closing + 1]):
        if opened is None:
            opened = number if _FENCE.fullmatch(line) else None
        elif line.rstrip(" ") == "```" and number > opened + 1:
            yield opened, number
            opened = None
    yield len(lines), len(lines)


def _in_line(line: str) -> Iterator[Piece]:
    """Return the pieces of a line that is not code."""
    done = 0
    for found in _IN_LINE.finditer(line):
        kind = found.lastgroup or ""
        start, end = found.span()
        if kind == "link":
            end = start + len(_link(found[0]))
        if done < start:
            yield Piece(line[done:start])
        if kind in ("link", "mention"):
            yield Piece(line[start:end], kind)
        else:
            yield from _marked(found[0], kind)
        done = end
    if done < len(line) or not line:
        yield Piece(line[done:])


def _marked(text: str, kind: str) -> Iterator[Piece]:
    """Return the pieces of a text between marks, with its marks. Nothing in it is marked again."""
    marks = 3 if text.startswith("```") else 1
    yield Piece(text[:marks], "mark")
    inside = text[marks:-marks]
    yield from [Piece(inside, kind)] if kind == "code" else _standing_out(inside, kind)
    yield Piece(text[-marks:], "mark")


def _standing_out(text: str, style: str) -> Iterator[Piece]:
    """Return the pieces of a text without marks: links, mentions, and the rest."""
    done = 0
    for found in _IN_MARKS.finditer(text):
        start = found.start()
        piece = _link(found[0]) if found.lastgroup == "link" else found[0]
        if done < start:
            yield Piece(text[done:start], style)
        yield Piece(piece, f"{style} {found.lastgroup}".strip())
        done = start + len(piece)
    if done < len(text) or not text:
        yield Piece(text[done:], style)


def _link(text: str) -> str:
    """Return a web address without the punctuation after it. A bracket that the address has opened belongs to it."""
    surplus = text.count(")") - text.count("(")
    end = len(text)
    while text[end - 1] in _AFTER_LINK:
        if text[end - 1] == ")":
            if surplus <= 0:
                break
            surplus -= 1
        end -= 1
    return text[:end]


def links(text: str) -> list[str]:
    """Return the web addresses in a text, also those in code."""
    found: list[str] = []
    for line in format_text(text):
        for piece in line.pieces:
            if "link" in piece.style:
                found.append(piece.text)
            elif piece.style == "code":
                found += [_link(each) for each in re.findall(_LINK, piece.text)]
    return found
