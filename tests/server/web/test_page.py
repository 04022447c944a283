"""The web page and its WebSocket (docs/protocol.md, section 19)."""

import gzip
import signal
import socket
import ssl
from collections.abc import Callable
from contextlib import ExitStack, closing
from itertools import pairwise
from pathlib import Path

import pytest

from tests.server.web.browser import Browser, binary, frame
from tests.sockets import PATIENCE, serving
from twotick.server import ServerLimits
from twotick.server.tls import make_certificate
from twotick.wire import HeadCache, Parser

Connect = Callable[[], Browser]

REGISTER = b"REGISTER DUPLEX %b\nWindow: 9\n\n"
REGISTERED = b"REGISTERED DUPLEX %b\nWindow: 9\nMax-body: 1048576\n\n"


def test_files_come_with_headers_that_forbid_what_the_page_does_not_need(browser: Connect) -> None:
    peer = browser()
    status, headers, body = peer.get("/", accept_encoding="br, gzip")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert headers["cache-control"] == "no-cache"
    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    packed = headers.get("content-encoding") == "gzip"
    content = gzip.decompress(body) if packed else body
    plain = peer.get("/index.html?v=1")
    assert plain[2] == content
    assert (plain[1]["etag"] != headers["etag"]) is packed
    again = peer.get("/", accept_encoding="br, gzip", if_none_match=headers["etag"])
    assert (again[0], again[1]["etag"], again[2]) == (304, headers["etag"], b"")
    peer.request("/", method="HEAD")
    status, headers, _ = peer.answer("HEAD")
    assert (status, int(headers["content-length"])) == (200, len(content))


@pytest.mark.parametrize("path", ["/nothing", "/../serving.py", "/%2e%2e/", "//", "/index.html/", "/static/index.html"])
def test_what_is_no_file_is_not_there(browser: Connect, path: str) -> None:
    status, headers, _ = browser().get(path)
    assert (status, headers["content-type"]) == (404, "text/plain; charset=utf-8")


def test_the_page_learns_what_the_server_allows(browser: Connect) -> None:
    """Rule 19.5."""
    info = browser().info()
    assert info.pop("version")
    assert info == {"sign_up": "closed", "guests": True, "max_body": 1 << 20, "file_bytes": 100 << 20}


def test_a_websocket_carries_frames_as_they_are(browser: Connect) -> None:
    """Rule 19.2."""
    alice, bob = browser().open(), browser().open(origin=None)
    alice.ask(REGISTER % b"alice", REGISTERED % b"alice")
    bob.ask(REGISTER % b"bob", REGISTERED % b"bob")
    body = bytes(range(256)) * 1024
    sent = b"SEND bob\nContent-length: %d\nId: m1\nTime: now\n\n%b" % (len(body), body)
    cuts = [0, 1, 5, 70_000, 70_001, len(sent)]
    parts = [sent[begin:end] for begin, end in pairwise(cuts)]
    alice.write(frame(2, parts[0], final=False) + frame(0, parts[1], final=False) + frame(9, b"there?"))
    assert alice.message() == (10, b"there?")
    alice.write(frame(0, b"", final=False) + frame(0, parts[2]) + binary(parts[3]) + binary(b"") + binary(parts[4]))
    opcode, received = bob.message()
    assert (opcode, received[-len(body) :]) == (2, body)
    assert received.startswith(b"FORWARD alice\nContent-length: 262144\nId: m1\nTime: now\nAccepted: 20")
    bob.write(binary(b"RECEIVED alice\n\n"))
    assert alice.message() == (2, b"SEND bob\nId: m1\n\n")
    bob.write(frame(8, b"\x03\xe8bye"))
    assert bob.closed() == (1000, "")
    alice.ask(
        b"SEND bob\nContent-length: 0\nId: m2\n\n",
        b"ERROR 102 Unable to send\nId: m2\nReason: bob is not connected\n\n",
    )


