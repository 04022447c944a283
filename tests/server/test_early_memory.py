"""Connections that have not registered take no memory, on either port, also without guests (rule 8.2)."""

import contextlib
import ssl
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.cli.commands import Started
from tests.cli.operating import Operator, address
from tests.sockets import Peer
from twotick.server.tls import make_certificate
from twotick.wire import NO_USER_REGISTERED, Side, register, send

MEBIBYTE = 1 << 20
LARGE = send(b"nobody", bytes(MEBIBYTE))
REGISTER = register(Side.SENDING, b"alice")
REFUSED = b"ERROR 100 Malformed username\n\n"


class Served:
    """A server for members only, with a port without TLS and one with it."""

    def __init__(self, process: Started, ports: dict[str, tuple[str, int]], context: ssl.SSLContext) -> None:
        self._status = Path(f"/proc/{process.process.pid}/status")
        self._ports = ports
        self._context = context

    def peak(self) -> int:
        """Return the most bytes of memory that it has had."""
        return int(self._status.read_text().partition("VmHWM:")[2].split()[0]) << 10

    def connect(self, port: str) -> Peer:
        peer = Peer(self._ports[port], "127.0.0.1")
        if port == "tls":
            peer.socket = self._context.wrap_socket(peer.socket, server_hostname="127.0.0.1")
        return peer


@pytest.fixture
def served(tmp_path: Path) -> Generator[Served]:
    certificate, key, _ = make_certificate(tmp_path / "made", ["127.0.0.1"], 10)
    files = {"TLS_CERTIFICATE": str(certificate), "TLS_KEY": str(key)}
    operator = Operator(tmp_path / "data", TLS_PORT="0", GUESTS="no", **files)
    with operator.serving(forked=False) as (process, plain):
        encrypted = address(process.line().removeprefix("listening with TLS on ").split(",")[0])
        context = ssl.create_default_context(cafile=certificate)
        yield Served(process, {"plain": plain, "tls": encrypted}, context)


@pytest.mark.parametrize("port", ["plain", "tls"])
def test_bodies_that_lack_their_last_byte_are_not_kept(served: Served, port: str) -> None:
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(contextlib.closing(served.connect(port))) for _ in range(64)]
        for peer in peers:
            peer.ask(REGISTER, REFUSED)
        before = served.peak()
        for peer in peers:
            peer.write(LARGE[:-1])
        for peer in peers:
            peer.ask(LARGE[-1:], NO_USER_REGISTERED)
        assert served.peak() - before < 16 * MEBIBYTE


@pytest.mark.parametrize("port", ["plain", "tls"])
def test_heads_without_an_end_are_bounded(served: Served, port: str) -> None:
    """Rule 2.7, of as many connections as one address may have such heads on."""
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(contextlib.closing(served.connect(port))) for _ in range(128)]
        for peer in peers:
            peer.ask(REGISTER, REFUSED)
        before = served.peak()
        for peer in peers:
            peer.write(b"SEND bob\nX-a: " + b"x" * 8000)
        for peer in peers:
            peer.ask(b"\n\n", NO_USER_REGISTERED)
        assert served.peak() - before < 16 * MEBIBYTE
