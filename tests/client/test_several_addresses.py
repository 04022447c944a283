"""Clients that know several addresses (rule 9.13)."""

import asyncio
import random
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.client.members import Chat, Connections, Spoken, chatting, scripted, scripted_join, take, until
from tests.machines.machines import HOST, name_server, new_address, see_machines
from twotick.client import KnownServers, MemberLimits, ServerUnreachable, ShuttingDown, State, connect
from twotick.client.address import parse_server
from twotick.client.finding import Ways
from twotick.client.link import Link
from twotick.client.trust.known_servers import CertificateChanged
from twotick.server import Server, ServerLimits
from twotick.server.tls import make_certificate, server_context
from twotick.wire import Frame, HeadCache, Verb, accepted, error


@pytest.fixture(autouse=True)
def in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let clients try the addresses in the order in which they are given."""

    def sample(some: Sequence[Any], count: int) -> list[Any]:
        return list(some)[:count]

    def shuffle(some: list[Any]) -> None:
        pass

    monkeypatch.setattr(random, "sample", sample)
    monkeypatch.setattr(random, "shuffle", shuffle)


@pytest.fixture
async def two() -> AsyncIterator[tuple[Chat, Chat]]:
    """Two servers with the same member, alice."""
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(chatting("alice"))
        second = Chat()
        second.adopt(first)
        second.port = 0
        await second.start()
        stack.push_async_callback(second.stop)
        yield first, second


def _ignore(event: object) -> None:
    pass


@contextmanager
def refusing_port() -> Generator[str]:
    """The address of a port at which no program listens, which no other program gets meanwhile."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{bound.getsockname()[1]}"


