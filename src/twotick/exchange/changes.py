"""What a SEND does besides going to its recipient: it changes an earlier message, or brings a file.

See docs/protocol.md, rules 13.1, 13.4 and 16.3.
"""

from typing import Final

from twotick.store import Append, MessageAction
from twotick.wire import Head, is_identifier, is_name

_ACTIONS: Final = {b"edits": MessageAction.EDIT, b"deletes": MessageAction.DELETE, b"reacts-to": MessageAction.REACT}
_HEADERS: Final = (*_ACTIONS, b"file")
_KEY = 64
"""Bytes of the key of a file at most; those that are given out are shorter."""

MEMBERS_ONLY = "only members can edit, delete, react or send files, and only to members and rooms"
"""Why a SEND that does more is refused to and from guests, and to ALL (rule 13.4)."""


def changes(head: Head) -> bool:
    """Whether a SEND does more than most: these have an Id and a Content-length, and need not be asked about."""
    return not head.headers.keys().isdisjoint(_HEADERS)


def add_change(request: Append, head: Head) -> str | None:
    """Let a request to store a message say what its SEND does.

    Returns:
        Why that cannot be understood; None if it can.
    """
    given = [header for header in _HEADERS if header in head.headers]
    if len(given) > 1:
        return "only one of Edits, Deletes, Reacts-to and File can be given"
    (header,) = given
    value = head.headers[header]
    if header == b"file":
        request.file = value
        return None if 0 < len(value) <= _KEY else "File is the key of a file"
    name, _, identifier = value.rpartition(b" ")
    request.action = _ACTIONS[header]
    request.about = identifier
    request.about_name = name = name.rstrip().lower()
    if not is_identifier(identifier) or (name and not is_name(name)):
        return f"{header.decode().capitalize()} is an Id, or a name and an Id"
    return None
