"""The time by which messages age, and what it is compared with (docs/operations.md, "Clocks")."""

from dataclasses import dataclass

from twotick.store.port import Request


@dataclass(frozen=True, slots=True)
class StoredTimes:
    """What a store knows of the time, each in seconds since 1970.

    Attributes:
        kept: the time that was kept last (`KeepTime`); None if none was kept.
        newest: when the message with the highest number was accepted; None without messages.
        written: when the database file was written last, as the file system says; None if it is new, or in memory.
    """

    kept: int | None = None
    newest: float | None = None
    written: float | None = None


@dataclass(frozen=True, slots=True)
class ReadTimes(Request[StoredTimes]):
    """Read what the store knows of the time."""


@dataclass(frozen=True, slots=True)
class KeepTime(Request[int]):
    """Keep the time, in seconds since 1970, unless another process has kept one that is not `known`.

    Answered by the time that is kept now.

    Attributes:
        tolerance: by how many seconds a time may differ that another server has kept, which shares the database. One
            that differs more is what the operator has accepted.
    """

    time: int
    known: int | None
    tolerance: float = 0.0


@dataclass(frozen=True, slots=True)
class AcceptTime(Request[None]):
    """Keep a time because the operator says that it is right. Nothing is older afterwards than it was before.

    The deadlines of messages, files and invitations move by as much as the time that is kept. The age of the messages
    so far is not known, so retention keeps them for one more whole period (`Prune.age`).
    """

    time: int
