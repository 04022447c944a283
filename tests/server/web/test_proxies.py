"""The web page behind a proxy (docs/protocol.md, rule 19.4): whom the server takes for the client."""

import base64
import re
import socket
import ssl
import subprocess
from collections.abc import Callable, Generator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from tests.server.web.browser import Browser, binary
from tests.sockets import PATIENCE, ServerProcess, patiently, serving
from tests.tools import wanted
from twotick.server import ServerLimits
from twotick.server.tls import make_certificate

OPERATIONS = Path(__file__).parents[3] / "docs" / "operations.md"
WRONG = b"ERROR 104 Not authenticated\nReason: wrong name, password or token\n\n"


def log_in(name: bytes) -> bytes:
    """A login with a password that is wrong."""
    credential = base64.b64encode(name + b":wrong word")
    return b"REGISTER DUPLEX %b\nAuthorization: Basic %b\n\n" % (name, credential)


@pytest.fixture(scope="module")
def proxied() -> Generator[ServerProcess]:
    """A server that takes the word of proxies on this machine and in a network."""
    proxies = "127.0.0.1, 10.9.0.0/16, 2001:db8:1::/48"
    with serving(
        ServerLimits(), web=True, trusted_proxies=proxies, web_url="https://chat.example", allow_guests=True
    ) as server:
        yield server


@pytest.fixture
def connect(proxied: ServerProcess) -> Generator[Callable[[], Browser]]:
    with ExitStack() as stack:
        yield lambda: stack.enter_context(closing(Browser(proxied)))


def through(connect: Callable[[], Browser], seen: str, protocol: str | None = "https") -> Browser:
    return connect().open(
        host="chat.example", origin="https://chat.example", x_forwarded_for=seen, x_forwarded_proto=protocol
    )


def answer_to(peer: Browser, data: bytes) -> bytes:
    peer.write(binary(data))
    return peer.message()[1]


def test_each_client_behind_a_proxy_has_delays_of_its_own(connect: Callable[[], Browser]) -> None:
    """Only what the proxy has seen counts, whatever the client says (rule 10.4)."""
    attempt = 0
    answer = WRONG
    while answer == WRONG:
        peer = through(connect, f"192.0.2.{attempt}, 203.0.113.7:{1 + attempt}, 10.9.8.{attempt}")
        answer = answer_to(peer, log_in(b"a%d" % attempt))
        attempt += 1
    assert answer.startswith(b"ERROR 105")
    assert attempt > 20
    assert answer_to(through(connect, "203.0.113.8"), log_in(b"c")) == WRONG
    assert answer_to(through(connect, "203.0.113.7, [2001:db8:2::7]:80, 2001:db8:1::1"), log_in(b"alice")) == WRONG


@pytest.mark.parametrize("protocol", ["http", "ws", None, "", "https, http"])
def test_a_password_needs_encryption_up_to_the_client(connect: Callable[[], Browser], protocol: str | None) -> None:
    """Rule 10.5."""
    answer = answer_to(through(connect, "203.0.113.9", protocol), log_in(b"alice"))
    assert answer.startswith(b"ERROR 104")
    assert b"encrypted" in answer


def test_a_person_on_the_machine_itself_needs_no_proxy(connect: Callable[[], Browser]) -> None:
    assert answer_to(connect().open(), log_in(b"alice")) == WRONG


@pytest.mark.parametrize("seen", ["", "unknown", "_hidden", "1.2.3", "1.2.3.4, x", "for=1.2.3.4", "10.9.0.1,"])
def test_what_is_no_address_is_refused(connect: Callable[[], Browser], seen: str) -> None:
    assert connect().get("/", x_forwarded_for=seen)[0] == 400


def test_the_name_may_come_from_the_proxy(connect: Callable[[], Browser]) -> None:
    peer = connect()
    assert peer.get("/", host="backend", x_forwarded_for="192.0.2.1", x_forwarded_host="chat.example")[0] == 200
    assert peer.get("/", x_forwarded_for="192.0.2.1", x_forwarded_host="evil.example")[0] == 403


def test_a_forgotten_proxy_does_not_make_all_clients_local(web_server: ServerProcess) -> None:
    with closing(Browser(web_server)) as peer:
        status, _, body = peer.get("/", x_forwarded_for="203.0.113.7")
    assert status == 403
    assert b"Set trusted_proxies to the proxy's address" in body


