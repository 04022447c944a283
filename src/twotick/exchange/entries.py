"""Log entries as frames (docs/protocol.md, rules 11.1, 11.9 and 12.5)."""

from typing import Final

from twotick.store import EntryKind, LogEntry
from twotick.wire import Verb, delivered, error, forward, frame

# These are looked at for every entry.
_RECEIVED: Final = EntryKind.RECEIVED
_DELIVERED: Final = EntryKind.DELIVERED


def entry_frame(entry: LogEntry, owner: bytes, *, numbered: bool = True, history: bytes | None = None) -> bytes:
    """Return the frame that gives an entry to a device.

    Args:
        entry: the entry; its number is 0 if it is in no log.
        owner: the name of the member whose log it is in.
        numbered: whether the frame has the entry's number, so that the device must acknowledge it.
        history: the Id of the question that the entry answers; None for a new entry (rules 11.9 and 14.5).
    """
    seq = entry.seq if numbered and entry.seq else None
    if entry.kind is _RECEIVED and history is None:
        return forward(entry.peer, entry.body, entry.id, seq, entry.headers, entry.room, entry.place)
    if entry.kind is _DELIVERED:
        return delivered(entry.peer, entry.id, seq)
    identifier = entry.id or None
    match entry.kind:
        case EntryKind.RECEIVED | EntryKind.SENT:
            sent = entry.kind is EntryKind.SENT
            return frame(
                Verb.FORWARD,
                owner if sent else entry.peer,
                entry.body,
                entry.headers,
                to=entry.peer if sent else entry.room or None,
                place=entry.place or None,
                id=identifier,
                seq=seq,
                history=history,
                state=entry.state.name.lower().encode() if sent and history is not None else None,
            )
        case EntryKind.READ:
            return frame(Verb.READ, entry.peer, id=identifier, seq=seq)
        case EntryKind.FAILED:
            return error(102, id=identifier, seq=seq, reason=entry.reason.encode())
        case EntryKind.READ_HERE:
            return frame(Verb.READ, entry.peer, seq=seq, up_to=entry.up_to)
