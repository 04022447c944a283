"""Rooms as channels: commands, and the events of rooms."""

from collections.abc import Iterator
from typing import Final

from twotick.irc.answers import QUESTION, Steps
from twotick.irc.capabilities import Cap
from twotick.irc.lines import tags_of
from twotick.irc.messages import remember, take_forward
from twotick.irc.session import IrcSession
from twotick.irc.wire import MOST_LINE, IrcMessage, matches, write_line
from twotick.wire import Head, Verb, frame, is_name, is_room

_MOST_TARGETS: Final = 10
_MOST_KICKED: Final = 4
_NO_ROOM: Final = b"there is no such room"
_OPERATORS: Final = ("owner", "moderator")
_WITHOUT: Final = {
    b"b": b"Rooms have no bans: KICK removes members, and puts guests out for an hour",
    b"k": b"Rooms have no keys: +i makes a room private",
}
"""The modes that rooms do not have, although clients offer them, and what there is instead."""


def _rooms(session: IrcSession, text: bytes) -> Iterator[bytes]:
    """Yield the names of rooms in a list; say which are none."""
    for name in list(dict.fromkeys(text.split(b",")))[:_MOST_TARGETS]:
        if is_room(name):
            yield name
        elif name:
            session.numeric(b"403", name, b"No such channel")


def _expect(session: IrcSession, line: bytes, *event: bytes) -> None:
    """Show an event that a command has caused: by this line, with the tags of the event if it comes at once."""
    if session.expected is None:
        session.expected = []
    session.expected.append((event, line))


def _is_known(session: IrcSession, tags: bytes, *event: bytes) -> bool:
    """Return whether the client has caused an event; it is shown then, unless it was before."""
    for number, (expected, line) in enumerate(session.expected or ()):
        if expected == event and session.expected is not None:
            del session.expected[number]
            session.reply(b"@%b %b" % (tags, line) if tags else line)
            return True
    if session.known and event in session.known:
        session.known.remove(event)
        return True
    return False


def _refuse(session: IrcSession, room: bytes, reason: bytes, *context: bytes) -> None:
    """Answer with the numeric for a refusal."""
    if reason == _NO_ROOM and not session.account:
        session.numeric(b"477", room, b"No such channel, or it is for members only: log in with SASL or PASS")
    elif reason == _NO_ROOM:
        session.numeric(b"403", room, b"No such channel")
    elif reason.startswith(b"a guest from your address was put out"):
        session.numeric(b"474", room, b"Cannot join channel: " + reason)
    elif reason.startswith(b"a guest can"):
        session.numeric(b"482", room, b"You're not channel operator: " + reason)
    elif reason.startswith(b"you are not in "):
        session.numeric(b"442", room, b"You're not on that channel")
    elif b"room is full" in reason:
        session.numeric(b"471", room, b"Cannot join channel: " + reason)
    elif b"too many rooms" in reason:
        session.numeric(b"405", room, reason)
    elif b"only the owner" in reason or b"only moderators" in reason or b"higher role" in reason:
        session.numeric(b"482", room, b"You're not channel operator: " + reason)
    elif reason.endswith(b" already"):
        session.numeric(b"443", *context, room, b"is already on channel")
    elif b" is not in #" in reason:
        session.numeric(b"441", *context, room, b"They aren't on that channel")
    elif reason == b"there is no such member":
        session.numeric(b"401", *(context or (b"*",)), b"No such nick")
    else:
        session.numeric(b"400", room, reason)


# In and out


def join(session: IrcSession, message: IrcMessage) -> Steps | None:
    """JOIN: join rooms, or make them."""
    if message.params[0] == b"0":
        session.fail(b"JOIN", b"INVALID_PARAMS", b"JOIN 0 would leave all rooms for good: use PART")
        return None
    return _join(session, message.params[0])


def _join(session: IrcSession, names: bytes) -> Steps:
    for name in _rooms(session, names):
        if session.channels and name.lower() in session.channels:
            continue
        answer = yield session.ask_room(name, b"join")
        if answer.reason == _NO_ROOM and session.place.create_rooms and session.account:
            answer = yield session.ask_room(name, b"create", access=b"public")
        if answer.reason is not None:
            _refuse(session, name, answer.reason)
        else:
            yield from _enter(session, name, answer.head.headers.get(b"topic", b""))


