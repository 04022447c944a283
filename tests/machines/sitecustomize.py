"""Let a program see other machines. Every Python process that has this folder in PYTHONPATH imports it at its start.

`TEST_HOSTS` lists them as `name=address`, separated by commas. `TEST_DNS` is the port of the DNS server to ask.
"""

import os
import socket
from collections.abc import Callable
from typing import Any

_getaddrinfo = socket.getaddrinfo


def lookup(hosts: dict[str, str]) -> Callable[..., Any]:
    """Return a function in place of `socket.getaddrinfo` that knows these hosts, and no other that is no address."""

    def getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        known = hosts.get(name, name)
        if known and known == name and not known.replace(".", "").isdigit() and ":" not in known:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return _getaddrinfo(known, *arguments, **options)

    return getaddrinfo


def configure_resolver(port: int) -> Callable[..., None]:
    """Return a function in place of `Resolver.read_resolv_conf` that names a DNS server on this machine."""
    from dns.nameserver import Do53Nameserver

    def configure(resolver: Any, _: Any = None) -> None:
        resolver.nameservers = [Do53Nameserver("127.0.0.1", port)]

    return configure


if "TEST_HOSTS" in os.environ:
    socket.getaddrinfo = lookup(dict(each.split("=") for each in os.environ["TEST_HOSTS"].split(",")))

if "TEST_DNS" in os.environ:
    import dns.resolver

    dns.resolver.BaseResolver.read_resolv_conf = configure_resolver(int(os.environ["TEST_DNS"]))
