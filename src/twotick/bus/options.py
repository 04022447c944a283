"""The options of the bus, and the check that they are safe."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from twotick.bus.port import BusError
from twotick.net import is_loopback

_MOST_HOSTS = 16
"""How many NATS servers the options may name."""

_SCHEMES = ("nats", "tls")

_EXAMPLE = "write it as 'tls://nats1.example:4222,nats2.example:4222'"


@dataclass(frozen=True, slots=True)
class BusOptions:
    """Where the bus is, and how this server proves who it is.

    Attributes:
        servers: the NATS servers, separated by commas: `nats://` or `tls://`, at least before the first of them, and
            where needed `USER:PASSWORD@` or `TOKEN@` before each host; empty for a single server, which needs no bus.
        credentials: a file with credentials for NATS (`.creds`); None for none.
        ca: a file with the certificates of the authorities that sign those of the NATS servers; None for the system's.
        certificate: a file with this server's certificate for NATS; None for none.
        key: a file with the key of that certificate.
    """

    servers: str = ""
    credentials: Path | None = None
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


def check_bus(options: BusOptions) -> list[str]:
    """Check the options of the bus.

    Returns:
        The URLs of the NATS servers; none if there is no bus.

    Raises:
        BusError: the options make no sense, or others could read or forge what the bus carries.
    """
    if not options.servers.strip():
        if options.credentials or options.ca or options.certificate or options.key:
            raise BusError("bus_credentials, bus_ca, bus_certificate and bus_key need the setting bus: set it as well")
        return []
    scheme, _, _ = options.servers.strip().partition("://")
    given = [each.strip() for each in options.servers.split(",")]
    if len(given) > _MOST_HOSTS:
        raise BusError(f"bus names {len(given)} servers, and {_MOST_HOSTS} is the limit")
    urls = [_checked(each if "://" in each else f"{scheme}://{each}") for each in given]
    schemes = {url.scheme for url in urls}
    if len(schemes) > 1:
        raise BusError("bus has nats:// and tls:// addresses: write all with tls://")
    if (options.certificate is None) is not (options.key is None):
        raise BusError("only one of bus_certificate and bus_key is set: set both, or neither")
    if "tls" not in schemes and (options.ca or options.certificate):
        raise BusError("bus_ca and bus_certificate have no meaning without TLS: write tls:// in the setting bus")
    for setting, file in (("bus_credentials", options.credentials), ("bus_ca", options.ca)):
        if file is not None and not file.is_file():
            raise BusError(f"{setting} names the file {file}, which does not exist: check the path")
    return [url.geturl() for url in urls]


def _checked(text: str) -> SplitResult:
    """Return the URL of a NATS server, or raise BusError. Errors do not repeat the URL, which may have a password."""
    try:
        url = urlsplit(text)
        host, port = url.hostname, url.port
    except ValueError:
        host, port, url = None, None, urlsplit("")
    if url.scheme not in _SCHEMES or not host or url.path.strip("/") or url.query or url.fragment or port == 0:
        raise BusError(f"bus has an address that is not tls://HOST:PORT or nats://HOST:PORT: {_EXAMPLE}")
    if url.scheme == "nats" and host != "localhost" and not is_loopback(host):
        raise BusError(
            f"bus = nats://{host} leads to another machine without TLS, and others could read and forge what servers"
            f" tell each other: set up TLS for NATS, and write tls://{host}"
        )
    return url
