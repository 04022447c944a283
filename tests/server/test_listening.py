"""The sockets on which a server listens."""

import errno
import socket
from collections.abc import Callable
from typing import Any

import pytest

from twotick.server import listening

needs_ipv6 = pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="needs IPv6")


@pytest.fixture
def localhost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Localhost has an address of each kind."""

    def addresses_of(host: str) -> list[str]:
        return ["127.0.0.1", "::1"] if host == "localhost" else [host]

    monkeypatch.setattr(listening, "addresses_of", addresses_of)


def listens(hosts: list[str], port: int = 0) -> list[tuple[str, int]]:
    sockets = listening.open_listeners(hosts, port)
    names = [each.getsockname()[:2] for each in sockets]
    for each in sockets:
        each.close()
    return names


@needs_ipv6
def test_all_addresses_of_a_name_have_one_port(localhost: None) -> None:
    (first, port), (second, other) = listens(["localhost"])
    assert (first, second) == ("127.0.0.1", "::1")
    assert port == other


def test_an_address_that_is_named_twice_is_used_once(localhost: None) -> None:
    assert [host for host, _ in listens(["127.0.0.1", "127.0.0.1"])] == ["127.0.0.1"]


@needs_ipv6
def test_all_addresses_can_be_named_one_kind_at_a_time() -> None:
    assert [host for host, _ in listens(["0.0.0.0", "::"])] == ["0.0.0.0", "::"]


def failing(monkeypatch: pytest.MonkeyPatch, address: str, codes: list[int]) -> None:
    """Let the system refuse an address, once for each error code."""
    create: Callable[..., socket.socket] = socket.create_server

    def create_or_fail(where: tuple[str, int], **options: Any) -> socket.socket:
        if where[0] == address and codes:
            raise OSError(codes.pop(), "no")
        return create(where, **options)

    monkeypatch.setattr(socket, "create_server", create_or_fail)


def test_a_kind_of_address_that_the_system_does_not_use_is_left_out(
    localhost: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, "::1", [errno.EADDRNOTAVAIL])
    assert [host for host, _ in listens(["localhost"])] == ["127.0.0.1"]


@pytest.mark.parametrize("hosts", [["::1"], ["127.0.0.1", "::1"]])
def test_an_address_that_was_asked_for_is_not_left_out(hosts: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, "::1", [errno.EADDRNOTAVAIL])
    with pytest.raises(OSError, match="no"):
        listens(hosts)


@needs_ipv6
def test_a_port_that_is_free_on_one_address_only_is_not_taken(localhost: None, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, "::1", [errno.EADDRINUSE] * 3)
    assert len(listens(["localhost"])) == 2
    failing(monkeypatch, "::1", [errno.EADDRINUSE] * 100)
    with pytest.raises(OSError, match="no"):
        listens(["localhost"])
