"""Messages, both ways: PRIVMSG, NOTICE, TAGMSG and REDACT to SENDs, and FORWARDs to lines."""

import re
from datetime import UTC, datetime
from typing import Final

from twotick.irc import capabilities
from twotick.irc.answers import SentMessage
from twotick.irc.capabilities import Cap
from twotick.irc.session import IrcSession
from twotick.irc.wire import MOST_LINE, IrcMessage, escape_tag, split_text, write_line
from twotick.wire import GivenHead, Head, Verb, frame, is_identifier, is_name, is_room, read_number

_MOST_TARGETS: Final = 4
_MOST_LINES: Final = 10
"""Lines of a message that are shown to a client that cannot take several as one."""
_MOST_CLIENT_TAGS: Final = 1024
_MOST_CUTS: Final = 100
_TAGGED: Final = Cap.SERVER_TIME | Cap.MESSAGE_TAGS | Cap.ACCOUNT_TAG
"""The capabilities for which a message has tags."""

_SPECIAL: Final = re.compile(rb"[\x00\x01\r\n\x80-\xff]")
"""What a text cannot have to be a line as it is."""

_NEWLINES: Final = re.compile(rb"\r\n|\r|\n")
_ACTION: Final = b"\x01ACTION "
_CLIENT_TAG: Final = re.compile(rb"\+[A-Za-z0-9./-]{1,64}(=[^\x00\r\n; ]*)?")
_OWN_TAGS: Final = frozenset([b"+typing", b"+draft/typing"])
_REPLY_TAGS: Final = (b"+reply", b"+draft/reply")


# From the client


def privmsg(session: IrcSession, message: IrcMessage) -> None:
    """PRIVMSG: send a message."""
    params = message.params
    if len(params) == 2 and not message.tags and params[1] and not params[1].startswith(b"\x01") and is_name(params[0]):
        _send(session, message.command, params[0], params[1], {})  # nearly every message
    else:
        _send_text(session, message)


def notice(session: IrcSession, message: IrcMessage) -> None:
    """NOTICE: the same, marked as one that programs do not answer."""
    _send_text(session, message)


def _send_text(session: IrcSession, message: IrcMessage) -> None:
    if not message.param(0):
        if _is_told(session, message.command):
            session.numeric(b"411", b"No recipient given (%b)" % message.command)
        return
    if b"batch" in message.tags and session.multiline is not None:
        session.multiline.add(session, message)
        return
    text = message.param(1)
    if not text:
        if _is_told(session, message.command):
            session.numeric(b"412", b"No text to send")
        return
    headers: dict[bytes, bytes] = {}
    if text.startswith(b"\x01"):
        if not text.startswith(_ACTION):
            if not _is_told(session, message.command):
                return
            session.fail(message.command, b"CTCP_NOT_PASSED_ON", message.params[0], b"CTCP is not passed on here")
            return
        text = text.removeprefix(_ACTION).removesuffix(b"\x01")
        headers[b"x-irc"] = b"action"
    send_body(session, message, message.params[0], text, headers)


def send_body(
    session: IrcSession, message: IrcMessage, targets: bytes, body: bytes, headers: dict[bytes, bytes]
) -> None:
    """Send a body to one or several targets.

    Args:
        session: the session.
        message: the line that asks for it.
        targets: users and rooms, separated by commas.
        body: the body.
        headers: headers that travel, in lower case.
    """
    names = list(dict.fromkeys(targets.split(b",")))
    if len(names) > _MOST_TARGETS:
        if _is_told(session, message.command):
            session.numeric(b"407", targets, b"Too many recipients")
        return
    if message.command == b"NOTICE" or targets.upper() == b"ALL":
        headers.setdefault(b"x-irc", b"notice")
    if reply := reference(next((message.tags[tag] for tag in _REPLY_TAGS if tag in message.tags), b"")):
        headers[b"reply-to"] = reply
    tags = _client_tags(session, message)
    if len(tags) > _MOST_CLIENT_TAGS:
        if _is_told(session, message.command):
            session.numeric(b"417", b"Input line was too long: at most %d bytes of tags go along" % _MOST_CLIENT_TAGS)
        return
    if tags:
        headers[b"x-irc-tags"] = tags
    for name in names:
        if _is_target(session, message.command, name):
            _send(session, message.command, name, body, headers, tags)


