"""Messages that bots have scheduled (docs/protocol.md, rule 22.7)."""

from dataclasses import dataclass

from twotick.store.port import Refusal, Request
from twotick.store.requests.members import Member


@dataclass(frozen=True, slots=True)
class DelayedMessage:
    """A message that a bot has scheduled.

    Attributes:
        member: the number of the bot that sends it.
        recipient: to whom, as the bot wrote it.
        id: its Id.
        slot: what later messages update it by; empty for none (rule 21.6).
        due: its time, in seconds since 1970.
        device: the device of the token with which it was published.
        token: the digest of that token.
        headers: further lines of the SEND, each with its line feed.
        body: the body.
    """

    member: int
    recipient: bytes
    id: bytes
    slot: bytes
    due: float
    device: str
    token: bytes
    headers: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class DueMessage:
    """A message whose time has come.

    Attributes:
        bot: the bot that sends it.
        message: the message.
    """

    bot: Member
    message: DelayedMessage


@dataclass(frozen=True, slots=True)
class AddDelayed(Request[float | Refusal]):
    """Keep a message until its time; answered with that time.

    If one with this Id waits already, that one stays, and the answer is its time. One to the same recipient with the
    same slot is replaced. Refused if the bot has too many.

    Attributes:
        message: the message.
    """

    message: DelayedMessage


@dataclass(frozen=True, slots=True)
class ListDelayed(Request[list[DelayedMessage]]):
    """List the messages of a bot that wait for their time, in the order of these."""

    member: int


@dataclass(frozen=True, slots=True)
class CancelDelayed(Request[int]):
    """Forget messages that wait for their time; answered with how many. What is being sent stays.

    Attributes:
        member: the bot.
        recipient: to whom; None for any.
        id: the Id.
        slot: those with this slot too; empty for none.
    """

    member: int
    recipient: bytes | None
    id: bytes
    slot: bytes = b""


@dataclass(frozen=True, slots=True)
class FindDue(Request[list[DueMessage]]):
    """Find messages whose time has come, the oldest first.

    Attributes:
        time: now, in seconds since 1970.
        most: how many at most.
    """

    time: float
    most: int


@dataclass(frozen=True, slots=True)
class TakeDelayed(Request[bool]):
    """Note that a message is being sent, so that it is too late to cancel it; answered False if it was cancelled.

    Attributes:
        member: the bot.
        id: its Id.
    """

    member: int
    id: bytes


@dataclass(frozen=True, slots=True)
class SettleDelayed(Request[None]):
    """Forget a message that was sent, or never will be; or note when it is tried again.

    Attributes:
        member: the bot.
        id: its Id.
        again: when it is tried again, in seconds since 1970; None for never.
    """

    member: int
    id: bytes
    again: float | None
