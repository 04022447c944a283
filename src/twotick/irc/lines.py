"""What others have written, as the lines by which a client is told."""

import re
from datetime import UTC, datetime
from typing import Final

from twotick.irc.capabilities import Cap
from twotick.irc.session import IrcSession
from twotick.irc.wire import MOST_LINE, escape_tag, split_text, write_line
from twotick.wire import Head, is_identifier, is_room

ACTION: Final = b"\x01ACTION "
CLIENT_TAG: Final = re.compile(rb"\+[A-Za-z0-9./-]{1,64}(=[^\x00\r\n; ]*)?")
MOST_CLIENT_TAGS: Final = 1024
MOST_CUTS: Final = 100
_MOST_LINES: Final = 10
"""Lines of a message that are shown to a client that cannot take several as one."""
_TAGGED: Final = Cap.SERVER_TIME | Cap.MESSAGE_TAGS | Cap.ACCOUNT_TAG
"""The capabilities for which a message has tags."""

_SPECIAL: Final = re.compile(rb"[\x00\x01\r\n\x80-\xff]")
"""What a text cannot have to be a line as it is."""

_NEWLINES: Final = re.compile(rb"\r\n|\r|\n")


def message_lines(session: IrcSession, head: Head, body: bytes, target: bytes) -> list[bytes]:
    """Return the lines of a FORWARD that is no event."""
    headers = head.headers
    time = accepted_time(headers)
    is_member = session.caps & Cap.ACCOUNT_TAG != 0 and (is_room(target) or session.place.is_member(head.key))
    is_member = is_member and b"guest" not in headers
    tags = tags_of(session, head.name, head.id, time, headers, is_member=is_member)
    if len(headers) == 1 and time:  # nearly every message
        return lines_of(session, head.name, target, body, headers, tags)
    source = session.source_of(head.name)
    if b"deletes" in headers:
        return _deletion_lines(session, source, target, head, tags)
    if b"reacts-to" in headers:
        return reaction_lines(session, head.name, target, head.id, headers, body)
    if b"pins" in headers or b"unpins" in headers:
        words = b"pinned" if b"pins" in headers else b"unpinned"
        return lines_of(session, head.name, target, b"* %b a message" % words, {b"x-irc": b"notice"}, tags)
    if b"deleted" in headers:
        return lines_of(session, head.name, target, b"* deleted a message", {b"x-irc": b"notice"}, tags)
    if b"edits" in headers:
        body = b"* edited: " + body
    return lines_of(session, head.name, target, _with_file(headers, body), headers, tags)


def _with_file(headers: dict[bytes, bytes], body: bytes) -> bytes:
    """Return a body, and what it says of its file."""
    if b"file-name" in headers:
        described = b"[file: %b, %b bytes]" % (headers[b"file-name"], headers.get(b"file-size", b"?"))
        return b"%b\n%b" % (described, body) if body else described
    kind = headers.get(b"content-type", b"")
    if kind and not kind.lower().startswith(b"text/"):
        return b"[%b, %d bytes]" % (kind, len(body))
    return body


def _about(sender: bytes, reference: bytes) -> bytes:
    """Return the msgid of the message that another one of this sender changes."""
    name, _, identifier = reference.rpartition(b" ")
    return escape_tag(b"%b.%b" % (name.strip() or sender, identifier))


def _deletion_lines(session: IrcSession, source: bytes, target: bytes, head: Head, tags: bytes) -> list[bytes]:
    if session.caps & Cap.REDACTION:
        reason = (
            [head.headers[b"x-irc-reason"].decode("utf-8", "ignore").encode()]
            if b"x-irc-reason" in head.headers
            else []
        )
        return [write_line(source, b"REDACT", target, _about(head.name, head.headers[b"deletes"]), *reason, tags=tags)]
    return lines_of(session, head.name, target, b"* deleted a message", {b"x-irc": b"notice"}, tags)


