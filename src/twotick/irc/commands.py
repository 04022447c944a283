"""All commands of IRC, and what takes the frames of the exchange."""

from collections.abc import Callable
from typing import Final

from twotick.irc import channels, history, messages, multiline, queries, registration
from twotick.irc.place import IrcCommand, IrcPlace
from twotick.irc.session import IrcSession
from twotick.wire import Head, Verb

COMMANDS: Final[dict[bytes, IrcCommand[IrcSession]]] = {
    b"CAP": IrcCommand(registration.cap, 1, early=True),
    b"NICK": IrcCommand(registration.nick, early=True),
    b"USER": IrcCommand(registration.user, 4, early=True),
    b"PASS": IrcCommand(registration.password, 1, early=True),
    b"AUTHENTICATE": IrcCommand(registration.authenticate, 1, early=True),
    b"PING": IrcCommand(registration.ping, early=True),
    b"PONG": IrcCommand(registration.pong, early=True, passes=True),
    b"QUIT": IrcCommand(registration.leave, early=True),
    b"PRIVMSG": IrcCommand(messages.privmsg, passes=True),
    b"NOTICE": IrcCommand(messages.notice, passes=True),
    b"TAGMSG": IrcCommand(messages.tagmsg, passes=True),
    b"BATCH": IrcCommand(multiline.batch, 1, passes=True),
    b"REDACT": IrcCommand(messages.redact, 2, members=True),
    b"JOIN": IrcCommand(channels.join, 1),
    b"PART": IrcCommand(channels.part, 1),
    b"NAMES": IrcCommand(channels.names),
    b"LIST": IrcCommand(channels.list_rooms),
    b"TOPIC": IrcCommand(channels.topic, 1),
    b"INVITE": IrcCommand(channels.invite, 2, members=True),
    b"KICK": IrcCommand(channels.kick, 2, members=True),
    b"MODE": IrcCommand(channels.mode, 1),
    b"WHO": IrcCommand(queries.who),
    b"WHOIS": IrcCommand(queries.whois),
    b"WHOWAS": IrcCommand(queries.whowas),
    b"USERHOST": IrcCommand(queries.userhost, 1),
    b"ISON": IrcCommand(queries.ison, 1),
    b"AWAY": IrcCommand(queries.away),
    b"SETNAME": IrcCommand(queries.setname, 1),
    b"MONITOR": IrcCommand(queries.monitor, 1),
    b"CHATHISTORY": IrcCommand(history.chathistory, 1, members=True),
    b"MARKREAD": IrcCommand(history.markread, members=True),
    b"MOTD": IrcCommand(queries.motd),
    b"LUSERS": IrcCommand(queries.lusers),
    b"VERSION": IrcCommand(queries.version),
    b"TIME": IrcCommand(queries.time),
    b"INFO": IrcCommand(queries.info),
    b"ADMIN": IrcCommand(queries.admin),
    b"LINKS": IrcCommand(queries.links),
    b"HELP": IrcCommand(queries.helping),
    b"OPER": IrcCommand(queries.no_operators, 2),
    b"KILL": IrcCommand(queries.not_privileged, 2),
}
"""The commands by name."""

HANDLERS: Final[dict[Verb, Callable[[IrcSession, Head, bytes], None]]] = {
    Verb.FORWARD: channels.take_any_forward,
    Verb.ACCEPTED: messages.take_accepted,
    Verb.SENT: messages.take_sent,
    Verb.READ: messages.take_read,
    Verb.ERROR: messages.take_error,
    Verb.TYPING: messages.take_typing,
    Verb.ROOM: channels.take_room,
    Verb.STATUS: queries.take_status,
    Verb.PROFILE: queries.take_profile,
}
"""What takes the frames of the exchange, by verb."""


def equip(place: IrcPlace[IrcSession]) -> IrcPlace[IrcSession]:
    """Give a place its commands."""
    place.commands = COMMANDS
    place.handlers = HANDLERS
    return place
