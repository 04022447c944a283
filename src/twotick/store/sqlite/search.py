"""Searching messages, and keeping the word index in step with them (docs/protocol.md, rule 14.5).

Messages are indexed some time after they were stored, so that their senders do not wait for that.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from heapq import merge
from operator import itemgetter
from time import thread_time
from typing import Any, Final

from twotick.store.requests.messages import LogEntry, MessagesPart, Unfinished
from twotick.store.requests.search import ReadFound, SearchMessages, SearchPage, SearchSoFar
from twotick.store.rules.errors import NotAllowed
from twotick.store.rules.search import (
    TEXT_BYTES,
    TO_ALL,
    Filters,
    IndexedText,
    Term,
    can_match,
    expression,
    indexed,
    indexed_text,
    member_key,
    parse_query,
    room_key,
)
from twotick.store.sqlite.handlers import Handlers, refusing
from twotick.store.sqlite.reading import PART_BYTES, LogReader, ShownInRoom
from twotick.store.sqlite.tables import NOT_YET, Tables, TakesTooLongError
from twotick.store.sqlite.word_index import Cleaning, WordIndex

AT_ONCE: Final = 32
"""The messages that one step indexes: in about 1 ms, for which a request that arrives meanwhile waits."""

BYTES_AT_ONCE: Final = 128 << 10
"""The bytes of bodies after which a step ends."""

READABLE_AT_ONCE: Final = 2048
"""The most messages that a search indexes first, of those that the member may read: it finds what was just said."""

_READABLE_STEPS: Final = 64
"""The most transactions in which it does that."""

SEARCH_SECONDS: Final = 0.05
"""The processor's time after which a search ends with what it has found."""

_STEP_SECONDS: Final = 0.003
"""The part of it after which another request has its turn."""

_LONGEST_QUERY: Final = 0.008
"""The part of it after which a query for many numbers is ended, and tried again for fewer."""

_GROWTH: Final = 8
"""How many times more numbers the next query is for, and how many times fewer after one that was ended."""

TOO_LONG: Final = "the search takes too long: ask for fewer words, or for words that fewer messages have"

BEHIND: Final = 16384
"""How far the index may lag behind, in messages, before each transaction indexes some."""

_TURNS: Final = 32
"""The transactions after which one does a step of removing words, if no quiet moment came."""

_END: Final = 1 << 62
"""Greater than the number of any message."""

_TEXT: Final = (
    "SELECT m.number, m.sender_name, m.recipient, m.room, m.readers, c.headers, ifnull(substr(c.body, 1, ?), x'')"
    " FROM message m {} JOIN content c ON c.message = m.number WHERE {}"
)
"""SQLite returns NULL for a part of an empty body."""


