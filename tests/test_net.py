"""Addresses, names of servers, fingerprints."""

import pytest

from twotick.net import fingerprint, is_loopback, network_of, server_name


@pytest.mark.parametrize("address", ["127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.1", "0:0::0:1"])
def test_this_machine(address: str) -> None:
    assert is_loopback(address)


@pytest.mark.parametrize(
    "address",
    ["", "localhost", "127.0.0.1.example.org", "128.0.0.1", "10.0.0.1", "0.0.0.0", "::", "::2", "::ffff:10.0.0.1",
     "fe80::1%eth0", "127.1", "/run/twotick"],
)  # fmt: skip
def test_other_machines(address: str) -> None:
    assert not is_loopback(address)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8::1", "20010db800000000"),
        ("2001:db8::ffff:1", "20010db800000000"),
        ("2001:db8:0:1::1", "20010db800000001"),
        ("somewhere", "somewhere"),
        ("some:where", "some:where"),
    ],
)
def test_what_is_one_address(address: str, network: str) -> None:
    assert network_of(address) == network


@pytest.mark.parametrize(
    ("host", "named"),
    [
        ("Chat.Example.org", "chat.example.org:18000"),
        ("chat.example.org.", "chat.example.org:18000"),
        ("127.0.0.1", "127.0.0.1:18000"),
        ("::1", "[::1]:18000"),
        ("2001:DB8:0:0::1", "[2001:db8::1]:18000"),
    ],
)
def test_a_server_has_one_name(host: str, named: str) -> None:
    assert server_name(host, 18000) == named


def test_a_fingerprint_looks_as_in_ssh() -> None:
    assert fingerprint(b"") == "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"
