"""Where a server is, and how it is reached (rule 1.5)."""

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.machines.machines import HOST, NameServer, name_server, new_address, see_machines
from twotick.client import (
    ConnectionLost,
    KnownServers,
    NotEncrypted,
    ProtocolError,
    ServerUnreachable,
    connect,
    join,
)
from twotick.client import finding as client_finding
from twotick.client.address import parse_server
from twotick.client.finding import Route, routes
from twotick.client.trust.known_servers import CertificateChanged, TrustError, Verdict
from twotick.server import Server, ServerLimits
from twotick.server.tls import make_certificate, server_context


@pytest.fixture
def context(tmp_path: Path) -> ssl.SSLContext:
    certificate, key, _ = make_certificate(tmp_path / "tls", [HOST], 10)
    return server_context(certificate, key)


@pytest.fixture
def known(tmp_path: Path) -> KnownServers:
    return KnownServers(tmp_path / "known_servers")


@asynccontextmanager
async def serving(*listeners: tuple[str, int, ssl.SSLContext | None]) -> AsyncGenerator[list[int]]:
    """Run a server for guests that listens on these addresses and ports."""
    server = Server(ServerLimits())
    try:
        yield [(await server.start(*each))[1] for each in listeners]
    finally:
        await server.stop()


def finding(monkeypatch: pytest.MonkeyPatch, dns: NameServer, **hosts: str) -> None:
    see_machines(
        monkeypatch, {HOST: hosts["chat"], **{f"{name}.example": each for name, each in hosts.items()}}, dns.port
    )


async def test_without_a_port_it_is_tls_on_18443(
    monkeypatch: pytest.MonkeyPatch, context: ssl.SSLContext, known: KnownServers
) -> None:
    chat = new_address()
    async with serving((chat, 18443, context), (chat, 18000, None)):
        with name_server() as dns:
            finding(monkeypatch, dns, chat=chat)
            for verdict in (Verdict.FIRST_USE, Verdict.KNOWN):
                async with connect("alice", HOST, known_servers=known) as alice:
                    assert alice.trust is not None
                    assert (alice.trust.verdict, alice.trust.server) == (verdict, f"{HOST}:18443")
            assert set(dns.asked) == {f"_twotick._tcp.{HOST}."}


async def test_a_server_without_tls_is_found_only_if_that_is_allowed(
    monkeypatch: pytest.MonkeyPatch, known: KnownServers
) -> None:
    chat = new_address()
    async with serving((chat, 18000, None)):
        with name_server() as dns:
            finding(monkeypatch, dns, chat=chat)
            with pytest.raises(ServerUnreachable, match=f"no server at {HOST}:18443"):
                async with connect("alice", HOST, known_servers=known):
                    pass
            async with connect("alice", HOST, tls=False, known_servers=known) as alice:
                assert alice.trust is None


async def test_plain_text_that_is_allowed_is_not_preferred(
    monkeypatch: pytest.MonkeyPatch, context: ssl.SSLContext, known: KnownServers
) -> None:
    chat = new_address()
    async with serving((chat, 18443, context), (chat, 18000, None)):
        with name_server() as dns:
            finding(monkeypatch, dns, chat=chat)
            async with connect("alice", HOST, tls=False, known_servers=known) as alice:
                assert alice.trust is not None


async def test_a_member_sends_no_token_without_tls_to_another_machine(
    monkeypatch: pytest.MonkeyPatch, known: KnownServers
) -> None:
    chat = new_address()

    def nowhere(address: str) -> bool:
        return False

    monkeypatch.setattr("twotick.client.member.reconnecting.is_loopback", nowhere)
    async with serving((chat, 18000, None)):
        with name_server() as dns:
            finding(monkeypatch, dns, chat=chat)
            with pytest.raises(NotEncrypted):
                async with join("alice", HOST, token="t", tls=False, known_servers=known):
                    pass


async def test_the_dns_names_host_and_port(
    monkeypatch: pytest.MonkeyPatch, context: ssl.SSLContext, known: KnownServers
) -> None:
    """The certificate is that of the name that was given."""
    chat, far = new_address(), new_address()
    async with serving((far, 0, context)) as (port,):
        with name_server(f"0 5 {port} far.example.", "9 5 7 gone.example.") as dns:
            finding(monkeypatch, dns, chat=chat, far=far)
            async with connect("alice", HOST, known_servers=known) as alice:
                assert alice.trust is not None
                assert (alice.trust.verdict, alice.trust.server) == (Verdict.FIRST_USE, f"{HOST}:18443")
            dns.records = [f"9 5 {port} far.example.", "0 5 7 gone.example."]
            async with connect("alice", HOST, known_servers=known) as alice:
                assert alice.trust is not None
                assert alice.trust.verdict is Verdict.KNOWN