def reaction_lines(
    session: IrcSession, sender: bytes, target: bytes, identifier: bytes, headers: dict[bytes, bytes], body: bytes
) -> list[bytes]:
    """Return the line of a reaction, or of its end; none for a client that knows no tags."""
    if not session.caps & Cap.MESSAGE_TAGS:
        return []
    about = _about(sender, headers[b"reacts-to"])
    tag = b"+draft/react=" + escape_tag(body.decode("utf-8", "replace").encode()) if body else b"+draft/unreact"
    own = b"%b;+draft/reply=%b;+reply=%b" % (tag, about, about)
    time = accepted_time(headers)
    base = tags_of(session, sender, identifier, time, {}, is_member=is_room(target))
    return [write_line(session.source_of(sender), b"TAGMSG", target, tags=b";".join(filter(None, [base, own])))]


def accepted_time(headers: dict[bytes, bytes]) -> bytes:
    """Return when the server has taken a message, as frames have it (rule 9.7); of one that is deleted, when it was."""
    return headers.get(b"accepted") or headers.get(b"time") or headers.get(b"deleted", b"")


def tag_time(session: IrcSession, headers: dict[bytes, bytes]) -> bytes:
    """Return the time of a message as tags have it."""
    return _valid_time(session, accepted_time(headers))


_TIME: Final = re.compile(rb"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")


def _valid_time(session: IrcSession, time: bytes) -> bytes:
    """Return a time; now, if it is none, or is to come: servers once told only what any client had written."""
    if _TIME.fullmatch(time):
        now = session.place.time()
        return min(time, now)
    try:
        parsed = datetime.fromisoformat(time.decode("ascii")).astimezone(UTC)
    except (ValueError, OverflowError):
        return session.place.time()
    text = parsed.isoformat(timespec="milliseconds").replace("+00:00", "Z").encode()
    return min(text, session.place.time())


def time_tag(session: IrcSession, time: bytes) -> bytes:
    """Return the tag that says when something was; empty if the client has not asked for that."""
    return b"time=" + _valid_time(session, time) if session.caps & Cap.SERVER_TIME else b""


def tags_of(
    session: IrcSession, sender: bytes, identifier: bytes, time: bytes, headers: dict[bytes, bytes], *, is_member: bool
) -> bytes:
    """Return the tags of a message, as they are written."""
    caps = session.caps
    if not caps & _TAGGED:
        return b""
    tags: list[bytes] = []
    if caps & Cap.SERVER_TIME:
        tags.append(b"time=" + _valid_time(session, time))
    if caps & Cap.MESSAGE_TAGS:
        if identifier:
            tags.append(b"msgid=%b.%b" % (sender, identifier))
        if b"reply-to" in headers:
            name, _, about = headers[b"reply-to"].rpartition(b" ")
            if is_identifier(about):
                answered = b"%b.%b" % (name.strip() or sender, about)
                tags.append(b"+draft/reply=%b;+reply=%b" % (escape_tag(answered), escape_tag(answered)))
        if b"x-irc-tags" in headers and (own := _clean_tags(headers[b"x-irc-tags"])):
            tags.append(own)
    if caps & Cap.ACCOUNT_TAG and is_member:
        tags.append(b"account=" + sender)
    return b";".join(tags)


def room_of(source: bytes, command: bytes, target: bytes) -> int:
    """Return how many bytes of a text are in one line to its recipient."""
    return MOST_LINE - len(source) - len(target) - len(command) - 5


def stays_whole(text: bytes, room: int, source: bytes) -> bool:
    """Return whether a text is one line for its recipient.

    Letters beyond ASCII count as one. So a line has at most as many bytes more than 512 as it begins with, and clients
    take that; two lines, or none, would be worse for what a person has written as one.
    """
    if len(text) <= room:
        return True
    return len(text) <= room + len(source) + 2 and len(text.decode("utf-8", "ignore")) <= room


