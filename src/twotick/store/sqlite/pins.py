"""Pinned messages (docs/protocol.md, rules 13.7 to 13.9).

A room has one list of pins. In a conversation of two members each has a list, because one of them may have blocked the
other: then what that one pins is pinned for that one alone.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from twotick.store.requests.messages import Append, LogEntry, MessageAction, MessagesPart
from twotick.store.requests.pins import ListPins, Pin
from twotick.store.rules.delivery import Mailbox
from twotick.store.rules.editing import Candidate
from twotick.store.rules.pins import PINS_MOST, check_pinning, choose_pin
from twotick.store.rules.rooms import RoomState
from twotick.store.sqlite.editing import CANDIDATE
from twotick.store.sqlite.handlers import Handlers
from twotick.store.sqlite.ledger import Ledger
from twotick.store.sqlite.reading import PART_BYTES, LogReader
from twotick.store.sqlite.rooms import RoomRepository
from twotick.wire import time_text

_IN_LOG: Final = (
    "EXISTS (SELECT 1 FROM log l INDEXED BY log_message"
    " WHERE l.message = {} AND l.member = ?2 AND l.peer = ?3 AND l.kind <= 2)"
)
_LIST: Final = "FROM pin p WHERE p.room = ?1 AND p.member = ?2 AND p.peer = ?3"


class _PinList(NamedTuple):
    """A list of pins: its room, or the member whose list it is and the peer."""

    room: int
    member: int
    peer: bytes


class PinRepository:
    """Pins and unpins messages, and lists those that are pinned.

    Args:
        ledger: the logs.
        rooms: the rooms.
        reader: reads the messages.
    """

    def __init__(self, ledger: Ledger, rooms: RoomRepository, reader: LogReader):
        self._ledger = ledger
        self._tables = ledger.tables
        self._rooms = rooms
        self._reader = reader

    def handlers(self) -> Handlers:
        """Return the requests that are carried out here."""
        return {ListPins: self._list}

    def find(self, request: Append, room: RoomState | None) -> Candidate:
        """Return the message that another one pins or unpins.

        Args:
            request: the other one.
            room: the room that it is sent to; None for none.

        Raises:
            NotAllowed: there is none, or the sender may not pin it.
        """
        check_pinning(request, room)
        pins = _list_of(request.sender or 0, request.recipient, room)
        name = (request.about_name or request.sender_name.lower()).decode(errors="replace")
        candidates = self._in_log(name, request, pins) if room is None else self._in_room(name, request, room)
        pinned = {each.number for each in candidates if self._is_pinned(pins, each.number)}
        return choose_pin(request, candidates, pinned, self._count(pins))

    def _in_log(self, name: str, request: Append, pins: _PinList) -> list[Candidate]:
        rows = self._tables.read(
            f"{CANDIDATE} JOIN member a ON a.number = m.sender WHERE a.folded = ?1 AND m.id = ?4 AND m.id <> x''"
            f" AND {_IN_LOG.format('m.number')}",
            (name, pins.member, pins.peer, request.about),
        )
        return [Candidate(*row) for row in rows]

    def _in_room(self, name: str, request: Append, room: RoomState) -> list[Candidate]:
        """Return what a member said in a room; then, newest first, what removed members of that name said there."""
        first = room.members[request.sender or 0].seen_from
        rows = self._tables.read(
            f"{CANDIDATE} JOIN member a ON a.number = m.sender WHERE a.folded = ? AND m.id = ? AND m.id <> x''"
            " AND m.room = ? AND m.place >= ?",
            (name, request.about, room.number, first),
        ).fetchall()
        rows += self._tables.read(
            f"{CANDIDATE} WHERE m.sender IS NULL AND m.room = ? AND m.id = ? AND m.id <> x'' AND m.place >= ?"
            " AND lower(CAST(m.sender_name AS TEXT)) = ? ORDER BY m.number DESC",
            (room.number, request.about, first, name),
        )
        return [Candidate(*row) for row in rows]

    def _is_pinned(self, pins: _PinList, message: int) -> bool:
        return self._tables.direct(f"SELECT 1 {_LIST} AND p.message = ?4", (*pins, message)).fetchone() is not None

    def _count(self, pins: _PinList) -> int:
        """Return how many messages are pinned in a list; in a user's, those that are still in the log."""
        visible = "" if pins.room else f" AND {_IN_LOG.format('p.message')}"
        (count,) = self._tables.read(f"SELECT count(*) {_LIST}{visible}", pins).fetchone()
        return int(count)

    def apply(self, target: Candidate, request: Append, room: RoomState | None, boxes: Sequence[Mailbox]) -> None:
        """Pin or unpin a message.

        Args:
            target: the message.
            request: the message that does it.
            room: the room that it was sent to; None for none.
            boxes: the members who get it, for whom the message is pinned as well.
        """
        lists = [_list_of(request.sender or 0, request.recipient, room)]
        if room is None:
            lists += [_PinList(0, box.number, request.sender_name.lower()) for box in boxes]
        for pins in dict.fromkeys(lists):
            self._unpin(pins, target.number)
            if request.action is MessageAction.PIN and (pins.room or self._is_in_log(pins, target.number)):
                self._make_room(pins)
                row = (*pins, target.number, request.sender_name, request.time)
                self._tables.direct("INSERT INTO pin VALUES (?, ?, ?, ?, ?, ?)", row)

    def _is_in_log(self, pins: _PinList, message: int) -> bool:
        return self._tables.read(f"SELECT {_IN_LOG.format('?4')} WHERE ?1 = 0", (*pins, message)).fetchone() == (1,)

    def _make_room(self, pins: _PinList) -> None:
        """Unpin what was pinned first, if a list is full: it may differ from that of the member who pins."""
        rows = self._tables.direct(f"SELECT p.message {_LIST} ORDER BY p.time DESC, p.message DESC", pins).fetchall()
        for (message,) in rows[PINS_MOST - 1 :]:
            self._unpin(pins, message)

    def _unpin(self, pins: _PinList, message: int) -> None:
        self._tables.direct(
            "DELETE FROM pin WHERE room = ? AND member = ? AND peer = ? AND message = ?", (*pins, message)
        )

    def forget(self, messages: Sequence[int]) -> None:
        """Unpin messages that are deleted or removed."""
        for message in messages:
            self._tables.direct("DELETE FROM pin WHERE message = ?", (message,))

    def _list(self, request: ListPins) -> MessagesPart:
        left = self._pins(request) if request.left is None else request.left
        found: list[LogEntry] = []
        size, most = 0, min(request.size, PART_BYTES)
        for position, pin in enumerate(left):
            if size >= most:
                rest = replace(request, left=left[position:], size=request.size - size)
                return MessagesPart(found, rest if rest.size > 0 else None)
            entry = self._reader.find(request.member, pin.message, request.peer.lower(), request.time)
            if entry is not None:
                entry.headers += b"Pinned: %b\nPinned-by: %b\n" % (time_text(pin.time), pin.by)
                size += len(entry.body)
                self._tables.work += len(entry.body) >> 10
                found.append(entry)
        return MessagesPart(found)

    def _pins(self, request: ListPins) -> tuple[Pin, ...]:
        """Return what is pinned in a conversation of a member, last first."""
        room = self._rooms.find(request.peer, request.member) if request.peer[:1] == b"#" else None
        if request.peer[:1] == b"#" and (room is None or request.member not in room.members):
            return ()
        pins = _list_of(request.member, request.peer, room)
        rows = self._tables.direct(
            f"SELECT p.message, p.pinned_by, p.time {_LIST} ORDER BY p.time DESC, p.message DESC", pins
        )
        return tuple(Pin(*row) for row in rows)


def _list_of(member: int, peer: bytes, room: RoomState | None) -> _PinList:
    return _PinList(0, member, peer.lower()) if room is None else _PinList(room.number, 0, b"")
