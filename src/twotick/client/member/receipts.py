"""Receipts that go on: what becomes of a message that a member has sent (docs/protocol.md, rules 11.6 and 12.6)."""

import asyncio
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Self

from twotick.client.errors import TwotickError
from twotick.client.member.events import State


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the server says became of a message.

    Attributes:
        id: the message's Id.
        recipient: whom it was for; empty if it failed.
        state: what became of it.
        seq: its number in the log; 0 if the server does not say.
        error: if it failed, what to tell whoever waits.
        place: its number in the room; 0 if it is not in one, or the server does not say.
        members: how many others in the room it goes to; 0 likewise.
    """

    id: str
    recipient: str
    state: State
    seq: int = 0
    error: TwotickError | None = None
    place: int = 0
    members: int = 0


class MemberReceipt:
    """What becomes of a message, as far as it is known.

    Attributes:
        id: the message's Id.
        recipient: whom it is for.
        state: what is known.
        seq: the message's number in the member's log; 0 if that is not known.
        place: its number in the room that it was sent to; 0 if it was not, or that is not known.
        have: how many members of the room have it (rule 12.6).
        of: how many it went to; 0 if it was not sent to a room, or that is not known.
        seconds: from the call that sent it until its latest state.
        order: the messages of one outbox are numbered in the order of the calls.
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
        self.seconds = 0.0
        self._since = time.monotonic()
        self._error: TwotickError | None = None
        self._waiting: list[asyncio.Future[None]] = []

    def __repr__(self) -> str:
        return f"MemberReceipt(id={self.id!r}, recipient={self.recipient!r}, {self.state.name})"

    async def accepted(self) -> Self:
        """Wait until the server has the message on disk (rule 11.6); for a guest, until it is delivered.

        Raises:
            NotDelivered: the recipient does not have it, and will not get it.
            TwotickError: the client has ended, so that nobody will tell.
        """
        return await self._reach(State.ACCEPTED)

    async def delivered(self) -> Self:
        """Wait until a device of the recipient has the message; of every recipient, if it was sent to a room.

        Raises:
            NotDelivered: the recipient does not have it, and will not get it.
            TwotickError: the client has ended, so that nobody will tell; or it only sends, and its connection was lost.
        """
        return await self._reach(State.DELIVERED)

    async def read(self) -> Self:
        """Wait until the recipient has read the message. Guests never say so, and of `ALL` and rooms it is not told.

        Raises:
            NotDelivered: the recipient does not have it, and will not get it.
            TwotickError: the client has ended, so that nobody will tell; or it only sends, and its connection was lost.
        """
        return await self._reach(State.READ)

    async def progress(self) -> AsyncGenerator[tuple[int, int], None]:
        """Follow how many members of the room have the message, of how many, until all have it (rule 12.6).

        Gives what is known, and then each change that the server tells, which may leave some out. For a message to a
        user there is nothing to give; it ends when the message is delivered.

        Raises:
            NotDelivered: the message was not accepted.
            TwotickError: the client has ended, so that nobody will tell; or it only sends, and its connection was lost.
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
                await self._change()

    async def _reach(self, state: State) -> Self:
        while not state <= self.state <= State.READ:
            if self._error is not None:
                raise self._error
            await self._change()
        return self

    async def _change(self) -> None:
        """Wait until more is known."""
        changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(changed)
        await changed

    # Called by the client

    def settle(self, outcome: Outcome) -> None:
        """The server says what became of the message."""
        self.seq = outcome.seq or self.seq
        self.place = outcome.place or self.place
        self.of = outcome.members or self.of
        self.advance(outcome.state, outcome.error)

    def advance(self, state: State, error: TwotickError | None = None) -> None:
        """More is known; what was known already changes nothing.

        Args:
            state: what is known.
            error: if it failed, what to tell whoever waits.
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
        """So many members of the room have it now (rule 12.6)."""
        if self.state < State.DELIVERED and (have, of) != (self.have, self.of):
            self.have = have
            self.of = of
            self._wake()

    def give_up(self, error: TwotickError) -> None:
        """Nobody will tell what becomes of the message."""
        if not self.final and self._error is None:
            self._error = error
            self._wake()

    @property
    def final(self) -> bool:
        """Whether nothing more can become of the message."""
        return self.state >= State.READ

    def _wake(self) -> None:
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)
        self._waiting.clear()
