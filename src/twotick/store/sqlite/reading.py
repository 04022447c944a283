"""Reading logs and histories (docs/protocol.md, rules 11.2, 11.9 and 12.10)."""

# ruff: noqa: S608 - statements are put together from constants of this package, never from input

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from twotick.store.requests.messages import EntryKind, Fetch, Fetched, History, LogEntry, MessagesPart, MessageState
from twotick.store.rules.delivery import Mailbox
from twotick.store.sqlite.handlers import Handlers
from twotick.store.sqlite.ledger import RECEIVED, SENT, Ledger
from twotick.store.sqlite.rooms import RoomRepository
from twotick.store.sqlite.threads import ThreadRepository

_COLUMNS = (
    "l.member, l.seq, l.kind, l.message, l.device, l.up_to,"
    " m.sender_name, m.recipient, m.id, m.reason, m.state, m.time, r.name, m.place,"
    " CASE WHEN l.kind <= 2 THEN ifnull(u.headers, c.headers) END,"
    " CASE WHEN l.kind <= 2 THEN ifnull(u.body, c.body) END"
)
_NO_NOTE = f" AND NOT (l.kind = {RECEIVED} AND l.peer IS ?)"
"""A message to oneself is in the log as one that was sent, too; its parameter is the member's own name."""

_IS_OVER = (
    f"(l.kind = {RECEIVED} AND l.seq > ? AND l.taken = 0 AND m.state = 1"
    " AND m.expires IS NOT NULL AND m.expires BETWEEN ? AND ? AND m.time >= ?)"
)
"""What is true of entries with messages that are over (rule 11.10). For the parameters see `_over`."""

_JOINED = (
    "CROSS JOIN message m ON m.number = l.message CROSS JOIN content c ON c.message = l.message"
    " LEFT JOIN room r ON r.number = m.room LEFT JOIN unedited u ON u.message = l.message AND u.member = l.member"
)

_OVER_AT_ONCE: Final = 64
"""The messages that are over and that `Fetch` takes out of the log in one transaction."""

PART_ENTRIES: Final = 128
"""The most messages that are read from a history in one transaction."""

PART_BYTES: Final = 128 << 10
"""The bytes of bodies after which no more are read in that transaction: in about 1 ms, for which others wait."""

_NO_PLACE = 1 << 62
"""Greater than any number of a message, of an entry or of a place."""

_ROOMS = 1 << 16
"""More than the rooms of a member."""

_NEAREST = "(SELECT number FROM message m WHERE m.room = s.room AND m.place {} LIMIT 1)"

_Row: TypeAlias = Sequence[Any]


def _entry(row: _Row) -> LogEntry:
    member, seq, kind, message, device, up_to, sender_name, recipient, ident, reason, state, time, *more = row
    name, place, headers, body = more
    room = b"" if name is None else name.encode()
    if kind in (EntryKind.RECEIVED, EntryKind.SENT):
        return LogEntry(
            member,
            seq,
            EntryKind(kind),
            message,
            sender_name if kind == EntryKind.RECEIVED else recipient,
            id=ident,
            headers=headers,
            body=body,
            device=device or b"",
            state=MessageState(state),
            time=time,
            room=room if kind == EntryKind.RECEIVED else b"",
            place=place,
        )
    if kind == EntryKind.READ_HERE:
        return LogEntry(
            member, seq, EntryKind.READ_HERE, message, room or sender_name, device=device or b"", up_to=up_to or 0
        )
    return LogEntry(
        member, seq, EntryKind(kind), message, recipient, id=ident, reason=reason if kind == EntryKind.FAILED else ""
    )


@dataclass(frozen=True, slots=True)
class _Source:
    """Where the messages of a history are.

    Attributes:
        rows: the tables and which of their rows, as a part of a query.
        parameters: its parameters.
        key: the column by which they are in order.
        place: the column of what `History.before` means: a Seq, or a place in a room.
        size: the expression for the bytes of a body.
        columns: the columns for `_entry`.
    """

    rows: str
    parameters: tuple[object, ...]
    key: str = "l.seq"
    place: str = "l.seq"
    size: str = "ifnull(length(u.body), length(c.body))"
    columns: str = _COLUMNS


@dataclass(frozen=True, slots=True)
class ShownInRoom:
    """Messages in a room that a member may read.

    Between them are some that the member may not read, if the member's mailbox was full, or if the member was not in
    the room for a while.

    Attributes:
        room: the room's number.
        first: the number of the first message.
        last: the number of the last one.
        first_place: the place of the first one, or a smaller one.
        last_place: the place of the last one, or a greater one.
    """

    room: int
    first: int
    last: int
    first_place: int
    last_place: int


