"""The rules of mentions and of conversations' settings (docs/protocol.md, section 14)."""

import re
from typing import Final

from twotick.store.port import StoreLimits
from twotick.store.rules.errors import NotAllowed
from twotick.store.rules.rooms import RoomEvent
from twotick.wire import is_name, is_room

_SEARCHED: Final = 64 << 10
_MENTIONS: Final = 100
_MENTION = re.compile(r"(?<![^\W_])@([A-Za-z0-9]{1,32})(?![^\W_])")
_YES_OR_NO: Final = (b"no", b"yes")


def mentioned(body: bytes) -> set[bytes]:
    """Return the names that a message mentions (rule 14.2), in lower case.

    At most 100 names, from the first 64 KiB: a message cannot keep the server busy for long.
    """
    found: set[bytes] = set()
    if b"@" in body:
        for match in _MENTION.finditer(body[:_SEARCHED].decode(errors="replace")):
            found.add(match[1].lower().encode())
            if len(found) == _MENTIONS:
                break
    return found


def check_setting(peer: bytes, blocked: bool | None, settings: int, limits: StoreLimits) -> None:
    """Check that a conversation may be muted or blocked (rule 14.3).

    Args:
        peer: the user; or a room that the member is in.
        blocked: whether the member wants to block it; None if the request does not say.
        settings: how many other conversations the member has muted or blocked.
        limits: the most of them.

    Raises:
        NotAllowed: the peer is neither a user nor a room, a room would be blocked, or there are too many settings.
    """
    if is_room(peer):
        if blocked:
            raise NotAllowed("rooms can be muted, but not blocked")
    elif not is_name(peer):
        raise NotAllowed("there is no such conversation")
    if settings >= limits.settings:
        raise NotAllowed(f"too many conversations are muted or blocked; at most {limits.settings} can be")


def setting_event(name: str, member: int, *, muted: bool, blocked: bool) -> RoomEvent:
    """Return the event that tells a member's devices how a conversation is set now."""
    lines = b"Event: set\nOf: %b\nMuted: %b\nBlocked: %b\n" % (name.encode(), _YES_OR_NO[muted], _YES_OR_NO[blocked])
    return RoomEvent(lines, [member], is_in_room=False)
