"""What the operator does to members, also while they are connected (docs/protocol.md, rule 10.11)."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from twotick.store.port import Refusal, Request


class ActKind(IntEnum):
    """What the operator did, of which running servers take notice."""

    SIGN_OUT = 1
    PROFILE = 2


@dataclass(frozen=True, slots=True)
class MemberAct:
    """What the operator did to a member who may be connected.

    Attributes:
        member: the store's number of the member.
        kind: what was done.
        device: which device was signed out, with all below it; empty for all devices.
        reason: what the devices are told.
    """

    member: int
    kind: ActKind
    device: str
    reason: str


@dataclass(frozen=True, slots=True)
class ActsSoFar:
    """What was done since a server has looked last.

    Attributes:
        last: the number of the newest act, from which the server goes on.
        acts: what was done, in order.
    """

    last: int
    acts: tuple[MemberAct, ...]


@dataclass(frozen=True, slots=True)
class FindActs(Request[ActsSoFar]):
    """Find out what the operator has done.

    Attributes:
        after: the number of the last act that is known; None to ask only for the newest number.
    """

    after: int | None


@dataclass(frozen=True, slots=True)
class ByOperator(Request[Any]):
    """Carry out a request of an operator over the network, if the rules allow it at that moment (rule 10.11).

    Answered as the request is, or refused with the kind `NOT_AN_OPERATOR` or `OWN_ACCOUNT` of `rules.operators`.

    Attributes:
        by: the store's number of the member who acts.
        password: the hash of the password with which that member has logged in.
        locks_out: the store's number of the member who cannot act as before afterwards; None if there is none.
        request: what is to be done.
    """

    by: int
    password: str
    locks_out: int | None
    request: Request[Any]


@dataclass(frozen=True, slots=True)
class SetDisabled(Request[bool]):
    """Disable a member or enable it again (rule 10.11). Answered by whether there is such a member.

    A member that is disabled keeps its tokens, devices and messages. Its connections end.
    """

    name: str
    disabled: bool
    time: float


@dataclass(frozen=True, slots=True)
class SetOperator(Request[bool]):
    """Give a member the role operator, or take it away. Answered by whether there is such a member."""

    name: str
    operator: bool


@dataclass(frozen=True, slots=True)
class SignOut(Request[bool]):
    """Withdraw the tokens of a member's devices, and end their connections. Answered by whether there were devices.

    The devices keep their cursors: when one logs in again, it is sent what it does not have.

    Attributes:
        member: the store's number of the member.
        device: which device, with all below it; empty for all.
        reason: what the devices are told.
        time: now, in seconds since 1970.
    """

    member: int
    device: str
    reason: str
    time: float


@dataclass(frozen=True, slots=True)
class SetDisplay(Request[Refusal | None]):
    """Change a member's display name in the operator's name. Refused if it is not valid (rule 18.4)."""

    member: int
    display: str
    time: float
