"""The word index: full-text indexes of SQLite, under the numbers of the messages (docs/protocol.md, rule 14.5).

The texts are not stored a second time, and the index does not know who may read what: a caller checks each message that
the index names.

To take a message out of an index, SQLite is told its text once more, and then hides it. The words themselves are gone
only when all of that index was merged. So the index consists of parts, one for so many messages in a row that merging a
part is soon done. `clean` merges a part in small steps. A part without texts is dropped.
"""

# ruff: noqa: S608 - names of tables are made from numbers of parts

import sqlite3
from collections.abc import Callable, Iterable
from enum import Enum
from itertools import groupby

PART = 1 << 16
"""Messages in a row whose words are in one part. Never changed: databases have such parts."""

CANDIDATES = 1000
"""The messages with the words of a query that are looked at for one page."""

_PAGES = 64
"""Pages of 4 KiB that a step of merging writes, more or less."""


class Cleaning(Enum):
    """What a step of `WordIndex.clean` did."""

    NOTHING = "nothing"
    """There was nothing to do."""
    STEP = "step"
    """There is more to do."""
    CLEANED = "cleaned"
    """The words of a part's removed messages are gone from the index."""


class WordIndex:
    """The index.

    Args:
        execute: runs a statement on the database.
    """

    def __init__(self, execute: Callable[..., sqlite3.Cursor]):
        self._execute = execute

    def add(self, texts: Iterable[tuple[int, str]]) -> None:
        """Let messages, given by number, be found by their texts; an empty text is not indexed."""
        for part, of_part in groupby(texts, lambda each: each[0] // PART):
            rows = [(number, text) for number, text in of_part if text]
            if not rows:
                continue
            if self._execute("INSERT OR IGNORE INTO word_part VALUES (?, 0, 0, 0)", (part,)).rowcount > 0:
                self._execute(
                    f"CREATE VIRTUAL TABLE word_{part} USING fts5 ("
                    "text, content = '', columnsize = 0, tokenize = 'unicode61 remove_diacritics 2')"
                )
            for row in rows:
                self._execute(f"INSERT INTO word_{part} (rowid, text) VALUES (?, ?)", row)
            self._execute("UPDATE word_part SET texts = texts + ? WHERE number = ?", (len(rows), part))

    def remove(self, number: int, text: str) -> None:
        """Stop finding a message by the text under which it was added."""
        if text:
            part = number // PART
            self._execute(f"INSERT INTO word_{part} (word_{part}, rowid, text) VALUES ('delete', ?, ?)", (number, text))
            self._execute("UPDATE word_part SET texts = texts - 1, wanted = 1 WHERE number = ?", (part,))

    def find(self, match: str, before: int) -> list[int]:
        """Return the newest messages before a number that match an expression, newest first."""
        found: list[int] = []
        for part in self._parts("WHERE number <= ? ORDER BY number DESC", before // PART):
            rows = self._execute(
                f"SELECT rowid FROM word_{part} WHERE word_{part} MATCH ? AND rowid < ? ORDER BY rowid DESC LIMIT ?",
                (match, before, CANDIDATES - len(found)),
            )
            found += [number for (number,) in rows]
            if len(found) == CANDIDATES:
                break
        return found

    def is_sound(self) -> bool:
        """Tell whether the index is undamaged.

        Raises:
            sqlite3.Error: it cannot be read.
        """
        try:
            for part in self._parts("ORDER BY number"):
                self._execute(f"INSERT INTO word_{part} (word_{part}) VALUES ('integrity-check')")
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_CORRUPT:
                raise
            return False
        return True

    def _parts(self, which: str, *parameters: int) -> list[int]:
        return [number for (number,) in self._execute(f"SELECT number FROM word_part {which}", parameters)]

    def clean(self) -> Cleaning:
        """Do a step of removing the words of removed messages."""
        row = self._execute(
            "SELECT number, texts, stage FROM word_part WHERE wanted = 1 OR stage > 0"
            " ORDER BY stage DESC, number DESC LIMIT 1"
        ).fetchone()
        if row is None:
            return Cleaning.NOTHING
        part, texts, stage = row
        if not texts:
            self._execute(f"DROP TABLE word_{part}")
            self._execute("DELETE FROM word_part WHERE number = ?", (part,))
            return Cleaning.CLEANED
        if not stage:
            self._execute("UPDATE word_part SET wanted = 0, stage = 1 WHERE number = ?", (part,))
            stage = 1
        if self._merge(part, _PAGES):
            return Cleaning.STEP
        # Only when SQLite has ended the merging that it began by itself does it merge all the rest when told to.
        if stage == 1 and self._merge(part, -_PAGES):
            self._execute("UPDATE word_part SET stage = 2 WHERE number = ?", (part,))
            return Cleaning.STEP
        self._execute("UPDATE word_part SET stage = 0 WHERE number = ?", (part,))
        return Cleaning.CLEANED

    def _merge(self, part: int, pages: int) -> bool:
        """Merge the segments of a part; all if `pages` is negative. Return whether there was anything to merge."""
        before = self._changes()
        self._execute(f"INSERT INTO word_{part} (word_{part}, rank) VALUES ('merge', ?)", (pages,))
        return self._changes() - before >= 2  # one of them is this statement's own

    def _changes(self) -> int:
        number: int = self._execute("SELECT total_changes()").fetchone()[0]
        return number
