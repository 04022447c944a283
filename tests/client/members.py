"""A server with members, a proxy whose connections break on demand, and scripted servers."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeAlias

from tests.sockets import PATIENCE
from twotick.client import MemberClient, MemberLimits, MemberMessage, MemberReceipt, TwotickError, join
from twotick.exchange import Limits
from twotick.server import Server, ServerLimits, SignUp
from twotick.server.secrets import new_token, token_digest
from twotick.store import AddMember, AddToken, Member, SqliteStore, StoreLimits
from twotick.wire import Frame, HeadCache, Parser, Side, Verb, registered

EAGER = MemberLimits(first_wait=0.001, longest_wait=0.01)
"""Limits with which a client reconnects at once."""


_POLL = 0.002
"""Seconds between two checks of a condition. Threads and other processes can run in between."""


async def until(condition: Callable[[], bool]) -> None:
    """Wait until a condition is true."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(_POLL)


class Chat:
    """A server with members that can be stopped and restarted. Its store is in memory unless it has a folder."""

    def __init__(
        self, folder: Path | None = None, sign_up: SignUp = SignUp.OPEN, limits: ServerLimits | None = None
    ) -> None:
        self._folder = folder
        self._sign_up = sign_up
        self._limits = limits or ServerLimits()
        self._store = SqliteStore(folder, StoreLimits())
        self._members: dict[str, Member] = {}
        self._tokens: dict[tuple[str, str], str] = {}
        self._server: Server | None = None
        self.port = 0

    def token(self, name: str, device: str = "laptop") -> str:
        """Return the token of a device. Before the server starts, create device and member if necessary."""
        if (name, device) not in self._tokens:
            self._tokens[name, device] = token = new_token()
            self._add(name, device, token)
        return self._tokens[name, device]

    def adopt(self, other: "Chat") -> None:
        """Take over the port, members and tokens of another server."""
        self.port = other.port
        self._tokens |= other._tokens
        for (name, device), token in self._tokens.items():
            self._add(name, device, token)

    def _add(self, name: str, device: str, token: str) -> None:
        if name not in self._members:
            (member,) = self._store.apply([AddMember(name, "", time.time())])
            assert isinstance(member, Member)
            self._members[name] = member
        self._store.apply([AddToken(self._members[name].number, device, token_digest(token), time.time())])

    @property
    def server(self) -> Server:
        """The server that runs."""
        assert self._server is not None
        return self._server

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def start(self, **options: Any) -> None:
        if self._server is not None:
            assert self._folder is not None, "a store in memory is gone with its server"
            self._store = SqliteStore(self._folder, StoreLimits())
        self._server = Server(self._limits, self._store, self._sign_up)
        _, self.port = await self._server.start("127.0.0.1", self.port, **options)

    async def stop(self) -> None:
        assert self._server is not None
        await self._server.stop()

    def hurry(self) -> None:
        """Let the server stop without further steps."""
        assert self._server is not None
        self._server.hurry()

    def join(
        self, name: str, token_of: str = "laptop", *, at: str | None = None, **options: Any
    ) -> contextlib.AbstractAsyncContextManager[MemberClient]:
        """Join with a device's token, at the server's address or another one."""
        options = {"token": self._tokens[name, token_of], "limits": EAGER, **options}
        return join(name, at or self.address, **options)


@contextlib.asynccontextmanager
async def chatting(
    *names: str,
    devices: tuple[str, ...] = ("laptop",),
    folder: Path | None = None,
    sign_up: SignUp = SignUp.OPEN,
    limits: ServerLimits | None = None,
    **options: Any,
) -> AsyncGenerator[Chat]:
    """Run a server with these members, each with these devices."""
    chat = Chat(folder, sign_up, limits)
    for name in names:
        for device in devices:
            chat.token(name, device)
    await chat.start(**options)
    try:
        yield chat
    finally:
        await chat.stop()


SHORT_ANSWERS = ServerLimits(exchange=Limits(answer_timeout=0.3))
"""The limits of a server that gives guests little time to take a message."""


class Connections:
    """Records the calls of `on_connection`."""

    def __init__(self) -> None:
        self.told: list[TwotickError | None] = []

    def __call__(self, problem: TwotickError | None) -> None:
        self.told.append(problem)

    @property
    def kinds(self) -> list[type]:
        return [type(problem) for problem in self.told]


async def take(me: MemberClient, count: int) -> list[MemberMessage]:
    """Return the next messages, and acknowledge each."""
    messages: list[MemberMessage] = []
    for _ in range(count):
        messages.append(await me.receive())
        await messages[-1].ack()
    return messages


