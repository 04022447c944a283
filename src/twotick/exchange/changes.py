"""What a SEND does besides going to its recipient: it changes an earlier message, or brings a file.

See docs/protocol.md, rules 13.1, 13.4 and 16.3.
"""

from typing import Final

from twotick.store import Action
from twotick.wire import Head, is_identifier, is_name

_ACTIONS: Final = {b"edits": Action.EDIT, b"deletes": Action.DELETE, b"reacts-to": Action.REACT}
_HEADERS: Final = (*_ACTIONS, b"file")
_KEY = 64
"""Bytes of the key of a file at most; those that are given out are shorter."""

MEMBERS_ONLY = "only members can edit, delete, react or send files, and only to members and rooms"
"""Why a SEND that does more is refused to and from guests, and to ALL (rule 13.4)."""


class Change:
    """What a SEND does.

    Attributes:
        action: what it does to an earlier message.
        about: the Id of that.
        about_name: who sent that, in lower case; empty for the sender.
        file: the key of the file that it brings; empty for none.
    """

    __slots__ = ("about", "about_name", "action", "file")

    def __init__(
        self, action: Action = Action.NONE, about: bytes = b"", about_name: bytes = b"", file: bytes = b""
    ) -> None:
        self.action = action
        self.about = about
        self.about_name = about_name
        self.file = file


NOTHING: Final = Change()


def changes(head: Head) -> bool:
    """Whether a SEND does more than most."""
    # Most have an Id and a Content-length, and there are very many of them.
    return len(head.headers) > 2 and not head.headers.keys().isdisjoint(_HEADERS)


def read_change(head: Head) -> Change | str:
    """What the SEND of a member does, if `changes` says that it does something.

    Returns:
        What it does; or why that cannot be understood.
    """
    given = [header for header in _HEADERS if header in head.headers]
    if len(given) > 1:
        return "only one of Edits, Deletes, Reacts-to and File can be given"
    (header,) = given
    value = head.headers[header]
    if header == b"file":
        return Change(file=value) if 0 < len(value) <= _KEY else "File is the key of a file"
    title = header.decode().capitalize()
    name, _, identifier = value.rpartition(b" ")
    name = name.rstrip().lower()
    if not is_identifier(identifier) or (name and not is_name(name)):
        return f"{title} is an Id, or a name and an Id"
    return Change(_ACTIONS[header], identifier, name)
