"""News between servers that share a database: what one knows and does not store (docs/cluster.md).

Theory of operation. News are hints of where members are, that they type, and that something may be looked at again. Who
is told of them here, the store says. Each server counts what it sends, and sends at least one piece each second. So the
others notice when they have missed one, or have not heard of a server before. Then they ask it for all that it knows,
which it says between the news BEGIN and END: what it does not say again is no longer true.

News of a server count only while the server lives, as the database says. When its lease ends, its news end with it.
"""

import json
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeAlias

Item: TypeAlias = list[Any]
"""One of the news: its kind, and what it says: words and numbers. Bytes go as words of Latin 1."""

ASK: Final = "ask"
"""Asks the server with the number that follows for all that it knows."""

BEGIN: Final = "begin"
END: Final = "end"

_AT_ONCE: Final = 500
"""The most news in one piece."""

_BEAT: Final = 1.0
"""Seconds between two pieces at most, and between two times at least that a server asks, or says all that it knows."""

_MOST_WAITING: Final = 100_000
"""The most news that wait to be sent. If there are more, the others miss some, and ask."""

_LONGEST: Final = 1 << 20
"""The most bytes of a piece."""


class ServerNews:
    """Says and hears news.

    Args:
        number: the number of this server; None if it shares its database with none: then nothing is said.
        now: the time, in seconds on any clock that does not go back.

    Attributes:
        number: see above.
        handlers: what takes the news of each kind, called with the server that says them, and with what they say. One
            that raises TypeError or ValueError has not understood them.
        on_missed: called when news of a server were missed.
        on_gone: called with a server that does not live any more.
        say_all: each returns news that say all that this server knows.
        heard_unknown: whether a server was heard that does not live, as far as is known.
        ignored: how many pieces or news could not be understood.
    """

    def __init__(self, number: int | None, now: float) -> None:
        self.number = number
        self.handlers: dict[str, Callable[[int, Item], None]] = {}
        self.on_missed: list[Callable[[], None]] = []
        self.on_gone: list[Callable[[int], None]] = []
        self.say_all: list[Callable[[], Iterable[Item]]] = []
        self.heard_unknown = False
        self.ignored = 0
        self._waiting: list[Item] = []
        self._count = 0
        self._counts: dict[int, int] = {}
        self._living: tuple[int, ...] = ()
        self._to_ask: dict[int, None] = {}
        self._is_asked = False
        self._next_beat = self._next_ask = self._next_all = now

    @property
    def is_shared(self) -> bool:
        """Whether there may be other servers."""
        return self.number is not None

    def tell(self, kind: str, *what: object) -> None:
        """Let the other servers be told."""
        if self.number is None:
            return
        if len(self._waiting) >= _MOST_WAITING:
            self._waiting.clear()
            self._count += 1  # which they miss
        self._waiting.append([kind, *what])

    def tick(self, now: float, living: tuple[int, ...]) -> None:
        """Set the time, in seconds, and the numbers of the servers that live."""
        if self.number is None:
            return
        if living != self._living:
            self._living = living
            self.heard_unknown = False
            for server in set(self._counts).difference(living):
                del self._counts[server]
                self._to_ask.pop(server, None)
                for gone in self.on_gone:
                    gone(server)
        if self._to_ask and now >= self._next_ask:
            self._next_ask = now + _BEAT
            for server in self._to_ask:
                self.tell(ASK, server)
            self._to_ask.clear()
        if self._is_asked and now >= self._next_all:
            self._next_all = now + _BEAT
            self._is_asked = False
            self._say_all()
        if now >= self._next_beat:
            self._next_beat = now + _BEAT
            self.tell("")

    def _say_all(self) -> None:
        self.tell(BEGIN)
        for say in self.say_all:
            for item in say():
                self.tell(*item)
        self.tell(END)

    def take(self) -> list[bytes]:
        """Return the pieces to send."""
        if not self._waiting:
            return []
        pieces: list[bytes] = []
        for start in range(0, len(self._waiting), _AT_ONCE):
            self._count += 1
            piece = [self.number, self._count, self._waiting[start : start + _AT_ONCE]]
            pieces.append(json.dumps(piece, separators=(",", ":")).encode())
        self._waiting.clear()
        return pieces

    def take_piece(self, data: bytes) -> None:
        """Take a piece of a server."""
        try:
            piece: Any = json.loads(data) if len(data) <= _LONGEST else None
            server, count, items = number_of(piece[0]), number_of(piece[1]), list[Any](piece[2])
        except (ValueError, TypeError, LookupError, RecursionError):
            self.ignored += 1
            return
        if self.number is None or server == self.number:
            return
        if server not in self._living:
            self.heard_unknown = True
            return
        self._count_piece(server, count)
        for item in items:
            self._take_item(server, item)

    def _count_piece(self, server: int, count: int) -> None:
        known = self._counts.get(server)
        self._counts[server] = count
        if count == (known or 0) + 1:
            return
        self._to_ask[server] = None
        if known is not None:
            for missed in self.on_missed:
                missed()

    def _take_item(self, server: int, item: Any) -> None:
        try:
            kind, *said = item
            if kind == ASK:
                self._is_asked = self._is_asked or said == [self.number]
            elif (handler := self.handlers.get(kind)) is not None:
                handler(server, said)
        except (TypeError, ValueError):
            self.ignored += 1


def text_of(data: bytes) -> str:
    """Return bytes as the words of news."""
    return data.decode("latin-1")


def bytes_of(text: object) -> bytes:
    """Return the bytes that words of news say.

    Raises:
        TypeError: they are no words.
        ValueError: they say no bytes.
    """
    if not isinstance(text, str):
        raise TypeError
    return text.encode("latin-1")


def number_of(number: object) -> int:
    """Return a number that news say.

    Raises:
        TypeError: it is none.
        ValueError: the database has no such numbers.
    """
    if type(number) is not int:
        raise TypeError
    if not 0 < number < 1 << 63:
        raise ValueError
    return number
