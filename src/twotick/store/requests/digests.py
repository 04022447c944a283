"""E-mail that tells members of messages which wait for them."""

from dataclasses import dataclass
from typing import Any

from twotick.store.port import Refusal, Request


@dataclass(frozen=True, slots=True)
class EmailState:
    """Where a member gets digests.

    Attributes:
        address: the e-mail address.
        wanted: whether the member wants digests.
    """

    address: str
    wanted: bool


@dataclass(frozen=True, slots=True)
class SetEmail(Request[Refusal | None]):
    """Set the e-mail address of a member, who then wants digests; refused if there is no such member.

    What is in the log by then is told of like later messages.

    Attributes:
        member: the member.
        address: the address, which was checked; None to remove it.
    """

    member: int
    address: str | None


@dataclass(frozen=True, slots=True)
class WantDigests(Request[EmailState | Refusal]):
    """Say whether a member wants digests (rule 18.6), or ask for it; refused if the member has no address.

    Attributes:
        wanted: whether it does; None to ask.
    """

    member: int
    wanted: bool | None


@dataclass(frozen=True, slots=True)
class Addressee:
    """A member who wants digests.

    Attributes:
        member: the member.
        name: the name as it is shown.
        address: the e-mail address.
        told: the entry of the log up to which the member was told.
        told_at: when that was, in seconds since 1970; 0 for never.
    """

    member: int
    name: str
    address: str
    told: int
    told_at: float


@dataclass(frozen=True, slots=True)
class ListAddressees(Request[list[Addressee]]):
    """List the members who want digests, by number, if they were not told for a while.

    Attributes:
        told_before: when they were told last at the latest, in seconds since 1970.
    """

    told_before: float


@dataclass(frozen=True, slots=True)
class WaitingMessages:
    """The messages of one conversation that wait.

    Attributes:
        name: the user or room, as it is shown.
        is_room: whether it is a room.
        count: how many messages there are.
        text: the beginning of the newest one's text; empty if that is not wanted, or if it is no text.
    """

    name: str
    is_room: bool
    count: int
    text: str


@dataclass(frozen=True, slots=True)
class Digest:
    """What waits for a member.

    Attributes:
        conversations: the conversations with the newest messages, newest first.
        count: how many messages wait, also in other conversations.
        more: whether more may wait than were looked at.
        seq: the newest entry of the log that was looked at.
    """

    conversations: tuple[WaitingMessages, ...]
    count: int
    more: bool
    seq: int


@dataclass(frozen=True, slots=True)
class FindDigest(Request[Digest | None]):
    """Find what waits for a member since it was told; None if nothing has waited for long enough.

    Attributes:
        addressee: the member.
        time: now, in seconds since 1970.
        waited: the seconds that a message must have waited.
        with_text: whether texts are wanted.
        newest: the newest entry when it was asked; 0 for the first transaction.
        looked_from: the entries after this one were looked at by earlier transactions of the same request.
        rows: what they found.
    """

    addressee: Addressee
    time: float
    waited: float
    with_text: bool
    newest: int = 0
    looked_from: int | None = None
    rows: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class ClaimDigest(Request[bool]):
    """Note that a member is told, before the e-mail is sent; False if another server has done so.

    Attributes:
        addressee: the member, as it was before.
        seq: the entry up to which it is told.
        time: now, in seconds since 1970.
    """

    addressee: Addressee
    seq: int
    time: float


@dataclass(frozen=True, slots=True)
class UndoDigest(Request[None]):
    """Note that a member was not told after all: the e-mail was refused.

    Attributes:
        claim: what was noted.
    """

    claim: ClaimDigest
