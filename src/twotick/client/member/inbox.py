"""Which entries a device has, gives to the program, and may acknowledge (docs/protocol.md, rules 11.2 to 11.5).

Theory of operation. Entries come in the order of their numbers, and an acknowledgement stands for all before it. So
entries wait in `_entries` until all before them are decided, and then one answer covers as many as it can. A decision
may come while the connection is away, and an answer may be lost with it. Therefore

- what the program has not taken when the connection is lost is forgotten: it comes again, unless it has expired;
- what it has taken and not decided is kept, and recognised by its number when it comes again;
- what it has decided is answered again when it comes again. The server is told on registration that we have all up to
  a number, which saves it from sending most of that. A refusal cannot be told like that, so the number stays below
  the first refusal that may be lost.

News are not entries: who is here, who types. What is newer takes the place of what is older, and the program is given
them when there are no entries.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Hashable

from twotick.client.errors import ProtocolError
from twotick.client.member.events import Decision, Entry
from twotick.wire import Verb, error, frame

_REFUSALS = 1024
"""Refusals that are remembered until the server has certainly heard of them."""

_NEWS = 4096
"""News that wait for the program; with more, the oldest are forgotten."""


class Inbox:
    """What has come to a device.

    Args:
        name: the member's name.

    Attributes:
        acknowledged: everything up to this number is decided.
        arrived: set when there is something to take; whoever waits clears it.
    """

    def __init__(self, name: bytes) -> None:
        self._name = name
        self._entries: dict[int, Entry] = {}  # by number and in the order of it; not answered yet
        self._untaken: deque[Entry] = deque()
        self._news: OrderedDict[Hashable, Entry] = OrderedDict()
        self._refusals: dict[int, None] = {}
        self._last = 0  # the newest that came on this connection
        self._most = 0
        self.acknowledged = 0
        self.arrived = asyncio.Event()

    # Connections

    def resume(self) -> int:
        """The number up to which the server need not send anything again (rule 11.5)."""
        return min(self.acknowledged, *(seq - 1 for seq in self._refusals)) if self._refusals else self.acknowledged

    def opened(self, cursor: int, asked: int, window: int) -> bool:
        """A connection is registered.

        Args:
            cursor: up to where the device has everything, as the server says.
            asked: what `resume` gave when it was asked; 0 if it was not.
            window: how many entries the server may send before the first is answered.

        Returns:
            False if the log is another one than before, so that numbers mean something else now.
        """
        same = cursor >= asked
        if not same:
            # A cursor never goes back, except with a log that has lost its end or is a new one.
            self._entries.clear()
            self._refusals.clear()
            self.acknowledged = cursor
        self.acknowledged = max(self.acknowledged, cursor)
        self._last = cursor
        self._entries = {seq: entry for seq, entry in self._entries.items() if seq > cursor}
        self._refusals = {seq: None for seq in self._refusals if seq > cursor}
        self._most = window + len(self._entries)
        return same

    def lost(self) -> None:
        """The connection is gone."""
        self._news.clear()
        first = next((entry.seq for entry in self._untaken if entry.seq), None)
        if first is not None:
            self._untaken = deque(entry for entry in self._untaken if not entry.seq)
            self._entries = {seq: entry for seq, entry in self._entries.items() if seq < first}

    # Entries

    def arrive(self, entry: Entry) -> bytes:
        """An entry came, or what the client has to tell by itself (number 0).

        Args:
            entry: the entry; one that is decided already is not given to the program.

        Returns:
            What to answer now.

        Raises:
            ProtocolError: it should not have come.
        """
        seq = entry.seq
        if not seq:
            self._give(entry)
            return b""
        if seq <= self._last:
            raise ProtocolError("the server sent the entries of the log out of order")
        for older in [older for older in self._entries if self._last < older < seq]:
            del self._entries[older]  # it did not come again: it has expired
        self._last = seq
        if seq <= self.acknowledged:
            refused = seq in self._refusals
            return self._refusal(seq) if refused else frame(Verb.RECEIVED, entry.name or self._name, seq=seq)
        if seq not in self._entries:
            if self._entries and seq < next(reversed(self._entries)):
                raise ProtocolError("the server sent an entry of the log that was not there before")
            if len(self._entries) >= self._most:
                raise ProtocolError("the server sent more than its window allows")
            self._entries[seq] = entry
            if entry.decision is None:
                self._give(entry)
        return self.answers()

    def _give(self, entry: Entry) -> None:
        self._untaken.append(entry)
        self.arrived.set()

    def hear(self, news: Entry, about: Hashable) -> None:
        """There is something to tell that is no entry.

        Args:
            news: what.
            about: takes the place of what was told about the same.
        """
        self._news.pop(about, None)
        self._news[about] = news
        if len(self._news) > _NEWS:
            self._news.popitem(last=False)
        self.arrived.set()

    def forget(self, about: Hashable) -> None:
        """What was told about something is not true any more."""
        self._news.pop(about, None)

    def take(self) -> Entry | None:
        """The next entry for the program; None if there is none."""
        if self._untaken:
            return self._untaken.popleft()
        return self._news.popitem(last=False)[1] if self._news else None

    def answers(self) -> bytes:
        """What to answer, now that something was decided (rules 11.3 and 11.4)."""
        answers = b""
        received: Entry | None = None
        while self._entries:
            entry = next(iter(self._entries.values()))
            if entry.decision is None:
                break
            del self._entries[entry.seq]
            self.acknowledged = entry.seq
            if entry.decision is Decision.REFUSED:
                answers += self._refusal(entry.seq)
                received = None
                self._refusals[entry.seq] = None
                if len(self._refusals) > _REFUSALS:
                    del self._refusals[next(iter(self._refusals))]
            else:
                received = entry
        if received is not None:
            answers += frame(Verb.RECEIVED, received.name or self._name, seq=received.seq)
        return answers

    def _refusal(self, seq: int) -> bytes:
        return error(103, seq=seq)
