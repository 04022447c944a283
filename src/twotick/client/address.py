"""The address of a server: the default, how it is parsed, and why it cannot be reached."""

import os
import socket

DEFAULT_SERVER = "127.0.0.1:18000"
"""The address of a server that is not configured otherwise (rule 1.2)."""

DEFAULT_PORT = 18000
"""The port of a server whose address names none (rule 1.2)."""


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


def parse_server(server: str) -> tuple[str, int]:
    """Parse the address of a server.

    Args:
        server: `HOST:PORT`, `HOST`, `[IPV6]:PORT` or `[IPV6]`.

    Returns:
        The host and the port. The port is 18000 if the address has none.

    Raises:
        ValueError: the address has none of these forms.
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
    """Return whether `host` is non-empty and can be looked up in the DNS."""
    try:
        return bool(host.encode("idna"))
    except UnicodeError:
        return False
