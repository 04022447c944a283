"""URLs, and addresses of proxies, as the settings of the web page name them."""

import ipaddress
import re
from collections.abc import Iterable
from typing import TypeAlias
from urllib.parse import urlsplit

from twotick.net import is_loopback

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

PORTS = {"http": 80, "https": 443}
"""The schemes of a page, each with the port that a URL leaves out."""

_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9_.-]+))(?::([0-9]{1,5}))?")
"""A host, in brackets if it is an IPv6 address, and possibly a port."""

_LAST_PORT = 65535


def split_authority(text: str) -> tuple[str, int | None] | None:
    """Return the host, in lower case, and the port of `HOST`, `HOST:PORT` or `[ADDRESS]:PORT`; None for other text."""
    match = _HOST.fullmatch(text)
    if match is None:
        return None
    port = int(match[3]) if match[3] else None
    return None if port and port > _LAST_PORT else ((match[1] or match[2]).lower().removesuffix("."), port)


def parse_origin(text: str) -> tuple[str, str, int] | None:
    """Return the scheme, host and port of an origin, such as `https://chat.example`; None for other text."""
    scheme, _, authority = text.lower().partition("://")
    parsed = split_authority(authority)
    if parsed is None or scheme not in PORTS:
        return None
    return scheme, parsed[0], PORTS[scheme] if parsed[1] is None else parsed[1]


def split_urls(text: str) -> list[str]:
    """Return the origins of URLs that commas separate. Each URL is of a page at the root of a server.

    Raises:
        ValueError: one of them is not.
    """
    urls: list[str] = []
    for url in filter(None, map(str.strip, text.split(","))):
        try:
            parts = urlsplit(url)
        except ValueError as error:  # it says what is wrong with an address in brackets, but not of which URL
            raise ValueError(url) from error
        origin = f"{parts.scheme}://{parts.netloc.lower()}"
        if parts.path.strip("/") or parts.query or parts.fragment or parse_origin(origin) is None:
            raise ValueError(url)
        urls.append(origin)
    return urls


def parse_origins(text: str) -> list[tuple[str, str, int]]:
    """Return scheme, host and port of URLs that commas separate; see `split_urls`."""
    return [origin for url in split_urls(text) if (origin := parse_origin(url))]


def parse_networks(text: str) -> list[Network]:
    """Return addresses and networks that commas separate.

    Raises:
        ValueError: one of them is neither.
    """
    return [ipaddress.ip_network(each.strip()) for each in text.split(",") if each.strip()]


def is_within(address: str, networks: Iterable[Network]) -> bool:
    """Return whether an address is in one of some networks; an IPv4 address also if it is written as IPv6."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed
    return any(parsed in network for network in networks)


def is_local_name(host: str) -> bool:
    """Return whether a host is the browser's own machine, by its name or address."""
    return host == "localhost" or is_loopback(host)
