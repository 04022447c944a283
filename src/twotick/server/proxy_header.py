"""The header by which a proxy says for whom it connects: the PROXY protocol of HAProxy, versions 1 and 2.

Rule 1.6 of docs/protocol.md says which connections begin with it.
"""

import ipaddress
import re
from typing import Final

_BEGINNING_1: Final = b"PROXY "
_BEGINNING_2: Final = b"\r\n\r\n\0\r\nQUIT\n"

_LONGEST_1: Final = 107
"""Bytes of the longest header of version 1, with its end."""

_FIXED_2: Final = 16
"""Bytes of a header of version 2 before the addresses."""

_LONGEST_2: Final = 4096
"""Bytes of the longest header of version 2 that is taken. Besides addresses it can have what we do not use."""

_LINE: Final = re.compile(rb"PROXY TCP([46]) ([0-9A-Fa-f.:]+) ([0-9A-Fa-f.:]+) ([0-9]{1,5}) ([0-9]{1,5})\r\n")

UNKNOWN: Final = ""
"""Stands for the address of a client that the proxy does not tell, as for its own checks whether the server works."""


class ProxyHeaderError(Exception):
    """What a connection begins with is no header of the PROXY protocol."""


class ProxyHeader:
    """The header that a connection begins with, as it arrives.

    Attributes:
        address: the address of the client, once the header is complete; `UNKNOWN` if the proxy does not tell it.
    """

    def __init__(self) -> None:
        self._read = b""
        self.address: str | None = None

    def feed(self, data: bytes) -> int:
        """Take what has arrived.

        Args:
            data: bytes, at least one.

        Returns:
            How many of them belong to the header; all, until it is complete.

        Raises:
            ProxyHeaderError: this is no header.
        """
        before = len(self._read)
        whole = self._read + data
        for beginning, end in ((_BEGINNING_1, _end_1), (_BEGINNING_2, _end_2)):
            if beginning.startswith(whole[: len(beginning)]):
                length = end(whole)
                self._read = whole[:length]
                if length is not None:
                    self.address = (_address_1 if beginning is _BEGINNING_1 else _address_2)(self._read)
                return len(self._read) - before
        raise ProxyHeaderError("it does not begin like one")


def _end_1(read: bytes) -> int | None:
    """Return the length of a header of version 1; None if it is not complete."""
    end = read.find(b"\n", 0, _LONGEST_1) + 1
    if not end and len(read) >= _LONGEST_1:
        raise ProxyHeaderError("its line does not end")
    return end or None


def _address_1(line: bytes) -> str:
    if line.startswith(b"PROXY UNKNOWN") and line[13:14] in (b" ", b"\r") and line.endswith(b"\r\n"):
        return UNKNOWN
    found = _LINE.fullmatch(line)
    if found is None or max(int(found[4]), int(found[5])) > 0xFFFF:
        raise ProxyHeaderError("its line is malformed")
    make = ipaddress.IPv4Address if found[1] == b"4" else ipaddress.IPv6Address
    try:
        client, _ = make(found[2].decode()), make(found[3].decode())
    except ValueError as error:
        raise ProxyHeaderError("it has what is no address") from error
    return _written(client)


def _end_2(read: bytes) -> int | None:
    """Return the length of a header of version 2; None if it is not complete."""
    if len(read) < _FIXED_2:
        return None
    length = _FIXED_2 + int.from_bytes(read[14:16])
    if length > _LONGEST_2:
        raise ProxyHeaderError("it is too long")
    return length if len(read) >= length else None


def _address_2(header: bytes) -> str:
    version, command = divmod(header[12], 16)
    if version != 2 or command > 1:
        raise ProxyHeaderError("its version or command is not known")
    sizes = {0x11: 4, 0x21: 16}  # TCP over IPv4 and IPv6
    size = sizes.get(header[13])
    if command == 0 or size is None:
        return UNKNOWN
    if len(header) < _FIXED_2 + 2 * size + 4:
        raise ProxyHeaderError("its addresses are incomplete")
    return _written(ipaddress.ip_address(header[_FIXED_2 : _FIXED_2 + size]))


def _written(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """Return an address as the server writes it everywhere: one of IPv4 as such, also if it comes as IPv6."""
    return str(getattr(address, "ipv4_mapped", None) or address)
