"""Searching messages (docs/protocol.md, rule 14.5)."""

import math
from dataclasses import dataclass

from twotick.store.port import Refusal, Request
from twotick.store.requests.messages import LogEntry


@dataclass(frozen=True, slots=True)
class SearchPage:
    """Messages that were found, newest first.

    Attributes:
        entries: RECEIVED and SENT; `seq` is 0 for a message of a room that is not in the member's log.
        before: what to ask next with `SearchMessages.before`; 0 if there is no more. One call takes a limited time,
            so there may be more even if the page is not full.
    """

    entries: list[LogEntry]
    before: int


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
        steps: how many transactions have prepared the search.
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
    steps: int = 0
