"""TLS handshakes that are under way (docs/protocol.md, rule 8.3)."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.simulation.serving import make_members
from twotick.server import Server, ServerLimits
from twotick.server.tls import make_certificate, server_context
from twotick.store import SqliteStore, StoreLimits
from twotick.wire import NO_USER_REGISTERED, Side, register

HERE, THERE = "127.0.0.1", "127.0.0.2"


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The contexts of a server and of its clients."""
    folder: Path = tmp_path_factory.mktemp("tls")
    certificate, key, _ = make_certificate(folder, [HERE], 10)
    return server_context(certificate, key), ssl.create_default_context(cafile=certificate)


class Clients:
    """A server that encrypts, and its clients."""

    def __init__(self, server: Server, port: int, context: ssl.SSLContext) -> None:
        self.server = server
        self._port = port
        self._context = context
        self._writers: list[asyncio.StreamWriter] = []

    async def connect(self, source: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect without a handshake."""
        reader, writer = await asyncio.open_connection(HERE, self._port, local_addr=(source, 0))
        self._writers.append(writer)
        return reader, writer

    async def speak(self, source: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect with a handshake, and get an answer from the server."""
        reader, writer = await asyncio.open_connection(HERE, self._port, local_addr=(source, 0), ssl=self._context)
        self._writers.append(writer)
        writer.write(b"x\n\n")
        assert await reader.readexactly(len(NO_USER_REGISTERED)) == NO_USER_REGISTERED
        return reader, writer

    def hello(self) -> bytes:
        """Return what a client writes first."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = self._context.wrap_bio(incoming, outgoing, server_hostname=HERE)
        with contextlib.suppress(ssl.SSLWantReadError):
            client.do_handshake()
        return outgoing.read()

    def close(self) -> None:
        for writer in self._writers:
            writer.close()


@contextlib.asynccontextmanager
async def serving(
    limits: ServerLimits, contexts: tuple[ssl.SSLContext, ssl.SSLContext], store: SqliteStore | None = None
) -> AsyncGenerator[Clients, None]:
    server = Server(limits, store)
    _, port = await server.start(HERE, 0, contexts[0])
    clients = Clients(server, port, contexts[1])
    try:
        yield clients
    finally:
        clients.close()
        await server.stop()


async def test_few_handshakes_are_under_way_and_others_wait(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    async with serving(ServerLimits(handshakes=4), contexts) as clients:
        idle = [(await clients.connect(HERE))[1] for _ in range(3)]
        reader, writer = await clients.connect(HERE)
        writer.write(clients.hello())
        answer = asyncio.create_task(reader.read(1))
        await clients.speak(THERE)
        await clients.speak(THERE)
        assert not answer.done()
        idle[0].close()
        assert await answer != b""


async def test_only_a_registered_connection_gets_much_room_for_what_arrives(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    """Rule 8.2."""
    async with serving(ServerLimits(), contexts) as clients:

        def room() -> list[int]:
            return [
                each.transport.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
                for each in clients.server._connections  # pyright: ignore[reportPrivateUsage]
            ]

        reader, writer = await clients.speak(HERE)
        assert room() == [32 << 10], "Linux doubles it"
        writer.write(register(Side.DUPLEX, b"alice"))
        await reader.readuntil(b"\n\n")
        assert room()[0] > 128 << 10


async def test_a_handshake_that_fails_or_never_ends_frees_its_place(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    limits = ServerLimits(handshakes=1, connections=3, register_timeout=0.25)
    async with serving(limits, contexts) as clients:
        for data in (b"no handshake\n\n", b"", clients.hello()[:-1], b"\x16\x03\x01"):
            reader, writer = await clients.connect(HERE)
            writer.write(data)
            assert (b"this port speaks TLS" in await reader.read()) is data.startswith(b"no")  # rule 1.5
            writer.close()
        await clients.speak(HERE)


async def test_connections_without_a_handshake_are_connections(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    async with serving(ServerLimits(handshakes=1, connections=3), contexts) as clients:
        readers = [(await clients.connect(HERE))[0] for _ in range(2)]
        for _ in range(3):
            reader, _ = await clients.connect(HERE)
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
        assert not any(reader.at_eof() for reader in readers)


async def test_a_server_stops_although_handshakes_are_under_way(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    async with serving(ServerLimits(handshakes=1), contexts) as clients:
        ends = [(await clients.connect(HERE))[0] for _ in range(3)]
    for reader in ends:
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""


async def test_a_late_handshake_does_not_make_a_connection_the_newer_one_of_its_device(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], tmp_path: Path
) -> None:
    """Rule 10.7: the last bytes of a program that was killed can arrive after its next run has connected."""
    (token,) = make_members(tmp_path, ("alice", "laptop"))
    registration = register(Side.DUPLEX, b"alice", 1, authorization=b"Bearer " + token.encode())
    async with serving(ServerLimits(), contexts, SqliteStore(tmp_path, StoreLimits())) as clients:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        killed = contexts[1].wrap_bio(incoming, outgoing, server_hostname=HERE)
        reader, writer = await clients.connect(HERE)
        while True:
            try:
                killed.do_handshake()
                break
            except ssl.SSLWantReadError:
                writer.write(outgoing.read())
                incoming.write(await reader.read(1 << 16))
        killed.write(registration)
        its_next_run = await clients.speak(HERE)
        its_next_run[1].write(registration)
        assert b"REGISTERED DUPLEX alice" in await its_next_run[0].readuntil(b"\n\n")
        writer.write(outgoing.read())
        received = b""
        while b"\n\n" not in received:
            incoming.write(await reader.read(1 << 16))
            with contextlib.suppress(ssl.SSLWantReadError):
                received += killed.read()
        assert received.startswith(b"ERROR 108 Replaced")
        its_next_run[1].write(b"DEVICES\n\n")
        assert (await its_next_run[0].readuntil(b"\n\n")).startswith(b"DEVICES")
