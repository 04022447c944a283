"""The server's certificate: how it is loaded, and how one is made that nobody has to vouch for."""

import datetime
import ipaddress
import os
import re
import ssl
import stat
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from twotick.net import fingerprint

if TYPE_CHECKING:
    from cryptography import x509  # loaded only to make a certificate

_OTHERS = 0o027
"""Permissions that a key must not give: none at all to others, none but to read to its group, which is how systems let
a service have a key (Debian's group ssl-cert)."""

_EARLIER = datetime.timedelta(days=1)
"""How long a new certificate has been valid already: clients' clocks may be slow."""

_LONGEST = 36500
"""Days that a new certificate may be valid: beyond the year 9999 a certificate cannot say."""

_DNS_NAME = re.compile(
    r"(?=.{1,253}\Z)(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
)
"""A host's name (RFC 1123, section 2.1), perhaps with a star for its first part."""


class TlsError(Exception):
    """A certificate or its key cannot be used, or made; the message says why and what to do."""


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Prepare to talk TLS, 1.2 or later.

    Args:
        certificate: a file with the certificate in PEM, followed by those that vouch for it, if any.
        key: a file with its private key in PEM, without a passphrase, that others cannot read.

    Returns:
        A context for the server's side of connections.

    Raises:
        TlsError: one of the files is missing or cannot be read, is not what it should be, or does not belong to the
            other; or the key can be read by others.
    """
    _check(certificate, "certificate", b"-----BEGIN CERTIFICATE-----")
    mode = _check(key, "key", b"PRIVATE KEY-----")
    if mode & _OTHERS:
        raise TlsError(
            f"others may read or change the key {key} (its mode is {mode:04o}): run 'chmod 600 {key}', and replace key"
            " and certificate if somebody may have read it"
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2

    def refuse() -> NoReturn:  # otherwise OpenSSL asks on the terminal, where perhaps nobody is
        raise TlsError(f"the key {key} has a passphrase: take that away with 'openssl pkey -in {key} -out NEW_KEY'")

    try:
        context.load_cert_chain(certificate, key, refuse)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise TlsError(
                f"the key {key} is not that of the certificate {certificate}: name two files that were made together"
            ) from error
        raise TlsError(
            f"the certificate {certificate} or its key {key} is damaged or of a kind that TLS does not take"
            f" ({error.reason or error}): copy both from where they were made, or make new ones"
        ) from error
    return context


def certificate_fingerprint(certificate: Path) -> str:
    """Give what clients see of a certificate, for people to compare.

    Args:
        certificate: a file from which `server_context` could load one.

    Raises:
        TlsError: the file was replaced by something else in the meantime.
    """
    try:
        _, begin, rest = certificate.read_text("latin-1").partition("-----BEGIN CERTIFICATE-----")
        content, end, _ = rest.partition("-----END CERTIFICATE-----")
        return fingerprint(ssl.PEM_cert_to_DER_cert(begin + content + end))
    except (OSError, ValueError) as error:
        raise TlsError(f"the certificate {certificate} cannot be read: {error}") from error


def _check(file: Path, what: str, mark: bytes) -> int:
    """Look whether a file is likely to be what it should be. Returns its mode."""
    try:
        with file.open("rb") as opened:
            mode = stat.S_IMODE(os.fstat(opened.fileno()).st_mode)
            content = opened.read()
    except FileNotFoundError as error:
        raise TlsError(f"there is no {what} {file}: make one, or name the file where it is") from error
    except OSError as error:
        raise TlsError(
            f"the {what} {file} cannot be read ({error.strerror}): it must be a file that the server's user may read"
        ) from error
    if mark not in content:
        raise TlsError(f"{file} is no {what} in PEM, which has a line with '{mark.decode('ascii')}': name another file")
    return mode


def make_certificate(folder: Path, names: list[str], days: int) -> tuple[Path, Path, str]:
    """Make a certificate that vouches for itself, and its key (EC, P-256). Nothing that exists is ever overwritten.

    Args:
        folder: where both are put; made if it is not there.
        names: the names and IP addresses by which clients find the server; names in another alphabet in their `xn--`
            form.
        days: for how many days from now it is valid.

    Returns:
        The file `certificate.pem`; the file `key.pem`, which only its owner may read; and the certificate's
        fingerprint, to be told to those who connect.

    Raises:
        TlsError: one of the files exists or cannot be written, or names or days make no sense.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    if not names:
        raise TlsError("a certificate needs at least one name or address by which clients find the server")
    if not 1 <= days <= _LONGEST:
        raise TlsError(f"a certificate cannot be valid for {days} days: choose 1 to {_LONGEST}")
    private = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Twotick")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False)
        .sign(private, hashes.SHA256())
    )
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_new(
            key,
            private.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
            0o600,
        )
        try:
            _write_new(certificate, built.public_bytes(serialization.Encoding.PEM), 0o644)
        except OSError:
            key.unlink()  # it was made just now and is of no use
            raise
    except FileExistsError as error:
        raise TlsError(f"{error.filename} exists and is not overwritten: use it, or choose another folder") from error
    except OSError as error:
        raise TlsError(f"the certificate and its key cannot be written to {folder}: {error.strerror}") from error
    return certificate, key, fingerprint(built.public_bytes(serialization.Encoding.DER))


def _alternative(name: str) -> "x509.GeneralName":
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        if _DNS_NAME.fullmatch(name.lower()) is None:
            raise TlsError(f"'{name}' is neither a host's name nor an address: write it as clients do") from None
        return x509.DNSName(name.lower())


def _write_new(file: Path, content: bytes, mode: int) -> None:
    """Write a file that is not there yet, all of it or nothing, and wait until the disk has it."""
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as opened:
        try:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
        except OSError:
            file.unlink()
            raise
