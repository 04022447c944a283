"""The receipt of a message that a member sent, which follows the message (docs/protocol.md, rules 11.6 and 12.6)."""

import asyncio
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from twotick.client.errors import TwotickError
from twotick.client.member.events import State


@dataclass(frozen=True, slots=True)
class Outcome:
    """A new state of a message, as the server reports it.

    Attributes:
        id: the message's Id.
        recipient: the recipient; empty if the message failed.
        state: the state.
        seq: the message's number in the member's log; 0 if the server does not say.
        error: the exception for callers that wait, if the message failed.
        place: the message's number in the room; 0 if it was not sent to a room, or the server does not say.
        members: how many other members of the room the message goes to; 0 if it was not sent to a room, or the server
            does not say.
        time: when the server took it; None if the server does not say.
    """

    id: str
    recipient: str
    state: State
    seq: int = 0
    error: TwotickError | None = None
    place: int = 0
    members: int = 0
    time: datetime | None = None


class MemberReceipt:
    """The receipt of a message. It follows the message until the recipient has read it.

    Attributes:
        id: the message's Id.
        recipient: the user or room that it was sent to.
        state: how far the message has got, as far as this client knows.
        seq: the message's number in the member's log; 0 if it is not known.
        place: the message's number in the room; 0 if it was not sent to a room, or the number is not known.
        have: how many members of the room have it (rule 12.6).
        of: how many members of the room it was sent to; 0 if it was not sent to a room, or the number is not known.
        time: when the server took it, which recipients are told (rule 11.14); None if it is not known.
        seconds: the time in seconds between the call that sent it and the latest state.
        order: its position among the messages of the same outbox.
    """

    __slots__ = (
        "__weakref__",
        "_error",
        "_since",
        "_waiting",
        "have",
        "id",
        "of",
        "order",
        "place",
        "recipient",
        "seconds",
        "seq",
        "state",
        "time",
    )

    def __init__(self, ident: str, recipient: str, order: int) -> None:
        self.id = ident
        self.recipient = recipient
        self.order = order
        self.state = State.QUEUED
        self.seq = 0
        self.place = 0
        self.have = 0
        self.of = 0
        self.time: datetime | None = None
        self.seconds = 0.0
        self._since = time.monotonic()
        self._error: TwotickError | None = None
        self._waiting: list[asyncio.Future[None]] = []

    def __repr__(self) -> str:
        return f"MemberReceipt(id={self.id!r}, recipient={self.recipient!r}, {self.state.name})"

    async def accepted(self) -> Self:
        """Wait until the server has the message on disk (rule 11.6). For a guest: until it is delivered.

        Returns:
            This receipt.

        Raises:
            NotDelivered: the recipient does not have the message, and will not get it.
            TwotickError: the client has ended, so the state will not be known.
        """
        return await self._reach(State.ACCEPTED)

    async def delivered(self) -> Self:
        """Wait until a device of the recipient has the message. In a room: until a device of every recipient has it.

        Returns:
            This receipt.

        Raises:
            NotDelivered: the recipient does not have the message, and will not get it.
            TwotickError: the state will not be known, because the client has ended, or because it only sends and its
                connection was lost.
        """
        return await self._reach(State.DELIVERED)

    async def read(self) -> Self:
        """Wait until the recipient has read the message.

        The server never reports this for messages to guests, rooms or `ALL`.

        Returns:
            This receipt.

        Raises:
            NotDelivered: the recipient does not have the message, and will not get it.
            TwotickError: the state will not be known, because the client has ended, or because it only sends and its
                connection was lost.
        """
        return await self._reach(State.READ)

    async def progress(self) -> AsyncGenerator[tuple[int, int], None]:
        """Yield how many members of the room have the message, until all have it (rule 12.6).

        The first pair is what is known now. The server may skip numbers. For a message to a user there are no pairs,
        and the iteration ends when the message is delivered.

        Yields:
            How many members have the message, and how many it was sent to.

        Raises:
            NotDelivered: the server did not accept the message.
            TwotickError: the state will not be known, because the client has ended, or because it only sends and its
                connection was lost.
        """
        told = (0, 0)
        while True:
            if (known := (self.have, self.of)) != told and self.of:
                yield (told := known)
            elif State.DELIVERED <= self.state <= State.READ:
                return
            elif self._error is not None:
                raise self._error
            else:
                await self._changed()

    async def _reach(self, state: State) -> Self:
        while not state <= self.state <= State.READ:
            if self._error is not None:
                raise self._error
            await self._changed()
        return self

    async def _changed(self) -> None:
        """Wait until something changes."""
        changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(changed)
        await changed

    # Called by the client

    def settle(self, outcome: Outcome) -> None:
        """Record what the server reported. For the client's own use."""
        self.seq = outcome.seq or self.seq
        self.place = outcome.place or self.place
        self.of = outcome.members or self.of
        self.time = outcome.time or self.time
        self.advance(outcome.state, outcome.error)

    def advance(self, state: State, error: TwotickError | None = None) -> None:
        """Record a new state, unless a later one is known already. For the client's own use.

        Args:
            state: the new state.
            error: the exception for callers that wait, if the message failed.
        """
        if self.final or state <= self.state:
            return
        self.state = state
        if state is State.DELIVERED:
            self.have = self.of
        self.seconds = time.monotonic() - self._since
        self._error = error
        self._wake()

    def advance_to(self, have: int, of: int) -> None:
        """Record how many members of the room have the message (rule 12.6). For the client's own use.

        Args:
            have: how many members have it.
            of: how many members it was sent to.
        """
        if self.state < State.DELIVERED and (have, of) != (self.have, self.of):
            self.have = have
            self.of = of
            self._wake()

    def give_up(self, error: TwotickError) -> None:
        """Raise `error` in callers that wait: further states will not be known. For the client's own use."""
        if not self.final and self._error is None:
            self._error = error
            self._wake()

    @property
    def final(self) -> bool:
        """Whether the state cannot change any more: the message was read, or it failed."""
        return self.state >= State.READ

    def _wake(self) -> None:
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)
        self._waiting.clear()
