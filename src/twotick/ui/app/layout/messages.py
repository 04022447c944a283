"""The layout of messages in lines: a pure function of the message, its context, and the width.

Lines are made of spans, each a text and the name of its style. The widget defines how the styles look. All that is
shown of a message is part of its lines.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from rich.cells import cell_len

from twotick.client import State
from twotick.ui.app.layout.wrapping import Line, Span, cut, put_right, rule, shortened, wrap_pieces, wrap_text
from twotick.ui.app.model.messages import Attachment, LocalMessage, RoomNotice, TransferProgress
from twotick.ui.formatting import FormattedLine, LineKind, Piece, format_text
from twotick.ui.names import colour_of
from twotick.ui.people import Person, ProfileBook
from twotick.ui.text import as_said, for_screen, one_line, size_text, user_name
from twotick.ui.texts import later, long_date, t
from twotick.ui.thumbnail import format_of

MAX_LINES = 16
"""Lines of a message that are shown in the conversation. The user can open the message to see the rest."""

_MAX_LAID_OUT = 8_000
"""Characters of a message that are laid out."""

_MAX_REACTIONS = 8
"""Different reactions that are shown below a message."""

_MAX_REACTION_COLUMNS = 12
"""Columns of a reaction."""

_GAP = timedelta(minutes=10)
"""The time after which the name of the sender is repeated above a message."""

_MARGIN = 2
"""Columns at the left. The first one marks the selected message."""

_GUTTER = 4
"""Columns at the right for the ticks."""

_BAR = 12
"""Columns of the progress bar of a file."""

_LEAST_FILE_NAME = 8
"""Columns of the name of a file, below which the keys beside it are left out: the status line shows them, too."""

_TICKS = {
    State.QUEUED: ("\u2026", "waiting"),
    State.ACCEPTED: ("\u2713", "accepted"),
    State.DELIVERED: ("\u2713\u2713", "delivered"),
    State.READ: ("\u2713\u2713", "read"),
    State.FAILED: ("\u2717", "failed"),
}


class LayoutContext(NamedTuple):
    """What the layout of a message depends on besides the message. `quoted` does not affect the number of lines.

    Attributes:
        before: the previous message; None for the first one.
        new: whether this is the first message that was unread when the conversation was opened.
        blocked: whether the message is hidden because its sender is blocked.
        quoted: the message that it replies to; None if that message is not available.
        me: the user's name.
        formatted: whether the marks of `docs/formatting.md` mean something.
        person: how its sender is written; None for the name alone. It affects the number of lines of
            invitations only.
    """

    before: LocalMessage | None
    new: bool = False
    blocked: bool = False
    quoted: LocalMessage | None = None
    me: str = ""
    formatted: bool = True
    person: Person | None = None


def name_style(name: str) -> str:
    """Return the style of a name: its colour."""
    return f"name-{colour_of(name)}"


def writer(message: LocalMessage, profiles: ProfileBook) -> Person:
    """Return how the sender of a message is written. A profile with the name of a guest is that of a member."""
    if message.is_guest:
        return Person(user_name(message.sender), t("guest"))
    return profiles.person(message.sender)


def height(message: LocalMessage, context: LayoutContext, width: int) -> int:
    """Return the number of lines of a message.

    Args:
        message: the message.
        context: the context of the message.
        width: the available columns.
    """
    text = said(message)
    columns = _text_columns(width)
    if _is_plain(message, context) and len(text) <= columns and text.isascii() and text.isprintable():
        return len(_above(message, context, width)) + 1
    return len(lines(message, context, width))


def _is_plain(message: LocalMessage, context: LayoutContext) -> bool:
    """Return whether a message is only a text, with a tick that needs no line of its own."""
    return (
        message.state is not State.FAILED
        and not message.have
        and not message.reactions
        and not message.forwarded_from
        and message.reply_to is message.file is message.event is message.edited is message.deleted is None
        and not context.blocked
    )


def lines(message: LocalMessage, context: LayoutContext, width: int) -> list[Line]:
    """Return the lines of a message. None of them is wider than the available columns.

    Args:
        message: the message.
        context: the context of the message.
        width: the available columns.
    """
    columns = _text_columns(width)
    above = _above(message, context, width)
    if message.event is not None:
        when = f"  {_local(message):%H:%M}"
        who = str(context.person) if context.person and message.event.kind == "invited" else user_name(message.sender)
        said = event_text(message.event, who)
        return above + [_indented(Span(line, "quiet")) for line in wrap_text(said + when, columns)[:4]]
    if context.blocked:
        return [
            *above,
            _indented(
                Span(shortened(t("{name} is blocked. v: show", name=user_name(message.sender)), columns), "quiet")
            ),
        ]
    if message.deleted is not None:
        shown = [_indented(Span(shortened(t("message deleted"), columns), "quiet"))]
    else:
        shown = _content(message, context, columns)
    _add_state(shown, message, width)
    if message.state is State.FAILED:
        shown += [_indented(Span(line, "failed")) for line in _failure(message, columns)]
    return above + shown


def _text_columns(width: int) -> int:
    """Return the columns that are available for the text of a message."""
    return max(1, width - _MARGIN - _GUTTER)


def said(message: LocalMessage) -> str:
    """Return the text of a message as it is shown: `/me waves` from bob is `* bob waves`."""
    return as_said(message.sender, message.text)


def _indented(*spans: Span) -> Line:
    return [Span(" " * _MARGIN), *spans]


def _content(message: LocalMessage, context: LayoutContext, columns: int) -> list[Line]:
    """Return the lines with the quote, the origin, the text, the file and the reactions of a message."""
    shown: list[Line] = []
    if message.reply_to is not None:
        shown.append(_indented(*cut(_quote(message, context, columns), columns)))
    if message.forwarded_from:
        origin = t("forwarded from {name}", name=user_name(message.forwarded_from))
        shown.append(_indented(Span(shortened(origin, columns), "quiet")))
    if message.text or message.file is None:
        body = list(_body(said(message), context, columns))
        shown += [_indented(*line) for line in body[:MAX_LINES]]
        if len(body) > MAX_LINES:
            shown.append(_indented(Span(shortened("\u2026 " + t("v: show all"), columns), "quiet")))
    if message.file is not None:
        shown.append(_indented(*cut(file_line(message.file, message.transfer, columns), columns)))
    if message.reactions:
        shown.append(_indented(*cut(_reactions(message.reactions, context.me), columns)))
    return shown


def _quote(message: LocalMessage, context: LayoutContext, columns: int) -> Line:
    """Return the line with the message that a message replies to."""
    quoted = context.quoted
    sender = quoted.sender if quoted is not None else message.reply_to[0] if message.reply_to is not None else ""
    about = _without_marks(summary(quoted), context.formatted) if quoted is not None else t("message not available")
    start = [Span("\u250c ", "quote")]
    if sender:
        start += [Span(user_name(sender), f"quote {name_style(sender)}"), Span(": ", "quote")]
    return [*start, Span(shortened(about, max(1, columns - sum(cell_len(each.text) for each in start))), "quote")]


def _without_marks(text: str, formatted: bool) -> str:
    """Return a line of text without the marks of its formatting."""
    return "".join(
        piece.text for line in format_text(text, formatted=formatted) for piece in line.pieces if piece.style != "mark"
    )


def summary(message: LocalMessage) -> str:
    """Return the content of a message in one line, which may be long, safe for the terminal."""
    if message.deleted is not None:
        return t("message deleted")
    if message.event is not None:
        return event_text(message.event, user_name(message.sender))
    return one_line(said(message)) or (one_line(message.file.name) if message.file is not None else "")


def event_text(event: RoomNotice, who: str) -> str:
    """Return the description of a room event.

    Args:
        event: the event.
        who: the name of the member who did it, safe for the terminal.
    """
    member = user_name(event.member)
    match event.kind:
        case "created":
            return t("{who} created the room", who=who)
        case "joined":
            return t("{who} joined", who=who)
        case "left":
            return t("{who} left", who=who)
        case "removed":
            return t("{who} removed {member}", who=who, member=member)
        case "appointed":
            return t(
                "{who} made {member} {role}",
                who=who,
                member=member,
                role=t(_ROLES[event.role]) if event.role in _ROLES else user_name(event.role),
            )
        case "invited":
            room = user_name(event.room)
            return t("{who} invites you to {room}: /join {room}", who=who, room=room)
        case "absent":
            if not event.topic:
                return t("connect your device {member}", member=member)
            return t("connect your device {member} by {until}", member=member, until=one_line(event.topic))
        case "changed":
            return _changed(event, who)
        case _:
            return f"{who}: {user_name(event.kind)}"


def _changed(event: RoomNotice, who: str) -> str:
    """Return the description of a change of a room: of its topic, its access, or both."""
    access = _ACCESS.get(event.access or "", user_name(event.access or ""))
    values = {"who": who, "topic": one_line(event.topic or ""), "access": t(access)}
    match event.topic, bool(event.access):
        case None, False:
            return t("{who} changed the room", **values)
        case None, True:
            return t("{who} made the room {access}", **values)
        case "", False:
            return t("{who} removed the topic", **values)
        case "", True:
            return t("{who} removed the topic and made the room {access}", **values)
        case _, False:
            return t("{who} changed the topic to: {topic}", **values)
        case _:
            return t("{who} changed the topic to: {topic} and made the room {access}", **values)


_ACCESS = {"public": later("public"), "guests": later("public, also for guests"), "private": later("private")}

_ROLES = {
    "owner": later("the owner"),
    "moderator": later("a moderator"),
    "member": later("a member"),
    "unknown": later("a member with a role that this version of Twotick does not know"),
}


def file_line(file: Attachment, transfer: TransferProgress | None, columns: int) -> Line:
    """Return the line with the name and size of a file, and its progress or the key that saves it.

    Args:
        file: the file.
        transfer: the progress of its upload or download; None if none is running.
        columns: the available columns.
    """
    about = size_text(file.size)
    if transfer is not None:
        share = min(1.0, max(0.0, transfer.done / transfer.total)) if transfer.total > 0 else 0.0
        full = int(share * _BAR)
        about += "  " + "\u2588" * full + "\u2591" * (_BAR - full) + f" {share:4.0%}"
    elif file.key:
        keys = "  " + (t("v: show  s: save") if format_of(file.name) else t("s: save"))
        about += keys if columns - 4 - cell_len(about + keys) >= _LEAST_FILE_NAME else ""
    name = shortened(one_line(file.name) or t("file"), max(1, columns - 4 - cell_len(about)))
    return [Span("\u25a4 ", "quiet"), Span(name, "file"), Span(f"  {about}", "quiet")]


def _reactions(reactions: dict[str, list[str]], me: str) -> Line:
    """Return the line with the reactions to a message. Those of the user are highlighted."""
    found: Line = []
    for text, names in list(reactions.items())[:_MAX_REACTIONS]:
        mine = any(name.lower() == me.lower() for name in names)
        found += [
            Span(f"{shortened(one_line(text), _MAX_REACTION_COLUMNS)} {len(names)}", "mine" if mine else "reaction"),
            Span("  "),
        ]
    if len(reactions) > _MAX_REACTIONS:
        found.append(Span(f"+{len(reactions) - _MAX_REACTIONS}", "quiet"))
    return found


def _tick(message: LocalMessage) -> tuple[str, str] | None:
    """Return the delivery state of a message and its style; in a room, how many members have it so far."""
    if message.state is None:
        return None
    if message.state is State.ACCEPTED and 0 < message.have < message.of:
        return (f"{message.have}/{message.of}", "accepted")
    return ("\u2026", "waiting") if message.changing else _TICKS[message.state]


def _add_state(shown: list[Line], message: LocalMessage, width: int) -> None:
    """Add the delivery state at the right of the last line, or on a new line if it does not fit."""
    tick = _tick(message)
    edited = message.edited is not None and message.deleted is None
    marks = [Span(t("edited"), "quiet")] if edited else []
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


def _above(message: LocalMessage, context: LayoutContext, width: int) -> list[Line]:
    """Return the lines above the text of a message: the day, the mark for new messages, and the sender."""
    before = context.before
    day = before is None or _local(before).date() != _local(message).date()
    above: list[Line] = []
    if before is not None and (day or context.new):
        above.append([])
    if day:
        above += [rule(long_date(_local(message)), "day", width), []]
    if context.new:
        above += [rule(t("new"), "new", width)]
    if message.event is not None or context.blocked or (not above and _continues(message, before)):
        return above
    if before is not None and not above:
        above.append([])
    person = Person(user_name(message.sender))
    if context.person is not None and not message.is_guest:  # a profile of that name is that of a member
        person = context.person
    header = _indented(Span(person.name, name_style(message.sender)), *_beside(person, width // 2))
    if message.is_guest:
        header.append(Span(f" ({t('guest')})", "quiet"))
    header.append(Span(f"  {_local(message):%H:%M}", "quiet"))
    if message.everyone:
        header.append(Span("  " + t("to everyone"), "quiet"))
    return [*above, cut(header, width)]


def _beside(person: Person, columns: int) -> Line:
    """Return what stands beside the name of a sender: the display name, and a warning if it is like another's."""
    shown = [Span(f"  {shortened(person.display, max(1, columns))}")] if person.display else []
    return [*shown, Span(f"  {person.warning}", "failed")] if person.warning else shown


