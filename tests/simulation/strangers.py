"""Guests that do not use the client library: a classic client, and one of the extended profile without a login."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from tests.simulation.programs import ADDRESS, GuestUser
from twotick.client import ConnectionLost, NameTaken, NotDelivered
from twotick.net import keep_alive
from twotick.wire import Frame, HeadCache, Parser, Side, Verb, frame, received, register, send

_TIMEOUT = 120.0
"""The seconds after which a connection to a machine that has vanished is broken."""


@dataclass(frozen=True)
class _Text:
    """A message that came, or the receipt of one that was sent."""

    sender: str = ""
    text: str = ""
    recipient: str = ""


class _Line(asyncio.Protocol):
    """A connection.

    Attributes:
        frames: what has come; None is the end.
    """

    def __init__(self) -> None:
        self.frames: asyncio.Queue[Frame | None] = asyncio.Queue()
        self.transport: Any = None
        self._parser = Parser(HeadCache(1 << 20))

    @classmethod
    async def open(cls, registration: bytes) -> "_Line":
        host, port = ADDRESS.split(":")
        try:
            async with asyncio.timeout(20):
                _, line = await asyncio.get_running_loop().create_connection(cls, host, int(port))
                line.transport.write(registration)
                answer = await line.frames.get()
        except OSError as error:
            raise ConnectionLost(str(error)) from error
        if answer is None:
            raise ConnectionLost("the connection ended")
        if answer[0].verb is not Verb.REGISTERED:
            line.transport.close()
            raise NameTaken(str(answer[0].code))
        return line

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        keep_alive(transport.get_extra_info("socket"), _TIMEOUT)

    def data_received(self, data: bytes) -> None:
        for each in self._parser.feed(data):
            self.frames.put_nowait(each)

    def connection_lost(self, exc: Exception | None) -> None:
        self.frames.put_nowait(None)


class _Client:
    """What both clients do: read until the connection ends, and give messages and answers out.

    Args:
        name: the guest's name.
        problems: takes what must not happen.
    """

    def __init__(self, name: str, problems: list[str]) -> None:
        self.name = name
        self.problems = problems
        self._lines: list[_Line] = []
        self._messages: asyncio.Queue[Frame | None] = asyncio.Queue()
        self._waiting: list[asyncio.Future[None]] = []
        self._reading: list[asyncio.Task[None]] = []

    async def _open(self, side: Side, window: int | None) -> None:
        line = await _Line.open(register(side, self.name.encode(), window))
        self._lines.append(line)
        self._reading.append(asyncio.create_task(self._read(line)))

    async def _read(self, line: _Line) -> None:
        while (each := await line.frames.get()) is not None:
            head = each[0]
            if head.verb is Verb.FORWARD:
                self._messages.put_nowait(each)
            elif head.verb is not Verb.ERROR or head.code == NotDelivered.code:
                self._answered(each)
            else:
                break
        self._messages.put_nowait(None)
        for future in self._waiting:
            if not future.done():
                future.set_exception(ConnectionLost("the connection ended"))

    def _answered(self, answer: Frame) -> None:
        raise NotImplementedError

    def _expect(self) -> "asyncio.Future[None]":
        """Return a future for an answer; `_conclude` sets it."""
        if any(task.done() for task in self._reading):
            raise ConnectionLost("the connection ended")
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        return future

    def _conclude(self, future: "asyncio.Future[None]", answer: Frame) -> None:
        if future.done():
            return
        if answer[0].verb is Verb.ERROR:
            future.set_exception(NotDelivered("102"))
        else:
            future.set_result(None)

    async def __aiter__(self) -> AsyncGenerator[_Text, None]:
        while (each := await self._messages.get()) is not None:
            head, body = each
            yield _Text(head.name.decode(), body.decode())
            self._lines[-1].transport.write(received(head.name))

    async def __aexit__(self, *error: object) -> None:
        for task in self._reading:
            task.cancel()
        await asyncio.gather(*self._reading, return_exceptions=True)
        for line in self._lines:
            line.transport.close()


class _ClassicClient(_Client):
    """A client of the classic protocol: two connections, no headers, and answers in the order of the messages."""

    def __init__(self, name: str, problems: list[str]) -> None:
        super().__init__(name, problems)
        self._unanswered: deque[tuple[str, asyncio.Future[None]]] = deque()

    async def __aenter__(self) -> Self:
        try:
            await self._open(Side.SENDING, None)
            await self._open(Side.RECEIVING, None)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def send(self, recipient: str, text: str) -> _Text:
        future = self._expect()
        self._unanswered.append((recipient, future))
        self._lines[0].transport.write(send(recipient.encode(), text.encode()))
        await future
        return _Text(recipient=recipient)

    def _answered(self, answer: Frame) -> None:
        if not self._unanswered:
            self.problems.append(f"{self.name} was given an answer to nothing: {answer}")
            return
        recipient, future = self._unanswered.popleft()
        if answer[0].verb is not Verb.ERROR and answer[0].name.decode() != recipient:
            self.problems.append(f"{self.name} was given the answer {answer} to a message to {recipient}")
        self._conclude(future, answer)


class _ExtendedClient(_Client):
    """A guest with one connection of the extended profile: Ids, and answers in any order."""

    _numbers: ClassVar[dict[str, int]] = {}  # no Id is used twice, also not by a later process

    def __init__(self, name: str, problems: list[str]) -> None:
        super().__init__(name, problems)
        self._sent: dict[bytes, tuple[list[Verb], asyncio.Future[None]]] = {}

    async def __aenter__(self) -> Self:
        await self._open(Side.DUPLEX, 8)
        return self

    async def send(self, recipient: str, text: str) -> _Text:
        number = self._numbers[self.name] = self._numbers.get(self.name, 0) + 1
        ident = f"{self.name}-{number}".encode()
        future = self._expect()
        self._sent[ident] = [], future
        self._lines[0].transport.write(frame(Verb.SEND, recipient.encode(), text.encode(), b"", id=ident))
        await future
        return _Text(recipient=recipient)

    def _answered(self, answer: Frame) -> None:
        head = answer[0]
        verbs, future = self._sent[head.headers[b"id"]]
        verbs.append(head.verb)
        if verbs not in _ANSWERS:
            self.problems.append(f"{self.name} was given the answers {verbs} to a message")
        if head.verb is not Verb.ACCEPTED:
            self._conclude(future, answer)


_TAKEN = ([Verb.SENT], [Verb.ACCEPTED], [Verb.ACCEPTED, Verb.SENT], [Verb.ACCEPTED, Verb.SENT, Verb.READ])
_ANSWERS = (*_TAKEN, [Verb.ERROR], [Verb.ACCEPTED, Verb.ERROR], [Verb.ACCEPTED, Verb.READ])
"""What a message of an extended guest may be answered (rule 11.6)."""


class ClassicGuest(GuestUser):
    """A guest with a classic client."""

    def _connect(self) -> AbstractAsyncContextManager[Any]:
        return _ClassicClient(self.name, self.problems)


class ExtendedGuest(GuestUser):
    """A guest with a client of the extended profile."""

    def _connect(self) -> AbstractAsyncContextManager[Any]:
        return _ExtendedClient(self.name, self.problems)