def test_the_places_of_a_proxys_clients_are_their_own() -> None:
    """`max_connections`, of which one address gets three quarters (rule 8.1)."""
    options = {"trusted_proxies": "127.0.0.1", "web_url": "https://chat.example", "allow_guests": True}
    with serving(ServerLimits(connections=12), web=True, **options) as server, ExitStack() as stack:

        def connect() -> Browser:
            return stack.enter_context(closing(Browser(server)))

        for _ in range(9):
            through(connect, "203.0.113.7")
        status, _, body = connect().upgrade(host="chat.example", origin=None, x_forwarded_for="203.0.113.7")
        assert (status, body) == (503, b"This server has too many connections. Try again later.\n")
        through(connect, "203.0.113.8")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def recipe(language: str) -> str:
    """A block of the operator's page."""
    found = re.search(f"```{language}\n(.*?)```", OPERATIONS.read_text("utf-8"), re.DOTALL)
    assert found
    return found[1]


def nginx(folder: Path, page: int, port: int, certificate: Path, key: Path) -> list[str]:
    text = recipe("nginx")
    for old, new in (
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("127.0.0.1:18080", f"127.0.0.1:{page}"),
        ("/etc/letsencrypt/live/chat.example/fullchain.pem", str(certificate)),
        ("/etc/letsencrypt/live/chat.example/privkey.pem", str(key)),
    ):
        assert old in text
        text = text.replace(old, new)
    paths = " ".join(f"{each}_temp_path {folder};" for each in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/log;\n"
        f"events {{}}\nhttp {{ access_log off; {paths}\n{text}\n}}\n"
    )
    return ["nginx", "-p", str(folder), "-e", str(folder / "log"), "-c", str(folder / "nginx.conf")]


def caddy(folder: Path, page: int, port: int, certificate: Path, key: Path) -> list[str]:
    text = recipe("caddy").replace("127.0.0.1:18080", f"127.0.0.1:{page}")
    text = text.replace("chat.example {", f"https://chat.example:{port} {{\n tls {certificate} {key}\n bind 127.0.0.1")
    options = f"{{\n admin off\n auto_https disable_redirects\n storage file_system {folder}\n}}\n"
    (folder / "Caddyfile").write_text(options + text)
    return ["caddy", "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]


@contextmanager
def proxy(command: list[str], port: int) -> Generator[None]:
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            for _ in patiently():
                assert process.poll() is None, f"{command[0]} has ended"
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except ConnectionRefusedError:
                    continue
            yield
        finally:
            process.terminate()


@pytest.mark.parametrize("make", [nginx, caddy])
def test_the_recipe_for_a_proxy_works(
    proxied: ServerProcess, tmp_path: Path, make: Callable[[Path, int, int, Path, Path], list[str]]
) -> None:
    """The page, a WebSocket, the address of the client and its encryption, by the recipe in docs/operations.md."""
    wanted(make.__name__, how=f"apt-get install {make.__name__}")
    certificate, key, _ = make_certificate(tmp_path / "tls", ["chat.example"], 30)
    assert proxied.page is not None
    port = free_port()
    with proxy(make(tmp_path, proxied.page[1], port, certificate, key), port), ExitStack() as stack:
        context = ssl.create_default_context(cafile=str(certificate))

        def connect(source: str = "127.0.0.1") -> Browser:
            peer = stack.enter_context(closing(Browser(proxied)))
            peer.socket.close()
            plain = socket.create_connection(("127.0.0.1", port), PATIENCE, (source, 0))
            peer.socket = context.wrap_socket(plain, server_hostname="chat.example")
            peer.host = f"chat.example:{port}"
            return peer

        status, headers, _ = connect().get("/")
        assert (status, headers["x-content-type-options"]) == (200, "nosniff")
        # The port of the test is not in `web_url`, and the origin is the page's own all the same.
        peer = connect("127.0.0.2").open(origin=f"https://chat.example:{port}", x_forwarded_for="192.0.2.99")
        assert answer_to(peer, log_in(make.__name__.encode())) == WRONG
        assert connect().upgrade(origin="https://evil.example")[0] == 403