async def fate(waiting: Coroutine[Any, Any, MemberReceipt]) -> str:
    """Return the name of the state that a receipt reaches, or the text of the error."""
    try:
        return (await waiting).state.name
    except TwotickError as error:
        return str(error)


# Connections that break


class Proxy:
    """A proxy between clients and a server.

    Args:
        port: the port of the server.

    Attributes:
        budget: how many bytes the next connection carries to the server, and from it, before it breaks; None for all.
        away: whether the proxy closes new connections at once.
        instead: what it answers to new connections before it closes them; empty to carry them to the server.
        mute: whether what the server sends is lost.
        deaf: whether what clients send is lost.
        connections: how many connections there have been.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.budget: list[int | None] = [None, None]
        self.away = False
        self.instead = b""
        self.mute = False
        self.deaf = False
        self.connections = 0

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncGenerator[str]:
        """Run the proxy, and give its HOST:PORT."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()
        try:
            yield f"{host}:{port}"
        finally:
            server.close()
            self.cut()
            while self._tasks:
                await asyncio.wait(self._tasks)

    def cut(self) -> None:
        """Break all connections."""
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._writers.add(writer)
        try:
            if self.instead:
                await reader.read(1 << 16)
                writer.write(self.instead)
                writer.close()
                await writer.wait_closed()
            elif not self.away:
                await self._carry_both(reader, writer)
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _carry_both(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        budget = list(self.budget)
        self.budget[:] = [None, None]
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            return  # the client notices it
        self._writers.add(up_writer)
        ways = [
            asyncio.create_task(self._carry(reader, up_writer, budget, 0)),
            asyncio.create_task(self._carry(up_reader, writer, budget, 1)),
        ]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for each in (up_writer, writer):
            each.close()  # after everything is written
        for way in ways:
            way.cancel()
        await asyncio.wait(ways)
        self._writers.discard(up_writer)

    async def _carry(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        budget: list[int | None],
        way: int,
    ) -> None:
        with contextlib.suppress(ConnectionError):  # both ends notice it
            while (left := budget[way]) != 0 and (data := await reader.read(1 << 16)):
                if self.mute if way else self.deaf:
                    continue
                data = data[:left]
                if left is not None:
                    budget[way] = left - len(data)
                writer.write(data)
                await writer.drain()


# Scripted servers


class Spoken:
    """A connection of a scripted server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._parser = Parser(HeadCache(1 << 20))
        self._frames: list[Frame] = []

    async def frame(self) -> Frame:
        """Return the next frame from the client."""
        while not self._frames:
            data = await self._reader.read(1 << 16)
            if not data:
                raise EOFError
            self._frames += self._parser.feed(data)
        return self._frames.pop(0)

    async def expect(self, verb: Verb) -> Frame:
        frame = await self.frame()
        assert frame[0].verb is verb, frame
        return frame

    def write(self, data: bytes) -> None:
        self._writer.write(data)

    async def register(self, seq: int = 0, window: int = 64, max_body: int = 1 << 20) -> Frame:
        """Accept the registration of a device, or of a client that only sends."""
        frame = await self.expect(Verb.REGISTER)
        head, _ = frame
        assert head.side is not None
        if head.side is Side.DUPLEX:
            self.write(registered(head.side, head.name, window, device=b"laptop", seq=seq, max_body=max_body))
        else:
            self.write(registered(head.side, head.name, device=b"laptop", max_body=max_body))
        return frame

    async def end(self) -> None:
        """Wait until the client closes the connection."""
        while await self._reader.read(1 << 16):
            pass


Script: TypeAlias = Callable[[Spoken], Coroutine[Any, Any, None]]
"""Serves one connection, which is closed when it returns. EOFError means that the client has closed it."""


@contextlib.asynccontextmanager
async def scripted(*scripts: Script) -> AsyncGenerator[str]:
    """Run a server in which each script serves one connection, in this order, and give its HOST:PORT.

    The test fails if there are more or fewer connections than scripts.
    """
    left = list(scripts)
    tasks: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.append(task)
        script = left.pop(0)
        with contextlib.suppress(EOFError, ConnectionError):
            await script(Spoken(reader, writer))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    try:
        yield f"{host}:{port}"
        await asyncio.gather(*tasks)
    finally:
        server.close()
        for task in tasks:
            task.cancel()
    assert not left


def scripted_join(address: str, **options: Any) -> contextlib.AbstractAsyncContextManager[MemberClient]:
    """Join a scripted server as alice."""
    options = {"token": "t", "limits": EAGER, **options}
    return join("alice", address, **options)
