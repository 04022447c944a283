"""What clients ask about users and the server: WHO, WHOIS, AWAY, MONITOR and the like."""

import re
from collections.abc import Generator, Iterable
from typing import Final, NamedTuple

from twotick.irc.answers import QUESTION, IrcAnswer, Steps
from twotick.irc.capabilities import Cap
from twotick.irc.channels import session_realname
from twotick.irc.registration import write_motd, write_support, write_users
from twotick.irc.session import IrcSession
from twotick.irc.wire import IrcMessage, matches, write_line
from twotick.wire import Head, Verb, frame, is_name, is_room

_MOST_MONITORED: Final = 100
_MOST_AWAY: Final = 200
_MOST_NAMES: Final = 20
_ONLINE: Final = ("here", "away")
_USER: Final = re.compile(rb"[A-Za-z0-9._~-]{1,32}")


class _SeenUser(NamedTuple):
    """A user as the client may see it."""

    name: bytes
    state: str


def _presence(session: IrcSession) -> Generator[bytes, IrcAnswer, dict[bytes, _SeenUser]]:
    """Return the users whose presence the client may see, by their names in lower case.

    Members see those who share a room with them, and those who have written to them (rule 18.1). Guests have no secret
    of being here, and are found by their names: see `_find`.
    """
    users = {session.name.lower(): _SeenUser(session.name, "here" if session.away is None else "away")}
    if session.account:
        answer = yield frame(Verb.STATUS, id=QUESTION)
        found = [_SeenUser(each["name"].encode(), each["state"]) for each in answer.objects()]
        users = {user.name.lower(): user for user in found} | users
    return users


def _find(session: IrcSession, users: dict[bytes, _SeenUser], name: bytes) -> _SeenUser | None:
    """Return a user whom the client may see."""
    guest = session.place.guest(name)
    if guest is not None:
        return _SeenUser(guest.name, "here" if guest.away is None else "away")
    return users.get(name.lower())


def _online(session: IrcSession, users: dict[bytes, _SeenUser], names: Iterable[bytes]) -> list[_SeenUser]:
    """Return those of some users who are connected."""
    found = [_find(session, users, name) for name in names]
    return [user for user in found if user is not None and user.state in _ONLINE]


# WHO


def who(session: IrcSession, message: IrcMessage) -> Steps | None:
    """WHO and WHOX: who is in a room, or who a user is, or some users are."""
    fields, _, token = message.param(1).partition(b"%")[2].partition(b",")
    return _who(session, message.param(0), fields, token)


def _who(session: IrcSession, mask: bytes, fields: bytes, token: bytes) -> Steps:
    users = yield from _presence(session)
    if is_room(mask) and (session.account or mask.lower() in (session.channels or {})):
        answer = yield session.ask_room(mask, b"members")
        room = (session.channels or {}).get(mask.lower(), mask)
        for each in answer.objects():
            name = each["name"].encode()
            unseen = "here" if each["role"] == "guest" or not session.account else "gone"  # a guest sees no presence
            user = users.get(name.lower()) or _SeenUser(name, unseen)
            _write_who(session, room, user, each["role"], fields, token)
    elif is_name(mask):
        if found := _find(session, users, mask):
            _write_who(session, b"*", found, None, fields, token)
    elif mask:
        for user in users.values():
            if matches(mask, user.name):
                _write_who(session, b"*", user, None, fields, token)
    session.numeric(b"315", mask or b"*", b"End of WHO list")


def _write_who(
    session: IrcSession, room: bytes, found: _SeenUser, role: str | None, fields: bytes, token: bytes
) -> None:
    name = found.name
    flags = (b"H" if found.state == "here" else b"G") + (b"@" if role in ("owner", "moderator") else b"")
    server, user, realname = session.place.server, _user_of(session, name), session_realname(session, name)
    if not fields:
        session.numeric(b"352", room, user, server, server, name, flags, b"0 " + realname)
        return
    is_guest = role == "guest" or session.place.guest(name) is not None
    account = name if not is_guest and (session.account or role is not None) else b"0"
    values = {
        b"t": token or b"0",
        b"c": room,
        b"u": user,
        b"i": b"255.255.255.255",
        b"h": server,
        b"s": server,
        b"n": name,
        b"f": flags,
        b"d": b"0",
        b"l": b"0",
        b"a": account,
        b"o": b"n/a",
        b"r": realname,
    }
    asked = [key for key in values if key in fields]
    words = [values[key] for key in asked]
    line = b":%b 354 %b " % (session.place.server, session.shown)
    if asked and asked[-1] == b"r":
        session.reply(line + write_line(b"", b"", *words).lstrip())
    else:
        session.reply(line + b" ".join(words) + b"\r\n")


