"""`twotick serve` where others can reach it, and `twotick cert`."""

import json
import re
import shutil
import signal
import socket
import ssl
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.cli.commands import Started, environment, run, started
from tests.cli.operating import PASSWORD, Operator, address, basic, log_in
from tests.sockets import Peer
from twotick.net import fingerprint
from twotick.server.tls import make_certificate

PLAIN = (
    "connections would not be encrypted: set tls_certificate and tls_key ('twotick cert' makes both), or allow_plain"
)
SIGN_UP = "any of their users could sign up: set sign_up = 'invite' or 'closed', or allow_open_sign_up"
GUESTS = "any of their users could be a guest: set guests = false, or allow_guests"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The settings that `twotick cert` says to write, as variables."""
    folder = tmp_path_factory.mktemp("cert") / "t\u00e4\u00e4 \\ls"
    ended = run("cert", "localhost", "127.0.0.1", "--folder", str(folder))
    assert (ended.returncode, ended.stderr) == (0, "")
    lines = ended.stdout.splitlines()
    settings = tomllib.loads("\n".join(lines[1:-1]))
    assert set(settings) == {"tls_certificate", "tls_key"}
    assert {Path(file).parent for file in settings.values()} == {folder}
    seen = re.fullmatch(
        r"Clients see the fingerprint (SHA256:\S{43}): tell it to your users, so that they can compare it.", lines[-1]
    )
    assert seen
    return {name.upper(): file for name, file in settings.items()} | {"PRINT": seen[1]}


def trusting(made: dict[str, str]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=made["TLS_CERTIFICATE"])
    context.check_hostname = False
    return context


def variables(**settings: str) -> dict[str, str]:
    return environment(**{f"TWOTICK_{name}": value for name, value in settings.items()})


def with_tls(made: dict[str, str], **settings: str) -> dict[str, str]:
    files = {name: made[name] for name in ("TLS_CERTIFICATE", "TLS_KEY")}
    return variables(TLS_PORT="0", GUESTS="no", **files, **settings)


def listening(server: Started, made: dict[str, str]) -> tuple[tuple[str, int], tuple[str, int]]:
    """Where a server listens: without TLS, and with it."""
    plain, encrypted = server.line(), server.line()
    match = re.fullmatch(r"listening with TLS on (\S+:\d+), (SHA256:\S+)", encrypted)
    assert match
    assert match[2] == made["PRINT"]
    return address(plain.removeprefix("listening on ")), address(match[1])


@pytest.mark.parametrize(
    ("host", "settings", "problems"),
    [
        ("0.0.0.0", {}, [PLAIN, GUESTS]),
        ("::", {"SIGN_UP": "open"}, [PLAIN, SIGN_UP, GUESTS]),
        ("192.0.2.1", {"SIGN_UP": "invite", "GUESTS": "no"}, [PLAIN]),
        ("::ffff:192.0.2.1", {"SIGN_UP": "open", "ALLOW_PLAIN": "yes", "ALLOW_GUESTS": "yes"}, [SIGN_UP]),
        ("0", {"SIGN_UP": "open", "ALLOW_PLAIN": "yes", "ALLOW_OPEN_SIGN_UP": "yes"}, [GUESTS]),
    ],
)
def test_a_server_that_others_can_reach_is_safe_or_explicitly_allowed(
    host: str, settings: dict[str, str], problems: list[str]
) -> None:
    ended = run("serve", "--host", host, "--port", "0", env=variables(**settings))
    reached = f"twotick: host = '{host}' can be reached from other machines, and"
    assert (ended.returncode, ended.stdout) == (64, "")
    assert ended.stderr.splitlines() == [f"{reached} {problem} = true" for problem in problems]


def test_with_tls_guests_and_sign_up_still_need_permission(made: dict[str, str]) -> None:
    env = with_tls(made, SIGN_UP="open") | {"TWOTICK_GUESTS": "yes"}
    ended = run("serve", "--host", "0.0.0.0", "--port", "0", env=env)
    assert ended.returncode == 64
    assert [line.partition(", and ")[2] for line in ended.stderr.splitlines()] == [
        f"{SIGN_UP} = true",
        f"{GUESTS} = true",
    ]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.9"])
def test_what_only_this_machine_can_reach_may_be_open(host: str) -> None:
    with started("serve", "--port", "0", "--host", host, env=variables(SIGN_UP="open")) as server:
        assert re.fullmatch(r"listening on \S+:\d+", server.line())
        assert server.end(signal.SIGTERM).returncode == 0


def test_what_is_allowed_is_done() -> None:
    allowed = {"ALLOW_PLAIN": "yes", "ALLOW_OPEN_SIGN_UP": "yes", "ALLOW_GUESTS": "yes", "SIGN_UP": "open"}
    with started("serve", "--port", "0", "--host", "0.0.0.0", env=variables(**allowed)) as server:
        host, port = address(server.line().removeprefix("listening on "))
        assert host == "0.0.0.0"
        socket.create_connection(("127.0.0.2", port)).close()
        assert server.end(signal.SIGTERM).returncode == 0


def test_with_tls_only_encrypted_connections_come_from_elsewhere(made: dict[str, str]) -> None:
    with started("serve", "--port", "0", "--host", "0.0.0.0", env=with_tls(made)) as server:
        plain, encrypted = listening(server, made)
        assert (plain[0], encrypted[0]) == ("127.0.0.1", "0.0.0.0")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", plain[1]))
        with trusting(made).wrap_socket(socket.create_connection(("127.0.0.2", encrypted[1]))) as connection:
            assert fingerprint(connection.getpeercert(True) or b"") == made["PRINT"]
        ended = server.end(signal.SIGTERM)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_members_talk_over_tls_and_a_disconnection_is_not_logged(made: dict[str, str], tmp_path: Path) -> None:
    operator = Operator(
        tmp_path / "data", TLS_PORT="0", **{name: made[name] for name in ("TLS_CERTIFICATE", "TLS_KEY")}
    )
    operator.prepare("alice")
    with started("serve", "--port", "0", env=operator.environment) as server:
        _, encrypted = listening(server, made)
        alice, line = log_in(encrypted, "alice", basic("alice", PASSWORD), context=trusting(made))
        assert line == "REGISTERED DUPLEX alice"
        alice.write(b"SEND nobody\nContent-length: 2\nId: m1\n\nhi")
        alice.expect(b"ERROR 102 Unable to send\nId: m1\nReason: nobody is not connected\n\n")
        assert isinstance(alice.socket, ssl.SSLSocket)
        alice.socket.unwrap().close()

        again, line = log_in(encrypted, "alice", basic("alice", PASSWORD), context=trusting(made))
        assert line == "REGISTERED DUPLEX alice"
        again.reset()
        with socket.create_connection(encrypted) as confused:
            confused.sendall(b"REGISTER TOSEND bob\n\n")
            while confused.recv(1000):
                pass
        ended = server.end(signal.SIGTERM)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"TLS_KEY": None}, "only one of tls_certificate and tls_key is set: set both, or neither"),
        ({"TLS_CERTIFICATE": None}, "only one of tls_certificate and tls_key is set: set both, or neither"),
        ({"TLS_CERTIFICATE": "/nonexistent"}, "there is no certificate /nonexistent: .*"),
        ({"TLS_KEY": "/dev/null"}, "/dev/null is not a key in PEM.*"),
        ({"TLS_KEY": "/dev/zero"}, r"the key /dev/zero cannot be read \(it is not a regular file\): .*"),
        (
            {"TLS_CERTIFICATE": "/dev/zero"},
            r"the certificate /dev/zero cannot be read \(it is not a regular file\): .*",
        ),
    ],
)
def test_a_certificate_that_cannot_be_used_is_named(
    made: dict[str, str], settings: dict[str, str | None], problem: str
) -> None:
    given = {name: made[name] for name in ("TLS_CERTIFICATE", "TLS_KEY")} | settings
    ended = run("serve", "--port", "0", env=variables(**{name: value for name, value in given.items() if value}))
    assert (ended.returncode, ended.stdout) == (64, "")
    assert re.fullmatch(f"twotick: {problem}\n", ended.stderr), ended.stderr


def test_backups_that_would_never_be_made_are_refused(tmp_path: Path) -> None:
    given = variables(BACKUP_FOLDER=str(tmp_path), DATABASE="postgresql://127.0.0.1:1/x")
    ended = run("serve", "--port", "0", env=given)
    assert (ended.returncode, ended.stdout) == (64, "")
    assert ended.stderr.startswith("twotick: backup_folder is set, and the server makes no backups of a database on")


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"BUS": "nats://127.0.0.1:4222"}, "bus is set, and servers share only a database on PostgreSQL: set database"),
        (
            {"BUS": "nats://192.0.2.1", "DATABASE": "postgresql://127.0.0.1:1/x"},
            "bus = nats://192.0.2.1 leads to",
        ),
        (
            {"BUS_CA": "ca.pem", "DATABASE": "postgresql://127.0.0.1:1/x"},
            "bus_credentials, bus_ca, bus_certificate",
        ),
    ],
)
def test_a_bus_that_cannot_be_used_is_named_before_the_database_is_opened(
    settings: dict[str, str], problem: str
) -> None:
    ended = run("serve", "--port", "0", env=variables(**settings))
    assert (ended.returncode, ended.stdout) == (64, "")
    assert ended.stderr.startswith(f"twotick: {problem}")


def test_a_tls_port_in_use_is_one_clear_line(made: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ended = run("serve", "--port", "0", env=with_tls(made) | {"TWOTICK_TLS_PORT": str(port)})
    assert (ended.returncode, ended.stdout) == (71, "")
    assert ended.stderr == (
        f"twotick: 127.0.0.1:{port} is in use: stop the program that listens there,"
        " or choose another port with the setting tls_port\n"
    )


def seen(place: tuple[str, int]) -> str:
    """The fingerprint of the certificate that a new connection sees."""
    return fingerprint(ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(place)))


def test_a_certificate_is_renewed_while_the_server_runs(made: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "used"
    folder.mkdir()
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    for file, name in (certificate, "TLS_CERTIFICATE"), (key, "TLS_KEY"):
        shutil.copy(made[name], file)
    new, new_key, new_print = make_certificate(tmp_path / "new", ["new.example"], 400)
    files = {"TLS_CERTIFICATE": str(certificate), "TLS_KEY": str(key)}
    settings = variables(TLS_PORT="0", GUESTS="no", WEB="yes", WEB_PORT="0", WEB_TLS_PORT="0", **files)
    with started("serve", "--port", "0", env=settings) as server:
        _, encrypted = listening(server, made)
        assert server.line().startswith("web page: http://127.0.0.1:")
        page = address("127.0.0.1:" + server.line().removeprefix("web page: https://localhost:").strip("/"))
        old = Peer(encrypted, "127.0.0.1")
        old.socket = trusting(made).wrap_socket(old.socket)

        certificate.write_bytes(new.read_bytes())  # without its key
        server.process.send_signal(signal.SIGHUP)
        line = json.loads(server.stderr.readline())
        assert (line["event"], line["effect"]) == (
            "the new certificate cannot be used",
            "the old one stays in use",
        )
        assert line["reason"].startswith(f"the key {key} does not belong to the certificate {certificate}")
        assert {seen(encrypted), seen(page)} == {made["PRINT"]}

        key.write_bytes(new_key.read_bytes())
        line = json.loads(server.stderr.readline())
        assert (line["event"], line["fingerprint"]) == ("the certificate was replaced", new_print)
        assert {seen(encrypted), seen(page)} == {new_print}
        context = ssl.create_default_context(cafile=str(new))
        with context.wrap_socket(socket.create_connection(page), server_hostname="new.example") as browser:
            browser.sendall(b"GET /info.json HTTP/1.1\r\nHost: new.example\r\n\r\n")
            assert browser.recv(100).startswith(b"HTTP/1.1 200 ")

        server.process.send_signal(signal.SIGHUP)  # nothing has changed
        old.ask(b"REGISTER DUPLEX a\n\n", b"ERROR 100 ")
        old.close()
        ended = server.end(signal.SIGTERM)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def certificate_of_days(folder: Path, first: int, last: int) -> dict[str, str]:
    """Make a certificate that is valid from one day to another, counted from today; return the settings."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Twotick")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now + timedelta(days=first))
        .not_valid_after(now + timedelta(days=last))
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(built.public_bytes(Encoding.PEM))
    (folder / "key.pem").touch(0o600)
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return {"TLS_CERTIFICATE": str(folder / "certificate.pem"), "TLS_KEY": str(folder / "key.pem")}


