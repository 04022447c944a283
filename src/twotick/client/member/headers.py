"""Encode arguments for frames, and decode the values of headers."""

from datetime import datetime

from twotick.client.errors import ProtocolError
from twotick.wire import Head, is_identifier, is_name, is_room

_NUMBER_DIGITS = 18
"""The most digits of a number that the client accepts."""


# Encoding


def encode_room(name: str) -> bytes:
    """Return the bytes of a room's name (rule 12.1).

    Args:
        name: the name, with the `#`.

    Raises:
        ValueError: it cannot be the name of a room.
    """
    encoded = name.encode(errors="replace")
    if not is_room(encoded):
        raise ValueError(f"{name!r} cannot be a room: use # and 1 to 32 letters, digits, - and _")
    return encoded


def encode_user(name: str) -> bytes:
    """Return the bytes of a user's name (rule 4.1).

    Raises:
        ValueError: it cannot be the name of a user.
    """
    encoded = name.encode(errors="replace")
    if not is_name(encoded):
        raise ValueError(f"{name!r} cannot be the name of a user: use 1 to 32 letters and digits")
    return encoded


def encode_peer(name: str) -> bytes:
    """Return the bytes of the name of a room, if it begins with `#`, or of a user.

    Raises:
        ValueError: it cannot be the name of a room or a user.
    """
    return encode_room(name) if name.startswith("#") else encode_user(name)


def encode_id(ident: str) -> bytes:
    """Return the bytes of a message's Id (rule 9.5).

    Raises:
        ValueError: it cannot be an Id.
    """
    encoded = ident.encode(errors="replace")
    if not is_identifier(encoded):
        raise ValueError(f"{ident!r} cannot be an Id: use 1 to 64 letters, digits, '.', '_' and '-'")
    return encoded


def encode_flag(value: bool | None) -> bytes | None:
    """Return `yes` or `no`; None, for a header that is left out, if the value is None."""
    return None if value is None else b"yes" if value else b"no"


# Decoding


def as_text(value: bytes) -> str:
    """Decode UTF-8. Bytes that are not UTF-8 appear as U+FFFD."""
    return value.decode("utf-8", "replace")


def text_of(head: Head, header: bytes) -> str:
    """Return the value of a header as text; an empty text if the header is missing."""
    return as_text(head.headers.get(header, b""))


def number(head: Head, header: bytes) -> int:
    """Return the value of a header that holds a number; 0 if the header is missing.

    Args:
        head: the head of the frame.
        header: the header's name in lower case.

    Raises:
        ProtocolError: the value is not a number, or has more than 18 digits.
    """
    digits = head.headers.get(header)
    if digits is None:
        return 0
    if not digits.isdigit() or len(digits) > _NUMBER_DIGITS:
        raise ProtocolError(f"the server sent a header {as_text(header)} that is not a number")
    return int(digits)


def parse_time(text: str) -> datetime | None:
    """Parse a time in ISO 8601, as headers hold it; None if the text is not a time."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
