"""The store as its users see it: they ask requests, and each request names the type of its answer.

A request is a small value. `Store.apply` carries out many of them, in order, in one transaction: when it returns, all
that they changed is on the disk. One that is refused is answered with a `Refusal`, changes nothing and does not disturb
the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

Answer = TypeVar("Answer")
_Answer_co = TypeVar("_Answer_co", covariant=True)


class Request(Generic[_Answer_co]):
    """What a store can be asked. A subclass names its answer: `class FindMember(Request[Member | None])`.

    A request is immutable by convention: it is not changed after it is made.
    """

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """The answer to a request that the rules do not allow. The request changed nothing.

    Attributes:
        reason: why, for a person to read.
        kind: why, as a word for programs (rule 9.12); empty if there is none.
    """

    reason: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Together(Request[tuple[Any, ...]]):
    """Carry out requests in this order, with nothing in between; answered by their answers.

    Attributes:
        requests: the requests, none of which is long.
    """

    requests: tuple[Request[Any], ...]


class StoreError(Exception):
    """The store could not carry out a batch, and kept nothing of it. The text is a reason for a person to read."""


class DatabaseFailure(StoreError):
    """A database server cannot be reached, or cannot do what it was asked. The text is for the operator.

    Attributes:
        told: what users are told instead.
    """

    told = "the server cannot reach its database: try again later"


class CommitUnknown(DatabaseFailure):
    """It is not known whether a transaction was kept."""

    told = "it is not known whether the server has kept this: send it again with the same Id"


class Damaged(StoreError):
    """The database file is damaged, or is not one of Twotick's."""


class DiskFull(StoreError):
    """The disk is full. Requests that only read, or that delete, may still be carried out."""


@dataclass(slots=True)
class Work:
    """What a store has done of the requests that it was given (see `Store.work_on`).

    Attributes:
        answers: the answers to the first of them. The last one may be an `Unfinished`.
        costs: what each of these has cost, in units of about 5 microseconds: that of an entry of a log.
    """

    answers: list[Any]
    costs: list[int]


@dataclass(slots=True)
class StoreLimits:
    """The most that a store keeps (rules 10.6, 11.13, 12.11, 16.5 and 17.1). They may change while it is open.

    Attributes:
        mailbox_bytes: bytes of the bodies of a member's messages that some device of the member does not have yet.
        mailbox_entries: the number of such messages.
        sender_bytes: those of the bytes that one member, or all guests together, have sent.
        sender_entries: those of the messages that one member, or all guests together, have sent.
        devices: devices of a member.
        room_members: members of a room.
        rooms: rooms of a member.
        settings: conversations that a member has muted or blocked.
        file_bytes: the size of a file.
        files_bytes: the size of all files of a member together.
        file_age: seconds after which a file that was sent expires.
        offer_age: seconds after which a file that was not sent expires.
        reports: open reports of a member.
        reserve_bytes: bytes of the disk that are kept for what must still work when it is full; 0 for none.
    """

    mailbox_bytes: int = 1 << 30
    mailbox_entries: int = 100_000
    sender_bytes: int = 1 << 28
    sender_entries: int = 25_000
    devices: int = 32
    room_members: int = 2000
    rooms: int = 200
    settings: int = 10_000
    file_bytes: int = 100 << 20
    files_bytes: int = 1 << 30
    file_age: float = 30 * 86400
    offer_age: float = 86400
    reports: int = 20
    reserve_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Standby:
    """A standby of a database on PostgreSQL.

    Attributes:
        name: its name.
        synchronous: whether a COMMIT may count on it.
        bytes_behind: how many bytes of the log it has not applied yet.
        seconds_behind: how long the last of them took; 0 if there were none for some time.
    """

    name: str
    synchronous: bool
    bytes_behind: int
    seconds_behind: float


@dataclass(frozen=True, slots=True)
class DatabaseState:
    """How a database on PostgreSQL is.

    Attributes:
        version: the version of PostgreSQL.
        bytes: the size of the database.
        synchronous: whether a COMMIT waits for a standby.
        standbys: the standbys that are connected; None if this user may not see them.
        served: whether a server uses the database.
    """

    version: str
    bytes: int
    synchronous: bool
    standbys: list[Standby] | None
    served: bool


class Store(Protocol):
    """A database of members, their logs, rooms and files. One thread uses it at a time."""

    def apply(self, requests: Sequence[Request[Any]]) -> list[Any]:
        """Carry out requests, in order, in one transaction.

        Returns:
            Their answers. All that was changed is on the disk.

        Raises:
            StoreError: nothing was kept. The store can be used again.
        """
        ...

    def work_on(self, requests: Sequence[Request[Any]]) -> Work:
        """Carry out the first of some requests, in one transaction that is not long.

        Returns:
            What was done: at least one request or a part of it. All that was changed is on the disk.

        Raises:
            StoreError: as for `apply`.
        """
        ...

    def ask(self, request: Request[Answer]) -> Answer:
        """Carry out one request; a long one in several transactions, between which others have their turn.

        Returns:
            Its answer.

        Raises:
            StoreError: the store could not carry it out. Parts of a long request may have been carried out.
        """
        ...

    @property
    def has_backlog(self) -> bool:
        """Whether enough waits to be tidied that this should not wait for a quiet second."""
        ...

    @property
    def is_behind(self) -> bool:
        """Whether so much waits to be tidied that this must come before the next long request."""
        ...

    @property
    def is_full(self) -> bool:
        """Whether the disk is so full that requests that add much are refused."""
        ...

    def tidy(self) -> bool:
        """Do a small step of work in the background, such as moving rows to where reads look for them.

        Returns:
            Whether there is more to do.

        Raises:
            StoreError: the step failed, and was undone.
        """
        ...

    def changed(self) -> bool:
        """Tell whether another process has written since the last call.

        Raises:
            StoreError: the database cannot be read.
        """
        ...

    def backup(self, file: Path) -> None:
        """Copy the database as it is now; a server may use it meanwhile.

        Args:
            file: the copy, readable by its owner only. An older file is replaced once the copy is complete.

        Raises:
            StoreError: the copy failed, and an older file is untouched.
        """
        ...

    def check(self) -> list[str]:
        """Look for damage in the file, and for contradictions among logs, cursors and counters.

        Returns:
            The problems in words; none if all is well.

        Raises:
            StoreError: it could not be looked at, for example because it was locked.
        """
        ...

    def close(self) -> None:
        """Close the database. All that `apply` returned for is on the disk already."""
        ...
