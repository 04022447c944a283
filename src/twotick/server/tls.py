"""The server's certificate: load it, or make a self-signed one."""

import datetime
import ipaddress
import os
import re
import ssl
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from twotick.named_files import read_named, read_named_with_mode
from twotick.net import fingerprint

if TYPE_CHECKING:
    from cryptography import x509  # imported late by what needs it
    from cryptography.hazmat.primitives.asymmetric import ec

_OTHERS = 0o027
"""Permission bits that a key must not have: others may do nothing. Its group may read it, because that is how systems
give a service its key (Debian's group ssl-cert)."""

_EARLIER = datetime.timedelta(days=1)
"""How far in the past a new certificate becomes valid: the clocks of clients may be slow."""

_SOON = datetime.timedelta(days=14)
"""How long before a certificate expires the operator is told."""

_LONGEST = 36500
"""Most days that a new certificate may be valid: a certificate cannot name a time after the year 9999."""

_DNS_NAME = re.compile(
    r"(?=.{1,253}\Z)(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
)
"""A host name (RFC 1123, section 2.1), possibly with a star as its first label."""


class TlsError(Exception):
    """A certificate or its key cannot be used or made; the message says why, and what to do."""


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Return the context for the server's side of TLS connections, version 1.2 or later.

    Args:
        certificate: a file with the certificate in PEM, followed by its chain of issuers, if any.
        key: a file with the private key in PEM, without a passphrase, which other users cannot read.

    Raises:
        TlsError: a file is missing, cannot be read or is of the wrong kind; certificate and key do not belong together;
            or other users can read the key.
    """
    _check(certificate, "certificate", b"-----BEGIN CERTIFICATE-----")
    mode = _check(key, "key", b"PRIVATE KEY-----")
    if mode & _OTHERS:
        raise TlsError(
            f"other users may read or change the key {key} (its mode is {mode:04o}): run 'chmod 600 {key}', and replace"
            " key and certificate if another user may have read it"
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2

    def refuse() -> NoReturn:  # otherwise OpenSSL would ask on the terminal
        raise TlsError(f"the key {key} has a passphrase: remove it with 'openssl pkey -in {key} -out NEW_KEY'")

    try:
        context.load_cert_chain(certificate, key, refuse)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise TlsError(
                f"the key {key} does not belong to the certificate {certificate}: name two files that belong together"
            ) from error
        raise TlsError(
            f"the certificate {certificate} or its key {key} is damaged, or TLS does not support its kind"
            f" ({error.reason or error}): copy both again from where they were made, or make new ones"
        ) from error
    return context


def certificate_fingerprint(certificate: Path) -> str:
    """Return the fingerprint of a certificate, which clients show and people compare.

    Args:
        certificate: a file that `server_context` has loaded.

    Raises:
        TlsError: the file was replaced in the meantime.
    """
    try:
        _, begin, rest = read_named(certificate).decode("latin-1").partition("-----BEGIN CERTIFICATE-----")
        content, end, _ = rest.partition("-----END CERTIFICATE-----")
        return fingerprint(ssl.PEM_cert_to_DER_cert(begin + content + end))
    except (OSError, ValueError) as error:
        raise TlsError(f"the certificate {certificate} cannot be read: {error}") from error


def valid_times(certificate: Path) -> tuple[datetime.datetime, datetime.datetime]:
    """Return when a certificate becomes valid, and when it expires.

    Args:
        certificate: a file that `server_context` has loaded.

    Raises:
        TlsError: the file was replaced in the meantime.
    """
    loaded = _load(certificate)
    return loaded.not_valid_before_utc, loaded.not_valid_after_utc


def certificate_names(certificate: Path) -> list[str]:
    """Return the host names and addresses in a certificate.

    Args:
        certificate: a file that `server_context` has loaded.

    Raises:
        TlsError: the file was replaced in the meantime.
    """
    from cryptography import x509

    try:
        names = _load(certificate).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    except ValueError as error:
        raise TlsError(f"the certificate {certificate} cannot be read: {error}") from error
    return [
        *(name.lower() for name in names.get_values_for_type(x509.DNSName)),
        *(str(address) for address in names.get_values_for_type(x509.IPAddress)),
    ]


def _load(certificate: Path) -> "x509.Certificate":
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificate(read_named(certificate))
    except (OSError, ValueError) as error:
        raise TlsError(f"the certificate {certificate} cannot be read: {error}") from error


def validity_problem(times: tuple[datetime.datetime, datetime.datetime], now: datetime.datetime) -> str | None:
    """Return what is wrong with the time of a certificate, or soon will be; None if nothing is.

    Args:
        times: when it becomes valid, and when it expires.
        now: the time.
    """
    start, end = times
    if now < start:
        return "the certificate is not valid yet"
    if now >= end:
        return "the certificate has expired"
    return "the certificate expires soon" if now >= end - _SOON else None


def _check(file: Path, what: str, mark: bytes) -> int:
    """Check that a file can be read and looks like PEM of the right kind; return its permission bits."""
    try:
        content, mode = read_named_with_mode(file)
    except FileNotFoundError as error:
        raise TlsError(f"there is no {what} {file}: make one with 'twotick cert', or name the right file") from error
    except OSError as error:
        raise TlsError(
            f"the {what} {file} cannot be read ({error.strerror}): the user who runs the server must be able to read it"
        ) from error
    if mark not in content:
        raise TlsError(
            f"{file} is not a {what} in PEM, which has a line with '{mark.decode('ascii')}': name another file"
        )
    return mode


def make_certificate(folder: Path, names: list[str], days: int) -> tuple[Path, Path, str]:
    """Make a self-signed certificate and its private key (EC, P-256). Existing files are never overwritten.

    A key without a certificate, which remains if the making of both was interrupted, is used.

    Args:
        folder: where both files go; it is created if it does not exist.
        names: host names and IP addresses under which clients reach the server; internationalized names in their
            `xn--` form.
        days: days until the certificate expires.

    Returns:
        The file `certificate.pem`; the file `key.pem`, which only its owner may read; and the fingerprint of the
        certificate.

    Raises:
        TlsError: one of the files exists or cannot be written, or a name or the days are not valid.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    if not names:
        raise TlsError("a certificate needs at least one name or address under which clients reach the server")
    if not 1 <= days <= _LONGEST:
        raise TlsError(f"a certificate cannot be valid for {days} days: choose 1 to {_LONGEST}")
    alternatives = [_alternative(name) for name in names]
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    private, private_pem = _key_for(certificate, key)
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
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False)
        .sign(private, hashes.SHA256())
    )
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if private_pem is not None:
            write_new(key, private_pem, 0o600)
        write_new(certificate, built.public_bytes(serialization.Encoding.PEM), 0o644)
    except FileExistsError as error:
        raise _exists(Path(error.filename)) from error
    except OSError as error:
        raise TlsError(f"the certificate and its key cannot be written to {folder}: {error.strerror}") from error
    return certificate, key, fingerprint(built.public_bytes(serialization.Encoding.DER))


