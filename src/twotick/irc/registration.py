"""How a client becomes known: capabilities, names, logins, and the welcome (docs/irc.md)."""

import base64
import binascii
import hashlib
import re
from collections.abc import Generator
from typing import Final

from twotick.irc import capabilities
from twotick.irc.answers import CATCH_UP, QUESTION, IrcAnswer, Steps
from twotick.irc.capabilities import Cap
from twotick.irc.channels import enter_rooms
from twotick.irc.renaming import change_name
from twotick.irc.session import WINDOW, IrcSession
from twotick.irc.wire import IrcMessage, write_line
from twotick.wire import DEVICE, Side, Verb, frame, is_name

_TOKEN: Final = re.compile(rb"tt_[A-Za-z0-9_-]{43}")
_CHUNK: Final = 400
"""Bytes of a part of a login (IRCv3, "SASL")."""
_MOST_OF_LOGIN: Final = 2048
_MOST_TEXT: Final = 128
_TOKENS_IN_LINE: Final = 12
_SUPPORT: Final = (
    b"NETWORK=Twotick",
    b"CASEMAPPING=ascii",
    b"CHANTYPES=#",
    b"PREFIX=(ov)@+",
    b"CHANMODES=b,,,inst",
    b"MODES=4",
    b"NICKLEN=32",
    b"CHANNELLEN=33",
    b"TOPICLEN=250",
    b"KICKLEN=250",
    b"AWAYLEN=200",
    b"NAMELEN=128",
    b"MAXLIST=b:1",
    b"TARGMAX=PRIVMSG:4,NOTICE:4,TAGMSG:4,JOIN:10,PART:10,KICK:4,NAMES:1,WHOIS:1",
    b"MONITOR=100",
    b"ELIST=MNU",
    b"CHATHISTORY=500",
    b"MSGREFTYPES=timestamp,msgid",
    b"WHOX",
    b"UTF8ONLY",
)
"""What the server supports (005)."""


# Capabilities


def cap(session: IrcSession, message: IrcMessage) -> Steps | None:
    """CAP: list, and ask for, capabilities."""
    do = message.params[0].upper()
    match do:
        case b"LS":
            version = message.param(1)
            session.negotiating = session.negotiating or not session.welcome
            number = int(version) if version.isdigit() and len(version) < 5 else 0
            if number >= 302:
                session.caps |= Cap.CAP_NOTIFY
            _list_caps(session, b"LS", capabilities.listed(number), continued=number >= 302)
        case b"LIST":
            _list_caps(session, b"LIST", capabilities.names_of(session.caps), continued=True)
        case b"REQ":
            session.negotiating = session.negotiating or not session.welcome
            _request(session, message.param(1))
        case b"END":
            session.negotiating = False
            return complete(session)
        case _:
            session.numeric(b"410", message.params[0], b"Invalid CAP command")
    return None


def _list_caps(session: IrcSession, do: bytes, names: list[bytes], *, continued: bool) -> None:
    lines = capabilities.in_lines(names, 510 - len(session.place.server) - len(session.shown) - 16)
    for number, line in enumerate(lines, 1):
        more = (b"*",) if continued and number < len(lines) else ()
        session.reply(write_line(session.place.server, b"CAP", session.shown, do, *more, line))


def _request(session: IrcSession, text: bytes) -> None:
    changed = capabilities.changed(session.caps, text.split())
    if changed is not None and session.account and not changed & Cap.SASL and session.caps & Cap.SASL:
        changed |= Cap.SASL
    if changed is not None:
        session.caps = changed
    answer = b"NAK" if changed is None else b"ACK"
    session.reply(write_line(session.place.server, b"CAP", session.shown, answer, text.strip()))


# Names


def nick(session: IrcSession, message: IrcMessage) -> Steps | None:
    """NICK: the name of a guest, or what a member will be corrected from."""
    wanted = message.param(0)
    if not wanted:
        session.numeric(b"431", b"No nickname given")
    elif session.welcome and (wanted == session.name or (session.account and session.is_own(wanted))):
        return None
    elif not is_name(wanted) and not (session.account and not session.welcome):
        session.numeric(b"432", wanted, b"Erroneous nickname: a name is 1 to 32 letters and digits")
    elif session.welcome and not session.is_own(wanted) and _is_taken(session, wanted):
        session.numeric(b"433", wanted, b"Nickname is already in use")
    elif session.welcome and session.account:
        session.numeric(b"484", b"Your name is %b; it cannot change on this connection" % session.name)
    elif session.welcome:
        return change_name(session, wanted, _register(wanted))
    else:
        session.nick = wanted
        return complete(session)
    return None


def _is_taken(session: IrcSession, name: bytes) -> bool:
    """Return whether another user is known to have a name."""
    return name.lower() in session.place.sessions or session.place.is_member(name.lower())


