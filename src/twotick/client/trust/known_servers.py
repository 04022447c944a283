"""Whether a server is the one that it should be, by its TLS certificate.

A certificate is trusted if an authority that this system knows vouches for it and for the name of the host. Otherwise
it is remembered when it is first seen, and from then on the server must show the same one: whoever was not in between
at the first connection cannot get in between later. A server for which an authority has vouched once must always have
one that does, or else whoever is in between could show a certificate of their own as if it were a first.

What is remembered is in a file `known_servers`, a line for each: `host:port fingerprint`, or `host:port authority`.
"""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Generic, TypeVar, cast

import platformdirs

from twotick.client.errors import TwotickError
from twotick.client.trust import private_files
from twotick.net import fingerprint, server_name

_AUTHORITY = "authority"
"""In place of a fingerprint: authorities vouch for this server."""

_NOBODY_VOUCHES = frozenset({2, 18, 19, 20, 21})
"""What OpenSSL calls certificates that lead to no authority it knows (X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT,
_DEPTH_ZERO_SELF_SIGNED_CERT, _SELF_SIGNED_CERT_IN_CHAIN, _UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
_UNABLE_TO_VERIFY_LEAF_SIGNATURE). It looks at everything else, such as dates and names, only when it found one."""

_HANDSHAKE = 10.0
"""Seconds for a TLS handshake. A server that does not speak TLS may wait for more, and never answer."""

_Protocol = TypeVar("_Protocol", bound=asyncio.Protocol)


class TrustError(TwotickError):
    """The server is not, or may not be, the one that it should be. Nothing was sent to it."""


class CertificateChanged(TrustError):
    """The server shows another certificate than it used to."""


class Verdict(Enum):
    """Why a certificate is trusted."""

    AUTHORITY = "trusted by authority"
    KNOWN = "known"
    FIRST_USE = "first use"


@dataclass(frozen=True, slots=True)
class Trust:
    """Why a server is trusted.

    Attributes:
        verdict: why.
        server: the server, as `host:port`.
        fingerprint: its certificate's, for people to compare.
        warning: what people should know besides; None if there is nothing.
    """

    verdict: Verdict
    server: str
    fingerprint: str
    warning: str | None = None


