"""The messages in memory, for those who look for words in them (docs/protocol.md, rule 14.5)."""

from twotick.store.memory_logs import Logs
from twotick.store.memory_mailboxes import Message
from twotick.store.memory_reading import Reading
from twotick.store.records import Entry
from twotick.store.search import AT_ONCE, BYTES_AT_ONCE, TEXT_BYTES, Looker, Words, text_of


class Texts:
    """The texts of the messages, and which of them are in the index.

    Args:
        logs: the members and the messages.
        words: the index.
        reading: makes entries of messages.
    """

    def __init__(self, logs: Logs, words: Words, reading: Reading) -> None:
        self._logs = logs
        self._words = words
        self._reading = reading
        self._newest = logs.ends  # of the messages that are in the index
        self._indexed: dict[int, Message] = {}

    def next(self) -> tuple[list[tuple[int, str]], bool]:
        """See Source."""
        texts: list[tuple[int, str]] = []
        size = 0
        ends = self._logs.ends
        while self._newest.after is not ends and len(texts) < AT_ONCE and size < BYTES_AT_ONCE:
            message = self._newest = self._newest.after
            self._indexed[message.number] = message
            texts.append((message.number, _text(message)))
            size += min(len(message.body), TEXT_BYTES)
        return texts, self._newest.after is not ends

    def cleaned(self) -> None:
        """See Source. In memory nobody looks for them."""

    def looker(self, member: int, peer: bytes) -> Looker:
        """See Source."""
        box = self._logs.mailboxes.get(member)

        def look(number: int) -> Entry | None:
            return None if box is None else self._reading.find(box, self._indexed[number], peer)

        return look

    # What becomes of messages that are in the index

    def forget(self, message: Message) -> None:
        """A message is removed, or changed: while it is as it was, take it out of the index."""
        if self._newest is message:
            self._newest = message.before
        if self._indexed.pop(message.number, None) is not None:
            self._words.remove(message.number, _text(message))

    def renew(self, message: Message) -> None:
        """A message was changed that was in the index: there it is to be as it is now."""
        if message.number <= self._newest.number:
            self._indexed[message.number] = message
            self._words.add([(message.number, _text(message))])


def _text(message: Message) -> str:
    return text_of(message.headers, message.body)
