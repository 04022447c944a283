"""Trust in servers, on real TLS connections."""

import asyncio
import datetime
import ipaddress
import re
import socket
import ssl
import stat
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, cast

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from twotick.client import parse_server
from twotick.client.trust import private_files
from twotick.client.trust.known_servers import CertificateChanged, KnownServers, Trust, TrustError, Verdict
from twotick.client.trust.tls import open_tls
from twotick.server.tls import make_certificate, server_context

_Result = TypeVar("_Result")
Run: TypeAlias = Callable[[Coroutine[Any, Any, _Result]], _Result]

A = "SHA256:" + "a" * 43
B = "SHA256:" + "b" * 43
SERVER = "chat.example.org:18000"


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run[Any]:
    """Return a function that runs a coroutine, in each kind of event loop, and raises what callbacks raise."""

    def run(main: Coroutine[Any, Any, Any]) -> Any:
        complaints: list[dict[str, Any]] = []

        async def watched() -> Any:
            asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
            return await main

        with asyncio.Runner(loop_factory=request.param) as runner:
            result = runner.run(watched())
        assert complaints == []
        return result

    return run


@pytest.fixture
def known(tmp_path: Path) -> KnownServers:
    return KnownServers(tmp_path / "config" / "known_servers")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config" / "known_servers"


