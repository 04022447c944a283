"""TLS connections to servers whose certificate is verified before the first byte is sent."""

import asyncio
import ssl
from collections.abc import Callable
from typing import Generic, TypeVar, cast

from twotick.client.address import TLS_PORT
from twotick.client.trust.known_servers import AUTHORITY, CertificateChanged, KnownServers, Trust, TrustError
from twotick.net import fingerprint, server_name

_NO_AUTHORITY = frozenset({2, 18, 19, 20, 21})
"""The OpenSSL errors for certificates that lead to no authority that this system trusts
(X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, _DEPTH_ZERO_SELF_SIGNED_CERT, _SELF_SIGNED_CERT_IN_CHAIN,
_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, _UNABLE_TO_VERIFY_LEAF_SIGNATURE). OpenSSL checks dates and names only after it has
found an authority."""

_HANDSHAKE = 10.0
"""Seconds for the TLS handshake. A server that does not speak TLS may wait for more data and never answer."""

_NOT_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "UNEXPECTED_MESSAGE")
"""What OpenSSL calls an answer that is not TLS."""

_Protocol = TypeVar("_Protocol", bound=asyncio.Protocol)


class _Guard(asyncio.Protocol, Generic[_Protocol]):
    """Takes the place of the protocol until the certificate is verified, so that no byte gets through before.

    Args:
        judge: returns why the certificate with a fingerprint is trusted, or raises why it is not.
        factory: makes the protocol.
    """

    def __init__(self, judge: Callable[[str], Trust], factory: Callable[[], _Protocol]) -> None:
        self._judge = judge
        self._factory = factory
        self._gone = asyncio.get_running_loop().create_future()
        self._refusal: Exception | None = None
        self._admitted: tuple[_Protocol, Trust] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Verify the certificate, now that the handshake is complete. Nothing was written yet."""
        transport = cast(asyncio.Transport, transport)
        try:
            certificate = transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
            if certificate is None:
                raise TrustError("the server presented no certificate. Nothing was sent. Tell the server's operator.")  # noqa: TRY301
            trust = self._judge(fingerprint(certificate))
        except Exception as refusal:  # `admitted` raises it
            self._refusal = refusal
            transport.abort()
            return
        protocol = self._factory()
        self._admitted = protocol, trust
        transport.set_protocol(protocol)
        protocol.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let `admitted` raise the refusal, now that the connection is gone."""
        self._gone.set_result(None)

    async def admitted(self) -> tuple[_Protocol, Trust]:
        """Return the protocol and why the server is trusted. If it is not, raise why when the connection is gone."""
        if self._refusal is not None:
            await self._gone
            raise self._refusal
        assert self._admitted is not None
        return self._admitted


async def open_tls(
    factory: Callable[[], _Protocol], host: str, server: str, known: KnownServers, at: tuple[str, int]
) -> tuple[asyncio.Transport, _Protocol, Trust]:
    """Connect with TLS 1.2 or later to a server whose certificate is trusted.

    A server whose certificate is not trusted receives nothing but the handshake, and `factory` is not called.

    Args:
        factory: makes the protocol for the connection.
        host: the name or address of the server, for which its certificate must be valid.
        server: the server, as `server_name` writes it, under which its certificate is remembered.
        known: the servers whose certificates are known.
        at: where the server listens: the name or address of the machine, and the port.

    Returns:
        The transport, the protocol, and why the server is trusted. After the first connection, show the fingerprint to
        the user.

    Raises:
        TrustError: the server's certificate is not trusted, or it does not speak TLS. Another attempt would not help.
        OSError: no connection can be made.
    """

    async def connect(
        context: ssl.SSLContext, judge: Callable[[str, str], Trust]
    ) -> tuple[asyncio.Transport, _Protocol, Trust]:
        transport, guard = await asyncio.get_running_loop().create_connection(
            lambda: _Guard(lambda presented: judge(server, presented), factory),
            *at,
            ssl=context,
            server_hostname=host,
            ssl_handshake_timeout=_HANDSHAKE,
        )
        protocol, trust = await guard.admitted()
        return transport, protocol, trust

    changed = None
    try:
        if any(entry != AUTHORITY for entry in known.entries(server)):
            try:
                return await connect(_unverified(), known.decide)  # the usual case, with one connection
            except CertificateChanged as error:
                changed = error  # unless an authority signed the new certificate
        try:
            return await connect(ssl.create_default_context(), known.signed)
        except ssl.SSLCertVerificationError as error:
            if changed is not None:
                raise changed from error
            if error.verify_code not in _NO_AUTHORITY:
                raise TrustError(
                    f"the certificate of {server} is not trusted: {error.verify_message}. Nothing was sent."
                    " Tell the server's operator."
                ) from error
        return await connect(_unverified(), known.decide)
    except ssl.SSLError as error:
        if error.reason in _NOT_TLS:
            raise TrustError(
                f"{server_name(*at)} does not speak TLS, and nothing was sent. Check the port: the port for TLS is"
                f" {TLS_PORT}, unless the server's operator has chosen another."
            ) from error
        raise TrustError(
            f"no encrypted connection to {server_name(*at)} ({error.reason or error}): perhaps the server does not"
            " speak TLS. Nothing was sent."
        ) from error


def _unverified() -> ssl.SSLContext:
    """Return a context for connections whose certificate is verified after the handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