def _is_told(session: IrcSession, command: bytes) -> bool:
    """Return whether the client is told that a message fails: nothing answers a plain NOTICE (RFC 2812, 3.3.2)."""
    return command != b"NOTICE" or session.current is not None or session.caps & Cap.STANDARD_REPLIES != 0


def _is_target(session: IrcSession, command: bytes, name: bytes) -> bool:
    """Return whether a name can be a recipient; say so if not."""
    if is_name(name) or is_room(name) or name.upper() == b"ALL":
        return True
    if not _is_told(session, command):
        return False
    if name.startswith((b"#", b"&")):
        session.numeric(b"403", name, b"No such channel")
    else:
        session.numeric(b"401", name or b"*", b"No such nick/channel")
    return False


def _client_tags(session: IrcSession, message: IrcMessage) -> bytes:
    """Return the client's own tags that go along, as they are written."""
    if not session.caps & Cap.MESSAGE_TAGS:
        return b""
    tags = [
        name + (b"=" + escape_tag(value) if value else b"")
        for name, value in message.tags.items()
        if name.startswith(b"+") and name not in _OWN_TAGS and not (name in _REPLY_TAGS and reference(value))
    ]
    return b";".join(tag for tag in tags if _CLIENT_TAG.fullmatch(tag))


def _clean_tags(text: bytes) -> bytes:
    """Return the tags in a header, which any client can have written, that may go into a line."""
    if len(text) > _MOST_CLIENT_TAGS:
        return b""
    kept = [tag for tag in text.split(b";") if _CLIENT_TAG.fullmatch(tag)]
    return b";".join(kept).decode("utf-8", "ignore").encode()


def _send(
    session: IrcSession, command: bytes, target: bytes, body: bytes, headers: dict[bytes, bytes], tags: bytes = b""
) -> None:
    """Send a SEND, and note it until it is answered."""
    if len(body) > session.place.max_body:
        session.fail(command, b"TOO_LONG", target, b"A message has at most %d bytes here" % session.place.max_body)
        return
    response = session.current
    if response is not None:
        response.waiting += 1
    travels = b""
    for name, value in headers.items():
        travels += b"%b: %b\n" % (name.capitalize(), value)
    identifier, start = session.new_id(), session.place.heads.start_line(b"SEND " + target)
    head = GivenHead(start, headers, identifier, size=len(body), travels=travels)
    session.frames.append((head, body))
    if session.pending is None:
        session.pending = {}
    session.pending[identifier] = SentMessage(command, head, body, tags=tags, response=response, headers=headers)
    if not session.account and session.place.guest(target) is not None:
        if session.passed is None:
            session.passed = []
        session.passed.append(identifier)


def tagmsg(session: IrcSession, message: IrcMessage) -> None:
    """TAGMSG: typing, a reaction, or the end of one."""
    if not message.param(0):
        session.numeric(b"411", b"No recipient given (TAGMSG)")
        return
    tags = message.tags
    for target in message.params[0].split(b",")[:_MOST_TARGETS]:
        if not _is_target(session, b"TAGMSG", target):
            continue
        typing = tags.get(b"+typing", tags.get(b"+draft/typing"))
        if typing == b"active" and session.account:
            session.submit(frame(Verb.TYPING, target))
        about = reference(next((tags[tag] for tag in _REPLY_TAGS if tag in tags), b""))
        if not about:
            continue
        if b"+draft/react" in tags:
            _send(session, b"TAGMSG", target, tags[b"+draft/react"], {b"reacts-to": about})
        elif b"+draft/unreact" in tags:
            _send(session, b"TAGMSG", target, b"", {b"reacts-to": about})


def redact(session: IrcSession, message: IrcMessage) -> None:
    """REDACT: delete a message."""
    target, about = message.params[0], reference(message.params[1])
    if not session.caps & Cap.REDACTION:
        session.numeric(b"421", b"REDACT", b"Unknown command")
    elif not is_name(target) and target.lower() not in (session.channels or {}):
        session.fail(b"REDACT", b"INVALID_TARGET", target, b"You are not on that channel, or there is no such nick")
    elif not about:
        session.fail(b"REDACT", b"UNKNOWN_MSGID", target, message.params[1], b"There is no such message")
    else:
        sender, _, identifier = about.partition(b" ")
        deletes = identifier if session.is_own(sender) else about
        headers = {b"deletes": deletes} | ({b"x-irc-reason": message.params[2]} if message.param(2) else {})
        _send(session, b"REDACT", target, b"", headers, message.params[1])


