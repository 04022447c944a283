"""Pinned messages (docs/protocol.md, rules 13.7 to 13.9)."""

from dataclasses import dataclass

from twotick.store.port import Request
from twotick.store.requests.messages import MessagesPart


@dataclass(frozen=True, slots=True)
class Pin:
    """That a message is pinned.

    Attributes:
        message: the message's number.
        by: the name of the member who has pinned it.
        time: when, in seconds since 1970.
    """

    message: int
    by: bytes
    time: float


@dataclass(frozen=True, slots=True)
class ListPins(Request[MessagesPart]):
    """List the pinned messages of a conversation that the member may read, those pinned last first and part by part.

    The headers of each entry also say when it was pinned, and by whom.

    Attributes:
        peer: the user or the room, in any case.
        size: bytes of bodies after which no more are added.
        time: now, in seconds since 1970: messages that are over are left out (rule 11.10).
        left: what the parts before have left; None for the first part.
    """

    member: int
    peer: bytes
    size: int
    time: float
    left: tuple[Pin, ...] | None = None
