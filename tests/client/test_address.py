"""Addresses of servers."""

import pytest

from twotick.client import parse_server
from twotick.client.address import ServerAddress


def encrypted(host: str, port: int | None) -> ServerAddress:
    return ServerAddress(host, port, tls=True, plaintext=False)


def plain(host: str, port: int | None) -> ServerAddress:
    return ServerAddress(host, port, tls=False, plaintext=True)


@pytest.mark.parametrize(
    ("server", "address"),
    [
        ("127.0.0.1:18000", plain("127.0.0.1", 18000)),
        ("127.0.0.1", plain("127.0.0.1", 18000)),
        ("localhost", plain("localhost", 18000)),
        ("[::1]:7", plain("::1", 7)),
        ("[::1]", plain("::1", 18000)),
        ("tls://localhost", encrypted("localhost", 18443)),
        ("TLS://127.0.0.1:7", encrypted("127.0.0.1", 7)),
        ("tls://[::1]", encrypted("::1", 18443)),
        ("chat.example:1", encrypted("chat.example", 1)),
        ("chat.example:65535", encrypted("chat.example", 65535)),
        ("chat.example", encrypted("chat.example", None)),
        ("tls://chat.example", encrypted("chat.example", None)),
        ("[2001:db8::7]", encrypted("2001:db8::7", None)),
    ],
)
def test_other_machines_are_reached_with_tls_and_this_one_without(server: str, address: ServerAddress) -> None:
    assert parse_server(server) == address


@pytest.mark.parametrize(
    ("server", "shown"),
    [
        ("LOCALHOST.", "localhost:18000"),
        ("tls://Localhost:7", "tls://localhost:7"),
        ("Chat.Example.", "chat.example"),
        ("tls://chat.example:7", "chat.example:7"),
        ("[2001:DB8:0::7]", "[2001:db8::7]"),
        ("B.example:7, a.example,b.example:7,[::1]:8", "b.example:7,a.example,[::1]:8"),
        ("tls://localhost:7,localhost:7", "tls://localhost:7,localhost:7"),
    ],
)
def test_an_address_is_shown_in_one_form(server: str, shown: str) -> None:
    assert str(parse_server(server)) == shown
    assert parse_server(shown).is_same(parse_server(server))


@pytest.mark.parametrize(
    ("stored", "given", "same", "meant"),
    [
        ("chat.example", "Chat.example.", True, True),
        ("chat.example", "chat.example:18443", True, True),
        ("chat.example:18443", "chat.example", True, True),
        ("chat.example:7", "chat.example", False, True),
        ("chat.example", "chat.example:7", False, False),
        ("chat.example:7", "chat.example:8", False, False),
        ("chat.example", "other.example", False, False),
        ("127.0.0.1:18000", "127.0.0.1", True, True),
        ("tls://127.0.0.1:18000", "127.0.0.1:18000", False, False),
        ("a.example,b.example", "b.example:18443", True, True),
        ("a.example,b.example", "c.example,b.example,a.example", True, True),
        ("a.example:7,b.example:7", "b.example", False, True),
        ("a.example,b.example", "c.example", False, False),
        ("tls://localhost:7,a.example", "localhost:7", False, False),
    ],
)
def test_which_server_is_meant(stored: str, given: str, same: bool, meant: bool) -> None:
    known, typed = parse_server(stored), parse_server(given)
    assert (known.is_same(typed), known.is_meant_by(typed)) == (same, meant)


@pytest.mark.parametrize(
    "server",
    [
        "",
        ":",
        "a..b:1",
        "x" * 64 + ":1",
        ":1",
        "host:",
        "host:0",
        "host:65536",
        "host:-1",
        "host:1x",
        "host:\u0661",
        "::1",
        "::1:18000",
        "[]:1",
        "tls://",
        "tls://:1",
        "http://host",
        "ex\0ample.com",
        "ex\0ample.com:1",
        "\x1b[31mhost:1",
        "a b.example:1",
        "[::1",
        ",",
        "a.example,,b.example",
        "a.example,",
        "a.example:1,bob@b.example:1",
        "a.example/chat",
    ],
)
def test_invalid_addresses_are_refused(server: str) -> None:
    with pytest.raises(ValueError, match=r"is not HOST:PORT|is ambiguous"):
        parse_server(server)


def test_too_many_addresses_are_refused() -> None:
    with pytest.raises(ValueError, match="these are 17 addresses, and 16 is the limit"):
        parse_server(",".join(f"a.example:{port}" for port in range(1, 18)))


def test_a_choice_of_tls_is_for_each_address() -> None:
    address = parse_server("a.example:7,127.0.0.1").with_tls(True)
    assert [(each.tls, each.plaintext) for each in address.places] == [(True, False), (True, False)]
