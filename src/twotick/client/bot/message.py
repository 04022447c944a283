"""What a bot's handlers are given, and how they answer."""

import hashlib
from typing import TYPE_CHECKING, Final, Unpack

from twotick.client.member.messages import MemberMessage
from twotick.client.member.receipts import MemberReceipt
from twotick.client.member.send_headers import SendOptions

if TYPE_CHECKING:
    from twotick.client.member.client import MemberClient

MARK: Final = "x-bot"
"""The header of a bot's answers. A bot answers no message that has it: two bots never talk to each other for ever."""

_LONGEST_ANSWER: Final = 16 << 10
"""The most characters of an answer. What is longer is cut."""


class CommandError(Exception):
    """A command cannot be executed. A handler raises it, and its text is the answer."""


class BotMessage:
    """A message to a bot.

    Attributes:
        message: the message.
        text: its text, without what addresses the bot. For a reaction: the reaction; empty if it was taken back.
        sender: the user who sent it; `message.is_guest` tells whether that is a guest.
        room: the room that it was sent to; empty if it was sent to the bot alone.
        addressed: whether the bot is addressed.
        client: the bot's client.
        key: names the message for good: it is the same if the bot was killed and is given the message again. A program
            that does something outside can give it as the key that makes the other side do it only once.
    """

    __slots__ = ("_answers", "addressed", "client", "key", "message", "room", "sender", "text")

    def __init__(self, client: "MemberClient", message: MemberMessage, text: str, *, addressed: bool) -> None:
        self.client = client
        self.message = message
        self.text = text
        self.sender = message.sender
        self.room = message.room
        self.addressed = addressed
        # A classic guest's message has no Id; its number and time are as good, unless a backup is restored.
        origin = message.id or f"{message.seq} {message.fields.get('time', '')}"
        # A member who has registered the name of a guest may give the Ids again that the guest gave.
        sender = f"{'guest ' if message.is_guest else ''}{message.sender.lower()}"
        self.key = hashlib.sha256(f"{sender}\n{self.conversation}\n{origin}".encode()).hexdigest()[:32]
        self._answers = 0

    @property
    def conversation(self) -> str:
        """Where an answer goes: the room, or the sender."""
        return self.room or self.sender

    def answer_id(self, number: int) -> str:
        """Return the Id of an answer, by its number from 0. So the same answer is never delivered twice (rule 11.7)."""
        return f"{self.key}.{number}"

    async def reply(self, text: str, **options: Unpack[SendOptions]) -> MemberReceipt:
        """Answer the message, and wait until the server has stored the answer.

        Args:
            text: the answer.
            **options: further properties; see `SendOptions`.

        Returns:
            The receipt of the answer.

        Raises:
            NotDelivered: it cannot be delivered.
            TwotickError: the client has ended.
        """
        ident = self.answer_id(self._answers)
        self._answers += 1
        if len(text) > _LONGEST_ANSWER:
            text = f"{text[:_LONGEST_ANSWER]}\n(cut: the answer was {len(text)} characters long)"
        given: SendOptions = {"id": ident, "headers": {**(options.pop("headers", None) or {}), "X-Bot": "yes"}}
        about = self.message.reacts_to or ((self.sender, self.message.id) if self.message.id else None)
        if about is not None:
            given["reply_to"] = about
        return await self.client.send(self.conversation, text, **{**given, **options})

    async def react(self, text: str) -> MemberReceipt:
        """React to the message, for example with an emoji, and wait until the server has stored that.

        Args:
            text: the reaction, at most 64 bytes of UTF-8.

        Raises:
            NotDelivered: it cannot be delivered.
            TwotickError: the client has ended.
            ValueError: the message has no Id, because a classic guest sent it, or the reaction is too long.
        """
        return await self.client.react(self.conversation, self.message.id, text, sender=self.sender)
