"""Requests that read logs (docs/protocol.md, sections 11.2 and 11.9)."""

# ruff: noqa: S608 - queries are put together from constants of this package, never from what came from outside

from twotick.store.logs import RECEIVED, SENT, Logs
from twotick.store.records import Entry, Fetch, Fetched, History, Kind, State

_COLUMNS = (
    "l.member, l.seq, l.kind, l.message, l.device, l.up_to,"
    " m.sender_name, m.recipient, m.id, m.reason, m.state, m.time,"
    " CASE WHEN l.kind <= 2 THEN c.headers END, CASE WHEN l.kind <= 2 THEN c.body END"
)
_JOINED = "CROSS JOIN message m ON m.number = l.message CROSS JOIN content c ON c.message = l.message"

_Row = tuple[int, int, int, int, bytes | None, int | None, bytes, bytes, bytes, str, int, float, bytes, bytes]


def _entry(row: _Row) -> Entry:
    member, seq, kind, message, device, up_to, sender_name, recipient, ident, reason, state, time, headers, body = row
    if kind in (Kind.RECEIVED, Kind.SENT):
        return Entry(
            member,
            seq,
            Kind(kind),
            message,
            sender_name if kind == Kind.RECEIVED else recipient,
            ident,
            headers,
            body,
            device or b"",
            state=State(state),
            time=time,
        )
    if kind == Kind.READ_HERE:
        return Entry(member, seq, Kind.READ_HERE, message, sender_name, device=device or b"", up_to=up_to or 0)
    return Entry(member, seq, Kind(kind), message, recipient, ident, reason=reason if kind == Kind.FAILED else "")


class Reading:
    """Carries out requests that read logs. Each method carries out the request that it takes; see there."""

    def __init__(self, logs: Logs):
        self._logs = logs

    def fetch(self, request: Fetch) -> Fetched:
        """Read a log forwards."""
        logs = self._logs
        logs.flush()
        box = logs.mailbox(request.member)
        if box is None:
            return Fetched([], 0)
        entries: list[Entry] = []
        size = 0
        for row in logs.execute(
            f"SELECT {_COLUMNS} FROM log l {_JOINED} WHERE l.member = ? AND l.seq > ? ORDER BY l.seq",
            (request.member, min(request.after, box.last)),
        ):
            if len(entries) >= request.most or size >= request.size:
                return Fetched(entries, entries[-1].seq if entries else request.after)
            entry = _entry(row)
            entries.append(entry)
            size += len(entry.body)
        return Fetched(entries, box.last)

    def history(self, request: History) -> Fetched:
        """Read the messages of a log backwards."""
        logs = self._logs
        logs.flush()
        box = logs.mailbox(request.member)
        if box is None:
            return Fetched([], 0)
        before = min(request.before, box.last + 1) if request.before > 0 else box.last + 1
        if request.peer:
            rows = logs.execute(
                f"SELECT {_COLUMNS} FROM log l INDEXED BY log_peer {_JOINED}"
                " WHERE l.member = ? AND l.peer = ? AND l.seq < ? ORDER BY l.seq DESC",
                (request.member, request.peer.lower(), before),
            )
        else:
            rows = logs.execute(
                f"SELECT {_COLUMNS} FROM log l {_JOINED} WHERE l.member = ? AND l.seq < ? AND l.kind <= 2"
                " ORDER BY l.seq DESC",
                (request.member, before),
            )
        entries: list[Entry] = []
        size = 0
        for row in rows:
            if len(entries) >= request.most or size >= request.size:
                break
            entry = _entry(row)
            if entry.time < request.since:
                break
            entries.append(entry)
            size += len(entry.body)
        entries.reverse()
        return Fetched(entries, before)

    # For other requests

    def may_read(self, member: int, message: int) -> bool:
        """Whether a member may read a message: it is in the member's log."""
        self._logs.flush()
        row = self._logs.execute(
            f"SELECT 1 FROM log WHERE message = ? AND member = ? AND kind IN ({RECEIVED}, {SENT})", (message, member)
        ).fetchone()
        return row is not None
