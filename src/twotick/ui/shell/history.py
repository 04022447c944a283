"""A member's past messages: list, search and export them."""

import json
import sys
from dataclasses import replace
from datetime import datetime
from typing import Any

from twotick.client import (
    MemberMessage,
    State,
)
from twotick.client.trust.tokens import Credential
from twotick.ui.people import ProfileBook
from twotick.ui.searching import find, parse_search
from twotick.ui.shell.connection import asking
from twotick.ui.shell.describing import body_as_json, details_as_json, line_of
from twotick.ui.shell.errors import NothingFound
from twotick.ui.shell.people import note_names, people_of
from twotick.ui.shell.streams import complain
from twotick.ui.text import console

_PAGE = 1000
"""Messages per request."""

_FOUND = 100
"""Search results per request."""

_MOST_PAGES = 1000
"""Pages of search results that are requested: a server may send empty pages for ever."""

_TICKS = {
    State.QUEUED: "",
    State.ACCEPTED: "\u2713",
    State.DELIVERED: "\u2713\u2713",
    State.READ: "\u2713\u2713 read",
    State.FAILED: "\u2717",
}


async def show_history(who: Credential, peer: str | None, *, since: datetime | None, limit: int, as_json: bool) -> None:
    """Print the last `limit` messages, oldest first; only those with a user or in a room if `peer` is one."""
    async with asking(who) as me:
        messages = await me.history(peer, limit=limit, since=since)
        people = await people_of(me) if messages and not as_json else ProfileBook()
    note_names(who, (name for each in messages for name in (each.sender, each.recipient, each.room)))
    if peer is not None and not messages:
        raise NothingFound(f"there are no messages with {peer}" + (" since then" if since else ""))
    for message in messages:
        print_message(message, people, as_json=as_json)


async def search(who: Credential, text: str, *, peer: str | None, limit: int, as_json: bool) -> None:
    """Print up to `limit` messages that have the words and fulfil the filters in a text, newest first."""
    asked = parse_search(text, who.name, datetime.now())
    if peer is not None:
        asked = replace(asked, peer=peer)
    async with asking(who) as me:
        before: int | None = None
        shown = 0
        people = ProfileBook() if as_json else await people_of(me)
        for _ in range(_MOST_PAGES):
            found = await find(me, asked, limit=min(limit - shown, _FOUND), before=before)
            for message in found.messages:
                print_message(message, people, as_json=as_json)
            shown += len(found.messages)
            before = found.before
            if before is None and not shown:
                raise NothingFound(
                    "no message has these words" if asked.has_words_only else "no such message was found"
                )
            if before is None or shown >= limit:
                return
    complain(f"stopped after {_MOST_PAGES} pages of results, most of them empty: search with more or other words")


async def export(who: Credential) -> None:
    """Print all messages of the member as JSON lines, oldest first."""
    async with asking(who) as me:
        # First backwards, to find where the pages begin, and then forwards: so only one page is held at a time.
        starts: list[int | None] = [None]
        while page := await me.history(before=starts[-1], limit=_PAGE):
            starts.append(page[0].seq)
        for start in reversed(starts[:-1]):
            for message in await me.history(before=start, limit=_PAGE):
                print_message(message, ProfileBook(), as_json=True)
    sys.stdout.flush()


def print_message(message: MemberMessage, people: ProfileBook, *, as_json: bool) -> None:
    """Print a message: as a line, with display names beside names; or as JSON."""
    if as_json:
        print(json.dumps(_as_json(message)))
        return
    time = message.time.astimezone().strftime("%Y-%m-%d %H:%M") if message.time else "?"
    ticks = f" {_TICKS[message.state or State.ACCEPTED]}" if message.outgoing else ""
    console().print(line_of(message, people, prefix=f"{time} ", suffix=ticks))


def _as_json(message: MemberMessage) -> dict[str, Any]:
    line: dict[str, Any] = {
        "seq": message.seq,
        "time": message.time.isoformat() if message.time else None,
        "from": message.sender,
        "to": message.recipient,
        "id": message.id,
    }
    if message.state is not None:
        line["state"] = message.state.name.lower()
    return {**line, **details_as_json(message), **body_as_json(message.body)}
