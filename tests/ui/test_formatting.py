"""Tests of the formatting of messages. The cases are those of docs/formatting.md."""

import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.ui.test_text import anything, tricks
from twotick.ui.formatting import FormattedLine, LineKind, Piece, format_text, links

PAGE = (Path(__file__).parents[2] / "docs" / "formatting.md").read_text("utf-8")
BLOCKS = re.findall(r"^```text\n(.*?)^```$", PAGE.partition("## Cases")[2], re.MULTILINE | re.DOTALL)

TAGS = {
    "strong": ("<strong>", "</strong>"),
    "emphasis": ("<em>", "</em>"),
    "code": ("<code>", "</code>"),
    "link": ("<a>", "</a>"),
    "mention": ("<mention>", "</mention>"),
}


def cases() -> list[tuple[str, str]]:
    """Return what is typed and what is shown in each case of the page."""
    found: list[tuple[str, str]] = []
    for block in BLOCKS:
        if not block.startswith("typed:"):
            continue
        for case in block.strip("\n").split("\n\n"):
            parts = {
                word: "\n".join(line[8:] for line in case.split("\n") if line.startswith(f"{word}:"))
                for word in ("typed", "shown")
            }
            found.append((parts["typed"], parts["shown"]))
    return found


def unchanged() -> list[str]:
    """Return the lines of the page that stay as they were typed."""
    return [line for block in BLOCKS if not block.startswith("typed:") for line in block.removesuffix("\n").split("\n")]


def as_html(lines: list[FormattedLine]) -> str:
    """Return lines as the page writes them."""
    shown: list[str] = []
    for line in lines:
        text = "".join(_tagged(piece, line.kind) for piece in line.pieces if piece.style != "mark")
        match line.kind:
            case LineKind.TEXT:
                shown.append(text)
            case LineKind.QUOTE:
                shown.append(f"<blockquote>{text}</blockquote>")
            case LineKind.CODE:
                shown.append(f"<pre>{text}</pre>")
            case LineKind.FENCE:
                pass
    return "\n".join(shown)


def _tagged(piece: Piece, kind: LineKind) -> str:
    text = piece.text
    if kind is not LineKind.CODE:
        for style in reversed(piece.style.split()):
            before, after = TAGS[style]
            text = f"{before}{text}{after}"
    return text


def as_typed(lines: list[FormattedLine]) -> str:
    return "\n".join("".join(piece.text for piece in line.pieces) for line in lines)


@pytest.mark.parametrize(("typed", "shown"), cases())
def test_a_case_of_the_page_is_shown_as_the_page_says(typed: str, shown: str) -> None:
    assert as_html(format_text(typed)) == shown


@pytest.mark.parametrize("typed", unchanged())
def test_what_no_rule_fits_stays_as_it_was_typed(typed: str) -> None:
    assert as_html(format_text(typed)) == typed


def test_the_page_has_cases() -> None:
    assert len(cases()) > 12
    assert len(unchanged()) > 15


marked = st.text(st.sampled_from("ab *_`>\n@(.)!~\u4f60\U0001f389")) | st.lists(
    st.sampled_from(["*a*", "_b_", "`c`", "```", "\n", " ", "> ", "https://a.b/", ")", "(", "@bob", "*", "_"])
).map("".join)


@given(anything | tricks | marked, st.booleans())
@example("", True)
@example("```\n*a*\n```", True)
@example("> ", True)
def test_no_character_is_lost_added_or_moved(text: str, formatted: bool) -> None:
    lines = format_text(text, formatted=formatted)
    assert as_typed(lines) == text
    assert all(line.pieces for line in lines)


@given(anything | tricks | marked)
def test_without_formatting_nothing_is_a_mark(text: str) -> None:
    lines = format_text(text, formatted=False)
    assert {line.kind for line in lines} == {LineKind.TEXT}
    assert {piece.style for line in lines for piece in line.pieces} <= {"", "link", "mention"}


@given(anything | tricks | marked)
def test_something_of_every_text_is_shown(text: str) -> None:
    assert any(line.kind is not LineKind.FENCE for line in format_text(text))


@pytest.mark.parametrize(
    "part",
    ["*a ", "*", "_a_ ", "`", "``` ", "```\n", "https://(", ")", "https://a)", "*a*.", "@a", "> ", "*a!", "*a*!_"],
)
def test_the_work_grows_with_the_length_alone(part: str) -> None:
    """A part that is repeated a hundred thousand times would take hours if each one were compared with the others."""
    text = "https://" + part * 100_000
    assert as_typed(format_text(text)) == text
    assert len(links(text)) <= text.count("https://")


def test_links_are_found_without_the_punctuation_after_them() -> None:
    assert links("see https://a.example/x?y=1, or (http://b.example).") == [
        "https://a.example/x?y=1",
        "http://b.example",
    ]
    assert links("*https://a.example/* `http://b.example` _see https://c.example/d(e)_.") == [
        "https://a.example/",
        "http://b.example",
        "https://c.example/d(e)",
    ]
    assert links("file:///etc/passwd javascript:alert(1)") == []
