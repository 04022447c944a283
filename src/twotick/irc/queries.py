"""What clients ask about users and the server: WHO, WHOIS, AWAY, MONITOR and the like."""

from collections.abc import Iterable
from typing import Any, Final

from twotick.irc.answers import QUESTION, Steps
from twotick.irc.capabilities import Cap
from twotick.irc.channels import session_realname
from twotick.irc.registration import write_motd, write_support, write_users
from twotick.irc.session import IrcSession
from twotick.irc.wire import IrcMessage, write_line
from twotick.wire import Head, Verb, frame, is_name, is_room

_MOST_MONITORED: Final = 100
_MOST_AWAY: Final = 200
_MOST_NAMES: Final = 20
_ONLINE: Final = ("here", "away")


def _states(answer_objects: list[dict[str, Any]]) -> dict[bytes, dict[str, Any]]:
    return {each["name"].lower().encode(): each for each in answer_objects}


# WHO


def who(session: IrcSession, message: IrcMessage) -> Steps | None:
    """WHO and WHOX: who is in a room, or who a user is."""
    mask = message.param(0)
    fields, _, token = message.param(1).partition(b"%")[2].partition(b",")
    if not session.account or (not is_room(mask) and not is_name(mask)):
        if session.is_own(mask):
            _write_who(session, b"*", session.name, "here", None, fields, token)
        session.numeric(b"315", mask or b"*", b"End of WHO list")
        return None
    return _who(session, mask, fields, token)


def _who(session: IrcSession, mask: bytes, fields: bytes, token: bytes) -> Steps:
    answer = yield frame(Verb.STATUS, id=QUESTION)
    states = _states(answer.objects())
    if is_room(mask):
        answer = yield session.ask_room(mask, b"members")
        for each in answer.objects():
            name = each["name"].encode()
            state = states.get(name.lower(), {}).get("state", "gone")
            _write_who(session, mask, name, _own_state(session, name, state), each["role"], fields, token)
    elif mask.lower() in states or session.is_own(mask):
        found = states.get(mask.lower(), {"name": session.name.decode(), "state": "here"})
        name = found["name"].encode()
        _write_who(session, b"*", name, _own_state(session, name, found["state"]), None, fields, token)
    session.numeric(b"315", mask, b"End of WHO list")


def _own_state(session: IrcSession, name: bytes, state: str) -> str:
    if session.is_own(name):
        return "here" if session.away is None else "away"
    return state


def _write_who(
    session: IrcSession, room: bytes, name: bytes, state: str, role: str | None, fields: bytes, token: bytes
) -> None:
    flags = (b"H" if state == "here" else b"G") + (b"@" if role in ("owner", "moderator") else b"")
    server, user, realname = session.place.server, name.lower(), session_realname(session, name)
    if not fields:
        session.numeric(b"352", room, user, server, server, name, flags, b"0 " + realname)
        return
    account = name if session.account and (not session.is_own(name) or session.account) else b"0"
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


def whois(session: IrcSession, message: IrcMessage) -> Steps | None:
    """WHOIS: who a user is, as far as the member may see that."""
    name = message.params[1] if len(message.params) > 1 else message.param(0)
    if not name:
        session.numeric(b"431", b"No nickname given")
    elif not is_name(name):
        session.numeric(b"401", name, b"No such nick")
        session.numeric(b"318", name, b"End of /WHOIS list")
    elif not session.account:
        if session.is_own(name):
            _write_whois(session, session.name, "here", b"", is_member=False)
        else:
            session.numeric(b"401", name, b"No such nick")
        session.numeric(b"318", name, b"End of /WHOIS list")
    else:
        return _whois(session, name)
    return None


def _whois(session: IrcSession, asked: bytes) -> Steps:
    answer = yield frame(Verb.STATUS, id=QUESTION)
    states = _states(answer.objects())
    found = states.get(asked.lower())
    if session.is_own(asked):
        found = {"name": session.name.decode(), "state": "here"}
    if found is None:
        session.numeric(b"401", asked, b"No such nick, or one whose presence you may not see")
    else:
        name = found["name"].encode()
        answer = yield frame(Verb.PROFILE, name, id=QUESTION)
        headers = answer.head.headers
        display = headers.get(b"display", b"") if answer.reason is None else b""
        _write_whois(session, name, _own_state(session, name, found["state"]), display, is_member=True)
        if status := headers.get(b"status", b""):
            session.numeric(b"320", name, b"says: " + status)
    session.numeric(b"318", asked, b"End of /WHOIS list")


