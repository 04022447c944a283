"""The rules of sending messages on (docs/protocol.md, rules 13.10 and 13.11)."""

import re
from typing import Final

from twotick.store.requests.messages import Append
from twotick.store.rules.errors import NotAllowed
from twotick.store.rules.pins import is_of_its_own

GONE: Final = "there is no such message, or you may not read it"
_TYPE = re.compile(rb"^Content-type: [^\n]*\n", re.MULTILINE | re.IGNORECASE)
_ORIGIN = re.compile(rb"^Forwarded-from: [^\n]*\n", re.MULTILINE)
_FILE = re.compile(rb"^File: [^\n]*\n", re.MULTILINE)


def check_forward(request: Append) -> None:
    """Check that a message may be sent on, as far as that does not depend on the message.

    Raises:
        NotAllowed: it may not.
    """
    if request.body:
        raise NotAllowed("what sends a message on has no body")
    if request.sender is None or request.live or request.recipient.lower() == b"all":
        raise NotAllowed("messages can be sent on to members and rooms only")


def forwarded_headers(request: Append, sender: bytes, ident: bytes, headers: bytes) -> bytes:
    """Return the header lines of a message that sends another one on, without those of its file.

    Args:
        request: the message that sends it on.
        sender: the sender of the other one, as it is shown.
        ident: its Id.
        headers: its header lines. If it was sent on itself, it keeps its origin.

    Raises:
        NotAllowed: it is deleted, or only changes another message.
    """
    if not is_of_its_own(headers):
        raise NotAllowed(GONE)
    origin = _ORIGIN.search(headers)
    lines = _TYPE.sub(b"", request.headers)
    if (kind := _TYPE.search(headers)) is not None:
        lines += kind[0]
    return lines + (origin[0] if origin is not None else b"Forwarded-from: %b %b\n" % (sender, ident))


def has_file(headers: bytes) -> bool:
    """Tell whether a message with these header lines came with a file."""
    return _FILE.search(headers) is not None
