"""Messages, both ways: PRIVMSG, NOTICE, TAGMSG and REDACT to SENDs, and what becomes of them; FORWARDs to lines."""

from typing import Final

from twotick.irc.answers import SentMessage
from twotick.irc.capabilities import Cap
from twotick.irc.lines import (
    ACTION,
    CLIENT_TAG,
    MOST_CLIENT_TAGS,
    lines_of,
    message_lines,
    reaction_lines,
    room_of,
    stays_whole,
    tag_time,
    tags_of,
    time_tag,
)
from twotick.irc.session import IrcSession
from twotick.irc.wire import IrcMessage, escape_tag, write_line
from twotick.wire import GivenHead, Head, Verb, frame, is_identifier, is_name, is_room, read_number

_MOST_TARGETS: Final = 4
_OWN_TAGS: Final = frozenset([b"+typing", b"+draft/typing"])
_REPLY_TAGS: Final = (b"+reply", b"+draft/reply")


# From the client


def privmsg(session: IrcSession, message: IrcMessage) -> None:
    """PRIVMSG: send a message."""
    params = message.params
    if (
        len(params) == 2
        and not message.tags
        and params[1]
        and not params[1].startswith(b"\x01")
        and is_name(params[0])
        and len(params[1]) <= room_of(session.source, b"PRIVMSG", params[0])
    ):
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
    room = min([room_of(session.source, message.command, target) for target in message.params[0].split(b",")])
    if not stays_whole(text, room, session.source):
        session.numeric(b"417", b"Input line was too long: of a text, %d letters go along here in one line" % room)
        return
    headers: dict[bytes, bytes] = {}
    if text.startswith(b"\x01"):
        if not text.startswith(ACTION):
            if not _is_told(session, message.command):
                return
            session.fail(message.command, b"CTCP_NOT_PASSED_ON", message.params[0], b"CTCP is not passed on here")
            return
        text = text.removeprefix(ACTION).removesuffix(b"\x01")
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
    if len(tags) > MOST_CLIENT_TAGS:
        if _is_told(session, message.command):
            session.numeric(b"417", b"Input line was too long: at most %d bytes of tags go along" % MOST_CLIENT_TAGS)
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
    return b";".join(tag for tag in tags if CLIENT_TAG.fullmatch(tag))


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
        tags = time_tag(session, sent.time)
        lines = [write_line(session.source, b"REDACT", sent.target, sent.tags, *reason, tags=tags)]
    elif session.caps & Cap.ECHO and sent.command == b"TAGMSG":
        lines = reaction_lines(
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


def take_typing(session: IrcSession, head: Head, _body: bytes) -> None:
    """Take TYPING: show it to clients that can."""
    if session.live and session.caps & Cap.MESSAGE_TAGS:
        target = head.headers.get(b"to", session.name)
        session.out.append(write_line(session.source_of(head.name), b"TAGMSG", target, tags=b"+typing=active"))
