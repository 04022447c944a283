"""Who may use the web page: which hosts and origins are ours, and whom a proxy speaks for (rule 19.4).

Any page on the web can make a browser open a connection to 127.0.0.1, and any name in the DNS can lead there. So the
server looks at the name by which it was called (`Host`), and at the page that a WebSocket was opened by (`Origin`).
"""

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from twotick.net import is_loopback
from twotick.server.urls import Network, is_within, parse_origin, split_authority

_LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
"""The names by which a browser calls its own machine."""


class Turned(Exception):
    """A request is refused.

    Attributes:
        status: the status of the answer.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who sent a request.

    Attributes:
        address: the address of the client.
        encrypted: whether the client's own connection is encrypted.
        host: the name, and the port if there is one, by which the client called the server.
    """

    address: str
    encrypted: bool
    host: str


class Gate:
    """Decides which requests are answered.

    Args:
        names: host names and addresses of the server, besides those of the machine itself; a star as the first label
            stands for any.
        origins: scheme, host and port of further URLs of the page.
        proxies: the proxies whose word about their clients is taken.
    """

    def __init__(
        self, names: Iterable[str], origins: Iterable[tuple[str, str, int]], proxies: Iterable[Network]
    ) -> None:
        self._origins = set(origins)
        self._names = {name.lower() for name in (*_LOCAL_NAMES, *names)} | {host for _, host, _ in self._origins}
        self._proxies = list(proxies)

    def visitor(
        self, address: str, headers: Mapping[bytes, bytes], *, reached: str = "", encrypted: bool = False
    ) -> Visitor:
        """Return who sent a request.

        Args:
            address: the address of the other end of the connection.
            headers: the headers of the request, by their names in lower case; values of the same name joined by commas.
            reached: the address to which the client connected.
            encrypted: whether the connection is encrypted.

        Raises:
            Turned: the request is refused.
        """
        host = headers.get(b"host", b"").decode("latin-1")
        forwarded = headers.get(b"x-forwarded-for")
        if forwarded is None:
            return self._checked(Visitor(address, encrypted, host), reached)
        if not self._is_proxy(address):
            if is_loopback(address):
                raise Turned(
                    403,
                    "This request came through a proxy that this server does not know."
                    " Set trusted_proxies to the proxy's address, for example trusted_proxies = '127.0.0.1'.",
                )
            return self._checked(Visitor(address, encrypted, host), reached)
        protocol = _last(headers.get(b"x-forwarded-proto", b""))
        host = _last(headers.get(b"x-forwarded-host", b"")) or host
        client = self._client(forwarded.decode("latin-1"))
        return self._checked(Visitor(client, protocol in ("https", "wss"), host), reached)

    def check_origin(self, visitor: Visitor, origin: str | None) -> None:
        """Check which page opens a WebSocket. A client that is no browser names none.

        Raises:
            Turned: it is not the server's own.
        """
        if origin is None:
            return
        named = parse_origin(origin)
        own = parse_origin(f"{'https' if visitor.encrypted else 'http'}://{visitor.host}")
        if named is not None and (named == own or named in self._origins):
            return
        raise Turned(
            403,
            "The page that opens this WebSocket is not this server's own. If it is, set web_url to its address,"
            " and, behind a proxy, trusted_proxies to the proxy's.",
        )

    def _checked(self, visitor: Visitor, reached: str) -> Visitor:
        authority = split_authority(visitor.host)
        if authority is None:
            raise Turned(400, "The header Host names no host.")
        name = authority[0]
        covered = f"*.{name.partition('.')[2]}"  # as a certificate names all hosts of a domain
        if name != reached and self._names.isdisjoint((name, covered)):
            raise Turned(
                403, f"This server is not called {visitor.host}. If it is, set web_url to its address for browsers."
            )
        return visitor

    def _is_proxy(self, address: str) -> bool:
        return is_within(address, self._proxies)

    def _client(self, forwarded: str) -> str:
        """Return the last address that a proxy we trust has seen, and that is no such proxy itself."""
        address = ""
        for each in reversed(forwarded.split(",")):
            authority = split_authority(each.strip())  # some proxies add the port
            address = each.strip() if authority is None else authority[0]
            if _parse_address(address) is None:
                raise Turned(400, "The header X-Forwarded-For has what is no address.")
            if not self._is_proxy(address):
                return address
        return address


def _parse_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        parsed = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed


def _last(values: bytes) -> str:
    return values.decode("latin-1").rpartition(",")[2].strip()