# WHOIS and others


def _user_of(session: IrcSession, name: bytes) -> bytes:
    """Return what a user who is on IRC has said as the user name; else the name."""
    sessions = session.place.sessions.get(name.lower())
    said = sessions[0].user.partition(b"/")[0] if sessions else b""
    return said if _USER.fullmatch(said) else name.lower()


def whois(session: IrcSession, message: IrcMessage) -> Steps | None:
    """WHOIS: who a user is, as far as the client may see that."""
    name = message.params[1] if len(message.params) > 1 else message.param(0)
    if not name:
        session.numeric(b"431", b"No nickname given")
        return None
    return _whois(session, name)


def _whois(session: IrcSession, asked: bytes) -> Steps:
    users = yield from _presence(session)
    found = _find(session, users, asked)
    if found is None:
        session.numeric(b"401", asked, b"No such nick, or one whose presence you may not see")
    else:
        headers: dict[bytes, bytes] = {}
        if is_member := bool(session.account) and session.place.guest(asked) is None:
            answer = yield frame(Verb.PROFILE, found.name, id=QUESTION)
            headers = answer.head.headers if answer.reason is None else {}
        _write_whois(session, found, headers.get(b"display", b""), is_member=is_member)
        if status := headers.get(b"status", b""):
            session.numeric(b"320", found.name, b"says: " + status)
    session.numeric(b"318", asked, b"End of /WHOIS list")


def _write_whois(session: IrcSession, found: _SeenUser, display: bytes, *, is_member: bool) -> None:
    name, server = found.name, session.place.server
    user = _user_of(session, name)
    session.numeric(b"311", name, user, server, b"*", display or session_realname(session, name))
    if session.is_own(name) and session.channels:
        session.numeric(b"319", name, b" ".join([*session.channels.values()][:_MOST_NAMES]))
    session.numeric(b"312", name, server, b"Twotick")
    if found.state == "away":
        session.numeric(b"301", name, _away_text(session, name))
    elif found.state == "gone":
        session.numeric(b"301", name, b"not connected")
    if is_member:
        session.numeric(b"330", name, name, b"is logged in as")


def _away_text(session: IrcSession, name: bytes) -> bytes:
    """Return what a user who is away has said, if that was on IRC."""
    return session.place.away_text(name) or b"away"


def whowas(session: IrcSession, message: IrcMessage) -> Steps | None:
    """WHOWAS: the guests who had a name in the last minutes; of members no one is told when they were here."""
    name = message.param(0)
    if not name:
        session.numeric(b"431", b"No nickname given")
        return None
    found = session.place.past.get(session.place.now, name)
    count = message.param(1)
    for each in found[: int(count) if count.isdigit() and len(count) < 9 and int(count) else None]:
        user = each.user if _USER.fullmatch(each.user) else each.name.lower()
        session.numeric(b"314", each.name, user, session.place.server, b"*", each.realname)
    if not found:
        session.numeric(b"406", name, b"There was no such nickname")
    session.numeric(b"369", name, b"End of WHOWAS")
    return None


def userhost(session: IrcSession, message: IrcMessage) -> Steps | None:
    """USERHOST: the addresses of users who are connected, which are all the server's."""
    return _userhost(session, message.params[:5])


def _userhost(session: IrcSession, names: Iterable[bytes]) -> Steps:
    users = yield from _presence(session)
    host = session.place.server
    found = [
        b"%b=%b%b@%b" % (user.name, b"+" if user.state == "here" else b"-", _user_of(session, user.name), host)
        for user in _online(session, users, names)
    ]
    session.numeric(b"302", b" ".join(found))