async def test_the_dns_cannot_lead_to_a_server_with_another_certificate(
    monkeypatch: pytest.MonkeyPatch, context: ssl.SSLContext, known: KnownServers, tmp_path: Path
) -> None:
    """Also not to another port, whose certificate would be new."""
    chat, far = new_address(), new_address()
    certificate, key, _ = make_certificate(tmp_path / "other", [HOST], 10)
    async with serving((chat, 18443, context), (far, 0, server_context(certificate, key))) as (_, port):
        with name_server() as dns:
            finding(monkeypatch, dns, chat=chat, far=far)
            async with connect("alice", HOST, known_servers=known):
                pass
            dns.records = [f"0 5 {port} far.example."]
            with pytest.raises(CertificateChanged):
                async with connect("alice", HOST, known_servers=known):
                    pass


async def test_the_dns_says_that_there_is_no_server(monkeypatch: pytest.MonkeyPatch, known: KnownServers) -> None:
    with name_server("0 0 0 .") as dns:
        finding(monkeypatch, dns, chat=new_address())
        with pytest.raises(ServerUnreachable, match=f"{HOST} has no Twotick server, as the DNS says"):
            async with connect("alice", HOST, known_servers=known):
                pass


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "tls://localhost", "192.0.2.7", "[2001:db8::7]", "box", f"{HOST}:7"]
)
async def test_the_dns_is_asked_only_for_names_without_a_port(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    with name_server() as dns:
        finding(monkeypatch, dns, chat=new_address())
        address = parse_server(host)
        assert await routes(address) == [Route(address.host, address.port or 18443, address.tls)]
        assert dns.asked == []


async def test_a_dns_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_finding, "_PATIENCE", 0.05)
    with name_server(silent=True) as dns:
        finding(monkeypatch, dns, chat=new_address())
        assert await routes(parse_server(HOST)) == [Route(HOST, 18443, tls=True)]
        assert dns.asked


async def test_the_dns_may_name_any_number_of_places(monkeypatch: pytest.MonkeyPatch) -> None:
    with name_server(*(f"{each} 0 {each + 1} far.example." for each in range(9))) as dns:
        finding(monkeypatch, dns, chat=new_address())
        assert await routes(parse_server(HOST)) == [Route("far.example", each + 1, tls=True) for each in range(4)]


# The wrong port


async def wrong_port(server: str, tls: bool | None, known: KnownServers, as_member: bool) -> str:
    """Connect to a port that speaks otherwise, and return what the user is told."""
    with pytest.raises((TrustError, ProtocolError, ConnectionLost)) as caught:
        async with (
            join("alice", server, token="t", tls=tls, known_servers=known)
            if as_member
            else connect("alice", server, tls=tls, known_servers=known)
        ):
            pass
    return str(caught.value)


@pytest.mark.parametrize("as_member", [False, True])
async def test_tls_to_a_port_without_it(known: KnownServers, as_member: bool) -> None:
    async with serving(("127.0.0.1", 0, None)) as (port,):
        said = await wrong_port(f"tls://127.0.0.1:{port}", None, known, as_member)
        assert said.startswith(f"127.0.0.1:{port} does not speak TLS, and nothing was sent.")


@pytest.mark.parametrize("as_member", [False, True])
async def test_no_tls_to_a_port_with_it(context: ssl.SSLContext, known: KnownServers, as_member: bool) -> None:
    async with serving(("127.0.0.1", 0, context)) as (port,):
        said = await wrong_port(f"127.0.0.1:{port}", None, known, as_member)
        assert "this port speaks TLS, and the connection is without" in said


@pytest.mark.parametrize("as_member", [False, True])
async def test_no_tls_to_another_program_that_speaks_it(known: KnownServers, as_member: bool) -> None:
    """It answers with an alert of TLS, as programs that use OpenSSL do."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            for _ in range(1 if as_member else 2):  # a guest tries again without asking for reasons (rule 7.5)
                connection, _ = listener.accept()
                with connection:
                    connection.recv(1000)
                    connection.sendall(b"\x15\x03\x01\x00\x02\x02\x46")
                    connection.recv(1000)

        thread = threading.Thread(target=answer)
        thread.start()
        said = await wrong_port(f"127.0.0.1:{listener.getsockname()[1]}", None, known, as_member)
        thread.join()
    assert "this port speaks TLS, and the connection is without" in said


async def test_tls_through_a_tunnel_on_this_machine(context: ssl.SSLContext, known: KnownServers) -> None:
    async with serving(("127.0.0.1", 0, context)) as (port,):
        address = f"tls://localhost:{port}"
        async with (
            connect("bob", address, known_servers=known) as bob,
            connect("alice", address, known_servers=known) as alice,
        ):
            assert alice.trust is not None
            assert alice.trust.server == f"localhost:{port}"
            sending = asyncio.create_task(alice.send("bob", "hello"))
            message = await bob.receive()
            await message.ack()
            assert (await sending).recipient == "bob"


async def test_the_next_way_is_tried_if_the_first_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, known: KnownServers
) -> None:
    """A firewall may drop what comes to the port for TLS."""
    chat = new_address()
    monkeypatch.setattr("twotick.client.link._PATIENCE", 0.05)
    with socket.create_server((chat, 18443)), name_server() as dns:
        finding(monkeypatch, dns, chat=chat)
        async with serving((chat, 18000, None)), connect("alice", HOST, tls=False, known_servers=known) as alice:
            assert alice.trust is None
