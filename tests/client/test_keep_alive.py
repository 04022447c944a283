"""Servers and clients that vanish behind a relay that stays (docs/protocol.md, rule 9.10)."""

import asyncio
import contextlib
import sys
from pathlib import Path

import pytest

from tests.client.members import Connections, Proxy, chatting, take, until
from tests.sockets import PATIENCE
from twotick.client import ConnectionLost, connect, link
from twotick.client.trust.known_servers import KnownServers
from twotick.exchange import Limits
from twotick.server import ServerLimits
from twotick.server.tls import make_certificate, server_context

VANISHED = "the server has vanished: it answers nothing"
QUICK = ServerLimits(exchange=Limits(peer_timeout=0.1))


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients give up soon."""
    monkeypatch.setattr(link, "_SILENCE", 0.2)


async def test_a_member_connects_again_when_the_server_vanishes() -> None:
    told = Connections()
    async with chatting("alice", "bob") as chat:
        proxy = Proxy(chat.port)
        async with (
            proxy.listening() as address,
            chat.join("alice") as alice,
            chat.join("bob", at=address, on_connection=told) as bob,
        ):
            proxy.mute = True
            await alice.send("bob", "hello")
            await until(lambda: len(told.told) > 1)
            assert isinstance(told.told[1], ConnectionLost)
            assert str(told.told[1]) == VANISHED
            proxy.mute = False
            proxy.cut()
            assert [message.text for message in await take(bob, 1)] == ["hello"]


@pytest.mark.parametrize("silent", ["mute", "deaf"])
async def test_a_guest_ends_when_the_server_vanishes(silent: str) -> None:
    async with chatting() as chat:
        proxy = Proxy(chat.port)
        async with proxy.listening() as address, connect("carol", address, window=2) as carol:
            setattr(proxy, silent, True)
            with pytest.raises(ConnectionLost, match=VANISHED):
                await carol.receive()


async def test_who_does_not_read_does_not_take_the_server_for_vanished() -> None:
    """Its answers wait unread. As soon as they are read, they count."""
    async with (
        chatting() as chat,
        connect("alice", chat.address, window=2) as alice,
        connect("bob", chat.address, window=256) as bob,
    ):
        receiving = bob._receiving  # pyright: ignore[reportPrivateUsage]
        receiving.read(False)
        for _ in range(8):
            receiving._watch(1000.0)  # pyright: ignore[reportPrivateUsage]
        receiving.read(True)
        receipt = asyncio.create_task(alice.send("bob", "hello"))
        await (await bob.receive()).ack()
        assert (await receipt).recipient == "bob"


async def test_the_server_notices_that_a_client_has_vanished() -> None:
    """The device is not connected any more, although the relay keeps its connection open."""
    async with chatting("alice", devices=("laptop", "phone"), limits=QUICK) as chat:
        proxy = Proxy(chat.port)
        async with (
            proxy.listening() as address,
            chat.join("alice", "laptop") as laptop,
            chat.join("alice", "phone", at=address),
        ):
            assert {each.device for each in await laptop.devices() if each.connected} == {"laptop", "phone"}
            proxy.mute = proxy.deaf = True
            async with asyncio.timeout(PATIENCE):
                while {each.device for each in await laptop.devices() if each.connected} != {"laptop"}:
                    pass


def timers(port: int) -> list[tuple[str, int]]:
    """Return the kind of the timer of each end of the connections to a port, and how many seconds it has left."""
    found: list[tuple[str, int]] = []
    for row in Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]:
        _, local, remote, state, _, timer, *_ = row.split()
        if state == "01" and f":{port:04X}" in (local[-5:], remote[-5:]):
            kind, _, left = timer.partition(":")
            found.append((kind, int(left, 16) // 100))
    return found


KEEP_ALIVE = "02"
"""The number of the timer for keep-alive probes in /proc/net/tcp."""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows the timers of connections")
@pytest.mark.parametrize("encrypted", [False, True])
async def test_the_system_watches_both_ends_of_each_connection(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, encrypted: bool
) -> None:
    """Rule 8.4: also those of classic clients, which know nothing of it."""
    monkeypatch.setattr(link, "_SILENCE", 120)
    certificate, key, _ = make_certificate(tmp_path, ["127.0.0.1"], 10)
    context = server_context(certificate, key) if encrypted else None
    async with chatting("bob", tls=context) as chat, contextlib.AsyncExitStack() as stack:
        if encrypted:
            known = KnownServers(tmp_path / "known")
            await stack.enter_async_context(chat.join("bob", tls=True, known_servers=known))
        else:
            await stack.enter_async_context(connect("alice", chat.address))
        await until(lambda: {kind for kind, _ in timers(chat.port)} == {KEEP_ALIVE})
        assert all(30 < left <= 60 for _, left in timers(chat.port))