def ison(session: IrcSession, message: IrcMessage) -> Steps | None:
    """ISON: which of some users are connected."""
    return _ison(session, b" ".join(message.params).split()[:_MOST_NAMES])


def _ison(session: IrcSession, names: Iterable[bytes]) -> Steps:
    users = yield from _presence(session)
    session.numeric(b"303", b" ".join(user.name for user in _online(session, users, names)))


# One's own state


def away(session: IrcSession, message: IrcMessage) -> Steps | None:
    """AWAY: go away, or come back."""
    text = message.param(0)[:_MOST_AWAY].decode("utf-8", "ignore").encode()
    session.away = text or None
    if session.account:
        return _away(session)
    _write_away(session)
    texts = (session.away,) if session.away else ()
    line = write_line(session.source, b"AWAY", *texts)
    session.place.tell_watchers(session.name, Cap.EXTENDED_MONITOR | Cap.AWAY_NOTIFY, lambda _: line)
    return None


def _away(session: IrcSession) -> Steps:
    yield frame(Verb.STATUS, id=QUESTION, state=b"here" if session.away is None else b"away")
    _write_away(session)


def _write_away(session: IrcSession) -> None:
    if session.away is None:
        session.numeric(b"305", b"You are no longer marked as being away")
    else:
        session.numeric(b"306", b"You have been marked as being away")


def setname(session: IrcSession, message: IrcMessage) -> Steps | None:
    """SETNAME: change how one wants to be called."""
    if not message.params[0] or len(message.params[0]) > 128:
        session.fail(b"SETNAME", b"INVALID_REALNAME", b"A name has 1 to 128 bytes")
        return None
    return _setname(session, message.params[0])


def _setname(session: IrcSession, name: bytes) -> Steps:
    before, session.realname = session.realname, name  # the news of it may come before the answer
    if session.account:
        answer = yield frame(Verb.PROFILE, id=QUESTION, display=name)
        if answer.reason is not None:
            session.realname = before
            session.fail(b"SETNAME", b"INVALID_REALNAME", answer.reason)
            return
    line = write_line(session.source, b"SETNAME", name)
    if session.caps & Cap.SETNAME:
        session.reply(line)
    if not session.account:
        session.place.tell_watchers(session.name, Cap.EXTENDED_MONITOR | Cap.SETNAME, lambda _: line)


# News of others


def take_profile(session: IrcSession, head: Head, _body: bytes) -> None:
    """Take PROFILE: a member wants to be called something else."""
    name = head.name
    if not name or not session.live or not session.caps & Cap.SETNAME:
        return
    display = head.headers.get(b"display") or name
    if session.is_own(name):
        if display == session.realname:
            return
        session.realname = display
    session.out.append(write_line(session.source_of(name), b"SETNAME", display))


def take_status(session: IrcSession, head: Head, _body: bytes) -> None:
    """Take STATUS: another member has come, or gone."""
    name, state = head.name, head.headers.get(b"state", b"gone")
    if not name or not session.live:
        return
    watched = session.monitored is not None and name.lower() in session.monitored
    is_online = state in (b"here", b"away")
    is_news = watched and session.note_online(name, is_online=is_online)
    if is_news:
        session.out.append(session.line_of_watched(name, is_online=is_online))
    session.place.note_member(name)
    if is_news and state == b"here" and not session.channels:
        return  # only in channels was the user shown as away
    if session.caps & Cap.AWAY_NOTIFY and (session.channels or (watched and session.caps & Cap.EXTENDED_MONITOR)):
        texts = {b"here": (), b"away": (_away_text(session, name),)}.get(state, (b"not connected",))
        told = session.told.pop(name.lower(), None) if session.told else None
        if told != b"".join(texts):
            session.out.append(write_line(session.source_of(name), b"AWAY", *texts))