def lines_of(
    session: IrcSession, sender: bytes, target: bytes, body: bytes, headers: dict[bytes, bytes], tags: bytes
) -> list[bytes]:
    """Return the lines of a text: as many as it takes, none of which anything in the text can end.

    Args:
        session: the session.
        sender: who has written it.
        target: where it was sent.
        body: the text.
        headers: its headers.
        tags: the tags of the message, as they are written.
    """
    kind = headers.get(b"x-irc", b"")
    command = b"NOTICE" if kind == b"notice" else b"PRIVMSG"
    source = session.source_of(sender)
    stamp = _stamp(session, headers)
    room = room_of(source, command, target)
    if not stamp and not kind and body and len(body) <= room and not _SPECIAL.search(body):
        line = b":%b PRIVMSG %b :%b\r\n" % (source, target, body)
        return [b"@%b %b" % (tags, line) if tags else line]
    texts = _texts(body, headers.get(b"x-irc-cuts", b""))
    if stamp:
        texts[0] = stamp + texts[0][0], False
    if kind == b"action" and len(texts) == 1 and len(texts[0][0]) < room - len(ACTION):
        return [write_line(source, command, target, b"%b%b\x01" % (ACTION, texts[0][0]), tags=tags)]
    pieces = [
        (piece, concat or number > 0)
        for text, concat in texts
        for number, piece in enumerate([text] if stays_whole(text, room, source) else split_text(text, room))
    ]
    if len(pieces) > 1 and session.caps & Cap.MULTILINE and session.caps & Cap.BATCH:
        return _batch_lines(session, source, command, target, pieces, tags)
    pieces = [each for each in pieces if each[0]] or pieces[:1]
    if len(pieces) > _MOST_LINES:
        left = len(pieces) - _MOST_LINES
        pieces = [*pieces[:_MOST_LINES], (b"... (%d more lines)" % left, False)]
    later = b";".join(tag for tag in tags.split(b";") if not tag.startswith(b"msgid="))
    return [
        write_line(source, command, target, piece or b" ", tags=tags if not number else later)
        for number, (piece, _) in enumerate(pieces)
    ]


def _batch_lines(
    session: IrcSession, source: bytes, command: bytes, target: bytes, pieces: list[tuple[bytes, bool]], tags: bytes
) -> list[bytes]:
    """Return a message of several lines as a batch (draft/multiline)."""
    reference_ = session.new_id()
    inside = b"batch=" + reference_
    lines = [write_line(source, b"BATCH", b"+" + reference_, b"draft/multiline", target, tags=tags)]
    for piece, concat in pieces:
        tag = inside + b";draft/multiline-concat" if concat else inside
        lines.append(write_line(source, command, target, piece, tags=tag))
    lines.append(write_line(session.place.server, b"BATCH", b"-" + reference_))
    return lines


def _texts(body: bytes, cuts: bytes) -> list[tuple[bytes, bool]]:
    """Return the lines of a body: UTF-8, without what would control a client.

    Args:
        body: the body.
        cuts: where its sender has cut lines, as the header has it, which any client can have written.

    Returns:
        The lines, each with whether it goes on with the one before it.
    """
    places = [int(word) for word in cuts.split(b",")[:MOST_CUTS] if word.isdigit() and len(word) < 9]
    texts: list[tuple[bytes, bool]] = []
    start = 0
    for end in [*sorted(place for place in places if 0 < place < len(body)), len(body)]:
        if end > start or not texts:
            lines = _NEWLINES.split(_clean(body[start:end]))
            texts += [(line, bool(texts) and not number) for number, line in enumerate(lines)]
            start = end
    while len(texts) > 1 and not texts[-1][0]:
        texts.pop()
    return texts


def _clean(body: bytes) -> bytes:
    if not body.isascii():
        body = body.decode("utf-8", "replace").encode()
    return body.translate(None, b"\x00\x01")


def _stamp(session: IrcSession, headers: dict[bytes, bytes]) -> bytes:
    """Return when a message was sent that was missed, for a client that is not told times."""
    if session.caps & Cap.SERVER_TIME:
        return b""
    time = accepted_time(headers)
    if time >= session.place.recently or not _TIME.fullmatch(time):
        return b""
    sent = datetime.fromisoformat(time.decode("ascii"))
    return sent.strftime("[%m-%d %H:%M UTC] ").encode()


def _clean_tags(text: bytes) -> bytes:
    """Return the tags in a header, which any client can have written, that may go into a line."""
    if len(text) > MOST_CLIENT_TAGS:
        return b""
    kept = [tag for tag in text.split(b";") if CLIENT_TAG.fullmatch(tag)]
    return b";".join(kept).decode("utf-8", "ignore").encode()
