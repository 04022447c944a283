"""What the client and the server have to see alike about the network below them."""

import base64
import hashlib
import ipaddress


def is_loopback(address: str) -> bool:
    """Tell whether the other end of a connection is this machine itself, where nobody can listen in (rule 10.5).

    Args:
        address: the other end's address as the socket gives it, not a name: a name leads wherever somebody says.

    Returns:
        True for 127.0.0.0/8 and ::1, also where they are written as an IPv4 address within IPv6 (::ffff:127.0.0.1);
        False for every other address, and for what is no address.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return (mapped or parsed).is_loopback


def server_name(host: str, port: int) -> str:
    """Name a server in the one way in which files and messages name it.

    Args:
        host: its name or address, as a person wrote it.
        port: its port.

    Returns:
        `host:port` in lower case and without a dot at the host's end, or `[address]:port` for an IPv6 address.
    """
    host = host.lower().removesuffix(".")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return f"{host}:{port}"
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"


def fingerprint(der: bytes) -> str:
    """What two people compare to know that they mean the same certificate.

    Args:
        der: the certificate, in DER.

    Returns:
        `SHA256:` and the base64 of its SHA-256, without padding, as ssh writes it.
    """
    return "SHA256:" + base64.b64encode(hashlib.sha256(der).digest()).decode("ascii").rstrip("=")
