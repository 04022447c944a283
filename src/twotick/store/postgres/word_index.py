"""The word index on PostgreSQL: a GIN index over the words of each message (docs/protocol.md, rule 14.5).

It finds what SQLite's finds. A `tsvector` keeps no more than 16383 places of words, too few for a long message. So the
index says which messages have all words, and phrases are looked for in the words themselves.
"""

# ruff: noqa: S608 - statements are put together from constants of this module, never from input

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from twotick.store.rules.search import IndexedText
from twotick.store.sqlite.word_index import Cleaning

_AT_ONCE: Final = 128
_ADD: Final = (
    "INSERT INTO word (message, words, lexemes) SELECT u.message, u.words, array_to_tsvector("
    "ARRAY(SELECT DISTINCT unnest(string_to_array(u.words || ' ' || u.readers, ' ')) EXCEPT SELECT ''))"
    " FROM unnest(CAST(? AS bigint[]), CAST(? AS text[]), CAST(? AS text[])) AS u (message, words, readers)"
    " ON CONFLICT (message) DO UPDATE SET words = excluded.words, lexemes = excluded.lexemes"
)
_TOKEN: Final = re.compile(r'"([^"]*)"(\*?)|([()])|(AND|OR)\b|(\w+)')


class PostgresWordIndex:
    """The index.

    Args:
        execute: runs a statement on the database.
    """

    def __init__(self, execute: Callable[..., Any]):
        self._execute = execute

    def add(self, texts: Iterable[tuple[int, IndexedText]]) -> None:
        """Let messages, given by number, be found by their texts; a text without words is not indexed."""
        found = {number: text for number, text in texts if text.words}
        if found:
            words = [text.words for text in found.values()]
            readers = [text.readers for text in found.values()]
            self._execute(_ADD, ([*found], words, readers))

    def remove(self, number: int, text: IndexedText) -> None:
        """Stop finding a message."""
        self._execute("DELETE FROM word WHERE message = ?", (number,))

    def find(self, match: str, first: int, last: int) -> Iterator[int]:
        """Yield the messages from the number `first` to `last` that match an expression, newest first."""
        lexemes, phrases = parsed(match)
        condition = "".join(" AND strpos(' ' || words || ' ', ?) > 0" for _ in phrases)
        while first <= last:
            rows = self._execute(
                "SELECT message FROM word WHERE lexemes @@ CAST(? AS tsquery) AND message BETWEEN ? AND ?"
                f"{condition} ORDER BY message DESC LIMIT ?",
                (lexemes, first, last, *phrases, _AT_ONCE),
            ).fetchall()
            for (number,) in rows:
                yield number
            if len(rows) < _AT_ONCE:
                return
            last = rows[-1][0] - 1

    def first(self) -> int:
        """Return the number of a message before which none is in the index."""
        (number,) = self._execute("SELECT ifnull(min(message), 0) - 1 FROM word").fetchone()
        return int(number)

    def is_sound(self) -> bool:
        """Tell whether the index is undamaged; PostgreSQL has its own means to look at that (`pg_amcheck`)."""
        return True

    def merge_some(self) -> bool:
        """Do nothing: PostgreSQL merges what was added to its index by itself."""
        return False

    def clean(self) -> Cleaning:
        """Do nothing: PostgreSQL removes the words of removed messages by itself (VACUUM)."""
        return Cleaning.NOTHING


def parsed(match: str) -> tuple[str, list[str]]:
    """Return what an expression for SQLite's full-text search asks for.

    Returns:
        The words, in the syntax of a `tsquery`; and the phrases that must be among the words, each with spaces around.
    """
    asked: list[str] = []
    phrases: list[str] = []
    for quoted, star, bracket, operator, word in _TOKEN.findall(match):
        if bracket:
            asked.append(bracket)
        elif operator:
            asked.append("&" if operator == "AND" else "|")
        elif word:
            asked.append(f"'{word}'")
        else:
            words = quoted.split()
            lexemes = [f"'{each}'" for each in words]
            lexemes[-1] += ":*" if star else ""
            asked.append(f"({' & '.join(lexemes)})")
            if len(words) > 1:
                phrases.append(f" {quoted}{'' if star else ' '}")
    return " ".join(asked), phrases
