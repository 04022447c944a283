"""Searching messages, and keeping the word index in step with them (docs/protocol.md, rule 14.5).

Messages are indexed some time after they were stored, so that their senders do not wait for that.
"""

# ruff: noqa: S608 - statements are put together from constants of this module, never from input

from typing import Final

from twotick.store.requests.messages import LogEntry
from twotick.store.requests.search import SearchMessages, SearchPage
from twotick.store.rules.search import TEXT_BYTES, indexed_text, match_expression
from twotick.store.sqlite import word_index
from twotick.store.sqlite.handlers import Handlers, refusing
from twotick.store.sqlite.reading import LogReader
from twotick.store.sqlite.tables import Tables
from twotick.store.sqlite.word_index import Cleaning, WordIndex

AT_ONCE: Final = 32
"""The messages that one step indexes: in about 1 ms, for which a request that arrives meanwhile waits."""

BYTES_AT_ONCE: Final = 128 << 10
"""The bytes of bodies after which a step ends."""

_STEPS_BEFORE_A_SEARCH: Final = 64
"""The most steps of indexing that a search does first, so that it finds what was just said."""

_BODY: Final = "ifnull(substr(c.body, 1, ?), x'')"
"""The part of a body that counts; SQLite returns NULL for a part of an empty body."""


class IndexedTexts:
    """The texts of messages, and which of them are in the word index (`message.indexed`).

    Args:
        tables: the database.
        words: the word index.
    """

    def __init__(self, tables: Tables, words: WordIndex):
        self._tables = tables
        self._words = words

    def index_some(self) -> bool:
        """Index some of the messages that are not indexed yet. Return whether there may be more."""
        tables = self._tables
        texts: list[tuple[int, str]] = []
        size = 0
        # Rows that wait in the journal have their turn later.
        for number, headers, body in tables.direct(
            f"SELECT m.number, c.headers, {_BODY} FROM message m INDEXED BY message_unindexed"
            " JOIN content c ON c.message = m.number WHERE m.indexed = 0 ORDER BY m.number LIMIT ?",
            (TEXT_BYTES + 1, AT_ONCE),
        ):
            texts.append((number, indexed_text(headers, body)))
            size += len(body)
            if size >= BYTES_AT_ONCE:
                break
        if not texts:
            return False
        self._words.add(texts)
        tables.direct("UPDATE message SET indexed = 1 WHERE indexed = 0 AND number <= ?", (texts[-1][0],))
        return True

    def forget(self, messages: list[int]) -> None:
        """Take messages that are about to be removed or changed out of the index."""
        for message in sorted(messages, reverse=True):
            for text in self._indexed(message):
                self._words.remove(message, text)

    def renew(self, message: int) -> None:
        """Index a message that was changed, if it was indexed before."""
        self._words.add((message, text) for text in self._indexed(message))

    def _indexed(self, message: int) -> list[str]:
        """Return the text by which a message is found; nothing if it is not indexed yet."""
        rows = self._tables.read(
            f"SELECT c.headers, {_BODY} FROM message m JOIN content c ON c.message = m.number"
            " WHERE m.number = ? AND m.indexed = 1",
            (TEXT_BYTES + 1, message),
        ).fetchall()
        return [indexed_text(headers, body) for headers, body in rows]


class MessageSearch:
    """Carries out searches.

    Args:
        tables: the database.
        words: the word index.
        texts: the texts that it indexes.
        reader: reads the messages that were found, if the member may read them.
    """

    def __init__(self, tables: Tables, words: WordIndex, texts: IndexedTexts, reader: LogReader):
        self._tables = tables
        self._words = words
        self._texts = texts
        self._reader = reader

    def handlers(self) -> Handlers:
        """Return the requests that are carried out here."""
        return {SearchMessages: refusing(self._search)}

    def tidy(self) -> bool:
        """Index some messages, or do a step of removing words. Return whether there is more to do."""
        if self._texts.index_some():
            return True
        cleaning = self._words.clean()
        if cleaning is Cleaning.CLEANED:
            self._tables.erased = True
        return cleaning is not Cleaning.NOTHING

    def _search(self, request: SearchMessages) -> SearchPage:
        match = match_expression(request.query)
        self._tables.flush()
        for _ in range(_STEPS_BEFORE_A_SEARCH):
            if not self._texts.index_some():
                break
        candidates = self._words.find(match, request.before if 0 < request.before < 1 << 62 else 1 << 62)
        peer = request.peer.lower()
        entries: list[LogEntry] = []
        size = 0
        before = 0
        for number in candidates:
            if len(entries) >= request.most or size >= request.size:
                return SearchPage(entries, before)
            before = number
            entry = self._reader.find(request.member, number, peer)
            if entry is not None:
                entries.append(entry)
                size += len(entry.body)
        return SearchPage(entries, before if len(candidates) == word_index.CANDIDATES else 0)