def enter_rooms(session: IrcSession) -> Steps:
    """Enter the rooms of a member who has just come."""
    answer = yield frame(Verb.ROOMS, id=QUESTION, guests=b"yes")
    for room in answer.objects():
        if room["role"] != "none":
            yield from _enter(session, room["name"].encode(), room["topic"].encode())


def _enter(session: IrcSession, name: bytes, topic: bytes) -> Steps:
    """Show a room that the member is in now."""
    if session.channels is None:
        session.channels = {}
    session.channels[name.lower()] = name
    session.reply(_join_line(session, session.name, name, is_guest=not session.account))
    if topic:
        session.numeric(b"332", name, topic)
    if session.caps & Cap.READ_MARKER and session.account:
        session.reply(marker_line(session, name))
    if not session.caps & Cap.NO_IMPLICIT_NAMES:
        yield from _list_names(session, name)


def marker_line(session: IrcSession, target: bytes) -> bytes:
    """Return the line that says up to when the member has read a conversation."""
    time = session.place.mark(session.name, target)
    return write_line(session.place.server, b"MARKREAD", target, b"timestamp=" + time if time else b"*")


def _join_line(session: IrcSession, who: bytes, room: bytes, tags: bytes = b"", *, is_guest: bool = False) -> bytes:
    if session.caps & Cap.EXTENDED_JOIN:
        account = b"*" if is_guest else who
        return write_line(session.source_of(who), b"JOIN", room, account, session_realname(session, who), tags=tags)
    return write_line(session.source_of(who), b"JOIN", room, tags=tags)


def session_realname(session: IrcSession, name: bytes) -> bytes:
    """Return what a user who is on IRC has said as the real name; else the name."""
    sessions = session.place.sessions.get(name.lower())
    return (sessions[0].realname if sessions else b"") or name


def part(session: IrcSession, message: IrcMessage) -> Steps | None:
    """PART: leave rooms for good."""
    return _part(session, message.params[0], message.param(1))


def _part(session: IrcSession, names: bytes, reason: bytes) -> Steps:
    for name in _rooms(session, names):
        session.place.reasons.note(session.place.now, name, session.name, reason)
        answer = yield session.ask_room(name, b"leave")
        if answer.reason is not None:
            _refuse(session, name, answer.reason)
            continue
        shown = (session.channels or {}).pop(name.lower(), name)
        line = write_line(session.source, b"PART", shown, *((reason,) if reason else ()))
        if not session.account:
            session.reply(line)
            continue
        _expect(session, line, b"left", name.lower(), session.name.lower())


# Lists


def names(session: IrcSession, message: IrcMessage) -> Steps | None:
    """NAMES: who is in rooms."""
    if not message.param(0):
        session.numeric(b"366", b"*", b"End of /NAMES list")
        return None
    return _names(session, message.params[0])


def _names(session: IrcSession, text: bytes) -> Steps:
    for name in text.split(b",")[:4]:
        if is_room(name) and (session.account or name.lower() in (session.channels or {})):
            yield from _list_names(session, name)
        else:
            session.numeric(b"366", name, b"End of /NAMES list")


def _list_names(session: IrcSession, room: bytes) -> Steps:
    answer = yield session.ask_room(room, b"members")
    start = b":%b 353 %b = %b :" % (session.place.server, session.shown, room)
    words: list[bytes] = []
    size = 0
    for each in answer.objects():
        name = each["name"].encode()
        word = session.source_of(name) if session.caps & Cap.USERHOST_IN_NAMES else name
        word = b"@" + word if each["role"] in _OPERATORS else word
        if size + len(word) + len(start) > MOST_LINE:
            session.reply(start + b" ".join(words) + b"\r\n")
            words, size = [], 0
        words.append(word)
        size += len(word) + 1
    if words:
        session.reply(start + b" ".join(words) + b"\r\n")
    session.numeric(b"366", room, b"End of /NAMES list")


def list_rooms(session: IrcSession, message: IrcMessage) -> Steps | None:
    """LIST: the rooms that the member may see."""
    return _list_rooms(session, message.param(0))


