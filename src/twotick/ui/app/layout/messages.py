"""How messages are laid out in lines: a pure function of the message, what is around it, and the width.

Lines are made of spans, a text and the name of its style; what the styles look like is for the widget to say. Whatever
is to be shown of a message is a part of its lines.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from rich.cells import cell_len

from twotick.client import State
from twotick.ui.app.layout.wrapping import Line, Span, cut, put_right, rule, shortened, styled, wrapped
from twotick.ui.app.model.messages import Attachment, LocalMessage, RoomEvent, TransferProgress
from twotick.ui.text import placed, size_text

MOST_LINES = 16
"""Lines of a message that are shown in the conversation; the rest is shown when somebody asks for it."""

_LONGEST = 8_000
"""Characters of a message that are looked at to lay it out."""

_LONGEST_NAME = 33
"""Characters of a name (rules 4.1 and 12.1); whatever a server says, no more are shown."""

_LONGEST_LINE = 300
"""Characters that are looked at of what has one line: a quote, a topic, the name of a file."""

_MOST_REACTIONS = 8
"""Different reactions that are shown under a message."""

_LONGEST_REACTION = 12
"""Columns of a reaction."""

_GAP = timedelta(minutes=10)
"""After which a message has the name and time of its sender again."""

_MARGIN = 2
"""Columns at the left, of which the first shows what is selected."""

_GUTTER = 4
"""Columns at the right, for the ticks."""

_BAR = 12
"""Columns of the bar that shows how much of a file is here."""

_TICKS = {
    State.QUEUED: ("\u2026", "waiting"),
    State.ACCEPTED: ("\u2713", "accepted"),
    State.DELIVERED: ("\u2713\u2713", "delivered"),
    State.READ: ("\u2713\u2713", "read"),
    State.FAILED: ("\u2717", "failed"),
}


class LayoutContext(NamedTuple):
    """What the layout of a message depends on besides the message. The number of its lines does not depend on `quoted`.

    Attributes:
        before: the message before it; None for the first.
        new: whether it is the first that was not read when the conversation was opened.
        blocked: whether it is hidden, since its sender is blocked.
        quoted: the message that it answers; None if that is not here.
        me: the name of the user.
    """

    before: LocalMessage | None
    new: bool = False
    blocked: bool = False
    quoted: LocalMessage | None = None
    me: str = ""


def height(message: LocalMessage, around: LayoutContext, width: int) -> int:
    """How many lines a message takes.

    Args:
        message: the message.
        around: what is around it.
        width: the columns there are.
    """
    text = message.text
    room = _room(width)
    if _is_plain(message, around) and len(text) <= room and text.isascii() and text.isprintable():
        return len(_above(message, around, width)) + 1
    return len(lines(message, around, width))


def _is_plain(message: LocalMessage, around: LayoutContext) -> bool:
    """Whether a message has nothing but a text, and a tick that takes no line of its own."""
    return (
        message.state is not State.FAILED
        and not message.have
        and not message.reactions
        and message.reply_to is message.file is message.event is message.edited is message.deleted is None
        and not around.blocked
    )


def lines(message: LocalMessage, around: LayoutContext, width: int) -> list[Line]:
    """The lines of a message, each of them no wider than there are columns.

    Args:
        message: see `height`.
        around: see `height`.
        width: see `height`.
    """
    room = _room(width)
    above = _above(message, around, width)
    if message.event is not None:
        when = f"  {_local(message):%H:%M}"
        said = event_text(message.event, _name(message.sender))
        return above + [_indented(Span(line, "quiet")) for line in wrapped(said + when, room)[:4]]
    if around.blocked:
        return [*above, _indented(Span(shortened(f"{_name(message.sender)} is blocked: v shows it", room), "quiet"))]
    if message.deleted is not None:
        shown = [_indented(Span("deleted"[:room], "quiet"))]
    else:
        shown = _said(message, around, room)
    _put_marks(shown, message, width)
    if message.state is State.FAILED:
        shown += [_indented(Span(line, "failed")) for line in _why(message, room)]
    return above + shown


def _room(width: int) -> int:
    """The columns for what a message says."""
    return max(1, width - _MARGIN - _GUTTER)


def _indented(*spans: Span) -> Line:
    return [Span(" " * _MARGIN), *spans]


def _name(name: str) -> str:
    return placed(name[:_LONGEST_NAME], keep="")


def one_line(text: str) -> str:
    """The beginning of a text of any length, safe, in one line."""
    return placed(" ".join(text[:_LONGEST_LINE].split()), keep="")


def _said(message: LocalMessage, around: LayoutContext, room: int) -> list[Line]:
    """What a message answers, says and carries, and the reactions to it."""
    shown: list[Line] = []
    if message.reply_to is not None:
        shown.append(_indented(Span(shortened(f"\u250c {_quote(message, around.quoted)}", room), "quote")))
    if message.text or message.file is None:
        body = list(_body(message.text, room))
        shown += [_indented(*line) for line in body[:MOST_LINES]]
        if len(body) > MOST_LINES:
            shown.append(_indented(Span("\u2026 v shows all of it"[:room], "quiet")))
    if message.file is not None:
        shown.append(_indented(*cut(file_line(message.file, message.transfer, room), room)))
    if message.reactions:
        shown.append(_indented(*cut(_reactions(message.reactions, around.me), room)))
    return shown


def _quote(message: LocalMessage, quoted: LocalMessage | None) -> str:
    """What a message answers, in one line."""
    if quoted is None:
        sender = message.reply_to[0] if message.reply_to is not None else ""
        return f"{_name(sender)}: a message that is not here" if sender else "a message that is not here"
    return f"{_name(quoted.sender)}: {summary(quoted)}"


def summary(message: LocalMessage) -> str:
    """What a message says, safe, in one line that may be long."""
    if message.deleted is not None:
        return "deleted"
    if message.event is not None:
        return event_text(message.event, _name(message.sender))
    return one_line(message.text) or (one_line(message.file.name) if message.file is not None else "")


def event_text(event: RoomEvent, who: str) -> str:
    """What happened, in words.

    Args:
        event: what.
        who: who did it, safe to show.
    """
    member = _name(event.member)
    match event.kind:
        case "created":
            return f"{who} made the room"
        case "joined":
            return f"{who} joined"
        case "left":
            return f"{who} left"
        case "removed":
            return f"{who} removed {member}"
        case "appointed":
            return f"{who} made {member} {_ROLES.get(event.role, _name(event.role))}"
        case "invited":
            return f"{who} invites you: /join {_name(event.room)}"
        case "changed":
            topic = [] if event.topic is None else [f"the topic to: {one_line(event.topic)}"]
            if event.topic == "":
                topic = ["the topic to nothing"]
            access = [f"who may join: {_ACCESS.get(event.access, _name(event.access))}"] if event.access else []
            return f"{who} changed " + ", and ".join(topic + access)
        case _:
            return f"{who}: {_name(event.kind)}"


_ACCESS = {"public": "everybody", "private": "who is invited"}
_ROLES = {"owner": "the owner", "moderator": "a moderator", "member": "a member"}


def file_line(file: Attachment, transfer: TransferProgress | None, room: int) -> Line:
    """The name and size of a file, and how much of it is up or down, or how to save it.

    Args:
        file: the file.
        transfer: how much of it is up or down; None if it is not on its way.
        room: columns.
    """
    about = size_text(file.size)
    if transfer is not None:
        share = min(1.0, max(0.0, transfer.done / transfer.total)) if transfer.total > 0 else 0.0
        full = int(share * _BAR)
        about += "  " + "\u2588" * full + "\u2591" * (_BAR - full) + f" {share:4.0%}"
    elif file.key:
        about += "  s saves it"
    name = shortened(one_line(file.name) or "file", max(1, room - 4 - cell_len(about)))
    return [Span("\u25a4 ", "quiet"), Span(name, "file"), Span(f"  {about}", "quiet")]


def _reactions(reactions: dict[str, list[str]], me: str) -> Line:
    """The reactions to a message, those of the user standing out."""
    found: Line = []
    for text, names in list(reactions.items())[:_MOST_REACTIONS]:
        mine = any(name.lower() == me.lower() for name in names)
        found += [
            Span(f"{shortened(one_line(text), _LONGEST_REACTION)} {len(names)}", "mine" if mine else "reaction"),
            Span("  "),
        ]
    if len(reactions) > _MOST_REACTIONS:
        found.append(Span(f"+{len(reactions) - _MOST_REACTIONS}", "quiet"))
    return found


def _tick(message: LocalMessage) -> tuple[str, str] | None:
    """What is shown of what became of a message, and in which style; in a room, how many have it so far."""
    if message.state is None:
        return None
    if message.state is State.ACCEPTED and 0 < message.have < message.of:
        return (f"{message.have}/{message.of}", "accepted")
    return ("\u2026", "waiting") if message.changing else _TICKS[message.state]


def _put_marks(shown: list[Line], message: LocalMessage, width: int) -> None:
    """Put at the right what became of a message, on a line of its own if there is no room."""
    tick = _tick(message)
    edited = message.edited is not None and message.deleted is None
    marks = [Span("edited", "quiet")] if edited else []
    if edited and tick is not None:
        marks.append(Span(" "))
    if tick is not None:
        marks.append(Span(*tick))
    if not marks:
        return
    while sum(cell_len(mark.text) for mark in marks) > max(0, width - 1) and len(marks) > 1:
        del marks[0]
    used = sum(cell_len(each.text) for each in shown[-1]) + 1
    if used + sum(cell_len(mark.text) for mark in marks) > width - 1 and width > _MARGIN + _GUTTER:
        shown.append([])
    put_right(shown[-1], marks, width)


def _above(message: LocalMessage, around: LayoutContext, width: int) -> list[Line]:
    """The lines before what a message says: the day, what is new, the sender."""
    before = around.before
    day = before is None or _local(before).date() != _local(message).date()
    above: list[Line] = []
    if before is not None and (day or around.new):
        above.append([])
    if day:
        above += [rule(f"{_local(message):%A} {_local(message).day} {_local(message):%B %Y}", "day", width), []]
    if around.new:
        above += [rule("new", "new", width)]
    if message.event is not None or around.blocked or (not above and _goes_on(message, before)):
        return above
    if before is not None and not above:
        above.append([])
    style = "me" if message.outgoing else "sender"
    header = _indented(Span(_name(message.sender), style), Span(f"  {_local(message):%H:%M}", "quiet"))
    if message.everyone:
        header.append(Span("  to everyone", "quiet"))
    return [*above, cut(header, width)]


def _goes_on(message: LocalMessage, before: LocalMessage | None) -> bool:
    """Whether a message stands under the name that the one before it has."""
    return (
        before is not None
        and before.event is None
        and before.sender == message.sender
        and before.everyone is message.everyone
        and message.time - before.time < _GAP
    )


def _local(message: LocalMessage) -> datetime:
    try:
        return message.time.astimezone()
    except (OverflowError, ValueError, OSError):
        return message.time


def _why(message: LocalMessage, room: int) -> list[str]:
    """Why a message failed, in lines."""
    return wrapped(placed(f"not delivered: {message.reason}"[:400], keep=""), room)[:4]


def _body(text: str, room: int) -> Iterator[Line]:
    """What a message says, in lines; only as many as may be shown, and one more if there are more."""
    short = placed(text[:_LONGEST].removesuffix("\n"))
    count = 0
    for part in short.split("\n"):
        for line in styled(part, room):
            yield line
            count += 1
            if count > MOST_LINES:
                return
    if len(text) > _LONGEST:
        for _ in range(MOST_LINES + 1 - count):
            yield []
