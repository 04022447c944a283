"""CHATHISTORY and MARKREAD: what was said before, and how far it was read."""

from collections.abc import Generator
from datetime import UTC, datetime
from typing import Final

from twotick.irc.answers import QUESTION, IrcAnswer, Steps
from twotick.irc.capabilities import Cap
from twotick.irc.channels import event_lines, marker_line
from twotick.irc.lines import message_lines, tag_time
from twotick.irc.messages import reference
from twotick.irc.session import IrcSession
from twotick.irc.wire import IrcMessage, write_line
from twotick.wire import Frame, Head, Verb, frame, is_name, is_room, read_number

_MOST: Final = 500
"""The most messages in an answer."""
_PAGE: Final = 1000
_MOST_PAGES: Final = 8
"""How many pages of the history are looked through for a time."""
_CHANGES: Final = (b"reacts-to", b"edits", b"deletes", b"pins", b"unpins")


class _Invalid(Exception):
    """A request makes no sense: the code of FAIL, and the text."""


def chathistory(session: IrcSession, message: IrcMessage) -> Steps | None:
    """CHATHISTORY: messages of a conversation, or which conversations there are."""
    do, params = message.params[0].upper(), message.params
    counts = {b"LATEST": 4, b"BEFORE": 4, b"AFTER": 4, b"AROUND": 4, b"BETWEEN": 5, b"TARGETS": 4}
    if do not in counts:
        session.fail(b"CHATHISTORY", b"INVALID_PARAMS", do, b"Unknown subcommand")
        return None
    if len(params) < counts[do]:
        session.fail(b"CHATHISTORY", b"INVALID_PARAMS", do, b"Insufficient parameters")
        return None
    most = read_number(params[counts[do] - 1], 9)
    if most is None:
        session.fail(b"CHATHISTORY", b"INVALID_PARAMS", do, b"The limit is no number")
        return None
    most = min(most, _MOST)
    if do == b"TARGETS":
        return _targets(session, params[1], params[2], most)
    target = params[1]
    is_known = is_name(target) or target.lower() in (session.channels or {})
    if not is_known:
        session.fail(b"CHATHISTORY", b"INVALID_TARGET", do, target, b"Messages could not be retrieved")
        return None
    return _history(session, do, target, params[2:-1], most)


def _history(session: IrcSession, do: bytes, target: bytes, words: list[bytes], most: int) -> Steps:
    try:
        found = yield from _select(session, do, target, words, most)
    except _Invalid as error:
        code, text = error.args
        context = (do, target) if code == b"INVALID_TARGET" else (do, *words)
        session.fail(b"CHATHISTORY", code, *context, text)
        return
    name = session.new_id()
    inside = b"batch=" + name
    has_batch = session.caps & Cap.BATCH
    if has_batch:
        session.reply(write_line(session.place.server, b"BATCH", b"+" + name, b"chathistory", target))
    for head, body in found:
        for line in _lines(session, head, body):
            if not has_batch or b"batch=" in line.partition(b" ")[0]:
                session.reply(line)
            elif line.startswith(b"@"):
                session.reply(b"@%b;%b" % (inside, line[1:]))
            else:
                session.reply(b"@%b %b" % (inside, line))
    if has_batch:
        session.reply(write_line(session.place.server, b"BATCH", b"-" + name))


def _lines(session: IrcSession, head: Head, body: bytes) -> list[bytes]:
    """Return the lines of a message of the past."""
    headers = head.headers
    if b"event" in headers:
        room = headers.get(b"to", b"")
        return event_lines(session, head, room, past=True) if session.caps & Cap.EVENT_PLAYBACK and room else []
    if any(each in headers for each in _CHANGES) and not session.caps & Cap.EVENT_PLAYBACK:
        return []
    return message_lines(session, head, body, headers.get(b"to", session.name))