def _list_rooms(session: IrcSession, text: bytes) -> Steps:
    answer = yield frame(Verb.ROOMS, id=QUESTION)
    masks = text.split(b",")[:_MOST_TARGETS] if text else []
    session.numeric(b"321", b"Channel", b"Users  Name")
    for room in answer.objects():
        name = room["name"].encode()
        if not masks or any(_is_listed(mask, name, room["members"]) for mask in masks):
            session.numeric(b"322", name, b"%d" % room["members"], room["topic"].encode())
    session.numeric(b"323", b"End of /LIST")


def _is_listed(mask: bytes, name: bytes, members: int) -> bool:
    """Return whether a room is as a mask asks for: `#c*`, or `!#c*` for others, or `>5` members, or `<5`."""
    kind, rest = mask[:1], mask[1:]
    if kind in (b"<", b">") and rest.isdigit() and len(rest) < 10:
        return members < int(rest) if kind == b"<" else members > int(rest)
    return not matches(rest, name) if kind == b"!" else matches(mask, name)


# Changes


def topic(session: IrcSession, message: IrcMessage) -> Steps | None:
    """TOPIC: show or change the topic."""
    if not is_room(message.params[0]):
        session.numeric(b"403", message.params[0], b"No such channel")
        return None
    return _topic(session, message.params[0], message.params[1] if len(message.params) > 1 else None)


def _topic(session: IrcSession, room: bytes, text: bytes | None) -> Steps:
    if text is None:
        answer = yield session.ask_room(room)
        found = answer.head.headers.get(b"topic", b"")
        if answer.reason is not None:
            _refuse(session, room, answer.reason)
        elif found:
            session.numeric(b"332", room, found)
        else:
            session.numeric(b"331", room, b"No topic is set")
        return
    answer = yield session.ask_room(room, b"change", topic=text)
    if answer.reason is not None:
        _refuse(session, room, answer.reason)
        return
    _expect(session, write_line(session.source, b"TOPIC", room, text), b"topic", room.lower())


def invite(session: IrcSession, message: IrcMessage) -> Steps | None:
    """INVITE: invite a member to a room."""
    who, room = message.params[:2]
    if not is_room(room):
        session.numeric(b"403", room, b"No such channel")
    elif not is_name(who):
        session.numeric(b"401", who, b"No such nick")
    else:
        return _invite(session, who, room)
    return None


def _invite(session: IrcSession, who: bytes, room: bytes) -> Steps:
    answer = yield session.ask_room(room, b"invite", member=who)
    if answer.reason is not None:
        _refuse(session, room, answer.reason, who)
        return
    session.numeric(b"341", who, room)
    answer = yield session.ask_room(room, b"members")
    for each in answer.objects():
        for other in session.place.sessions.get(each["name"].lower().encode(), ()):
            if other is not session and other.caps & Cap.INVITE_NOTIFY and room.lower() in (other.channels or {}):
                tags = tags_of(other, session.name, b"", b"", {}, is_member=True)
                other.out.append(write_line(session.source, b"INVITE", who, room, tags=tags))
                session.place.changed(other)


def kick(session: IrcSession, message: IrcMessage) -> Steps | None:
    """KICK: remove members from a room."""
    rooms, users = message.params[0].split(b","), message.params[1].split(b",")[:_MOST_KICKED]
    if len(rooms) > 1 and len(rooms) != len(message.params[1].split(b",")):
        session.numeric(b"461", b"KICK", b"Not enough parameters: give one channel, or one for each user")
        return None
    return _kick_each(session, rooms, users, message.param(2))


def _kick_each(session: IrcSession, rooms: list[bytes], users: list[bytes], reason: bytes) -> Steps:
    for number, room in enumerate(rooms[: len(users)]):
        if is_room(room):
            yield from _kick(session, room, users if len(rooms) == 1 else [users[number]], reason)
        else:
            session.numeric(b"403", room, b"No such channel")


def _kick(session: IrcSession, room: bytes, users: list[bytes], reason: bytes) -> Steps:
    answer = yield session.ask_room(room, b"members")
    if answer.reason is not None:
        _refuse(session, room, answer.reason)
        return
    known = {each["name"].lower().encode(): each["name"].encode() for each in answer.objects()}
    if session.name.lower() not in known:
        session.numeric(b"442", room, b"You're not on that channel")
        return
    for user in users:
        name = known.get(user.lower())
        if name is None:
            session.numeric(b"441", user, room, b"They aren't on that channel")
            continue
        session.place.reasons.note(session.place.now, room, name, reason)
        answer = yield session.ask_room(room, b"remove", member=name)
        if answer.reason is not None:
            _refuse(session, room, answer.reason, name)
            continue
        line = write_line(session.source, b"KICK", room, name, reason or session.name)
        _expect(session, line, b"removed", room.lower(), name.lower())


