"""Pinned messages (docs/protocol.md, rules 13.7 to 13.9)."""

from dataclasses import dataclass

from twotick.store.port import Request
from twotick.store.requests.messages import LogEntry


@dataclass(frozen=True, slots=True)
class ListPins(Request[list[LogEntry]]):
    """List the pinned messages of a conversation that the member may read, those pinned last first.

    The headers of each entry also say when it was pinned, and by whom.

    Attributes:
        peer: the user or the room, in any case.
        size: bytes of bodies after which no more are added.
        time: now, in seconds since 1970: messages that are over are left out (rule 11.10).
    """

    member: int
    peer: bytes
    size: int
    time: float