def test_bytes_that_come_with_the_request_belong_to_the_websocket(browser: Connect) -> None:
    peer = browser()
    request = (
        f"GET /connect HTTP/1.1\r\nHost: {peer.host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    peer.write(request.encode() + binary(REGISTER % b"early"))
    assert peer.answer()[0] == 101
    assert peer.message() == (2, REGISTERED % b"early")


def test_a_server_that_stops_says_so() -> None:
    """Rules 4.10 and 19.6."""
    with serving(ServerLimits(), web=True) as server:
        peer, idle, other = Browser(server).open(), Browser(server), Browser(server).open()
        peer.ask(REGISTER % b"alice", REGISTERED % b"alice")
        assert idle.get()[0] == 200
    assert peer.message() == (2, b"ERROR 107 Shutting down\nReason: the server stops\n\n")
    assert peer.closed() == (1001, "the server stops")
    assert other.closed() == (1001, "the server stops")
    assert idle.answer() == (0, {}, b"")
    for each in (peer, idle, other):
        each.close()


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "localhost.evil.example", "10.0.0.1", "[::2]"])
def test_a_name_that_is_not_the_servers_is_refused(browser: Connect, host: str) -> None:
    """DNS rebinding (rule 19.4)."""
    status, _, body = browser().get("/", host=host)
    assert (status, body.decode()) == (
        403,
        f"This server is not called {host}. If it is, set web_url to its address for browsers.\n",
    )
    assert browser().upgrade(host=host, origin=f"http://{host}")[0] == 403


@pytest.mark.parametrize("host", ["localhost", "localhost:1", "LOCALHOST.", "127.0.0.1", "[::1]:18080"])
def test_names_of_the_machine_itself_are_the_servers(browser: Connect, host: str) -> None:
    assert browser().get("/", host=host)[0] == 200


@pytest.mark.parametrize("host", [None, "", "a b", "[::1", "http://localhost", "localhost:x", "localhost:", "a,b"])
def test_what_is_no_host_is_refused(browser: Connect, host: str | None) -> None:
    assert browser().get("/", host=host)[0] == 400


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "http://127.0.0.1",
        "https://{host}",
        "null",
        "",
        "file://",
        "http://{host}.evil",
        "{host}",
    ],
)
def test_a_websocket_of_another_page_is_refused(browser: Connect, origin: str) -> None:
    """Rule 19.4."""
    peer = browser()
    status, _, body = peer.upgrade(origin=origin.format(host=peer.host))
    assert status == 403
    assert body.startswith(b"The page that opens this WebSocket is not this server's own.")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"upgrade": None}, 426),
        ({"upgrade": "h2c"}, 426),
        ({"connection": "close"}, 426),
        ({"sec_websocket_version": "12"}, 426),
        ({"sec_websocket_version": None}, 426),
        ({"sec_websocket_key": None}, 400),
        ({"sec_websocket_key": "c2hvcnQ="}, 400),
        ({"sec_websocket_key": "%%%"}, 400),
        ({"content_length": "5"}, 413),
        ({"transfer_encoding": "chunked"}, 413),
    ],
)
def test_a_request_for_something_else_is_refused(browser: Connect, headers: dict[str, str | None], status: int) -> None:
    assert browser().upgrade(**headers)[0] == status


def test_https_is_the_same_encrypted(tmp_path: Path) -> None:
    """The page, a WebSocket with a large message, and its end; on the port for HTTPS."""
    certificate, key, _ = make_certificate(tmp_path / "tls", ["chat.example", "localhost"], 30)
    files = {"tls_certificate": str(certificate), "tls_key": str(key)}
    ports = {"tls_port": 0, "web_tls_port": 0}
    with serving(ServerLimits(), web=True, **files, **ports) as server, ExitStack() as stack:
        plain_page, page = server.page, server.secure_page
        assert plain_page is not None
        assert page is not None
        context = ssl.create_default_context(cafile=str(certificate))

        def connect() -> Browser:
            peer = stack.enter_context(closing(Browser(server)))
            peer.socket.close()
            plain = socket.create_connection(page, PATIENCE)
            peer.socket = context.wrap_socket(plain, server_hostname="chat.example")
            peer.host = f"chat.example:{page[1]}"
            return peer

        assert connect().get()[0] == 200
        assert connect().upgrade(origin=f"http://127.0.0.1:{plain_page[1]}")[0] == 403
        alice, bob = (connect() for _ in range(2))
        for peer in alice, bob:
            peer.open(origin=f"https://{peer.host}")
        alice.ask(REGISTER % b"alice", REGISTERED % b"alice")
        bob.ask(REGISTER % b"bob", REGISTERED % b"bob")
        body = bytes(900_000)
        alice.write(binary(b"SEND bob\nContent-length: 900000\nId: 1\n\n" + body))
        frames = bob.stream(Parser(HeadCache(1 << 20)))
        assert next(frames)[1] == body
        bob.write(frame(1, b"text"))
        assert bob.closed() == (1003, "send binary messages: this server takes no text messages")
        plain = socket.create_connection(page, PATIENCE)
        plain.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert plain.recv(1000).startswith(b"HTTP/1.1 400 ")
        plain.close()
        server.signal(signal.SIGTERM)
        assert [alice.message()[1][:9] for _ in range(2)] == [b"ERROR 102", b"ERROR 107"]
        assert alice.closed() == (1001, "the server stops")
