"""Requests to subscribe: to which recipients, in which format, and from when on (docs/protocol.md, section 23)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from twotick.server.web.publish.publication import Unreadable
from twotick.server.web.publish.request import RequestHead, parse, token_of
from twotick.store import BotMember

FORMATS: Final = ("json", "sse", "raw", "ws")
"""The last words of the paths by which ntfy subscribes."""

AUTH: Final = "auth"
"""The last word of the path by which ntfy's apps find out whether a token is right."""

_MOST_RECIPIENTS: Final = 16
_ALL: Final = 1000
"""The earlier messages of a recipient that are sent at most."""

_FILTERS: Final = ("id", "message", "m", "title", "t", "priority", "prio", "p", "tags", "tag", "ta")
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION: Final = re.compile(r"(?:[0-9]{1,6}(?:ms|[smhd]))+")
_PART: Final = re.compile(r"([0-9]+)(ms|[smhd])")
_NUMBERED: Final = re.compile(r"(m|r[0-9a-f]{8}-)([0-9]{1,18})")
_UNIX: Final = re.compile(r"[0-9]{1,11}")
_YES: Final = ("1", "yes", "true")


@dataclass(frozen=True, slots=True)
class Subscription:
    """What a request to subscribe asks for.

    Attributes:
        recipients: the users and rooms, as the request names them.
        format: one of FORMATS, or AUTH.
        token: the token; empty if there is none.
        polls: whether only what is there already is wanted.
        is_chunked: whether the answer comes in chunks, so that the client sees whether it is whole.
        earlier: how many earlier messages are wanted at most, of each recipient; 0 for none.
        since: the time from which on they are wanted, in seconds since 1970; 0 for all.
        after: the series of the message after which messages of that series are wanted, and its number in it; an
            empty series for all (see `events.position`).
    """

    recipients: tuple[str, ...]
    format: str
    token: str
    polls: bool
    is_chunked: bool
    earlier: int
    since: float
    after: tuple[str, int]


def is_subscribing(method: str, target: str) -> bool:
    """Tell whether a request wants to subscribe."""
    parts = target.partition("?")[0].split("/")
    return method == "GET" and len(parts) == 3 and bool(parts[1]) and parts[2] in (*FORMATS, AUTH)


def read_subscription(head: RequestHead, now: float, *, is_chunked: bool) -> Subscription:
    """Return what a request to subscribe asks for.

    Args:
        head: its head.
        now: the time, in seconds since 1970.
        is_chunked: whether the client understands chunks.

    Raises:
        Unreadable: it cannot be understood.
    """
    request = parse(head, b"")
    if len(request.path) != 2:
        raise Unreadable("name the recipient in the path")
    names = tuple(dict.fromkeys(name.strip() for name in request.path[0].split(",") if name.strip()))
    if not 0 < len(names) <= _MOST_RECIPIENTS:
        raise Unreadable(f"name 1 to {_MOST_RECIPIENTS} recipients in the path, with commas between")

    def given(*fields: str) -> str:
        for field in fields:
            value = request.headers.get(field.encode(), b"").decode("latin-1") or request.query.get(field, "")
            if value:
                return value
        return ""

    if any(name in request.query or f"x-{name}".encode() in request.headers for name in _FILTERS):
        raise Unreadable("this server filters no messages: leave out id, message, title, priority and tags")
    polls = given("x-poll", "poll", "po").lower() in _YES
    earlier, since, after = _since(given("x-since", "since", "si", "last-event-id"), now, polls=polls)
    form = request.path[1]
    is_chunked = is_chunked and form != "ws"
    return Subscription(names, form, token_of(request)[0], polls, is_chunked, earlier, since, after)


def _since(value: str, now: float, *, polls: bool) -> tuple[int, float, tuple[str, int]]:
    """Return `earlier`, `since` and `after` of a Subscription. An Id that is none of ours means all, as for ntfy."""
    word = value.lower()
    if not word:
        return (_ALL if polls else 0), 0.0, ("", 0)
    if word in ("none", "latest"):
        return (0 if word == "none" else 1), 0.0, ("", 0)
    if _UNIX.fullmatch(word):
        return _ALL, float(word), ("", 0)
    if _DURATION.fullmatch(word):
        length = sum(int(number) * _UNITS[unit] for number, unit in _PART.findall(word))
        return _ALL, max(1.0, now - length), ("", 0)
    numbered = _NUMBERED.fullmatch(word)
    return _ALL, 0.0, ("", 0) if numbered is None else (numbered[1], int(numbered[2]))


def readable(bot: BotMember, names: Sequence[str]) -> dict[str, str] | None:
    """Return the conversations that a request names, each with the name that the request has for it.

    Args:
        bot: the bot.
        names: the names. That of a room may have no `#`.

    Returns:
        By the name of the conversation in lower case; None if the bot may not read one of them.
    """
    allowed = {right.name.lower() for right in bot.rights if right.reads}
    found: dict[str, str] = {}
    for name in names:
        key = name.removeprefix("@").lower()
        room = f"#{key}"
        if key in allowed:
            found[key] = name
        elif room in allowed:
            found[room] = name
        else:
            return None
    return found


def unnamed(bot: BotMember, found: Mapping[str, str]) -> list[str]:
    """Return the conversations that a bot reads and a request does not name."""
    return [right.name for right in bot.rights if right.reads and right.name.lower() not in found]