def reference(msgid: bytes) -> bytes | None:
    """Return the sender and the Id of a message, as headers have them; None if that is no msgid of this server."""
    sender, _, identifier = msgid.partition(b".")
    return b"%b %b" % (sender, identifier) if is_name(sender) and is_identifier(identifier) else None


# Answers


def take_accepted(session: IrcSession, head: Head, _body: bytes) -> None:
    """Take ACCEPTED: the message is on the disk, so the client is told."""
    sent = session.pending.pop(head.id, None) if session.pending else None
    if sent is not None:
        _confirm(session, head.id, sent)


def take_sent(session: IrcSession, head: Head, _body: bytes) -> None:
    """Take SEND: the recipient has a message."""
    is_new = session.pending is not None and head.id in session.pending
    take_accepted(session, head, _body)  # a message of a guest to one who is not on IRC is not accepted before
    if (head.seq or not is_new) and not (is_room(head.name) and head.headers.get(b"of") == b"0"):
        _tell_state(session, head, b"delivered", b"has received")


def take_read(session: IrcSession, head: Head, _body: bytes) -> None:
    """Take READ: the recipient has read a message, or the member has read some elsewhere."""
    if b"up-to" in head.headers:
        _mark(session, head)
    elif head.id:
        _tell_state(session, head, b"read", b"has read")


def _mark(session: IrcSession, head: Head) -> None:
    """Tell a client how far the member has read on another device."""
    if not session.caps & Cap.READ_MARKER:
        return
    up_to = read_number(head.headers[b"up-to"]) or 0
    times = [time for time, key, seq in session.recent or () if key == head.key and seq <= up_to]
    if times and times[-1] > session.place.mark(session.name, head.name):
        session.place.mark(session.name, head.name, times[-1])
        session.out.append(write_line(session.place.server, b"MARKREAD", head.name, b"timestamp=" + times[-1]))


def _tell_state(session: IrcSession, head: Head, state: bytes, words: bytes) -> None:
    """Tell a client what has become of one of its messages."""
    msgid = b"%b.%b" % (session.name, head.id)
    if session.caps & Cap.MESSAGE_TAGS:
        tags = b"+twotick/state=%b;+reply=%b" % (state, msgid)
        source, target = session.source_of(head.name), session.name
        if is_room(head.name):
            source, target = session.place.server, head.name
        session.out.append(write_line(source, b"TAGMSG", target, tags=tags))
    if session.caps & Cap.TICK_NOTICES:
        who = b"everyone in " + head.name if is_room(head.name) else head.name
        session.notice(b"%b %b your message %b" % (who, words, msgid))


def take_error(session: IrcSession, head: Head, _body: bytes) -> None:
    """Take ERROR: a message is refused, or has failed later, or the connection ends."""
    reason = head.headers.get(b"reason", b"the server refuses it")
    sent = session.pending.pop(head.id, None) if session.pending else None
    if sent is not None:
        _refuse(session, sent, head, reason)
    elif head.id:
        session.notice(b"Your message %b.%b was not delivered: %b" % (session.name, head.id, reason))
        if session.caps & Cap.MESSAGE_TAGS:
            tags = b"+twotick/state=failed;+reply=%b.%b" % (session.name, head.id)
            session.out.append(write_line(session.place.server, b"TAGMSG", session.name, tags=tags))
    elif not head.seq:
        session.end(reason)


def _refuse(session: IrcSession, sent: SentMessage, head: Head, reason: bytes) -> None:
    """Tell a client that a message is refused."""
    session.current, response = sent.response, session.current
    target = sent.target
    if not _is_told(session, sent.command):
        pass
    elif head.code == _TOO_MANY:
        session.fail(sent.command, b"RATE_LIMITED", target, reason)
    elif sent.command == b"REDACT":
        is_own = session.is_own(sent.tags.partition(b".")[0])
        code = b"UNKNOWN_MSGID" if is_own else b"REDACT_FORBIDDEN"
        session.fail(b"REDACT", code, target, sent.tags, reason)
    elif sent.command == b"TAGMSG":
        session.fail(b"TAGMSG", b"CANNOT_SEND", target, reason)
    elif reason == b"there is no such room":
        session.numeric(b"403", target, b"No such channel")
    elif is_room(target):
        session.numeric(b"404", target, b"Cannot send to channel: " + reason)
    elif reason.endswith(b" is not connected"):
        session.numeric(b"401", target, b"No such nick: " + reason)
    elif session.caps & Cap.STANDARD_REPLIES:
        session.fail(sent.command, b"CANNOT_SEND", target, reason)
    else:
        session.numeric(b"404", target, b"Cannot send: " + reason)
    session.current = response
    _settle(session, sent)


