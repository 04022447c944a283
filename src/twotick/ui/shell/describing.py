"""Messages and events of rooms as text and as JSON. What other users wrote cannot control the terminal."""

import base64
from typing import Any

from rich.text import Text

from twotick.client import Event, EventKind, FileInfo, MemberMessage, Message, Reference, Role
from twotick.ui.people import ProfileBook
from twotick.ui.text import action_in, as_said, message_line, size_text, user_name, visible

ROLES = {
    Role.OWNER: "the owner",
    Role.MODERATOR: "a moderator",
    Role.MEMBER: "a member",
    Role.GUEST: "a guest",
    Role.NONE: "a former member",
    Role.UNKNOWN: "a member with a role that this version of Twotick does not know",
}
"""Each role in words, for sentences such as: alice made bob a moderator."""

_NO_PROFILES = ProfileBook()
"""The profiles of users of whom nothing is known."""


def line_of(
    message: Message | MemberMessage,
    people: ProfileBook = _NO_PROFILES,
    *,
    prefix: str = "",
    suffix: str = "",
    formatted: bool = True,
) -> Text:
    """Return a message as it is shown: one line, unless its text has several.

    Args:
        message: a message, a change of an earlier message, or an event.
        people: what users say of themselves.
        prefix: text before the sender, such as a time.
        suffix: text after sender and recipient, such as ticks.
        formatted: whether the effect of marks is shown (docs/formatting.md).
    """
    is_guest = isinstance(message, MemberMessage) and message.is_guest  # of whom a member of that name says nothing
    beside = " (guest)" if is_guest else str(people.person(message.sender)).removeprefix(user_name(message.sender))
    if isinstance(message, Message):
        return message_line(message.sender, message.text, before=prefix, beside=beside, formatted=formatted)
    if message.event is not None:
        return Text(visible(prefix + what_happened(message, message.event, people), keep=""))
    to = f" to {message.recipient}" if message.outgoing and not message.room else ""
    room = f"{message.room} " if message.room else ""
    return message_line(
        message.sender,
        what_was_said(message),
        before=f"{prefix}{room}",
        beside=beside,
        after=f"{to}{suffix}",
        formatted=formatted,
    )


def what_was_said(message: MemberMessage) -> str:
    """Return the text of a message, and what it does to another message."""
    if message.deletes is not None:
        whose = _other(message, message.deletes, " from {}")
        return f"(deleted a message{whose})"
    if message.reacts_to is not None:
        whom = _other(message, message.reacts_to, " to {}")
        return f"(reacted{whom}: {message.text})" if message.body else f"(removed a reaction{whom})"
    for done, reference in (("pinned", message.pins), ("unpinned", message.unpins)):
        if reference is not None:
            return f"({done} a message{_other(message, reference, ' from {}')})"
    if message.deleted is not None:
        return "(deleted)"
    text = message.text
    if message.edits or message.reply_to or message.forwarded_from:
        text = as_said(message.sender, text)  # otherwise it is the whole line
    if message.edits is not None:
        text = f"(edited) {text}"
    elif message.edited is not None:
        text += " (edited)"
    parts = [text]
    if message.forwarded_from is not None:
        parts.insert(0, f"(forwarded from {message.forwarded_from.sender or 'another user'})")
    if message.reply_to is not None:
        parts.insert(0, f"(replies to {message.reply_to.sender or 'a message'})")
    if message.file is not None:
        parts.append(file_label(message.file))
    return " ".join(each for each in parts if each)


def _other(message: MemberMessage, about: Reference, words: str) -> str:
    """Return words about the sender of another message; empty if that is the sender of this one."""
    return "" if about.sender.lower() == message.sender.lower() else words.format(about.sender)


