"""What users type to search."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twotick.ui.searching import FILTERS, SearchText, SearchTextError, parse_search

NOW = datetime(2026, 11, 29, 14, 30, 5)


def parse(text: str) -> SearchText:
    return parse_search(text, "alice", NOW)


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("oat", "oat*"),
        ("wild oat*", "wild* oat*"),
        ('red "wild oats"', 'red* "wild oats"'),
        ('"wild oats', '"wild oats"'),
        ("a I é e\u0301 don't x2", "a* I* é* e\u0301* don't* x2*"),
        ("会議 会", "会議* 会*"),
        ("हिन्दी", "हिन्दी*"),
        ("🎉 :-) C++ 42", "🎉 :-) C++ 42*"),
        ("https://example.com", "https://example.com*"),
        ('"from:bob" to:bob', '"from:bob" to:bob*'),
        ("a*", "a*"),
    ],
)
def test_words_are_how_words_begin(text: str, query: str) -> None:
    assert parse(text).query == query
    assert parse(text).has_words_only


def test_filters() -> None:
    found = parse('From:bob "wild oats" IN:#Team before:2026-11-01 after:2026-10 has:file rye')
    october, november = datetime(2026, 10, 1), datetime(2026, 11, 1)
    assert found == SearchText('"wild oats" rye*', ("wild oats", "rye"), "bob", "#Team", october, november, True)
    assert (parse("from:me").sender, parse("from:@me").sender, parse("in:@bob").peer) == ("alice", "me", "bob")
    assert not parse("in:bob").has_words_only


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-11-01", datetime(2026, 11, 1)),
        ("2026-2-3", datetime(2026, 2, 3)),
        ("2026", datetime(2026, 1, 1)),
        ("2026-11-01T09:30", datetime(2026, 11, 1, 9, 30)),
        ("today", datetime(2026, 11, 29)),
        ("Yesterday", datetime(2026, 11, 28)),
        ("7d", NOW - timedelta(days=7)),
        ("2h", NOW - timedelta(hours=2)),
    ],
)
def test_times(text: str, time: datetime) -> None:
    assert parse(f"after:{text}").since == time
    assert parse(f"before:{text}").until == time


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "type a word, or a filter: from:bob in:#team before:2026-11-01 after:yesterday has:file"),
        (' "" ', "type a word, or a filter: from:bob in:#team before:2026-11-01 after:yesterday has:file"),
        ("from: bob", "after from: comes the name of a user, without a space: from:bob, or from:me"),
        ("from:#team", "after from: comes the name of a user, without a space: from:bob, or from:me"),
        ("in:", "after in: comes a user or a room, without a space: in:bob, or in:#team"),
        ("has:link", "after has: comes file: has:file finds messages with a file"),
        ("from:bob from:carol", "from: is there twice: a search has one of it"),
        ("x" * 300, "the search is too long: it has 300 letters, and 256 is the most"),
    ],
)
def test_what_is_not_understood_is_explained(text: str, reason: str) -> None:
    with pytest.raises(SearchTextError) as error:
        parse(text)
    assert str(error.value) == reason


@pytest.mark.parametrize("text", ["", "soon", "2026-13", "2026-02-30", "0000", "9d9", "99999999999999999d", "²", "1e9"])
def test_what_is_no_time_is_explained(text: str) -> None:
    with pytest.raises(SearchTextError, match="after before: comes a day, without a space: before:2026-11-01, "):
        parse(f"before:{text}")


def test_the_examples_are_understood() -> None:
    found = parse(FILTERS)
    assert None not in (found.sender, found.peer, found.since, found.until)
    assert found.has_file


PIECES = [
    "from:",
    "in:",
    "#team",
    "bob",
    "before:",
    "after:",
    "2026",
    "7d",
    "has:file",
    " ",
    '"',
    "*",
    "é",
    "会",
    "\0",
    ":",
]


@given(text=st.lists(st.sampled_from(PIECES), max_size=12).map("".join) | st.text(max_size=300))
def test_any_text_is_understood_or_explained(text: str) -> None:
    """And what is understood is short enough, and asks for something."""
    try:
        found = parse(text)
    except SearchTextError:
        return
    assert len(found.query) <= 256
    assert found.query or not found.has_words_only
