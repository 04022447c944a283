"""The rules of mentions and of conversations' settings (docs/protocol.md, section 14)."""

import re
from dataclasses import dataclass, replace
from typing import Final

from twotick.store.port import StoreLimits
from twotick.store.requests.conversations import SetConversation
from twotick.store.rules.errors import NotAllowed
from twotick.store.rules.rooms import RoomEvent
from twotick.wire import is_name, is_room, time_text

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


def check_setting(
    peer: bytes, blocked: bool | None, settings: int, limits: StoreLimits, *, notify_all: bool | None = None
) -> None:
    """Check that a conversation may be muted, blocked or notified (rules 14.3 and 14.6).

    Args:
        peer: the user; or a room that the member is in.
        blocked: whether the member wants to block it; None if the request does not say.
        settings: how many other conversations the member has muted or blocked.
        limits: the most of them.
        notify_all: whether all its messages are to be notified; None if the request does not say.

    Raises:
        NotAllowed: the peer is neither a user nor a room, the setting is not for it, or there are too many settings.
    """
    if is_room(peer):
        if blocked:
            raise NotAllowed("rooms can be muted, but not blocked")
    elif not is_name(peer):
        raise NotAllowed("there is no such conversation")
    elif notify_all is not None:
        raise NotAllowed("Notify is for rooms: direct messages are always notified unless they are muted")
    if settings >= limits.settings:
        raise NotAllowed(f"too many conversations have settings; at most {limits.settings} can have some")


@dataclass(frozen=True, slots=True)
class ConversationSettings:
    """How a member has set a conversation (rule 14.3).

    Attributes:
        muted: whether notifications are off.
        blocked: whether the user is blocked.
        pinned: whether the member wants it at the top.
        closed_at: the entry from which on a message opens it again; 0 if it is not closed.
        muted_until: when notifications are on again, in seconds since 1970; 0 if that does not end by itself.
        notify_all: whether all messages of a room are notified, not only mentions.
    """

    muted: bool = False
    blocked: bool = False
    pinned: bool = False
    closed_at: int = 0
    muted_until: float = 0.0
    notify_all: bool = False

    def at(self, time: float) -> "ConversationSettings":
        """Return the settings at a time, in seconds since 1970: what was muted until then is so no more."""
        is_over = self.muted_until and self.muted_until <= time
        return replace(self, muted=False, muted_until=0.0) if is_over else self


def changed_settings(
    before: ConversationSettings, request: SetConversation, next_entry: int, *, closed: bool
) -> ConversationSettings:
    """Return how a conversation is set after a request.

    Args:
        before: how it was set.
        request: the request.
        next_entry: the number of the next entry of the member's log.
        closed: whether the conversation is closed now.
    """
    now = before.at(request.time)
    muted, until = now.muted, now.muted_until
    if request.muted is not None and (request.muted != muted or request.muted_until is None):
        muted, until = request.muted, 0.0
    if request.muted_until is not None:
        muted, until = True, request.muted_until
    closed_at = now.closed_at if closed else 0
    if request.closed is not None and request.closed != closed:
        closed_at = next_entry if request.closed else 0
    return ConversationSettings(
        muted,
        now.blocked if request.blocked is None else request.blocked,
        now.pinned if request.pinned is None else request.pinned,
        closed_at,
        until,
        now.notify_all if request.notify_all is None else request.notify_all,
    ).at(request.time)


def setting_event(name: str, member: int, settings: ConversationSettings) -> RoomEvent:
    """Return the event that tells a member's devices how a conversation is set now."""
    lines = b"Event: set\nOf: %b\nMuted: %b\nBlocked: %b\n" % (
        name.encode(),
        _YES_OR_NO[settings.muted],
        _YES_OR_NO[settings.blocked],
    )
    if settings.pinned:
        lines += b"Pinned: yes\n"
    if settings.closed_at:
        lines += b"Closed: yes\n"
    if settings.muted_until:
        lines += b"Muted-until: %b\n" % time_text(settings.muted_until)
    if settings.notify_all:
        lines += b"Notify: all\n"
    return RoomEvent(lines, [member], is_in_room=False)