# Modes


def mode(session: IrcSession, message: IrcMessage) -> Steps | None:
    """MODE: show or change what a room is, and who its moderators are."""
    target = message.params[0]
    if is_room(target):
        return _mode(session, target, message.params[1:])
    if target.startswith(b"#"):
        session.numeric(b"403", target, b"No such channel")
    elif not is_name(target):
        session.numeric(b"401", target or b"*", b"No such nick")
    elif not session.is_own(target):
        session.numeric(b"502", b"Cannot change mode for other users")
    elif len(message.params) == 1:
        session.numeric(b"221", b"+i")
    elif message.params[1].strip(b"+-i"):
        session.numeric(b"501", b"Unknown MODE flag")
    return None


def _mode(session: IrcSession, room: bytes, words: list[bytes]) -> Steps:
    if not words:
        answer = yield session.ask_room(room)
        if answer.reason is not None:
            _refuse(session, room, answer.reason)
            return
        modes = b"+nt" if answer.head.headers.get(b"access") == b"public" else b"+inst"
        session.numeric(b"324", room, modes)
        return
    arguments = words[1:]
    sign = b"+"
    for number in range(min(len(words[0]), 8)):
        letter = words[0][number : number + 1]
        if letter in (b"+", b"-"):
            sign = letter
        elif letter == b"o":
            if arguments:
                yield from _appoint(session, room, arguments.pop(0), sign)
            else:
                session.numeric(b"696", room, b"o", b"*", b"You must name a member for this mode")
        elif letter in (b"i", b"s"):
            yield from _set_access(session, room, letter, sign)
        elif letter == b"b" and not arguments:
            session.numeric(b"368", room, b"End of channel ban list")
        elif letter in _WITHOUT:
            arguments = arguments[1:]
            session.numeric(b"696", room, letter, b"*", _WITHOUT[letter])
        elif letter not in (b"n", b"t"):
            arguments = arguments[1:]
            session.numeric(b"472", letter, b"is not a mode of rooms here")


def _appoint(session: IrcSession, room: bytes, who: bytes, sign: bytes) -> Steps:
    if not is_name(who):
        session.numeric(b"401", who, b"No such nick")
        return
    role = b"moderator" if sign == b"+" else b"member"
    answer = yield session.ask_room(room, b"appoint", member=who, role=role)
    if answer.reason is not None:
        _refuse(session, room, answer.reason, who)
        return
    line = write_line(session.source, b"MODE", room, sign + b"o", who)
    _expect(session, line, b"appointed", room.lower(), who.lower())


def _set_access(session: IrcSession, room: bytes, letter: bytes, sign: bytes) -> Steps:
    access = b"private" if sign == b"+" else b"public"
    answer = yield session.ask_room(room, b"change", access=access)
    if answer.reason is not None:
        _refuse(session, room, answer.reason)
        return
    line = write_line(session.source, b"MODE", room, sign + letter)
    _expect(session, line, b"access", room.lower(), access)


# Events (rule 12.8)


def take_any_forward(session: IrcSession, head: Head, body: bytes) -> None:
    """Take FORWARD: a message or an event."""
    if b"event" in head.headers:
        _take_event(session, head)
        if head.seq and b"place" in head.headers:
            remember(session, head, head.headers.get(b"to", b"*"))
    else:
        take_forward(session, head, body)


def _take_event(session: IrcSession, head: Head) -> None:
    headers = head.headers
    room = headers.get(b"to") or headers.get(b"room", b"")
    event = headers[b"event"]
    if event == b"invited":
        _take_invited(session, head, room)
        return
    if event == b"absent":
        session.notice(
            b"Your device %b has not been connected since %b; it is forgotten after %b"
            % tuple(headers.get(name, b"?") for name in (b"device", b"since", b"until"))
        )
        return
    if not is_room(room):
        return
    if event in (b"created", b"joined") and session.is_own(head.name):
        if not session.channels or room.lower() not in session.channels:
            session.later(lambda each: _enter(each, room, b""))
        return
    session.out += event_lines(session, head, room)


