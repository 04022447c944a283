"""The messages on the disk, for those who look for words in them (docs/protocol.md, rule 14.5)."""

# ruff: noqa: S608 - queries are put together from constants of this module, never from what came from outside

from twotick.store.requests.messages import LogEntry
from twotick.store.sqlite.logs import Logs
from twotick.store.sqlite.reading import LogReader
from twotick.store.sqlite.word_index import AT_ONCE, BYTES_AT_ONCE, TEXT_BYTES, Looker, WordIndex, text_of

_BODY = "ifnull(substr(body, 1, ?), x'')"
"""A body as far as it counts; SQLite says NULL for a part of nothing."""


class Texts:
    """The texts of the messages, and which of them are in the index.

    Args:
        logs: the logs, whose database has the index too.
        words: the index.
        reading: makes entries of messages.
    """

    def __init__(self, logs: Logs, words: WordIndex, reading: LogReader):
        self._logs = logs
        self._words = words
        self._reading = reading

    def next(self) -> tuple[list[tuple[int, str]], bool]:
        """See Source. The index has all messages up to a number that is noted in the database."""
        execute = self._logs.execute
        self._logs.write_contents()
        texts: list[tuple[int, str]] = []
        size = 0
        for number, headers, body in execute(
            f"SELECT message, headers, {_BODY} FROM content WHERE message > ? ORDER BY message LIMIT ?",
            (TEXT_BYTES + 1, self._up_to(), AT_ONCE),
        ):
            texts.append((number, text_of(headers, body)))
            size += len(body)
            if size >= BYTES_AT_ONCE:
                break
        if texts:
            execute("UPDATE word_progress SET up_to = ?", (texts[-1][0],))
        else:
            self._logs.flush()  # it is quiet: a good time to empty the journal, which is in memory as well
        return texts, len(texts) == AT_ONCE or size >= BYTES_AT_ONCE

    def cleaned(self) -> None:
        """See Source. They are to leave the write-ahead log as well."""
        self._logs.erased = True

    def looker(self, member: int, peer: bytes) -> Looker:
        """See Source."""
        self._logs.flush()
        reading = self._reading

        def look(message: int) -> LogEntry | None:
            return reading.find(member, message, peer)

        return look

    # What becomes of messages that are in the index

    def forget(self, messages: list[int]) -> None:
        """Messages are removed, or changed: while they are as they were, take them out of the index."""
        up_to = self._up_to()
        for message in sorted(messages, reverse=True):
            for headers, body in self._content(message, up_to):
                self._words.remove(message, text_of(headers, body))
            if message == up_to:  # if it was the newest one, the next one may get its number
                (up_to,) = self._logs.execute(
                    "SELECT ifnull(max(message), 0) FROM content WHERE message < ?", (message,)
                ).fetchone()
                self._logs.execute("UPDATE word_progress SET up_to = ?", (up_to,))

    def renew(self, message: int) -> None:
        """A message was changed that was in the index: there it is to be as it is now."""
        self._words.add((message, text_of(*content)) for content in self._content(message, self._up_to()))

    def _up_to(self) -> int:
        number: int = self._logs.execute("SELECT up_to FROM word_progress").fetchone()[0]
        return number

    def _content(self, message: int, up_to: int) -> list[tuple[bytes, bytes]]:
        """The header lines of a message, and its body as far as it counts; nothing if it is not in the index."""
        if message > up_to:
            return []
        return self._logs.execute(
            f"SELECT headers, {_BODY} FROM content WHERE message = ?", (TEXT_BYTES + 1, message)
        ).fetchall()
