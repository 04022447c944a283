"""SENDs that edit or delete a message, react to it or bring a file (docs/protocol.md, rules 13.1, 13.4 and 16.3)."""

import secrets
from typing import Final

from twotick.store import Append, MessageAction
from twotick.wire import Head, is_identifier, is_name

_ACTIONS: Final = {
    b"edits": MessageAction.EDIT,
    b"deletes": MessageAction.DELETE,
    b"reacts-to": MessageAction.REACT,
    b"pins": MessageAction.PIN,
    b"unpins": MessageAction.UNPIN,
}
_HEADERS: Final = (*_ACTIONS, b"file", b"forwards")
_KEY_BYTES = 24
"""The random bytes in the key of a file that is sent on."""

_KEY = 64
"""The most bytes of the key of a file. The keys that the server makes are shorter."""

_ITEMS = 2048
"""The most bytes of Items (rule 21.6)."""

MEMBERS_ONLY = "only members can edit, delete, react, pin, send on or send files, and only to members and rooms"
"""Why such a SEND is refused if it comes from a guest, or goes to a guest or to ALL (rule 13.4)."""


def changes(head: Head) -> bool:
    """Return whether a SEND changes a message or brings a file. It is false if `head.is_plain`; ask that first."""
    return not head.headers.keys().isdisjoint(_HEADERS)


def complete(request: Append, head: Head, *, is_kept: bool) -> str | None:
    """Add to a request to store a message of a member what its SEND says besides the message.

    Args:
        request: the request.
        head: the SEND.
        is_kept: whether it is to members only, or to a room.

    Returns:
        Why the SEND is refused; None if it is not.
    """
    headers = head.headers
    if changes(head):
        refused = add_change(request, head) if is_kept else MEMBERS_ONLY
        if refused is not None:
            return refused
    if b"reply-to" in headers:
        add_reply(request, head)
    return add_slot(request, head, is_kept=is_kept) if b"slot" in headers else None


def add_slot(request: Append, head: Head, *, is_kept: bool) -> str | None:
    """Add to a request to store a message which later messages update it (rule 21.6); otherwise like `complete`."""
    slot, items = head.headers[b"slot"], head.headers.get(b"items", b"")
    if not is_kept or changes(head):
        return "Slot is for messages to members and rooms that change no other message"
    if not is_identifier(slot) or len(items) > _ITEMS:
        return f"Slot has 1 to 64 of A-Z a-z 0-9 . _ -, and Items at most {_ITEMS} bytes"
    request.slot, request.items = slot, items
    return None


def add_change(request: Append, head: Head) -> str | None:
    """Add to a request to store a message what its SEND changes.

    Returns:
        Why the SEND is refused; None if it is not.
    """
    given = [header for header in _HEADERS if header in head.headers]
    if len(given) > 1:
        return "only one of Edits, Deletes, Reacts-to, Pins, Unpins, Forwards and File can be given"
    (header,) = given
    value = head.headers[header]
    if header == b"file":
        request.file = value
        return None if 0 < len(value) <= _KEY else "File is the key of a file"
    about = reference(value)
    if about is None:
        return f"{header.decode().capitalize()} is an Id, or a name and an Id"
    if header == b"forwards":
        request.forwards_name, request.forwards = about
        request.new_key = secrets.token_urlsafe(_KEY_BYTES).encode()
        return None
    request.action = _ACTIONS[header]
    request.about_name, request.about = about
    return None


def reference(value: bytes) -> tuple[bytes, bytes] | None:
    """Return the sender, in lower case, and the Id that a header names; the sender is empty if it names none.

    Returns:
        Both; None if that is no reference (rule 13.1).
    """
    name, _, identifier = value.rpartition(b" ")
    name = name.rstrip().lower()
    return None if not is_identifier(identifier) or (name and not is_name(name)) else (name, identifier)


def add_reply(request: Append, head: Head) -> None:
    """Add to a request to store a message which message it answers (rule 13.5)."""
    answered = reference(head.headers.get(b"reply-to", b""))
    if answered is not None:
        request.reply_name, request.reply_to = answered