class Eager(asyncio.Protocol):
    """A client that writes as soon as it can."""

    made = 0

    def __init__(self) -> None:
        Eager.made += 1
        self.answer = asyncio.get_running_loop().create_future()
        self.gone = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).write(b"token")

    def data_received(self, data: bytes) -> None:
        self.answer.set_result(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone.set_result(exc)


class Listener(asyncio.Protocol):
    """A server that records what it receives, and sends it back."""

    def __init__(self, place: "Place") -> None:
        self._place = place

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._place.connections += 1
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._place.told += data
        self._transport.write(self._place.answer or data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._place.connections -= 1
        self._place.left.set()


class Place:
    """The address of a server.

    Attributes:
        port: its port.
        told: all that clients have written.
        connections: those whose handshake is over.
        answer: what it answers; None for what it was told.
    """

    def __init__(self) -> None:
        self.port = 0
        self.told = b""
        self.answer: bytes | None = None
        self.connections = 0
        self.left = asyncio.Event()

    async def empty(self) -> None:
        while self.connections:
            self.left.clear()
            await self.left.wait()


@asynccontextmanager
async def serving(context: ssl.SSLContext | None, port: int = 0) -> AsyncGenerator[Place]:
    place = Place()
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(lambda: Listener(place), "127.0.0.1", port, ssl=context)
    place.port = listener.sockets[0].getsockname()[1]
    try:
        yield place
    finally:
        listener.close()
        await place.empty()
        await listener.wait_closed()


async def reach(host: str, port: int, known: KnownServers) -> tuple[asyncio.Transport, Eager, Trust]:
    address = parse_server(f"{host}:{port}")
    return await open_tls(Eager, address.host, address.known_as, known, (address.host, port))


async def visit(port: int, known: KnownServers, host: str = "127.0.0.1") -> Trust:
    """Connect, send something, receive it back, and leave."""
    transport, protocol, trust = await reach(host, port, known)
    assert await protocol.answer == b"token"
    transport.close()
    await protocol.gone
    return trust


async def visit_once(context: ssl.SSLContext | None, known: KnownServers, port: int = 0) -> tuple[Trust, int]:
    async with serving(context, port) as place:
        return await visit(place.port, known), place.port


async def refused(context: ssl.SSLContext | None, known: KnownServers, port: int = 0) -> TrustError:
    """Connect to a server that is refused, and check that it receives nothing."""
    made = Eager.made
    async with serving(context, port) as place:
        with pytest.raises(TrustError) as caught:
            await reach("127.0.0.1", place.port, known)
        await place.empty()
        assert place.told == b""
    assert Eager.made == made
    return caught.value


def self_signed(folder: Path) -> tuple[ssl.SSLContext, str]:
    certificate, key, fingerprint = make_certificate(folder, ["localhost", "127.0.0.1"], 10)
    return server_context(certificate, key), fingerprint


class Authority:
    """A certificate authority that this system trusts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "An authority")])
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.file = folder / "authority.pem"
        self._written = 0
        self.file.write_bytes(
            self._certificate(self._key, self._name, None, 10).public_bytes(serialization.Encoding.PEM)
        )

    def _certificate(
        self, key: ec.EllipticCurvePrivateKey, name: x509.Name, host: str | None, days: int
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=20))
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=host is None, path_length=None), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )
        if host is None:
            usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
            builder = builder.add_extension(usage, critical=True)
        else:
            alternative = x509.IPAddress(ipaddress.ip_address(host))
            # Python 3.13 requires it to be critical, because the subject is empty (RFC 5280, section 4.2.1.6).
            builder = builder.add_extension(x509.SubjectAlternativeName([alternative]), critical=True)
        return builder.sign(self._key, hashes.SHA256())

    def vouch(self, host: str = "127.0.0.1", days: int = 10) -> ssl.SSLContext:
        """Return the context of a server with a certificate for a host that is valid for `days` more days."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._certificate(key, x509.Name([]), host, days)
        self._written += 1
        paths = self._folder / f"{self._written}.certificate", self._folder / f"{self._written}.key"
        paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        paths[1].touch(0o600)
        paths[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return server_context(*paths)


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    return authority


# Trust on first use


def test_a_certificate_is_remembered_at_the_first_connection(
    run: Run[Any], tmp_path: Path, known: KnownServers, file: Path
) -> None:
    context, fingerprint = self_signed(tmp_path)
    first, port = run(visit_once(context, known))
    assert (first.verdict, first.fingerprint, first.server) == (Verdict.FIRST_USE, fingerprint, f"127.0.0.1:{port}")
    assert file.read_text("ascii") == f"127.0.0.1:{port} {fingerprint}\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    again, _ = run(visit_once(context, known, port))
    assert again.verdict is Verdict.KNOWN


def test_a_known_server_needs_one_connection(run: Run[Any], tmp_path: Path, known: KnownServers) -> None:
    context, _ = self_signed(tmp_path)

    async def conversation() -> int:
        async with serving(context) as place:
            await visit(place.port, known)
            with socket.create_server(("127.0.0.1", 0)) as relay:
                return await relayed(relay, place.port)

    async def relayed(relay: socket.socket, target: int) -> int:
        port = relay.getsockname()[1]
        known.decide(f"127.0.0.1:{port}", next(iter(known.entries(f"127.0.0.1:{target}"))))
        connections = 0

        async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while data := await reader.read(65536):
                writer.write(data)
            writer.close()

        async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal connections
            connections += 1
            there, back = await asyncio.open_connection("127.0.0.1", target)
            await asyncio.gather(pump(reader, back), pump(there, writer))

        async with await asyncio.start_server(pass_on, sock=relay):
            assert (await visit(port, known)).verdict is Verdict.KNOWN
        return connections

    assert run(conversation()) == 1


def test_a_changed_certificate_is_refused_before_a_byte_is_sent(
    run: Run[Any], tmp_path: Path, known: KnownServers, file: Path
) -> None:
    context, before = self_signed(tmp_path / "before")
    other, after = self_signed(tmp_path / "after")
    _, port = run(visit_once(context, known))
    text = "# mine\n\n" + file.read_text("ascii")
    file.write_text(text, "ascii")
    refusal = run(refused(other, known, port))
    assert isinstance(refusal, CertificateChanged)
    for part in (f"127.0.0.1:{port} HAS CHANGED", before, after, f"line 3 of {file}", "Nothing was sent"):
        assert part in str(refusal)
    assert file.read_text("ascii") == text


def test_another_name_of_a_server_has_its_own_entry(run: Run[Any], tmp_path: Path, known: KnownServers) -> None:
    context, _ = self_signed(tmp_path)

    async def conversation() -> list[Verdict]:
        async with serving(context) as place:
            return [(await visit(place.port, known, host)).verdict for host in ("127.0.0.1", "localhost", "LOCALHOST.")]

    assert run(conversation()) == [Verdict.FIRST_USE, Verdict.FIRST_USE, Verdict.KNOWN]


def test_a_first_certificate_that_cannot_be_saved_is_refused(run: Run[Any], tmp_path: Path) -> None:
    (tmp_path / "known_servers.lock").mkdir()
    context, fingerprint = self_signed(tmp_path)
    refusal = run(refused(context, KnownServers(tmp_path / "known_servers")))
    assert re.search(rf"Is a directory.*\n  127\.0\.0\.1:\d+ {re.escape(fingerprint)}$", str(refusal), re.DOTALL)


# Authorities


def test_a_certificate_signed_by_an_authority_is_trusted(
    run: Run[Any], authority: Authority, known: KnownServers, file: Path
) -> None:
    context = authority.vouch()
    trust, port = run(visit_once(context, known))
    assert (trust.verdict, trust.warning) == (Verdict.AUTHORITY, None)
    assert file.read_text("ascii") == f"127.0.0.1:{port} authority\n"
    written = file.stat().st_mtime_ns, file.stat().st_ino
    trust, _ = run(visit_once(authority.vouch(), known, port))
    assert trust.verdict is Verdict.AUTHORITY
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == written


def test_a_signed_certificate_that_cannot_be_noted_is_trusted_with_a_warning(
    run: Run[Any], authority: Authority, tmp_path: Path
) -> None:
    (tmp_path / "known_servers.lock").mkdir()
    trust, _ = run(visit_once(authority.vouch(), KnownServers(tmp_path / "known_servers")))
    assert trust.verdict is Verdict.AUTHORITY
    assert trust.warning is not None
    assert "known_servers cannot be written (Is a directory)" in trust.warning


def test_a_signed_certificate_may_replace_a_known_one(
    run: Run[Any], authority: Authority, tmp_path: Path, known: KnownServers, file: Path
) -> None:
    _, port = run(visit_once(self_signed(tmp_path)[0], known))
    file.write_text(f"{SERVER} {A}\n" + file.read_text("ascii") + f"[::1]:1 {B}", "ascii")
    trust, _ = run(visit_once(authority.vouch(), known, port))
    assert trust.verdict is Verdict.AUTHORITY
    assert file.read_text("ascii") == f"{SERVER} {A}\n[::1]:1 {B}\n127.0.0.1:{port} authority\n"


def test_a_server_with_a_signed_certificate_must_keep_one(
    run: Run[Any], authority: Authority, tmp_path: Path, known: KnownServers, file: Path
) -> None:
    _, port = run(visit_once(authority.vouch(), known))
    context, fingerprint = self_signed(tmp_path)
    refusal = run(refused(context, known, port))
    assert isinstance(refusal, CertificateChanged)
    assert "a certificate signed by an authority (line 1 of" in str(refusal)
    assert fingerprint in str(refusal)
    assert file.read_text("ascii") == f"127.0.0.1:{port} authority\n"


@pytest.mark.parametrize(("host", "days", "why"), [("127.0.0.1", -1, "expired"), ("127.0.0.2", 10, "not valid for")])
def test_an_invalid_signed_certificate_is_refused_and_not_remembered(
    run: Run[Any], authority: Authority, known: KnownServers, file: Path, host: str, days: int, why: str
) -> None:
    refusal = run(refused(authority.vouch(host, days), known))
    assert not isinstance(refusal, CertificateChanged)
    assert why in str(refusal)
    assert not file.exists()


def test_an_invalid_signed_certificate_does_not_replace_a_known_one(
    run: Run[Any], authority: Authority, tmp_path: Path, known: KnownServers
) -> None:
    _, port = run(visit_once(self_signed(tmp_path)[0], known))
    assert isinstance(run(refused(authority.vouch(days=-1), known, port)), CertificateChanged)


def test_an_unknown_authority_counts_as_none(
    run: Run[Any], tmp_path: Path, known: KnownServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "unknown").mkdir()
    unknown = Authority(tmp_path / "unknown")
    monkeypatch.setenv("SSL_CERT_FILE", str(Authority(tmp_path).file))
    trust, _ = run(visit_once(unknown.vouch(), known))
    assert trust.verdict is Verdict.FIRST_USE


# Other errors


def test_a_server_without_tls_is_refused(run: Run[Any], known: KnownServers, file: Path) -> None:
    async def conversation() -> str:
        async with serving(None) as place:
            place.answer = b"ERROR 103 Header incomplete\n\n"
            with pytest.raises(TrustError) as caught:
                await reach("127.0.0.1", place.port, known)
        assert b"token" not in place.told
        return str(caught.value)

    assert "does not speak TLS, and nothing was sent. Check the port" in run(conversation())
    assert not file.exists()


def test_a_server_that_does_not_exist_is_unreachable(run: Run[Any], known: KnownServers) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        run(reach("127.0.0.1", port, known))


def test_an_error_during_the_decision_is_raised(run: Run[Any], tmp_path: Path) -> None:
    class Broken(KnownServers):
        def decide(self, server: str, presented: str) -> Trust:
            raise RuntimeError("broken")

    async def conversation() -> bytes:
        async with serving(self_signed(tmp_path)[0]) as place:
            with pytest.raises(RuntimeError, match="broken"):
                await reach("127.0.0.1", place.port, Broken(tmp_path / "known_servers"))
            await place.empty()
            return place.told

    assert run(conversation()) == b""


# The file


@pytest.mark.parametrize("line", ["chat.example.org:18000", f"{SERVER} {A} {B}", f"{SERVER} MD5:00", "rubbish"])
def test_a_malformed_line_is_named(known: KnownServers, file: Path, line: str) -> None:
    file.parent.mkdir()
    file.write_text(f"# comment\n{SERVER} {A}\n{line}\n", "ascii")
    with pytest.raises(TrustError, match=rf"line 3 of {re.escape(str(file))} is not"):
        known.decide(SERVER, A)


def test_a_list_of_known_servers_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "known_servers").mkdir()
    with pytest.raises(TrustError, match=r"cannot read the list of known servers .*known_servers: .*Is a directory"):
        KnownServers(tmp_path / "known_servers").decide(SERVER, A)


def test_a_list_of_known_servers_that_is_not_text(known: KnownServers, file: Path) -> None:
    file.parent.mkdir()
    file.write_bytes(b"\xff\xff")
    with pytest.raises(TrustError, match=re.escape(str(file))):
        known.decide(SERVER, A)


def test_a_server_may_have_several_known_certificates(known: KnownServers, file: Path) -> None:
    file.parent.mkdir()
    file.write_text(f"{SERVER} {A}\n{SERVER} {B}\n", "ascii")
    assert known.decide(SERVER, A).verdict is known.decide(SERVER, B).verdict is Verdict.KNOWN
    with pytest.raises(CertificateChanged, match=r"remove line 1 and line 2 of"):
        known.decide(SERVER, A.upper())


def test_the_default_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def config(name: str) -> Path:
        return tmp_path / name

    monkeypatch.setattr("platformdirs.user_config_path", config)
    KnownServers().decide(SERVER, A)
    assert (tmp_path / "twotick" / "known_servers").read_text("ascii") == f"{SERVER} {A}\n"


def test_a_symbolic_link_to_the_file_is_kept(tmp_path: Path) -> None:
    (tmp_path / "known_servers").symlink_to(tmp_path / "real")
    KnownServers(tmp_path / "known_servers").decide(SERVER, A)
    assert (tmp_path / "known_servers").is_symlink()
    assert (tmp_path / "real").read_text("ascii") == f"{SERVER} {A}\n"


def skip_sync(descriptor: int) -> None:
    """Take the place of `os.fsync`."""


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["signed", "decide"]), st.sampled_from(["a:1", "b:1", "a:2"]), st.sampled_from([A, B])
        )
    )
)
def test_nothing_changes_unnoticed(tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str, str]]) -> None:
    known = KnownServers(tmp_path_factory.mktemp("known") / "known_servers")
    model: dict[str, str] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", skip_sync)  # the disk is slow, and nothing here depends on it
        for step, server, presented in steps:
            if step == "signed":
                assert known.signed(server, presented).verdict is Verdict.AUTHORITY
                model[server] = "authority"
            elif model.setdefault(server, presented) == presented:
                known.decide(server, presented)
            else:
                with pytest.raises(CertificateChanged):
                    known.decide(server, presented)
    assert {server: list(known.entries(server)) for server in model} == {
        server: [entry] for server, entry in model.items()
    }


