"""The address of a server: the default, how it is parsed, and why it cannot be reached."""

import os
import socket
from dataclasses import dataclass, replace

from twotick.net import is_loopback, server_name

DEFAULT_SERVER = "127.0.0.1:18000"
"""The address of a server that is not configured otherwise (rule 1.2)."""

DEFAULT_PORT = 18000
"""The port for connections without TLS (rule 1.2)."""

TLS_PORT = 18443
"""The port for connections with TLS (rule 1.5)."""

_MOST_PLACES = 16
"""How many addresses of a server a user may give."""

_SCHEME = "tls://"
"""The prefix of an address that asks for TLS on this machine too, for example through a tunnel."""


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """The address of a server, as a user gives it.

    Attributes:
        host: the host's name or IP address.
        port: the port; None if it is to be found (rule 1.5).
        tls: whether to connect with TLS.
        plaintext: whether a connection without TLS is allowed. With `tls` too, TLS is tried first.
        others: the other addresses at which the same members are served.
    """

    host: str
    port: int | None
    tls: bool
    plaintext: bool
    others: tuple["ServerAddress", ...] = ()

    def __str__(self) -> str:
        """Return the address in the form in which it is stored and shown: the same for every spelling of it."""
        if self.others:
            return ",".join(map(str, self.places))
        scheme = _SCHEME if self.tls and is_this_machine(self.host) else ""
        return scheme + server_name(self.host, self.port)

    @property
    def places(self) -> tuple["ServerAddress", ...]:
        """Each of the addresses."""
        return (replace(self, others=()), *self.others)

    @property
    def known_as(self) -> str:
        """The name under which the server's certificate is remembered. The DNS has no influence on it."""
        return server_name(self.host, self.port or TLS_PORT)

    def with_tls(self, tls: bool | None) -> "ServerAddress":
        """Return the address with the choice of a program.

        Args:
            tls: True to demand TLS; False to allow connections without TLS; None for TLS unless the server is on this
                machine.
        """
        if tls is None:
            return self
        others = tuple(each.with_tls(tls) for each in self.others)
        return replace(self, tls=tls or self.port is None, plaintext=not tls, others=others)

    def is_same(self, other: "ServerAddress") -> bool:
        """Return whether another address is that of the same server: they have a place in common."""
        mine = {(each.known_as, each.tls) for each in self.places}
        return any((each.known_as, each.tls) in mine for each in other.places)

    def is_meant_by(self, other: "ServerAddress") -> bool:
        """Return whether a user who gives another address can mean this one: it names the host, and no other port."""
        mine = {server_name(each.host, None) for each in self.places}
        named = (server_name(each.host, None) in mine for each in other.places if each.port is None)
        return self.is_same(other) or any(named)


def reason(error: OSError) -> str:
    """Describe why a socket operation failed.

    Args:
        error: the error that the operation raised.

    Returns:
        The system's description of the error, without its number, such as `Connection refused`.
    """
    if isinstance(error, socket.gaierror) or not error.errno:
        return error.strerror or str(error)
    return os.strerror(error.errno)


def parse_server(server: str) -> ServerAddress:
    """Parse the address of a server.

    Args:
        server: `HOST:PORT` or `HOST`; an IPv6 address in brackets; with `tls://` in front to connect with TLS also to
            this machine. Several addresses are separated by commas.

    Returns:
        The address. Connections to other machines are with TLS, to this machine they are not. Without a port, the port
        on this machine is 18000, or 18443 with `tls://`, and a server on another machine is found (rule 1.5).

    Raises:
        ValueError: the address has none of these forms, or there are too many.
    """
    first, *others = {str(each): each for each in map(_parse_place, server.split(","))}.values()
    if len(others) >= _MOST_PLACES:
        raise ValueError(f"these are {len(others) + 1} addresses, and {_MOST_PLACES} is the limit")
    return replace(first, others=tuple(others))


def _parse_place(server: str) -> ServerAddress:
    """Parse one address."""
    server = server.strip()
    with_scheme = server.lower().startswith(_SCHEME)
    rest = server[len(_SCHEME) :] if with_scheme else server
    host, port = _split(rest)
    local = is_this_machine(host)
    tls = with_scheme or not local
    if port is None and local:
        port = TLS_PORT if tls else DEFAULT_PORT
    return ServerAddress(host.removesuffix("."), port, tls, plaintext=not tls)


def _split(text: str) -> tuple[str, int | None]:
    """Return host and port; None if there is no port. Raises ValueError if the text has another form."""
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, ""
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host and "[" not in host:
        raise ValueError(f"{text!r} is ambiguous: write an IPv6 address as [{text}]:{DEFAULT_PORT}")
    if not _is_host(host) or (colon and port == "" and not text.endswith("]")):
        raise ValueError(f"{text!r} is not HOST:PORT")
    if not port:
        return host, None
    if not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"{text!r} is not HOST:PORT")
    return host, int(port)


def _is_host(host: str) -> bool:
    """Return whether `host` is non-empty and can be looked up in the DNS."""
    try:
        return host.isprintable() and not set(" []@/") & set(host) and bool(host.encode("idna"))
    except UnicodeError:
        return False


def is_this_machine(host: str) -> bool:
    """Return whether a host is this machine by its name, whatever the DNS says."""
    name = host.lower().removesuffix(".")
    return name == "localhost" or name.endswith(".localhost") or is_loopback(name)
