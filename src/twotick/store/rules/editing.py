"""The rules of editing, deleting and reacting (docs/protocol.md, section 13)."""

import re
from dataclasses import dataclass
from typing import Final

from twotick.store.requests.guest_rooms import GUEST_LINE
from twotick.store.requests.messages import Append, MessageAction
from twotick.store.requests.rooms import RoomRole
from twotick.store.rules.errors import NO_MESSAGE, NotAllowed
from twotick.store.rules.rooms import RoomState
from twotick.wire import time_text

REACTION_BYTES: Final = 64
PINNING: Final = (MessageAction.PIN, MessageAction.UNPIN)
_FORWARDED = re.compile(rb"^Forwarded-from: ", re.MULTILINE)
_EDITED = re.compile(rb"^Edited: [^\n]*\n", re.MULTILINE)
_ABOUT = re.compile(rb"^X-(?:Title|Priority|Tags|Click): [^\n]*\n", re.MULTILINE | re.IGNORECASE)
"""The headers that say what a body is about (rule 21.5)."""


def check_action(request: Append) -> None:
    """Check what a message does to an earlier one, as far as that does not depend on the earlier one.

    Raises:
        NotAllowed: it is not allowed.
    """
    if request.action is MessageAction.REACT:
        if len(request.body) > REACTION_BYTES:
            raise NotAllowed(f"a reaction has at most {REACTION_BYTES} bytes")
    elif request.action is not MessageAction.NONE:
        if request.sender is None or request.live or request.recipient.lower() == b"all":
            raise NotAllowed("only messages between members can be changed")
        if request.action is not MessageAction.EDIT and request.body:
            raise NotAllowed("what deletes, pins or unpins a message has no body")
        if request.action in PINNING:
            return
        if not is_own(request) and (request.action is MessageAction.EDIT or request.recipient[:1] != b"#"):
            raise NotAllowed(NO_MESSAGE)


def is_own(request: Append) -> bool:
    """Tell whether a message changes one of the same sender."""
    return request.about_name in (b"", request.sender_name.lower())


def check_moderation(request: Append, room: RoomState | None) -> RoomState:
    """Check that a member may delete what another one said, which moderators may in their rooms (rule 13.3).

    Raises:
        NotAllowed: it may not.
    """
    assert request.sender is not None, "only members change messages"
    if room is None or room.role(request.sender) < RoomRole.MODERATOR:
        raise NotAllowed(NO_MESSAGE)
    return room


@dataclass(frozen=True, slots=True)
class Candidate:
    """A message that may be the one to change.

    Attributes:
        number: the store's number.
        recipient: the recipient as the sender wrote it.
        room: the number of its room; None for none.
        about: the number of the message that it changes itself; 0 for none.
        headers: its header lines.
        place: its place in the room; 0 outside rooms.
    """

    number: int
    recipient: bytes
    room: int | None
    about: int
    headers: bytes
    place: int


def choose_target(request: Append, room: RoomState | None, candidates: list[Candidate]) -> Candidate:
    """Return the message to change: the first one that was sent to the same recipient and is not deleted.

    Moderators can delete only what they may read: otherwise an answer would tell them which Ids there are.

    Args:
        request: the message that changes it.
        room: the room that the request is sent to; None for none.
        candidates: messages with the right Id and sender.

    Raises:
        NotAllowed: there is none.
    """
    first = 0 if room is None or is_own(request) else room.members[request.sender or 0].seen_from
    for each in candidates:
        if room is None:
            is_same = each.room is None and each.recipient.lower() == request.recipient.lower()
        else:
            is_same = each.room == room.number and each.place >= first
        if is_same and not each.about and not each.headers.startswith(b"Deleted: "):
            if request.action is MessageAction.EDIT and _FORWARDED.search(each.headers):
                raise NotAllowed("a message that was sent on cannot be edited: it says who wrote it")
            return each
    raise NotAllowed(NO_MESSAGE)


def edited_headers(headers: bytes, edit: bytes, time: float) -> bytes:
    """Return the header lines of a message after an edit (rule 13.2).

    Args:
        headers: those that it has.
        edit: those of the edit, whose title, priority, tags and link replace the message's own (rule 21.5).
        time: when, in seconds since 1970.
    """
    kept = _ABOUT.sub(b"", _EDITED.sub(b"", headers))
    return b"%b%bEdited: %b\n" % (kept, b"".join(_ABOUT.findall(edit)), time_text(time))


def deleted_headers(time: float, edits: bytes = b"", *, is_guests: bool = False) -> bytes:
    """Return the header lines of a message after its deletion (rule 13.3).

    Args:
        time: when, in seconds since 1970.
        edits: for an edit that is deleted with the message that it edited, the Id of that message; empty for the
            message itself. Without it, the edit would look like another deleted message.
        is_guests: whether a guest has sent it (rule 12.14).
    """
    about = b"Edits: %b\n" % edits if edits else b""
    return b"%bDeleted: %b\n%b" % (about, time_text(time), GUEST_LINE if is_guests else b"")
