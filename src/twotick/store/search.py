"""Finding messages by their words (docs/protocol.md, rule 14.5), for both stores.

The words are in a full-text index of SQLite, under the numbers of the messages; the texts are not in it a second time.
Messages get into it some time after they came, so that who sends them does not wait for that. The index does not know
who may read what: whoever asks it looks at each message that it names.

To take a message out of the index, SQLite is told its text once more, and then hides it. The words themselves are gone
when all of the index was merged, which takes long if it is large. So that is done in steps, and at most once each time
that the store is pruned.
"""

import re
import sqlite3
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterable
from typing import Protocol
from unicodedata import normalize

from twotick.store.records import Entry, Refusal
from twotick.store.room_records import Found, Index
from twotick.store.room_records import Search as Question

TEXT_BYTES = 64 << 10
"""By so much of its body a message is found."""

AT_ONCE = 256
"""Messages that `index` looks at in one call."""

BYTES_AT_ONCE = 1 << 20
"""Bytes of bodies after which it looks at no more."""

_BEFORE_A_SEARCH = 8
"""So many times this is done before something is looked for, if there is so much."""

_CANDIDATES = 1000
"""Messages with the words that are looked at for one question."""

_PAGES = 64
"""Pages of 4 KiB that a step of merging writes, more or less."""

QUERY_LETTERS = 256
QUERY_TERMS = 20
QUERY_PREFIXES = 3
PREFIX_LETTERS = 2

_LAST_WORD = re.compile(r"([^\W_]+)[\W_]*\Z")
_TERM = re.compile(r'"([^"]*)"?|([^\s"]+)')

Looker = Callable[[int], Entry | None]
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


class Words:
    """The index.

    Args:
        execute: of the connection to the database that has it.
    """

    def __init__(self, execute: Callable[..., sqlite3.Cursor]):
        self._execute = execute

    def add(self, texts: Iterable[tuple[int, str]]) -> None:
        """Let messages, by their numbers, be found by texts; not by an empty one."""
        for number, text in texts:
            if text:
                self._execute("INSERT INTO word (rowid, text) VALUES (?, ?)", (number, text))

    def remove(self, number: int, text: str) -> None:
        """Let a message be found no more by the text by which it is found."""
        if text:
            self._execute("INSERT INTO word (word, rowid, text) VALUES ('delete', ?, ?)", (number, text))
            self._execute("UPDATE word_cleaning SET wanted = 1")

    def find(self, match: str, before: int) -> list[int]:
        """The newest messages before a number that match, newest first."""
        rows = self._execute(
            "SELECT rowid FROM word WHERE word MATCH ? AND rowid < ? ORDER BY rowid DESC LIMIT ?",
            (match, before, _CANDIDATES),
        )
        return [number for (number,) in rows]

    def is_sound(self) -> bool:
        """Whether the index is undamaged.

        Raises:
            sqlite3.Error: it cannot be read.
        """
        try:
            self._execute("INSERT INTO word (word) VALUES ('integrity-check')")
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_CORRUPT:
                raise
            return False
        return True

    def begin_cleaning(self) -> None:
        """From now on, remove the words of messages that were removed."""
        self._execute("UPDATE word_cleaning SET wanted = 0, stage = 1 WHERE wanted = 1 AND stage = 0")

    def clean(self) -> tuple[bool, bool]:
        """Do a step of that. Returns whether there is more to do, and whether this was the last step."""
        (stage,) = self._execute("SELECT stage FROM word_cleaning").fetchone()
        if not stage:
            return False, False
        if self._merge(_PAGES):
            return True, False
        # What SQLite was merging by itself is done. Only then it is sure to merge all of the rest when told so.
        if stage == 1 and self._merge(-_PAGES):
            self._execute("UPDATE word_cleaning SET stage = 2")
            return True, False
        self._execute("UPDATE word_cleaning SET stage = 0")
        return False, True

    def _merge(self, pages: int) -> bool:
        """Merge parts of the index; all of them if `pages` is negative. Returns whether there was anything to merge."""
        before = self._changes()
        self._execute("INSERT INTO word (word, rank) VALUES ('merge', ?)", (pages,))
        return self._changes() - before >= 2  # one of them is this statement's own

    def _changes(self) -> int:
        number: int = self._execute("SELECT total_changes()").fetchone()[0]
        return number


class Search:
    """Carries out requests about finding. Each method carries out the request that it takes; see there.

    Args:
        words: the index.
        source: the messages.
    """

    def __init__(self, words: Words, source: Source):
        self._words = words
        self._source = source

    def index(self, request: Index) -> bool:
        """Make more messages findable, and put the index in order."""
        texts, more = self._source.next()
        self._words.add(texts)
        cleaning, cleaned = self._words.clean()
        if cleaned:
            self._source.cleaned()
        return more or cleaning

    def begin_cleaning(self) -> None:
        """From now on, let `index` remove the words of what was removed."""
        self._words.begin_cleaning()

    def search(self, request: Question) -> Found | Refusal:
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
        entries: list[Entry] = []
        size = 0
        before = 0
        for number in candidates:
            if len(entries) >= request.most or size >= request.size:
                return Found(entries, before)
            before = number
            entry = look(number)
            if entry is not None:
                entries.append(entry)
                size += len(entry.body)
        return Found(entries, before if len(candidates) == _CANDIDATES else 0)


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