class KnownServers:
    """What is remembered of servers. Each question reads the file, since others may have changed it.

    Args:
        file: where it is; None for the usual place.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file = file or platformdirs.user_config_path("twotick") / "known_servers"

    def entries(self, server: str) -> dict[str, int]:
        """What is remembered of a server.

        Args:
            server: it, as `server_name` names it.

        Returns:
            The fingerprints of its certificates, each with the number of its line in the file. Several if somebody has
            added some by hand, as for a change that is announced.

        Raises:
            TrustError: the file cannot be read, or has a line that is none of its own.
        """
        return {entry: number for number, known, entry in self._lines() if known == server}

    def decide(self, server: str, presented: str) -> Trust:
        """Decide about a certificate for which no authority vouches; remember it if it is the server's first.

        Args:
            server: the server, as `server_name` names it.
            presented: the fingerprint of the certificate that it shows.

        Returns:
            Why it is trusted: `KNOWN` or `FIRST_USE`.

        Raises:
            CertificateChanged: another one is known.
            TrustError: the file cannot be read, or not be written.
        """
        known = self.entries(server)
        if not known:
            try:
                with private_files.locked(self._file):
                    known = self.entries(server)  # another program may have been faster
                    if not known:
                        private_files.replace(self._file, f"{self._text()}{server} {presented}\n")
                        return Trust(Verdict.FIRST_USE, server, presented)
            except OSError as error:
                raise TrustError(
                    f"the certificate of {server} cannot be remembered in {self._file} ({error.strerror}), so a change"
                    " would not be noticed. Nothing was sent. Make that file writable, or, if the operator says that"
                    f" this is the server's fingerprint, add the line\n  {server} {presented}"
                ) from error
        if presented in known:
            return Trust(Verdict.KNOWN, server, presented)
        raise CertificateChanged(self._changed(server, known, presented))

    def vouched(self, server: str, presented: str) -> Trust:
        """Note that an authority vouches for a server, which has to be so from now on.

        Args:
            server: the server, as `server_name` names it.
            presented: the fingerprint of the certificate that it shows.

        Returns:
            Why it is trusted: `AUTHORITY`; with a warning if that cannot be noted, which is no reason to distrust it.

        Raises:
            TrustError: the file cannot be read.
        """
        warning = None
        if list(self.entries(server)) != [_AUTHORITY]:
            try:
                with private_files.locked(self._file):
                    lines = self._text().splitlines(keepends=True)
                    mine = {number for number, known, _ in self._lines() if known == server}
                    others = (line for number, line in enumerate(lines, 1) if number not in mine)
                    private_files.replace(self._file, f"{''.join(others)}{server} {_AUTHORITY}\n")
            except OSError as error:
                warning = (
                    f"{self._file} cannot be written ({error.strerror}): it will not be noticed if authorities cease to"
                    f" vouch for {server}"
                )
        return Trust(Verdict.AUTHORITY, server, presented, warning)

    def _text(self) -> str:
        try:
            text = self._file.read_text("utf-8")
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            raise TrustError(f"cannot read which servers are known: {self._file}: {error}") from error
        return text if not text or text.endswith("\n") else text + "\n"

    def _lines(self) -> list[tuple[int, str, str]]:
        """Number, server and fingerprint of each line that is not empty or a comment."""
        lines: list[tuple[int, str, str]] = []
        for number, line in enumerate(self._text().splitlines(), 1):
            words = line.split()
            if not words or words[0].startswith("#"):
                continue
            if len(words) != 2 or not (words[1] == _AUTHORITY or words[1].startswith("SHA256:")):
                raise TrustError(
                    f"line {number} of {self._file} is not 'HOST:PORT SHA256:...' or 'HOST:PORT {_AUTHORITY}':"
                    " correct it or remove it"
                )
            lines.append((number, words[0], words[1]))
        return lines

    def _changed(self, server: str, known: dict[str, int], presented: str) -> str:
        lines = [f"THE CERTIFICATE OF {server} HAS CHANGED. Somebody may be in between. Nothing was sent."]
        for entry, number in known.items():
            what = "one for which an authority vouches" if entry == _AUTHORITY else entry
            lines.append(f"  known:  {what} (line {number} of {self._file})")
        lines.append(f"  shown:  {presented}")
        numbers = " and ".join(f"line {number}" for number in known.values())
        lines.append(
            "Ask the server's operator, in another way, for the fingerprint of its certificate. If it is the one shown,"
            f" remove {numbers} of {self._file} and connect again."
        )
        return "\n".join(lines)


class _Guard(asyncio.Protocol, Generic[_Protocol]):
    """Stands in for a protocol until the certificate is judged, so that not a byte gets through before.

    Args:
        judge: says why the certificate with this fingerprint is trusted, or raises why not.
        factory: makes the protocol.
    """

    def __init__(self, judge: Callable[[str], Trust], factory: Callable[[], _Protocol]) -> None:
        self._judge = judge
        self._factory = factory
        self._gone = asyncio.get_running_loop().create_future()
        self._refusal: Exception | None = None
        self._admitted: tuple[_Protocol, Trust] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The handshake is over. Nothing was written yet."""
        transport = cast(asyncio.Transport, transport)
        try:
            certificate = transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
            if certificate is None:
                raise TrustError("the server shows no certificate. Nothing was sent.")  # noqa: TRY301 # like any refusal
            trust = self._judge(fingerprint(certificate))
        except Exception as refusal:  # whatever it is, whoever wants to connect gets it, and the server gets nothing
            self._refusal = refusal
            transport.abort()
            return
        protocol = self._factory()
        self._admitted = protocol, trust
        transport.set_protocol(protocol)
        protocol.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection of a server that was refused is gone."""
        self._gone.set_result(None)

    async def admitted(self) -> tuple[_Protocol, Trust]:
        """Give the protocol and why the server is trusted, or raise why not when the connection is gone."""
        if self._refusal is not None:
            await self._gone
            raise self._refusal
        assert self._admitted is not None
        return self._admitted


async def open_tls(
    factory: Callable[[], _Protocol], host: str, port: int, known: KnownServers
) -> tuple[asyncio.Transport, _Protocol, Trust]:
    """Connect over TLS, 1.2 or later, to a server that is trusted.

    A server that is refused is sent nothing but a handshake, and `factory` is not called.

    Args:
        factory: makes the protocol that gets the connection.
        host: the server's name or address.
        port: its port.
        known: the servers that are known.

    Returns:
        The transport, the protocol, and why the server is trusted. At first use, show people the fingerprint.

    Raises:
        TrustError: the server is not trusted, or does not speak TLS. To try again would not help.
        OSError: there is no connection.
    """
    host = host.removesuffix(".")
    server = server_name(host, port)

    async def connect(
        context: ssl.SSLContext, judge: Callable[[str, str], Trust]
    ) -> tuple[asyncio.Transport, _Protocol, Trust]:
        transport, guard = await asyncio.get_running_loop().create_connection(
            lambda: _Guard(lambda presented: judge(server, presented), factory),
            host,
            port,
            ssl=context,
            server_hostname=host,
            ssl_handshake_timeout=_HANDSHAKE,
        )
        protocol, trust = await guard.admitted()
        return transport, protocol, trust

    changed = None
    try:
        if any(entry != _AUTHORITY for entry in known.entries(server)):
            try:
                return await connect(_unverified(), known.decide)  # the usual case needs no second connection
            except CertificateChanged as error:
                changed = error  # unless it has got one for which an authority vouches
        try:
            return await connect(ssl.create_default_context(), known.vouched)
        except ssl.SSLCertVerificationError as error:
            if changed is not None:
                raise changed from error
            if error.verify_code not in _NOBODY_VOUCHES:
                raise TrustError(
                    f"the certificate of {server} is not to be trusted: {error.verify_message}. Nothing was sent."
                    " Tell the server's operator."
                ) from error
        return await connect(_unverified(), known.decide)
    except ssl.SSLError as error:
        raise TrustError(
            f"no encrypted connection to {server} ({error.reason or error}): perhaps the server does not speak TLS."
            " Nothing was sent."
        ) from error


def _unverified() -> ssl.SSLContext:
    """A context for connections whose certificate is judged afterwards."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