@pytest.mark.parametrize(
    ("first", "last", "problem"),
    [
        (-9, -1, "the certificate has expired"),
        (1, 400, "the certificate is not valid yet"),
        (-400, 13, "the certificate expires soon"),
        (-400, 15, None),
    ],
)
def test_a_certificate_that_clients_do_not_accept_is_told(
    tmp_path: Path, first: int, last: int, problem: str | None
) -> None:
    made = certificate_of_days(tmp_path, first, last)
    with started("serve", "--port", "0", env=with_tls(made)) as server:
        assert server.line().startswith("listening on ")
        assert server.line().startswith("listening with TLS on ")
        ended = server.end(signal.SIGTERM)
    found = [json.loads(line) for line in ended.stderr.splitlines()]
    assert [(line["event"], line["path"]) for line in found] == (
        [(problem, made["TLS_CERTIFICATE"])] if problem else []
    )


def test_a_certificate_is_never_overwritten_and_needs_names(tmp_path: Path) -> None:
    operator = Operator(tmp_path / "data")
    config = tmp_path / "settings.toml"
    config.touch()
    said = operator.do("cert", "chat.example", "--days", "3 days", "--config", str(config))
    assert said.startswith(f"Add these lines to {config}:\n")
    key = operator.data / "tls" / "key.pem"
    content = key.read_bytes()
    for arguments, problem in (
        (["chat.example"], f"{key.with_name('certificate.pem')} exists and is not overwritten: .*"),
        (["chat example"], "'chat example' is neither a host name nor an IP address: .*"),
        (["chat.example", "--days", "0"], "a certificate cannot be valid for 0 days: .*"),
    ):
        ended = operator.run("cert", *arguments)
        assert (ended.returncode, ended.stdout) == (64, "")
        assert re.fullmatch(f"twotick: {problem}\n", ended.stderr)
    assert key.read_bytes() == content
    assert key.stat().st_mode & 0o777 == 0o600
