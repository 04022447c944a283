"""TLS on the simulated network: what a server that encrypts needs of a loop and of sockets, and a certificate.

Theory of operation. The unchanged TLS driver of the server and the client runs on OpenSSL, whose random numbers are its
own. So what is on the wire differs each time, but never its length: the key is of a kind whose signatures all have one
length. The network cuts, delays and breaks by length and by its own chance alone, and the trace has only the lengths of
what is encrypted. What the programs say and hear is in the trace as ever.
"""

import asyncio
import asyncio.sslproto
import datetime
import ipaddress
import ssl
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.x509.oid import NameOID

from tests.simulation.network import End, ListeningSocket, Network
from twotick.net import fingerprint
from twotick.server.tls import server_context

if TYPE_CHECKING:
    from tests.simulation.scheduler import Process

PORT = 18001


class Certificate:
    """A server's certificate and key; made once, since OpenSSL knows the real time only.

    Attributes:
        context: the server's side of TLS connections.
        fingerprint: what clients know it by.
    """

    def __init__(self, folder: Path) -> None:
        key = ed25519.Ed25519PrivateKey.generate()
        who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Twotick")])
        now = datetime.datetime.now(datetime.UTC)
        built = (
            x509.CertificateBuilder()
            .subject_name(who)
            .issuer_name(who)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=365))
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
            )
            .sign(key, None)
        )
        files = folder / "certificate.pem", folder / "key.pem"
        encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
        files[0].write_bytes(built.public_bytes(encoding))
        files[1].touch(0o600)
        files[1].write_bytes(key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain))
        self.context = server_context(*files)
        self.fingerprint = fingerprint(built.public_bytes(serialization.Encoding.DER))


async def encrypt(end: End, protocol: Any, context: ssl.SSLContext, options: dict[str, Any], *, server: bool) -> Any:
    """Do what asyncio does to encrypt a connection. Return the transport for the program.

    Args:
        end: the connection.
        protocol: the program's protocol.
        context: how to encrypt.
        options: what the program has given to asyncio.
        server: whether this is the server's side.
    """
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[None] = loop.create_future()
    driver = asyncio.sslproto.SSLProtocol(
        loop,
        protocol,
        context,
        waiter,
        server,
        options.get("server_hostname"),
        ssl_handshake_timeout=options.get("ssl_handshake_timeout"),
    )
    transport: Any = driver._app_transport  # pyright: ignore
    end.set_protocol(driver)
    driver.connection_made(end)
    end.resume_reading()
    try:
        await waiter
    except BaseException:
        end.close()
        raise
    return transport


class TlsSocket(ListeningSocket):
    """A listening socket from which a program accepts connections itself.

    Args:
        network: the network.
        process: the process that listens.
        port: the port.
    """

    encrypted = True

    def __init__(self, network: Network, process: "Process", port: int) -> None:
        super().__init__(network, process, port)
        self._ends: deque[End] = deque()
        self._waiting: asyncio.Future[None] | None = None

    def accept(self, end: End) -> None:
        """Take a connection; called by the network."""
        end.inherit(self.socket)
        self._ends.append(end)
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def next(self) -> "AcceptedSocket":
        """Return the next connection."""
        while not self._ends:
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        return AcceptedSocket(self._ends.popleft())

    def setblocking(self, flag: bool) -> None:
        """Do nothing: nothing blocks."""

    def setsockopt(self, level: int, option: int, value: int) -> None:
        self.socket.setsockopt(level, option, value)

    def getsockname(self) -> tuple[str, int]:
        return self.address

    def close(self) -> None:
        super().close()
        while self._ends:
            self._ends.popleft().leave()


class AcceptedSocket:
    """The socket of a connection that was accepted.

    Args:
        end: the connection.
    """

    def __init__(self, end: End) -> None:
        self.end = end
        self.setsockopt = end.socket.setsockopt

    def recv(self, size: int, flags: int = 0) -> bytes:
        return self.end.take(size, keep=bool(flags))

    def send(self, data: bytes) -> int:
        self.end.write(data)
        return len(data)

    def close(self) -> None:
        self.end.leave()
