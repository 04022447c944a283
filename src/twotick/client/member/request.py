"""What the parts of a member's client that ask the server have in common."""

import secrets
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import NamedTuple

from twotick.wire import Frame, Head, Verb, frame, is_identifier, is_name, is_room

_NO_HEADERS: Mapping[str, bytes | int | None] = {}


class Answer(NamedTuple):
    """What came in answer to a question: the answer itself, and the frames before it that belong to it."""

    head: Head
    body: bytes
    parts: list[Frame]


class Asker(ABC):
    """Somebody who can ask the server."""

    @abstractmethod
    def _say(self, data: bytes) -> None:
        """Write a frame that needs no answer, unless the connection is away."""

    @abstractmethod
    async def _send_question(self, request: bytes, ident: bytes, *, once: bool, duplex: bool) -> list[Frame]:
        """Ask, and wait for the frames that answer it, the last one being the answer proper; see `_ask`."""

    async def _ask(
        self,
        verb: Verb,
        name: bytes = b"",
        headers: Mapping[str, bytes | int | None] = _NO_HEADERS,
        *,
        body: bytes | None = None,
        ident: bytes | None = None,
        once: bool = False,
        duplex: bool = True,
    ) -> Answer:
        """Ask the server something, and wait for the answer. While the connection is away, wait for it.

        Args:
            verb: the first word of the question.
            name: the second; none if empty.
            headers: its headers; those that are None are left out.
            body: its body; None for none.
            ident: its Id; None for a new one, empty for none.
            once: do not ask again when the connection is lost before the answer: it might do harm.
            duplex: whether only a device may ask that.

        Raises:
            RequestRefused: the server does not do it, or does not say.
            ConnectionLost: the connection is lost, it is to be asked once, and nobody knows whether it was done.
            TwotickError: the client has ended.
        """
        ident = secrets.token_hex(8).encode() if ident is None else ident
        lines = b"".join(
            b"%b: %b\n" % (header.encode(), value if isinstance(value, bytes) else b"%d" % value)
            for header, value in headers.items()
            if value is not None
        )
        request = frame(verb, name, body, lines, id=ident or None)
        *parts, (head, answer) = await self._send_question(request, ident, once=once, duplex=duplex)
        return Answer(head, answer, parts)


# How arguments are written in frames


def room_name(name: str) -> bytes:
    """Give a room's name (rule 12.1).

    Raises:
        ValueError: no room can be called that.
    """
    written = name.encode(errors="replace")
    if not is_room(written):
        raise ValueError(f"{name!r} cannot be a room: take # and 1 to 32 letters, digits, - and _")
    return written


def user_name(name: str) -> bytes:
    """Give a user's name (rule 4.1).

    Raises:
        ValueError: no user can be called that.
    """
    written = name.encode(errors="replace")
    if not is_name(written):
        raise ValueError(f"{name!r} cannot be the name of a user")
    return written


def peer_name(name: str) -> bytes:
    """Give the name of a user or a room.

    Raises:
        ValueError: neither can be called that.
    """
    return room_name(name) if name.startswith("#") else user_name(name)


def identifier(ident: str) -> bytes:
    """Give an Id (rule 9.5).

    Raises:
        ValueError: that cannot be one.
    """
    written = ident.encode(errors="replace")
    if not is_identifier(written):
        raise ValueError(f"{ident!r} cannot be an Id: take 1 to 64 letters, digits, '.', '_' and '-'")
    return written


def yes_or_no(value: bool | None) -> bytes | None:
    """Give a header's value; None for a header that is left out."""
    return None if value is None else b"yes" if value else b"no"