_TOO_MANY: Final = 105


def _confirm(session: IrcSession, identifier: bytes, sent: SentMessage) -> None:
    """Tell a client that a message is accepted, if it wants to know."""
    lines: list[bytes] = []
    if sent.command == b"REDACT":
        reason = [sent.headers[b"x-irc-reason"]] if b"x-irc-reason" in sent.headers else []
        tags = _time_tag(session, sent.time)
        lines = [write_line(session.source, b"REDACT", sent.target, sent.tags, *reason, tags=tags)]
    elif session.caps & Cap.ECHO and sent.command == b"TAGMSG":
        lines = _reaction_lines(
            session, session.name, sent.target, identifier, sent.headers | {b"time": sent.time}, sent.body
        )
    elif session.caps & Cap.ECHO:
        tags = tags_of(session, session.name, identifier, sent.time, sent.headers, is_member=bool(session.account))
        lines = lines_of(session, session.name, sent.target, sent.body, sent.headers, tags)
    if sent.command == b"PRIVMSG" and (text := session.place.away_text(sent.target)):
        lines.append(write_line(session.place.server, b"301", session.name, sent.target, text))
    if sent.response is not None:
        sent.response.lines += lines
    else:
        session.out += lines
    _settle(session, sent)


def _settle(session: IrcSession, sent: SentMessage) -> None:
    response = sent.response
    if response is not None:
        response.waiting -= 1
        if not response.waiting and response is not session.current:
            session.flush(response)


# To the client


def take_forward(session: IrcSession, head: Head, body: bytes) -> None:
    """Take FORWARD: a message, or what has changed one."""
    headers = head.headers
    to = headers.get(b"to", b"")
    is_own = bool(session.account) and session.is_own(head.name)
    target = to or session.name
    if is_own and to and not is_room(to) and not session.caps & (Cap.ECHO | Cap.SELF_MESSAGE):
        return
    if is_own and session.is_own(to):
        return  # a message to oneself is in the log twice: as sent and as received
    session.out += message_lines(session, head, body, target)
    if head.seq and not is_own:
        remember(session, head, target)


def remember(session: IrcSession, head: Head, target: bytes) -> None:
    """Note the number of an entry, by which a client that knows only its time can say that it was read."""
    if not session.caps & Cap.READ_MARKER:
        return
    if session.recent is None:
        from collections import deque

        session.recent = deque(maxlen=64)
    key = target.lower() if is_room(target) else head.key
    session.recent.append((tag_time(session, head.headers), key, int(head.seq)))


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
        return _reaction_lines(session, head.name, target, head.id, headers, body)
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


def _reaction_lines(
    session: IrcSession, sender: bytes, target: bytes, identifier: bytes, headers: dict[bytes, bytes], body: bytes
) -> list[bytes]:
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