def test_of_two_simultaneous_first_connections_one_is_the_first(file: Path) -> None:
    """A program that waits for the lock sees what the other one has written."""
    looked = threading.Event()
    found: list[str] = []

    class Watched(KnownServers):
        def entries(self, server: str) -> dict[str, int]:
            entries = super().entries(server)
            looked.set()
            return entries

    def decide() -> None:
        with pytest.raises(CertificateChanged) as caught:
            Watched(file).decide(SERVER, B)
        found.append(str(caught.value))

    thread = threading.Thread(target=decide)
    with private_files.locked(file):
        thread.start()
        assert looked.wait(30)
        private_files.replace(file, f"{SERVER} {A}\n")
    thread.join()
    assert len(found) == 1
    assert file.read_text("ascii") == f"{SERVER} {A}\n"


def test_simultaneous_first_connections_are_all_remembered(known: KnownServers, file: Path) -> None:
    threads = [threading.Thread(target=known.decide, args=(f"host{number}:1", A)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(file.read_text("ascii").splitlines()) == sorted(f"host{number}:1 {A}" for number in range(20))


def test_a_file_that_cannot_be_replaced_is_unchanged(
    known: KnownServers, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known.decide(SERVER, A)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(TrustError, match="No space left on device"):
        known.decide("other:1", B)
    assert sorted(path.name for path in file.parent.iterdir()) == ["known_servers", "known_servers.lock"]
    assert file.read_text("ascii") == f"{SERVER} {A}\n"