class IndexedTexts:
    """The texts of messages, and which of them are in the word index (`message.indexed`).

    Args:
        tables: the database.
        words: the word index.
    """

    def __init__(self, tables: Tables, words: WordIndex):
        self._tables = tables
        self._words = words

    def index_some(self, most: int = AT_ONCE) -> bool:
        """Index some of the messages that are not indexed yet, at most so many. Return whether there may be more."""
        end = self._tables.first_moving
        # Rows that wait in the journal have their turn later.
        rows = self._tables.direct(
            _TEXT.format("INDEXED BY message_unindexed", "m.indexed = 0 AND m.number < ? ORDER BY m.number LIMIT ?"),
            (TEXT_BYTES + 1, _END if end is None else end, most),
        )
        return self._index(rows, BYTES_AT_ONCE) > 0

    def index_readable(self, member: int, rooms: list[ShownInRoom]) -> bool:
        """Index some of the newest messages that a member may read, after all that waits was moved to its table.

        Args:
            member: the member.
            rooms: what the member may read in rooms.

        Returns:
            Whether there may be more.
        """
        (first,) = self._tables.direct("SELECT min(number) FROM message WHERE indexed = 0").fetchone()
        if first is None:
            return False
        numbers = self._unindexed(
            "l.message, m.indexed FROM log l CROSS JOIN message m ON m.number = l.message"
            " WHERE l.member = ? AND l.kind <= 2 AND l.seq < ? ORDER BY l.seq DESC",
            (member, _END),
            first,
        )
        for shown in rooms:
            if shown.last >= first:
                numbers += self._unindexed(
                    "number, indexed FROM message m INDEXED BY message_place"
                    " WHERE room = ? AND place <= ? ORDER BY place DESC",
                    (shown.room, shown.last_place),
                    first,
                )
        newest = sorted(set(numbers), reverse=True)[:READABLE_AT_ONCE]
        rows = (row for number in newest for row in self._rows(number, is_indexed=0))
        return 0 < self._index(rows, BYTES_AT_ONCE) < len(newest)

    def _unindexed(self, query: str, parameters: tuple[int, int], first: int) -> list[int]:
        """Return the messages from a number on that a query finds, newest first, and that are not indexed."""
        numbers: list[int] = []
        for number, is_indexed in self._tables.direct(f"SELECT {query} LIMIT {2 * READABLE_AT_ONCE}", parameters):
            if number < first:
                break
            if not is_indexed:
                numbers.append(number)
        return numbers

    def _index(self, rows: Iterable[tuple[Any, ...]], size: int) -> int:
        """Index messages, until their bodies are so long. Return how many."""
        chosen: list[tuple[Any, ...]] = []
        for row in rows:
            chosen.append(row)
            size -= len(row[-1])
            self._tables.work += len(row[-1]) >> 6
            if size <= 0:
                break
        if chosen:
            chosen.sort(key=itemgetter(0))
            numbers = [row[0] for row in chosen]
            query = "SELECT DISTINCT message FROM unedited WHERE message BETWEEN ? AND ?"
            unedited = {number for (number,) in self._tables.direct(query, (numbers[0], numbers[-1]))}
            self._words.add((row[0], self._text(*row, has_versions=row[0] in unedited)) for row in chosen)
            self._tables.direct_many("UPDATE message SET indexed = 1 WHERE number = ?", [(each,) for each in numbers])
        return len(chosen)

    def forget(self, messages: list[int]) -> None:
        """Take messages that are about to be removed or changed out of the index."""
        for message in sorted(messages, reverse=True):
            for row in self._rows(message, is_indexed=1):
                self._words.remove(message, self._text(*row))

    def withdraw(self, message: int) -> None:
        """Note that a message was taken out of a log, so that its member does not find it: it is indexed anew later.

        Not at once, since it may be taken out of thousands of logs.
        """
        (in_room,) = self._tables.read("SELECT room IS NOT NULL FROM message WHERE number = ?", (message,)).fetchone()
        if in_room:  # its words are the room's, whose members find it
            return
        for row in self._rows(message, is_indexed=1):
            self._words.remove(message, self._text(*row))
            self._tables.work += len(row[-1]) >> 6
        self._tables.write(
            "UPDATE message SET readers = NULL, indexed = 0 WHERE number = ? AND indexed <> ?", (message, NOT_YET)
        )

    def renew(self, message: int) -> None:
        """Index a message that was changed, if it was indexed before."""
        self._words.add((message, self._text(*row)) for row in self._rows(message, is_indexed=1))

    def _rows(self, message: int, *, is_indexed: int) -> list[tuple[Any, ...]]:
        return self._tables.read(
            _TEXT.format("", "m.number = ? AND m.indexed = ?"), (TEXT_BYTES + 1, message, is_indexed)
        ).fetchall()

    def _text(
        self,
        number: int,
        sender: bytes,
        recipient: bytes,
        room: int | None,
        readers: bytes | None,
        headers: bytes,
        body: bytes,
        *,
        has_versions: bool = True,
    ) -> IndexedText:
        """Return what the index is told about a message, of which some members may have an older version."""
        text = indexed_text(headers, body)
        if room is not None:
            return indexed(text, sender, recipient, room, {})
        if any(text) and readers is None:
            readers = self._note_readers(number)
        texts = dict.fromkeys(map(int, (readers or b"").split()), text)
        if has_versions:
            for member, old_headers, old_body in self._tables.direct(
                "SELECT member, headers, substr(body, 1, ?) FROM unedited WHERE message = ?", (TEXT_BYTES + 1, number)
            ):
                if member in texts:  # else it was taken out of the member's log
                    texts[member] = indexed_text(old_headers, old_body or b"")
        return indexed(text, sender, recipient, room, texts)

    def _note_readers(self, number: int) -> bytes:
        """Note in whose logs a message of an older database is: it is taken out of the index by the same words."""
        direct = self._tables.direct
        found = direct("SELECT DISTINCT member FROM log WHERE message = ? AND kind <= 2 ORDER BY member", (number,))
        readers = b" ".join(b"%d" % member for (member,) in found)
        direct("UPDATE message SET readers = ? WHERE number = ?", (readers, number))
        return readers


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
        self._jobs = deque((self._clean, texts.index_some, words.merge_some))
        self._turns = 0

    def handlers(self) -> Handlers:
        """Return the requests that are carried out here."""
        return {SearchMessages: refusing(self._search), ReadFound: self._read_found}

    # The index

    def tidy(self) -> bool:
        """Index some messages, merge some of the index, or do a step of removing words, by turns.

        Returns:
            Whether there is more to do.
        """
        self._turns = 0
        self._jobs.rotate(-1)
        return any(job() for job in self._jobs)

    def keep_up(self, messages: int) -> None:
        """Do some of that also while there is no quiet moment, if it must not wait any longer.

        Args:
            messages: how many messages the transaction has stored.
        """
        self._turns += 1
        if self._turns >= _TURNS:
            self._turns = 0
            self._clean()
        newest = self._tables.cache.next_message
        if messages and newest > BEHIND:
            (first,) = self._tables.direct("SELECT min(number) FROM message WHERE indexed = 0").fetchone()
            if first is not None and newest - first > BEHIND:
                self._texts.index_some(2 * messages)

    def _clean(self) -> bool:
        cleaning = self._words.clean()
        if cleaning is Cleaning.CLEANED:
            self._tables.erased = True
        return cleaning is not Cleaning.NOTHING

    # Searching

    def _search(self, request: SearchMessages) -> SearchPage | Unfinished:
        filters = Filters(
            request.sender.lower(), request.peer.lower(), request.since, request.until, has_file=request.has_file
        )
        terms = parse_query(request.query, filters)
        if not can_match(filters):
            return SearchPage([], 0)
        self._tables.flush()
        reader, member, peer = self._reader, request.member, filters.peer
        rooms = reader.shown_in_rooms(member, peer) if not peer or peer[:1] == b"#" else []
        so_far = request.so_far
        if not so_far.before and so_far.steps < _READABLE_STEPS and self._texts.index_readable(member, rooms):
            return Unfinished(replace(request, so_far=replace(so_far, steps=so_far.steps + 1)))
        return self._look(request, terms, filters, rooms)

    def _look(
        self, request: SearchMessages, terms: list[Term], filters: Filters, rooms: list[ShownInRoom]
    ) -> SearchPage | Unfinished:
        """Look for messages from the newest on: in more and more numbers at once, but not for long.

        SQLite cannot go on with a query in another transaction. So each query is for some numbers only, and for fewer
        if it takes long.
        """
        so_far = _Progress(request.so_far)
        before = so_far.before or self._start(request)
        oldest = self._words.first()
        began = thread_time()
        while before > oldest:
            left = SEARCH_SECONDS - request.so_far.seconds - (thread_time() - began)
            low = max(before - so_far.span, oldest)
            window_began = thread_time()
            try:
                with self._tables.bounded(left if so_far.span == 1 else min(left, _LONGEST_QUERY)):
                    for number in self._found(request, terms, filters, rooms, (low, before)):
                        if self._note(so_far, request, filters, number):
                            return self._page(request, so_far.found, is_last=False)
                        before = number
            except TakesTooLongError:
                so_far.span = max(so_far.span // _GROWTH, 1)
            else:
                before = low
                so_far.fit_span(thread_time() - window_began)
            seconds = request.so_far.seconds + thread_time() - began
            if before > oldest and seconds >= SEARCH_SECONDS:
                if not so_far.found:
                    raise NotAllowed(TOO_LONG)
                return self._page(request, so_far.found, is_last=False)
            if before > oldest and thread_time() - began >= _STEP_SECONDS:
                return Unfinished(replace(request, so_far=so_far.at(before, seconds)))
        return self._page(request, so_far.found, is_last=True)

    def _start(self, request: SearchMessages) -> int:
        """Return the number of a message before which a search begins to look."""
        (newest,) = self._tables.direct("SELECT ifnull(max(number), 0) FROM message").fetchone()
        end: int = newest + 1
        return min(end, self._reader.message_before(request.member, request.before)) if request.before > 0 else end

    def _note(self, so_far: "_Progress", request: SearchMessages, filters: Filters, number: int) -> bool:
        """Note a message that has the words, if the member may read it. Return whether it is one too many instead."""
        entry = self._reader.find(request.member, number, filters.peer, request.time)
        if entry is None or not _is_within(entry.time, filters):
            return False
        if so_far.found and (len(so_far.found) >= request.most or so_far.size >= request.size):
            return True
        so_far.found.append(number)
        so_far.size += len(entry.body)
        return False

    def _page(self, request: SearchMessages, found: list[int], *, is_last: bool) -> SearchPage:
        part = self._read_found(ReadFound(request.member, request.peer, tuple(found), request.time))
        before = 0 if is_last else self._reader.position(request.member, found[-1])
        return SearchPage(part.entries, before, part.rest)

    def _read_found(self, request: ReadFound) -> MessagesPart:
        """Read the first of some messages, until that is enough for one transaction."""
        entries: list[LogEntry] = []
        size = 0
        for position, number in enumerate(request.messages):
            if size >= PART_BYTES:
                return MessagesPart(entries, replace(request, messages=request.messages[position:]))
            entry = self._reader.find(request.member, number, request.peer.lower(), request.time)
            if entry is not None:
                entries.append(entry)
                size += len(entry.body)
                self._tables.work += len(entry.body) >> 10
        return MessagesPart(entries)

    def _found(
        self,
        request: SearchMessages,
        terms: list[Term],
        filters: Filters,
        rooms: list[ShownInRoom],
        window: tuple[int, int],
    ) -> Iterator[int]:
        """Yield the messages that have the words and were for the member, newest first.

        Args:
            request: the request.
            terms: the words.
            filters: what else is asked for.
            rooms: what the member may read in rooms.
            window: the number from which on, and the one before which, messages are looked for.
        """
        reader, member, peer = self._reader, request.member, filters.peer
        own = reader.name(member)
        low, before = window
        found: list[Iterator[int]] = []
        if peer[:1] != b"#":
            first, end = reader.span(member, filters.since, filters.until)
            first, last = max(first, low), min(before, end) - 1
            found.append(self._words.find(expression(terms, TO_ALL, filters, own, member), first, last))
            if peer != b"all":
                found.append(self._words.find(expression(terms, member_key(member), filters, own), first, last))
        for shown in rooms:
            first, end = reader.span_in_room(shown, filters.since, filters.until)
            words = expression(terms, room_key(shown.room), filters, own)
            found.append(self._words.find(words, max(first, shown.first, low), min(shown.last, before - 1, end - 1)))
        previous = 0
        for number in merge(*found, reverse=True):
            if number != previous:
                yield number
            previous = number


class _Progress:
    """What a search has done so far.

    Args:
        so_far: what it had done before this transaction.

    Attributes:
        before: see `SearchSoFar`.
        span: see there.
        found: see there.
        size: see there.
    """

    def __init__(self, so_far: SearchSoFar) -> None:
        self._steps = so_far.steps
        self.before = so_far.before
        self.span = so_far.span
        self.found = list(so_far.found)
        self.size = so_far.size

    def fit_span(self, seconds: float) -> None:
        """Look in more numbers next if the last query has taken few seconds, and in fewer if it has taken many."""
        if seconds < _STEP_SECONDS / 4:
            self.span *= _GROWTH
        elif seconds > _STEP_SECONDS:
            self.span = max(self.span // 2, 1)

    def at(self, before: int, seconds: float) -> SearchSoFar:
        """Return it for the next transaction."""
        return SearchSoFar(self._steps, before, self.span, seconds, tuple(self.found), self.size)


def _is_within(time: float, filters: Filters) -> bool:
    """Tell whether a message of a time, in seconds since 1970, is in the time that is asked for."""
    return filters.since <= time < filters.until
