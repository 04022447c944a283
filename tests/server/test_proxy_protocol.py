"""Connections of a proxy that says for whom it connects (docs/protocol.md, rule 1.6)."""

import re
import socket
import ssl
from collections.abc import Generator
from contextlib import closing, suppress
from pathlib import Path
from random import Random

import pytest

from tests.server.web.browser import Browser
from tests.server.web.test_proxies import WRONG, free_port, log_in, proxy
from tests.sockets import PATIENCE, Peer, ServerProcess, serving
from tests.tools import needed
from twotick.server import ServerLimits
from twotick.server.proxy_header import ProxyHeader, ProxyHeaderError
from twotick.server.tls import make_certificate
from twotick.wire import NO_USER_REGISTERED

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
PROXY, OTHER = "127.0.0.2", "127.0.0.3"
"""Addresses of this machine: a proxy, and a client that is none."""

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
REFUSED = b"ERROR 104"


def version_2(address: str, command: int = 1, family: int = 0x11, more: bytes = b"") -> bytes:
    kind = socket.AF_INET6 if ":" in address else socket.AF_INET
    body = 2 * socket.inet_pton(kind, address) + b"\x12\x34\x00\x50" + more
    return SIGNATURE + bytes((0x20 | command, family)) + len(body).to_bytes(2) + body


