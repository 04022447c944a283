"""Finding messages by their words (docs/protocol.md, rule 14.5), for both stores.

The words are in full-text indexes of SQLite, under the numbers of the messages; the texts are not in them a second
time. Messages get into them some time after they came, so that who sends them does not wait for that. The index does
not know who may read what: whoever asks it looks at each message that it names.

To take a message out of an index, SQLite is told its text once more, and then hides it. The words themselves are gone
when all of that index was merged. So the index consists of parts, one for so many messages in a row that merging a part
is soon done; that begins with the next step of `index`, and goes on in steps. A part of which nothing is left is
dropped.
"""

# ruff: noqa: S608 - names of tables are made from numbers of parts

import re
import sqlite3
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterable
from itertools import groupby
from typing import Protocol
from unicodedata import normalize

from twotick.store.port import Refusal
from twotick.store.requests.messages import LogEntry
from twotick.store.requests.search import SearchMessages, SearchPage

TEXT_BYTES = 64 << 10
"""By so much of its body a message is found."""

PART = 1 << 16
"""Messages in a row whose words are in one part. Never changed, as there are databases with such parts."""

AT_ONCE = 256
"""Messages that `index` looks at in one call."""

BYTES_AT_ONCE = 1 << 20
"""Bytes of bodies after which it looks at no more."""

_BEFORE_A_SEARCH = 8
"""So many times this is done before something is looked for, if there is so much."""

CANDIDATES = 1000
"""Messages with the words that are looked at for one question."""

_PAGES = 64
"""Pages of 4 KiB that a step of merging writes, more or less."""

QUERY_LETTERS = 256
QUERY_TERMS = 20
QUERY_PREFIXES = 3
PREFIX_LETTERS = 2

_LAST_WORD = re.compile(r"([^\W_]+)[\W_]*\Z")
_TERM = re.compile(r'"([^"]*)"?|([^\s"]+)')

Looker = Callable[[int], LogEntry | None]
"""Gives the entry for a message, by its number; None if the member may not read it, or it is not what was asked for."""


class Source(Protocol):
    """Where the messages are."""

    def next(self) -> tuple[list[tuple[int, str]], bool]:
        """The messages that come next into the index: numbers and texts, and whether there may be more."""
        ...

    def cleaned(self) -> None:
        """The words of what was removed are gone from the index."""
        ...

    def looker(self, member: int, peer: bytes) -> Looker:
        """Finds the entries for messages of a member: with a peer, in lower case, or with all if that is empty."""
        ...


