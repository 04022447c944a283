"""How what is said about a message is written into its headers (docs/protocol.md, rules 9.7, 11.10, 13.1 and 16.3)."""

import re
from collections.abc import Mapping
from typing import TypedDict

from twotick.client.errors import NotDelivered
from twotick.client.member.messages import FileInfo
from twotick.client.member.request import identifier, user_name

_LONGEST_HEADERS = 2048
"""Bytes of headers that may travel with a message (rule 9.7)."""

_EXPIRES = len("Expires: 9999999999\n")
"""What `Expires` takes of them."""

_OWN_HEADER = re.compile(r"[Xx]-[A-Za-z0-9-]{1,64}")
_LINE = re.compile(r"[^\x00-\x1f\x7f]*")
_KEY = re.compile(r"[!-~]+")


class SendOptions(TypedDict, total=False):
    """What may be said about a message besides recipient and body.

    Attributes:
        expires: seconds after which nobody wants it any more (rule 11.10); never if left out.
        content_type: what the body is; text if left out.
        reply_to: the message that it answers, by sender and Id; see `Reference`.
        edits: the Id of one's own message to the same recipient whose place it takes (rule 13.1).
        deletes: the message to the same recipient, by sender and Id, that it deletes; the body must be empty.
        reacts_to: the message in the same conversation, by sender and Id, to which the body is a reaction.
        file: a file that goes with it, which `MemberClient.upload` has brought to the server.
        headers: further headers, whose names start with `X-`, for the recipient's program.
        id: its Id, 1 to 64 letters, digits, `.`, `_` and `-`, never used before; a new one if left out. A program that
            keeps a message with its Id before it sends it may send it again after a new start, and it is sent once.
    """

    expires: float | None
    content_type: str | None
    reply_to: tuple[str, str] | None
    edits: str | None
    deletes: tuple[str, str] | None
    reacts_to: tuple[str, str] | None
    file: FileInfo | None
    headers: Mapping[str, str] | None
    id: str | None


def header_lines(options: SendOptions) -> bytes:
    """Write the header lines of a message, but for `Id` and `Expires`.

    Raises:
        NotDelivered: nobody can get so many.
        ValueError: one cannot be written like that.
    """
    own = options.get("headers") or {}
    for name in own:
        if not _OWN_HEADER.fullmatch(name):
            raise ValueError(f"{name!r} cannot be the name of a header: it must start with X-")
    edits, file = options.get("edits"), options.get("file")
    values = {
        "Content-type": options.get("content_type"),
        "Reply-to": _reference(options.get("reply_to")),
        "Edits": None if edits is None else identifier(edits).decode(),
        "Deletes": _reference(options.get("deletes")),
        "Reacts-to": _reference(options.get("reacts_to")),
        "File": None if file is None else _key(file),
        **own,
    }
    lines = b""
    for name, value in values.items():
        if value is not None:
            if not _LINE.fullmatch(value):
                raise ValueError(f"{value!r} cannot be the value of a header")
            lines += f"{name}: {value}\n".encode()
    if len(lines) > _LONGEST_HEADERS - _EXPIRES:
        raise NotDelivered(f"the headers have {len(lines)} bytes, and {_LONGEST_HEADERS - _EXPIRES} is the limit")
    return lines


def _reference(about: tuple[str, str] | None) -> str | None:
    if about is None:
        return None
    sender, ident = about
    return f"{user_name(sender).decode()} {identifier(ident).decode()}" if sender else identifier(ident).decode()


def _key(file: FileInfo) -> str:
    if not _KEY.fullmatch(file.key):
        raise ValueError(f"{file.key!r} cannot be the key of a file")
    return file.key
