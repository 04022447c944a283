"""The endpoints of push services: URLs that browsers give, and the server posts to (docs/protocol.md, rule 20.1)."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

from twotick.net import is_public

_LONGEST: Final = 1024
"""The most bytes of an endpoint."""

_ENDPOINT: Final = re.compile(
    r"https://(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?))"
    r"(?::([0-9]{1,5}))?(/[!-\"$-~]*|\?[!-\"$-~]*)?"
)
"""A URL without a user, a password and a fragment. No part of a name is longer than 63 bytes."""

_LONGEST_NAME: Final = 253
"""The most bytes of a host's name (RFC 1035)."""


class InvalidEndpoint(Exception):
    """The server does not post to a URL; the text says why, for a user to read."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to post.

    Attributes:
        host: the name or address of the push service, in lower case, without brackets.
        port: its port.
        target: the path and the query.
        origin: scheme, host and port, as in a URL.
    """

    host: str
    port: int
    target: str
    origin: str


def parse_endpoint(text: str, *, allow_local: bool) -> Endpoint:
    """Return the parts of an endpoint.

    Args:
        text: the URL.
        allow_local: whether it may be an address of this machine or of a private network.

    Raises:
        InvalidEndpoint: it is none to which the server posts.
    """
    match = _ENDPOINT.fullmatch(text) if len(text) <= _LONGEST else None
    host = "" if match is None else (match[1] or match[2]).lower().removesuffix(".")
    if match is None or len(host) > _LONGEST_NAME:
        raise InvalidEndpoint(f"Endpoint is an https URL of at most {_LONGEST} bytes")
    port = int(match[3] or 443)
    if not 0 < port < 65536:
        raise InvalidEndpoint("Endpoint names no port")
    if not allow_local and not _may_be_public(host, is_address=match[1] is not None):
        raise InvalidEndpoint("Endpoint is an address of this machine or of a private network")
    shown = f"[{host}]" if match[1] else host
    origin = f"https://{shown}" + ("" if port == 443 else f":{port}")
    target = match[4] or "/"
    return Endpoint(host, port, target if target[0] == "/" else f"/{target}", origin)


def _may_be_public(host: str, *, is_address: bool) -> bool:
    """Return whether a host is a public address, or a name whose addresses are looked at later."""
    if is_address:
        return is_public(host)
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        # The resolver of the system takes numbers such as 2130706433 and 0x7f.1 for addresses.
        last = host.rpartition(".")[2]
        return not last.isdigit() and not last.startswith("0x") and last != "localhost"
    return is_public(host)
