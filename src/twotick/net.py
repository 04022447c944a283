"""Rules about addresses, sockets and certificates that the client and the server share."""

import base64
import hashlib
import ipaddress
import socket

_HOST_BITS = 64
"""The low bits of an IPv6 address, which its owner chooses freely."""


def is_loopback(address: str) -> bool:
    """Return whether an address is this machine's own, so that no one can read what is sent to it (rule 10.5).

    Args:
        address: the address of the other end of a connection, as the socket reports it. Do not pass a host name: DNS
            decides where a name leads.

    Returns:
        True for 127.0.0.0/8 and ::1, and for the former written as IPv6 (::ffff:127.0.0.1). False for every other
        address, and for text that is not an address.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return (mapped or parsed).is_loopback


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""IPv6 addresses that lead to the IPv4 address in their last 32 bits (RFC 6052)."""

_UNICAST = ipaddress.IPv6Network("2000::/3")
"""All other IPv6 addresses that the internet routes to one machine (RFC 4291, section 2.4). Python takes more for
public, such as addresses of a site and IPv4 addresses in an old notation (::127.0.0.1)."""


def is_public(address: str) -> bool:
    """Return whether an address is on the public internet, also the IPv4 address that an IPv6 address leads to.

    Args:
        address: the address, without a zone.

    Returns:
        False for addresses of this machine, of private networks and of groups, and for text that is not an address.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address):
        within = [parsed.ipv4_mapped, parsed.sixtofour, *(parsed.teredo or ())]
        if parsed in _NAT64:
            within.append(ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF))
        found = [each for each in within if each is not None]
        if found:
            return all(is_public(str(each)) for each in found)
        if parsed not in _UNICAST:
            return False
    return parsed.is_global and not parsed.is_multicast


def keep_alive(endpoint: socket.socket, timeout: float) -> None:
    """Let the system break connections whose other end has vanished, for example because its machine lost power.

    Args:
        endpoint: the socket of a connection, or one that listens, for the connections that it accepts.
        timeout: the seconds of silence after which a connection is broken. Options that the system does not have are
            left out.
    """
    endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    quiet, between, probes = max(1, int(timeout / 2)), max(1, int(timeout / 8)), 4
    options = {
        "TCP_KEEPIDLE": quiet,
        "TCP_KEEPALIVE": quiet,  # another name for the same on macOS
        "TCP_KEEPINTVL": between,
        "TCP_KEEPCNT": probes,
        "TCP_USER_TIMEOUT": max(1, int(timeout * 1000)),  # while something is on its way, there are no probes
    }
    for option, value in options.items():
        if hasattr(socket, option):
            endpoint.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def network_of(address: str) -> str:
    """Return what counts as one address where addresses share something or are made to wait.

    One machine can have a whole /64 of IPv6 addresses, because their low 64 bits are its own to choose (RFC 4291,
    section 2.5.1).

    Args:
        address: the address of the other end of a connection, as the socket reports it.

    Returns:
        An IPv4 address itself, also if it is written as IPv6; the /64 of any other IPv6 address; any other text as it
        is.
    """
    if ":" not in address:
        return address
    try:
        parsed = ipaddress.IPv6Address(address)
    except ValueError:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return f"{int(parsed) >> _HOST_BITS:x}"


def server_name(host: str, port: int | None) -> str:
    """Return the canonical name of a server, as it is written to files and messages.

    Args:
        host: the server's name or address, as the user typed it.
        port: the server's port; None to leave it out.

    Returns:
        `host:port` in lower case, without a trailing dot after the host; `[address]:port` for an IPv6 address.
    """
    host = host.lower().removesuffix(".")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        host = f"[{address}]" if address.version == 6 else str(address)
    return host if port is None else f"{host}:{port}"


def fingerprint(der: bytes) -> str:
    """Return the fingerprint of a certificate, which users compare to verify a server.

    Args:
        der: the certificate, in DER.

    Returns:
        `SHA256:` and the SHA-256 digest in base64 without padding, the format of ssh.
    """
    return "SHA256:" + base64.b64encode(hashlib.sha256(der).digest()).decode("ascii").rstrip("=")