@contextmanager
def hanging() -> Generator[str]:
    """The address of a program that is frozen: the system accepts connections for it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


async def test_a_member_goes_to_another_server_when_one_stops(two: tuple[Chat, Chat]) -> None:
    first, second = two
    told = Connections()
    async with first.join("alice", at=f"{first.address},{second.address}", on_connection=told) as alice:
        assert (await alice.send("alice", "on the first")).state >= State.ACCEPTED
        assert [each.text for each in await take(alice, 1)] == ["on the first"]
        await first.stop()
        await until(lambda: told.kinds == [type(None), ShuttingDown, type(None)])
        assert (await alice.send("alice", "on the second")).state >= State.ACCEPTED
    async with second.join("alice", "laptop") as again:
        assert [(each.sender, each.text) for each in await again.history("alice")] == [("alice", "on the second")]


async def test_what_was_not_accepted_is_sent_again_to_another_server_with_its_id() -> None:
    sent: list[tuple[bytes, bytes]] = []

    def note(frame: Frame) -> Frame:
        sent.append((frame[0].headers[b"id"], frame[1]))
        return frame

    async def die(server: Spoken) -> None:
        await server.register()
        note(await server.expect(Verb.SEND))

    async def accept(server: Spoken) -> None:
        await server.register()
        head, _ = note(await server.expect(Verb.SEND))
        server.write(accepted(b"bob", head.headers[b"id"], None))
        await server.end()

    async with scripted(die) as first, scripted(accept) as second, scripted_join(f"{first},{second}") as me:
        await me.send("bob", "hello")
    assert len(sent) == 2
    assert sent[0] == sent[1]


async def test_a_server_that_stops_or_hangs_lets_a_client_go_on_to_the_next_at_once(two: tuple[Chat, Chat]) -> None:
    async def stop(server: Spoken) -> None:
        await server.expect(Verb.REGISTER)
        server.write(error(107, reason=b"the server stops", retry_after=900))

    chat, _ = two
    with hanging() as frozen, refusing_port() as dead:
        async with scripted(stop) as stopping:
            where = f"{dead},{frozen},{stopping},{chat.address}"
            async with chat.join("alice", at=where, limits=MemberLimits(timeout=0.3)) as alice:
                assert (await alice.send("alice", "hello")).state >= State.ACCEPTED


async def test_a_guest_uses_a_server_that_answers(two: tuple[Chat, Chat]) -> None:
    chat, _ = two
    with hanging() as frozen, refusing_port() as dead:
        async with connect("eve", f"{dead},{frozen},{chat.address}", timeout=1.0) as eve:
            receiving = asyncio.create_task(eve.receive())
            sending = asyncio.create_task(eve.send("eve", "hello"))
            message = await receiving
            await message.ack()
            assert (await sending).recipient == "eve"


async def test_if_no_server_answers_each_is_named() -> None:
    with refusing_port() as one, refusing_port() as other:
        problem = f"no server at {one}: Connection refused; no server at {other}: Connection refused"
        for opening in (connect("eve", f"{one},{other}"), scripted_join(f"{one}, {other}")):
            with pytest.raises(ServerUnreachable) as caught:
                async with opening:
                    pass
            assert str(caught.value) == problem


@asynccontextmanager
async def encrypted(folder: Path, host: str, port: int = 0, name: str = "127.0.0.1") -> AsyncGenerator[int]:
    """A server with TLS and a certificate of its own; its port."""
    certificate, key, _ = make_certificate(folder, [name], 10)
    server = Server(ServerLimits())
    _, listening = await server.start(host, port, server_context(certificate, key))
    try:
        yield listening
    finally:
        await server.stop()


async def test_each_address_has_a_certificate_of_its_own_and_a_changed_one_is_told(tmp_path: Path) -> None:
    known = KnownServers(tmp_path / "known")
    async with encrypted(tmp_path / "a", "127.0.0.1") as one, encrypted(tmp_path / "b", "127.0.0.1") as other:
        where = f"tls://127.0.0.1:{one},tls://127.0.0.1:{other}"
        for each in (one, other):
            async with connect("eve", f"tls://127.0.0.1:{each}", known_servers=known):
                pass
        lines = (tmp_path / "known").read_text().splitlines()
        assert [line.split()[0] for line in lines] == [f"127.0.0.1:{one}", f"127.0.0.1:{other}"]
        assert lines[0].split()[1] != lines[1].split()[1]
        (tmp_path / "known").write_text(f"127.0.0.1:{one} SHA256:other\n{lines[1]}\n")
        known.news = None
        async with connect("eve", where, known_servers=known) as eve:
            assert eve.trust is not None
            assert eve.trust.server == f"127.0.0.1:{other}"
        assert known.news is not None
        assert f"THE CERTIFICATE OF 127.0.0.1:{one} HAS CHANGED" in (known.news.warning or "")
        assert (known.news.warning or "").endswith(f"\nUsing 127.0.0.1:{other} with TLS instead.")
        with refusing_port() as dead, pytest.raises(CertificateChanged):  # not that the other one is not there
            async with connect("eve", f"tls://127.0.0.1:{one},tls://{dead}", known_servers=known):
                pass
        # After that, an attacker could also be at the address of a server that was never seen.
        (tmp_path / "known").write_text(f"127.0.0.1:{one} SHA256:other\n")
        with pytest.raises(CertificateChanged):
            async with connect("eve", where, known_servers=known):
                pass
        assert (tmp_path / "known").read_text() == f"127.0.0.1:{one} SHA256:other\n"
        ways = Ways(parse_server(where))
        for _ in range(2):  # the second time, the other address is tried first
            with pytest.raises(CertificateChanged):
                await Link.open(ways, HeadCache(1 << 20), _ignore, _ignore, known)


async def test_a_name_with_several_addresses_leads_to_one_that_answers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    dead, alive = new_address(), new_address()
    with name_server() as dns:
        see_machines(monkeypatch, {HOST: dead}, dns.port)
        one: Callable[..., list[Any]] = socket.getaddrinfo

        def both(host: Any, *arguments: Any, **options: Any) -> list[Any]:
            found = one(host, *arguments, **options)
            return found + one(alive, *arguments, **options) if host == HOST else found

        monkeypatch.setattr(socket, "getaddrinfo", both)
        known = KnownServers(tmp_path / "known")
        async with encrypted(tmp_path / "a", alive, 18443, HOST), connect("eve", HOST, known_servers=known) as eve:
            assert eve.trust is not None
            assert eve.trust.server == f"{HOST}:18443"
        with pytest.raises(ServerUnreachable) as caught:
            async with connect("eve", HOST, known_servers=known):
                pass
        assert str(caught.value) == f"no server at {HOST}:18443 ({alive}) with TLS: Connection refused"