class WordIndex:
    """The index.

    Args:
        execute: of the connection to the database that has it.
    """

    def __init__(self, execute: Callable[..., sqlite3.Cursor]):
        self._execute = execute

    def add(self, texts: Iterable[tuple[int, str]]) -> None:
        """Let messages, by their numbers, be found by texts; not by an empty one."""
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
        """Let a message be found no more by the text by which it is found."""
        if text:
            part = number // PART
            self._execute(f"INSERT INTO word_{part} (word_{part}, rowid, text) VALUES ('delete', ?, ?)", (number, text))
            self._execute("UPDATE word_part SET texts = texts - 1, wanted = 1 WHERE number = ?", (part,))

    def find(self, match: str, before: int) -> list[int]:
        """The newest messages before a number that match, newest first."""
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
        """Whether the index is undamaged.

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

    def clean(self) -> tuple[bool, bool]:
        """Do a step of removing the words of what was removed.

        Returns:
            Whether there is more to do, and whether the words of something are gone.
        """
        row = self._execute(
            "SELECT number, texts, stage FROM word_part WHERE wanted = 1 OR stage > 0"
            " ORDER BY stage DESC, number DESC LIMIT 1"
        ).fetchone()
        if row is None:
            return False, False
        part, texts, stage = row
        if not texts:
            self._execute(f"DROP TABLE word_{part}")
            self._execute("DELETE FROM word_part WHERE number = ?", (part,))
            return True, True
        if not stage:
            self._execute("UPDATE word_part SET wanted = 0, stage = 1 WHERE number = ?", (part,))
            stage = 1
        if self._merge(part, _PAGES):
            return True, False
        # What SQLite was merging by itself is done. Only then it is sure to merge all of the rest when told so.
        if stage == 1 and self._merge(part, -_PAGES):
            self._execute("UPDATE word_part SET stage = 2 WHERE number = ?", (part,))
            return True, False
        self._execute("UPDATE word_part SET stage = 0 WHERE number = ?", (part,))
        return True, True

    def _merge(self, part: int, pages: int) -> bool:
        """Merge what a part consists of; all if `pages` is negative. Returns whether there was anything to merge."""
        before = self._changes()
        self._execute(f"INSERT INTO word_{part} (word_{part}, rank) VALUES ('merge', ?)", (pages,))
        return self._changes() - before >= 2  # one of them is this statement's own

    def _changes(self) -> int:
        number: int = self._execute("SELECT total_changes()").fetchone()[0]
        return number


class MessageSearch:
    """Carries out requests about finding. Each method carries out the request that it takes; see there.

    Args:
        words: the index.
        source: the messages.
    """

    def __init__(self, words: WordIndex, source: Source):
        self._words = words
        self._source = source

    def index(self) -> bool:
        """Make more messages findable, and remove the words of what was removed."""
        texts, more = self._source.next()
        self._words.add(texts)
        cleaning, cleaned = self._words.clean()
        if cleaned:
            self._source.cleaned()
        return more or cleaning

    def search(self, request: SearchMessages) -> SearchPage | Refusal:
        """Look for messages."""
        match = parsed(request.query)
        if isinstance(match, Refusal):
            return match
        for _ in range(_BEFORE_A_SEARCH):
            texts, more = self._source.next()
            self._words.add(texts)
            if not more:
                break
        look = self._source.looker(request.member, request.peer.lower())
        candidates = self._words.find(match, request.before if 0 < request.before < 1 << 62 else 1 << 62)
        entries: list[LogEntry] = []
        size = 0
        before = 0
        for number in candidates:
            if len(entries) >= request.most or size >= request.size:
                return SearchPage(entries, before)
            before = number
            entry = look(number)
            if entry is not None:
                entries.append(entry)
                size += len(entry.body)
        return SearchPage(entries, before if len(candidates) == CANDIDATES else 0)


def text_of(headers: bytes, body: bytes) -> str:
    """By what a message is found; nothing if it is not.

    Args:
        headers: its header lines.
        body: its body, or at least the first TEXT_BYTES + 1 bytes.
    """
    for line in headers.split(b"\n"):
        name, _, value = line.partition(b":")
        match name.strip().lower():
            case b"content-type":
                if not value.strip().lower().startswith(b"text/"):
                    return ""
            case b"edits" | b"deletes" | b"reacts-to" | b"event":
                return ""
            case _:
                pass
    try:
        # A letter may be cut in two.
        return getincrementaldecoder("utf-8")().decode(body[:TEXT_BYTES], len(body) <= TEXT_BYTES)
    except UnicodeDecodeError:
        return ""


def parsed(query: str) -> str | Refusal:
    """A query, as SQLite wants it: every word and phrase in quotes, so that nothing in it has a meaning."""
    if len(query) > QUERY_LETTERS:
        return Refusal(f"a query has at most {QUERY_LETTERS} letters")
    terms: list[str] = []
    prefixes = 0
    for phrase, word in _TERM.findall(normalize("NFC", query.replace("\0", " "))):
        text = phrase or word
        last = _LAST_WORD.search(text)
        if last is None:
            continue
        if word.endswith("*"):
            prefixes += 1
            if len(last[1]) < PREFIX_LETTERS:
                return Refusal(f"there are at least {PREFIX_LETTERS} letters before a *")
        terms.append(f'"{text}"*' if word.endswith("*") else f'"{text}"')
    if not terms:
        return Refusal("there are no words to look for")
    if len(terms) > QUERY_TERMS or prefixes > QUERY_PREFIXES:
        return Refusal(f"a query has at most {QUERY_TERMS} words, and {QUERY_PREFIXES} that end in *")
    return " ".join(terms).encode(errors="replace").decode()
