"""The rules of notifications that are pushed to browsers (docs/protocol.md, section 20)."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from twotick.store.requests.pushes import PushNews

PUSH_AGE: Final = 86400.0
"""Seconds after which a message is not pushed any more (rule 20.4)."""

_PATIENCE: Final = 14.0
"""Seconds for which a connected device is given time to receive a message by itself."""

_CONVERSATIONS: Final = 8
"""The conversations that are pushed at once."""

_TEXT: Final = 200
"""The letters of a text."""

_MENTION: Final = 2


@dataclass(frozen=True, slots=True)
class PushCandidate:
    """An unread message in a member's log, and what is known of its conversation. Columns of a query.

    Attributes:
        peer: the conversation, in lower case.
        seq: its number in the log.
        message: the store's number of the message.
        weight: how it counts as unread.
        sender: the sender, as it is shown.
        recipient: the recipient, as the sender wrote it.
        time: when it was accepted, in seconds since 1970.
        expires: when it is over unless it was delivered, in seconds since 1970; None for never, or if it was.
        is_in_room: whether it was sent to a room.
        room: the room as it is shown, if the member is in it and may read the message; else None.
        read: the entry up to which the conversation is read.
        muted: whether it is muted.
        muted_until: until when, in seconds since 1970; 0 for ever.
        notify: whether all messages of the room are notified.
        is_blocked: whether the member has blocked the sender. No column.
    """

    peer: bytes
    seq: int
    message: int
    weight: int
    sender: bytes
    recipient: bytes
    time: float
    expires: float | None
    is_in_room: int
    room: str | None
    read: int
    muted: int
    muted_until: float
    notify: int
    is_blocked: bool


def is_notified(candidate: PushCandidate, time: float) -> bool:
    """Tell whether a member is notified of a message (rule 20.4); `time` is now, in seconds since 1970."""
    return candidate.time > time - PUSH_AGE and is_for_reader(candidate, time)


def is_for_reader(candidate: PushCandidate, time: float) -> bool:
    """Tell whether a member wants to hear of a message, however old it is: it is unread, not muted, and so on."""
    if candidate.seq <= candidate.read or candidate.is_blocked or candidate.recipient.lower() == b"all":
        return False
    if candidate.muted and (not candidate.muted_until or candidate.muted_until > time):
        return False
    if candidate.expires is not None and candidate.expires <= time:
        return False
    if not candidate.is_in_room:
        return True
    return candidate.room is not None and bool(candidate.weight == _MENTION or candidate.notify)


@dataclass(frozen=True, slots=True)
class GatheredNews:
    """The new messages of a conversation: what is told of them, and the store's number of the newest one."""

    news: PushNews
    message: int


def gathered(
    candidates: Iterable[PushCandidate], time: float, *, is_connected: bool
) -> tuple[list[GatheredNews], bool]:
    """Put the messages of which a member is notified together by conversation (rule 20.3).

    Args:
        candidates: the messages, newest first.
        time: now, in seconds since 1970.
        is_connected: whether the device is connected, and so may receive the newest ones by itself.

    Returns:
        The conversations with the newest messages, the one with the newest message last; and whether more is to come
        for which the device is given time.
    """
    found: dict[bytes, GatheredNews] = {}
    waits = False
    for each in candidates:
        if not is_notified(each, time):
            continue
        if is_connected and each.time > time - _PATIENCE:
            waits = True
            continue
        known = found.get(each.peer)
        if known is not None:
            found[each.peer] = replace(known, news=replace(known.news, count=known.news.count + 1))
        elif len(found) < _CONVERSATIONS:
            sender = each.sender.decode(errors="replace")
            found[each.peer] = GatheredNews(
                PushNews(each.room or sender, sender, "", 1, each.seq, each.time), each.message
            )
    return list(reversed(found.values())), waits


def pushed_text(headers: bytes, body: bytes) -> str:
    """Return the text that a notification shows of a message; empty if it is no text.

    Args:
        headers: the header lines of the message.
        body: its body.
    """
    for line in headers.splitlines():
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-type" and not value.strip().lower().startswith(b"text/plain"):
            return ""
    return body[: 4 * _TEXT].decode(errors="ignore")[:_TEXT]