def _write_whois(session: IrcSession, name: bytes, state: str, display: bytes, *, is_member: bool) -> None:
    server = session.place.server
    session.numeric(b"311", name, name.lower(), server, b"*", display or session_realname(session, name))
    if session.is_own(name) and session.channels:
        session.numeric(b"319", name, b" ".join([*session.channels.values()][:_MOST_NAMES]))
    session.numeric(b"312", name, server, b"Twotick")
    if state == "away":
        session.numeric(b"301", name, _away_text(session, name))
    elif state == "gone":
        session.numeric(b"301", name, b"not connected")
    if is_member:
        session.numeric(b"330", name, name, b"is logged in as")


def _away_text(session: IrcSession, name: bytes) -> bytes:
    """Return what a member who is away has said, if that was on IRC."""
    sessions = session.place.sessions.get(name.lower(), ())
    return next((each.away for each in sessions if each.away), b"away")


def whowas(session: IrcSession, message: IrcMessage) -> Steps | None:
    """WHOWAS: nothing is known of the past."""
    name = message.param(0)
    if not name:
        session.numeric(b"431", b"No nickname given")
        return None
    session.numeric(b"406", name, b"There was no such nickname")
    session.numeric(b"369", name, b"End of WHOWAS")
    return None


def userhost(session: IrcSession, message: IrcMessage) -> Steps | None:
    """USERHOST: the addresses of users who are connected, which are all the server's."""
    names = message.params[:5]
    if session.account:
        return _userhost(session, names)
    _write_userhost(session, filter(session.is_own, names))
    return None


def _userhost(session: IrcSession, names: Iterable[bytes]) -> Steps:
    answer = yield frame(Verb.STATUS, id=QUESTION)
    states = _states(answer.objects())
    _write_userhost(session, [name for name in names if session.is_own(name) or _is_online(states, name)])


def _write_userhost(session: IrcSession, names: Iterable[bytes]) -> None:
    host = session.place.server
    session.numeric(b"302", b" ".join(b"%b=+%b@%b" % (name, name.lower(), host) for name in names))


def ison(session: IrcSession, message: IrcMessage) -> Steps | None:
    """ISON: which of some users are connected."""
    names = b" ".join(message.params).split()[:_MOST_NAMES]
    if not session.account:
        session.numeric(b"303", b" ".join(name for name in names if session.is_own(name)))
        return None
    return _ison(session, names)


def _ison(session: IrcSession, names: Iterable[bytes]) -> Steps:
    answer = yield frame(Verb.STATUS, id=QUESTION)
    states = _states(answer.objects())
    found = [name for name in names if session.is_own(name) or _is_online(states, name)]
    session.numeric(b"303", b" ".join(found))


def _is_online(states: dict[bytes, dict[str, Any]], name: bytes) -> bool:
    return states.get(name.lower(), {}).get("state") in _ONLINE


# One's own state


def away(session: IrcSession, message: IrcMessage) -> Steps | None:
    """AWAY: go away, or come back."""
    text = message.param(0)[:_MOST_AWAY].decode("utf-8", "ignore").encode()
    session.away = text or None
    if session.account:
        return _away(session)
    _write_away(session)
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
    if session.caps & Cap.SETNAME:
        session.reply(write_line(session.source, b"SETNAME", name))


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
    if watched:
        is_online = state in (b"here", b"away")
        session.out.append(
            b":%b %b %b :%b\r\n"
            % (
                session.place.server,
                b"730" if is_online else b"731",
                session.name,
                session.source_of(name) if is_online else name,
            )
        )
    session.place.note_member(name)
    if session.caps & Cap.AWAY_NOTIFY and (session.channels or (watched and session.caps & Cap.EXTENDED_MONITOR)):
        texts = {b"here": (), b"away": (_away_text(session, name),)}.get(state, (b"not connected",))
        session.out.append(write_line(session.source_of(name), b"AWAY", *texts))


def monitor(session: IrcSession, message: IrcMessage) -> Steps | None:
    """MONITOR: be told when users come and go."""
    do, names = message.params[0].upper(), [name for name in message.param(1).split(b",") if name]
    if session.monitored is None:
        session.monitored = {}
    monitored = session.monitored
    if do == b"+":
        return _monitor(session, _added(session, names))
    if do == b"-":
        for name in names:
            monitored.pop(name.lower(), None)
    elif do == b"C":
        monitored.clear()
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
        added.append(name)
    return added


def _monitor(session: IrcSession, names: list[bytes]) -> Steps:
    states: dict[bytes, dict[str, Any]] = {}
    if session.account:
        answer = yield frame(Verb.STATUS, id=QUESTION)
        states = _states(answer.objects())
    online = [name for name in names if session.is_own(name) or _is_online(states, name)]
    for code, found in (b"730", [*map(session.source_of, online)]), (b"731", [n for n in names if n not in online]):
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
