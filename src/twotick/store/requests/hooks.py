"""Web hooks: where the server posts what a member gets, and what they did not take."""

from dataclasses import dataclass

from twotick.store.port import Refusal, Request
from twotick.store.requests.members import Member

HOOK_DEVICE = "hook"
"""The name of a member's device whose cursor is how far the member's hook got."""


@dataclass(frozen=True, slots=True)
class Hook:
    """A web hook.

    Attributes:
        member: the member whose messages are posted.
        url: where they are posted.
        secret: signs what is posted.
        again: whether what it did not take is to be posted again.
        letters: how many messages it did not take.
    """

    member: Member
    url: str
    secret: bytes
    again: bool
    letters: int


@dataclass(frozen=True, slots=True)
class Letter:
    """A message that a hook did not take.

    Attributes:
        seq: its number in the member's log.
        time: when the server gave up, in seconds since 1970.
        reason: why.
        peer: the user or room of the conversation, in lower case; empty if the message is gone, or not asked for.
        place: its number in the room; 0 if it was not sent to a room.
    """

    seq: int
    time: float
    reason: str
    peer: bytes = b""
    place: int = 0


@dataclass(frozen=True, slots=True)
class SetHook(Request[Hook | Refusal]):
    """Give a member a hook in place of the one that it has; refused if there is no such member.

    Attributes:
        name: the member.
        time: now, in seconds since 1970.
    """

    name: str
    url: str
    secret: bytes
    time: float


@dataclass(frozen=True, slots=True)
class DropHook(Request[None]):
    """Take its hook from a member, with the device and the messages that the hook did not take."""

    member: int


@dataclass(frozen=True, slots=True)
class ListHooks(Request[list[Hook]]):
    """List all hooks, by the names of their members."""


@dataclass(frozen=True, slots=True)
class AddLetter(Request[None]):
    """Note that a hook did not take a message. A member's oldest ones beyond a thousand are forgotten."""

    member: int
    letter: Letter


@dataclass(frozen=True, slots=True)
class ListLetters(Request[list[Letter]]):
    """List the messages that a member's hook did not take, oldest first."""

    member: int


@dataclass(frozen=True, slots=True)
class DropLetter(Request[None]):
    """Forget that a hook did not take a message."""

    member: int
    seq: int


@dataclass(frozen=True, slots=True)
class PostLettersAgain(Request[None]):
    """Ask for what a member's hook did not take to be posted again, or note that this was done."""

    member: int
    wanted: bool