def _select(
    session: IrcSession, do: bytes, target: bytes, words: list[bytes], most: int
) -> Generator[bytes, IrcAnswer, list[Frame]]:
    """Return the messages that a request asks for, oldest first."""
    first = None if words[0] == b"*" else (yield from _point(session, target, words[0]))
    if first is None and do != b"LATEST":
        raise _Invalid(b"INVALID_PARAMS", b"Name a message or a time")
    if do == b"LATEST":
        pages = yield from _pages(session, target, 0, after=first, most=most)
        return pages[-most:] if most else []
    assert first is not None
    if do == b"BEFORE":
        return (yield from _before(session, target, first, most))
    if do == b"AFTER":
        pages = yield from _pages(session, target, 0, after=first, most=None)
        return pages[:most]
    if do == b"AROUND":
        before = yield from _before(session, target, first, most // 2)
        pages = yield from _pages(session, target, 0, after=first, most=None, including=True)
        return [*before, *pages[: most - len(before)]]
    second = yield from _point(session, target, words[1])
    backwards = second[1] < first[1] if first[1] and second[1] else second[0] < first[0]
    early, late = (second, first) if backwards else (first, second)
    between = yield from _pages(session, target, late[1], after=early, most=None)
    between = [each for each in between if not _is_after(session, each, late, including=True)]
    return (between[-most:] if backwards else between[:most]) if most else []


def _place(session: IrcSession, each: Frame) -> tuple[bytes, int]:
    """Return where a message stands: its time, and its number."""
    head = each[0]
    return tag_time(session, head.headers), _number(head)


def _number(head: Head) -> int:
    return int(head.headers.get(b"place") or head.seq or 0)


def _point(session: IrcSession, target: bytes, word: bytes) -> Generator[bytes, IrcAnswer, tuple[bytes, int]]:
    """Return where `timestamp=...` or `msgid=...` is: its time, and its number, 0 if that is not known.

    Raises:
        _Invalid: there is no such message, or that is no time.
    """
    kind, _, value = word.partition(b"=")
    if kind == b"timestamp":
        try:
            time = datetime.fromisoformat(value.decode("ascii"))
        except ValueError as error:
            raise _Invalid(b"INVALID_PARAMS", b"That is no time such as 2026-11-22T09:30:00.000Z") from error
        time = time if time.tzinfo else time.replace(tzinfo=UTC)
        try:
            text = time.astimezone(UTC).isoformat(timespec="milliseconds")
        except OverflowError as error:
            raise _Invalid(b"INVALID_PARAMS", b"That is no time of any message") from error
        return text.replace("+00:00", "Z").encode(), 0
    about = reference(value) if kind == b"msgid" else None
    if about is None:
        raise _Invalid(b"INVALID_MSGREFTYPE" if kind != b"msgid" else b"INVALID_PARAMS", b"Name a msgid or a timestamp")
    sender, _, identifier = about.partition(b" ")
    kind, _, number = identifier.rpartition(b"-")
    if kind == b"event" and is_room(target) and read_number(number):
        return b"", int(number)  # an event has no Id, and is named by its place
    answer = yield frame(Verb.HISTORY, target, id=QUESTION, thread=about, limit=_PAGE)
    for each in answer.items:
        if each[0].id == identifier and each[0].key == sender.lower():
            return _place(session, each)
    if answer.reason is not None:
        raise _Invalid(b"INVALID_TARGET", b"Messages could not be retrieved")
    raise _Invalid(b"INVALID_PARAMS", b"There is no such message")


def _before(
    session: IrcSession, target: bytes, point: tuple[bytes, int], most: int
) -> Generator[bytes, IrcAnswer, list[Frame]]:
    """Return the last messages before a point."""
    time, number = point
    found: list[Frame] = []
    before = number
    for _ in range(_MOST_PAGES):
        page = yield from _page(target, before, min(max(most * 2, 50), _PAGE), None)
        earlier = [each for each in page if number or _place(session, each)[0] < time]
        found = [*_shown(session, earlier), *found]
        if len(found) >= most or not page:
            break
        before = _number(page[0][0])
        if before <= 1:
            break
    return found[-most:] if most else []


def _pages(
    session: IrcSession,
    target: bytes,
    before: int,
    *,
    after: tuple[bytes, int] | None,
    most: int | None,
    including: bool = False,
) -> Generator[bytes, IrcAnswer, list[Frame]]:
    """Return the messages after a point, before a number; only the last ones, if `most` says how many."""
    found: list[Frame] = []
    since = None if after is None else after[0] or None
    for _ in range(_MOST_PAGES):
        size = _PAGE if most is None else min(max(most * 2, 50), _PAGE)
        page = yield from _page(target, before, size, since)
        later = [each for each in page if after is None or _is_after(session, each, after, including=including)]
        found = [*_shown(session, later), *found]
        if len(page) < size or (most is not None and len(found) >= most):
            break
        before = _number(page[0][0])
    return found


def _is_after(session: IrcSession, each: Frame, point: tuple[bytes, int], *, including: bool) -> bool:
    time, number = _place(session, each)
    if point[1]:
        return number > point[1] or (including and number == point[1])
    return time > point[0] or (including and time == point[0])


def _shown(session: IrcSession, page: list[Frame]) -> list[Frame]:
    """Return the messages that the client is shown: no deleted ones, of which it is not known when they were said."""
    hidden = {b"deleted"} if session.caps & Cap.EVENT_PLAYBACK else {b"deleted", b"event", *_CHANGES}
    return [each for each in page if hidden.isdisjoint(each[0].headers)]


def _page(target: bytes, before: int, size: int, since: bytes | None) -> Generator[bytes, IrcAnswer, list[Frame]]:
    answer = yield frame(Verb.HISTORY, target, id=QUESTION, before=before or None, limit=size, since=since)
    if answer.reason is not None:
        raise _Invalid(b"INVALID_TARGET", b"Messages could not be retrieved")
    return answer.items


# Which conversations there are


def _targets(session: IrcSession, first: bytes, second: bytes, most: int) -> Steps:
    try:
        one, _ = yield from _point(session, b"", first)
        other, _ = yield from _point(session, b"", second)
    except _Invalid as error:
        code, text = error.args
        session.fail(b"CHATHISTORY", code, b"TARGETS", first, second, text)
        return
    early, late = sorted((one, other))
    answer = yield frame(Verb.CONVERSATIONS, id=QUESTION)
    found: list[tuple[bytes, bytes]] = []
    for conversation in answer.objects()[:_MOST]:
        name = conversation["name"].encode()
        page = yield frame(Verb.HISTORY, name, id=QUESTION, limit=10)
        times = [tag_time(session, head.headers) for head, _ in _shown(session, page.items)]
        if times and early < times[-1] < late:
            found.append((times[-1], name))
    found.sort()
    name = session.new_id()
    session.reply(write_line(session.place.server, b"BATCH", b"+" + name, b"draft/chathistory-targets"))
    for time, target in found[:most]:
        line = write_line(session.place.server, b"CHATHISTORY", b"TARGETS", target, time, tags=b"batch=" + name)
        session.reply(line)
    session.reply(write_line(session.place.server, b"BATCH", b"-" + name))


# How far the member has read


def markread(session: IrcSession, message: IrcMessage) -> Steps | None:
    """MARKREAD: say up to when the member has read a conversation, or ask."""
    target, word = message.param(0), message.param(1)
    if not target:
        session.fail(b"MARKREAD", b"NEED_MORE_PARAMS", b"Missing parameters")
    elif not (is_name(target) or is_room(target)):
        session.fail(b"MARKREAD", b"INVALID_PARAMS", target, b"No such nick or channel")
    elif not word:
        session.reply(marker_line(session, target))
    elif not word.startswith(b"timestamp="):
        session.fail(b"MARKREAD", b"INVALID_PARAMS", target, b"Give a timestamp")
    else:
        return _markread(session, target, word)
    return None


def _markread(session: IrcSession, target: bytes, word: bytes) -> Steps:
    try:
        time, _ = yield from _point(session, target, word)
    except _Invalid as error:
        session.fail(b"MARKREAD", b"INVALID_PARAMS", target, error.args[1])
        return
    place = session.place
    is_new = place.mark(session.name, target) < time
    place.mark(session.name, target, time)
    session.reply(marker_line(session, target))
    if not is_new:
        return
    for other in place.sessions.get(session.name.lower(), ()):
        if other is not session and other.caps & Cap.READ_MARKER:
            other.out.append(marker_line(other, target))
            place.changed(other)
    key = target.lower()
    known = [seq for when, conversation, seq in session.recent or () if conversation == key and when <= time]
    seq = known[-1] if known else 0
    if not seq and is_name(target):
        answer = yield frame(Verb.HISTORY, target, id=QUESTION, limit=_PAGE)
        seqs = [int(head.seq) for head, _ in answer.items if head.seq and tag_time(session, head.headers) <= time]
        seq = max(seqs, default=0)
    if seq:
        quiet = None if session.caps & Cap.READ_RECEIPTS else b"yes"
        session.submit(frame(Verb.READ, target, seq=seq, quiet=quiet))