def user(session: IrcSession, message: IrcMessage) -> Steps | None:
    """USER: whose program it is, and perhaps the device."""
    if session.welcome:
        session.numeric(b"462", b"You may not reregister")
        return None
    if not message.params[0] or not message.params[3]:
        session.numeric(b"461", b"USER", b"Not enough parameters: give a user name and a real name")
        return None
    session.user, session.realname = message.params[0][:_MOST_TEXT], message.params[3][:_MOST_TEXT]
    return complete(session)


def password(session: IrcSession, message: IrcMessage) -> Steps | None:
    """PASS: a password or token, perhaps with the name and the device before it."""
    if session.welcome:
        session.numeric(b"462", b"You may not reregister")
    else:
        session.password = message.params[0]
    return None


# Logins


def authenticate(session: IrcSession, message: IrcMessage) -> Steps | None:
    """AUTHENTICATE: log in (SASL PLAIN)."""
    said = message.params[0]
    if session.account:
        session.numeric(b"907", b"You are logged in as %b already" % session.account)
    elif session.name:
        session.numeric(b"904", b"A guest cannot log in later: connect again")
    elif said == b"*":
        session.sasl = None
        session.numeric(b"906", b"SASL authentication aborted")
    elif session.sasl is None:
        _begin_login(session, said)
    elif len(said) > _CHUNK or len(session.sasl) + len(said) > _MOST_OF_LOGIN:
        session.sasl = None
        session.numeric(b"905", b"SASL message too long")
    else:
        session.sasl += b"" if said == b"+" else said
        if len(said) < _CHUNK:
            whole, session.sasl = session.sasl, None
            return _log_in_plain(session, whole)
    return None


def _begin_login(session: IrcSession, mechanism: bytes) -> None:
    if not session.caps & Cap.SASL:
        session.numeric(b"904", b"SASL authentication failed: ask for the capability sasl first")
    elif mechanism.upper() == b"PLAIN":
        session.sasl = b""
        session.reply(b"AUTHENTICATE +\r\n")
    else:
        session.numeric(b"908", b"PLAIN", b"are available SASL mechanisms")
        session.numeric(b"904", b"SASL authentication failed")


def _log_in_plain(session: IrcSession, text: bytes) -> Steps | None:
    try:
        authorized, name, secret = base64.b64decode(text, validate=True).split(b"\x00")
    except (binascii.Error, ValueError):
        session.numeric(b"904", b"SASL authentication failed: this is not PLAIN")
        return None
    who, _, device = name.partition(b"/")
    if not is_name(who) or (authorized and authorized.partition(b"/")[0].lower() != who.lower()):
        session.numeric(b"904", b"SASL authentication failed: wrong name, password or token")
        return None
    return _sasl_steps(session, who, device or authorized.partition(b"/")[2], secret)


def _sasl_steps(session: IrcSession, name: bytes, device: bytes, secret: bytes) -> Steps:
    refused = yield from _log_in(session, name, device, secret)
    if refused is None:
        session.numeric(b"900", session.source, session.account, b"You are now logged in as %b" % session.account)
        session.numeric(b"903", b"SASL authentication successful")
    else:
        session.numeric(b"904", b"SASL authentication failed: " + refused)


def _log_in(
    session: IrcSession, name: bytes, device: bytes, secret: bytes
) -> "Generator[bytes, IrcAnswer, bytes | None]":
    """Register the connection for a member; return why that failed, or None."""
    if device and not DEVICE.fullmatch(device):
        return b"that cannot be the name of a device"
    basic = b"Basic " + base64.b64encode(b"%b:%b" % (name, secret))
    bearer = b"Bearer " + secret
    tries = [(bearer, device), (basic, device)] if _TOKEN.fullmatch(secret) else [(basic, device)]
    own = b"" if device else session.place.claim(session, name, _own_device(session))
    reason: bytes | None = None
    for authorization, wanted in tries:
        answer = yield _register(name, authorization, wanted or (b"/" + own if authorization is bearer else own))
        reason = answer.reason
        if reason is None:
            _registered(session, answer, name)
            session.account = session.name
            return None
        if answer.head.code != 104 or answer.head.headers.get(b"kind") != b"login":
            break
    session.place.give_back(session)
    return reason


def _own_device(session: IrcSession) -> bytes:
    """Return the device of a client that names none: the same one each time the same program comes back."""
    said = b"\x00".join([session.user, session.realname, session.address, b"%d" % session.caps])
    return b"irc-" + hashlib.sha256(said).hexdigest()[:8].encode()


def _register(name: bytes, authorization: bytes | None = None, device: bytes | None = None) -> bytes:
    return frame(
        Verb.REGISTER,
        b"%b %b" % (Side.DUPLEX.value, name),
        authorization=authorization,
        device=device,
        window=WINDOW,
        reasons=b"yes",
    )


def _registered(session: IrcSession, answer: IrcAnswer, name: bytes) -> None:
    session.name = answer.head.name or name
    session.place.add(session)


# The welcome


def complete(session: IrcSession) -> Steps | None:
    """Welcome a client that has said all, if it has."""
    if session.welcome or session.negotiating or not session.user or not (session.nick or session.account):
        return None
    return _complete(session)