V6 = version_2("2001:db8::7", family=0x21)
V4 = version_2("203.0.113.7", more=b"\x04\x00\x03abc")
GOOD = [
    (b"PROXY TCP4 203.0.113.7 192.0.2.1 56324 443\r\n", "203.0.113.7"),
    (b"PROXY TCP6 2001:db8::7 2001:db8::1 1 65535\r\n", "2001:db8::7"),
    (b"PROXY TCP6 ::ffff:203.0.113.7 ::1 1 2\r\n", "203.0.113.7"),
    (b"PROXY UNKNOWN\r\n", ""),
    (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", ""),
    (V4, "203.0.113.7"),
    (V6, "2001:db8::7"),
    (version_2("::ffff:203.0.113.7", family=0x21), "203.0.113.7"),
    (version_2("203.0.113.7", command=0), ""),
    (version_2("203.0.113.7", family=0x00), ""),
    (version_2("203.0.113.7", family=0x12), ""),  # UDP
    (version_2("203.0.113.7", more=bytes(4000)), "203.0.113.7"),
    (SIGNATURE + b"\x20\x00\x00\x00", ""),
]
BAD = [
    b"PROXY TCP4 203.0.113.7 192.0.2.1 56324 443\n",
    b"PROXY TCP4 203.0.113.7 192.0.2.1 56324 65536\r\n",
    b"PROXY TCP4 203.0.113.256 192.0.2.1 1 2\r\n",
    b"PROXY TCP4 2001:db8::7 2001:db8::1 1 2\r\n",
    b"PROXY TCP6 203.0.113.7 192.0.2.1 1 2\r\n",
    b"PROXY TCP4  203.0.113.7 192.0.2.1 1 2\r\n",
    b"PROXY TCP4 203.0.113.7 192.0.2.1 1\r\n",
    b"PROXY UNKNOWNS\r\n",
    b"PROXY " + b"x" * 101,
    b"proxy TCP4 203.0.113.7 192.0.2.1 1 2\r\n",
    b"REGISTER DUPLEX alice\n\n",
    b"\x16\x03\x01",
    version_2("203.0.113.7", command=2),
    SIGNATURE + b"\x11\x11\x00\x0c" + bytes(12),
    SIGNATURE + b"\x21\x11\x00\x0b" + bytes(11),
    SIGNATURE + b"\x21\x21\x00\x0c" + bytes(12),
    SIGNATURE + b"\x21\x11\xff\xff" + bytes(30),
]


def feed(data: bytes, random: Random) -> tuple[str | None, int]:
    """Give bytes to a header in pieces. Return the address and how many bytes were taken, or raise what it raises."""
    header, taken = ProxyHeader(), 0
    while header.address is None and taken < len(data):
        taken += header.feed(data[taken : taken + random.choice((1, 2, 7, 5000))])
    return header.address, taken


@pytest.mark.parametrize(("header", "address"), GOOD)
def test_a_header_is_read_to_its_last_byte_and_not_further(header: bytes, address: str) -> None:
    for seed in range(20):
        assert feed(header + b"PROXY \r\n\x16", Random(seed)) == (address, len(header))
        assert feed(header[:-1], Random(seed)) == (None, len(header) - 1)


@pytest.mark.parametrize("header", BAD)
def test_what_is_no_header_is_refused(header: bytes) -> None:
    for seed in range(20):
        with pytest.raises(ProxyHeaderError):
            feed(header, Random(seed))


def test_any_bytes_are_a_header_a_beginning_or_refused() -> None:
    random = Random(1)
    good = [header for header, _ in GOOD]
    for _ in range(3000):
        data = bytearray(random.choice(good))
        for _ in range(random.randrange(1, 4)):
            data[random.randrange(len(data))] = random.randrange(256)
        try:
            address, taken = feed(bytes(data), random)
        except ProxyHeaderError:
            continue
        assert taken <= len(data)
        assert address is None or re.fullmatch(r"[0-9a-f:.]*", address)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    made, key, _ = make_certificate(tmp_path_factory.mktemp("tls"), ["chat.example"], 30)
    return made, key


@pytest.fixture(scope="module")
def proxied() -> Generator[ServerProcess]:
    """A server whose proxies say for whom they connect."""
    options = {"trusted_proxies": PROXY, "proxy_protocol": True, "allow_guests": True}
    with serving(ServerLimits(register_timeout=2.0), web=True, web_url="https://chat.example", **options) as server:
        yield server


def test_the_client_that_the_proxy_names_counts(proxied: ServerProcess) -> None:
    """A password needs encryption unless the client is on the machine itself (rule 10.5)."""
    for header, expected in (
        (b"PROXY TCP4 203.0.113.7 192.0.2.1 56324 443\r\n", REFUSED),
        (V6, REFUSED),
        (b"PROXY UNKNOWN\r\n", REFUSED),
        (version_2("127.0.0.1", command=0), REFUSED),
        (version_2("127.0.0.1"), WRONG),
    ):
        with closing(Peer(proxied.address, PROXY).socket) as plain:
            for at in range(0, len(header), 9):
                plain.sendall(header[at : at + 9])
            plain.sendall(log_in(b"alice"))
            answer = plain.recv(1000)
            assert answer.startswith(expected), (header, answer)
            assert (b"encrypted" in answer) is (expected is REFUSED)


def test_delays_after_wrong_passwords_are_each_clients_own(proxied: ServerProcess) -> None:
    """Though one proxy connects for all of them (rule 10.4)."""

    def try_as(client: str, name: bytes) -> bytes:
        with closing(Peer(proxied.address, PROXY).socket) as plain:
            plain.sendall(version_2(client) + log_in(name))
            return plain.recv(1000)

    attempt, answer = 0, WRONG
    while answer == WRONG:
        answer = try_as("127.0.7.7", b"b%d" % attempt)
        attempt += 1
    assert answer.startswith(b"ERROR 105")
    assert try_as("127.0.7.8", b"b") == WRONG


@pytest.mark.parametrize("begin", [*BAD[-7:], b"PROXY TCP4 1.2", b""])
def test_a_proxy_without_a_header_gets_no_answer(proxied: ServerProcess, begin: bytes) -> None:
    """At once if it is malformed, else when it has had its time."""
    peer = Peer(proxied.address, PROXY)
    peer.write(begin)
    # What the server has not read makes the system reset the connection.
    with closing(peer.socket), suppress(ConnectionResetError):
        assert peer.read(1) == b""


def test_others_do_not_say_for_whom_they_connect(proxied: ServerProcess) -> None:
    """What they write is frames, and a header is none."""
    with closing(Peer(proxied.address, OTHER).socket) as plain:
        plain.sendall(b"x\n\n")
        assert plain.recv(1000) == NO_USER_REGISTERED
    with closing(Peer(proxied.address, OTHER).socket) as plain:
        plain.sendall(b"PROXY TCP4 203.0.113.7 192.0.2.1 56324 443\n\n")
        assert plain.recv(1000).startswith(b"ERROR")


def test_the_page_sees_the_client_too(proxied: ServerProcess) -> None:
    """A header of HTTP counts no more: the client could have written it."""
    for client, status in ("203.0.113.7", 200), ("127.0.0.1", 403):
        with closing(Browser(proxied, PROXY)) as browser:
            browser.write(version_2(client))
            assert browser.get("/", host="chat.example", x_forwarded_for="192.0.2.9")[0] == status


def encrypted(port: int, context: ssl.SSLContext, source: str, name: bytes) -> bytes:
    """The answer to a wrong password on a connection with TLS."""
    plain = socket.create_connection(("127.0.0.1", port), PATIENCE, (source, 0))
    with context.wrap_socket(plain, server_hostname="chat.example") as connection:
        connection.sendall(log_in(name))
        return connection.recv(1000)


def test_haproxy_passes_on_connections(certificate: tuple[Path, Path], tmp_path: Path) -> None:
    """By the recipe in docs/operations.md, with TLS from the client to the server, in both versions."""
    haproxy = needed("haproxy", "apt-get install haproxy")
    found = re.search(r"```haproxy\n(.*?)```", OPERATIONS.read_text("utf-8"), re.DOTALL)
    assert found
    port, behind = free_port(), free_port()
    options = {"trusted_proxies": "127.0.0.1", "proxy_protocol": True, "allow_guests": True}
    paths = {"tls_certificate": str(certificate[0]), "tls_key": str(certificate[1])}
    with serving(ServerLimits(), tls_port=behind, **options, **paths):
        for version in ("send-proxy-v2", "send-proxy"):
            recipe = (
                found[1]
                .replace("bind :18443", f"bind 127.0.0.1:{port}")
                .replace("127.0.0.1:28443", f"127.0.0.1:{behind}")
            )
            assert "send-proxy-v2" in recipe
            file = tmp_path / "haproxy.cfg"
            file.write_text(recipe.replace("send-proxy-v2", version))
            context = ssl.create_default_context(cafile=str(certificate[0]))
            with proxy([haproxy, "-db", "-f", str(file)], port):
                client = f"127.0.9.{len(version)}"
                attempt, answer = 0, WRONG
                while answer == WRONG:
                    answer = encrypted(port, context, client, b"c%d" % attempt)
                    attempt += 1
                assert answer.startswith(b"ERROR 105")
                assert encrypted(port, context, "127.0.9.1", b"d") == WRONG