class LogReader:
    """Reads logs.

    Args:
        ledger: the logs.
        rooms: the rooms, whose history is read by their members.
        threads: the threads of messages.
    """

    def __init__(self, ledger: Ledger, rooms: RoomRepository, threads: ThreadRepository):
        self._ledger = ledger
        self._read = ledger.tables.read
        self._rooms = rooms
        self._threads = threads

    def handlers(self) -> Handlers:
        """Return the requests that are carried out here."""
        return {Fetch: self._fetch, History: self._history}

    def _fetch(self, request: Fetch) -> Fetched:
        box = self._ledger.mailbox(request.member)
        if box is None:
            return Fetched([], 0)
        entries: list[LogEntry] = []
        over: list[tuple[int, int]] = []
        size, seq, up_to = 0, request.after, box.last
        for *row, is_over, expires in self._read(
            f"SELECT {_COLUMNS}, {_IS_OVER}, iif(l.kind = {RECEIVED} AND l.taken = 0 AND m.state = 1, m.expires, NULL)"
            f" FROM log l {_JOINED} WHERE l.member = ? AND l.seq > ? ORDER BY l.seq",
            (*self._over(box, request.time), request.member, min(request.after, box.last)),
        ):
            if len(entries) >= request.most or size >= request.size or len(over) >= _OVER_AT_ONCE:
                up_to = seq
                break
            entry = _entry(row)
            seq = entry.seq
            if is_over:
                over.append((seq, entry.message))
                continue
            if seq > box.delivered and expires is not None and expires > request.time:
                entry.expires = expires
            entries.append(entry)
            size += len(entry.body)
        return Fetched(entries, up_to, self._ledger.remove_over(box, over) if over else None)

    def _over(self, box: Mailbox, time: float) -> tuple[int, float, float, float]:
        """Return the parameters of `_IS_OVER` for a member's log, at a time in seconds since 1970."""
        since = self._ledger.tables.run.over_since
        return box.delivered, since, time, since

    def _history(self, request: History) -> MessagesPart:
        box = self._ledger.mailbox(request.member)
        may_read = box is not None and (box.rights is None or request.peer.lower() in box.rights.reads)
        source = None if box is None or not may_read else self._source(request, box)
        if source is None:
            return MessagesPart([])
        if not request.first:
            first, last = self._range(source, request)
            if not last:
                return MessagesPart([])
            request = replace(request, first=first, last=last)
        return self._part(source, request)

    def _range(self, source: "_Source", request: History) -> tuple[int, int]:
        """Return where the messages begin and end that are asked for; zeros if there are none."""
        rows = self._read(
            f"SELECT {source.key}, {source.size}, m.time {source.rows} AND {source.place} < ?"
            f" ORDER BY {source.key} DESC LIMIT ?",
            (*source.parameters, min(request.before or _NO_PLACE, _NO_PLACE), request.most),
        )
        first = last = size = 0
        for key, bytes_, time in rows:
            if size >= request.size or time < request.since:
                break
            first, last = key, last or key
            size += bytes_
        return first, last

    def _part(self, source: "_Source", request: History) -> MessagesPart:
        """Read the messages from one on, until that is enough for one transaction."""
        rows = self._read(
            f"SELECT {source.key}, {source.columns} {source.rows} AND {source.key} BETWEEN ? AND ?"
            f" ORDER BY {source.key} LIMIT ?",
            (*source.parameters, request.first, request.last, PART_ENTRIES),
        )
        entries: list[LogEntry] = []
        size = last = 0
        for key, *row in rows:
            last = key
            entry = _entry(row)
            entries.append(entry)
            size += len(entry.body)
            if size >= PART_BYTES:
                break
        self._ledger.tables.work += len(entries) + (size >> 10)
        is_last = not entries or last >= request.last
        return MessagesPart(entries, None if is_last else replace(request, first=last + 1))

    def _source(self, request: History, box: Mailbox) -> "_Source | None":
        """Return where the messages are that are asked for; None if the member may read none of them."""
        if request.peer[:1] == b"#":
            return self._in_room(request)
        over = (box.folded, *self._over(box, request.time))
        if request.thread:
            return self._in_thread_of_log(request, box, over)
        if request.peer:
            rows = f"FROM log l INDEXED BY log_peer {_JOINED} WHERE l.member = ? AND l.peer = ?"
            parameters: tuple[object, ...] = (request.member, request.peer.lower())
        else:
            rows = f"FROM log l {_JOINED} WHERE l.member = ? AND l.kind <= 2"
            parameters = (request.member,)
        return _Source(f"{rows}{_NO_NOTE} AND NOT {_IS_OVER}", (*parameters, *over))

    def _in_room(self, request: History) -> "_Source | None":
        room = self._rooms.find(request.peer, request.member)
        membership = room.members.get(request.member) if room is not None else None
        if room is None or membership is None:
            return None
        source, parameters, key = "message m INDEXED BY message_place", tuple[int, ...](), "m.place"
        if request.thread:
            name = request.thread_name or self.name(request.member)
            root = self._threads.root_in_room(name, request.thread, room, membership.seen_from)
            if root is None:
                return None
            source, parameters = f"{self._in_thread(root)} CROSS JOIN message m ON m.number = t.message", (root,)
            key = "t.message"
        return _Source(
            f"FROM {source} CROSS JOIN content c ON c.message = m.number WHERE m.room = ? AND m.place >= ?",
            (*parameters, room.number, membership.seen_from),
            key=key,
            place="m.place",
            size="length(c.body)",
            columns=f"{request.member}, 0, iif(m.sender = {request.member}, {SENT}, {RECEIVED}), m.number, NULL, NULL,"
            " m.sender_name, m.recipient, m.id, m.reason, m.state, m.time,"
            " (SELECT name FROM room WHERE number = m.room), m.place, c.headers, c.body",
        )

    def _in_thread_of_log(
        self, request: History, box: Mailbox, over: tuple[bytes, int, float, float, float]
    ) -> "_Source | None":
        """Return where the messages of a thread in a conversation with a user are (rule 13.6)."""
        peer = request.peer.lower()
        root = self._threads.root_in_log(request.thread_name or box.folded, request.thread, box.number, peer)
        if root is None:
            return None
        rows = (
            f"FROM {self._in_thread(root)}"
            " CROSS JOIN log l INDEXED BY log_message ON l.message = t.message AND l.member = ? AND l.kind <= 2"
            f" {_JOINED} WHERE l.peer = ?{_NO_NOTE} AND NOT {_IS_OVER}"
        )
        return _Source(rows, (root, box.number, peer, *over), key="t.message")

    def _in_thread(self, root: int) -> str:
        """Return a table `t` of the messages of a thread, with a parameter for the first of them."""
        if self._threads.has_answers(root):
            return "(SELECT message FROM reply INDEXED BY reply_root WHERE root = ?) t"
        return "(SELECT ? AS message) t"

    def name(self, member: int) -> bytes:
        """Return the name of a member in lower case; empty if there is none."""
        box = self._ledger.mailbox(member)
        return b"" if box is None else box.folded

    def find(self, member: int, message: int, peer: bytes, time: float) -> LogEntry | None:
        """Return the entry for a message that a member may read; None if the member may not, or if it is over.

        For a message that is not in the member's log, but in a room, it is as in `History`.

        Args:
            member: who asks.
            message: the message's number.
            peer: the conversation that it must be in, in lower case; empty for any.
            time: now, in seconds since 1970.
        """
        box = self._ledger.mailbox(member)
        if box is None:
            return None
        row = self._read(
            f"SELECT {_COLUMNS} FROM log l INDEXED BY log_message {_JOINED} WHERE l.message = ? AND l.member = ?"
            f" AND l.kind <= 2 AND (? = x'' OR l.peer = ?) AND NOT {_IS_OVER} ORDER BY l.seq LIMIT 1",
            (message, member, peer, peer, *self._over(box, time)),
        ).fetchone()
        if row is None:
            row = self._read(
                f"SELECT ?2, 0, iif(m.sender = ?2, {SENT}, {RECEIVED}), m.number, NULL, NULL, m.sender_name,"
                " m.recipient, m.id, m.reason, m.state, m.time, r.name, m.place, c.headers, c.body"
                " FROM message m CROSS JOIN room_member o ON o.room = m.room AND o.member = ?2"
                " CROSS JOIN room r ON r.number = m.room CROSS JOIN content c ON c.message = m.number"
                " WHERE m.number = ?1 AND m.place >= o.seen_from AND (?3 = x'' OR r.folded = CAST(?3 AS TEXT))",
                (message, member, peer),
            ).fetchone()
        return None if row is None else _entry(row)

    def shown_in_rooms(self, member: int, name: bytes) -> list[ShownInRoom]:
        """Return which messages of rooms a member may read.

        Args:
            member: the member.
            name: only rooms of this name, in lower case; empty for all.
        """
        rows = self._read(
            f"SELECT * FROM (SELECT s.room, {_NEAREST.format('>= s.first ORDER BY m.place')} AS oldest,"
            f" {_NEAREST.format('<= s.last ORDER BY m.place DESC')} AS newest, s.first, min(s.last, r.last)"
            f" FROM (SELECT room, seen_from AS first, {_NO_PLACE} AS last FROM room_member WHERE member = ?1"
            " UNION ALL SELECT room, first, last FROM room_stay WHERE member = ?1) s JOIN room r ON r.number = s.room"
            " WHERE ?2 = '' OR lower(r.name) = ?2) AS shown WHERE oldest <= newest ORDER BY room, first",
            (member, name.decode(errors="replace")),
        )
        return [ShownInRoom(*row) for row in rows]

    # Where a search goes on: at a Seq of the member's log, or at a place in one of the member's rooms. It must not be
    # the number of a message, which says how much the whole server has stored.

    def position(self, member: int, message: int) -> int:
        """Return where a message is that a member may read, as a number for `message_before`."""
        row = self._read(
            "SELECT seq FROM log WHERE message = ? AND member = ? AND kind <= 2 ORDER BY seq LIMIT 1", (message, member)
        ).fetchone()
        if row is not None:
            return row[0] << 1
        room, place = self._read("SELECT room, place FROM message WHERE number = ?", (message,)).fetchone()
        return (place * _ROOMS + self._rooms_of(member).index(room)) << 1 | 1

    def message_before(self, member: int, position: int) -> int:
        """Return the number of the message at a position, or one above that of the next older one."""
        if not position & 1:
            query = "SELECT seq, message FROM log WHERE member = ? AND seq <= ? AND kind <= 2 ORDER BY seq DESC LIMIT 1"
            key, at = member, position >> 1
        else:
            rooms = self._rooms_of(member)
            at, index = divmod(position >> 1, _ROOMS)
            query = "SELECT place, number FROM message WHERE room = ? AND place <= ? ORDER BY place DESC LIMIT 1"
            key = rooms[index] if index < len(rooms) else 0
        row = self._read(query, (key, min(at, _NO_PLACE))).fetchone()
        return 0 if row is None else row[1] + (row[0] < at)

    def _rooms_of(self, member: int) -> list[int]:
        """Return the rooms that a member is in, by number, in the order in which the member has joined them."""
        rows = self._read("SELECT room FROM room_member WHERE member = ? ORDER BY since, room", (member,))
        return [room for (room,) in rows]

    def may_read(self, member: int, message: int) -> bool:
        """Tell whether a member may read a message: it is in the member's log, or a room shows it (rule 12.10)."""
        row = self._read(
            f"SELECT 1 FROM log WHERE message = ?1 AND member = ?2 AND kind IN ({RECEIVED}, {SENT})"
            " UNION ALL SELECT 1 FROM message m CROSS JOIN room_member o ON o.room = m.room"
            " WHERE m.number = ?1 AND o.member = ?2 AND m.place >= o.seen_from LIMIT 1",
            (message, member),
        ).fetchone()
        return row is not None

    # Times of messages grow with their numbers, except where the server's clock was set: so few need be looked at.

    def span(self, member: int, since: float, until: float) -> tuple[int, int]:
        """Return the numbers between which the messages of a time in a member's log are; the second is excluded.

        Args:
            member: the member.
            since: the time from which on they are, in seconds since 1970; 0 for the first.
            until: the time before which they are; infinity for no end.
        """
        box = self._ledger.mailbox(member)
        if box is None:
            return 0, 0
        query = (
            "SELECT l.seq, l.message, m.time FROM log l CROSS JOIN message m ON m.number = l.message"
            " WHERE l.member = ? AND l.seq >= ? AND l.kind <= 2 ORDER BY l.seq LIMIT 1"
        )
        return self._span(query, member, (1, box.last), since, until)

    def span_in_room(self, shown: ShownInRoom, since: float, until: float) -> tuple[int, int]:
        """Return such numbers for messages in a room."""
        query = (
            "SELECT place, number, time FROM message INDEXED BY message_place"
            " WHERE room = ? AND place >= ? ORDER BY place LIMIT 1"
        )
        return self._span(query, shown.room, (shown.first_place, shown.last_place), since, until)

    def _span(self, query: str, key: int, places: tuple[int, int], since: float, until: float) -> tuple[int, int]:
        return (
            self._first_from(query, key, places, since) if since else 0,
            self._first_from(query, key, places, until) if until < math.inf else _NO_PLACE,
        )

    def _first_from(self, query: str, key: int, places: tuple[int, int], time: float) -> int:
        """Return the number of the first message from a time on; a great one if there is none.

        Args:
            query: returns the first row with a key and from a place on: its place, the message's number, and its time.
            key: the key.
            places: the first and the last place.
            time: the time, in seconds since 1970.
        """
        low, high = places
        found = _NO_PLACE
        while low <= high:
            middle = (low + high) // 2
            row = self._read(query, (key, middle)).fetchone()
            if row is None or row[2] >= time:
                high = middle - 1
                found = found if row is None else row[1]
            else:
                low = row[0] + 1
        return found
