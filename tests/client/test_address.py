"""Addresses of servers."""

import pytest

from twotick.client import parse_server


@pytest.mark.parametrize(
    ("server", "address"),
    [
        ("127.0.0.1:18000", ("127.0.0.1", 18000)),
        ("chat.example:1", ("chat.example", 1)),
        ("chat.example:65535", ("chat.example", 65535)),
        ("chat.example", ("chat.example", 18000)),
        ("[::1]:7", ("::1", 7)),
        ("[::1]", ("::1", 18000)),
    ],
)
def test_the_port_is_18000_if_none_is_given(server: str, address: tuple[str, int]) -> None:
    assert parse_server(server) == address


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
    ],
)
def test_invalid_addresses_are_refused(server: str) -> None:
    with pytest.raises(ValueError, match=r"is not HOST:PORT|is ambiguous"):
        parse_server(server)
