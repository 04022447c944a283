"""Find where a server listens, if its address names no port (docs/protocol.md, rule 1.5)."""

import asyncio
import random
import socket
from dataclasses import dataclass, field, replace
from itertools import islice

from twotick.client.address import DEFAULT_PORT, TLS_PORT, ServerAddress, is_this_machine
from twotick.client.errors import ServerUnreachable, TwotickError
from twotick.net import server_name

_SERVICE = "_twotick._tcp"
"""What the DNS calls a server."""

_PATIENCE = 2.0
"""Seconds that the DNS has to answer. If it does not, the client does without: most servers have no such record."""

_MOST_RECORDS = 4
"""How many of the places that the DNS names are tried, and how many of the IP addresses of each."""

_MOST_FAILED = 256
"""How many ways that have failed are remembered."""


@dataclass(frozen=True, slots=True)
class Route:
    """A way to reach a server.

    Attributes:
        host: the name or address of the machine.
        port: the port.
        tls: whether to connect with TLS.
        server: the address that the user gave, for which the certificate must be valid.
        ip: the IP address, if the host has several; empty if the system is to find it.
    """

    host: str
    port: int
    tls: bool
    server: ServerAddress | None = field(default=None, compare=False)
    ip: str = ""

    def __str__(self) -> str:
        """Return how the route is shown to users."""
        ip = f" ({self.ip})" if self.ip else ""
        return f"{server_name(self.host, self.port)}{ip}{' with TLS' if self.tls else ''}"


class Ways:
    """The ways to reach a server, which remembers which of them have failed.

    Servers at several addresses share the clients: each client tries the addresses in an order of its own, stays where
    it is let in, and tries what has failed last (rule 9.13).

    Args:
        address: the server's address, or addresses.

    Attributes:
        count: how many ways there are, as far as is known.
        distrust: why a server at one of the addresses was not trusted; None if none was distrusted yet. From then on,
            an attacker may be in between, and a server that the client does not know is not trusted either.
    """

    def __init__(self, address: ServerAddress) -> None:
        self.address = address
        self.distrust: TwotickError | None = None
        self._places = list(address.places)
        if address.others:
            random.shuffle(self._places)
        self._failed: dict[Route, None] = {}  # the one that failed last is the last
        self.count = len(self._places)

    async def ordered(self) -> list[Route]:
        """Return the ways in the order in which to try them: those without TLS after all with TLS.

        Raises:
            ServerUnreachable: the DNS says that there is no server.
        """
        found = await asyncio.gather(*map(_routes_at, self._places), return_exceptions=True)
        ways = [each for some in found if not isinstance(some, BaseException) for each in some]
        for problem in found:
            if isinstance(problem, BaseException) and not (ways and isinstance(problem, ServerUnreachable)):
                raise problem
        self.count = len(ways)
        order = {each: number for number, each in enumerate(self._failed, 1)}
        return sorted(ways, key=lambda each: (not each.tls, order.get(each, 0)))

    def failed(self, route: Route) -> None:
        """Handle that a way has led to no server, or to one that is of no use now."""
        self._failed.pop(route, None)
        self._failed[route] = None
        while len(self._failed) > _MOST_FAILED:
            del self._failed[next(iter(self._failed))]


async def _routes_at(place: ServerAddress) -> list[Route]:
    """Return the ways to reach one place, with a way for each IP address of a machine that has several."""
    found = [replace(each, server=place) for each in await routes(place)]
    return [replace(each, ip=ip) for each in found for ip in await _addresses(each.host, each.port)]


async def _addresses(host: str, port: int) -> list[str]:
    """Return the IP addresses of a machine in the system's order, but in an order of chance within IPv4 and IPv6.

    Returns:
        The addresses; one empty text if the machine has one address, or they cannot be found now.
    """
    if is_this_machine(host) or ":" in host or host.replace(".", "").isdigit():
        return [""]
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return [""]  # connecting fails in the same way, and says why
    families = {family: None for family, *_ in found}
    addresses: list[str] = []
    for family in families:
        some = list(dict.fromkeys(str(each[4][0]) for each in found if each[0] == family))
        addresses += random.sample(some, len(some))
    return addresses[:_MOST_RECORDS] if len(addresses) > 1 else [""]


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
