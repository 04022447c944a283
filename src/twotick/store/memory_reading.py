"""Requests that read logs, in memory (docs/protocol.md, sections 11.2, 11.9 and 12.10)."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

from twotick.store.memory_logs import Logs
from twotick.store.memory_mailboxes import GONE, RECEIVED, SENT, Mailbox, Message, RoomLog
from twotick.store.records import Entry, Fetch, Fetched, History, Kind

_SENT_ENTRY: Final = Kind.SENT
_RECEIVED_ENTRY: Final = Kind.RECEIVED


class Reading:
    """Carries out requests that read logs. Each method carries out the request that it takes; see there."""

    def __init__(self, logs: Logs) -> None:
        self._logs = logs

    def fetch(self, request: Fetch) -> Fetched:
        """Read a log forwards."""
        box = self._logs.mailboxes.get(request.member)
        if box is None:
            return Fetched([], 0)
        entries: list[Entry] = []
        size = 0
        for seq in range(max(request.after, box.base) + 1, box.last + 1):
            if box.kind(seq) == GONE:
                continue
            if len(entries) >= request.most or size >= request.size:
                return Fetched(entries, entries[-1].seq if entries else request.after)
            entry = box.entry(seq)
            entries.append(entry)
            size += len(entry.body)
        return Fetched(entries, box.last)

    def history(self, request: History) -> Fetched:
        """Read the messages of a log backwards."""
        box = self._logs.mailboxes.get(request.member)
        if box is None:
            return Fetched([], 0)
        if request.peer.startswith(b"#"):
            return _history_of_room(request, box)
        before = min(request.before, box.last + 1) if request.before > 0 else box.last + 1
        entries: list[Entry] = []
        size = 0
        numbers: Sequence[int] = range(box.base + 1, before)
        if request.peer:
            numbers = box.with_peer(request.peer.lower())
        for index in range(bisect_left(numbers, before) - 1, -1, -1):
            if len(entries) >= request.most or size >= request.size:
                break
            seq = numbers[index]
            if box.kind(seq) not in (RECEIVED, SENT):
                continue
            entry = box.entry(seq)
            if entry.time < request.since:
                break
            entries.append(entry)
            size += len(entry.body)
        entries.reverse()
        return Fetched(entries, before)

    def find(self, box: Mailbox, message: Message, peer: bytes) -> Entry | None:
        """The entry for a message that a member may read; as in `History`, if it is not in the member's log.

        Args:
            box: who asks.
            message: the message.
            peer: the conversation that it has to be in, in lower case; empty for any.
        """
        for seq in message.seqs_in(box):
            if peer in (b"", message.recipient.lower() if box.kind(seq) == SENT else message.conversation()):
                return box.entry(seq)
        room = _room_with(message, box)
        if room is None or message.special is None or peer not in (b"", room.state.key):
            return None
        return _in_room(message, box, room, message.special.place)

    def may_read(self, box: Mailbox, message: Message) -> bool:
        """Whether a member may read a message: it is in the member's log, or a room shows it (rule 12.10)."""
        return bool(message.seqs_in(box)) or _room_with(message, box) is not None


def _room_with(message: Message, box: Mailbox) -> RoomLog | None:
    """The room that shows a message to a member; None if there is none."""
    special = message.special
    room = None if special is None else special.room
    if special is None or room is None:
        return None
    membership = room.state.members.get(box.number)
    return None if membership is None or special.place < membership.seen_from else room


def _history_of_room(request: History, box: Mailbox) -> Fetched:
    """Read what was sent to a room backwards (rule 12.10)."""
    room = box.rooms.get(request.peer.lower())
    if room is None:
        return Fetched([], 0)
    last = room.state.last
    before = min(request.before, last + 1) if request.before > 0 else last + 1
    oldest = max(room.state.members[box.number].seen_from, room.base + 1)
    entries: list[Entry] = []
    size = 0
    for place in range(before - 1, oldest - 1, -1):
        if len(entries) >= request.most or size >= request.size:
            break
        message = room.messages[place - room.base - 1]
        if message is None:
            continue
        if message.time < request.since:
            break
        entries.append(_in_room(message, box, room, place))
        size += len(message.body)
    entries.reverse()
    return Fetched(entries, before)


def _in_room(message: Message, box: Mailbox, room: RoomLog, place: int) -> Entry:
    """What was sent to a room, as one of its members is shown it."""
    is_own = message.sender is box
    return Entry(
        box.number,
        0,
        _SENT_ENTRY if is_own else _RECEIVED_ENTRY,
        message.number,
        message.recipient if is_own else message.sender_name,
        message.id,
        message.headers,
        message.body,
        b"",
        0,
        "",
        message.state,
        message.time,
        b"" if is_own else room.state.name,
        place,
    )
