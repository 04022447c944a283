"""Encode arguments for frames, and decode what the other side has written: headers and lists in JSON.

A server, and a member whose message the server passes on, can write anything. So every value is converted here, within
limits: a number has a largest value, a time is one that every time zone can show, and a reason is a line that no
terminal obeys. A word that the client does not know is a value like any other, because a newer server may know more; a
malformed value is an error (rule 9.11).
"""

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast

from twotick.client.errors import ProtocolError
from twotick.wire import Head, is_identifier, is_name, is_room

_T = TypeVar("_T")

_NUMBER_DIGITS = 18
"""The most digits of a number that the client accepts."""

_LONGEST_LIST = 4 << 20
"""The largest list that the client accepts, in bytes. A list has at most 2,000 objects (rule 12.3)."""

_LONGEST_TEXT = 1024
"""The most characters of a text in a list."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

_FIRST_TIME = datetime.min.replace(tzinfo=UTC) + timedelta(days=1)
_LAST_TIME = datetime.max.replace(tzinfo=UTC) - timedelta(days=1)
"""Between these, a time can be written in every time zone."""


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


def encode_reference(sender: str, ident: str) -> bytes:
    """Return a reference to a message (rule 13.1).

    Args:
        sender: the user who sent it; empty for the one who refers to it.
        ident: its Id.

    Raises:
        ValueError: they cannot be the name of a user and an Id.
    """
    return b"%b %b" % (encode_user(sender), encode_id(ident)) if sender else encode_id(ident)


def encode_flag(value: bool | None) -> bytes | None:
    """Return `yes` or `no`; None, for a header that is left out, if the value is None."""
    return None if value is None else b"yes" if value else b"no"


def encode_time(time: datetime) -> bytes:
    """Return a time as headers hold it; see `bounded_time`."""
    return bounded_time(time).isoformat(timespec="milliseconds").encode()


def bounded_time(time: datetime) -> datetime:
    """Return a time in UTC. A time that some time zone cannot show becomes the nearest one that all can.

    Args:
        time: the time; without a time zone it is local.
    """
    try:
        time = time.astimezone(UTC)
    except (OverflowError, ValueError, OSError):
        time = time.replace(tzinfo=UTC)
    return min(max(time, _FIRST_TIME), _LAST_TIME)


# Decoding headers


def as_text(value: bytes) -> str:
    """Decode UTF-8. Bytes that are not UTF-8 appear as U+FFFD."""
    return value.decode("utf-8", "replace")


def text_of(head: Head, header: bytes) -> str:
    """Return the value of a header as text; an empty text if the header is missing."""
    return as_text(head.headers.get(header, b""))


def line_of(head: Head, header: bytes) -> str:
    """Return the value of a header as a line without control characters, cut to 1,024 characters."""
    return _CONTROL.sub("\ufffd", text_of(head, header)[:_LONGEST_TEXT])


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
    """Parse a time in ISO 8601, as headers hold it.

    Args:
        text: the text; without a time zone it is UTC.

    Returns:
        The time in UTC; None if the text is not a time, or one in the first or last day that a `datetime` can hold,
        which some time zones cannot show.
    """
    try:
        time = datetime.fromisoformat(text)
        time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return time if _FIRST_TIME <= time <= _LAST_TIME else None


# Decoding lists


class JsonObject:
    """An object in a list from the server. Each method returns a value of it, or raises ValueError.

    Args:
        fields: the object.
    """

    def __init__(self, fields: object) -> None:
        if not isinstance(fields, dict):
            raise TypeError("not an object")
        self._fields = cast("dict[str, Any]", fields)

    def text(self, name: str, missing: str | None = None) -> str:
        """Return a line without control characters, cut to 1,024 characters.

        Args:
            name: the name of the value.
            missing: the text to return if there is no such value, or it is null; None if there must be one.
        """
        value = self._fields.get(name)
        value = missing if value is None else value
        if not isinstance(value, str) or _CONTROL.search(value):
            raise ValueError(f"{name} is not a line of text")
        value.encode()  # fails for half a surrogate pair
        return value[:_LONGEST_TEXT]

    def choice(self, name: str, known: Mapping[str, _T], other: _T, missing: str | None = None) -> _T:
        """Return the value that a text stands for (rule 9.11).

        Args:
            name: the name of the value.
            known: the values, by their texts.
            other: the value for a text that is not among them: a newer server may know more.
            missing: see `text`.
        """
        return known.get(self.text(name, missing), other)

    def number(self, name: str) -> int:
        """Return a number that is not negative and has at most 18 digits."""
        value = self._fields.get(name)
        if type(value) is not int or not 0 <= value < 10**_NUMBER_DIGITS:
            raise ValueError(f"{name} is not a number")
        return value

    def flag(self, name: str) -> bool:
        """Return whether a value is true."""
        return self._fields.get(name) is True

    def time(self, name: str) -> datetime | None:
        """Return a time; None if there is none."""
        value = self._fields.get(name)
        if value is None:
            return None
        time = parse_time(value) if isinstance(value, str) else None
        if time is None:
            raise ValueError(f"{name} is not a time")
        return time

    def known_time(self, name: str) -> datetime:
        """Return a time that must be there."""
        time = self.time(name)
        if time is None:
            raise ValueError(f"{name} is missing")
        return time


def parse_list(body: bytes, from_json: Callable[[JsonObject], _T]) -> list[_T]:
    """Parse a body that is a JSON list of objects.

    Args:
        body: the body of the server's answer.
        from_json: makes a result of one object. May raise ValueError.

    Returns:
        A result for each object.

    Raises:
        ProtocolError: the body is not such a list, or is too long.
    """
    try:
        items: Any = json.loads(body) if len(body) <= _LONGEST_LIST else None
        if not isinstance(items, list):
            raise TypeError("not a list")  # noqa: TRY301 # handled below like any other malformed body
        return [from_json(JsonObject(item)) for item in cast("list[Any]", items)]
    except (ValueError, TypeError, RecursionError) as error:
        raise ProtocolError("the server sent a malformed list") from error
