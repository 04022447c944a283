"""The conversion between the app's objects and rows of the database."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from twotick.client.member.events import State
from twotick.client.member.headers import parse_time
from twotick.ui.app.model.conversations import LocalConversation
from twotick.ui.app.model.messages import Attachment, ChangeKind, LocalMessage, MessageChange, RoomNotice

MESSAGE_COLUMNS = (
    "number, conversation, place, ord, id, sender, body, time, outgoing, state, reason, mention, seq, have, recipients,"
    " edited, deleted, more, action"
)
"""The columns that `to_message` expects."""

CONVERSATION_COLUMNS = (
    "key, name, complete, read, draft, unread, mentions, counted, muted, blocked, topic, role, members, access, gone,"
    " closed, pinned, muted_until"
)
"""The columns that `to_conversation` expects."""


_NO_TIME = datetime.fromtimestamp(0, UTC)
"""The time of a message whose stored time cannot be shown: older versions stored whatever a sender wrote."""


def message_values(message: LocalMessage) -> tuple[Any, ...]:
    """Return the values of all `MESSAGE_COLUMNS` but the number, followed by that of the column `news`."""
    change = message.change
    news = not message.outgoing and message.event is None
    return (
        message.conversation,
        *message.place,
        message.id,
        message.sender,
        message.text,
        message.time.isoformat(),
        message.outgoing,
        message.state,
        message.reason,
        message.mention,
        message.seq,
        message.have,
        message.of,
        message.edited and message.edited.isoformat(),
        message.deleted and message.deleted.isoformat(),
        rare_fields(message),
        change.kind.value if change is not None else "",
        news,
    )


def rare_fields(message: LocalMessage) -> str:
    """Return the fields that few messages have as JSON, for the column `more`; empty if there are none."""
    more: dict[str, Any] = {}
    if message.change is not None:
        more["about"] = message.change[1:]
    if message.reply_to is not None:
        more["reply_to"] = message.reply_to
    if message.forwards is not None:
        more["forwards"] = message.forwards
    if message.forwarded_from:
        more["forwarded_from"] = message.forwarded_from
    if message.event is not None:
        more["event"] = message.event
    if message.file is not None:
        more["file"] = message.file
    if message.path is not None:
        more["path"] = str(message.path)
    if message.everyone:
        more["everyone"] = True
    if message.is_guest:
        more["guest"] = True
    return json.dumps(more) if more else ""


def to_message(row: tuple[Any, ...]) -> LocalMessage:
    """Return the message of a row of `MESSAGE_COLUMNS`, without its reactions."""
    number, conversation, place, order, ident, sender, body, time, outgoing, state, reason, mention = row[:12]
    seq, have, recipients, edited, deleted, more, action = row[12:]
    message = LocalMessage(
        conversation,
        sender,
        body,
        parse_time(time) or _NO_TIME,
        bool(outgoing),
        (place, order),
        ident,
        None if state is None else State(state),
        reason,
        bool(mention),
        number,
        seq,
        have=have,
        of=recipients,
        edited=parse_time(edited or ""),
        deleted=deleted and (parse_time(deleted) or _NO_TIME),
    )
    if more:
        found: dict[str, Any] = json.loads(more)
        message.reply_to = tuple(found["reply_to"]) if "reply_to" in found else None
        message.forwards = tuple(found["forwards"]) if "forwards" in found else None
        message.forwarded_from = found.get("forwarded_from", "")
        message.event = RoomNotice(*found["event"]) if "event" in found else None
        message.file = Attachment(*found["file"]) if "file" in found else None
        message.path = Path(found["path"]) if "path" in found else None
        message.everyone = "everyone" in found
        message.is_guest = "guest" in found
        message.change = MessageChange(ChangeKind(action), *found["about"]) if action else None
    return message


def to_conversation(row: tuple[Any, ...]) -> LocalConversation:
    """Return the conversation of a row of `CONVERSATION_COLUMNS`."""
    key, name, complete, read, draft, unread, mentions, counted, muted, blocked, topic, role, members, access, gone = (
        row[:15]
    )
    closed, pinned, muted_until = row[15:]
    return LocalConversation(
        key,
        name,
        complete=bool(complete),
        unread=unread,
        mentions=mentions,
        read=read,
        draft=draft,
        muted=bool(muted),
        blocked=bool(blocked),
        topic=topic,
        role=role,
        members=members,
        access=access,
        left=bool(gone),
        counted=counted,
        closed=bool(closed),
        pinned=bool(pinned),
        muted_until=muted_until,
    )
