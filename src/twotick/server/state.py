"""How a running server is at a moment, for its operator."""

from collections import Counter
from dataclasses import dataclass

from twotick.exchange import Histogram, Tally


@dataclass(frozen=True, slots=True)
class ServerState:
    """How a server is at a moment.

    Attributes:
        started: when it started, in seconds since 1970.
        stopping: whether it is about to stop.
        connections: how many there are, by what they are (member, guest, registering), and whether they are WebSockets
            of the page (web) or not (socket).
        most_connections: how many there may be.
        waiting: requests that the store has not answered yet.
        queued_bytes: the bytes of bodies that wait for a receiver or for the store.
        held_bytes: the bytes that connections hold.
        disk_full: whether messages are refused because the disk is full.
        tally: what was done since the start.
        commits: how long transactions of the store took.
        mails: the e-mails about what waits, by result; empty if the server sends none.
    """

    started: float
    stopping: bool
    connections: Counter[tuple[str, str]]
    most_connections: int
    waiting: int
    queued_bytes: int
    held_bytes: int
    disk_full: bool
    tally: Tally
    commits: Histogram
    mails: dict[str, int]