def what_happened(message: MemberMessage, event: Event, people: ProfileBook = _NO_PROFILES) -> str:
    """Return what happened in a room, or to a conversation."""
    who = message.sender
    where = f"{event.room}: " if event.room else ""
    match event.kind:
        case EventKind.CREATED:
            return f"{where}{who} created this room"
        case EventKind.JOINED:
            return f"{where}{who} joined"
        case EventKind.LEFT:
            return f"{where}{who} left"
        case EventKind.REMOVED:
            return f"{where}{who} removed {event.member}"
        case EventKind.APPOINTED:
            return f"{where}{who} made {event.member} {ROLES[event.role or Role.NONE]}"
        case EventKind.INVITED:
            return f"{people.person(who)} invites you to {event.room}"
        case EventKind.CHANGED:
            return where + ", ".join(_changes(who, event))
        case EventKind.SET:
            settings = [name for name, on in (("muted", event.muted), ("blocked", event.blocked)) if on]
            return f"{event.peer} is now {' and '.join(settings) or 'neither muted nor blocked'}"
        case EventKind.ABSENT:
            return describe_absence(event)
        case EventKind.OTHER:
            return f"{where}{who} did something that this version of Twotick does not support"


def describe_absence(event: Event) -> str:
    """Return what to do about a device of the member that has not been connected for long."""
    since = "for long" if event.since is None else f"since {event.since:%Y-%m-%d}"
    until = "" if event.until is None else f" by {event.until:%Y-%m-%d}"
    return (
        f"your device {event.device} has not been connected {since}: connect it{until}, or it will be given only what"
        " comes after it connects again (the history stays)"
    )


def _changes(who: str, event: Event) -> list[str]:
    changes: list[str] = []
    if event.topic is not None:
        changes.append(f"{who} changed the topic to: {event.topic}" if event.topic else f"{who} removed the topic")
    if event.public is not None:
        changes.append(f"{who} made the room {'public' if event.public else 'private'}")
    if event.guests is not None and event.public is not False:
        changes.append(f"{who} lets guests in" if event.guests else f"{who} lets no guests in any more")
    return changes or [f"{who} changed the room"]


def file_label(file: FileInfo) -> str:
    """Return a file's name and size, in brackets."""
    return f"[{file.name}, {size_text(file.size)}]"


# As JSON


def body_as_json(body: bytes) -> dict[str, str]:
    """Return a body for a JSON object: as `text`, or as `base64` if it is not UTF-8.

    The text is as it was typed; what the sender says to do (`/me waves`) is in `action`, too (docs/formatting.md).
    """
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(body).decode()}
    action = action_in(text)
    return {"text": text, "action": action} if action else {"text": text}


def details_as_json(message: MemberMessage) -> dict[str, Any]:
    """Return what a message has besides sender, recipient, time and body, for a JSON object."""
    details: dict[str, Any] = {"guest": True} if message.is_guest else {}
    if message.room:
        details["room"] = message.room
        details["place"] = message.place
    references = {"reply_to": message.reply_to, "edits": message.edits, "deletes": message.deletes}
    references |= {"reacts_to": message.reacts_to, "pins": message.pins, "unpins": message.unpins}
    references |= {"thread": message.thread, "forwarded_from": message.forwarded_from}
    for name, reference in references.items():
        if reference is not None:
            details[name] = {"from": reference.sender, "id": reference.id}
    for name, time in (("edited", message.edited), ("deleted", message.deleted), ("pinned", message.pinned)):
        if time is not None:
            details[name] = time.isoformat()
    if (file := message.file) is not None:
        details["file"] = {"name": file.name, "size": file.size, "hash": file.hash}
    if (event := message.event) is not None:
        details["event"] = _event_as_json(event)
    return details


def _event_as_json(event: Event) -> dict[str, Any]:
    shown: dict[str, Any] = {"kind": event.kind.value}
    for name in ("room", "member", "peer"):
        if value := getattr(event, name):
            shown[name] = value
    for name in ("role", "topic", "public", "guests"):
        if (value := getattr(event, name)) is not None:
            shown[name] = value
    if event.kind is EventKind.ABSENT:
        times = {"since": event.since, "until": event.until}
        shown |= {"device": event.device} | {name: time.isoformat() for name, time in times.items() if time is not None}
    if event.kind is EventKind.SET:
        shown |= {"muted": event.muted, "blocked": event.blocked}
    return shown