def _complete(session: IrcSession) -> Steps:
    if not session.name and session.password:
        name, device, secret = _read_password(session)
        refused = yield from _log_in(session, name, device, secret)
        if refused is not None:
            session.numeric(b"464", b"Password incorrect: " + refused)
            session.end(refused)
            return
    elif not session.name:
        answer = yield _register(session.nick)
        if answer.reason is not None:
            _refuse_guest(session, answer)
            return
        _registered(session, answer, session.nick)
    session.password = b""
    session.welcome = True
    _write_welcome(session)
    if not session.account:
        session.place.tell_watchers(session.name, 0, lambda each: each.line_of_watched(session.name, is_online=True))
    else:
        answer = yield frame(Verb.STATUS, id=QUESTION, state=b"here")
        for each in answer.objects():
            session.place.note_member(each["name"].encode())
        if session.caps & Cap.SETNAME:
            yield frame(Verb.PROFILE, id=QUESTION)  # from now on the client is told of changes (rule 18.3)
        yield from enter_rooms(session)
    session.go_live()


def _refuse_guest(session: IrcSession, answer: IrcAnswer) -> None:
    wanted, session.nick = session.nick, b""
    reason = answer.reason or b""
    match answer.head.headers.get(b"kind"):
        case b"in-use":
            session.numeric(b"433", wanted, b"Nickname is already in use")
        case b"member":
            session.numeric(b"433", wanted, b"This is the name of a member: log in with SASL or PASS")
        case b"guests":
            session.numeric(b"464", b"Password required: " + reason)
            session.end(reason)
        case _ if answer.head.code == 107:
            session.end(reason)
        case _:
            session.numeric(b"432", wanted, reason)


def _read_password(session: IrcSession) -> tuple[bytes, bytes, bytes]:
    """Return the name, the device and the secret that PASS, USER and NICK say together.

    PASS is a secret, `name:secret` or `name/device:secret`. Without a name in it, it is the one in USER if that has a
    device, else that of NICK.
    """
    before, colon, secret = session.password.partition(b":")
    name, _, device = before.partition(b"/")
    known = (session.nick.lower(), session.user.partition(b"/")[0].lower())
    if colon and name.lower() in known:
        return name, device, secret
    name, slash, device = session.user.partition(b"/")
    if slash and is_name(name):
        return name, device, session.password
    return session.nick, b"", session.password


def _write_welcome(session: IrcSession) -> None:
    place = session.place
    session.numeric(b"001", b"Welcome to Twotick, %b" % session.source)
    session.numeric(b"002", b"Your host is %b, running version %b" % (place.server, place.version))
    session.numeric(b"003", b"This server was started %b" % place.time())
    session.numeric(b"004", place.server, place.version, b"i", b"inost", b"o")
    write_support(session)
    write_users(session)
    write_motd(session)


def write_support(session: IrcSession) -> None:
    """Say what the server supports (005)."""
    for start in range(0, len(_SUPPORT), _TOKENS_IN_LINE):
        some = _SUPPORT[start : start + _TOKENS_IN_LINE]
        session.numeric(b"005", *some, b"are supported by this server")


def write_users(session: IrcSession) -> None:
    """Say how many use IRC here."""
    place = session.place
    number, most = place.registered, place.most_registered
    session.numeric(b"251", b"There are %d users and 0 invisible on 1 servers" % number)
    if len(place.present) > number:
        session.numeric(b"253", b"%d" % (len(place.present) - number), b"unknown connection(s)")
    session.numeric(b"255", b"I have %d clients and 1 servers" % number)
    session.numeric(b"265", b"%d" % number, b"%d" % most, b"Current local users %d, max %d" % (number, most))
    session.numeric(b"266", b"%d" % number, b"%d" % most, b"Current global users %d, max %d" % (number, most))


def write_motd(session: IrcSession) -> None:
    """Write the message of the day."""
    session.numeric(b"422", b"MOTD File is missing")


# The connection


def ping(session: IrcSession, message: IrcMessage) -> Steps | None:
    """PING: answer that all that came before was carried out."""
    text = message.param(0)
    if not text:
        session.numeric(b"409", b"No origin specified")
    elif session.place.is_behind():
        return _ping(session, text)
    else:
        _write_pong(session, text)
    return None


def _ping(session: IrcSession, text: bytes) -> Steps:
    """Answer when the client has what others did before, such as that they went away."""
    yield CATCH_UP
    _write_pong(session, text)


def _write_pong(session: IrcSession, text: bytes) -> None:
    session.reply(write_line(session.place.server, b"PONG", session.place.server, text))


def pong(session: IrcSession, message: IrcMessage) -> Steps | None:
    """PONG: the client has what was written before a PING."""
    if message.params:
        session.take_pong(message.params[-1])
    return None


def leave(session: IrcSession, message: IrcMessage) -> Steps | None:
    """QUIT: close the connection."""
    session.end(b"Quit: " + message.param(0) if message.param(0) else b"Quit")
    return None
