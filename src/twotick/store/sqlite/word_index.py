"""The word index: full-text indexes of SQLite, under the numbers of the messages (docs/protocol.md, rule 14.5).

The texts are not stored a second time. Each word has the key of the audience that may read it in front of it
(rules/search.py); a caller still checks each message that the index names.

To take a message out of an index, SQLite is told its text once more, and then hides it. The words themselves are gone
only when all of that index was merged. So the index consists of parts, one for so many messages in a row that merging a
part is soon done. `clean` merges a part in small steps. A part without texts is dropped.

By itself, SQLite would merge at the end of any transaction that has added texts, for 40 ms now and then, and all who
ask for something would wait. So it is told not to, and `merge_some` merges in small steps what was written.
"""

# ruff: noqa: S608 - names of tables are made from numbers of parts

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from itertools import groupby

from twotick.store.rules.search import IndexedText

PART = 1 << 16
"""Messages in a row whose words are in one part. Never changed: databases have such parts."""

AT_ONCE = 128
"""The messages that `find` asks a part for at once."""

_PAGES_AT_ONCE = 16
"""Pages of 4 KiB that a step of merging what was added writes, more or less."""

_PAGES = 64
"""The same of a step of removing words."""


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
        self._grown: set[int] = set()  # the parts that were written and may have to be merged, if they are still there

    def add(self, texts: Iterable[tuple[int, IndexedText]]) -> None:
        """Let messages, given by number, be found by their texts; a text without words is not indexed."""
        for part, of_part in groupby(texts, lambda each: each[0] // PART):
            rows = [(number, text.words, text.readers) for number, text in of_part if text.words]
            if not rows:
                continue
            if self._execute("INSERT OR IGNORE INTO word_part VALUES (?, 0, 0, 0)", (part,)).rowcount > 0:
                self._execute(
                    f"CREATE VIRTUAL TABLE word_{part} USING fts5 ("
                    "text, readers, content = '', columnsize = 0, tokenize = 'ascii')"
                )
            # Not only when it is made: parts of older databases merge by themselves.
            self._execute(f"INSERT INTO word_{part} (word_{part}, rank) VALUES ('automerge', 0)")
            self._grown.add(part)
            for row in rows:
                self._execute(f"INSERT INTO word_{part} (rowid, text, readers) VALUES (?, ?, ?)", row)
            self._execute("UPDATE word_part SET texts = texts + ? WHERE number = ?", (len(rows), part))

    def remove(self, number: int, text: IndexedText) -> None:
        """Stop finding a message by the text under which it was added."""
        if text.words:
            part = number // PART
            self._grown.add(part)
            self._execute(
                f"INSERT INTO word_{part} (word_{part}, rowid, text, readers) VALUES ('delete', ?, ?, ?)",
                (number, text.words, text.readers),
            )
            self._execute(
                "UPDATE word_part SET texts = texts - 1,"
                " wanted = iif(wanted, wanted, (SELECT max(wanted) FROM word_part) + 1) WHERE number = ?",
                (part,),
            )

    def find(self, match: str, first: int, last: int) -> Iterator[int]:
        """Yield the messages from the number `first` to `last` that match an expression, newest first."""
        if first > last:
            return
        parts = self._parts("WHERE number BETWEEN ? AND ? ORDER BY number DESC", first // PART, last // PART)
        for part in parts:
            before = last + 1
            while True:
                rows = self._execute(
                    f"SELECT rowid FROM word_{part} WHERE word_{part} MATCH ? AND rowid >= ? AND rowid < ?"
                    " ORDER BY rowid DESC LIMIT ?",
                    (match, first, before, AT_ONCE),
                ).fetchall()
                for (number,) in rows:
                    yield number
                if len(rows) < AT_ONCE:
                    break
                before = rows[-1][0]

    def first(self) -> int:
        """Return the number of a message before which none is in the index."""
        (part,) = self._execute("SELECT ifnull(min(number), 0) FROM word_part").fetchone()
        return int(part) * PART

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

    def merge_some(self) -> bool:
        """Merge a little of what was written. Return whether there is more to do."""
        while self._grown:
            part = next(iter(self._grown))
            if self._parts("WHERE number = ?", part) and self._merge(part, _PAGES_AT_ONCE):
                return True
            self._grown.discard(part)
        return False

    def clean(self) -> Cleaning:
        """Do a step of removing the words of removed messages, from the part that has waited longest.

        The parts that wait have numbers in `wanted`, in the order in which they began to wait.
        """
        row = self._execute(
            "SELECT number, texts, stage FROM word_part WHERE wanted > 0 OR stage > 0"
            " ORDER BY stage DESC, wanted LIMIT 1"
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
