"""Find where a server listens, if its address names no port (docs/protocol.md, rule 1.5)."""

from dataclasses import dataclass
from itertools import islice

from twotick.client.address import DEFAULT_PORT, TLS_PORT, ServerAddress
from twotick.client.errors import ServerUnreachable

_SERVICE = "_twotick._tcp"
"""What the DNS calls a server."""

_PATIENCE = 2.0
"""Seconds that the DNS has to answer. If it does not, the client does without: most servers have no such record."""

_MOST_RECORDS = 4
"""How many of the places that the DNS names are tried."""


@dataclass(frozen=True, slots=True)
class Route:
    """A way to reach a server.

    Attributes:
        host: the name or address of the machine.
        port: the port.
        tls: whether to connect with TLS.
    """

    host: str
    port: int
    tls: bool


async def routes(address: ServerAddress) -> list[Route]:
    """Return the ways to reach a server, in the order in which to try them.

    Args:
        address: the server's address.

    Returns:
        The port of the address, if it names one. Else what the DNS names, or else the port for TLS; and last the port
        without TLS, if that is allowed.

    Raises:
        ServerUnreachable: the DNS says that there is no server.
    """
    if address.port is not None:
        return [Route(address.host, address.port, address.tls)]
    found = [Route(host, port, tls=True) for host, port in await _from_dns(address.host)]
    if not found:
        found = [Route(address.host, TLS_PORT, tls=True)]
    if address.plaintext:
        found.append(Route(address.host, DEFAULT_PORT, tls=False))
    return found


async def _from_dns(host: str) -> list[tuple[str, int]]:
    """Return the hosts and ports that the DNS names for a server; none if it names none, or does not answer."""
    if "." not in host or ":" in host or host.replace(".", "").isdigit():
        return []  # not a name in the DNS
    import dns.asyncresolver  # not at the top: the import is slow, and few commands need it
    from dns.exception import DNSException
    from dns.rdtypes.IN.SRV import SRV

    name = f"{_SERVICE}.{host.encode('idna').decode('ascii')}."
    try:
        answer = await dns.asyncresolver.Resolver().resolve(name, "SRV", lifetime=_PATIENCE)
        records = [each for each in answer.rrset.processing_order() if isinstance(each, SRV)] if answer.rrset else []
    except (DNSException, OSError):
        return []  # as if there were no record: the name of the host may be known without the DNS
    found = [(str(each.target).removesuffix("."), each.port) for each in records]
    if found and not any(target and port for target, port in found):
        raise ServerUnreachable(f"{host} has no Twotick server, as the DNS says: check the name")
    return list(islice(((target, port) for target, port in found if target and port), _MOST_RECORDS))
