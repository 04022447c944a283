"""Which members and rooms requests are about, as far as the requests say it."""

from collections.abc import Iterable
from dataclasses import fields, is_dataclass, replace
from functools import lru_cache
from typing import Any, Final

from twotick.store.port import Request, Together
from twotick.store.requests.members import OpenDevice
from twotick.store.requests.messages import Acknowledge, Append, Expire, MarkRead, Refuse, Settle
from twotick.store.requests.operating import ByOperator
from twotick.store.requests.servers import CloseDevice, KeepLease, SettleLost, WhileNewest
from twotick.store.sqlite.reserve import reads

_NUMBERS: Final = ("member", "sender", "by")
_NAMES: Final = ("peer", "recipient", "room", "other", "name", "about", "about_name", "reply_name", "sender_name")

_REPEATABLE: Final = (
    Acknowledge,
    CloseDevice,
    Expire,
    KeepLease,
    MarkRead,
    OpenDevice,
    Refuse,
    Settle,
    SettleLost,
)


def names_in(requests: Iterable[Request[Any]]) -> tuple[set[int], set[str], set[str]]:
    """Return the numbers of members, the names of members, and the names of rooms in requests; names in lower case.

    What a request is about besides, such as the sender of a message that was read, is locked when it is loaded.
    If two servers then wait for each other, PostgreSQL ends one of the transactions, which is carried out again.
    """
    numbers: set[int] = set()
    names: set[str] = set()
    for request in flat(requests):
        about_numbers, about_names = _fields(type(request))
        numbers.update(value for each in about_numbers if isinstance(value := getattr(request, each), int))
        if isinstance(request, Append):
            numbers.update(request.members)
        for each in about_names:
            value = getattr(request, each)
            if isinstance(value, bytes | str) and value:
                names.add(_folded(value))
    rooms = {name for name in names if name.startswith("#")}
    return numbers, names - rooms, rooms


@lru_cache(maxsize=256)
def _fields(kind: type[Request[Any]]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return which attributes of a kind of requests are numbers of members, and which are names."""
    there = {each.name for each in fields(kind)} if is_dataclass(kind) else frozenset[str]()
    return tuple(there.intersection(_NUMBERS)), tuple(there.intersection(_NAMES))


def _folded(name: bytes | str) -> str:
    text = name if isinstance(name, str) else name.decode(errors="replace")
    return text.lower().replace("\0", "\ufffd")


def pairs_in(requests: Iterable[Request[Any]]) -> set[tuple[int, str]]:
    """Return who writes to whom in requests: numbers of senders, each with a recipient's name in lower case."""
    return {
        (request.sender, _folded(request.recipient))
        for request in flat(requests)
        if isinstance(request, Append) and request.sender is not None and request.recipient[:1] != b"#"
    }


def acknowledged_in(requests: Iterable[Request[Any]]) -> dict[int, int]:
    """Return up to which entries of their logs members say that they have them, by member.

    The senders of these messages are told, so they are locked together with all others. If they were locked when they
    are loaded, two servers would again and again wait for each other, until PostgreSQL notices it after a second.
    """
    found: dict[int, int] = {}
    for request in flat(requests):
        if isinstance(request, Acknowledge | Refuse | OpenDevice):
            seq = request.resume if isinstance(request, OpenDevice) else request.seq
            found[request.member] = max(found.get(request.member, 0), min(seq, (1 << 63) - 1))
    return found


def is_repeatable(request: Request[Any]) -> bool:
    """Tell whether a request may be carried out twice: the second time it changes nothing, and is answered rightly."""
    if isinstance(request, Append):
        return (request.sender is not None or request.into > 0) and bool(request.id) and not request.begun
    if isinstance(request, Together):
        return all(map(is_repeatable, request.requests))
    if isinstance(request, WhileNewest):
        return is_repeatable(request.request)
    return isinstance(request, _REPEATABLE) or reads(request)


def again(request: Request[Any]) -> Request[Any]:
    """Return a request as it is carried out once more, when it is not known whether the database has kept it."""
    return replace(request, again=True) if isinstance(request, Append) else request


def flat(requests: Iterable[Request[Any]]) -> list[Request[Any]]:
    """Return requests, with those that are carried out together one by one, and with those within others."""
    found: list[Request[Any]] = []
    for each in requests:
        if isinstance(each, Together):
            found += flat(each.requests)
        elif isinstance(each, ByOperator | WhileNewest):
            found += [each, *flat((each.request,))]
        else:
            found.append(each)
    return found
