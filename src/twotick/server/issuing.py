"""Certificates from a certificate authority, and their renewal: ACME (RFC 8555) with the challenge HTTP-01.

The library `acme`, on which certbot is built, speaks the protocol. It is imported only when a certificate is got.
The authority is answered on port 80 by this process alone, and only while a certificate is got: the server needs
neither that port nor a right for it. HTTP-01 is the challenge that every authority has, and that a proxy can pass on.
"""

import contextlib
import json
import os
import socket
import ssl
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from twotick.server.tls import TlsError, check_name, new_key, valid_times, write_new

if TYPE_CHECKING:
    from acme import challenges, client, messages
    from josepy.jwk import JWKEC

LETS_ENCRYPT: Final = "https://acme-v02.api.letsencrypt.org/directory"
"""The directory of the authority that is asked if no other one is named."""

CHALLENGE_PORT: Final = 80
"""Where authorities look for the answer to their challenge."""

_ORDER: Final = "authority.json"
_ACCOUNT: Final = "account.json"

_PATIENCE: Final = 30
"""Seconds for each answer of the authority."""

_LONGEST: Final = timedelta(seconds=90)
"""Time for the authority to look at the answer, and to make the certificate."""


class NotIssued(Exception):
    """The authority does not issue the certificate now; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class CertificateOrder:
    """What to ask an authority for.

    Attributes:
        names: the host names in the certificate.
        directory: the URL of the authority's directory.
        email: where the authority can reach the operator; empty if it cannot.
        port: where its challenge is answered.
    """

    names: list[str]
    directory: str = LETS_ENCRYPT
    email: str = ""
    port: int = CHALLENGE_PORT


def is_installed() -> bool:
    """Return whether the library is there that speaks ACME."""
    return find_spec("acme") is not None


def read_order(folder: Path) -> CertificateOrder | None:
    """Return what was ordered for a folder; None if its certificate is from no authority.

    Raises:
        TlsError: the file cannot be read, or says something else.
    """
    file = folder / _ORDER
    try:
        found = json.loads(file.read_text("utf-8"))
        return CertificateOrder([*map(str, found["names"])], found["directory"], found["email"], int(found["port"]))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise TlsError(f"{file} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise TlsError(
            f"{file} does not say what to renew: remove it and the certificate, and run 'twotick cert --acme' again"
        ) from error


def is_due(times: tuple[datetime, datetime], now: datetime) -> bool:
    """Return whether to renew a certificate: less than a third of its time is left.

    Args:
        times: when it becomes valid, and when it expires.
        now: the time.
    """
    start, end = times
    return now >= end - (end - start) / 3


def issue(folder: Path, order: CertificateOrder) -> None:
    """Get the first certificate: `certificate.pem`, and `key.pem`, which only its owner may read.

    Args:
        folder: where they go, with what is needed to renew them; it is made if it is missing.
        order: what to ask for.

    Raises:
        TlsError: there is a certificate, a file cannot be written, or a name cannot be in a certificate.
        NotIssued: the authority does not issue it.
    """
    for name in order.names:
        check_name(name)
        if name.startswith("*"):
            raise TlsError(f"an authority gives no certificate for '{name}' over HTTP: name each host")
    certificate = folder / "certificate.pem"
    if certificate.exists():
        renewing = ", or renew it with --renew" if (folder / _ORDER).exists() else ""
        raise TlsError(
            f"{certificate} exists and is not overwritten: use it{renewing}, or choose another folder with --folder"
        )
    with _writing(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _get(folder, order)


def renew(folder: Path, order: CertificateOrder, now: datetime) -> str:
    """Renew a certificate if that is due; return what was done, for a person to read.

    The key stays, so that only one file changes, and the two always belong together. The server notices within seconds.

    Raises:
        TlsError: a file cannot be read or written.
        NotIssued: the authority does not issue it.
    """
    certificate = folder / "certificate.pem"
    if certificate.exists():
        _, end = times = valid_times(certificate)
        if not is_due(times, now):
            return f"the certificate is valid until {end:%Y-%m-%d}: it is not renewed yet"
    _get(folder, order)
    return f"the certificate was renewed, and is valid until {valid_times(certificate)[1]:%Y-%m-%d}"


@contextmanager
def _writing(folder: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise TlsError(f"the certificate and its key cannot be written to {folder}: {error.strerror}") from error


def _get(folder: Path, order: CertificateOrder) -> None:
    """Get a certificate for the key in a folder, or for a new one, and put it there."""
    if not is_installed():
        raise NotIssued("the library 'acme' is missing: install it with pip install 'twotick[acme]'")
    key_file = folder / "key.pem"
    with _writing(folder):
        key = key_file.read_bytes() if key_file.exists() else new_key()[1]
        account = _account_key(folder / _ACCOUNT)
        chain = _asked(order, account, key)
        if not key_file.exists():
            write_new(key_file, key, 0o600)
        # Before the certificate: one without its order, after an interruption, would never be renewed.
        _replace(folder / _ORDER, json.dumps({each: getattr(order, each) for each in order.__slots__}).encode(), 0o600)
        _replace(folder / "certificate.pem", chain.encode(), 0o644)


def _account_key(file: Path) -> "JWKEC":
    """Return the key of the operator's account with authorities; a new one is kept."""
    from josepy.errors import Error
    from josepy.jwk import JWKEC
    from josepy.util import ComparableECKey

    try:
        return cast(JWKEC, JWKEC.from_json(json.loads(file.read_text("utf-8"))))
    except FileNotFoundError:
        key = JWKEC(key=ComparableECKey(new_key()[0]))
        write_new(file, json.dumps(key.to_json()).encode(), 0o600)
        return key
    except (ValueError, KeyError, Error) as error:
        raise TlsError(f"{file} is damaged: remove it, and a new account is made") from error


