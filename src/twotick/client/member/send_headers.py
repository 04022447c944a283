"""Write the headers of a message from what the program says about it (docs/protocol.md, 9.7, 11.10, 13.1 and 16.3)."""

import re
from collections.abc import Mapping
from typing import TypedDict

from twotick.client.errors import NotDelivered
from twotick.client.member.headers import encode_id, encode_reference
from twotick.client.member.messages import FileInfo

_LONGEST_HEADERS = 2048
"""How many bytes of headers may travel with a message (rule 9.7)."""

_EXPIRES = len("Expires: 9999999999\n")
"""How many of these bytes are kept free for `Expires`."""

_OWN_HEADER = re.compile(r"[Xx]-[A-Za-z0-9-]{1,64}")
_LINE = re.compile(r"[^\x00-\x1f\x7f]*")
_KEY = re.compile(r"[!-~]+")


class SendOptions(TypedDict, total=False):
    """The options of `MemberClient.send` and `MemberClient.queue`. All may be left out.

    Attributes:
        expires: the number of seconds after which the message is not delivered any more (rule 11.10).
        delay: the number of seconds, at most 900, for which the message stays in the outbox before it is sent, so that
            `MemberClient.withdraw` can take it back. So a program lets its user undo a deletion: on the server, what is
            deleted is gone. An outbox on disk keeps the message over a restart.
        content_type: the type of the body; UTF-8 text if left out.
        reply_to: the message that this one replies to, as its sender and Id; a `Reference` will do.
        edits: the Id of the member's own message to the same recipient that this one replaces (rule 13.1).
        deletes: the message to the same recipient that this one deletes, as its sender and Id (rule 13.1). The body
            must be empty.
        reacts_to: the message of the same conversation that the body is a reaction to, as its sender and Id (rule
            13.1).
        pins: the message of the same conversation that this one pins, as its sender and Id (rule 13.7). The body must
            be empty.
        unpins: the pinned message that this one unpins, as its sender and Id (rule 13.7). The body must be empty.
        forwards: the message that this one sends on, as its sender and Id (rule 13.10). The body must be empty: the
            server takes body and file from the other message.
        file: a file to send with the message, as returned by `MemberClient.upload` (rule 16.3).
        headers: further headers for the recipient's program. Their names start with `X-`.
        id: the message's Id: 1 to 64 letters, digits, `.`, `_` and `-`. It must not have been used before. A new one is
            made if it is left out. A program that stores a message with its Id before it sends it may send it again
            after a restart, and the message is delivered only once (rule 11.7).
    """

    expires: float | None
    delay: float | None
    content_type: str | None
    reply_to: tuple[str, str] | None
    edits: str | None
    deletes: tuple[str, str] | None
    reacts_to: tuple[str, str] | None
    pins: tuple[str, str] | None
    unpins: tuple[str, str] | None
    forwards: tuple[str, str] | None
    file: FileInfo | None
    headers: Mapping[str, str] | None
    id: str | None


def header_lines(options: SendOptions) -> bytes:
    """Return the header lines for the options, without `Id` and `Expires`.

    Args:
        options: the options of a send.

    Raises:
        NotDelivered: the lines are longer than the protocol allows (rule 9.7).
        ValueError: a value cannot be written in a header.
    """
    own = options.get("headers") or {}
    for name in own:
        if not _OWN_HEADER.fullmatch(name):
            raise ValueError(f"{name!r} cannot be the name of a header: it must start with X-")
    edits, file = options.get("edits"), options.get("file")
    values = {
        "Content-type": options.get("content_type"),
        "Reply-to": _reference(options.get("reply_to")),
        "Edits": None if edits is None else encode_id(edits).decode(),
        "Deletes": _reference(options.get("deletes")),
        "Reacts-to": _reference(options.get("reacts_to")),
        "Pins": _reference(options.get("pins")),
        "Unpins": _reference(options.get("unpins")),
        "Forwards": _reference(options.get("forwards")),
        "File": None if file is None else _key(file),
        **own,
    }
    lines = b""
    for name, value in values.items():
        if value is not None:
            if not _LINE.fullmatch(value):
                raise ValueError(f"{value!r} cannot be the value of a header: leave out control characters")
            lines += f"{name}: {value}\n".encode()
    if len(lines) > _LONGEST_HEADERS - _EXPIRES:
        raise NotDelivered(f"the headers have {len(lines)} bytes, and {_LONGEST_HEADERS - _EXPIRES} is the limit")
    return lines


def _reference(message: tuple[str, str] | None) -> str | None:
    return None if message is None else encode_reference(*message).decode()


def _key(file: FileInfo) -> str:
    if not _KEY.fullmatch(file.key):
        raise ValueError(f"{file.key!r} cannot be the key of a file: give what `upload` returned")
    return file.key
