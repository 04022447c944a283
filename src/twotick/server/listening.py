"""The sockets on which a server listens."""

import errno
import socket
from contextlib import ExitStack
from typing import Final

_BACKLOG: Final = 4096
"""Connections that may wait to be accepted."""

_TRIES: Final = 20
"""How often a free port is looked for that is free on all addresses."""

_UNAVAILABLE: Final = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
"""What the system says about an address of a kind that it does not use, such as ::1 without IPv6."""


def split_hosts(hosts: str) -> list[str]:
    """Return the addresses and names in a setting, where commas separate them."""
    return [host.strip() for host in hosts.split(",") if host.strip()]


def addresses_of(host: str) -> list[str]:
    """Return the IP addresses of a host, each once.

    Raises:
        OSError: there is no such host.
    """
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except UnicodeError as error:
        raise OSError("that is not a valid host name") from error
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def open_listeners(hosts: list[str], port: int) -> list[socket.socket]:
    """Listen on every address of some hosts, on the same port.

    Args:
        hosts: addresses or names; `::` stands for all addresses, those of IPv4 too.
        port: the port; 0 for one that is free on all of the addresses.

    Returns:
        The sockets, which the caller closes.

    Raises:
        OSError: the server cannot listen on one of the addresses.
    """
    addresses = [addresses_of(host) for host in hosts]
    for tries_left in reversed(range(_TRIES)):
        try:
            return _listen(addresses, port)
        except OSError as error:
            if port or not tries_left or error.errno != errno.EADDRINUSE:
                raise
    raise AssertionError("the last try returns or raises")


def _listen(hosts: list[list[str]], port: int) -> list[socket.socket]:
    """Listen on the addresses of each host, of which some may be unavailable, but not all."""
    only_ipv6 = any("0.0.0.0" in addresses for addresses in hosts)  # noqa: S104 # only compared
    opened: dict[str, socket.socket] = {}
    with ExitStack() as stack:
        for addresses in hosts:
            unavailable: OSError | None = None
            for address in addresses:
                if address in opened:
                    continue
                try:
                    opened[address] = stack.enter_context(_open(address, port, only_ipv6))
                except OSError as error:
                    if error.errno not in _UNAVAILABLE:
                        raise
                    unavailable = error
                else:
                    port = opened[address].getsockname()[1]
            if unavailable is not None and opened.keys().isdisjoint(addresses):
                raise unavailable
        stack.pop_all()
    return list(opened.values())


def _open(address: str, port: int, only_ipv6: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    dual = address == "::" and not only_ipv6 and socket.has_dualstack_ipv6()
    return socket.create_server((address, port), family=family, backlog=_BACKLOG, dualstack_ipv6=dual)