def _key_for(certificate: Path, key: Path) -> tuple["ec.EllipticCurvePrivateKey", bytes | None]:
    """Return the key for a certificate that is to be made, and the same in PEM if it is a new one.

    Raises:
        TlsError: the certificate exists, or there is a key that cannot be used.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    if certificate.exists():
        raise _exists(certificate)
    try:
        content = read_named(key)
        found = serialization.load_pem_private_key(content, None)
    except (FileNotFoundError, NotADirectoryError):
        return new_key()
    except OSError as error:
        raise TlsError(f"the key {key} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _exists(key) from error
    if not isinstance(found, ec.EllipticCurvePrivateKey) or key.stat().st_mode & _OTHERS:
        raise _exists(key)
    return found, None


def _exists(file: Path) -> TlsError:
    return TlsError(
        f"{file} exists and is not overwritten: use it, or move it away, or choose another folder with --folder"
    )


def new_key() -> tuple["ec.EllipticCurvePrivateKey", bytes]:
    """Return a new private key (EC, P-256), and the same in PEM."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    return key, key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def check_name(name: str) -> None:
    """Check that a text is a host name.

    Raises:
        TlsError: it is none.
    """
    if _DNS_NAME.fullmatch(name.lower()) is None or name.rpartition(".")[2].isdecimal():  # half an address
        raise TlsError(f"{name!r} is not a host name: write it as clients do, for example {_form_for_clients(name)}")


def _form_for_clients(name: str) -> str:
    """Return the name of a host in the letters of the DNS, if it is one with others; else an example."""
    try:
        encoded = name.encode("idna").decode("ascii")
    except UnicodeError:
        return "chat.example"
    return encoded if encoded.startswith("xn--") or ".xn--" in encoded else "chat.example"


def _alternative(name: str) -> "x509.GeneralName":
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        if _DNS_NAME.fullmatch(name.lower()) is None or name.rpartition(".")[2].isdecimal():
            raise TlsError(f"{name!r} is neither a host name nor an IP address: write it as clients do") from None
        return x509.DNSName(name.lower())


def write_new(file: Path, content: bytes, mode: int) -> None:
    """Create a file, completely or not at all, and wait until it is on the disk.

    Args:
        file: the file; its folder must exist.
        content: what it has.
        mode: its permission bits, whatever the umask is.

    Raises:
        OSError: it exists, or cannot be written.
    """
    handle, work = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(handle, "wb") as opened:
            os.fchmod(handle, mode)
            opened.write(content)
            opened.flush()
            os.fsync(handle)
        try:
            os.link(work, file)  # never over another file
        except FileExistsError as error:
            raise FileExistsError(error.errno, error.strerror, str(file)) from error
    finally:
        Path(work).unlink()
