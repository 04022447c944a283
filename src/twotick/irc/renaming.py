"""How a guest changes its name while it is connected (NICK).

A name belongs to a connection to the exchange (docs/protocol.md, rule 4.2). So the guest is registered by the new name
on another one, enters its rooms there, and leaves the first one. Others see it come and go; those on IRC see a NICK.
"""

from typing import Final

from twotick.irc.answers import NEW_NAME, Steps
from twotick.irc.session import IrcSession
from twotick.irc.wire import write_line

_MOST_CHANGES: Final = 5
"""How often a guest can change its name in `_PERIOD`: all its rooms are told each time."""

_PERIOD: Final = 60.0


def change_name(session: IrcSession, wanted: bytes, register: bytes) -> Steps | None:
    """Let a guest have another name.

    Args:
        session: the guest's session.
        wanted: the name.
        register: the REGISTER that asks for it.
    """
    now = session.place.now
    recent = [each for each in session.changes or () if now - each < _PERIOD]
    if session.pending:
        session.numeric(b"437", wanted, b"Nick cannot be changed while messages of yours are not answered: try again")
    elif len(recent) >= _MOST_CHANGES:
        wait = _PERIOD - (now - recent[0])
        session.numeric(b"438", wanted, b"Nick change too fast: try again in %d s" % (int(wait) + 1))
    else:
        session.changes = [*recent, now]
        return _change(session, wanted, register)
    return None


def _change(session: IrcSession, wanted: bytes, register: bytes) -> Steps:
    before, source = session.name, session.source
    events = (b"left", before), (b"joined", wanted)
    same = session.is_own(wanted)  # then the name is given up before it is asked for
    onlookers = session.place.onlookers(session, *events) if same else []
    session.wanted = register
    answer = yield NEW_NAME
    if answer.reason is not None:
        is_taken = answer.head.headers.get(b"kind") in (b"in-use", b"member")
        session.numeric(b"433" if is_taken else b"432", wanted, b"Nickname is not available: " + answer.reason)
        return
    session.begin_as(answer.head.name or wanted)
    rooms = dict(session.channels or {})
    if not same:
        onlookers = session.place.onlookers(session, *events)
    left: list[bytes] = []
    for key, room in rooms.items():
        answer = yield session.ask_room(room, b"join")
        if answer.reason is not None:
            left.append(room)
            if session.channels is not None:
                session.channels.pop(key, None)
    line = write_line(source, b"NICK", session.name)
    parted = {
        room.lower(): write_line(session.source, b"PART", room, b"It could not be entered again") for room in left
    }
    session.reply(line, *parted.values())
    for each in onlookers:
        each.out += [line, *(parted[room] for room in each.channels or () if room in parted)]
        session.place.changed(each)
    if before.lower() != session.name.lower():
        session.place.tell_watchers(before, 0, lambda each: each.line_of_watched(before, is_online=False))
        session.place.tell_watchers(session.name, 0, lambda each: each.line_of_watched(session.name, is_online=True))
