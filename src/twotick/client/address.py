"""Where a server is."""

import os
import socket

DEFAULT_SERVER = "127.0.0.1:18000"
"""Where a server listens unless told otherwise (rule 1.2)."""

DEFAULT_PORT = 18000


def reason(error: OSError) -> str:
    """Why an address cannot be had, in words."""
    if isinstance(error, socket.gaierror) or not error.errno:
        return error.strerror or str(error)
    return os.strerror(error.errno)


def parse_server(server: str) -> tuple[str, int]:
    """Understand an address.

    Args:
        server: `HOST:PORT`, `HOST`, `[IPV6]:PORT` or `[IPV6]`.

    Returns:
        The host and the port, which is 18000 if none is given.

    Raises:
        ValueError: it is none of these.
    """
    host, colon, port = server.rpartition(":")
    if not colon or server.endswith("]"):
        host, port = server, str(DEFAULT_PORT)
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"{server!r} is ambiguous: write an IPv6 address as [{server}]:{DEFAULT_PORT}")
    if not _is_host(host) or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"{server!r} is not HOST:PORT")
    return host, int(port)


def _is_host(host: str) -> bool:
    """Whether `host` may be looked up."""
    try:
        return bool(host.encode("idna"))
    except UnicodeError:
        return False
