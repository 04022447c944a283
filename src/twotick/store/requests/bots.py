"""Bots: members that may send to some recipients, and do nothing else (docs/protocol.md, section 21)."""

from dataclasses import dataclass

from twotick.store.port import Refusal, Request


@dataclass(frozen=True, slots=True)
class BotRight:
    """What a bot may do in one conversation.

    Attributes:
        name: the user, the room or ALL, as it is shown.
        sends: whether the bot may send there.
        reads: whether it gets what is sent there.
    """

    name: str
    sends: bool
    reads: bool


@dataclass(frozen=True, slots=True)
class BotMember:
    """A bot.

    Attributes:
        number: the store's number for it.
        name: its name as it is shown.
        rights: what it may do, by the names of the conversations.
    """

    number: int
    name: str
    rights: tuple[BotRight, ...]


@dataclass(frozen=True, slots=True)
class AddBot(Request[BotMember | Refusal]):
    """Give a name to a new bot, which has no rights yet; refused if the name has an owner.

    Attributes:
        name: the name.
        time: now, in seconds since 1970.
    """

    name: str
    time: float


@dataclass(frozen=True, slots=True)
class SetBotRight(Request[BotMember | Refusal]):
    """Give a bot rights in a conversation, or take them away; None leaves a right as it is.

    The bot joins the room that is named, and leaves it with its last right there. Refused if there is no such bot or
    recipient, if several private rooms have the name, or if the bot would have too many rights.

    Attributes:
        member: the bot.
        peer: the user, the room or ALL, in any case.
        sends: whether it may send there.
        reads: whether it gets what is sent there.
        time: now, in seconds since 1970.
    """

    member: int
    peer: str
    sends: bool | None
    reads: bool | None
    time: float


@dataclass(frozen=True, slots=True)
class FindBot(Request[BotMember | None]):
    """Find the bot with this number. Answered by None if there is no such member, or if it is no bot."""

    member: int


@dataclass(frozen=True, slots=True)
class ListBots(Request[list[BotMember]]):
    """List all bots, by name."""
