"""The entries that a device has received and may acknowledge (docs/protocol.md, rules 11.2 to 11.5).

Theory of operation. Entries come in the order of their numbers, and an acknowledgement covers all earlier ones. So
each entry waits in `_entries` until all entries before it are decided; one answer then covers as many as possible. The
program may decide while the connection is lost, and an answer may be lost with the connection. Therefore

- entries that the program had not taken when the connection was lost are forgotten: the server sends them again, unless
  they have expired;
- entries that the program has taken but not decided are kept, and recognised by their numbers when they come again;
- entries that the program has decided are answered again when they come again. At registration the client tells the
  server the number up to which it has everything, which saves it from receiving most of these again. A refusal cannot
  be reported that way, so this number stays below the first refusal that may have been lost;
- an entry is recognised by more than its number: a server whose backup was restored gives numbers again. An entry is
  also of such a server if the device has its number, or a later one, but was never given that entry.

Events are not entries: who is here, who is typing. A newer event replaces an older one about the same thing, and the
program gets events only when no entry waits.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Hashable

from twotick.client.errors import ProtocolError
from twotick.client.member.events import Decision, Entry
from twotick.wire import Verb, error, frame

_REFUSALS = 1024
"""How many refusals are remembered until the server has certainly received them."""

_MARKS = 1024
"""How many decided entries are remembered, to recognise them if they come again."""

_EVENTS = 4096
"""How many events may wait for the program. With more, the oldest are forgotten."""


class Inbox:
    """What a device has received.

    Args:
        name: the member's name.

    Attributes:
        acknowledged: the number up to which every entry is decided.
        arrived: set when there is something to take. Callers that wait for it clear it.
    """

    def __init__(self, name: bytes) -> None:
        self._name = name
        self._entries: dict[int, Entry] = {}  # not answered yet, by number and in the order of the numbers
        self._untaken: deque[Entry] = deque()
        self._events: OrderedDict[Hashable, Entry] = OrderedDict()
        self._refusals: dict[int, None] = {}
        self._marks: dict[int, Hashable] = {}  # of the entries that were decided last, by number
        self._last = 0  # the newest entry that came on this connection
        self._most = 0  # how many entries may be unanswered
        self.acknowledged = 0
        self.arrived = asyncio.Event()

    # Connections

    def resume(self) -> int:
        """Return the number up to which the server need not send entries again (rule 11.5)."""
        return min(self.acknowledged, *(seq - 1 for seq in self._refusals)) if self._refusals else self.acknowledged

    def opened(self, cursor: int, asked: int, window: int) -> bool:
        """Prepare for the entries of a new connection.

        Args:
            cursor: the number up to which the device has every entry, according to the server (rule 11.2).
            asked: the number that the client gave at registration; 0 if it gave none.
            window: how many entries the server may send before it waits for the first acknowledgement.

        Returns:
            Whether the log is the same as before. If it is not, its numbers have another meaning now.
        """
        same = cursor >= asked
        if not same:
            # A cursor never goes back, so the log has lost its end, or is a new one.
            self._forget(cursor)
        self.acknowledged = max(self.acknowledged, cursor)
        self._last = cursor
        self._entries = {seq: entry for seq, entry in self._entries.items() if seq > cursor}
        self._refusals = {seq: None for seq in self._refusals if seq > cursor}
        self._most = window + len(self._entries)
        return same

    def _forget(self, cursor: int) -> None:
        """Begin another log, of which the device has all entries up to a number."""
        self._entries.clear()
        self._refusals.clear()
        self._marks.clear()
        self.acknowledged = cursor

    def lost(self) -> None:
        """Forget what the server will send again on the next connection."""
        self._events.clear()
        first = next((entry.seq for entry in self._untaken if entry.seq), None)
        if first is not None:
            self._untaken = deque(entry for entry in self._untaken if not entry.seq)
            self._entries = {seq: entry for seq, entry in self._entries.items() if seq < first}

    # Entries

    def arrive(self, entry: Entry) -> bytes:
        """Take in an entry from the server, or one that the client made itself (number 0).

        Args:
            entry: the entry. One that is decided already is not given to the program.

        Returns:
            The frames to answer now.

        Raises:
            ProtocolError: the server must not send this entry now.
        """
        seq = entry.seq
        if not seq:
            self._give(entry)
            return b""
        if seq <= self._last:
            raise ProtocolError("the server sent the entries of the log out of order")
        for older in [older for older in self._entries if self._last < older < seq]:
            del self._entries[older]  # it did not come again, so it has expired
        self._last = seq
        known = self._marks.get(seq) if seq not in self._entries else _mark(self._entries[seq])
        if _mark(entry) != known if known is not None else self._never_came(seq):
            self._forget(seq - 1)
        if seq <= self.acknowledged:
            refused = seq in self._refusals
            return self._refusal(seq) if refused else frame(Verb.RECEIVED, entry.name or self._name, seq=seq)
        if seq not in self._entries:
            if len(self._entries) >= self._most:
                raise ProtocolError("the server sent more entries than its window allows")
            self._entries[seq] = entry
            if entry.decision is None:
                self._give(entry)
        return self.answers()

    def _never_came(self, seq: int) -> bool:
        """Tell whether an entry was never given to the device, although later ones, or it by its number, were.

        In the old log this number belonged to something else, for example to the device's own message.
        """
        if seq > self.acknowledged:
            return seq < next(reversed(self._entries), seq)
        return seq > next(iter(self._marks), seq)

    def _give(self, entry: Entry) -> None:
        self._untaken.append(entry)
        self.arrived.set()

    def notify(self, event: Entry, about: Hashable) -> None:
        """Take in an event.

        Args:
            event: the event.
            about: what it is about. It replaces an earlier event about the same.
        """
        self._events.pop(about, None)
        self._events[about] = event
        if len(self._events) > _EVENTS:
            self._events.popitem(last=False)
        self.arrived.set()

    def drop_event(self, about: Hashable) -> None:
        """Forget the event about something, because it is out of date."""
        self._events.pop(about, None)

    def take(self) -> Entry | None:
        """Return the next entry or event for the program; None if there is none."""
        if self._untaken:
            return self._untaken.popleft()
        return self._events.popitem(last=False)[1] if self._events else None

    def answers(self) -> bytes:
        """Return the frames to answer, now that the program has decided about an entry (rules 11.3 and 11.4)."""
        answers = b""
        received: Entry | None = None
        while self._entries:
            entry = next(iter(self._entries.values()))
            if entry.decision is None:
                break
            del self._entries[entry.seq]
            self.acknowledged = entry.seq
            self._marks[entry.seq] = _mark(entry)
            if len(self._marks) > _MARKS:
                del self._marks[next(iter(self._marks))]
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


def _mark(entry: Entry) -> Hashable:
    """Return what tells an entry from another one that could have the same number in another log."""
    details = (getattr(entry, name, None) for name in ("id", "state", "place", "up_to"))
    return type(entry), entry.name, *details
