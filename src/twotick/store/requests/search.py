"""Searching messages (docs/protocol.md, rule 14.5)."""

import math
from dataclasses import dataclass

from twotick.store.port import Refusal, Request
from twotick.store.requests.messages import LogEntry, MessagesPart


@dataclass(frozen=True, slots=True)
class ReadFound(Request[MessagesPart]):
    """Read messages that a search has found, part by part; without those that the member may not read any more.

    Attributes:
        peer: the `peer` of the search.
        messages: their numbers, newest first.
        time: now, in seconds since 1970: messages that are over and were not delivered are left out (rule 11.10).
    """

    member: int
    peer: bytes
    messages: tuple[int, ...]
    time: float


@dataclass(frozen=True, slots=True)
class SearchPage:
    """Messages that were found, newest first.

    Attributes:
        entries: RECEIVED and SENT; `seq` is 0 for a message of a room that is not in the member's log.
        before: what to ask next with `SearchMessages.before`; 0 if there is no more. One call takes a limited time,
            so there may be more even if the page is not full.
        rest: what to ask for further entries of the page; None if there are none.
    """

    entries: list[LogEntry]
    before: int
    rest: Request[MessagesPart] | None = None


@dataclass(frozen=True, slots=True)
class SearchSoFar:
    """What a search has done in earlier transactions.

    Attributes:
        steps: how many of them have prepared it.
        before: the number of a message: it has looked at this one and all newer ones; 0 if it has not begun.
        span: in how many numbers of messages it looks next.
        seconds: the processor's time that it has taken.
        found: the numbers of the messages that it has found, newest first.
        size: the bytes of their bodies.
    """

    steps: int = 0
    before: int = 0
    span: int = 8
    seconds: float = 0.0
    found: tuple[int, ...] = ()
    size: int = 0


@dataclass(frozen=True, slots=True)
class SearchMessages(Request[SearchPage | Refusal]):
    """Search the messages that a member may read (rule 14.5); refused without words and filters, or with too many.

    Attributes:
        query: words, phrases in quotes, and beginnings of words that end in `*`.
        peer: only messages with this user or in this room, in any case; empty for all.
        before: `SearchPage.before` of the page before; 0 for the newest.
        most: how many at most.
        size: bytes of bodies after which no more are added.
        time: now, in seconds since 1970: messages that are over and were not delivered are left out (rule 11.10).
        sender: only messages from this user, in any case; empty for all.
        since: only messages from this time on, in seconds since 1970; 0 for all.
        until: only messages before this time; infinity for all.
        has_file: only messages with a file.
        so_far: what was done in earlier transactions.
    """

    member: int
    query: str
    peer: bytes
    before: int
    most: int
    size: int
    time: float = 0.0
    sender: bytes = b""
    since: float = 0.0
    until: float = math.inf
    has_file: bool = False
    so_far: SearchSoFar = SearchSoFar()