def _replace(file: Path, content: bytes, mode: int) -> None:
    """Write a file that takes the place of an older one, completely or not at all."""
    new = file.with_name(f"{file.name}.new")
    new.unlink(missing_ok=True)
    write_new(new, content, mode)
    new.replace(file)


def _asked(order: CertificateOrder, account: "JWKEC", key: bytes) -> str:
    """Ask the authority; return the certificate with its chain, in PEM.

    Raises:
        NotIssued: it does not issue it.
    """
    import requests
    from acme import crypto_util, errors

    try:
        authority = _entered(order, account)
        ordered = authority.new_order(crypto_util.make_csr(key, order.names))
        with _answering(order, account, ordered) as to_answer:
            for challenge, response in to_answer:
                authority.answer_challenge(challenge, response)
            done = authority.poll_and_finalize(ordered, datetime.now() + _LONGEST)  # as the library has it
        return str(done.fullchain_pem)
    except errors.ValidationError as error:
        raise NotIssued(_why_invalid(error, order)) from error
    except errors.TimeoutError as error:
        raise NotIssued("the authority did not issue the certificate in time: try again later") from error
    except errors.Error as error:
        raise NotIssued(f"the authority refuses: {' '.join(str(error).split())}") from error
    except (requests.RequestException, ValueError) as error:
        raise NotIssued(
            f"the authority {order.directory} does not answer as one does ({_cause(error)}): try again later"
        ) from error


def _cause(error: BaseException) -> str:
    """Return the innermost reason of an error, in a line."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return " ".join(str(error).split())[:200] or type(error).__name__


def _entered(order: CertificateOrder, account: "JWKEC") -> "client.ClientV2":
    """Return the way to an authority, with an account there."""
    from acme import client, errors, messages
    from josepy.jwa import ES256

    # The authorities that the system trusts, so that one of a company's own needs no setting here.
    trusted: Any = ssl.get_default_verify_paths().cafile or True
    net = client.ClientNetwork(account, alg=ES256, verify_ssl=trusted, user_agent="twotick", timeout=_PATIENCE)
    authority = client.ClientV2(client.ClientV2.get_directory(order.directory, net), net)
    new = messages.NewRegistration.from_data(email=order.email or None, terms_of_service_agreed=True)
    try:
        authority.new_account(new)
    except errors.ConflictError as known:
        net.account = messages.RegistrationResource(uri=known.location, body=messages.Registration())
    return authority


@contextmanager
def _answering(
    order: CertificateOrder, account: "JWKEC", ordered: Any
) -> Generator[list[tuple["messages.ChallengeBody", "challenges.HTTP01Response"]]]:
    """Serve the answers to the challenges of an order; yield each challenge with the response that says so."""
    from acme import challenges, standalone

    found: list[tuple[messages.ChallengeBody, challenges.HTTP01Response]] = []
    served: set[standalone.HTTP01RequestHandler.HTTP01Resource] = set()
    for authorization in ordered.authorizations:
        if authorization.body.status.name == "valid":
            continue  # from an earlier order
        challenge = next((each for each in authorization.body.challenges if each.typ == "http-01"), None)
        if challenge is None:
            raise NotIssued("the authority does not offer the challenge HTTP-01: name another authority")
        response, validation = challenge.response_and_validation(account)
        served.add(standalone.HTTP01RequestHandler.HTTP01Resource(challenge.chall, response, validation))
        found.append((challenge, response))
    try:
        servers = standalone.HTTP01DualNetworkedServers(("", order.port), served)
    except OSError as error:
        raise NotIssued(
            f"port {order.port}, where the authority looks for its challenge, cannot be used ({error.strerror}):"
            " run this as root, or stop the program that listens there, or let it pass"
            " /.well-known/acme-challenge/ on to another port, and name that with --acme-port"
        ) from error
    servers.serve_forever()
    try:
        yield found
    finally:
        servers.shutdown_and_server_close()


def _why_invalid(error: Any, order: CertificateOrder) -> str:
    """Return why the authority did not accept an answer, and what to do."""
    details = [
        str(challenge.error.detail)
        for authorization in error.failed_authzrs
        for challenge in authorization.body.challenges
        if challenge.error is not None
    ]
    reason = " ".join("; ".join(details).split())[:300]
    return (
        f"the authority cannot reach {' and '.join(order.names)} ({reason}): let the DNS name lead to this machine,"
        f" let its firewall pass TCP port {CHALLENGE_PORT}, and run the command again"
    )


def addresses_here(name: str) -> tuple[list[str], list[str]]:
    """Return the addresses to which a host name leads: those of this machine, and others."""
    here: list[str] = []
    elsewhere: list[str] = []
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return [], []
    for family, *_, address in found:
        with contextlib.closing(socket.socket(family, socket.SOCK_DGRAM)) as probe:
            try:
                probe.bind((address[0], 0))
            except OSError:
                elsewhere.append(str(address[0]))
            else:
                here.append(str(address[0]))
    return list(dict.fromkeys(here)), list(dict.fromkeys(elsewhere))


def may_use_port(port: int) -> bool:
    """Return whether this process may listen on a port, as far as its rights go."""
    if port >= _first_free_port():
        return True
    return os.geteuid() == 0


def _first_free_port() -> int:
    """Return the lowest port that needs no rights."""
    try:
        return int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text("ascii"))
    except (OSError, ValueError):
        return 1024