def _continues(message: LocalMessage, before: LocalMessage | None) -> bool:
    """Return whether a message belongs under the same name as the previous one."""
    return (
        before is not None
        and before.event is None
        and before.sender == message.sender
        and before.is_guest is message.is_guest
        and before.everyone is message.everyone
        and message.time - before.time < _GAP
    )


def _local(message: LocalMessage) -> datetime:
    return message.time.astimezone()  # `parse_time` lets through only times that every time zone can show


def _failure(message: LocalMessage, columns: int) -> list[str]:
    """Return the lines that say why a message was not delivered."""
    told = wrap_text(for_screen(t("not delivered: {reason}", reason=t(message.reason))[:400], keep=""), columns)[:4]
    return told if message.forwarded_from else told + wrap_text(t("/again sends it again"), columns)[:1]


def _body(text: str, context: LayoutContext, columns: int) -> Iterator[Line]:
    """Return the lines of the text of a message: at most `MAX_LINES`, and one more if there are more."""
    short = for_screen(text[:_MAX_LAID_OUT].removesuffix("\n"))
    count = 0
    for part in format_text(short, formatted=context.formatted):
        for line in _formatted(part, context.me, columns):
            yield line
            count += 1
            if count > MAX_LINES:
                return
    if len(text) > _MAX_LAID_OUT:
        for _ in range(MAX_LINES + 1 - count):
            yield []


_BARS = {LineKind.QUOTE: Span("\u258e ", "bar"), LineKind.CODE: Span("\u2502 ", "bar")}
"""What stands before a line instead of its marks."""


def _formatted(line: FormattedLine, me: str, columns: int) -> Iterator[Line]:
    """Return a line of a text, without its marks, in one or more lines."""
    if line.kind is LineKind.FENCE:
        return
    bar = [_BARS[line.kind]] if line.kind in _BARS else []
    spans = [Span(piece.text, _style(piece, me)) for piece in line.pieces if piece.style != "mark"]
    room = max(1, columns - 2 * len(bar))
    for wrapped in wrap_pieces(spans, room):
        if line.kind is LineKind.CODE:  # the block is a box
            wrapped.append(Span(" " * max(0, room - sum(cell_len(span.text) for span in wrapped)), "code"))
        yield [*bar, *wrapped]


def _style(piece: Piece, me: str) -> str:
    """Return the style of a piece. A mention of another user has the colour of that user's name."""
    name = piece.text.removeprefix("@")
    return piece.style if name.lower() == me.lower() else piece.style.replace("mention", name_style(name))