def monitor(session: IrcSession, message: IrcMessage) -> Steps | None:
    """MONITOR: be told when users come and go."""
    do, names = message.params[0].upper(), [name for name in message.param(1).split(b",") if name]
    if session.monitored is None:
        session.monitored = {}
    monitored = session.monitored
    if do == b"+":
        return _monitor(session, _added(session, names))
    if do in (b"-", b"C"):
        for name in names if do == b"-" else [*monitored]:
            monitored.pop(name.lower(), None)
            session.note_online(name, is_online=False)
            session.place.watchers.remove(session, name)
    elif do == b"L":
        for start in range(0, len(monitored), 10):
            session.numeric(b"732", b",".join([*monitored.values()][start : start + 10]))
        session.numeric(b"733", b"End of MONITOR list")
    elif do == b"S":
        return _monitor(session, [*monitored.values()])
    else:
        session.numeric(b"461", b"MONITOR", b"Not enough parameters")
    return None


def _added(session: IrcSession, names: list[bytes]) -> list[bytes]:
    """Watch names; return those that were added."""
    assert session.monitored is not None
    added: list[bytes] = []
    for number, name in enumerate(names):
        if len(session.monitored) >= _MOST_MONITORED and name.lower() not in session.monitored:
            rest = b",".join(names[number:])
            session.numeric(b"734", b"%d" % _MOST_MONITORED, rest[:300], b"Monitor list is full")
            break
        session.monitored[name.lower()] = name
        session.place.watchers.add(session, name)
        added.append(name)
    return added


def _monitor(session: IrcSession, names: list[bytes]) -> Steps:
    users = yield from _presence(session)
    online = [user.name for user in _online(session, users, names)]
    keys = {name.lower() for name in online}
    for name in names:
        session.note_online(name, is_online=name.lower() in keys)
    offline = [name for name in names if name.lower() not in keys]
    for code, found in (b"730", [*map(session.source_of, online)]), (b"731", offline):
        for start in range(0, len(found), 4):
            session.numeric(code, b",".join(found[start : start + 4]))


# The server


def motd(session: IrcSession, _message: IrcMessage) -> Steps | None:
    """MOTD: there is none."""
    write_motd(session)
    return None


def lusers(session: IrcSession, _message: IrcMessage) -> Steps | None:
    """LUSERS: how many use IRC here."""
    write_users(session)
    return None


def version(session: IrcSession, _message: IrcMessage) -> Steps | None:
    """VERSION: the version, and what is supported."""
    session.numeric(b"351", session.place.version, session.place.server, b"Twotick")
    write_support(session)
    return None


def time(session: IrcSession, _message: IrcMessage) -> Steps | None:
    """TIME: the time of day."""
    session.numeric(b"391", session.place.server, session.place.time())
    return None


def info(session: IrcSession, _message: IrcMessage) -> Steps | None:
    """INFO: what this is."""
    session.numeric(b"371", b"Twotick: sent means received. IRC is one way in; docs/irc.md says what maps to what.")
    session.numeric(b"374", b"End of INFO list")
    return None


def admin(session: IrcSession, _message: IrcMessage) -> Steps | None:
    """ADMIN: nothing is known of the operator."""
    session.numeric(b"423", session.place.server, b"No administrative info available")
    return None


def links(session: IrcSession, _message: IrcMessage) -> Steps | None:
    """LINKS: one server."""
    server = session.place.server
    session.numeric(b"364", server, server, b"0 Twotick")
    session.numeric(b"365", b"*", b"End of /LINKS list")
    return None


def helping(session: IrcSession, message: IrcMessage) -> Steps | None:
    """HELP: the commands."""
    topic = message.param(0) or b"*"
    if message.params and topic.upper() not in session.place.commands:
        session.numeric(b"524", topic, b"There is no help on this")
        return None
    session.numeric(b"704", topic, b"Commands of this server:")
    session.numeric(b"705", topic, b" ".join(sorted(session.place.commands)))
    session.numeric(b"706", topic, b"docs/irc.md says what they do")
    return None


def no_operators(session: IrcSession, _message: IrcMessage) -> Steps | None:
    """OPER: the operator uses the command `twotick`."""
    session.numeric(b"491", b"No O-lines for your host")
    return None


def not_privileged(session: IrcSession, _message: IrcMessage) -> Steps | None:
    """KILL and others: only for operators, of whom IRC knows none."""
    session.numeric(b"481", b"Permission Denied: you are not an IRC operator")
    return None