def _time_tag(session: IrcSession, time: bytes) -> bytes:
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
    room = MOST_LINE - len(source) - len(target) - len(command) - 5
    if not stamp and not kind and body and len(body) <= room and not _SPECIAL.search(body):
        line = b":%b PRIVMSG %b :%b\r\n" % (source, target, body)
        return [b"@%b %b" % (tags, line) if tags else line]
    texts = _texts(body, headers.get(b"x-irc-cuts", b""))
    if stamp:
        texts[0] = stamp + texts[0][0], False
    if kind == b"action" and len(texts) == 1 and len(texts[0][0]) < room - len(_ACTION):
        return [write_line(source, command, target, b"%b%b\x01" % (_ACTION, texts[0][0]), tags=tags)]
    pieces = [
        (piece, concat or number > 0) for text, concat in texts for number, piece in enumerate(split_text(text, room))
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
    places = [int(word) for word in cuts.split(b",")[:_MOST_CUTS] if word.isdigit() and len(word) < 9]
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


def take_typing(session: IrcSession, head: Head, _body: bytes) -> None:
    """Take TYPING: show it to clients that can."""
    if session.live and session.caps & Cap.MESSAGE_TAGS:
        target = head.headers.get(b"to", session.name)
        session.out.append(write_line(session.source_of(head.name), b"TAGMSG", target, tags=b"+typing=active"))


# Messages of several lines (draft/multiline)


class Multiline:
    """A batch that the client has opened.

    Attributes:
        reference: its name.
        target: the recipient.
        opening: the line that has opened it.
        size: the bytes so far.
    """

    __slots__ = ("_cuts", "_has_failed", "_lines", "_parts", "opening", "reference", "size", "target")

    def __init__(self, reference: bytes, target: bytes, opening: IrcMessage) -> None:
        self.reference = reference
        self.target = target
        self.opening = opening
        self.size = 0
        self._parts: list[bytes] = []
        self._cuts: list[int] = []
        self._lines = 0
        self._has_failed = False

    def add(self, session: IrcSession, message: IrcMessage) -> None:
        """Add a line."""
        if self._has_failed:
            return
        problem = self._problem(message)
        if problem:
            self._has_failed = True
            self._parts.clear()
            code, text = problem
            session.fail(b"BATCH", code, *text)
            return
        concat = b"draft/multiline-concat" in message.tags
        if self._lines > 1 and not concat:
            self._parts.append(b"\n")
        elif concat:
            self._cuts.append(sum(map(len, self._parts)))
        self._parts.append(message.params[1])
        self.opening.command = message.command

    def _problem(self, message: IrcMessage) -> tuple[bytes, tuple[bytes, ...]] | None:
        if message.tags[b"batch"] != self.reference:
            return b"MULTILINE_INVALID", (b"A line is of another batch",)
        if message.params[0].lower() != self.target.lower():
            return b"MULTILINE_INVALID_TARGET", (self.target, message.params[0], b"The lines have different targets")
        if len(message.params) < 2:
            return b"MULTILINE_INVALID", (b"A line has no text",)
        text = message.params[1]
        if not text and b"draft/multiline-concat" in message.tags:
            return b"MULTILINE_INVALID", (b"A line that is added to another has no text",)
        self.size += len(text) + 1
        self._lines += 1
        if self.size > capabilities.MULTILINE_BYTES:
            return b"MULTILINE_MAX_BYTES", (b"%d" % capabilities.MULTILINE_BYTES, b"The message is too long")
        if self._lines > capabilities.MULTILINE_LINES:
            return b"MULTILINE_MAX_LINES", (b"%d" % capabilities.MULTILINE_LINES, b"The message has too many lines")
        return None

    def close(self, session: IrcSession) -> None:
        """Send what has come."""
        if self._has_failed:
            return
        body = b"".join(self._parts)
        if not body.strip():
            session.fail(b"BATCH", b"MULTILINE_INVALID", b"The message is blank")
            return
        cuts = b",".join(b"%d" % cut for cut in self._cuts[:_MOST_CUTS])
        send_body(session, self.opening, self.target, body, {b"x-irc-cuts": cuts} if cuts else {})


def batch(session: IrcSession, message: IrcMessage) -> None:
    """BATCH: open or close a message of several lines."""
    word = message.params[0]
    opened: Multiline | None = session.multiline
    if word.startswith(b"-") and opened is not None and opened.reference == word[1:]:
        session.multiline = None
        session.current = session.response_to(opened.opening) or session.current
        opened.close(session)
    elif word.startswith(b"+") and len(word) > 1 and message.param(1) == b"draft/multiline" and opened is None:
        if not session.caps & Cap.MULTILINE or not message.param(2):
            session.fail(b"BATCH", b"MULTILINE_INVALID", b"Name the recipient, and ask for the capability first")
            return
        session.multiline = Multiline(word[1:], message.params[2], message)
        if session.current is not None:
            session.current.waiting += 1  # the end of the batch is what is answered
            session.current = None
    else:
        session.fail(b"BATCH", b"INVALID_REFTAG" if opened else b"UNKNOWN_TYPE", word, b"There is no such batch")
