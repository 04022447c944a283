"""The rules of pinning messages (docs/protocol.md, rules 13.7 to 13.9)."""

import re
from typing import Final

from twotick.store.requests.messages import Append, MessageAction
from twotick.store.rules.editing import Candidate
from twotick.store.rules.errors import NotAllowed
from twotick.store.rules.rooms import RoomState

PINS_MOST: Final = 50
"""The most pinned messages of a conversation (rule 13.8)."""

_CHANGES = re.compile(rb"^(?:Edits|Deletes|Reacts-to|Pins|Unpins|Deleted): ", re.MULTILINE | re.IGNORECASE)
"""Header lines of messages that only change others, and of deleted ones."""


def is_of_its_own(headers: bytes) -> bool:
    """Tell whether a message with these header lines is neither deleted nor one that only changes another."""
    return _CHANGES.search(headers) is None


def check_pinning(request: Append, room: RoomState | None) -> None:
    """Check that a member may pin and unpin messages of a conversation (rule 13.7).

    Raises:
        NotAllowed: the member may not.
    """
    if room is not None and not room.may_pin(request.sender or 0):
        raise NotAllowed(f"only moderators and the owner pin messages in {room.name.decode()}")


def choose_pin(request: Append, candidates: list[Candidate], pinned: set[int], now: int) -> Candidate:
    """Return the message that is pinned or unpinned.

    Args:
        request: the message that does it.
        candidates: messages with the right Id and sender that the member may read, in the right conversation.
        pinned: the numbers of those of them that are pinned.
        now: how many messages of the conversation are pinned.

    Raises:
        NotAllowed: there is no such message, or too many are pinned.
    """
    is_pin = request.action is MessageAction.PIN
    for each in candidates:
        if is_of_its_own(each.headers) and (is_pin or each.number in pinned):
            if is_pin and now >= PINS_MOST and each.number not in pinned:
                raise NotAllowed(f"at most {PINS_MOST} messages can be pinned here: unpin another one first")
            return each
    raise NotAllowed(f"there is no such {'' if is_pin else 'pinned '}message here")
