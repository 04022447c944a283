"""Requests of servers that share a database (docs/cluster.md). The store on SQLite has one server, and knows none."""

from dataclasses import dataclass
from typing import Any

from twotick.store.port import DatabaseState, Request
from twotick.store.requests.members import Member
from twotick.store.requests.messages import Effects, MessageState


@dataclass(frozen=True, slots=True)
class KeptLease:
    """What a server learns when it has said that it lives.

    Attributes:
        leads: whether it does the work that one server does for all.
        servers: the numbers of all servers that live, this one included.
    """

    leads: bool
    servers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class KeepLease(Request[KeptLease]):
    """Note that this server lives, for so many seconds from now on by the clock of the database.

    Attributes:
        seconds: see above.
        version: the server's version, for the operator.
        address: where it is, for the operator.
    """

    seconds: float
    version: str
    address: str


@dataclass(frozen=True, slots=True)
class EndLease(Request[None]):
    """Note that this server is about to stop, and that no device is connected to it any more."""


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """A server that lives.

    Attributes:
        number: its number.
        version: its version.
        address: where it is.
        devices: how many devices are connected to it.
    """

    number: int
    version: str
    address: str
    devices: int


@dataclass(frozen=True, slots=True)
class ListServers(Request[list[ServerInfo]]):
    """List the servers that live, by address."""


@dataclass(frozen=True, slots=True)
class FindDatabaseState(Request[DatabaseState | None]):
    """Find out how the database is, if it is on PostgreSQL; None for one in a folder."""


@dataclass(frozen=True, slots=True)
class SettleLost(Request[Effects]):
    """Give up on what guests of servers were to get that live no longer (rule 11.11)."""


@dataclass(frozen=True, slots=True)
class WhileNewest(Request[Any]):
    """Carry out a request of a device, unless the device has connected again since (rule 10.7).

    Answered as the request is, or refused. One that only reads is carried out in any case.

    Attributes:
        member: the store's number of the member.
        device: the name of the device.
        session: the number of the connection that asks (`OpenedDevice.session`).
        request: what is to be done.
    """

    member: int
    device: str
    session: int
    request: Request[Any]


@dataclass(frozen=True, slots=True)
class CloseDevice(Request[None]):
    """Note that a device is not connected any more, unless it has connected again since.

    Attributes:
        session: the number of its connection (`OpenedDevice.session`).
    """

    member: int
    device: str
    session: int


@dataclass(frozen=True, slots=True)
class NoteConnected(Request[None]):
    """Note that all devices that are connected to a server that lives are not absent.

    Attributes:
        time: now, in seconds since 1970.
    """

    time: float


@dataclass(frozen=True, slots=True)
class MemberLook:
    """How a member stands, of whom a server does not know the newest.

    Attributes:
        number: the member.
        last: the number of the last entry of its log.
        version: the version of its devices (see `LookAround`).
        sessions: by the name of each of its devices, the number of its last connection, and until when the server lives
            that has it, as far as the database knows, in seconds since 1970; 0 if that connection is gone. None if the
            version is the one that is known.
        removed: whether there is no such member any more.
    """

    number: int
    last: int
    version: int
    sessions: dict[bytes, tuple[int, float]] | None
    removed: bool


@dataclass(frozen=True, slots=True)
class LookAround(Request[list[MemberLook]]):
    """Find out what other servers have done for some members.

    Answered by those of whom there is more than is known.

    Attributes:
        known: what is known of each: its number, the number of the last entry of its log, and the version of its
            devices, which grows whenever one of them connects or is revoked.
    """

    known: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class SentOutcome:
    """What has become of a message.

    Attributes:
        message: the store's number of the message.
        member: the sender; None for a guest.
        recipient: to whom it was sent, as the sender wrote it.
        id: its Id.
        state: what has become of it.
        reason: why it failed; empty if it did not.
        have: how many recipients have it.
        of: how many recipients it has.
        in_room: whether it was sent to a room.
    """

    message: int
    member: int | None
    recipient: bytes
    id: bytes
    state: MessageState
    reason: str
    have: int
    of: int
    in_room: bool


@dataclass(frozen=True, slots=True)
class FindOutcomes(Request[list[SentOutcome]]):
    """Find out what has become of some messages, given by number. Those that are not there any more are left out."""

    messages: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ClaimGuest(Request[Member | bool]):
    """Note that a guest of this server has a name.

    Answered by the member who has the name, or by whether it is noted: it is not if a guest of another server that
    lives has the name.

    Attributes:
        name: the name, in lower case.
        network: the address of the guest.
        claim: the number of this note. It is higher than those of the same server before.
    """

    name: str
    network: str
    claim: int


@dataclass(frozen=True, slots=True)
class ReleaseGuest(Request[None]):
    """Note that no guest of this server has a name, unless there is a newer note.

    Attributes:
        name: the name, in lower case.
        claim: the number of the note that is removed.
    """

    name: str
    claim: int


@dataclass(frozen=True, slots=True)
class FindFailures(Request[list[list[float]]]):
    """Find out how many seconds ago logins have failed; for each key, the longest ago first.

    Attributes:
        keys: what failures count against: a kind, and an address, a name or both.
        network: the address of the client.
    """

    keys: tuple[tuple[int, str], ...]
    network: str


@dataclass(frozen=True, slots=True)
class NoteFailure(Request[None]):
    """Note that a login has failed.

    Attributes:
        keys: see `FindFailures`.
        network: the address of the client.
        most: how many failures of each key are remembered.
    """

    keys: tuple[tuple[int, str], ...]
    network: str
    most: int


@dataclass(frozen=True, slots=True)
class ForgetFailures(Request[None]):
    """Forget the failures that count against a key (see `FindFailures`)."""

    key: tuple[int, str]


@dataclass(frozen=True, slots=True)
class FindConnected(Request[list[int]]):
    """Find the members with a device that is connected to a server that lives, by number.

    Attributes:
        name: only the member with this name, in any case; empty for all.
        network: the address of the guest for whom it is asked; empty for a member.
    """

    name: str
    network: str = ""