def event_lines(session: IrcSession, head: Head, room: bytes, *, past: bool = False) -> list[bytes]:
    """Return the lines of an event of a room.

    Args:
        session: the session.
        head: the event.
        room: the room.
        past: whether it is part of the history, and changes nothing now.
    """
    headers, who, key = head.headers, head.name, room.lower()
    source = session.source_of(who)
    place = headers.get(b"place", b"")
    identifier = b"event-" + place if place.isdigit() else b""
    tags = tags_of(session, who, identifier, headers.get(b"time", b""), {}, is_member=True)
    member = headers.get(b"member", b"")
    match headers[b"event"]:
        case b"created" | b"joined":
            away = [] if past else _away_lines(session, who)
            return [_join_line(session, who, room, tags), *away]
        case b"left":
            if not past and _is_known(session, tags, b"left", key, who.lower()):
                return []
            if not past and session.is_own(who):
                (session.channels or {}).pop(key, None)
            reason = b"" if past else session.place.reasons.get(session.place.now, room, who)
            return [write_line(source, b"PART", room, *((reason,) if reason else ()), tags=tags)]
        case b"removed":
            if not past and _is_known(session, tags, b"removed", key, member.lower()):
                return []
            if not past and session.is_own(member):
                (session.channels or {}).pop(key, None)
            reason = b"" if past else session.place.reasons.get(session.place.now, room, member)
            return [write_line(source, b"KICK", room, member, reason or who, tags=tags)]
        case b"appointed":
            if not past and _is_known(session, tags, b"appointed", key, member.lower()):
                return []
            sign = b"-o" if headers.get(b"role") == b"member" else b"+o"
            return [write_line(source, b"MODE", room, sign, member, tags=tags)]
        case b"changed":
            return _change_lines(session, head, room, tags, past=past)
        case _:
            return []


def _away_lines(session: IrcSession, who: bytes) -> list[bytes]:
    """Return the line that says that a user who joins is away, if the client wants to know."""
    if not session.caps & Cap.AWAY_NOTIFY:
        return []
    text = session.place.away_text(who)
    session.note_told(who, text)
    return [write_line(session.source_of(who), b"AWAY", text)] if text else []


def _change_lines(session: IrcSession, head: Head, room: bytes, tags: bytes, *, past: bool) -> list[bytes]:
    headers, source = head.headers, session.source_of(head.name)
    lines: list[bytes] = []
    text = headers.get(b"topic")
    if text is not None and (past or not _is_known(session, tags, b"topic", room.lower())):
        lines.append(write_line(source, b"TOPIC", room, text, tags=tags))
    access = headers.get(b"access")
    if access is not None and (past or not _is_known(session, tags, b"access", room.lower(), access)):
        lines.append(write_line(source, b"MODE", room, b"+is" if access == b"private" else b"-is", tags=tags))
    return lines


def take_room(session: IrcSession, head: Head, _body: bytes) -> None:
    """Take ROOM: a guest has come to a room, or gone (rule 12.15)."""
    headers, room = head.headers, head.name
    guest, event = headers.get(b"guest", b""), headers.get(b"event", b"")
    if not is_name(guest) or room.lower() not in (session.channels or {}):
        return
    if session.place.is_told(session, event, room, guest):
        return
    by = headers.get(b"by", b"")
    reason = headers.get(b"reason", b"")
    source = session.source_of(guest)
    if event == b"joined":
        session.out.append(_join_line(session, guest, room, is_guest=True))
    elif event == b"removed" and not _is_known(session, b"", b"removed", room.lower(), guest.lower()):
        kicker = session.source_of(by) if is_name(by) else session.place.server
        session.out.append(write_line(kicker, b"KICK", room, guest, reason or by))
    elif event == b"left":
        session.out.append(write_line(source, b"PART", room))
    if event != b"joined" and session.is_own(guest) and session.channels:
        session.channels.pop(room.lower(), None)


def _take_invited(session: IrcSession, head: Head, room: bytes) -> None:
    if is_room(room) and not session.is_own(head.name):
        tags = tags_of(session, head.name, b"", head.headers.get(b"time", b""), {}, is_member=True)
        session.out.append(write_line(session.source_of(head.name), b"INVITE", session.name, room, tags=tags))
