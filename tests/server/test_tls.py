"""The server's certificate and key."""

import asyncio
import base64
import datetime
import errno
import ipaddress
import os
import ssl
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from twotick.server.tls import TlsError, make_certificate, server_context

LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]


@pytest.fixture
def made(tmp_path: Path) -> tuple[Path, Path]:
    certificate, key, _ = make_certificate(tmp_path / "made", ["localhost", "127.0.0.1"], 10)
    return certificate, key


async def converse(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> tuple[bytes, str | None]:
    """Say hello to an echo; what it answered, and over which version of TLS."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read(100))
        await writer.drain()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(echo, "127.0.0.1", 0, ssl=server) as listener:
        port = listener.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client, server_hostname=name)
        try:
            writer.write(b"hello")
            return await reader.read(100), writer.get_extra_info("ssl_object").version()
        finally:
            writer.close()
            await writer.wait_closed()


@pytest.mark.parametrize("new_loop", LOOPS)
@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_that_knows_the_certificate_connects(
    made: tuple[Path, Path],
    new_loop: Callable[[], asyncio.AbstractEventLoop],
    name: str,
    version: ssl.TLSVersion,
) -> None:
    client = ssl.create_default_context(cafile=made[0])
    client.maximum_version = version
    with asyncio.Runner(loop_factory=new_loop) as runner:
        answer, spoken = runner.run(converse(server_context(*made), client, name))
    assert answer == b"hello"
    assert spoken == {ssl.TLSVersion.TLSv1_2: "TLSv1.2", ssl.TLSVersion.TLSv1_3: "TLSv1.3"}[version]


def test_nothing_older_than_tls_1_2_is_spoken(made: tuple[Path, Path]) -> None:
    assert server_context(*made).minimum_version is ssl.TLSVersion.TLSv1_2


def test_what_is_in_a_certificate(tmp_path: Path) -> None:
    names = ["Chat.example.org", "*.example.org", "xn--bcher-kva.example", "192.0.2.1", "2001:db8::1"]
    certificate, key, printed = make_certificate(tmp_path, names, 10)
    read = x509.load_pem_x509_certificate(certificate.read_bytes())
    alternatives = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert alternatives.get_values_for_type(x509.DNSName) == [name.lower() for name in names[:3]]
    assert alternatives.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address(name) for name in names[3:]]
    now = datetime.datetime.now(datetime.UTC)
    assert read.not_valid_before_utc < now
    assert datetime.timedelta(days=9) < read.not_valid_after_utc - now <= datetime.timedelta(days=10)
    digest = base64.b64encode(read.fingerprint(hashes.SHA256())).decode()
    assert printed == f"SHA256:{digest.rstrip('=')}"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_a_new_folder_and_key_are_their_owners_alone(tmp_path: Path) -> None:
    mask = os.umask(0)
    try:
        certificate, key, _ = make_certificate(tmp_path / "new", ["localhost"], 1)
    finally:
        os.umask(mask)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "new", certificate, key)] == [
        0o700,
        0o644,
        0o600,
    ]


@pytest.mark.parametrize("existing", ["key.pem", "certificate.pem"])
def test_nothing_is_overwritten(tmp_path: Path, existing: str) -> None:
    (tmp_path / existing).write_text("mine", "ascii")
    with pytest.raises(TlsError, match=f"{existing} exists and is not overwritten"):
        make_certificate(tmp_path, ["localhost"], 1)
    assert [(path.name, path.read_text("ascii")) for path in tmp_path.iterdir()] == [(existing, "mine")]


def test_a_key_that_an_interruption_has_left_is_used(tmp_path: Path) -> None:
    certificate, key, _ = make_certificate(tmp_path, ["localhost"], 1)
    certificate.unlink()
    content = key.read_bytes()
    make_certificate(tmp_path, ["localhost"], 1)
    server_context(certificate, key)
    assert key.read_bytes() == content
    certificate.unlink()
    key.chmod(0o644)  # others may have read it
    with pytest.raises(TlsError, match=r"key\.pem exists and is not overwritten: use it, or move it away"):
        make_certificate(tmp_path, ["localhost"], 1)


def test_a_full_disk_leaves_no_half_of_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TlsError, match="No space left"):
        make_certificate(tmp_path, ["localhost"], 1)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TlsError, match=r"cannot be written to .*: Not a directory"):
        make_certificate(tmp_path / "file" / "folder", ["localhost"], 1)


@pytest.mark.parametrize(
    "names",
    [[], [""], ["a b"], ["bücher.example"], ["-a"], ["a..b"], ["a."], ["a" * 64], ["localhost", "a:1"], ["a\n"]],
)
def test_names_that_make_no_sense(tmp_path: Path, names: list[str]) -> None:
    with pytest.raises(TlsError, match=r"a certificate needs|is neither a host name nor an IP address"):
        make_certificate(tmp_path, names, 1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("days", [-1, 0, 36501, 10**9])
def test_days_that_make_no_sense(tmp_path: Path, days: int) -> None:
    with pytest.raises(TlsError, match="choose 1 to 36500"):
        make_certificate(tmp_path, ["localhost"], days)


def test_the_longest_validity(tmp_path: Path) -> None:
    certificate, key, _ = make_certificate(tmp_path, ["localhost"], 36500)
    server_context(certificate, key)


@pytest.mark.parametrize("missing", [0, 1])
def test_a_missing_file(made: tuple[Path, Path], missing: int) -> None:
    made[missing].unlink()
    with pytest.raises(TlsError, match=f"there is no (certificate|key) .*{made[missing].name}: make one"):
        server_context(*made)


@pytest.mark.parametrize("unreadable", [0, 1])
def test_a_file_that_cannot_be_read(made: tuple[Path, Path], unreadable: int) -> None:
    made[unreadable].unlink()
    made[unreadable].mkdir()
    with pytest.raises(TlsError, match=f"{made[unreadable].name} cannot be read .Is a directory."):
        server_context(*made)


@pytest.mark.parametrize("content", [b"", b"rubbish", b"\xff" * 100])
def test_a_file_that_is_something_else(made: tuple[Path, Path], content: bytes) -> None:
    certificate, key = made
    key_before = key.read_bytes()
    key.write_bytes(content)
    with pytest.raises(TlsError, match=r"key\.pem is not a key in PEM"):
        server_context(certificate, key)
    key.write_bytes(key_before)
    certificate.write_bytes(content)
    with pytest.raises(TlsError, match=r"certificate\.pem is not a certificate in PEM"):
        server_context(certificate, key)


@pytest.mark.parametrize("damaged", [0, 1])
def test_a_damaged_file(made: tuple[Path, Path], damaged: int) -> None:
    content = made[damaged].read_bytes()
    made[damaged].write_bytes(content[:60] + b"????" + content[64:])
    with pytest.raises(TlsError, match="is damaged, or TLS does not support its kind"):
        server_context(*made)


def test_a_key_of_another_certificate(made: tuple[Path, Path], tmp_path: Path) -> None:
    _, other, _ = make_certificate(tmp_path / "other", ["localhost"], 1)
    with pytest.raises(TlsError, match=r"other/key\.pem does not belong to the certificate .*made/certificate\.pem"):
        server_context(made[0], other)


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o601, 0o620, 0o644, 0o660])
def test_a_key_that_others_can_read(made: tuple[Path, Path], mode: int) -> None:
    made[1].chmod(mode)
    with pytest.raises(TlsError, match=f"other users may .*chmod 600 {made[1]}"):
        server_context(*made)


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o640])
def test_a_key_that_its_owner_or_a_group_can_read(made: tuple[Path, Path], mode: int) -> None:
    made[1].chmod(mode)
    server_context(*made)


def test_a_key_with_a_passphrase_is_not_asked_about(made: tuple[Path, Path]) -> None:
    certificate, key = made
    private = serialization.load_pem_private_key(key.read_bytes(), None)
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"swordfish"),
        )
    )
    with pytest.raises(TlsError, match="has a passphrase: remove it with 'openssl pkey"):
        server_context(certificate, key)


def test_cryptography_is_loaded_only_to_make_a_certificate() -> None:
    program = "import sys, twotick.server.tls; sys.exit('cryptography' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
