"""What users type to search: words, and filters such as `from:bob`. All screens and commands share it."""

import re
import unicodedata
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from twotick.ui.quantities import parse_time
from twotick.wire import is_name, is_room

if TYPE_CHECKING:
    from twotick.client import Found, MemberClient

FILTERS: Final = "from:bob in:#team before:2026-11-01 after:yesterday has:file"
"""The filters, as examples."""

LONGEST: Final = 256
"""The most letters of a search (docs/protocol.md, rule 14.5)."""

_TOKEN = re.compile(r'"([^"]*)"?|[^\s"]+')
_FILTER = re.compile(r"(from|in|before|after|has):(.*)", re.IGNORECASE | re.DOTALL)
_DATE = re.compile(r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2}))?)?", re.ASCII)
_DAYS: Final = {"today": 0, "yesterday": 1}


class SearchTextError(ValueError):
    """What was typed to search is not understood; the text says what to type instead."""


@dataclass(frozen=True, slots=True)
class SearchText:
    """What a user searches for.

    Attributes:
        query: the words, as rule 14.5 has them: each but a phrase in quotes may be the beginning of a word.
        words: the words and phrases, as the user typed them.
        sender: the user who has sent the messages; None for any.
        peer: the user or room of the conversation; None for all.
        since: the time from which on messages are found; None for any. Without a time zone it is local.
        until: the time before which they are found; None for any.
        has_file: whether only messages with a file are found.
    """

    query: str = ""
    words: tuple[str, ...] = ()
    sender: str | None = None
    peer: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    has_file: bool = False

    @property
    def has_words_only(self) -> bool:
        """Whether there is no filter."""
        return self == SearchText(self.query, self.words)


def parse_search(text: str, own: str, now: datetime) -> SearchText:
    """Return what a user searches for.

    Args:
        text: what was typed.
        own: the user's own name, for `from:me`.
        now: the local time, without a time zone.

    Raises:
        SearchTextError: a filter is not understood, or there is nothing to search for.
    """
    found = SearchText()
    given: set[str] = set()
    words: list[str] = []
    query: list[str] = []
    for token in _TOKEN.finditer(text.replace("\0", " ")):
        filtered = _FILTER.fullmatch(token[0])
        if filtered is not None:
            name = filtered[1].lower()
            if name in given:
                raise SearchTextError(f"{name}: is there twice: a search has one of it")
            given.add(name)
            found = _filtered(found, name, filtered[2], own, now)
        elif token[1] is None:
            words.append(token[0])
            query.append(_with_star(token[0]))
        elif token[1].strip():
            words.append(token[1])
            query.append(f'"{token[1]}"')
    if not query and not given:
        raise SearchTextError(f"type a word, or a filter: {FILTERS}")
    joined = " ".join(query)
    if len(joined) > LONGEST:
        joined = text if not given else " ".join(words)
    if len(joined) > LONGEST:
        raise SearchTextError(f"the search is too long: it has {len(joined)} letters, and {LONGEST} is the most")
    return replace(found, query=joined, words=tuple(word.strip("*") for word in words))


def _with_star(word: str) -> str:
    """Return a word with a star, so that it finds the words that begin with it, if it ends in a letter or digit."""
    return f"{word}*" if word[-1].isalnum() or unicodedata.category(word[-1])[0] == "M" else word


async def find(me: "MemberClient", asked: SearchText, *, limit: int, before: int | None = None) -> "Found":
    """Search for messages, as `MemberClient.search` does."""
    return await me.search(
        asked.query,
        peer=asked.peer,
        sender=asked.sender,
        since=asked.since,
        until=asked.until,
        has_file=asked.has_file,
        limit=limit,
        before=before,
    )


# Filters


def _filtered(found: SearchText, name: str, value: str, own: str, now: datetime) -> SearchText:
    """Return a search with another filter."""
    match name:
        case "from":
            return replace(found, sender=own if value.lower() == "me" else _sender(value.removeprefix("@")))
        case "in":
            return replace(found, peer=_peer(value.removeprefix("@")))
        case "before":
            return replace(found, until=_time(name, value, now))
        case "after":
            return replace(found, since=_time(name, value, now))
        case _:
            if value.lower() not in ("file", "files"):
                raise SearchTextError("after has: comes file: has:file finds messages with a file")
            return replace(found, has_file=True)


def _sender(name: str) -> str:
    if not is_name(name.encode(errors="replace")):
        raise SearchTextError("after from: comes the name of a user, without a space: from:bob, or from:me")
    return name


def _peer(name: str) -> str:
    encoded = name.encode(errors="replace")
    if not is_name(encoded) and not is_room(encoded):
        raise SearchTextError("after in: comes a user or a room, without a space: in:bob, or in:#team")
    return name


def _time(name: str, value: str, now: datetime) -> datetime:
    """Return the time that a user means: the beginning of a day, month or year, a time, or so long ago."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    try:
        if value.lower() in _DAYS:
            return today - timedelta(days=_DAYS[value.lower()])
        date = _DATE.fullmatch(value)
        if date is not None:
            return datetime(int(date[1]), int(date[2] or 1), int(date[3] or 1))
        if value[-1:].isalpha() and value[:1].isdigit() and "T" not in value:
            return now - timedelta(seconds=parse_time(value))
        return datetime.fromisoformat(value)
    except (ValueError, OverflowError) as error:
        raise SearchTextError(
            f"after {name}: comes a day, without a space: {name}:2026-11-01, {name}:2026-11, {name}:yesterday, or"
            f" {name}:7d for seven days ago"
        ) from error
