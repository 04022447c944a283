"""Which requests are answered, where it depends on more than a test machine has: addresses, certificates, origins."""

import pytest

from twotick.server.urls import parse_origins
from twotick.server.web.gate import Gate, Turned, Visitor

GATE = Gate(["chat.example", "*.hosts.example"], parse_origins("https://talk.example, http://lan.example:8080/"), [])


def answered(host: str, reached: str = "10.0.0.5") -> bool:
    try:
        GATE.visitor("10.0.0.9", {b"host": host.encode()}, reached=reached)
    except Turned:
        return False
    return True


@pytest.mark.parametrize(
    "host", ["chat.example", "talk.example:1", "lan.example", "one.hosts.example", "10.0.0.5:18080", "LOCALHOST"]
)
def test_names_and_addresses_of_the_server(host: str) -> None:
    """Rule 19.4."""
    assert answered(host)


@pytest.mark.parametrize(
    "host", ["hosts.example", "one.two.hosts.example", "example", "10.0.0.6", "xchat.example", "10.0.0.5.evil"]
)
def test_other_names(host: str) -> None:
    assert not answered(host)


def test_an_ipv6_address_that_was_connected_to() -> None:
    assert answered("[2001:db8::5]:18444", "2001:db8::5")


@pytest.mark.parametrize(
    ("origin", "host", "encrypted", "expected"),
    [
        ("https://chat.example", "chat.example", True, True),
        ("https://chat.example:443", "chat.example", True, True),
        ("https://chat.example", "chat.example:443", True, True),
        ("HTTPS://Chat.Example", "chat.example", True, True),
        ("http://chat.example", "chat.example", True, False),
        ("https://chat.example", "chat.example", False, False),
        ("https://chat.example:444", "chat.example", True, False),
        ("https://talk.example", "chat.example", False, True),
        ("http://lan.example:8080", "chat.example", True, True),
        ("http://lan.example", "chat.example", True, False),
        ("https://chat.example.evil", "chat.example", True, False),
        ("https://chat.example@evil", "chat.example", True, False),
        ("https://evil/chat.example", "chat.example", True, False),
        ("null", "chat.example", True, False),
    ],
)
def test_origins(origin: str, host: str, encrypted: bool, expected: bool) -> None:
    """Rule 19.4."""
    visitor = Visitor("10.0.0.9", encrypted, host)
    if expected:
        GATE.check_origin(visitor, origin)
    else:
        with pytest.raises(Turned, match="is not this server's own"):
            GATE.check_origin(visitor, origin)
